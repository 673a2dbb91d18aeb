//! What an operator does at the screen, in either guest.

use crate::terminal::{Terminal, ENTER};

/// All five copies of a device, when nothing is wrong with them.
pub const ALL_GOOD: &str = "■0 ■1 ■2 ■3 ■4";

/// Opens the wizard and chooses main and the spare by their nodes' names.
pub fn choose(terminal: &mut Terminal, main: &str, spare: &str) {
    terminal.press_for("n", "1 of 4");
    terminal.point_at(main);
    terminal.press_for(ENTER, &format!("2 of 4: a spare for {main}"));
    terminal.point_at(spare);
    terminal.press_for(ENTER, "3 of 4");
    terminal.wait_for(&format!("main {main}, spare {spare}"));
}

/// Gives the device that was chosen its name, and reads the plan.
pub fn plan_create(terminal: &mut Terminal, name: &str) {
    terminal.press_for(name, &format!("{name}▏"));
    terminal.press_for(ENTER, &format!("Type {name} to go on"));
    terminal.wait_for("0..512  copy 0");
}

/// Types the name that a plan asks for, and has it carried out until the screen says `done`.
pub fn confirm(terminal: &mut Terminal, name: &str, done: &str) {
    terminal.press_for(name, &format!("go on: {name}"));
    terminal.press_for(ENTER, done);
}

/// Asks for a drill on copies 1 and 3 of the chosen device, which is up, and reads the plan.
pub fn plan_drill(terminal: &mut Terminal, name: &str) {
    terminal.press_for("1", ALL_GOOD);
    terminal.press_for("x", &format!("Corrupt copies of {name}"));
    terminal.press_for("13", "[x] 1   [ ] 2   [x] 3");
    terminal.press_for("j", "degraded");
    terminal.press_for(ENTER, &format!("Type {name} to go on"));
    terminal.wait_for("--copy 1,3 --kind random");
}

/// Carries that plan out, and watches the kernel heal what it damaged. `look` is called while
/// it is damaged.
pub fn drill(terminal: &mut Terminal, name: &str, look: impl FnOnce()) {
    confirm(terminal, name, "in the journal");
    look();
    terminal.press(ENTER);
    terminal.wait_for("■0 ✖1 ■2 ✖3 ■4");
    terminal.press_for("s", ALL_GOOD);
}
