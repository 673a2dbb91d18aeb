//! What an event changes: state and event in, effects out. No input, no output, no clock.

mod answer;
mod browse;
mod dialog;
mod inside;
mod question;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use super::event::{Event, Signal};
use super::key::Key;
use super::keymap::{Command, Context};
use super::remaps::{MapView, Table};
use super::state::{Mode, Notice, State, Tab};
use super::theme::Health;
use crate::ops::{Confirmed, Operation};
use crate::remap_core::units::Millis;
use crate::text;

/// Something to be done outside of the state.
#[derive(Debug)]
pub enum Effect {
    /// Ask the worker.
    Ask(Request),
    /// Draw the whole screen anew.
    Redraw,
    /// Stop the process until the shell lets it go on.
    Suspend,
    /// End the application.
    End(Ended),
}

/// Why the application ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The operator said so.
    Quit,
    /// A signal said so.
    Signal(Signal),
    /// There is no terminal any more.
    TerminalGone,
    /// The worker panicked.
    WorkerGone,
}

/// What the worker is asked.
#[derive(Clone, Debug)]
pub enum Request {
    /// Look at every device again.
    LookAgain,
    /// Tell about this before all others, and more closely, from now on.
    Follow(Interest),
    /// Make a plan.
    Plan {
        /// Numbers the question.
        ticket: u64,
        /// What for.
        operation: Box<Operation>,
    },
    /// Carry a plan out.
    Execute {
        /// Numbers the question.
        ticket: u64,
        /// What was said yes to.
        confirmed: Box<Confirmed>,
    },
}

/// What the operator looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// The device with the copies.
    pub store: PathBuf,
    /// The mapped device, if it is up.
    pub active: Option<String>,
    /// Whether the remap table is looked at, too.
    pub remaps: bool,
}

/// Changes the state as `event` demands, at `now` on the application's clock.
pub fn update(state: &mut State, now: Millis, event: Event) -> Vec<Effect> {
    state.now = now;
    let before = interest(state);
    let mut effects = match event {
        Event::Key(key) => on_key(state, key),
        Event::Pasted(text) => {
            text.chars().for_each(|character| type_in(state, character));
            Vec::new()
        }
        Event::Resized(size) => {
            state.size = size;
            Vec::new()
        }
        Event::Tick => Vec::new(),
        Event::Signal(signal) => vec![Effect::End(Ended::Signal(signal))],
        Event::TerminalGone => vec![Effect::End(Ended::TerminalGone)],
        Event::WorkerGone => vec![Effect::End(Ended::WorkerGone)],
        Event::Told(answer) => answer::take(state, answer),
    };
    let after = interest(state);
    if after != before {
        if after.store != before.store {
            forget_detail(state);
        }
        effects.push(Effect::Ask(Request::Follow(after)));
    }
    effects
}

/// What the operator looks at.
pub fn interest(state: &State) -> Interest {
    let Some(subject) = state.subject() else {
        return Interest::default();
    };
    Interest {
        store: subject.store.to_owned(),
        active: subject.active.map(|active| active.mapped.name.clone()),
        remaps: state.tab == Tab::Remaps,
    }
}

/// Another device is shown: its pages begin at their beginning.
fn forget_detail(state: &mut State) {
    state.remaps = None;
    state.remap_table = Table::default();
    state.remap_map = MapView::default();
    state.copy_byte = None;
    for tab in [Tab::Overview, Tab::Copies, Tab::Remaps, Tab::Events] {
        state.cursors[tab as usize] = 0;
    }
}

fn on_key(state: &mut State, key: Key) -> Vec<Effect> {
    let context = state.context();
    let Some(command) = state.options.keys.command(context, key) else {
        if let Key::Char(character) = key {
            type_in(state, character);
        }
        return Vec::new();
    };
    state.notice = None;
    match command {
        Command::Quit => vec![Effect::End(Ended::Quit)],
        Command::Suspend => vec![Effect::Suspend],
        Command::Refresh => vec![Effect::Redraw, Effect::Ask(Request::LookAgain)],
        Command::Help => {
            open_help(state, context);
            Vec::new()
        }
        _ => match context {
            Context::List | Context::Detail | Context::Inside => browse::on_command(state, command),
            Context::Filter => {
                browse::on_filter_command(state, command);
                Vec::new()
            }
            Context::Ask => {
                question::on_command(state, command);
                Vec::new()
            }
            Context::Help => {
                on_help_command(state, command);
                Vec::new()
            }
            Context::Corrupt => dialog::on_corrupt_command(state, command),
            Context::Choose | Context::Form => dialog::on_wizard_command(state, command),
            Context::ConfirmTyped | Context::ConfirmPlain | Context::Notice => {
                dialog::on_plan_command(state, command)
            }
        },
    }
}

/// Takes one character where text is typed. What cannot be seen is no text.
fn type_in(state: &mut State, character: char) {
    if !text::is_visible(character) {
        return;
    }
    match &mut state.mode {
        Mode::Filter => {
            state.filter.push(character);
            state.arrange();
        }
        Mode::Ask(_) => question::type_in(state, character),
        Mode::Wizard(wizard) => dialog::type_into_wizard(wizard, character),
        Mode::Plan(dialog) => dialog::type_into_plan(dialog, character),
        Mode::Browse | Mode::Help { .. } | Mode::Corrupt(_) => {}
    }
}

fn open_help(state: &mut State, of: Context) {
    let under = std::mem::replace(&mut state.mode, Mode::Browse);
    state.mode = Mode::Help {
        of,
        scroll: 0,
        under: Box::new(under),
    };
}

fn on_help_command(state: &mut State, command: Command) {
    let half = half_page(state);
    let Mode::Help { scroll, under, of } = &mut state.mode else {
        return;
    };
    let last = state.options.keys.bindings(*of).count();
    match command {
        Command::Cancel => {
            state.mode = std::mem::replace(under, Mode::Browse);
        }
        _ => *scroll = moved(*scroll, command, half, last),
    }
}

/// Where a pointer is after a command that moves it, with `rows` rows to be on.
fn moved(at: usize, command: Command, half_page: usize, rows: usize) -> usize {
    let last = rows.saturating_sub(1);
    let at = at.min(last);
    match command {
        Command::Up => at.saturating_sub(1),
        Command::Down => (at + 1).min(last),
        Command::HalfPageUp => at.saturating_sub(half_page),
        Command::HalfPageDown => (at + half_page).min(last),
        Command::First => 0,
        Command::Last => last,
        _ => at,
    }
}

/// Half of the lines that the pane with the keyboard shows.
fn half_page(state: &State) -> usize {
    use super::layout::Areas;
    use super::state::Focus;
    let areas = Areas::of(state.size, state.focus);
    let rows = areas.map_or(2, |areas| match state.focus {
        Focus::List => areas.list_rows(),
        Focus::Detail | Focus::Inside => areas.detail_rows(),
    });
    (rows / 2).max(1)
}

fn say(state: &mut State, health: Health, text: impl Into<String>) {
    state.notice = Some(Notice {
        health,
        text: text.into(),
    });
}
