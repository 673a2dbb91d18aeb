//! From a key to the updated screen, with a thousand devices and a hundred thousand remaps.

use std::path::Path;

use portable_pty::CommandBuilder;
use serde_json::{json, Value};

use crate::pty::Running;
use crate::remapped::{self, REMAPS};

/// What is done, the keys for it, and how often they are pressed.
const SCENES: &[(&str, &[&str], usize)] = &[
    (
        "moving in the list",
        &["j", "j", "j", "k", "\x04", "\x15", "G", "g"],
        30,
    ),
    (
        "typing a filter",
        &["/", "s", "p", "a", "r", "e", "-", "0", "\x7f", "\x1b"],
        20,
    ),
    ("sorting the list", &["o", "O"], 20),
    ("turning pages", &["1", "2", "3", "4", "5", "6"], 25),
    (
        "moving in the table of remaps",
        &["3", "\r", "j", "j", "\x04", "\x15", "G", "g", "\x1b"],
        20,
    ),
    ("sorting the remaps", &["o"], 40),
    (
        "searching the remaps",
        &["/", "7", "7", "1", "\x7f", "\x1b"],
        20,
    ),
    (
        "zooming the map",
        &[
            "\r", "\r", "+", "+", "n", "l", "j", "-", "-", "\x1b", "\x1b",
        ],
        20,
    ),
    ("reading help and settings", &["?", "\x1b", ",", "\x1b"], 15),
];

/// Keys before anything is measured, so that the first look at everything is over.
const WARM: usize = 30;

/// Presses keys in the application on `lab`, which gets the device with the remaps.
pub(crate) fn bench(binary: &Path, lab: &Path) -> Value {
    remapped::add(binary, lab);
    let mut command = CommandBuilder::new(binary);
    command.arg("lab");
    command.arg(lab);
    let mut running = Running::start(command);
    running.wait_for("aged");
    running.press("g");
    running.press("j");
    running.press("3");
    running.wait_for("96,666 blocks moved");
    running.press("1");
    (0..WARM).for_each(|_| {
        running.press("j");
    });
    println!("\nfrom a key to the updated screen, {REMAPS} remaps, 120x40");
    let mut all: (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut scenes = serde_json::Map::new();
    for (title, keys, rounds) in SCENES {
        let mut frames = Vec::new();
        for key in (0..*rounds).flat_map(|_| *keys) {
            let seen = running.press(key);
            frames.extend(seen.frame.map(|time| time.as_secs_f64() * 1e3));
            all.1
                .extend(seen.settled.map(|time| time.as_secs_f64() * 1e3));
        }
        let (median, p99) = (percentile(&mut frames, 50), percentile(&mut frames, 99));
        println!(
            "  {title:<30} {median:>8.3} ms, 99th percentile {p99:>8.3} ms, {} keys",
            frames.len()
        );
        scenes.insert(
            (*title).to_owned(),
            json!({ "median_ms": median, "p99_ms": p99, "keys": frames.len() }),
        );
        all.0.extend(frames);
    }
    let (mut frames, mut settled) = all;
    let [median, p99, settled] = [
        percentile(&mut frames, 50),
        percentile(&mut frames, 99),
        percentile(&mut settled, 99),
    ];
    println!(
        "  {:<30} {median:>8.3} ms, 99th percentile {p99:>8.3} ms, {} keys",
        "all of them",
        frames.len()
    );
    println!("  until nothing follows any more           99th percentile {settled:>8.3} ms");
    json!({
        "remaps": REMAPS,
        "keys": frames.len(),
        "median_ms": median,
        "p99_ms": p99,
        "settled_p99_ms": settled,
        "scenes": scenes,
    })
}

/// How often each of the two arrows is pressed in each application.
const ARROWS: usize = 100;

/// From an arrow to the updated screen, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Arrows {
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

/// Presses the arrows, which move in a list of each application that is measured. Where an
/// application draws by a clock as well, now and then that is what is seen first.
pub(crate) fn arrows(mut running: Running) -> Arrows {
    (0..WARM).for_each(|_| {
        running.press("\x1b[B");
    });
    let keys = (0..ARROWS).flat_map(|_| ["\x1b[B", "\x1b[A"]);
    let seen = keys.filter_map(|key| running.press(key).frame);
    let mut frames: Vec<f64> = seen.map(|time| time.as_secs_f64() * 1e3).collect();
    assert!(!frames.is_empty(), "an arrow changes what is shown");
    Arrows {
        median: percentile(&mut frames, 50),
        p99: percentile(&mut frames, 99),
    }
}

/// The value that so many percent of `values` do not go beyond.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() * percent).div_ceil(100);
    values[place.saturating_sub(1)]
}
