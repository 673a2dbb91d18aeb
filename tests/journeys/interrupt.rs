//! Work that takes long, and everything that may come in its middle: a signal, the end of the
//! terminal, the wish to leave.

use std::fs::File;
use std::path::Path;

use dmremap::remap_core::quorum::Verdict;
use dmremap::sys::FileJournal;
use nix::sys::signal::Signal;

use crate::ends::wait_until_gone;
use crate::seat::{Seat, TestLab};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dmremap-tui");

/// A spare whose table takes far longer to be laid out than a key or a signal takes to come.
const LONG: u64 = 8 << 30;

/// One whose table takes longer than a look at several screens, and is not waited for.
const LONGER: u64 = 64 << 30;

fn lab_with_long_spare() -> TestLab {
    lab_with_spare_of(LONG)
}

/// A lab with a blank disk of this size, which has no bytes of its own.
fn lab_with_spare_of(size: u64) -> TestLab {
    let lab = TestLab::new();
    let status = std::process::Command::new(PROGRAM)
        .args(["lab", lab.path().to_str().unwrap()])
        .output()
        .unwrap()
        .status;
    assert!(status.success());
    let image = File::create(lab.image("disk-z")).unwrap();
    image.set_len(size).unwrap();
    lab
}

/// The last action of a lab's journal: what came of it, and whether it was put back.
fn last_end(lab: &TestLab) -> (String, bool) {
    use dmremap::port::journal::Journal as _;
    let mut journal = FileJournal::new(lab.path().join("journal"));
    let last = journal.actions().unwrap().pop().unwrap();
    let end = last.ended.expect("a word on how it ended");
    assert!(!end.done);
    (end.summary, end.rolled_back)
}

fn create_on_the_command_line(lab: &TestLab) -> Seat {
    let path = lab.path();
    let arguments = [
        "--lab",
        path.to_str().unwrap(),
        "create",
        "late",
        "--main",
        "disk-f",
        "--spare",
        "disk-z",
        "--confirm",
        "late",
    ];
    Seat::run(Path::new(PROGRAM), &arguments, 120, 24)
}

/// Nothing of the new device is there, and the same disk makes one again.
fn check_put_back(lab: &TestLab) {
    let (summary, rolled_back) = last_end(lab);
    assert!(summary.contains("Interrupted"), "{summary}");
    assert!(rolled_back);
    assert_eq!(lab.verdict("disk-z"), Verdict::None);
}

#[test]
fn a_signal_ends_a_creation_at_its_next_safe_point_and_that_is_said() {
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGUSR1,
    ] {
        let lab = lab_with_long_spare();
        let mut seat = create_on_the_command_line(&lab);
        seat.wait_for("writing: ");
        seat.signal(signal);
        // A second one changes nothing.
        seat.signal(signal);
        let status = seat.wait_for_end();
        assert!(!status.success(), "{signal}: {status}");
        assert!(status.signal().is_some(), "{signal}: {status}");
        seat.check_given_back();
        let text = seat.text().replace('\n', "");
        assert!(text.contains(signal.as_str()), "{text}");
        assert!(text.contains("ends at its next safe point"), "{text}");
        assert!(text.contains("has been written back"), "{text}");
        check_put_back(&lab);
    }
}

/// Opens the lab on a screen and begins to create a device there; how far that came is in
/// its window, and then in the last line.
fn create_on_the_screen(lab: &TestLab, columns: u16, lines: u16) -> Seat {
    let mut seat = Seat::open_lab(&lab.path(), columns, lines);
    seat.press_for(":create late --main disk-f --spare disk-z\r", "to go on: ");
    seat.press_for("late\r", "at work: writing");
    seat.press("\x1b");
    seat.wait_without("at work");
    wait_for_line(&seat);
    seat
}

/// Waits for the last line to tell how far the creation came.
fn wait_for_line(seat: &Seat) {
    seat.wait_until("the line of work", |screen| is_at_work(&screen.contents()));
}

fn is_at_work(text: &str) -> bool {
    let last = text.lines().last().unwrap_or_default();
    last.contains("Create") && last.contains(" %")
}

#[test]
fn a_creation_has_its_line_at_every_size_and_ends_early_on_request() {
    for (columns, lines) in [(60, 20), (80, 24), (160, 50), (40, 10)] {
        let lab = lab_with_spare_of(LONGER);
        let mut seat = create_on_the_screen(&lab, 120, 30);
        seat.resize(columns, lines);
        wait_for_line(&seat);
        seat.press_for("q", "leave when it is done");
        seat.press("e");
        seat.resize(120, 30);
        seat.wait_for("has been written back");
        check_put_back(&lab);
        seat.press("q");
        assert!(seat.wait_for_end().success());
        seat.check_given_back();
    }
}

#[test]
fn whoever_stays_sees_the_end() {
    let lab = lab_with_long_spare();
    let mut seat = create_on_the_screen(&lab, 120, 30);
    for keys in ["q", "\x03", "c"] {
        seat.press_for(keys, "Work is under way");
        seat.press("\x1b");
        seat.wait_without("Work is under way");
    }
    seat.wait_for("late is created.");
    assert_eq!(lab.verdict("disk-z"), Verdict::Healthy);
    seat.press("q");
    assert!(seat.wait_for_end().success());
}

#[test]
fn whoever_leaves_when_it_is_done_is_told_what_came_of_it() {
    let lab = lab_with_long_spare();
    let mut seat = create_on_the_screen(&lab, 120, 30);
    seat.press_for("q", "Work is under way");
    seat.press("w");
    let status = seat.wait_for_end();
    assert!(status.success(), "{status}");
    seat.check_given_back();
    assert!(seat.text().contains("late is created."), "{}", seat.text());
    assert_eq!(lab.verdict("disk-z"), Verdict::Healthy);
}

#[test]
fn whoever_ends_it_and_leaves_is_told_that_it_was_not_done() {
    let lab = lab_with_long_spare();
    let mut seat = create_on_the_screen(&lab, 120, 30);
    seat.press_for("\x03", "Work is under way");
    seat.press("x");
    let status = seat.wait_for_end();
    assert_eq!(status.exit_code(), 1, "{status}");
    seat.check_given_back();
    let text = seat.text().replace('\n', "");
    assert!(text.contains("has been written back"), "{text}");
    check_put_back(&lab);
}

#[test]
fn a_signal_ends_what_the_screen_carries_out_at_its_next_safe_point() {
    for signal in [
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGUSR2,
    ] {
        let lab = lab_with_long_spare();
        let mut seat = create_on_the_screen(&lab, 120, 30);
        seat.signal(signal);
        seat.signal(signal);
        let status = seat.wait_for_end();
        assert!(status.signal().is_some(), "{signal}: {status}");
        seat.check_given_back();
        let text = seat.text().replace('\n', "");
        assert!(text.contains("ends at its next safe point"), "{text}");
        assert!(text.contains("has been written back"), "{text}");
        check_put_back(&lab);
    }
}

#[test]
fn what_others_damage_is_seen_while_a_device_is_created() {
    use std::os::unix::fs::FileExt as _;
    let lab = lab_with_spare_of(LONGER);
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    seat.choose("attic");
    seat.press_for("\r", "esc list");
    seat.press_for("2", "valid");
    seat.press_for(":create late --main disk-f --spare disk-z\r", "to go on: ");
    seat.press_for("late\r", "at work: writing");
    seat.press("\x1b");
    wait_for_line(&seat);
    let image = File::options().write(true).open(lab.image("disk-d"));
    image
        .unwrap()
        .write_all_at(&[0x55; 512], 1024 * 512)
        .unwrap();
    seat.wait_until("the damage, beside the work", |screen| {
        let text = screen.contents();
        text.contains("corrupt") && is_at_work(&text)
    });
    seat.press_for("\x03", "Work is under way");
}

/// Says to the test program, run once more, where the lab is in which it is to begin work in
/// a window that is closed then.
const CLOSED: &str = "DMREMAP_JOURNEY_CLOSED";

#[test]
fn a_closed_terminal_ends_a_creation_at_its_next_safe_point() {
    let lab = lab_with_long_spare();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "interrupt::plays_a_window_with_work",
            "--nocapture",
        ])
        .env(CLOSED, lab.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let pid = said.split_once("window of ").unwrap().1;
    let pid: u32 = pid.split_whitespace().next().unwrap().parse().unwrap();
    wait_until_gone(pid);
    check_put_back(&lab);
}

#[test]
fn plays_a_window_with_work() {
    use std::io::Write as _;
    let Some(path) = std::env::var_os(CLOSED) else {
        return;
    };
    let mut seat = Seat::open_lab(Path::new(&path), 120, 30);
    seat.press_for(":create late --main disk-f --spare disk-z\r", "to go on: ");
    seat.press_for("late\r", "at work: writing");
    let pid = seat.pid();
    // Every descriptor of the terminal is ours, and is closed by this.
    std::mem::forget(seat);
    let said = format!("window of {pid} \n");
    std::io::stdout().write_all(said.as_bytes()).unwrap();
    std::process::exit(0);
}
