//! Settings that are changed on the screen, and what the file says afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::seat::{Seat, TestLab};

/// Opens a lab with a home of one's own, where the settings file is looked for.
fn open_at(home: &Path, lab: &TestLab, words: &[&str], more: &[(&str, &str)]) -> Seat {
    let program = Path::new(env!("CARGO_BIN_EXE_dmremap-tui"));
    let path = lab.path();
    let mut arguments = vec!["lab", path.to_str().unwrap()];
    arguments.extend(words);
    let config = home.join("config");
    let mut environment = BTreeMap::from([("XDG_CONFIG_HOME", config.to_str().unwrap())]);
    environment.extend(more.iter().copied());
    let seat = Seat::run_with(program, &arguments, 100, 30, &environment);
    seat.wait_for("disk-");
    seat
}

fn file_of(home: &Path) -> PathBuf {
    home.join("config/dmremap/config.toml")
}

fn leave(mut seat: Seat) {
    seat.press("\x1b");
    seat.wait_without("Saved in");
    seat.press("q");
    assert!(seat.wait_for_end().success());
    seat.check_given_back();
}

#[test]
fn a_theme_that_is_saved_is_there_at_the_next_start() {
    let lab = TestLab::new();
    let home = tempfile::tempdir().unwrap();
    // There is no file yet: it is made from the template, which explains every line of it.
    let mut seat = open_at(home.path(), &lab, &[], &[]);
    seat.press_for(",", "w makes it");
    seat.press_for("l", "not saved");
    seat.press_for("w", "Saved in /");
    seat.wait_without("not saved");
    leave(seat);
    let file = file_of(home.path());
    let made = fs::read_to_string(&file).unwrap();
    assert_eq!(
        made.lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .collect::<Vec<_>>(),
        ["theme = \"dark\""]
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(file.parent().unwrap()), mode(&file)), (0o700, 0o644));

    // A file of the operator's own keeps every byte but the value.
    let own = "# Mine.\n\ntheme = 'dark' # at night\n\n[keys] # few\nscrub = \"S\"\n\n[themes.x]\nbase = \"light\"\n";
    fs::write(&file, own).unwrap();
    let mut seat = open_at(home.path(), &lab, &[], &[]);
    seat.press_for(",", "[keys], line 5");
    seat.wait_for("Theme       dark");
    seat.press_for("l", "Theme       light");
    seat.press_for("w", "Saved in /");
    leave(seat);
    let now = fs::read_to_string(&file).unwrap();
    assert_eq!(now, own.replace("'dark'", "\"light\""));
    let mut seat = open_at(home.path(), &lab, &[], &[]);
    seat.press_for(",", "Theme       light");
    seat.press_for("w", "says so already");
    assert_eq!(fs::read_to_string(&file).unwrap(), now);
}

#[test]
fn what_an_option_or_a_variable_decides_is_told_and_not_written() {
    let lab = TestLab::new();
    let home = tempfile::tempdir().unwrap();
    let variables = [("DMREMAP_THEME", "light"), ("NO_COLOR", "1")];
    let mut seat = open_at(home.path(), &lab, &["--utc"], &variables);
    seat.press_for(",", "set by DMREMAP_THEME, not saved");
    seat.wait_for("set by NO_COLOR, not saved");
    seat.wait_for("set by --utc, not saved");
    // The order of the list is the file's to say.
    seat.press_for("jjjjl", "size");
    seat.press_for("w", "Saved in /");
    leave(seat);
    let text = fs::read_to_string(file_of(home.path())).unwrap();
    let said = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    assert_eq!(said.collect::<Vec<_>>(), ["sort = \"size\""]);
}

#[test]
fn a_file_that_cannot_be_written_stays_as_it_was_and_that_is_said() {
    let lab = TestLab::new();
    let home = tempfile::tempdir().unwrap();
    let file = file_of(home.path());
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "utc = true\n").unwrap();
    let mut seat = open_at(home.path(), &lab, &[], &[]);
    // Somebody breaks it meanwhile.
    fs::write(&file, "utc = \n").unwrap();
    seat.press_for(",l", "not saved");
    seat.press_for("w", "Not saved, and nothing changed.");
    seat.wait_for("line 1");
    assert_eq!(fs::read_to_string(&file).unwrap(), "utc = \n");
    // A directory in the place of the file: also root cannot write then.
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    seat.press("k");
    seat.wait_without("Not saved");
    seat.press_for("w", "Not saved, and nothing changed.");
    seat.wait_for("it is a directory");
    assert!(file.is_dir());
    seat.press("\x03");
    assert!(seat.wait_for_end().success());
    seat.check_given_back();
}
