//! Where blocks failed: made to fail, and then found on the screen and in the table.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use dmremap::inspect::{inspect_table, Extent};
use dmremap::port::{Access, Platform as _, RemapRow};
use dmremap::sys::ThisMachine;

use crate::seat::{Seat, TestLab, ENTER, ESC};

/// Runs a command of the program on the lab, with `input` on its stdin.
fn command(lab: &TestLab, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dmremap-tui"))
        .arg("--lab")
        .arg(lab.path())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn do_it(lab: &TestLab, arguments: &[&str], input: &[u8]) {
    let output = command(lab, arguments, input);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// The remaps in the table of a disk, as they lie there.
fn remaps(lab: &TestLab, disk: &str) -> Vec<RemapRow> {
    let store = ThisMachine.open(&lab.image(disk), Access::Read).unwrap();
    let superblock = lab.inspect(disk).superblock.unwrap();
    inspect_table(store.as_ref(), &superblock, Extent::Whole)
        .unwrap()
        .remaps
}

#[test]
fn blocks_that_fail_appear_on_the_map_and_in_the_table() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    seat.choose("attic");
    // A new lab has two blocks moved already.
    seat.press_for("3", "2 blocks moved to the spare");
    let before = remaps(&lab, "disk-d");
    assert_eq!(before.len(), 2);
    // Three blocks that cannot be written are moved by a write; a fourth cannot be read.
    do_it(
        &lab,
        &["fault", "attic", "main", "--from", "1000", "--count", "3"],
        b"",
    );
    do_it(
        &lab,
        &["io", "attic", "write", "--sector", "1000"],
        &[0xa5; 3 * 512],
    );
    seat.wait_for("5 blocks moved to the spare");
    do_it(&lab, &["fault", "attic", "main", "--from", "70000"], b"");
    let lost = command(&lab, &["io", "attic", "read", "--sector", "70000"], b"");
    assert!(
        !lost.status.success(),
        "a block that cannot be read is an error"
    );
    seat.wait_for("▲ 1 unreadable until written");
    let on_disk = remaps(&lab, "disk-d");
    let blocks: Vec<(u64, bool)> = on_disk
        .iter()
        .filter(|row| !before.contains(row))
        .map(|row| (row.block.get(), row.active))
        .collect();
    assert_eq!(
        blocks,
        [(1000, true), (1001, true), (1002, true), (70_000, false)]
    );
    // The table shows what is on the disk; a search narrows it.
    seat.press(ENTER);
    for row in &on_disk {
        seat.wait_for(&in_thousands(row.block.get()));
    }
    seat.press_for("/unread", "1 of 6 remaps");
    seat.press(ENTER);
    seat.wait_without("1,001 ");
    seat.press("/");
    seat.press(ESC);
    seat.wait_for("5 blocks moved");
    // To a block by its byte, and closer to it on the map.
    seat.press("b");
    seat.press_for("500.5 KiB", "500.5 KiB▏");
    seat.press(ENTER);
    seat.wait_for(": 3 on the spare");
    seat.press_for(ENTER, "n next");
    seat.press("++++++++");
    seat.wait_for("one a mark");
    seat.press_for("n", "block 1,002, at 501.0 KiB: 1 on the spare");
    seat.press_for("n", "block 70,000, at 34.1 MiB: 1 unreadable");
    // The next write moves it, and everything agrees again.
    do_it(
        &lab,
        &["io", "attic", "write", "--sector", "70000"],
        &[0x5a; 512],
    );
    seat.wait_for("block 70,000, at 34.1 MiB: 1 on the spare");
    seat.wait_for("6 blocks moved to the spare");
    assert!(remaps(&lab, "disk-d").iter().all(|row| row.active));
    let read = command(&lab, &["io", "attic", "read", "--sector", "70000"], b"");
    assert_eq!(read.stdout, [0x5a; 512]);
}

/// A count with its thousands apart, as the screen has it.
fn in_thousands(number: u64) -> String {
    match number {
        1000.. => format!("{},{:03}", number / 1000, number % 1000),
        _ => number.to_string(),
    }
}
