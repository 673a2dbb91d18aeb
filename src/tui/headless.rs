//! The whole application without a terminal: the same state, worker and drawing, for
//! pictures of it.

use std::io;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Size;
use ratatui::Terminal;

use super::event::Event;
use super::key::Key;
use super::options::Options;
use super::state::State;
use super::svg::{self, Shot};
use super::update::{update, Effect};
use super::{view, worker};
use crate::ops;
use crate::port::Host;
use crate::remap_core::units::Millis;
use crate::signals::Underway;

/// How long the worker may take to end: nothing is behind it that could hang.
const FAREWELL: Duration = Duration::from_secs(10);

/// The application on a screen that nobody sees. Its own clock stands still, so that
/// the same host always gives the same picture.
pub struct Headless {
    state: State,
    worker: worker::Handle,
    events: Receiver<Event>,
}

impl Headless {
    /// Starts the application on a screen of so many columns and lines. `lab` is what
    /// the screen calls the lab.
    ///
    /// # Errors
    ///
    /// If there can be no further thread.
    pub fn start(
        host: Box<dyn Host>,
        context: ops::Context,
        options: Options,
        lab: Option<String>,
        (columns, lines): (u16, u16),
    ) -> io::Result<Self> {
        let (sender, events) = mpsc::channel();
        let policy = options.policy.clone();
        Ok(Self {
            state: State::new(options, lab, Size::new(columns, lines)),
            worker: worker::start((host, context), policy, sender, Underway::default())?,
            events,
        })
    }

    /// Presses keys, named as the help names them: `"x 1 4 enter"`.
    ///
    /// # Errors
    ///
    /// The word that is no key.
    pub fn press(&mut self, keys: &str) -> Result<(), String> {
        for word in keys.split_ascii_whitespace() {
            let key: Key = word.parse().map_err(|_| word.to_owned())?;
            self.happen(Event::Key(key));
        }
        Ok(())
    }

    /// Waits until `text` is on the screen.
    ///
    /// # Errors
    ///
    /// The screen, if the text is not there after `patience`.
    pub fn wait_for(&mut self, text: &str, patience: Duration) -> Result<(), String> {
        let end = Instant::now() + patience;
        while !self.text().contains(text) {
            let rest = end.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(rest) {
                Ok(event) => self.happen(event),
                Err(_) => return Err(self.text()),
            }
        }
        Ok(())
    }

    /// The screen as lines of text.
    pub fn text(&self) -> String {
        let buffer = self.draw();
        let mut text = String::new();
        for line in buffer.content().chunks(usize::from(buffer.area.width)) {
            text.extend(line.iter().map(|cell| cell.symbol()));
            text.push('\n');
        }
        text
    }

    /// The screen as an SVG document with this title.
    pub fn svg(&self, title: &str) -> String {
        svg::render(&self.draw(), title)
    }

    /// The screen as a part of a film that is shown for so long, with a caption.
    pub fn shot(&self, caption: &str, shown: Duration) -> Shot {
        Shot {
            screen: self.draw(),
            caption: caption.to_owned(),
            shown,
        }
    }

    /// Ends the application; what the worker has to keep is kept then.
    pub fn end(self) {
        self.worker.end(FAREWELL);
    }

    fn happen(&mut self, event: Event) {
        for effect in update(&mut self.state, Millis::new(0), event) {
            if let Effect::Ask(request) = effect {
                self.worker.ask(request);
            }
        }
    }

    fn draw(&self) -> Buffer {
        picture(&self.state)
    }
}

/// The screen as it is drawn for this state.
pub(super) fn picture(state: &State) -> Buffer {
    let size = state.screen;
    let mut terminal = match Terminal::new(TestBackend::new(size.width, size.height)) {
        Ok(terminal) => terminal,
        Err(never) => match never {},
    };
    match terminal.draw(|frame| view::draw(frame, state)) {
        Ok(drawn) => drawn.buffer.clone(),
        Err(never) => match never {},
    }
}

/// A screen as lines of text, without the blanks at their ends.
pub(super) fn lines_of(buffer: &Buffer) -> String {
    let mut text = String::new();
    for line in buffer
        .content()
        .chunks(usize::from(buffer.area.width.max(1)))
    {
        let line: String = line.iter().map(|cell| cell.symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
