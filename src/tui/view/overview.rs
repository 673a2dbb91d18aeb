//! The first page: how the device is, in numbers, and what to do about it.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::Frame;
use unicode_width::UnicodeWidthStr as _;

use super::{detail_has_keyboard, gauge, label, paragraph, put_lines};
use crate::inspect::{guide, Finding, Inspection, Matter};
use crate::port::{DeviceInfo, Usage};
use crate::remap_core::quorum::Verdict;
use crate::remap_core::repair::MAX_ATTEMPTS;
use crate::remap_core::status::{Mode as TargetMode, RepairStatus, Status};
use crate::remap_core::units::{PerSlot, Sequence};
use crate::tui::keymap::Command;
use crate::tui::listing::Active;
use crate::tui::pages;
use crate::tui::show;
use crate::tui::state::State;
use crate::tui::subject::Subject;
use crate::tui::theme::{Health, Theme};

const LABEL_WIDTH: usize = 10;
const GAUGE_WIDTH: usize = 20;

/// With so many lines for findings the first one is told at length.
const ROOM_FOR_MEANING: usize = 10;

/// Draws the page.
pub fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, subject: &Subject<'_>) {
    let theme = state.theme();
    let width = usize::from(area.width);
    let mut lines = match (subject.active, subject.examined) {
        (Some(active), _) => of_active(state, active, width),
        (None, Some(Ok(inspection))) => of_idle(state, inspection, subject.device, width),
        (None, Some(Err(why))) => paragraph(
            &format!("It cannot be read: {why}"),
            width,
            1,
            theme.health(Health::Warning),
        ),
        (None, None) => vec![Line::styled(" looking", theme.faint())],
    };
    let findings = pages::findings(state);
    if !findings.is_empty() {
        lines.push(Line::default());
        let room = usize::from(area.height).saturating_sub(lines.len());
        let at = state.cursors[0];
        let chosen = (at, detail_has_keyboard(state));
        lines.extend(of_findings(&findings, chosen, room, width, theme));
    }
    put_lines(frame, area, &lines);
}

/// A label and what it stands for.
fn fact(theme: Theme, name: &str, spans: Vec<Span<'static>>) -> Line<'static> {
    let mut all = vec![Span::raw(" "), label(theme, name, LABEL_WIDTH)];
    all.extend(spans);
    Line::from(all)
}

/// The same, and more if there is room for it.
fn fact_and(
    theme: Theme,
    name: &str,
    spans: Vec<Span<'static>>,
    more: String,
    width: usize,
) -> Line<'static> {
    let mut line = fact(theme, name, spans);
    if line.width() + more.width() <= width {
        line.spans.push(Span::raw(more));
    }
    line
}

fn plain(text: impl Into<String>) -> Span<'static> {
    Span::raw(text.into())
}

fn of_active(state: &State, active: &Active, width: usize) -> Vec<Line<'static>> {
    let theme = state.theme();
    let status = active.status(state.now);
    let mapped = &active.mapped;
    let of = |name, (spans, more)| fact_and(theme, name, spans, more, width);
    let parts = format!(
        "main {}, spare {}",
        state.name_of(&mapped.main),
        state.name_of(&mapped.spare)
    );
    let size = format!(
        "; {} in {}-byte blocks",
        show::size(mapped.size),
        mapped.block_size
    );
    let standing = Subject::of_active(state, active).standing(state.now);
    vec![
        standing_fact(theme, &standing),
        copies_of_active(state, active, &status),
        fact(theme, "Remaps", remaps_spans(theme, &status)),
        of("Spare", spare_spans(theme, &status)),
        of("Scrub", scrub_spans(&status)),
        of("Repair", repair_spans(theme, &status)),
        fact(theme, "Errors", vec![plain(errors_text(&status))]),
        of("Parts", (vec![plain(parts)], size)),
    ]
}

/// Everything that is amiss, the worst first, as the list and the line on top rank it.
fn standing_fact(theme: Theme, standing: &[Matter]) -> Line<'static> {
    let health = standing
        .first()
        .map_or(Health::Good, |worst| Health::of_matter(*worst));
    let words: Vec<String> = standing.iter().map(Matter::to_string).collect();
    let text = match words.as_slice() {
        [] => "nothing lost, nothing damaged".to_owned(),
        words => words.join(", "),
    };
    let glyph = theme.health_glyph(health);
    let style = theme.health(health);
    fact(
        theme,
        "State",
        vec![Span::styled(format!("{glyph} {text}"), style)],
    )
}

/// The copies as they are now; where the target does not know yet, that is said.
fn copies_of_active(state: &State, active: &Active, status: &Status) -> Line<'static> {
    let theme = state.theme();
    let now = Subject::of_active(state, active).copies();
    let (letters, verdict) = now.unwrap_or((status.copies, status.verdict));
    let mut line = copies_fact(theme, &letters, verdict, status.sequence);
    if verdict != status.verdict {
        let text = format!("; {} at the last scrub", status.verdict);
        line.spans.push(Span::styled(text, theme.faint()));
    }
    line
}

/// The strip of five copies, what it comes to, and their sequence.
fn copies_fact(
    theme: Theme,
    letters: &PerSlot<char>,
    verdict: Verdict,
    sequence: Sequence,
) -> Line<'static> {
    let mut spans = strip(theme, letters);
    spans.push(plain("  "));
    spans.push(Span::styled(
        verdict.name(),
        theme.health(Health::of_verdict(verdict)),
    ));
    if sequence > Sequence::new(0) {
        spans.push(plain(format!(", sequence {sequence}")));
    }
    fact(theme, "Copies", spans)
}

/// Five glyphs with their numbers: `■0 ■1 ■2 ✖3 ■4`.
pub fn strip(theme: Theme, letters: &PerSlot<char>) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    for (slot, letter) in letters.iter() {
        let style = theme.health(Health::of_letter(*letter));
        spans.push(Span::styled(theme.copy_glyph(*letter), style));
        spans.push(plain(format!("{slot} ")));
    }
    spans
}

fn remaps_spans(theme: Theme, status: &Status) -> Vec<Span<'static>> {
    let mut spans = vec![plain(format!(
        "{} moved to the spare",
        show::counted(status.active.get(), "block")
    ))];
    if status.pending.get() > 0 {
        spans.push(plain(", "));
        spans.push(Span::styled(
            format!(
                "{} unreadable until written",
                show::count(status.pending.get())
            ),
            theme.health(Health::Warning),
        ));
    }
    spans
}

fn spare_spans(theme: Theme, status: &Status) -> (Vec<Span<'static>>, String) {
    let (used, total) = (status.used.get(), status.total.get());
    if status.mode == TargetMode::PassThrough || total == 0 {
        let text = "no room: there is no metadata";
        return (vec![Span::styled(text, theme.faint())], String::new());
    }
    let mut spans = gauge::bar(status.used, status.total, GAUGE_WIDTH, theme);
    spans.push(plain(format!("  {} used", show::percent(used, total))));
    (spans, format!(" of {}", show::counted(total, "block")))
}

fn scrub_spans(status: &Status) -> (Vec<Span<'static>>, String) {
    let last = match status.last_scrub {
        Some(ago) => format!("{} ago", show::span(ago)),
        None => "none yet".to_owned(),
    };
    let next = match status.next_scrub {
        Some(0) => "next now".to_owned(),
        Some(ahead) => format!("next in {}", show::span(ahead)),
        None => "none scheduled".to_owned(),
    };
    let more = format!(
        "; {} done, {} found damage",
        show::count(status.scrubs),
        show::count(status.corruption_detected)
    );
    (vec![plain(format!("{last}, {next}"))], more)
}

fn repair_spans(theme: Theme, status: &Status) -> (Vec<Span<'static>>, String) {
    let span = match status.repair {
        RepairStatus::Idle => plain("nothing to repair"),
        RepairStatus::Waiting { attempt, in_millis } => Span::styled(
            format!(
                "{} {}, attempt {attempt} of {MAX_ATTEMPTS}",
                theme.waiting(),
                show::until(in_millis)
            ),
            theme.health(Health::Warning),
        ),
        RepairStatus::GaveUp => Span::styled(
            format!("gave up after {MAX_ATTEMPTS} attempts"),
            theme.health(Health::Bad),
        ),
    };
    let mut more = match status.repair_attempts {
        0 => "; none was needed since it came up".to_owned(),
        attempts => format!(
            "; {} done in {}",
            show::count(status.repairs_completed),
            show::counted(attempts, "attempt")
        ),
    };
    if let Some(ago) = status.last_repair {
        more.push_str(&format!(", last {} ago", show::span(ago)));
    }
    (vec![span], more)
}

fn errors_text(status: &Status) -> String {
    format!(
        "{} and {} of main failed so far",
        show::counted(status.write_errors, "write"),
        show::counted(status.read_errors, "read")
    )
}

fn of_idle(
    state: &State,
    inspection: &Inspection,
    device: Option<&DeviceInfo>,
    width: usize,
) -> Vec<Line<'static>> {
    let theme = state.theme();
    let mut lines = Vec::new();
    let standing = state.standing_of(&inspection.path);
    if inspection.is_ours() || !standing.is_empty() {
        lines.push(standing_fact(theme, &standing));
    }
    if inspection.is_ours() {
        let judgement = &inspection.judgement;
        let letters = judgement.states.map(|_, state| state.letter());
        let sequence = judgement.sequence.unwrap_or(Sequence::new(0));
        lines.push(copies_fact(theme, &letters, judgement.verdict, sequence));
        lines.extend(of_metadata(state, inspection, width));
    } else {
        let text = "none of ours on this device";
        lines.push(fact(theme, "Metadata", vec![plain(text)]));
        if let Some(name) = state.idle_main_of(&inspection.path) {
            let key = state.key(Command::Reassemble);
            let text = format!("main of {name}, not up; {key} assembles it");
            lines.push(fact(theme, "Part", vec![plain(text)]));
        }
    }
    lines.push(fact(
        theme,
        "Device",
        vec![plain(format!(
            "{} in {}-byte blocks{}",
            show::size(inspection.size),
            inspection.logical_block,
            device.map(usage_text).unwrap_or_default()
        ))],
    ));
    lines
}

fn usage_text(device: &DeviceInfo) -> String {
    let mut text = match &device.usage {
        Usage::Free => ", not in use".to_owned(),
        Usage::Mapped { name, .. } => format!(", part of {name}"),
        Usage::InUse(by) => format!(", in use: {}", crate::text::guard(by)),
    };
    if device.read_only {
        text.push_str(", read-only");
    }
    if device.faults > 0 {
        let blocks = show::counted(device.faults, "block");
        text.push_str(&format!(", {blocks} made to fail"));
    }
    text
}

/// What the winning copy says, as far as there is one.
fn of_metadata(state: &State, inspection: &Inspection, width: usize) -> Vec<Line<'static>> {
    let theme = state.theme();
    let mut lines = Vec::new();
    let mut say = |name, text: String| lines.push(fact(theme, name, vec![plain(text)]));
    match &inspection.name {
        Some(name) => say("Name", format!("{name}, not up")),
        None => say("Name", "not told by this metadata".to_owned()),
    }
    let Some(superblock) = &inspection.superblock else {
        return lines;
    };
    let path = crate::text::escape(superblock.main_path.trimmed());
    let main = format!("{}, last seen as ", show::size(superblock.main_sectors));
    let room = width.saturating_sub(1 + LABEL_WIDTH + main.width());
    let path = show::end_of(&path, room, theme.ellipsis());
    say("Main", main + &path);
    match superblock.layout() {
        Some(layout) => say(
            "Room",
            format!(
                "{} of {} bytes for what fails on main",
                show::counted(layout.replacement_blocks.get(), "block"),
                layout.block_size
            ),
        ),
        None => say("Room", "plain v4 has no remap table".to_owned()),
    }
    let written = state.zone.full(superblock.timestamp);
    say("Written", format!("{written} by its writer's clock"));
    if let Some(uuid) = inspection.array_uuid() {
        say("Array", uuid.to_string());
    }
    lines
}

/// As many findings as fit, from the one under the pointer on; from an earlier one where
/// there is room to spare at the end.
fn of_findings(
    findings: &[Finding],
    (at, has_keyboard): (usize, bool),
    room: usize,
    width: usize,
    theme: Theme,
) -> Vec<Line<'static>> {
    let at = at.min(findings.len().saturating_sub(1));
    let blocks: Vec<Vec<Line<'static>>> = findings
        .iter()
        .enumerate()
        .map(|(index, finding)| {
            // Where there is little room, only what is asked about is told at length.
            let is_chosen = index == at && (has_keyboard || room >= ROOM_FOR_MEANING);
            of_finding(finding, is_chosen, width, theme)
        })
        .collect();
    let mut first = at.min(blocks.len().saturating_sub(1));
    while first > 0 {
        let lines: usize = blocks[first - 1..].iter().map(Vec::len).sum();
        if lines > room {
            break;
        }
        first -= 1;
    }
    let mut lines: Vec<Line<'static>> = blocks.into_iter().skip(first).flatten().collect();
    if lines.len() > room && room > 1 {
        let hidden = lines.len() - room + 1;
        lines.truncate(room - 1);
        let text = format!(" {} below", show::counted(hidden as u64, "more line"));
        lines.push(Line::styled(text, theme.faint()));
    }
    lines
}

fn of_finding(
    finding: &Finding,
    is_chosen: bool,
    width: usize,
    theme: Theme,
) -> Vec<Line<'static>> {
    const INDENT: usize = 3;
    let health = Health::of_severity(finding.severity);
    let style = match health {
        Health::Neutral => Style::new(),
        worse => theme.health(worse),
    };
    let mut lines = paragraph(&finding.summary, width, INDENT, style);
    if let Some(first) = lines.first_mut() {
        let glyph = theme.health_glyph(health);
        let text = first.to_string();
        let text = text.trim_start().to_owned();
        let gap = " ".repeat(INDENT - 1 - glyph.width());
        *first = Line::from(vec![
            Span::raw(" "),
            Span::styled(glyph, theme.health(health)),
            Span::raw(gap),
            Span::styled(text, style),
        ]);
    }
    if !finding.advice.is_empty() {
        lines.extend(paragraph(&finding.advice, width, INDENT, theme.faint()));
    }
    if let Some(guide) = guide(finding.id).filter(|_| is_chosen) {
        let text = format!("{}: {}", guide.certainty.name(), guide.meaning);
        lines.extend(paragraph(&text, width, INDENT, theme.plain()));
        let link = format!("docs/operations.md#{}", guide.section);
        lines.extend(paragraph(&link, width, INDENT, theme.accent()));
    }
    lines
}

/// How a device with this verdict would be, for windows over the page.
pub fn verdict_span(theme: Theme, verdict: Verdict) -> Span<'static> {
    let health = Health::of_verdict(verdict);
    Span::styled(
        format!("{} {verdict}", theme.health_glyph(health)),
        theme.health(health),
    )
}
