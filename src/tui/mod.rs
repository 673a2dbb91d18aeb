//! The terminal application.
//!
//! Every input is one `event::Event` on one channel. A key becomes a command through
//! the key map, a command an action on the `state::State`. `update()` is pure: it
//! returns effects. Those for devices go to the worker, a thread that owns the host and
//! answers with events. `view` draws from the state and changes nothing.

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
mod update;
mod view;
mod wizard;
mod worker;

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::ops;
use crate::port::Host;
use crate::remap_core::units::Millis;

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

/// How long an action that is being carried out may take after the operator left. It is
/// safe to be cut off; it is better to be finished.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs the application on the terminal until the operator leaves it.
///
/// A signal ends the process as it would have without us, once the terminal is given
/// back and what is being carried out had its time.
///
/// # Errors
///
/// If there is no terminal, or it cannot be written to, or a part of the application
/// panicked.
pub fn run(host: Box<dyn Host>, context: ops::Context, options: Options) -> io::Result<()> {
    signals::block()?;
    let mut screen = Screen::take(options.mouse)?;
    let lab = host.lab_directory().map(lab_name);
    let mut state = State::new(options, lab, terminal::size());
    if let Some(lack) = state.options.lack.clone() {
        update::say(&mut state, theme::Health::Warning, lack);
    }
    let (events, received) = mpsc::channel();
    // The first frame is on the screen before anything slow begins.
    screen.draw(|frame| view::draw(frame, &state))?;
    signals::listen(events.clone())?;
    input::listen(events.clone())?;
    let worker = worker::start(host, context, events)?;
    let mut application = Application {
        screen,
        state,
        worker: &worker,
        started: Instant::now(),
        executing: 0,
    };
    let ended = application.serve(&received);
    let patience = match application.executing {
        0 => FAREWELL,
        _ => PATIENCE,
    };
    drop(application);
    worker.end(patience);
    match ended? {
        Ended::Quit => Ok(()),
        Ended::Signal(signal) => signals::die_of(signal),
        Ended::TerminalGone => signals::die_of(event::Signal::SIGHUP),
        Ended::WorkerGone => Err(io::Error::other(
            "a part of the application panicked; its report is above",
        )),
    }
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
    /// Plans that are being carried out.
    executing: usize,
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
            for event in std::iter::once(first).chain(more) {
                if let Some(ended) = self.take(event)? {
                    return Ok(ended);
                }
            }
            self.screen.draw(|frame| view::draw(frame, &self.state))?;
        }
    }

    fn take(&mut self, event: Event) -> io::Result<Option<Ended>> {
        match &event {
            Event::Resized(size) => self.screen.resize(*size)?,
            Event::Told(Answer::Executed { .. }) => {
                self.executing = self.executing.saturating_sub(1);
            }
            _ => {}
        }
        let passed = self.started.elapsed().as_millis();
        let now = Millis::new(u64::try_from(passed).unwrap_or(u64::MAX));
        for effect in update(&mut self.state, now, event) {
            match effect {
                Effect::Ask(request) => {
                    if let Request::Execute { .. } = request {
                        self.executing += 1;
                    }
                    self.worker.ask(request);
                }
                Effect::Redraw => self.screen.resize(self.state.size)?,
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
