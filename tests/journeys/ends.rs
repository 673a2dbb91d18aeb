//! Every way to leave, and the terminal afterwards.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use dmremap::ops::Context;
use dmremap::port::{
    Access, Activation, BlockStore, DeviceInfo, Host, HostError, LoggedEvent, Mapped, Reply, Usage,
    Watcher,
};
use dmremap::remap_core::message::Message;
use dmremap::sys::{FileJournal, ThisMachine};
use dmremap::tui::{self, Options, Theme};
use nix::sys::signal::Signal;
use portable_pty::ExitStatus;

use crate::seat::{Seat, TestLab, ESC, PATIENCE};

#[test]
fn q_leaves_and_the_terminal_is_as_before() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 80, 24);
    let raw = seat.line_flags();
    seat.press("q");
    let status = seat.wait_for_end();
    assert!(status.success(), "{status}");
    seat.check_given_back();
    assert_ne!(seat.line_flags(), raw, "the line is still raw");
}

#[test]
fn ctrl_c_leaves_even_from_a_prompt() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 80, 24);
    seat.choose("attic");
    seat.press_for("x", "Corrupt copies");
    seat.press_for("1", "[x] 1");
    seat.press_for("\r", "to go on");
    seat.press("\x03");
    let status = seat.wait_for_end();
    assert!(status.success(), "{status}");
    seat.check_given_back();
}

#[test]
fn signals_end_it_and_give_the_terminal_back() {
    let lab = TestLab::new();
    // Every one with a name whose usual effect is the end of the process, less those that
    // cannot be caught and the one of pipes, which is ignored.
    let harmless = [
        Signal::SIGKILL,
        Signal::SIGSTOP,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
        Signal::SIGCONT,
        Signal::SIGCHLD,
        Signal::SIGURG,
        Signal::SIGWINCH,
        Signal::SIGPIPE,
    ];
    for signal in Signal::iterator().filter(|signal| !harmless.contains(signal)) {
        let mut seat = Seat::open_lab(&lab.path(), 80, 24);
        let raw = seat.line_flags();
        seat.signal(signal);
        let status = seat.wait_for_end();
        let told = status.signal().map(str::to_owned);
        let expected = ExitStatus::from(std::process::ExitStatus::from_raw(signal as i32));
        if told.is_some() {
            assert_eq!(told.as_deref(), expected.signal(), "{signal}: {status}");
        } else {
            // The runtime has a handler of its own for what a program's fault raises.
            assert_eq!(status.exit_code(), 128 + signal as u32, "{signal}");
        }
        seat.check_given_back();
        assert_ne!(seat.line_flags(), raw, "{signal}: the line is still raw");
    }
}

#[test]
fn a_signal_without_a_name_ends_it_and_gives_the_terminal_back() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 80, 24);
    let raw = seat.line_flags();
    let number = "40";
    let sent = std::process::Command::new("kill")
        .args([&format!("-{number}"), &seat.pid().to_string()])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(seat.wait_for_end().exit_code(), 128 + 40);
    seat.check_given_back();
    assert_ne!(seat.line_flags(), raw, "the line is still raw");
}

#[test]
fn a_terminal_that_says_it_is_larger_than_any_is_drawn_on_in_part() {
    let lab = TestLab::new();
    for (columns, lines) in [(30_000, 30_000), (65_535, 65_535), (65_535, 1), (1, 65_535)] {
        let mut seat = Seat::open_lab(&lab.path(), 80, 24);
        seat.resize_unread(columns, lines);
        seat.resize(80, 24);
        seat.press_for("?", "Keys in the list");
        seat.resize_unread(columns, lines);
        seat.press("qq");
        assert!(seat.wait_for_end().success());
        seat.check_given_back();
    }
}

#[test]
fn ctrl_z_gives_the_terminal_back_until_it_goes_on() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 80, 24);
    let raw = seat.line_flags();
    seat.press("\x1a");
    seat.wait_for_state('T');
    seat.wait_until("the shell's screen", |screen| !screen.alternate_screen());
    assert_ne!(seat.line_flags(), raw, "the line is still raw");
    seat.signal(Signal::SIGCONT);
    seat.wait_until("our screen", |screen| {
        screen.alternate_screen() && screen.contents().contains("disk-")
    });
    assert_eq!(seat.line_flags(), raw);
    seat.press_for("?", "Keys in the list");
}

/// Says to the test program, run once more, where the lab is that it is to open in a
/// window that is closed then.
const WINDOW: &str = "DMREMAP_JOURNEY_WINDOW";

#[test]
fn a_closed_terminal_ends_it_at_once() {
    let lab = TestLab::new();
    let path = lab.path();
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new(program)
        .args([
            "--exact",
            "ends::plays_a_window_that_is_closed",
            "--nocapture",
        ])
        .env(WINDOW, &path)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let pid = said.split_once("window of ").unwrap().1;
    let pid: u32 = pid.split_whitespace().next().unwrap().parse().unwrap();
    wait_until_gone(pid);
}

/// Waits for the end of a process that is not a child of this one.
pub fn wait_until_gone(pid: u32) {
    let end = Instant::now() + PATIENCE;
    while is_running(pid) {
        assert!(Instant::now() < end, "it goes on without a terminal");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Says to the test program, run once more, that the window's hang-up is to be ignored.
const DEAF: &str = "DMREMAP_JOURNEY_DEAF";

#[test]
fn without_a_terminal_it_ends_even_if_nobody_hangs_up_and_turns_no_core_meanwhile() {
    let lab = TestLab::new();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "ends::plays_a_window_that_is_closed",
            "--nocapture",
        ])
        .env(WINDOW, lab.path())
        .env(DEAF, "1")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let pid = said.split_once("window of ").unwrap().1;
    let pid: u32 = pid.split_whitespace().next().unwrap().parse().unwrap();
    let first = ticks(pid);
    let end = Instant::now() + PATIENCE;
    while is_running(pid) {
        if let (Some(first), Some(now)) = (first, ticks(pid)) {
            assert!(now - first < 50, "{} ticks without a terminal", now - first);
        }
        assert!(Instant::now() < end, "it goes on without a terminal");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The time of a process on processors, in ticks; none once it is gone.
pub fn ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut words = rest.split_whitespace().skip(11);
    let user: u64 = words.next()?.parse().ok()?;
    let system: u64 = words.next()?.parse().ok()?;
    Some(user + system)
}

/// Whether a process is there and more than a status that nobody asked for.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    !(after_name.is_empty() || after_name.starts_with('Z'))
}

#[test]
fn plays_a_window_that_is_closed() {
    let Some(lab) = std::env::var_os(WINDOW) else {
        return;
    };
    let seat = if std::env::var_os(DEAF).is_some() {
        let program = env!("CARGO_BIN_EXE_dmremap-tui");
        let arguments = ["--ignore-signal=HUP", program, "lab", lab.to_str().unwrap()];
        let seat = Seat::run(Path::new("/usr/bin/env"), &arguments, 80, 24);
        seat.wait_for("attic: scrub: all intact");
        seat
    } else {
        Seat::open_lab(Path::new(&lab), 80, 24)
    };
    let pid = seat.pid();
    // Every descriptor of the terminal is ours, and is closed by this.
    std::mem::forget(seat);
    std::io::stdout()
        .write_all(format!("window of {pid} \n").as_bytes())
        .unwrap();
    std::process::exit(0);
}

#[test]
fn escape_leads_back_step_by_step_and_never_out() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 80, 24);
    seat.choose("attic");
    seat.press_for("\r", "esc list");
    seat.press_for("?", "Keys in the detail");
    seat.press(ESC);
    seat.wait_without("Keys in");
    seat.press(ESC);
    seat.wait_for("enter open");
    seat.wait_for("/attic");
    seat.press(ESC);
    seat.wait_without("/attic");
    seat.press(ESC);
    seat.press_for("?", "Keys in the list");
}

/// Says to the test program, run once more inside a terminal, that it is to play the
/// application on a host that panics.
const PANICS: &str = "DMREMAP_JOURNEY_PANICS";

#[test]
fn a_panic_gives_the_terminal_back_before_its_report() {
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", "ends::plays_a_host_that_panics", "--nocapture"];
    let environment = BTreeMap::from([(PANICS, "1"), ("RUST_BACKTRACE", "0")]);
    let mut seat = Seat::run_with(&program, &arguments, 120, 60, &environment);
    let status = seat.wait_for_end();
    assert!(!status.success(), "{status}");
    seat.check_given_back();
    let text = seat.text();
    assert!(text.contains("asked to panic"), "{text}");
}

#[test]
fn plays_a_host_that_panics() {
    if std::env::var_os(PANICS).is_none() {
        return;
    }
    color_eyre::install().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let context = Context {
        journal: Box::new(FileJournal::new(directory.path())),
        platform: std::sync::Arc::new(ThisMachine),
        read_only: false,
        progress: dmremap::ops::Progress::silent(),
    };
    let options = Options::with_theme(Theme::FULL);
    tui::run(Box::new(Panicking), context, options).expect("a host that works");
}

struct Panicking;

impl Host for Panicking {
    fn lab_directory(&self) -> Option<&Path> {
        None
    }

    fn beside(&self) -> Result<Box<dyn Host>, HostError> {
        Ok(Box::new(Panicking))
    }

    fn devices(&mut self) -> Result<Vec<DeviceInfo>, HostError> {
        panic!("asked to panic");
    }

    fn open(&mut self, path: &Path, _access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        Err(HostError::NotFound(path.display().to_string()))
    }

    fn usage(&mut self, _path: &Path) -> Result<Usage, HostError> {
        Ok(Usage::Free)
    }

    fn mapped(&mut self) -> Result<Vec<Mapped>, HostError> {
        Ok(Vec::new())
    }

    fn activate(&mut self, _activation: &Activation) -> Result<(), HostError> {
        Ok(())
    }

    fn deactivate(&mut self, _name: &str) -> Result<(), HostError> {
        Ok(())
    }

    fn message(&mut self, _name: &str, _message: &Message) -> Result<Reply, HostError> {
        Ok(Reply::Done)
    }

    fn events(&mut self, _after: u64) -> Result<Vec<LoggedEvent>, HostError> {
        Ok(Vec::new())
    }

    fn run_due(&mut self) -> Result<Option<u64>, HostError> {
        Ok(None)
    }

    fn watcher(&mut self) -> Result<Box<dyn Watcher>, HostError> {
        Err(HostError::Refused("nothing changes by itself".to_owned()))
    }
}
