//! The real program on a real pseudo-terminal, with somebody who reads the screen and
//! presses keys.

use std::collections::BTreeMap;
use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use dmremap::inspect::{inspect, Inspection};
use dmremap::port::{Access, Platform as _};
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::units::Slot;
use dmremap::sys::ThisMachine;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use portable_pty::{native_pty_system, Child, CommandBuilder, ExitStatus, MasterPty, PtySize};

/// Far longer than anything takes on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(300);

pub const ENTER: &str = "\r";
pub const ESC: &str = "\x1b";

type Screen = Arc<(Mutex<Reading>, Condvar)>;

/// What the program writes before and after each frame.
const FRAME_BEGINS: &[u8] = b"\x1b[?2026h";
const FRAME_ENDS: &[u8] = b"\x1b[?2026l";

struct Reading {
    parser: vt100::Parser,
    /// Every byte that the program wrote.
    written: Vec<u8>,
    /// How many of them are shown: nothing of a frame before it is there as a whole.
    shown: usize,
    /// Whether the program closed its side.
    closed: bool,
}

impl Reading {
    fn take(&mut self, bytes: &[u8]) {
        self.written.extend(bytes);
        let new = &self.written[self.shown..];
        let find = |bytes: &[u8], mark: &[u8]| {
            let mut windows = bytes.windows(mark.len());
            windows.rposition(|window| window == mark)
        };
        let begun = find(new, FRAME_BEGINS);
        let begun = begun.filter(|at| find(&new[*at..], FRAME_ENDS).is_none());
        let whole = begun.unwrap_or(new.len());
        self.parser.process(&new[..whole]);
        self.shown += whole;
    }
}

/// A terminal with the program in it.
pub struct Seat {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    screen: Screen,
}

impl Seat {
    /// Runs `program` on a terminal of so many columns and lines.
    pub fn run(program: &Path, arguments: &[&str], columns: u16, lines: u16) -> Self {
        Self::run_with(program, arguments, columns, lines, &BTreeMap::new())
    }

    /// The same with more in its environment.
    pub fn run_with(
        program: &Path,
        arguments: &[&str],
        columns: u16,
        lines: u16,
        environment: &BTreeMap<&str, &str>,
    ) -> Self {
        let pair = native_pty_system().openpty(size(columns, lines)).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.env_remove("NO_COLOR");
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        // Ours would keep the terminal open after the program has ended.
        drop(pair.slave);
        let reading = Reading {
            parser: vt100::Parser::new(some(lines), some(columns), 0),
            written: Vec::new(),
            shown: 0,
            closed: false,
        };
        let screen: Screen = Arc::new((Mutex::new(reading), Condvar::new()));
        let mut output = pair.master.try_clone_reader().unwrap();
        let shown = Arc::clone(&screen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                let count = output.read(&mut bytes).unwrap_or(0);
                let mut reading = shown.0.lock().unwrap();
                reading.take(&bytes[..count]);
                reading.closed = count == 0;
                shown.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Self {
            keys: pair.master.take_writer().unwrap(),
            master: pair.master,
            child,
            screen,
        }
    }

    /// Opens a lab; the list of devices is on the screen then, and the first scrub of the
    /// device that is up is over, so that it finds nothing that a journey does.
    pub fn open_lab(lab: &Path, columns: u16, lines: u16) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_dmremap-tui"));
        let seat = Self::run(program, &["lab", lab.to_str().unwrap()], columns, lines);
        seat.wait_for("disk-");
        seat.wait_for("attic: scrub: all intact");
        seat
    }

    /// The screen as lines of text.
    pub fn text(&self) -> String {
        self.screen.0.lock().unwrap().parser.screen().contents()
    }

    /// Whether the program wrote these bytes.
    pub fn wrote(&self, bytes: &[u8]) -> bool {
        let reading = self.screen.0.lock().unwrap();
        let mut windows = reading.written.windows(bytes.len());
        windows.any(|window| window == bytes)
    }

    /// How many bytes the program wrote outside of frames, and in them.
    pub fn wrote_outside_and_inside(&self) -> (usize, usize) {
        let find = |bytes: &[u8], mark: &[u8]| {
            let mut windows = bytes.windows(mark.len());
            windows.position(|window| window == mark)
        };
        let reading = self.screen.0.lock().unwrap();
        let (mut outside, mut inside) = (0, 0);
        let mut rest = &reading.written[..];
        // However many frames there are, their marks are theirs.
        while let Some(frame) = find(rest, FRAME_BEGINS) {
            let end = find(&rest[frame..], FRAME_ENDS);
            let end = end.map_or(rest.len(), |end| frame + end + FRAME_ENDS.len());
            (outside, inside) = (outside + frame, inside + end - frame);
            rest = &rest[end..];
        }
        (outside + rest.len(), inside)
    }

    /// The column and the line at which `text` is on the screen, from 1 on, as a mouse
    /// tells places.
    #[track_caller]
    pub fn place_of(&self, text: &str) -> (usize, usize) {
        let screen = self.text();
        let found = screen.lines().zip(1..).find_map(|(line, row)| {
            let at = line.find(text)?;
            Some((line[..at].chars().count() + 1, row))
        });
        found.unwrap_or_else(|| panic!("{text} is not on the screen:\n{screen}"))
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until `wanted` is true of the screen.
    #[track_caller]
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let end = Instant::now() + PATIENCE;
        let mut reading = self.screen.0.lock().unwrap();
        while !wanted(reading.parser.screen()) {
            let rest = end.saturating_duration_since(Instant::now());
            let text = reading.parser.screen().contents();
            assert!(!reading.closed, "the program ended before {what}:\n{text}");
            assert!(!rest.is_zero(), "{what} did not come:\n{text}");
            reading = self.screen.1.wait_timeout(reading, rest).unwrap().0;
        }
    }

    /// Waits until `text` is on the screen.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        self.wait_until(text, |screen| screen.contents().contains(text));
    }

    /// Waits until `text` is no longer on the screen.
    #[track_caller]
    pub fn wait_without(&self, text: &str) {
        let what = format!("the end of {text}");
        self.wait_until(&what, |screen| !screen.contents().contains(text));
    }

    /// Presses keys and waits for what follows.
    #[track_caller]
    pub fn press_for(&mut self, keys: &str, text: &str) {
        self.press(keys);
        self.wait_for(text);
    }

    /// Narrows the list to `name` and chooses the row of that name.
    #[track_caller]
    pub fn choose(&mut self, name: &str) {
        self.press_for(&format!("/{name}"), &format!("/{name}▏"));
        self.press(ENTER);
        self.wait_without(&format!("/{name}▏"));
        // The name comes first in a row; others of the row may be of it. Rows come and go, and
        // with them the line of the chosen one.
        let chosen = |screen: &vt100::Screen| {
            let text = screen.contents();
            let behind = text.lines().find_map(|line| Some(line.split_once('▸')?.1));
            let mut words = behind?.split_whitespace().filter(|word| *word != "└");
            words.next().map(str::to_owned)
        };
        for _ in 0..10 {
            let before = chosen(self.screen.0.lock().unwrap().parser.screen());
            if before.as_deref() == Some(name) {
                return;
            }
            self.press("j");
            self.wait_until("another row", |screen| chosen(screen) != before);
        }
        panic!("{name} is not in the list:\n{}", self.text());
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, columns: u16, lines: u16) {
        let mut reading = self.screen.0.lock().unwrap();
        reading
            .parser
            .screen_mut()
            .set_size(some(lines), some(columns));
        drop(reading);
        self.master.resize(size(columns, lines)).unwrap();
    }

    /// Does something while nobody reads what the program writes: not even the end of it may
    /// be waited for on the screen then.
    pub fn while_unread<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let screen = Arc::clone(&self.screen);
        let _unread = screen.0.lock().unwrap();
        act(self)
    }

    /// Gives the terminal another size without minding what is drawn there.
    pub fn resize_unread(&mut self, columns: u16, lines: u16) {
        self.master.resize(size(columns, lines)).unwrap();
    }

    /// The status of the program, if it has ended.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Waits until the process is in this state, as `/proc` tells it.
    #[track_caller]
    pub fn wait_for_state(&self, state: char) {
        let end = Instant::now() + PATIENCE;
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
            let (_, after_name) = stat.rsplit_once(") ").unwrap();
            if after_name.starts_with(state) {
                return;
            }
            assert!(Instant::now() < end, "not {state}: {after_name}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Presses keys and waits until they were taken in, where no screen tells of that: who reads
    /// them has run, and nothing is left to do. They are not at the program's end of the line as soon
    /// as they are written at ours.
    #[track_caller]
    pub fn press_unseen(&mut self, keys: &str) {
        self.settle();
        let pid = self.pid();
        let reader = || effort_of(pid, Some("input")).1;
        let (before, end) = (reader(), Instant::now() + PATIENCE);
        self.press(keys);
        while reader() == before {
            assert!(Instant::now() < end, "{keys:?} is not read");
            thread::sleep(Duration::from_millis(5));
        }
        self.settle();
    }

    /// Waits until the program has nothing left to do: every thread sleeps, and none has run since
    /// it was seen asleep.
    #[track_caller]
    pub fn settle(&self) {
        let end = Instant::now() + PATIENCE;
        let mut asleep = None;
        loop {
            let (sleep, effort) = effort(self.pid());
            if sleep && asleep == Some(effort) {
                return;
            }
            asleep = sleep.then_some(effort);
            assert!(Instant::now() < end, "it goes on:\n{}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).unwrap();
    }

    /// Waits for the end of the program.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it goes on:\n{}", self.text());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Makes sure that the terminal is as it was before the program.
    #[track_caller]
    pub fn check_given_back(&self) {
        self.wait_output_end();
        let reading = self.screen.0.lock().unwrap();
        let screen = reading.parser.screen();
        assert!(!screen.alternate_screen(), "still on the alternate screen");
        assert!(!screen.hide_cursor(), "the cursor is still hidden");
        assert!(!screen.bracketed_paste(), "paste is still bracketed");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    }

    /// The local flags of the terminal's line: echo, line editing.
    pub fn line_flags(&self) -> u64 {
        let termios = self.master.get_termios().unwrap();
        u64::from(termios.local_flags.bits())
    }

    fn wait_output_end(&self) {
        let end = Instant::now() + PATIENCE;
        let mut reading = self.screen.0.lock().unwrap();
        while !reading.closed && Instant::now() < end {
            let step = Duration::from_millis(50);
            reading = self.screen.1.wait_timeout(reading, step).unwrap().0;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether all threads of a process are asleep, and how often they went to sleep so far.
pub fn effort(pid: u32) -> (bool, u64) {
    effort_of(pid, None)
}

/// The same of those of one name.
fn effort_of(pid: u32, name: Option<&str>) -> (bool, u64) {
    let (mut asleep, mut switches) = (true, 0);
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status"));
        // A thread may have ended since it was listed.
        let Ok(status) = status else { continue };
        if name.is_some_and(|name| !status.starts_with(&format!("Name:\t{name}\n"))) {
            continue;
        }
        asleep &= status.contains("\nState:\tS");
        let lines = status.lines();
        let counts = lines.filter_map(|line| line.split_once("ctxt_switches:"));
        switches += counts
            .map(|(_, count)| count.trim().parse::<u64>().unwrap())
            .sum::<u64>();
    }
    (asleep, switches)
}

fn some(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

fn size(columns: u16, lines: u16) -> PtySize {
    PtySize {
        rows: lines,
        cols: columns,
        pixel_width: 0,
        pixel_height: 0,
    }
}

/// A lab of one test's own, with what every new lab has.
pub struct TestLab {
    directory: tempfile::TempDir,
}

impl TestLab {
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("lab")
    }

    /// The image file of a disk.
    pub fn image(&self, disk: &str) -> PathBuf {
        self.path().join("disks").join(format!("{disk}.img"))
    }

    /// Everything that is in the image of a disk.
    pub fn bytes(&self, disk: &str) -> Vec<u8> {
        std::fs::read(self.image(disk)).unwrap()
    }

    /// The five copies in the image of a disk.
    pub fn copies(&self, disk: &str) -> Vec<Vec<u8>> {
        let bytes = self.bytes(disk);
        let copy = |slot: Slot| {
            let start = usize::try_from(slot.sector().byte_offset().unwrap()).unwrap();
            bytes[start..start + 512].to_vec()
        };
        Slot::ALL.map(copy).to_vec()
    }

    /// What is seen on a disk.
    pub fn inspect(&self, disk: &str) -> Inspection {
        let path = self.image(disk);
        let store = ThisMachine.open(&path, Access::Read).unwrap();
        inspect(store.as_ref(), &path)
    }

    pub fn verdict(&self, disk: &str) -> Verdict {
        self.inspect(disk).verdict()
    }
}
