//! The application on a pseudo-terminal, with somebody who presses keys and reads the
//! screen.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{openpty, Winsize};

/// Ends a wait for what never comes: many times what anything takes under emulation on a machine
/// that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(600);

const COLUMNS: u16 = 120;
const LINES: u16 = 40;

/// The key that goes on.
pub const ENTER: &str = "\r";

/// What the application writes before and after each frame.
const FRAME_BEGINS: &[u8] = b"\x1b[?2026h";
const FRAME_ENDS: &[u8] = b"\x1b[?2026l";

struct Reading {
    parser: vt100::Parser,
    /// A frame that is not there as a whole: as a terminal does, nothing of it is shown.
    held: Vec<u8>,
    /// Whether the application closed its side.
    closed: bool,
}

impl Reading {
    fn take(&mut self, bytes: &[u8]) {
        self.held.extend(bytes);
        let find = |bytes: &[u8], mark: &[u8]| {
            let mut windows = bytes.windows(mark.len());
            windows.rposition(|window| window == mark)
        };
        let begun = find(&self.held, FRAME_BEGINS);
        let begun = begun.filter(|at| find(&self.held[*at..], FRAME_ENDS).is_none());
        let rest = self.held.split_off(begun.unwrap_or(self.held.len()));
        self.parser.process(&self.held);
        self.held = rest;
    }
}

type Screen = Arc<(Mutex<Reading>, Condvar)>;

/// A terminal with the application in it.
pub struct Terminal {
    master: File,
    child: Child,
    screen: Screen,
}

impl Terminal {
    /// Starts the application, which `command` is.
    pub fn start(mut command: Command) -> Self {
        let size = Winsize {
            ws_row: LINES,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&size, None).expect("a pseudo-terminal opens");
        let slave = || Stdio::from(pair.slave.try_clone().expect("its descriptor is cloned"));
        let child = command
            .env("TERM", "xterm-256color")
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .expect("the application starts");
        // Ours would keep the terminal open after the application has ended.
        drop(pair.slave);
        let (rows, columns) = (some(LINES), some(COLUMNS));
        let reading = Reading {
            parser: vt100::Parser::new(rows, columns, 0),
            held: Vec::new(),
            closed: false,
        };
        let screen: Screen = Arc::new((Mutex::new(reading), Condvar::new()));
        let master = File::from(pair.master);
        let output = master.try_clone().expect("its descriptor is cloned");
        let shown = Arc::clone(&screen);
        thread::spawn(move || read_all(output, &shown));
        Self {
            master,
            child,
            screen,
        }
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        lock(&self.screen)
    }

    /// The screen as lines of text.
    pub fn text(&self) -> String {
        self.reading().parser.screen().contents()
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.master
            .write_all(keys.as_bytes())
            .expect("the terminal takes keys");
    }

    /// Waits until `wanted` is true of the screen.
    #[track_caller]
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        let mut reading = self.reading();
        loop {
            let text = reading.parser.screen().contents();
            if wanted(&text) {
                return;
            }
            let rest = end.saturating_duration_since(Instant::now());
            assert!(!reading.closed, "it ended before {what}:\n{text}");
            assert!(!rest.is_zero(), "{what} did not come:\n{text}");
            let waited = self.screen.1.wait_timeout(reading, rest);
            reading = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until a text is on the screen.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        self.wait_until(text, |screen| screen.contains(text));
    }

    /// Presses keys and waits for what follows.
    #[track_caller]
    pub fn press_for(&mut self, keys: &str, text: &str) {
        self.press(keys);
        self.wait_for(text);
    }

    /// Moves down a list until its pointer stands at the row of `name`.
    #[track_caller]
    pub fn point_at(&mut self, name: &str) {
        const MOST: usize = 40;
        for _ in 0..MOST {
            let before = pointed(&self.text());
            if before.as_deref() == Some(name) {
                return;
            }
            self.press("j");
            // Other things on the screen change by themselves: the next key waits until the
            // pointer has answered this one.
            self.wait_until("another row", |screen| pointed(screen) != before);
        }
        panic!("{name} is not in the list:\n{}", self.text());
    }

    /// Leaves the application, which must end well and give the terminal back.
    #[track_caller]
    pub fn leave(mut self) {
        self.press("q");
        let status = self.child.wait().expect("it can be waited for");
        assert!(status.success(), "{status}:\n{}", self.text());
        let reading = self.reading();
        let screen = reading.parser.screen();
        assert!(!screen.alternate_screen(), "still on the alternate screen");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already unless its test fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The name on the row at which the pointer stands. A window lies over the list, whose pointer
/// is left of its own; the name follows the pointer and what draws the tree.
fn pointed(screen: &str) -> Option<String> {
    let rows = screen.lines().filter_map(|line| line.rsplit_once('▸'));
    let (_, row) = rows.max_by_key(|(before, _)| before.chars().count())?;
    let mut words = row.split_whitespace();
    let name = words.find(|word| word.contains(char::is_alphanumeric))?;
    Some(name.to_owned())
}

fn some(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("a terminal has lines and columns")
}

/// What is on the screen, also after a check of it has failed.
fn lock(screen: &Screen) -> MutexGuard<'_, Reading> {
    screen.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_all(mut output: File, screen: &Screen) {
    let mut bytes = [0; 4096];
    loop {
        let count = output.read(&mut bytes).unwrap_or(0);
        let mut reading = lock(screen);
        reading.take(&bytes[..count]);
        reading.closed = count == 0;
        screen.1.notify_all();
        if count == 0 {
            return;
        }
    }
}
