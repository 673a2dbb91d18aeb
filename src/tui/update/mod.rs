//! What an event changes: state and event in, effects out. No input, no output, no clock.

mod answer;
mod browse;
mod dialog;
mod inside;
mod mouse;
mod prompt;
mod question;
mod scenario;
#[cfg(test)]
mod session_tests;
mod settings;
#[cfg(test)]
mod tests;
mod underway;
mod windows;

use std::path::PathBuf;

use super::actions;
use super::dialog::{Dialog, Stage};
use super::event::{Answer, Event};
use super::export::Form;
use super::guide;
use super::help::Help;
use super::key::Key;
use super::keymap::{Command, Context};
use super::layout::Areas;
use super::remaps::{MapView, Table};
use super::state::{Mode, Notice, State, Tab};
use super::theme::Health;
use super::underway::Task;
use super::wizard::Wizard;
use crate::config::Values;
use crate::ops::{Confirmed, Operation};
use crate::remap_core::units::Millis;
use crate::signals::Caught;
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
    /// Take the terminal over once more: somebody else may have used it meanwhile.
    TakeAgain,
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Put this on the clipboard.
    Copy(String),
    /// Keep what is on the screen in a new file.
    Export {
        /// Where.
        path: PathBuf,
        /// In which form.
        form: Form,
    },
    /// End the application.
    End(Ended),
}

/// Why the application ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The operator said so.
    Quit,
    /// A signal said so.
    Signal(Caught),
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
    /// End the answer to this question early: the plan is not waited for any more, or what
    /// is carried out is to end at its next safe point.
    Stop(u64),
    /// Write settings into their file.
    KeepSettings {
        /// Where.
        path: PathBuf,
        /// What it is to say.
        values: Values,
    },
    /// Write a new file.
    Save {
        /// Where.
        path: PathBuf,
        /// What.
        text: String,
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
    if state.frozen.is_none() {
        state.now = now;
    }
    state.underway.now = now;
    let before = interest(state);
    let mut effects = match event {
        Event::Key(key) => on_key(state, key),
        Event::Pasted(text) => {
            paste(state, &text);
            Vec::new()
        }
        Event::Resized(size) => {
            state.screen = size;
            Vec::new()
        }
        Event::Tick => Vec::new(),
        Event::Signal(signal) => vec![Effect::End(Ended::Signal(signal))],
        Event::TerminalGone => vec![Effect::End(Ended::TerminalGone)],
        Event::WorkerGone => vec![Effect::End(Ended::WorkerGone)],
        Event::Told(answer) => take_answer(state, now, answer),
        Event::Mouse(mouse) => mouse::on_mouse(state, mouse),
        Event::AskedToStop => stop(state),
        Event::Continued if std::mem::take(&mut state.stopped) => Vec::new(),
        Event::Continued => vec![Effect::TakeAgain],
    };
    if let Some(title) = guide::advance(state) {
        say(state, Health::Good, format!("Done: {title}."));
    }
    // What was done is to be seen, and so is the screen on which it was asked for.
    if state.frozen.is_some() && matches!(state.mode, Mode::Plan(_)) {
        effects.extend(windows::thaw(state, now));
    }
    start_tasks(state, &effects);
    super::underway::fit(state);
    let after = interest(state);
    if after != before {
        if after.store != before.store {
            forget_detail(state);
        }
        effects.push(Effect::Ask(Request::Follow(after)));
    }
    effects
}

fn stop(state: &mut State) -> Vec<Effect> {
    state.stopped = true;
    vec![Effect::Suspend]
}

/// Keeps in sight whatever is carried out from now on.
fn start_tasks(state: &mut State, effects: &[Effect]) {
    let now = state.underway.now;
    for effect in effects {
        if let Effect::Ask(Request::Execute { ticket, confirmed }) = effect {
            let task = Task::new(confirmed.plan(), *ticket, now);
            state.underway.tasks.push(task);
        }
    }
}

/// Takes in what the worker tells.
fn take_answer(state: &mut State, now: Millis, answer: Answer) -> Vec<Effect> {
    state.underway.hear(&answer);
    let is_outcome = matches!(answer, Answer::Executed { .. });
    let mut effects = match is_outcome {
        true => underway::settle(state),
        false => Vec::new(),
    };
    effects.splice(0..0, told(state, now, answer));
    effects
}

/// Takes in what the worker tells, or keeps it while the screen stands still.
fn told(state: &mut State, now: Millis, answer: Answer) -> Vec<Effect> {
    let answer = match &mut state.frozen {
        None => Some(answer),
        Some(held) => held.hold(now, answer),
    };
    answer.map_or_else(Vec::new, |answer| answer::take(state, answer))
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
    obey(state, context, command)
}

/// Does what `command` asks for where the keyboard is for `context`.
fn obey(state: &mut State, context: Context, command: Command) -> Vec<Effect> {
    state.notice = None;
    if Areas::of(state.size, state.focus).is_none() && !works_unseen(command) {
        return Vec::new();
    }
    match command {
        Command::Quit => underway::leave(state),
        Command::Suspend => stop(state),
        Command::Underway => {
            match actions::available(state, command) {
                Ok(()) => underway::open(state),
                Err(why) => say(state, Health::Neutral, why),
            }
            Vec::new()
        }
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
            Context::Prompt => prompt::on_command(state, command),
            Context::Actions => windows::on_actions_command(state, command),
            Context::Settings => settings::on_command(state, command),
            Context::Scenarios => scenario::on_command(state, command),
            Context::Underway => underway::on_command(state, command),
        },
    }
}

/// Whether a command may be given where the screen is too small to show what it is about:
/// only what moves, leaves or looks. What cannot be seen must not be confirmed.
const fn works_unseen(command: Command) -> bool {
    matches!(
        command,
        Command::Quit
            | Command::Suspend
            | Command::Refresh
            | Command::Back
            | Command::Cancel
            | Command::Up
            | Command::Down
            | Command::HalfPageUp
            | Command::HalfPageDown
            | Command::First
            | Command::Last
            | Command::Underway
            | Command::LeaveWhenDone
            | Command::EndWork
            | Command::EndAndLeave
    )
}

/// The longest text that can be typed, in bytes: no path is longer, nor any command. A paste
/// by mistake is not searched for, and does not fill the memory.
const LONGEST_TEXT: usize = 4096;

/// Takes a text at once; what follows from it follows once.
fn paste(state: &mut State, text: &str) {
    let visible = text.chars().filter(|letter| text::is_visible(*letter));
    let mut letters: Vec<char> = visible.take(LONGEST_TEXT).collect();
    let last = letters.pop();
    let searched = match &mut state.mode {
        Mode::Filter => Some(&mut state.filter),
        Mode::Ask(question) => Some(&mut question.typed),
        _ => None,
    };
    match searched {
        Some(searched) => {
            let room = LONGEST_TEXT.saturating_sub(searched.len() + char::MAX.len_utf8());
            searched.extend(letters.into_iter().scan(room, |room, letter| {
                *room = room.checked_sub(letter.len_utf8())?;
                Some(letter)
            }));
        }
        None => letters
            .into_iter()
            .for_each(|letter| type_in(state, letter)),
    }
    last.into_iter().for_each(|letter| type_in(state, letter));
}

/// The length of what is being typed, in bytes.
fn typed_length(state: &State) -> usize {
    match &state.mode {
        Mode::Filter => state.filter.len(),
        Mode::Ask(question) => question.typed.len(),
        Mode::Wizard(Wizard::Form(form)) => form.typed_length(),
        Mode::Plan(Dialog {
            stage: Stage::Prompting(prompt),
            ..
        }) => prompt.typed.len(),
        Mode::Prompt(prompt) => prompt.text.len(),
        _ => 0,
    }
}

/// Takes one character where text is typed. What cannot be seen is no text.
fn type_in(state: &mut State, character: char) {
    let too_long = typed_length(state) + character.len_utf8() > LONGEST_TEXT;
    if too_long || !text::is_visible(character) {
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
        Mode::Prompt(prompt) => {
            prompt.text.push(character);
            prompt.turning = None;
            prompt.complaint = None;
        }
        Mode::Browse
        | Mode::Help { .. }
        | Mode::Corrupt(_)
        | Mode::Actions(_)
        | Mode::Settings(_)
        | Mode::Underway { .. }
        | Mode::Scenarios(..) => {}
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
    let Mode::Help { of, .. } = state.mode else {
        return;
    };
    let help = Help::of(state, of);
    let Mode::Help { scroll, under, .. } = &mut state.mode else {
        return;
    };
    match command {
        Command::Cancel => {
            state.mode = std::mem::replace(under, Mode::Browse);
        }
        _ => *scroll = moved(*scroll, command, help.room / 2, help.last_scroll() + 1),
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
    use super::state::Focus;
    let areas = Areas::of(state.size, state.focus);
    let rows = areas.map_or(2, |areas| match state.focus {
        Focus::List => areas.list_rows(),
        Focus::Detail | Focus::Inside => areas.detail_rows(),
    });
    (rows / 2).max(1)
}

pub(super) fn say(state: &mut State, health: Health, text: impl Into<String>) {
    state.notice = Some(Notice {
        health,
        text: text.into(),
    });
}
