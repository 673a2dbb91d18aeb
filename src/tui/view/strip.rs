//! The spare drawn as a strip: the metadata zone with its five slots to scale, and,
//! behind a break, what is not to scale: both table regions, the replacement area
//! between them.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::gauge;
use crate::inspect::Inspection;
use crate::remap_core::layout::Region;
use crate::remap_core::quorum::CopyState;
use crate::remap_core::remap_table::BlockFlaw;
use crate::remap_core::status::Status;
use crate::remap_core::units::{Blocks, Slot};
use crate::tui::show;
use crate::tui::theme::{Health, Theme};

/// The sector behind the last slot, to which the metadata zone is to scale.
const SCALE_END: u64 = 8200;

/// What the strip is drawn from.
pub struct Spare<'a> {
    /// What was seen of it.
    pub inspection: &'a Inspection,
    /// What its target says, if it is up.
    pub status: Option<&'a Status>,
    /// The slot to point at.
    pub chosen: Slot,
    /// Slots whose content changed lately.
    pub changed: [bool; Slot::COUNT],
}

/// Two rows of single columns, drawn one over the other.
struct Columns {
    labels: Vec<(String, Style)>,
    track: Vec<(String, Style)>,
}

impl Columns {
    fn new(width: usize) -> Self {
        let blank = || (" ".to_owned(), Style::new());
        Self {
            labels: (0..width).map(|_| blank()).collect(),
            track: (0..width).map(|_| blank()).collect(),
        }
    }

    fn line(cells: Vec<(String, Style)>) -> Line<'static> {
        let spans = cells
            .into_iter()
            .map(|(text, style)| Span::styled(text, style));
        Line::from(spans.collect::<Vec<_>>())
    }
}

fn put(row: &mut [(String, Style)], at: usize, text: &str, style: Style) {
    for (cell, character) in row.iter_mut().skip(at).zip(text.chars()) {
        *cell = (character.to_string(), style);
    }
}

/// The labels, and the strip below them, at exactly `width` columns.
pub fn lines(spare: &Spare<'_>, width: u16, theme: Theme) -> [Line<'static>; 2] {
    let width = usize::from(width);
    let mut columns = Columns::new(width);
    let behind = (width / 3).clamp(18, 44);
    let zone = width.saturating_sub(behind + 5);
    draw_zone(&mut columns, spare, zone, theme);
    let layout = spare
        .inspection
        .superblock
        .as_ref()
        .and_then(|superblock| superblock.layout());
    let start = zone + 1;
    put(&mut columns.track, start, theme.break_mark(), theme.faint());
    if layout.is_some() {
        draw_behind(&mut columns, spare, start + 3, behind, theme);
    } else {
        let text = show::fit("no remap table", behind, show::Side::Left, theme.ellipsis());
        put(&mut columns.track, start + 3, &text, theme.faint());
    }
    [Columns::line(columns.labels), Columns::line(columns.track)]
}

/// The metadata zone, from column 1 on.
fn draw_zone(columns: &mut Columns, spare: &Spare<'_>, room: usize, theme: Theme) {
    let rule = theme.rule().repeat(room);
    put(&mut columns.track, 1, &rule, theme.faint());
    // The last column is the end of the scale.
    let last = room.saturating_sub(2) as u64;
    let x_of = |sector: u64| 1 + usize::try_from(sector * last / SCALE_END).unwrap_or(0);
    let mut free_from = 0;
    for slot in Slot::ALL {
        let sector = slot.sector().get();
        let state = spare.inspection.judgement.states.get(slot);
        let mut style = theme.health(Health::of_letter(state.letter()));
        if spare.changed[slot as usize] {
            style = style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
        }
        let x = x_of(sector);
        put(&mut columns.track, x, theme.state_glyph(state), style);
        let is_chosen = slot == spare.chosen;
        if is_chosen {
            put(&mut columns.track, x - 1, "[", theme.accent());
            put(&mut columns.track, x + 1, "]", theme.accent());
        }
        let label = sector.to_string();
        // A label never runs past the end of the zone, nor over the one before.
        let x = x.min((room + 1).saturating_sub(label.width()));
        if x >= free_from {
            free_from = x + label.width() + 1;
            let style = if is_chosen {
                theme.strong()
            } else {
                theme.faint()
            };
            put(&mut columns.labels, x, &label, style);
        }
    }
}

/// Region A, the replacement area as a gauge of its use, region B.
fn draw_behind(columns: &mut Columns, spare: &Spare<'_>, at: usize, room: usize, theme: Theme) {
    let gauge_room = room.saturating_sub(4);
    for (region, x) in [(Region::A, at), (Region::B, at + room - 1)] {
        let (glyph, style) = region_mark(spare.inspection, region, theme);
        put(&mut columns.track, x, glyph, style);
        put(&mut columns.labels, x, &region.to_string(), theme.faint());
    }
    let divider = theme.divider();
    put(&mut columns.track, at + 1, divider, theme.faint());
    put(&mut columns.track, at + room - 2, divider, theme.faint());
    let (full, free) = theme.gauge();
    put(
        &mut columns.track,
        at + 2,
        &free.repeat(gauge_room),
        theme.faint(),
    );
    let mut label = "replacements".to_owned();
    if let Some(status) = spare.status.filter(|status| status.total > Blocks::new(0)) {
        let cells = gauge::cells(status.used, status.total, gauge_room);
        let style = theme.health(gauge::health(status.used, status.total));
        put(&mut columns.track, at + 2, &full.repeat(cells), style);
        let used = show::percent(status.used.get(), status.total.get());
        let longer = format!("replacements {used}");
        label = if longer.width() <= gauge_room {
            longer
        } else {
            used
        };
    }
    if label.width() <= gauge_room {
        put(&mut columns.labels, at + 2, &label, theme.faint());
    }
}

/// The glyph of a table region, by its header.
fn region_mark(inspection: &Inspection, region: Region, theme: Theme) -> (&'static str, Style) {
    let header = inspection.headers.iter().find(|read| read.region == region);
    let letter = match header.map(|read| &read.header) {
        None => return (theme.dot(), theme.faint()),
        Some(Ok(_)) => 'V',
        Some(Err(BlockFlaw::Unreadable)) => '?',
        Some(Err(_)) => 'X',
    };
    (
        theme.copy_glyph(letter),
        theme.health(Health::of_letter(letter)),
    )
}

/// Whether a copy in this state is as good as it can be.
pub const fn is_whole(state: &CopyState) -> bool {
    matches!(state, CopyState::Valid | CopyState::Plain)
}
