//! Scenarios: the list to choose from, and the step that is next.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::{mark_row, paragraph, put_lines, window};
use crate::scenario::Scenario;
use crate::tui::guide::Guide;
use crate::tui::keymap::Command;
use crate::tui::layout::centred;
use crate::tui::show::{self, Side};
use crate::tui::state::State;

const WIDTH: u16 = 84;
const NAME_WIDTH: usize = 18;

/// Draws the list of scenarios.
pub fn draw_list(frame: &mut Frame<'_>, state: &State, pointer: usize, all: &[Scenario]) {
    let theme = state.theme();
    let lines: Vec<Line<'static>> = all
        .iter()
        .map(|scenario| {
            let name = show::fit(&scenario.name, NAME_WIDTH, Side::Left, theme.ellipsis());
            Line::from(vec![
                Span::styled(format!(" {name} "), theme.key()),
                Span::raw(scenario.about.clone()),
            ])
        })
        .collect();
    let width = WIDTH.min(state.size.width.saturating_sub(2));
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = centred(state.size, width, height);
    let inner = window(frame, area, theme, "Drills to go through");
    put_lines(frame, inner, &lines);
    let row = u16::try_from(pointer).unwrap_or(0);
    mark_row(frame, inner, row, theme, true);
}

/// Draws the step that is next, above the last two lines of the screen.
pub fn draw_step(frame: &mut Frame<'_>, state: &State, guide: &Guide) {
    let theme = state.theme();
    let Some(step) = guide.step() else {
        return;
    };
    let width = state.size.width;
    let inner_width = usize::from(width.saturating_sub(2));
    let mut lines = paragraph(
        &state.options.keys.spell(&step.say),
        inner_width,
        1,
        theme.plain(),
    );
    if let Some(run) = &step.run {
        lines.push(Line::styled(format!(" :{run}"), theme.faint()));
    }
    let key = |command| {
        let key = state.options.keys.first_key(state.context(), command);
        key.map_or_else(String::new, |key| key.to_string())
    };
    let does = if step.run.is_some() {
        "begins this step"
    } else {
        "goes on"
    };
    let (step_key, leave_key) = (key(Command::Step), key(Command::LeaveScenario));
    if !step_key.is_empty() {
        lines.push(Line::from(vec![
            Span::styled(format!(" {step_key}"), theme.key()),
            Span::raw(format!(" {does}  ")),
            Span::styled(leave_key, theme.key()),
            Span::raw(" leaves the scenario"),
        ]));
    }
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let height = height.min(state.size.height.saturating_sub(4));
    let area = Rect {
        x: 0,
        y: state.size.height.saturating_sub(2 + height),
        width,
        height,
    };
    let title = format!(
        "{}: step {} of {}",
        guide.scenario.title,
        guide.at + 1,
        guide.scenario.steps.len()
    );
    let inner = window(frame, area, theme, &title);
    put_lines(frame, inner, &lines);
}
