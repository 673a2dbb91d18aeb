//! Drawing: takes the state, changes nothing, remembers nothing.

mod bytes;
mod copies;
mod corrupt;
mod counters;
mod detail;
mod devices;
mod done;
mod events;
mod gauge;
mod guide;
mod help;
#[cfg(test)]
mod hostile;
mod journal;
mod overview;
#[cfg(test)]
mod own_keys;
mod plan;
mod prompt;
mod reduced;
mod remaps;
#[cfg(test)]
mod screens;
mod settings;
#[cfg(test)]
mod slips;
mod strip;
#[cfg(test)]
mod tests;
mod underway;
#[cfg(test)]
mod wander;
mod wizard;

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Widget as _};
use ratatui::Frame;
use unicode_width::UnicodeWidthStr as _;

use super::actions;
use super::headline::headline;
use super::keymap::{Bound, Command, Context};
use super::layout::Areas;
use super::show::{self, Side};
use super::state::{Mode, State};
use super::theme::{Health, Theme};
use crate::text::guard;

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let Some(areas) = Areas::of(state.size, state.focus) else {
        reduced::draw(frame, state);
        underway::draw_line(frame, state);
        return;
    };
    draw_headline(frame, areas.headline, state);
    devices::draw(frame, areas.list, state);
    detail::draw(frame, areas.detail, state);
    draw_ribbon(frame, areas.ribbon, state);
    if let (Some(guide), Mode::Browse) = (&state.guide, &state.mode) {
        guide::draw_step(frame, state, guide);
    }
    draw_mode(frame, state, &state.mode);
    draw_footer(frame, areas.footer, state);
    underway::draw_line(frame, state);
}

fn draw_mode(frame: &mut Frame<'_>, state: &State, mode: &Mode) {
    match mode {
        Mode::Browse | Mode::Filter | Mode::Ask(_) => {}
        Mode::Corrupt(corruption) => corrupt::draw(frame, state, corruption),
        Mode::Wizard(wizard) => wizard::draw(frame, state, wizard),
        Mode::Plan(dialog) => plan::draw(frame, state, dialog),
        Mode::Prompt(prompt) => prompt::draw(frame, state, prompt),
        Mode::Actions(actions) => done::draw(frame, state, *actions),
        Mode::Scenarios(pointer, all) => guide::draw_list(frame, state, *pointer, all),
        Mode::Settings(pointer) => settings::draw(frame, state, *pointer),
        Mode::Help { of, scroll, under } => {
            draw_mode(frame, state, under);
            help::draw(frame, state, *of, *scroll);
        }
        Mode::Underway { under } => {
            draw_mode(frame, state, under);
            underway::draw(frame, state);
        }
    }
}

fn draw_headline(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let theme = state.theme();
    let said = headline(state);
    let place = match &state.lab {
        Some(lab) => format!("lab {lab} "),
        None => String::new(),
    };
    let glyph = theme.health_glyph(said.health);
    let others = match said.others {
        0 => String::new(),
        count => format!(" (+{count} more)"),
    };
    let badges = badges(state);
    let badges_width: usize = badges.iter().map(|badge| badge.width() + 3).sum();
    let room = usize::from(area.width).saturating_sub(glyph.width() + 2 + badges_width);
    // The answer comes first. Around it, as far as there is room: our name, details,
    // and where the lab is.
    let mut free = room.saturating_sub(said.text.width() + others.width());
    let mut take = |text: &str| match free.checked_sub(text.width()) {
        Some(left) => {
            free = left;
            text.to_owned()
        }
        None => String::new(),
    };
    let prefix = take("dmremap  ");
    let more = take(format!(" {}", said.more).trim_end());
    let place = take(&format!("  {place}"));
    let text_width = room - prefix.width() - place.width();
    let mut line = Line::from(vec![
        Span::styled(format!(" {prefix}"), theme.strong()),
        Span::styled(glyph, theme.health(said.health)),
        Span::raw(" "),
        Span::styled(
            show::fit(
                &format!("{}{more}{others}", said.text),
                text_width,
                Side::Left,
                theme.ellipsis(),
            ),
            match said.health {
                Health::Neutral | Health::Good => theme.plain(),
                worse => theme.health(worse),
            },
        ),
        Span::styled(place, theme.faint()),
    ]);
    for badge in badges {
        line.push_span(Span::raw(" "));
        let style = theme
            .health(Health::Warning)
            .add_modifier(Modifier::REVERSED);
        line.push_span(Span::styled(format!(" {badge} "), style));
    }
    put_line(frame, area, 0, &line);
}

/// What keeps the screen or the devices from changing: always in sight.
fn badges(state: &State) -> Vec<String> {
    let options = &state.options;
    let late = state.underway.seconds_late();
    let late = late.map(|seconds| format!("AS OF {} AGO", show::span(seconds)));
    let fixed = [
        (state.frozen.is_some(), "FROZEN"),
        (options.read_only, "READ-ONLY"),
        (options.dry_run, "DRY RUN"),
    ]
    .into_iter()
    .filter(|(is, _)| *is)
    .map(|(_, badge)| badge.to_owned());
    late.into_iter().chain(fixed).collect()
}

fn draw_ribbon(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let theme = state.theme();
    let line = if let Mode::Filter = state.mode {
        Line::from(vec![
            Span::styled(" /", theme.key()),
            Span::raw(state.filter.clone()),
            Span::styled(theme.caret(), theme.accent()),
        ])
    } else if let Mode::Ask(question) = &state.mode {
        let mut spans = vec![
            Span::styled(format!(" {} ", question.what.prompt()), theme.key()),
            Span::raw(question.typed.clone()),
            Span::styled(theme.caret(), theme.accent()),
        ];
        if let Some(complaint) = &question.complaint {
            let style = theme.health(Health::Warning);
            spans.push(Span::styled(format!("  {complaint}"), style));
        }
        Line::from(spans)
    } else if let Mode::Prompt(prompt) = &state.mode {
        prompt::line(state, prompt, usize::from(area.width))
    } else if let Some(notice) = &state.notice {
        Line::from(vec![
            Span::raw(" "),
            Span::styled(
                theme.health_glyph(notice.health),
                theme.health(notice.health),
            ),
            Span::raw(" "),
            Span::styled(notice.text.clone(), theme.health(notice.health)),
        ])
    } else {
        last_events(state)
    };
    put_line(frame, area, 0, &line);
}

/// The newest events that fit on one line, oldest of them first.
fn last_events(state: &State) -> Line<'static> {
    let theme = state.theme();
    let room = usize::from(state.size.width).saturating_sub(2);
    let separator = format!(" {} ", theme.dot());
    let mut texts: Vec<String> = Vec::new();
    let mut used = 0;
    for logged in state.events.iter().rev() {
        let text = format!(
            "{} {}: {}",
            state.zone.time_of_day(logged.time),
            logged.device,
            logged.event
        );
        used += text.width()
            + if texts.is_empty() {
                0
            } else {
                separator.width()
            };
        if used > room {
            break;
        }
        texts.insert(0, text);
    }
    Line::styled(format!(" {}", texts.join(&separator)), theme.faint())
}

fn draw_footer(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let theme = state.theme();
    let always = |binding: &&Bound<'_>| {
        matches!(
            binding.command,
            Command::Help | Command::Back | Command::Cancel
        )
    };
    let keys = &state.options.keys;
    let shown: Vec<Bound<'_>> = keys
        .bindings(state.context())
        .filter(|bound| {
            !bound.hint.is_empty() && !bound.keys.is_empty() && is_useful(state, bound.command)
        })
        .collect();
    let width_of = |binding: &Bound<'_>| hint(binding).width();
    let reserved: usize = shown.iter().filter(|b| always(b)).map(width_of).sum();
    let mut room = usize::from(area.width).saturating_sub(reserved + 1);
    let mut spans = vec![Span::raw(" ")];
    for binding in &shown {
        if !always(&binding) {
            let Some(left) = room.checked_sub(width_of(binding)) else {
                room = 0;
                continue;
            };
            room = left;
        }
        let key = binding.keys.first().map(ToString::to_string);
        spans.push(Span::styled(key.unwrap_or_default(), theme.key()));
        spans.push(Span::raw(format!(" {}  ", binding.hint)));
    }
    put_line(frame, area, 0, &Line::from(spans));
}

fn hint(binding: &Bound<'_>) -> String {
    let key = binding.keys.first().map(ToString::to_string);
    format!("{} {}  ", key.unwrap_or_default(), binding.hint)
}

fn is_useful(state: &State, command: Command) -> bool {
    actions::available(state, command).is_ok()
}

/// Draws the frame of a pane and returns what is inside of it.
fn pane(frame: &mut Frame<'_>, area: Rect, theme: Theme, title: Line<'_>, focused: bool) -> Rect {
    let style = if focused {
        theme.accent()
    } else {
        theme.faint()
    };
    let block = Block::bordered()
        .border_set(theme.border())
        .border_style(style)
        .title_top(harmless(&title));
    let inner = block.inner(area);
    block.render(area, frame.buffer_mut());
    inner
}

/// Clears a place over everything else and draws a window's frame there.
fn window(frame: &mut Frame<'_>, area: Rect, theme: Theme, title: &str) -> Rect {
    Clear.render(area, frame.buffer_mut());
    let title = format!(" {title} ");
    let room = usize::from(area.width.saturating_sub(4));
    let title = if title.width() > room {
        show::fit(&title, room, Side::Left, theme.ellipsis())
    } else {
        title
    };
    let title = Line::styled(title, theme.strong());
    pane(frame, area, theme, title, true)
}

/// Draws one line at row `row` of `area`, if that is within it.
fn put_line(frame: &mut Frame<'_>, area: Rect, row: u16, line: &Line<'_>) {
    if row < area.height {
        frame
            .buffer_mut()
            .set_line(area.x, area.y + row, &harmless(line), area.width);
    }
}

/// The same line with everything spelled out that would not show. Every text goes through
/// here on its way to the screen, whatever it was said to be where it came from: a mark
/// that is only left out would hide that two names differ.
fn harmless<'a>(line: &'a Line<'_>) -> Line<'a> {
    let spans = line.spans.iter();
    let spans = spans.map(|span| Span::styled(guard(&span.content), span.style));
    Line {
        spans: spans.collect(),
        style: line.style,
        alignment: line.alignment,
    }
}

/// Draws as many lines as fit, from the top.
fn put_lines(frame: &mut Frame<'_>, area: Rect, lines: &[Line<'_>]) {
    for (row, line) in (0..area.height).zip(lines) {
        put_line(frame, area, row, line);
    }
}

/// Gives one row of `area` a style, whatever is drawn there.
fn style_row(frame: &mut Frame<'_>, area: Rect, row: u16, style: Style) {
    if row < area.height {
        let place = Rect {
            y: area.y + row,
            height: 1,
            ..area
        };
        frame.buffer_mut().set_style(place, style);
    }
}

/// A label at its column's width.
fn label(theme: Theme, text: &str, width: usize) -> Span<'static> {
    Span::styled(
        show::fit(text, width, Side::Left, theme.ellipsis()),
        theme.faint(),
    )
}

/// Lines of wrapped text, each behind so many blanks.
fn paragraph(text: &str, width: usize, indent: usize, style: Style) -> Vec<Line<'static>> {
    show::wrap(text, width.saturating_sub(indent))
        .into_iter()
        .map(|line| Line::styled(format!("{}{line}", " ".repeat(indent)), style))
        .collect()
}

/// Where the pointer's row is, and what the keyboard's place makes of it.
fn mark_row(frame: &mut Frame<'_>, area: Rect, row: u16, theme: Theme, has_keyboard: bool) {
    let style = if has_keyboard {
        theme.chosen()
    } else {
        theme.strong()
    };
    style_row(frame, area, row, style);
}

/// Whether the detail has the keyboard.
fn detail_has_keyboard(state: &State) -> bool {
    state.context() == Context::Detail
}

/// Whether what the page draws has the keyboard.
fn inside_has_keyboard(state: &State) -> bool {
    state.context() == Context::Inside
}
