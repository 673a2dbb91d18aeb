//! A program on a pseudo-terminal: when it was started, when it wrote what.

use std::io::{Read as _, Write};
use std::num::NonZero;
use std::sync::mpsc::{channel, Receiver};
use std::time::{Duration, Instant};

use portable_pty::{native_pty_system, Child, CommandBuilder, MasterPty, PtySize};

const SIZE: PtySize = PtySize {
    rows: 40,
    cols: 120,
    pixel_width: 0,
    pixel_height: 0,
};

/// A pause that is longer than those within a frame: the frame before it is whole.
const WITHIN_A_FRAME: Duration = Duration::from_millis(3);

/// Nothing follows after so long a silence.
const SETTLED: Duration = Duration::from_millis(30);

/// A running program. Dropping it ends it.
pub(crate) struct Running {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    /// What the program wrote, and when that was read.
    output: Receiver<(Instant, Vec<u8>)>,
    screen: vt100::Parser,
    pub(crate) first_frame: Duration,
    _master: Box<dyn MasterPty + Send>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long a key took to be seen.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// To the last byte of the first frame after it; `None` where nothing changed.
    pub(crate) frame: Option<Duration>,
    /// To the last byte before nothing followed any more.
    pub(crate) settled: Option<Duration>,
}

impl Running {
    /// Starts a program and waits until its first frame is on the screen.
    pub(crate) fn start(mut command: CommandBuilder) -> Self {
        let pty = native_pty_system()
            .openpty(SIZE)
            .expect("a pseudo-terminal can be had");
        command.env("TERM", "xterm-256color");
        let mut reader = pty
            .master
            .try_clone_reader()
            .expect("the terminal can be read");
        let keys = pty.master.take_writer().expect("keys can be pressed");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                let chunk = (Instant::now(), buffer[..length].to_vec());
                if sender.send(chunk).is_err() {
                    break;
                }
            }
        });
        let begun = Instant::now();
        let child = pty
            .slave
            .spawn_command(command)
            .expect("the program starts");
        drop(pty.slave);
        let [rows, columns] = [SIZE.rows, SIZE.cols]
            .map(|length| NonZero::new(length).expect("a screen has lines and columns"));
        let mut running = Self {
            child,
            keys,
            output,
            screen: vt100::Parser::new(rows, columns, 0),
            first_frame: Duration::ZERO,
            _master: pty.master,
        };
        while !running.has_whole_frame() {
            let (at, bytes) = running
                .output
                .recv_timeout(Duration::from_secs(10))
                .expect("a first frame within 10 s");
            running.screen.process(&bytes);
            running.first_frame = at - begun;
        }
        running
    }

    /// A frame reaches from the first to the last line of the screen.
    fn has_whole_frame(&self) -> bool {
        let mut lines = self.screen.screen().rows(0, SIZE.cols);
        let first = lines.next().unwrap_or_default();
        let last = lines.last().unwrap_or_default();
        !first.trim().is_empty() && !last.trim().is_empty()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().expect("the program runs")
    }

    /// Presses a key and waits for everything that follows.
    pub(crate) fn press(&mut self, key: &str) -> Seen {
        while let Ok((_, bytes)) = self.output.try_recv() {
            self.screen.process(&bytes);
        }
        let pressed = Instant::now();
        self.keys
            .write_all(key.as_bytes())
            .and_then(|()| self.keys.flush())
            .expect("a key can be pressed");
        let mut seen = Seen {
            frame: None,
            settled: None,
        };
        let mut whole = false;
        while let Ok((at, bytes)) = self.output.recv_timeout(SETTLED) {
            self.screen.process(&bytes);
            let after = at - pressed;
            whole |= seen
                .settled
                .is_some_and(|last| after - last > WITHIN_A_FRAME);
            if !whole {
                seen.frame = Some(after);
            }
            seen.settled = Some(after);
        }
        seen
    }

    /// Waits until `text` is on the screen.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.screen.screen().contents().contains(text) {
            let rest = end.saturating_duration_since(Instant::now());
            let Ok((_, bytes)) = self.output.recv_timeout(rest) else {
                panic!("{text} did not come:\n{}", self.screen.screen().contents());
            };
            self.screen.process(&bytes);
        }
    }
}
