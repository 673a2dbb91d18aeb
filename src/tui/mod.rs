//! The terminal application.
//!
//! Every input is one `event::Event` on one channel. A key becomes a command through
//! the key map, a command an action on the `state::State`. `update()` is pure: it
//! returns effects. Those for devices go to the worker's threads, which answer with
//! events: one looks, one makes plans, one carries them out. `view` draws from the state
//! and changes nothing.

mod actions;
mod bindings;
mod bytes;
mod candidates;
mod changes;
mod corruption;
mod dialog;
mod event;
mod explain;
mod export;
#[cfg(test)]
mod fake;
mod frozen;
mod guide;
mod headless;
mod headline;
mod help;
mod history;
mod input;
mod key;
mod keymap;
mod layout;
mod listing;
mod options;
mod pages;
mod prompt;
mod pulse;
mod question;
mod recorder;
mod remaps;
mod rows;
#[cfg(test)]
pub(crate) mod sample;
mod session;
mod settings;
mod show;
mod signals;
mod sort;
mod state;
mod subject;
mod svg;
mod terminal;
mod theme;
mod underway;
mod update;
mod view;
mod wizard;
mod worker;

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::ops;
use crate::port::Host;
use crate::remap_core::units::Millis;
use crate::signals::{Caught, Signals, Underway};

use event::{Answer, Event};
pub use headless::Headless;
pub use keymap::{usual_keys, KeyMap};
pub use options::{Options, PaletteText, Palettes, Wanted};
pub use sort::{parse_sort, Sort, SortBy};
use state::State;
pub use svg::{film, Shot};
use terminal::Screen;
pub use theme::{Palette, Theme};
use update::{update, Effect, Ended, Request};

/// How many events are taken in before the screen is drawn: a burst is one frame, and
/// still the screen moves while it lasts.
const BURST: usize = 256;

/// How long the worker may take to keep what it counted: it has nothing else to do, unless
/// it waits for a disk.
const FAREWELL: Duration = Duration::from_millis(250);

/// Runs the application on the terminal until the operator leaves it.
///
/// A signal ends the process as it would have without us, once the terminal is given
/// back and what is under way came to its next safe point.
///
/// # Errors
///
/// If there is no terminal, or it cannot be written to, or a part of the application
/// panicked; or work failed whose end the operator did not wait for.
pub fn run(host: Box<dyn Host>, context: ops::Context, options: Options) -> Result<(), Error> {
    let parting = run_on_terminal(host, context, options)
        .map_err(|error| Error::failed("terminal", format!("the terminal: {error}")))?;
    for outcome in parting {
        say(&outcome?.summary);
    }
    Ok(())
}

/// What came of work after the operator chose to leave.
type Parting = Vec<Result<ops::Outcome, Error>>;

fn run_on_terminal(
    host: Box<dyn Host>,
    context: ops::Context,
    options: Options,
) -> io::Result<Parting> {
    let signals = Signals::block()?;
    let underway = Underway::default();
    let mut screen = Screen::take(options.mouse)?;
    let lab = host.lab_directory().map(lab_name);
    let policy = options.policy.clone();
    let mut state = State::new(options, lab, terminal::size());
    if let Some(lack) = state.options.lack.clone() {
        update::say(&mut state, theme::Health::Warning, lack);
    }
    let (events, received) = mpsc::channel();
    // The first frame is on the screen before anything slow begins.
    screen.draw(|frame| view::draw(frame, &state))?;
    signals::listen(signals, events.clone(), underway.clone())?;
    input::listen(events.clone())?;
    let worker = worker::start((host, context), policy, events, underway.clone())?;
    let mut application = Application {
        screen,
        state,
        worker: &worker,
        started: Instant::now(),
    };
    let ended = application.serve(&received);
    let parting = std::mem::take(&mut application.state.underway.parting);
    drop(application);
    let signal = match &ended {
        Ok(Ended::Signal(signal)) => Some(*signal),
        Ok(Ended::TerminalGone) | Err(_) => Some(Caught::HANG_UP),
        _ => None,
    };
    if let Some(signal) = signal.filter(|signal| underway.end(*signal)) {
        say(&format!(
            "{signal}: what is under way ends at its next safe point; SIGQUIT cuts it off"
        ));
    }
    underway.wait_until_idle();
    worker.end(FAREWELL);
    received.try_iter().for_each(|event| say_outcome(&event));
    match ended? {
        Ended::Quit => Ok(parting),
        Ended::Signal(signal) => signal.die(),
        Ended::TerminalGone => Caught::HANG_UP.die(),
        Ended::WorkerGone => Err(io::Error::other(
            "a part of the application panicked; its report is above",
        )),
    }
}

/// Tells what came of work that nobody saw the end of.
fn say_outcome(event: &Event) {
    if let Event::Told(Answer::Executed { outcome, .. }) = event {
        match outcome {
            Ok(outcome) => say(&outcome.summary),
            Err(error) => say(format!("{} {}", error.message, error.advice).trim_end()),
        }
    }
}

/// Says something where the screen was. Where nobody reads it the status tells.
fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(io::stderr(), "dmremap-tui: {text}");
}

/// What a lab is called on the screen: its directory, below the home directory where it
/// is there.
fn lab_name(directory: &std::path::Path) -> String {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let below_home = home.and_then(|home| directory.strip_prefix(home).ok().map(ToOwned::to_owned));
    match below_home {
        Some(rest) => format!("~/{}", crate::text::escape_path(&rest)),
        None => crate::text::escape_path(directory).into_owned(),
    }
}

/// The thread that has the terminal.
struct Application<'a> {
    screen: Screen,
    state: State,
    worker: &'a worker::Handle,
    started: Instant,
}

impl Application<'_> {
    fn serve(&mut self, events: &Receiver<Event>) -> io::Result<Ended> {
        loop {
            let first = match pulse::next_change(&self.state) {
                None => events.recv().unwrap_or(Event::WorkerGone),
                Some(wait) => match events.recv_timeout(wait) {
                    Ok(event) => event,
                    Err(RecvTimeoutError::Timeout) => Event::Tick,
                    Err(RecvTimeoutError::Disconnected) => Event::WorkerGone,
                },
            };
            let more = events.try_iter().take(BURST);
            let mut shows = false;
            for event in std::iter::once(first).chain(more) {
                // That somebody looks is shown only where it takes too long.
                let is_silent = matches!(event, Event::Told(Answer::Looking(_)));
                shows |= !is_silent || self.state.underway.seconds_late().is_some();
                if let Some(ended) = self.take(event)? {
                    return Ok(ended);
                }
            }
            if shows {
                self.screen.draw(|frame| view::draw(frame, &self.state))?;
            }
        }
    }

    fn take(&mut self, event: Event) -> io::Result<Option<Ended>> {
        if let Event::Resized(size) = &event {
            self.screen.resize(*size)?;
        }
        let passed = self.started.elapsed().as_millis();
        let now = Millis::new(u64::try_from(passed).unwrap_or(u64::MAX));
        for effect in update(&mut self.state, now, event) {
            match effect {
                Effect::Ask(request) => self.worker.ask(request),
                Effect::Redraw => self.screen.resize(self.state.screen)?,
                Effect::Suspend => self.screen.suspend()?,
                Effect::TakeAgain => self.screen.take_again()?,
                Effect::Mouse(mouse) => self.screen.set_mouse(mouse)?,
                Effect::Copy(text) => self.screen.copy(&text)?,
                Effect::Export { path, form } => {
                    let text = export::render(&self.state, form);
                    self.worker.ask(Request::Save { path, text });
                }
                Effect::End(ended) => return Ok(Some(ended)),
            }
        }
        Ok(None)
    }
}
