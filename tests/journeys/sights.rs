//! What is on the screen: other sizes, other processes, other text, and nothing at all.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use crate::seat::{Seat, TestLab};

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

/// How often the threads of a process went to sleep, and its time on a processor, in
/// ticks.
fn effort(pid: u32) -> (u64, u64) {
    let mut sleeps = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let lines = status.lines();
        let counts = lines.filter_map(|line| line.split_once("ctxt_switches:"));
        sleeps += counts
            .map(|(_, count)| count.trim().parse::<u64>().unwrap())
            .sum::<u64>();
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let words: Vec<u64> = after_name
        .split_whitespace()
        .map(|word| word.parse().unwrap_or(0))
        .collect();
    (sleeps, words[11] + words[12])
}

#[test]
fn nothing_costs_anything_while_nothing_happens() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    // The first scrub is over, and no time is on the screen.
    seat.choose("attic");
    seat.press_for("4", "scrub: all intact");
    // On a busy machine what came before may not be over at once.
    let mut spent = (u64::MAX, u64::MAX);
    for _ in 0..10 {
        let before = effort(seat.pid());
        std::thread::sleep(Duration::from_secs(2));
        let after = effort(seat.pid());
        spent = (after.0.abs_diff(before.0), after.1.abs_diff(before.1));
        if spent.0 <= 4 && spent.1 <= 1 {
            return;
        }
    }
    panic!("{} wake-ups and {} ticks in 2 s", spent.0, spent.1);
}
