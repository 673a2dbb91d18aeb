//! What an operator does to devices, and what is on the disks afterwards.

use dmremap::remap_core::quorum::{CopyState, Verdict};

use crate::seat::{Seat, TestLab, ENTER, ESC};

const ALL_GOOD: &str = "■0 ■1 ■2 ■3 ■4";

#[test]
fn a_damaged_device_is_brought_up_and_heals_before_the_eye() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    seat.choose("disk-b");
    seat.wait_for("■0 ✖1 ■2 ■3 ✖4");
    // What is found says how sure it is, and where to read on.
    seat.wait_for("certain: The checksum of these copies does not fit");
    seat.wait_for("docs/operations.md#damaged-copies");
    assert_eq!(lab.verdict("disk-b"), Verdict::Degraded);
    let before = lab.copies("disk-b");
    seat.press_for("a", "Press enter to go on");
    assert_eq!(lab.copies("disk-b"), before, "a plan writes nothing");
    seat.press_for(ENTER, "vault is up");
    seat.press(ENTER);
    seat.wait_for(ALL_GOOD);
    seat.wait_for("nothing to repair; 1 done in 1 attempt");
    assert_eq!(lab.verdict("disk-b"), Verdict::Healthy);
    assert_eq!(
        lab.copies("disk-b")[0],
        before[0],
        "a repair keeps the winner"
    );
}

#[test]
fn two_copies_are_corrupted_and_a_scrub_has_them_repaired() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 80, 24);
    seat.choose("attic");
    seat.wait_for(ALL_GOOD);
    let before = lab.copies("disk-d");
    // The kind after the first is random bytes.
    seat.press_for("x", "Corrupt copies of attic");
    seat.press_for("13", "[x] 1   [ ] 2   [x] 3");
    seat.press_for("j", "degraded");
    seat.press_for(ENTER, "Type attic to go on");
    for bytes in [
        "524288..524800",
        "2097152..2097664",
        "--copy 1,3 --kind random",
    ] {
        seat.wait_for(bytes);
    }
    assert_eq!(lab.copies("disk-d"), before, "a plan writes nothing");
    seat.press_for("attic", "go on: attic");
    seat.press_for(ENTER, "in the journal");
    let damaged = lab.copies("disk-d");
    for slot in [0, 2, 4] {
        assert_eq!(damaged[slot], before[slot], "copy {slot} was not chosen");
    }
    for slot in [1, 3] {
        assert_ne!(damaged[slot], before[slot], "copy {slot} was chosen");
    }
    seat.press(ENTER);
    seat.wait_for("■0 ✖1 ■2 ✖3 ■4");
    seat.wait_for("healthy at the last scrub");
    seat.press_for("s", "attempt 1 of 5");
    seat.wait_for(ALL_GOOD);
    assert_eq!(lab.verdict("disk-d"), Verdict::Healthy);
    seat.press_for("4", "all intact again");
}

#[test]
fn a_drill_is_watched_on_the_page_of_the_copies() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    seat.choose("attic");
    seat.press_for("2", "COPY SECTOR");
    seat.press_for(ENTER, "inside");
    seat.wait_for("healthy: all five copies hold the same content");
    let whole = lab.copies("disk-d");
    // One bit of copy 2.
    seat.press_for("jj", "copy 2 beside copy 0");
    seat.press_for("x", "Corrupt copies of attic");
    seat.press_for("2", "[x] 2");
    seat.press_for(ENTER, "Type attic to go on");
    seat.press_for("attic", "go on: attic");
    seat.press_for(ENTER, "in the journal");
    seat.press(ENTER);
    seat.wait_for("✖ corrupt");
    seat.wait_for("was valid");
    seat.wait_for("[damaged] → found by a scrub");
    let damaged = lab.copies("disk-d");
    let differing: Vec<usize> = (0..512)
        .filter(|at| damaged[2][*at] != whole[2][*at])
        .collect();
    let [at] = differing[..] else {
        panic!("one bit is one byte: {differing:?}");
    };
    // What is on the disk, what a repair writes, and which field it is.
    seat.wait_for(&format!("[{:02x}]", damaged[2][at]));
    seat.wait_for(&format!("[{:02x}]", whole[2][at]));
    seat.wait_for(&format!("byte {at} of "));
    seat.wait_for("A repair writes copy 2 from copy 0: 1 of 512 bytes change in ");
    seat.press_for(ENTER, "n next");
    seat.press_for("g", "byte 0 of magic");
    seat.press_for("n", &format!("byte {at} of "));
    assert_eq!(lab.copies("disk-d"), damaged, "looking writes nothing");
    seat.press_for("r", "A repair writes copy 2");
    seat.press(ESC);
    seat.wait_without("to go on");
    seat.press_for("s", "[repair in");
    seat.wait_for("[whole again]");
    seat.wait_for("was corrupt");
    assert!(lab.copies("disk-d") == whole, "not byte for byte");
    // After ten seconds nothing points at it any more.
    seat.wait_without("was corrupt");
    seat.wait_for("agrees with copy 0");
}

#[test]
fn a_corruption_is_taken_back_byte_for_byte() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 100, 30);
    seat.choose("usb-e");
    let before = lab.bytes("usb-e");
    seat.press_for("x", "Corrupt copies of");
    seat.press_for(" ", "[x] 0");
    seat.press_for("kkk", "degraded");
    seat.press_for(ENTER, "Type usb-e.img to go on");
    seat.press_for("usb-e.img", "go on: usb-e.img");
    seat.press_for(ENTER, "in the journal");
    assert_ne!(lab.bytes("usb-e"), before);
    seat.press(ENTER);
    seat.wait_without("in the journal");
    seat.press_for("u", "to go on:");
    seat.press_for("usb-e.img", "go on: usb-e.img");
    seat.press_for(ENTER, "in the journal");
    assert!(lab.bytes("usb-e") == before, "not byte for byte");
    seat.press(ENTER);
    seat.press_for("5", "undone");
}

#[test]
fn the_wizard_makes_a_device_step_by_step() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    let before = lab.bytes("disk-h");
    seat.press_for("n", "1 of 4");
    seat.wait_for("▸  disk-f");
    seat.press_for("j", "▸  disk-g");
    seat.press_for(ENTER, "2 of 4: a spare for disk-g");
    seat.wait_for("best: room for 38,488 blocks");
    seat.wait_for("▸  disk-h");
    seat.press_for(ENTER, "3 of 4");
    seat.press_for("store", "store▏");
    seat.press_for(ENTER, "Type store to go on");
    seat.wait_for("4 of 4: the plan for store");
    // A step back finds what was typed.
    seat.press_for("\x10", "store▏");
    seat.press_for(ENTER, "Type store to go on");
    seat.wait_for("0..512  copy 0");
    assert!(lab.bytes("disk-h") == before, "a plan writes nothing");
    seat.press_for("store", "go on: store");
    seat.press_for(ENTER, "store is created");
    let made = lab.inspect("disk-h");
    assert_eq!(made.verdict(), Verdict::Healthy);
    assert_eq!(made.name.as_deref(), Some("store"));
    seat.press(ENTER);
    // The eye goes to what was made, and it is up.
    seat.wait_for("store ── dm-remap-v4 ── up, read-write");
    seat.wait_for("└ store");
}

#[test]
fn a_device_is_taken_apart_and_comes_back_under_its_name() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    seat.choose("attic");
    let copies = lab.copies("disk-d");
    seat.press_for("d", "Type attic to go on");
    seat.press_for(ENTER, "nothing was changed");
    seat.press_for("attic\r", "in the journal");
    seat.press(ENTER);
    seat.wait_for("dm-remap-v4 of attic, not up");
    assert_eq!(lab.copies("disk-d"), copies, "its metadata stays");
    seat.press_for("a", "Press enter to go on");
    seat.press_for(ENTER, "attic is up");
    seat.press(ENTER);
    seat.wait_for("attic ── dm-remap-v4 ── up, read-write");
}

#[test]
fn a_wrong_name_writes_nothing_and_says_so() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 80, 24);
    seat.choose("attic");
    let (main, spare) = (lab.bytes("disk-c"), lab.bytes("disk-d"));
    seat.press_for("x", "Corrupt copies of attic");
    seat.press_for("01234", "[x] 4");
    seat.press_for(ENTER, "Type attic to go on");
    seat.press_for("atti", "go on: atti");
    seat.press_for(ENTER, "atti is not attic; nothing was changed");
    seat.press_for("x", "go on: attix");
    seat.press_for(ENTER, "attix is not attic; nothing was changed");
    seat.press(ESC);
    seat.wait_without("to go on");
    seat.wait_for(ALL_GOOD);
    assert!(lab.bytes("disk-c") == main && lab.bytes("disk-d") == spare);
    seat.press_for("5", "nothing was done yet");
}

#[test]
fn plain_copies_get_their_checksums() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    seat.choose("usb-e");
    seat.wait_for("□0 □1 □2 □3 □4");
    seat.press_for("m", "to go on:");
    seat.press_for("usb-e.img", "go on: usb-e.img");
    seat.press_for(ENTER, "in the journal");
    seat.press(ENTER);
    seat.wait_for(ALL_GOOD);
    let migrated = lab.inspect("usb-e");
    let states = migrated.judgement.states;
    assert_eq!(states.count(|state| *state == CopyState::Valid), 5);
}

#[test]
fn metadata_is_written_anew_at_the_next_sequence() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    seat.choose("attic");
    let before = lab.inspect("disk-d").judgement.sequence.unwrap();
    seat.press_for("w", "Type attic to go on");
    seat.press_for("attic\r", "in the journal");
    let after = lab.inspect("disk-d").judgement;
    assert_eq!(after.verdict, Verdict::Healthy);
    assert_eq!(after.sequence, before.next());
}
