//! Runs in a machine that systemd and udev have started: sets devices up and has the machine
//! reset, or looks at what came up by itself after that.
//!
//! It says on the serial port what the host reads there, as the other guest's init does.

mod after;
mod before;
mod cold;
mod disks;
mod doctor;
mod journey;
mod machine;
#[path = "../screen.rs"]
mod screen;
#[path = "../terminal.rs"]
mod terminal;
mod wear;

use std::fs::OpenOptions;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::Instant;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("--list") {
        let tests = STAGES.iter().flat_map(|(_, tests)| tests.iter());
        tests.for_each(|(name, _)| println!("{name}"));
        return;
    }
    let port = OpenOptions::new().write(true).open("/dev/ttyS0");
    let port = port.expect("the host listens on a serial port");
    nix::unistd::dup2_stdout(&port).expect("it becomes standard output");
    println!("\nvm: init");
    std::panic::set_hook(Box::new(|panic| {
        for line in panic.to_string().lines() {
            println!("vm: log {line}");
        }
    }));
    let stage = machine::argument("dmremap.stage");
    // What udev still has before it is part of the start.
    machine::run("udevadm settle --timeout=120");
    let tests = STAGES.iter().find(|(name, _)| *name == stage);
    let (_, tests) = tests.expect("the host names a stage");
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in *tests {
        println!("vm: begin {name}");
        let start = Instant::now();
        match catch_unwind(AssertUnwindSafe(test)) {
            Ok(()) => {
                println!("vm: ok {name} {}", start.elapsed().as_millis());
                passed += 1;
            }
            Err(_) => {
                println!("vm: FAILED {name}");
                failed += 1;
            }
        }
    }
    if failed > 0 {
        machine::tell_journal();
    }
    println!("vm: done {passed} {failed}");
    match stage.as_str() {
        "before" => machine::reset(),
        _ => machine::power_off(),
    }
}

/// The tests of each start, by the name that the host has for it.
const STAGES: &[(&str, &[Named])] = &[
    ("before", before::TESTS),
    ("after", after::TESTS),
    ("cold-make", cold::MAKE),
    ("cold-start", cold::START),
    ("cold-alone", cold::ALONE),
];

/// A test, and the name that it is reported by.
type Named = (&'static str, fn());
