//! What people expect of a terminal application: commands that are typed, their own
//! keys, the mouse, a screen that stands still, files of it, and drills.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use dmremap::remap_core::quorum::Verdict;
use nix::sys::signal::Signal;

use crate::seat::{Seat, TestLab, ENTER};

/// Opens a lab with more on the command line and in the environment.
fn open_with(lab: &TestLab, words: &[&str], environment: &[(&str, &str)]) -> Seat {
    let program = Path::new(env!("CARGO_BIN_EXE_dmremap-tui"));
    let path = lab.path();
    let mut arguments = vec!["lab", path.to_str().unwrap()];
    arguments.extend(words);
    let environment: BTreeMap<&str, &str> = environment.iter().copied().collect();
    let seat = Seat::run_with(program, &arguments, 120, 40, &environment);
    seat.wait_for("disk-");
    seat
}

#[test]
fn typed_words_do_what_keys_do_and_are_completed() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    let before = lab.bytes("disk-d");
    seat.press_for(":cor\t", ":corrupt ▏");
    seat.press_for("att\t", ":corrupt attic ▏");
    seat.press_for("--c\t1 --k\tto\t", "--copy 1 --kind torn ▏");
    seat.press_for(ENTER, "Type attic to go on");
    seat.press_for("attic\r", "in the journal");
    assert_eq!(lab.verdict("disk-d"), Verdict::Degraded);
    seat.press(ENTER);
    seat.wait_without("in the journal");
    seat.press_for(":undo\r", "Type attic to go on");
    seat.press_for("attic\r", "in the journal");
    assert!(lab.bytes("disk-d") == before, "not byte for byte");
    seat.press(ENTER);
    seat.wait_without("in the journal");
    // What was done, with its command; the terminal is asked to keep that.
    seat.press_for("L", "corrupt /");
    seat.press_for("y", "copied: dmremap-tui --lab");
    assert!(seat.wrote(b"\x1b]52;c;"));
    seat.press("q");
    seat.press_for(":scrubb\r", "did you mean scrub?");
}

#[test]
fn a_terminal_that_knows_synchronized_updates_never_shows_half_a_frame() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    seat.press_for("?", "Keys in the list");
    seat.press_for(ENTER, "list");
    seat.press("q");
    assert!(seat.wait_for_end().success());
    seat.check_given_back();
    let (outside, inside) = seat.wrote_outside_and_inside();
    // Outside the terminal is taken over and given back, and nothing else.
    assert!(outside < 200, "{outside} bytes outside, {inside} in frames");
    assert!(inside > 2000, "{inside} bytes in frames");
}

#[test]
fn keys_and_theme_are_the_operators_own() {
    let lab = TestLab::new();
    let settings = tempfile::tempdir().unwrap();
    let file = settings.path().join("config.toml");
    fs::write(
        &file,
        "theme = \"monochrome\"\n[keys]\nscrub = \"S\"\nhelp = \"f1\"\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let mut seat = open_with(&lab, &[], &[("DMREMAP_CONFIG", file)]);
    seat.choose("attic");
    seat.wait_for("S scrub");
    seat.press_for("\x1bOP", "Keys in the list");
    seat.press("q");
    seat.wait_without("Keys in");
    seat.wait_until("no colour", |screen| {
        let (rows, columns) = screen.size();
        (0..rows.get()).all(|row| {
            (0..columns.get()).all(|column| {
                let cell = screen.cell(row, column).unwrap();
                cell.fgcolor() == vt100::Color::Default && cell.bgcolor() == vt100::Color::Default
            })
        })
    });
}

#[test]
fn keys_that_contradict_each_other_are_told_and_nothing_is_changed_until_they_are_mended() {
    let lab = TestLab::new();
    let settings = tempfile::tempdir().unwrap();
    let file = settings.path().join("config.toml");
    fs::write(&file, "[keys]\nscrub = \"x\"\n").unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_dmremap-tui"));
    let path = lab.path();
    let arguments = [
        "lab",
        path.to_str().unwrap(),
        "--config",
        file.to_str().unwrap(),
    ];
    let mut seat = Seat::run(program, &arguments, 200, 40);
    seat.wait_for("x is for scrub and for corrupt");
    seat.wait_for("READ-ONLY");
    seat.press("j");
    seat.wait_without("x is for scrub and for corrupt");
    seat.press_for("r", "x is for scrub and for corrupt");
    seat.press("q");
    assert!(seat.wait_for_end().success());
    seat.check_given_back();
}

#[test]
fn read_only_and_a_dry_run_are_in_sight_and_change_nothing() {
    let lab = TestLab::new();
    drop(Seat::open_lab(&lab.path(), 80, 24));
    let files = [
        "disks/disk-c.img",
        "disks/disk-d.img",
        "events.jsonl",
        "state/attic.json",
    ];
    let contents = || files.map(|file| fs::read(lab.path().join(file)).unwrap());
    let before = contents();
    let mut seat = open_with(&lab, &["--read-only"], &[]);
    seat.wait_for("READ-ONLY");
    seat.choose("attic");
    seat.press_for("s", "nothing is changed");
    seat.press_for(":repair\r", "read-only");
    drop(seat);
    let mut seat = open_with(&lab, &[], &[("DMREMAP_DRY_RUN", "1")]);
    seat.wait_for("DRY RUN");
    seat.choose("attic");
    seat.press_for(":corrupt --copy 0,1 --kind zero\r", "Type attic to go on");
    seat.press_for("attic\r", "this is a dry run");
    seat.press("\x1b");
    seat.wait_without("to go on");
    seat.press_for("s", "was not carried out");
    drop(seat);
    assert!(contents() == before, "something was changed");
}

#[test]
fn the_mouse_turns_pages_and_is_released_for_selecting_text() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 80, 24);
    let is = |mode| move |screen: &vt100::Screen| screen.mouse_protocol_mode() == mode;
    seat.wait_until("the mouse", is(vt100::MouseProtocolMode::PressRelease));
    let (column, row) = seat.place_of("disk-c");
    seat.press(&format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m"));
    seat.wait_for("▸disk-c");
    let (column, row) = seat.place_of(" Copies   Remaps");
    let column = column + 2;
    seat.press(&format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m"));
    seat.wait_for("agrees with copy 0");
    let (column, row) = seat.place_of("disk-c");
    seat.press(&format!("\x1b[<64;{column};{row}M"));
    seat.wait_without("▸disk-c");
    seat.press("M");
    seat.wait_until("no mouse", is(vt100::MouseProtocolMode::None));
    seat.press("M");
    seat.wait_until(
        "the mouse again",
        is(vt100::MouseProtocolMode::PressRelease),
    );
    seat.press("q");
    seat.wait_for_end();
    seat.check_given_back();
}

#[test]
fn a_frozen_screen_stands_still_and_then_tells_what_happened() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    seat.choose("usb-e");
    seat.wait_for("□0 □1 □2 □3 □4");
    seat.press_for("f", "FROZEN");
    let image = fs::OpenOptions::new()
        .write(true)
        .open(lab.image("usb-e"))
        .unwrap();
    image.write_all_at(&[0; 512], 1024 * 512).unwrap();
    drop(image);
    std::thread::sleep(Duration::from_millis(700));
    assert!(seat.text().contains("□0 □1 □2 □3 □4"), "{}", seat.text());
    seat.press_for("f", "□0 ∅1 □2 □3 □4");
    seat.wait_without("FROZEN");
}

#[test]
fn the_screen_is_kept_in_files_and_no_file_is_overwritten() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    seat.choose("attic");
    let directory = tempfile::tempdir().unwrap();
    for (name, begins) in [
        ("a.txt", " dmremap"),
        ("a.json", "{\"schema\":\"dmremap/screen/1\""),
        ("a.svg", "<svg"),
    ] {
        let path = directory.path().join(name);
        seat.press_for(&format!(":export {}\r", path.display()), "is written");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(begins), "{name}: {text:.200}");
        assert!(text.contains("attic"), "{name}");
        seat.press_for(&format!(":export {}\r", path.display()), "exists");
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            text,
            "{name} was overwritten"
        );
    }
    // The key offers a name.
    seat.press_for("e", ":export dmremap-attic-overview.txt▏");
}

#[test]
fn the_first_ten_minutes_are_gone_through_step_by_step() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    let step = "\x0e";
    seat.press_for("t", "Drills to go through");
    seat.press_for(ENTER, "step 1 of 8");
    seat.press_for(step, "step 2 of 8");
    // The step is done with the usual keys as well as with the one for it.
    seat.press_for("x", "Corrupt copies of attic");
    seat.press_for("13", "[x] 1   [ ] 2   [x] 3");
    seat.press_for(ENTER, "Type attic to go on");
    seat.press_for("attic\r", "in the journal");
    seat.press_for(ENTER, "step 3 of 8");
    assert_eq!(lab.verdict("disk-d"), Verdict::Degraded);
    seat.press_for(step, "step 4 of 8");
    assert_eq!(lab.verdict("disk-d"), Verdict::Healthy);
    let before = lab.bytes("disk-d");
    seat.press_for(step, "Type attic to go on");
    seat.wait_for("weak");
    assert!(lab.bytes("disk-d") == before, "a plan writes nothing");
    seat.press_for("attic\r", "in the journal");
    seat.press_for(ENTER, "step 5 of 8");
    seat.press_for(step, "Type attic to go on");
    seat.press_for("attic\r", "in the journal");
    seat.press_for(ENTER, "step 6 of 8");
    assert!(lab.bytes("disk-d") == before, "not byte for byte");
    seat.press("\x07");
    seat.wait_without("step 6 of 8");
}

#[test]
fn a_stop_from_outside_gives_the_terminal_back_and_going_on_takes_it() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 80, 24);
    seat.signal(Signal::SIGTSTP);
    seat.wait_for_state('T');
    seat.wait_until("the shell's screen", |screen| {
        !screen.alternate_screen() && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
    });
    seat.signal(Signal::SIGCONT);
    seat.wait_until("our screen", |screen| {
        screen.alternate_screen() && screen.contents().contains("disk-")
    });
    // A stop that nobody was asked about.
    seat.signal(Signal::SIGSTOP);
    seat.wait_for_state('T');
    seat.signal(Signal::SIGCONT);
    seat.press_for("?", "Keys in the list");
    seat.press("qq");
    seat.wait_for_end();
    seat.check_given_back();
}

#[test]
fn a_storm_of_sizes_ends_in_one_whole_screen() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 80, 24);
    for round in 0..300_u16 {
        seat.resize(20 + round * 37 % 180, 3 + round * 17 % 60);
    }
    seat.resize(80, 24);
    seat.wait_until("a whole frame", |screen| {
        let text = screen.contents();
        let lines: Vec<&str> = text.lines().collect();
        lines.len() == 24 && lines[1].starts_with('╭') && lines[21].trim().ends_with('╯')
    });
    seat.press("q");
    assert!(seat.wait_for_end().success());
    seat.check_given_back();
}
