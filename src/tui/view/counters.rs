//! The sixth page: what the target counts, now and over time; the next scrub, and the
//! repair that is due.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::Frame;
use unicode_width::UnicodeWidthStr as _;

use super::{detail_has_keyboard, mark_row, put_line};
use crate::remap_core::repair::{delay_before, MAX_ATTEMPTS};
use crate::remap_core::status::{RepairStatus, Status};
use crate::tui::actions;
use crate::tui::history::Counter;
use crate::tui::keymap::Command;
use crate::tui::listing::Active;
use crate::tui::pages;
use crate::tui::show::{self, Side};
use crate::tui::state::{State, Tab};
use crate::tui::subject::Subject;
use crate::tui::theme::{Health, Theme};

const NAME_WIDTH: usize = 20;
const NUMBER_WIDTH: usize = 11;
const RISE_WIDTH: usize = 9;

/// The bars of the next scrub and of the back-off.
const BAR_WIDTH: usize = 16;

/// With fewer lines than this a chart tells nothing.
const CHART_LOWEST: u16 = 5;

/// The columns in front of a chart.
const AXIS_WIDTH: usize = 12;

/// Draws the page.
pub fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, subject: &Subject<'_>) {
    let theme = state.theme();
    let Some(active) = subject.active else {
        let mut text = " a target counts while its device is up".to_owned();
        if actions::available(state, Command::Reassemble).is_ok() {
            text += &format!("; {} assembles it", state.key(Command::Reassemble));
        }
        put_line(frame, area, 0, &Line::styled(text, theme.faint()));
        return;
    };
    let status = active.status(state.now);
    put_line(frame, area, 0, &scrub_line(active, &status, state));
    put_line(frame, area, 1, &repair_line(&status, state));
    let rows = u16::try_from(Counter::ALL.len()).unwrap_or(0);
    let below = area.height.saturating_sub(3 + rows);
    let chart = if below >= CHART_LOWEST { below } else { 0 };
    let table = Rect {
        y: area.y + 2,
        height: area.height.saturating_sub(2 + chart),
        ..area
    };
    draw_table(frame, table, state, &status);
    if chart > 0 {
        let place = Rect {
            y: table.y + table.height,
            height: chart,
            ..area
        };
        draw_chart(frame, place, state);
    }
}

/// A bar that is full at `whole` and empty at 0.
fn bar(part: u64, whole: u64, style: Style, theme: Theme) -> Vec<Span<'static>> {
    let cells = u128::from(part.min(whole)) * BAR_WIDTH as u128;
    let cells = usize::try_from(cells.div_ceil(u128::from(whole.max(1)))).unwrap_or(0);
    let (full, free) = theme.gauge();
    vec![
        Span::styled(full.repeat(cells), style),
        Span::styled(free.repeat(BAR_WIDTH - cells), theme.faint()),
    ]
}

fn label(text: &str, theme: Theme) -> Span<'static> {
    Span::styled(format!(" {text:<8}"), theme.faint())
}

/// The time to the next scrub running down, and the last one.
fn scrub_line(active: &Active, status: &Status, state: &State) -> Line<'static> {
    let theme = state.theme();
    let mut spans = vec![label("Scrub", theme)];
    let interval = u64::from(active.mapped.options.scrub_interval);
    match status.next_scrub {
        Some(ahead) if interval > 0 => {
            spans.extend(bar(ahead, interval, theme.accent(), theme));
            let next = match ahead {
                0 => " next now".to_owned(),
                ahead => format!(" next in {}", show::span(ahead)),
            };
            spans.push(Span::raw(next));
        }
        _ => {
            let key = state.key(Command::Scrub);
            spans.push(Span::raw(format!("none scheduled; {key} scrubs now")));
        }
    }
    let last = match status.last_scrub {
        Some(ago) => format!("; last {} ago", show::span(ago)),
        None => "; none yet".to_owned(),
    };
    spans.push(Span::raw(last));
    if interval > 0 {
        let every = format!(", one every {}", show::span(interval));
        spans.push(Span::styled(every, theme.faint()));
    }
    Line::from(spans)
}

/// The back-off running down, and what repairs there were.
fn repair_line(status: &Status, state: &State) -> Line<'static> {
    let theme = state.theme();
    let mut spans = vec![label("Repair", theme)];
    match status.repair {
        RepairStatus::Waiting { attempt, in_millis } => {
            let style = theme.health(Health::Warning);
            spans.extend(bar(in_millis, delay_before(attempt), style, theme));
            spans.push(Span::styled(
                format!(
                    " {}, attempt {attempt} of {MAX_ATTEMPTS}",
                    show::until(in_millis)
                ),
                style,
            ));
            let before: Vec<String> = (1..=MAX_ATTEMPTS)
                .map(|attempt| (delay_before(attempt) / 1000).to_string())
                .collect();
            let waits = format!("; they wait {} s", before.join(", "));
            spans.push(Span::styled(waits, theme.faint()));
        }
        RepairStatus::GaveUp => spans.push(Span::styled(
            format!(
                "gave up after {MAX_ATTEMPTS} attempts; {} tries again",
                state.key(Command::Repair)
            ),
            theme.health(Health::Bad),
        )),
        RepairStatus::Idle => {
            spans.push(Span::raw("nothing to repair"));
            if let Some(ago) = status.last_repair {
                let last = format!("; last repaired {} ago", show::span(ago));
                spans.push(Span::raw(last));
            }
        }
    }
    Line::from(spans)
}

fn value(counter: Counter, status: &Status) -> u64 {
    match counter {
        Counter::Scrubs => status.scrubs,
        Counter::CorruptionDetected => status.corruption_detected,
        Counter::RepairsCompleted => status.repairs_completed,
        Counter::RepairAttempts => status.repair_attempts,
        Counter::Remapped => status.active.get(),
        Counter::Pending => status.pending.get(),
        Counter::SpareUsed => status.used.get(),
        Counter::WriteErrors => status.write_errors,
        Counter::ReadErrors => status.read_errors,
    }
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, state: &State, status: &Status) {
    let theme = state.theme();
    let window = pages::history_window(state);
    let line_width =
        usize::from(area.width).saturating_sub(NAME_WIDTH + NUMBER_WIDTH + RISE_WIDTH + 4);
    let cell = |text: &str, width, side| show::fit(text, width, side, theme.ellipsis());
    let heading = format!(
        " {}{}{} {}",
        cell("COUNTER", NAME_WIDTH, Side::Left),
        cell("NOW", NUMBER_WIDTH, Side::Right),
        cell("CHANGE", RISE_WIDTH, Side::Right),
        cell(
            &format!("LAST {}", show::span(window)),
            line_width,
            Side::Left
        ),
    );
    put_line(frame, area, 0, &Line::styled(heading, theme.faint()));
    let chosen = state.cursors[Tab::Counters as usize].min(Counter::ALL.len() - 1);
    let room = usize::from(area.height.saturating_sub(1));
    let first = crate::tui::layout::first_row(chosen, Counter::ALL.len(), room);
    let in_sight = Counter::ALL.into_iter().enumerate().skip(first);
    for (row, (index, counter)) in (1..area.height).zip(in_sight) {
        let values = pages::history(state, counter, line_width);
        let is_chosen = index == chosen;
        let pointer = if is_chosen { theme.pointer() } else { " " };
        let mut spans = vec![
            Span::styled(pointer, theme.accent()),
            Span::raw(cell(counter.name(), NAME_WIDTH, Side::Left)),
            Span::raw(cell(
                &show::count(value(counter, status)),
                NUMBER_WIDTH,
                Side::Right,
            )),
            Span::styled(
                cell(&change(counter, &values), RISE_WIDTH, Side::Right),
                theme.faint(),
            ),
            Span::raw(" "),
        ];
        spans.push(sparkline(counter, &values, theme));
        put_line(frame, area, row, &Line::from(spans));
        if is_chosen {
            mark_row(frame, area, row, theme, detail_has_keyboard(state));
        }
    }
}

/// How a counter changed over the whole time that is shown.
fn change(counter: Counter, values: &[Option<u64>]) -> String {
    let mut known = values.iter().flatten();
    if !counter.is_level() {
        return match known.sum::<u64>() {
            0 => String::new(),
            rise => format!("+{}", show::count(rise)),
        };
    }
    let first = known.next().copied().unwrap_or(0);
    let last = known.last().copied().unwrap_or(first);
    match last.cmp(&first) {
        std::cmp::Ordering::Less => format!("-{}", show::count(first - last)),
        std::cmp::Ordering::Equal => String::new(),
        std::cmp::Ordering::Greater => format!("+{}", show::count(last - first)),
    }
}

fn style(counter: Counter, theme: Theme) -> Style {
    match counter {
        Counter::Scrubs | Counter::RepairsCompleted | Counter::SpareUsed | Counter::Remapped => {
            theme.accent()
        }
        Counter::RepairAttempts => theme.health(Health::Warning),
        Counter::CorruptionDetected
        | Counter::Pending
        | Counter::WriteErrors
        | Counter::ReadErrors => theme.health(Health::Warning),
    }
}

/// The values that a drawing reaches from and to: a counter from 0, a level from its
/// lowest, for else a rise of a few blocks among thousands would not show.
fn scale(counter: Counter, values: &[Option<u64>]) -> (u64, u64) {
    let known = || values.iter().flatten().copied();
    let highest = known().max().unwrap_or(0);
    let lowest = if counter.is_level() {
        known().min().unwrap_or(0)
    } else {
        0
    };
    (lowest, highest)
}

/// `value` in steps from 0, which is nothing at all, to `steps`, which the highest has.
fn level(value: u64, (lowest, highest): (u64, u64), steps: usize) -> usize {
    if value == 0 {
        return 0;
    }
    let (above, range) = (value.saturating_sub(lowest), highest.saturating_sub(lowest));
    let level = (u128::from(above) * steps as u128).div_ceil(u128::from(range.max(1)));
    usize::try_from(level).unwrap_or(steps).clamp(1, steps)
}

/// One column for each value, the highest of them full; blank where nothing is known.
fn sparkline(counter: Counter, values: &[Option<u64>], theme: Theme) -> Span<'static> {
    let scale = scale(counter, values);
    let levels = theme.levels();
    let column = |value: &Option<u64>| match value {
        None => " ",
        Some(value) => levels[level(*value, scale, levels.len() - 1)],
    };
    let line: String = values.iter().map(column).collect();
    Span::styled(line, style(counter, theme))
}

/// The chosen counter as columns, with its axes.
fn draw_chart(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let theme = state.theme();
    let chosen = state.cursors[Tab::Counters as usize].min(Counter::ALL.len() - 1);
    let counter = Counter::ALL[chosen];
    let window = pages::history_window(state);
    let width = usize::from(area.width).saturating_sub(AXIS_WIDTH + 2);
    let values = pages::history(state, counter, width);
    let scale = scale(counter, &values);
    let each = show::span(window / (width.max(1) as u64));
    let what = if counter.is_level() {
        format!("{}, over {}", counter.name(), show::span(window))
    } else {
        format!(
            "{}, new in each {each}, over {}",
            counter.name(),
            show::span(window)
        )
    };
    let rule = theme.rule();
    let mut title = format!("{rule}{rule} {what} ");
    let rest = usize::from(area.width).saturating_sub(title.width());
    title.push_str(&rule.repeat(rest));
    put_line(frame, area, 0, &Line::styled(title, theme.faint()));
    let lines = usize::from(area.height.saturating_sub(2));
    let levels = theme.levels();
    let steps = levels.len() - 1;
    for line in 0..lines {
        // How many steps lie below this line.
        let below = (lines - 1 - line) * steps;
        let column = |value: &Option<u64>| {
            let Some(value) = value else {
                return " ";
            };
            let height = level(*value, scale, lines * steps);
            match height.saturating_sub(below).min(steps) {
                0 if below == 0 => levels[0],
                0 => " ",
                filled => levels[filled],
            }
        };
        let columns: String = values.iter().map(column).collect();
        let mark = match line {
            0 => show::count(scale.1),
            _ if line + 1 == lines => show::count(scale.0),
            _ => String::new(),
        };
        let mark = show::fit(&mark, AXIS_WIDTH, Side::Right, theme.ellipsis());
        let spans = vec![
            Span::styled(format!("{mark} "), theme.faint()),
            Span::styled(columns, style(counter, theme)),
        ];
        let row = u16::try_from(line + 1).unwrap_or(u16::MAX);
        put_line(frame, area, row, &Line::from(spans));
    }
    put_line(frame, area, area.height - 1, &axis(window, width, theme));
}

/// The times below a chart.
fn axis(window: u64, width: usize, theme: Theme) -> Line<'static> {
    let begin = format!("{} ago", show::span(window));
    let middle = format!("{} ago", show::span(window / 2));
    let end = "now";
    let free = width.saturating_sub(begin.width() + middle.width() + end.width());
    let (left, right) = (free / 2, free - free / 2);
    let text = if free >= 2 {
        format!(
            "{begin}{}{middle}{}{end}",
            " ".repeat(left),
            " ".repeat(right)
        )
    } else {
        show::fit(&begin, width, Side::Left, theme.ellipsis())
    };
    let indent = " ".repeat(AXIS_WIDTH + 1);
    Line::styled(format!("{indent}{text}"), theme.faint())
}

/// What became of one counter lately, for another page: nothing where nothing is known.
pub fn trend(state: &State, counter: Counter, width: usize) -> Option<Line<'static>> {
    let theme = state.theme();
    let window = pages::history_window(state);
    let name = format!(" {} ", show::span(window));
    let room = width.saturating_sub(name.width() + RISE_WIDTH + 2);
    let values = pages::history(state, counter, room);
    values.iter().flatten().next()?;
    let change = change(counter, &values);
    Some(Line::from(vec![
        Span::styled(name, theme.faint()),
        sparkline(counter, &values, theme),
        Span::styled(format!(" {change}"), theme.faint()),
    ]))
}
