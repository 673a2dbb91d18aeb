//! The spare drawn as a strip: the metadata zone with its five slots to scale, and,
//! behind a break, what is not to scale: both table regions, the replacement area
//! between them.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::gauge;
use crate::inspect::Inspection;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::quorum::CopyState;
use crate::remap_core::remap_table::BlockFlaw;
use crate::remap_core::status::Status;
use crate::remap_core::units::{Blocks, PerSlot, Slot};
use crate::tui::show;
use crate::tui::theme::{Health, Theme};

/// The sector behind the last slot, to which the metadata zone is to scale.
const SCALE_END: u64 = 8200;

/// What the strip is drawn from.
pub struct Spare {
    /// What each copy is worth, by its letter.
    copies: PerSlot<char>,
    /// Whether anything says that the device is ours.
    is_ours: bool,
    /// What the header of region A and that of region B are worth, by a copy's letter;
    /// none where the spare has no table, nothing where it was not read.
    regions: Option<[Option<char>; 2]>,
    /// The replacement area.
    room: Room,
    /// The slot to point at.
    chosen: Option<Slot>,
    /// Slots whose content changed lately.
    changed: [bool; Slot::COUNT],
}

/// What is known of the replacement area.
enum Room {
    /// Nothing.
    Unknown,
    /// How much of it is used, and all of it.
    Used(Blocks, Blocks),
    /// All of it, once there is one.
    Planned(Blocks),
}

impl Spare {
    /// What was seen of a spare, and what its target says of it, if that is up.
    pub fn seen(inspection: &Inspection, status: Option<&Status>) -> Self {
        let superblock = inspection.superblock.as_ref();
        let layout = superblock.and_then(|superblock| superblock.layout());
        let status = status.filter(|status| status.total > Blocks::new(0));
        Self {
            is_ours: inspection.is_ours(),
            copies: inspection.judgement.states.map(|_, state| state.letter()),
            regions: layout.map(|_| Region::ALL.map(|region| letter_of(inspection, region))),
            room: status.map_or(Room::Unknown, |status| {
                Room::Used(status.used, status.total)
            }),
            chosen: None,
            changed: [false; Slot::COUNT],
        }
    }

    /// A spare as it will be, divided like this.
    pub fn planned(layout: &Layout) -> Self {
        Self {
            is_ours: true,
            copies: PerSlot::from_fn(|_| 'V'),
            regions: Some([Some('V'); 2]),
            room: Room::Planned(layout.replacement_blocks),
            chosen: None,
            changed: [false; Slot::COUNT],
        }
    }

    /// The same, pointing at one slot and at what changed.
    pub fn pointing(self, chosen: Slot, changed: [bool; Slot::COUNT]) -> Self {
        Self {
            chosen: Some(chosen),
            changed,
            ..self
        }
    }
}

/// What the header of a table region is worth, by a copy's letter, if it was read.
fn letter_of(inspection: &Inspection, region: Region) -> Option<char> {
    let header = inspection.headers.iter().find(|read| read.region == region);
    Some(match &header?.header {
        Ok(_) => 'V',
        Err(BlockFlaw::Unreadable) => '?',
        Err(_) => 'X',
    })
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
pub fn lines(spare: &Spare, width: u16, theme: Theme) -> [Line<'static>; 2] {
    let width = usize::from(width);
    let mut columns = Columns::new(width);
    let behind = (width / 3).clamp(18, 44);
    let zone = width.saturating_sub(behind + 5);
    draw_zone(&mut columns, spare, zone, theme);
    let start = zone + 1;
    put(&mut columns.track, start, theme.break_mark(), theme.faint());
    if let Some(regions) = spare.regions {
        draw_behind(
            &mut columns,
            (regions, &spare.room),
            start + 3,
            behind,
            theme,
        );
    } else {
        let text = show::fit("no remap table", behind, show::Side::Left, theme.ellipsis());
        put(&mut columns.track, start + 3, &text, theme.faint());
    }
    [Columns::line(columns.labels), Columns::line(columns.track)]
}

/// The metadata zone, from column 1 on.
fn draw_zone(columns: &mut Columns, spare: &Spare, room: usize, theme: Theme) {
    let rule = theme.rule().repeat(room);
    put(&mut columns.track, 1, &rule, theme.faint());
    // The last column is the end of the scale.
    let last = room.saturating_sub(2) as u64;
    let x_of = |sector: u64| 1 + usize::try_from(sector * last / SCALE_END).unwrap_or(0);
    let mut free_from = 0;
    for slot in Slot::ALL {
        let sector = slot.sector().get();
        let letter = *spare.copies.get(slot);
        let mut style = theme.health(copy_health(spare.is_ours, letter));
        if spare.changed[slot as usize] {
            style = style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
        }
        let x = x_of(sector);
        put(&mut columns.track, x, theme.copy_glyph(letter), style);
        let is_chosen = spare.chosen == Some(slot);
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
fn draw_behind(
    columns: &mut Columns,
    (regions, room_used): ([Option<char>; 2], &Room),
    at: usize,
    room: usize,
    theme: Theme,
) {
    let gauge_room = room.saturating_sub(4);
    let places = [at, at + room - 1];
    for ((region, letter), x) in Region::ALL.into_iter().zip(regions).zip(places) {
        let (glyph, style) = match letter {
            None => (theme.dot(), theme.faint()),
            Some(letter) => (
                theme.copy_glyph(letter),
                theme.health(Health::of_letter(letter)),
            ),
        };
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
    let labels = match *room_used {
        Room::Unknown => ["replacements".to_owned(), String::new()],
        Room::Planned(total) => {
            let total = show::count(total.get());
            [format!("{total} replacements"), total]
        }
        Room::Used(used, total) => {
            let cells = gauge::cells(used, total, gauge_room);
            let style = theme.health(gauge::health(used, total));
            put(&mut columns.track, at + 2, &full.repeat(cells), style);
            let used = show::percent(used.get(), total.get());
            [format!("replacements {used}"), used]
        }
    };
    if let Some(label) = labels.iter().find(|label| label.width() <= gauge_room) {
        put(&mut columns.labels, at + 2, label, theme.faint());
    }
}

/// How bad it is that a copy is like this: where nothing is ours, no copy is missed.
pub const fn copy_health(is_ours: bool, letter: char) -> Health {
    if is_ours {
        Health::of_letter(letter)
    } else {
        Health::Neutral
    }
}

/// Whether a copy in this state is as good as it can be.
pub const fn is_whole(state: &CopyState) -> bool {
    matches!(state, CopyState::Valid | CopyState::Plain)
}
