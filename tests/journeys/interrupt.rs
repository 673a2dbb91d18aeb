//! Work that takes long, and everything that may come in its middle: a signal, the end of the
//! terminal, the wish to leave.

use std::fs::File;
use std::path::Path;

use dmremap::remap_core::quorum::Verdict;
use dmremap::sys::FileJournal;
use nix::sys::signal::Signal;

use crate::seat::{Seat, TestLab};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dmremap-tui");

/// A spare whose table takes far longer to be laid out than a key or a signal takes to come.
const LONG: u64 = 8 << 30;

/// A lab with a blank disk of that size, which has no bytes of its own.
fn lab_with_long_spare() -> TestLab {
    let lab = TestLab::new();
    let status = std::process::Command::new(PROGRAM)
        .args(["lab", lab.path().to_str().unwrap()])
        .output()
        .unwrap()
        .status;
    assert!(status.success());
    let image = File::create(lab.image("disk-z")).unwrap();
    image.set_len(LONG).unwrap();
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
