//! Terminals that are too small, too slow, too eager or none at all.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::ends::ticks;
use crate::seat::{Seat, TestLab, ENTER, ESC, PATIENCE};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dmremap-tui");

/// What the kernel counts as one second of a processor.
const SECOND: u64 = 100;

#[test]
fn on_the_smallest_screens_the_answer_is_read_and_nothing_is_confirmed() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 80, 24);
    seat.choose("attic");
    let before = lab.copies("disk-d");
    seat.press_for("w", "Type attic to go on");
    seat.press_for("att", "go on: att");
    // In the middle of the name the window becomes too small to show what it is for.
    for (columns, lines) in [(40, 12), (20, 5), (1, 1)] {
        seat.resize(columns, lines);
        if columns > 1 {
            seat.wait_for(if columns == 40 { "attic" } else { "disk-b" });
        }
        if columns == 40 {
            seat.press("ic");
            seat.wait_for("a window is open");
        }
        // Keys and sizes come on two ways: no key may still be on its way when there is room.
        seat.press_unseen(ENTER);
    }
    seat.resize(80, 24);
    seat.wait_for("go on: attic");
    assert_eq!(lab.copies("disk-d"), before, "confirmed unseen");
    seat.press(ESC);
    seat.wait_without("go on: attic");
    // Nor is anything begun there.
    seat.resize(40, 12);
    seat.wait_for("q quits; more at 60");
    seat.press_unseen("wrdxum");
    seat.resize(80, 24);
    seat.wait_for("enter open");
    seat.resize(20, 5);
    seat.wait_without("enter open");
    seat.press("q");
    assert!(seat.wait_for_end().success());
    seat.check_given_back();
    assert_eq!(lab.copies("disk-d"), before);
}

#[test]
fn a_megabyte_that_is_pasted_is_no_command_and_costs_little() {
    const PASTE: usize = 1 << 20;
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 80, 24);
    let before = lab.copies("disk-d");
    let begun = ticks(seat.pid()).unwrap();
    // Where nothing is typed, brackets make it nothing at all.
    let commands = "wattic\rdattic\rqq".repeat(PASTE / 16);
    seat.press(&format!("\x1b[200~{commands}\x1b[201~"));
    seat.press_for("?", "Keys in the list");
    seat.press(ESC);
    seat.wait_without("Keys in the list");
    // Where something is typed it is text, as far as any text may be long.
    let text = "y".repeat(PASTE);
    for (before, behind) in [("\x1b[200~", "\x1b[201~"), ("", "")] {
        seat.press_for("/", " /▏");
        seat.press(&format!("{before}{text}{behind}"));
        seat.wait_for("yyyyyyyy");
        seat.press(ESC);
        seat.wait_for("enter open");
    }
    let cost = ticks(seat.pid()).unwrap() - begun;
    // What grows with the square of it takes hours.
    assert!(cost < 300 * SECOND, "{cost} ticks for 3 MiB");
    assert_eq!(lab.copies("disk-d"), before);
    seat.press("q");
    assert!(seat.wait_for_end().success());
    seat.check_given_back();
}

/// Has more written than a terminal keeps for somebody who does not read.
fn fill(seat: &mut Seat) {
    for round in 0..200 {
        seat.resize_unread(200 - round % 2, 60);
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_terminal_that_takes_nothing_costs_nothing_and_what_was_pressed_counts_later() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 200, 60);
    let spent = seat.while_unread(|seat| {
        fill(seat);
        seat.settle();
        let begun = ticks(seat.pid()).unwrap();
        sleep(Duration::from_secs(5));
        let spent = ticks(seat.pid()).unwrap() - begun;
        seat.press("q");
        sleep(Duration::from_millis(200));
        assert!(seat.status().is_none(), "nothing held it");
        spent
    });
    assert!(spent <= 5, "{spent} ticks in 5 s");
    assert!(seat.wait_for_end().success());
    seat.check_given_back();
}

#[test]
fn a_terminal_that_takes_nothing_holds_nobody_who_is_told_to_end() {
    let lab = TestLab::new();
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let mut seat = Seat::open_lab(&lab.path(), 200, 60);
        let raw = seat.line_flags();
        seat.while_unread(|seat| {
            fill(seat);
            seat.signal(signal);
            let end = Instant::now() + PATIENCE;
            let status = loop {
                if let Some(status) = seat.status() {
                    break status;
                }
                assert!(Instant::now() < end, "{signal} does not end it");
                sleep(Duration::from_millis(20));
            };
            assert!(!status.success(), "{status}");
            assert_ne!(seat.line_flags(), raw, "the line is still raw");
        });
    }
}

/// What the program says on a terminal with this environment, and its status.
fn refused(words: &[&str], environment: &[(&str, &str)]) -> (String, u32, bool) {
    let environment: BTreeMap<&str, &str> = environment.iter().copied().collect();
    let (program, words) = words.split_first().unwrap();
    let mut seat = Seat::run_with(Path::new(program), words, 80, 24, &environment);
    let status = seat.wait_for_end();
    seat.check_given_back();
    (seat.text(), status.exit_code(), seat.wrote(b"\x1b["))
}

#[test]
fn without_a_terminal_to_draw_on_it_says_so_and_draws_nothing() {
    let no_input = ["/bin/sh", "-c", "exec \"$0\" < /dev/null", PROGRAM];
    let no_output = ["/bin/sh", "-c", "\"$0\" | cat; exit 2", PROGRAM];
    for (words, environment) in [
        (&no_input[..], &[][..]),
        (&no_output[..], &[]),
        (&[PROGRAM], &[("TERM", "dumb")]),
        (&[PROGRAM], &[("TERM", "")]),
    ] {
        let (text, status, drew) = refused(words, environment);
        assert!(text.contains("needs a terminal"), "{words:?}: {text}");
        assert!(text.contains("Use the commands instead"), "{text}");
        assert_eq!(status, 2, "{words:?}: {text}");
        assert!(!drew, "{words:?}: it wrote escape sequences");
    }
    // Nor into a file, nor where nothing is open at all.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let output = Command::new(PROGRAM)
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&file).unwrap())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("needs a terminal"));
    assert_eq!(std::fs::read(&file).unwrap(), b"");
}

#[test]
fn a_locale_without_unicode_gets_ascii_and_the_settings_say_why() {
    let lab = TestLab::new();
    let path = lab.path();
    let environment = BTreeMap::from([("LC_ALL", "C")]);
    let words = ["lab", path.to_str().unwrap()];
    let mut seat = Seat::run_with(Path::new(PROGRAM), &words, 100, 30, &environment);
    seat.wait_for("disk-");
    seat.press_for(",", "set by LC_ALL=C, not saved");
    assert!(seat.text().is_ascii(), "{}", seat.text());
    seat.press(ESC);
    seat.wait_without("set by LC_ALL=C");
    seat.press("q");
    assert!(seat.wait_for_end().success());
    seat.check_given_back();
}
