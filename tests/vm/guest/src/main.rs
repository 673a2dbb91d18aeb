//! Init of the guest: brings up what the tests need, runs them, says how each ended on
//! the console, and powers off.
//!
//! The host reads the console. A line that begins with `vm:` is for it: `vm: init` once
//! this program runs, `vm: ok NAME MILLIS` or `vm: FAILED NAME` for each test, and at the
//! end `vm: done PASSED FAILED`. What `vm: log` and `vm: note` say is for its reader. Asked to
//! measure instead, it says `vm: json` once. On the host, `init --list WORDS` names the tests that a
//! guest with these words on its kernel's command line runs.

mod application;
mod bench;
mod block;
mod checker;
mod crash;
mod disk;
mod dm;
mod file_system;
mod kernel_log;
mod known;
mod log_writes;
mod metadata;
mod modules;
mod race;
mod random;
#[path = "../../../../kmod/remap_core/mod.rs"]
pub mod remap_core;
mod screen;
mod shadow;
mod spare;
mod sys;
mod terminal;
mod tests;
mod witness;
mod worn;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::Instant;

use kernel_log::KernelLog;

/// Tests that passed and failed.
#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--list") {
        let words = arguments.next().unwrap_or_default();
        asked_for(&words).for_each(|(name, _)| println!("{name}"));
        return;
    }
    let mut counts = Counts::default();
    match prepare() {
        Ok(_) if sys::argument("dmremap.run") == "bench" => println!("vm: json {}", bench::run()),
        Ok(mut log) => run(&mut log, &mut counts),
        Err(error) => counts.fail("the guest's preparation", &[error.to_string()]),
    }
    println!("vm: done {} {}", counts.passed, counts.failed);
    sys::power_off();
}

impl Counts {
    /// One thing that is not as it must be, and why.
    fn fail(&mut self, what: &str, why: &[String]) {
        for line in why {
            println!("vm: log {line}");
        }
        println!("vm: FAILED {what}");
        self.failed += 1;
    }
}

/// Brings up what every test needs.
fn prepare() -> std::io::Result<KernelLog> {
    for (kind, at) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        sys::mount_kernel_file_system(kind, at)?;
    }
    // The kernel has the other one for what it says itself.
    sys::speak_on("/dev/ttyS0")?;
    // The firmware leaves a line unfinished.
    println!("\nvm: init");
    let mut log = KernelLog::open();
    log.skip();
    modules::load_all()?;
    sys::mount_kernel_file_system("configfs", "/sys/kernel/config")?;
    sys::mount_kernel_file_system("debugfs", "/sys/kernel/debug")?;
    // Devices come and go by the thousand, and each waits for grace periods.
    std::fs::write("/sys/kernel/rcu_expedited", "1")?;
    Ok(log)
}

/// Runs the tests that the kernel's command line asks this guest for.
fn run(log: &mut KernelLog, counts: &mut Counts) {
    std::panic::set_hook(Box::new(|panic| {
        for line in panic.to_string().lines() {
            println!("vm: log {line}");
        }
    }));
    let complaints = log.complaints();
    if !complaints.is_empty() {
        counts.fail("loading the modules", &complaints);
    }
    for (name, test) in asked_for(&sys::command_line()) {
        run_one(name, *test, log, counts);
    }
    let complaints = checker::look_back(log);
    if !complaints.is_empty() {
        counts.fail("the kernel's state afterwards", &complaints);
    }
}

/// The tests that a kernel's command line asks its guest for.
fn asked_for(line: &str) -> impl Iterator<Item = &'static tests::Named> {
    let part = sys::word(line, "dmremap.tests");
    let (only, without) = (
        sys::word(line, "dmremap.only"),
        sys::word(line, "dmremap.without"),
    );
    let wanted = move |name: &str| {
        let is_of = |kinds: &str| kinds.split(',').any(|kind| name.starts_with(kind));
        let chosen = only.is_empty() || is_of(&only);
        chosen && (without.is_empty() || !is_of(&without))
    };
    let tests = tests::of_machine(&sys::word(line, "dmremap.machine"));
    let matching = tests.filter(move |(name, _)| name.contains(&*part) && wanted(name));
    let (turn, turns) = turn(&sys::word(line, "dmremap.turn"));
    matching.skip(turn).step_by(turns)
}

/// Which of the guests this is, from 0, and how many share the tests.
fn turn(told: &str) -> (usize, usize) {
    let parsed = told.split_once('/').and_then(|(turn, turns)| {
        let turn: usize = turn.parse().ok()?;
        let turns: usize = turns.parse().ok()?;
        (1..=turns).contains(&turn).then(|| (turn - 1, turns))
    });
    parsed.unwrap_or((0, 1))
}

fn run_one(name: &str, test: tests::Test, log: &mut KernelLog, counts: &mut Counts) {
    println!("vm: begin {name}");
    let start = Instant::now();
    log.skip();
    let outcome = catch_unwind(AssertUnwindSafe(|| test(log)));
    let left = dm::remove_all();
    let mut why = log.complaints();
    if left > 0 {
        why.push(format!("{left} mapped devices were left behind"));
    }
    if outcome.is_ok() && why.is_empty() {
        println!("vm: ok {name} {}", start.elapsed().as_millis());
        counts.passed += 1;
    } else {
        counts.fail(name, &why);
    }
    disk::remove_all();
}
