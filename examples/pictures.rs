//! Draws the pictures of the documentation: the real application on a new lab, with keys
//! pressed, as SVG files in `assets/`. `make pictures` runs it.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dmremap::lab::{Contents, Lab};
use dmremap::ops::Context;
use dmremap::sys::{FileJournal, ThisMachine};
use dmremap::tui::{Headless, Options};

/// What is pressed, what must be on the screen then, and the picture that is taken.
const SCENES: [(&str, &str, &str, &str); 4] = [
    (
        "down",
        "damaged",
        "overview",
        "vault: two of its five copies are damaged",
    ),
    (
        "tab",
        "WHY",
        "copies",
        "The five copies of vault, and the bytes of one",
    ),
    (
        "x 1 enter",
        "Type vault",
        "plan",
        "A plan before it is done",
    ),
    ("esc ?", "Keys in", "help", "The keys that work here"),
];

const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("lab");
    let platform = Arc::new(ThisMachine);
    let lab = Lab::open_or_create(&path, platform.clone(), Contents::Training)?;
    let context = Context {
        journal: Box::new(FileJournal::new(path.join("journal"))),
        platform,
        read_only: false,
    };
    let options = Options {
        ascii: false,
        colour: true,
        read_only: false,
    };
    let shown = Some("~/lab".to_owned());
    let mut seat = Headless::start(Box::new(lab), context, options, shown, (112, 32))?;
    // The last device is looked at last: then every row has its state.
    seat.wait_for("usb-e", PATIENCE)?;
    seat.press("G")?;
    seat.wait_for("plain", PATIENCE)?;
    seat.press("g")?;
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    for (keys, text, name, title) in SCENES {
        seat.press(keys)?;
        seat.wait_for(text, PATIENCE)?;
        fs::write(assets.join(format!("{name}.svg")), seat.svg(title))?;
    }
    Ok(())
}
