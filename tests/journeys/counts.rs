//! What the target counts, on the screen and from one run to the next.

use std::fs;
use std::path::Path;

use crate::seat::{Seat, TestLab, ENTER, ESC};

/// The history that is kept of a device.
fn samples(lab: &TestLab, name: &str) -> Vec<serde_json::Value> {
    let path = lab.path().join("history").join(format!("{name}.json"));
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(kept["schema"], "dmremap/history/1");
    kept["samples"].as_array().unwrap().clone()
}

/// The count of scrubs on the page of counters.
fn scrubs_on(screen: &vt100::Screen) -> Option<u64> {
    let text = screen.contents();
    let row = text.lines().find_map(|line| line.split_once("scrubs "))?.1;
    row.split_whitespace().next()?.replace(',', "").parse().ok()
}

#[test]
fn a_drill_shows_in_the_counters_and_is_remembered_by_the_next_run() {
    let lab = TestLab::new();
    let mut seat = Seat::open_lab(&lab.path(), 120, 40);
    seat.choose("attic");
    seat.press_for("6", "corruption detected");
    seat.wait_for("nothing to repair");
    seat.press_for("x", "Corrupt copies of attic");
    seat.press_for("02", "[x] 0   [ ] 1   [x] 2");
    seat.press_for(ENTER, "Type attic to go on");
    seat.press_for("attic", "go on: attic");
    seat.press_for(ENTER, "in the journal");
    seat.press(ENTER);
    seat.press_for("s", "attempt 1 of 5; they wait 1, 2, 3, 3, 3 s");
    seat.wait_for("nothing to repair; last repaired");
    seat.press_for(ENTER, "list");
    seat.press_for("j", "corruption detected, new in each");
    seat.press_for("j", "repairs completed, new in each");
    // The page of events tells the same, and what it means.
    seat.press_for("4", "scrub: damage in 2 of 5 copies");
    seat.press_for("i", "warnings and worse");
    seat.wait_without("attic        · ");
    seat.wait_for("warning corruption-detected");
    seat.wait_for("do not hold what they should");
    seat.press(ESC);
    seat.press("q");
    assert!(seat.wait_for_end().success());
    let kept = samples(&lab, "attic");
    let last = kept.last().unwrap();
    assert_eq!(last["corruption_detected"], 1);
    assert_eq!(last["repairs_completed"], 1);
    // The next run adds to it.
    let program = Path::new(env!("CARGO_BIN_EXE_dmremap-tui"));
    let path = lab.path();
    let mut seat = Seat::run(program, &["lab", path.to_str().unwrap()], 80, 24);
    seat.wait_for("disk-");
    seat.choose("attic");
    seat.press_for("6", "LAST 1 h");
    seat.wait_until("the rise of the run before", |screen| {
        let text = screen.contents();
        let mut lines = text.lines();
        lines.any(|line| line.contains("repairs completed") && line.contains("+1"))
    });
    seat.press("s");
    seat.wait_until("one scrub more", |screen| {
        scrubs_on(screen) > last["scrubs"].as_u64()
    });
    seat.press("q");
    assert!(seat.wait_for_end().success());
    let more = samples(&lab, "attic");
    assert_eq!(more[..kept.len() - 1], kept[..kept.len() - 1]);
    assert!(more.last().unwrap()["scrubs"].as_u64() > last["scrubs"].as_u64());
}
