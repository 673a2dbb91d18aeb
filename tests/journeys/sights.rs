//! What is on the screen: other sizes, other processes, other text, and nothing at all.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use crate::ends::ticks;
use crate::seat::{effort, Seat, TestLab};

#[test]
fn every_size_is_drawn_anew_and_none_ends_it() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    seat.choose("attic");
    for (columns, lines, text) in [
        (80, 24, "attic ── dm-remap-v4"),
        (50, 10, "more at 60 columns, 20 lines"),
        (60, 20, "attic ── dm-remap-v4"),
        (20, 3, "q quits; more at 60"),
        (200, 50, "attic ── dm-remap-v4"),
    ] {
        seat.resize(columns, lines);
        seat.wait_for(text);
    }
    seat.resize(120, 40);
    seat.wait_until("whole frames", |screen| {
        let text = screen.contents();
        let lines: Vec<&str> = text.lines().collect();
        let is_frame = |line: Option<&&str>| line.is_some_and(|line| line.trim().ends_with('╯'));
        is_frame(lines.get(37)) && lines[1].starts_with('╭')
    });
}

#[test]
fn what_another_process_does_appears_by_itself() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    seat.choose("usb-e");
    seat.wait_for("□0 □1 □2 □3 □4");
    let image = fs::OpenOptions::new()
        .write(true)
        .open(lab.image("usb-e"))
        .unwrap();
    image.write_all_at(&[0; 512], 1024 * 512).unwrap();
    drop(image);
    seat.wait_for("□0 ∅1 □2 □3 □4");
}

#[test]
fn text_from_a_disk_never_reaches_the_terminal_as_it_is() {
    let lab = TestLab::new();
    drop(Seat::open_lab(&lab.path(), 80, 24));
    let image = fs::OpenOptions::new()
        .write(true)
        .open(lab.image("usb-e"))
        .unwrap();
    let path = b"/dev/\x1b]0;owned\x07\x1b[2J\xe2\x80\xae";
    for sector in [0, 1024, 2048, 4096, 8192] {
        image.write_all_at(path, sector * 512 + 144).unwrap();
    }
    drop(image);
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    seat.choose("usb-e");
    seat.press_for("2", "COPY SECTOR");
    seat.press_for("v", "/dev/\\x1b]0;owned\\x07\\x1b[2J");
}

#[test]
fn nothing_costs_anything_while_nothing_happens() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    // The first scrub is over, and no time is on the screen.
    seat.choose("attic");
    seat.press_for("4", "scrub: all intact");
    let spent = || (effort(seat.pid()).1, ticks(seat.pid()).unwrap());
    let mut seen = Vec::new();
    // What came before may not be over at once.
    for _ in 0..30 {
        seat.settle();
        let before = spent();
        std::thread::sleep(Duration::from_secs(2));
        let after = spent();
        let (wakes, ticks) = (after.0.abs_diff(before.0), after.1.abs_diff(before.1));
        if wakes <= 4 && ticks <= 1 {
            return;
        }
        seen.push((wakes, ticks));
    }
    panic!("wake-ups and ticks in 2 s: {seen:?}");
}
