//! Init of the guest: brings up what the tests need, runs them, says how each ended on
//! the console, and powers off.
//!
//! The host reads the console. A line that begins with `vm:` is for it:
//! `vm: ok NAME MILLIS`, `vm: FAILED NAME`, and at the end `vm: done PASSED FAILED`.

mod block;
mod disk;
mod dm;
mod kernel_log;
mod modules;
#[path = "../../../../kmod/remap_core/mod.rs"]
pub mod remap_core;
mod sys;
mod tests;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::Instant;

use kernel_log::KernelLog;

fn main() {
    let (passed, failed) = match prepare() {
        Ok(()) => run(&sys::test_filter()),
        Err(error) => {
            println!("vm: FAILED preparing the guest: {error}");
            (0, 1)
        }
    };
    println!("vm: done {passed} {failed}");
    sys::power_off();
}

/// Brings up what every test needs.
fn prepare() -> std::io::Result<()> {
    for (kind, at) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        sys::mount_kernel_file_system(kind, at)?;
    }
    modules::load_all()?;
    sys::mount_kernel_file_system("configfs", "/sys/kernel/config")
}

/// Runs every test whose name holds `filter`; returns how many passed and failed.
fn run(filter: &str) -> (usize, usize) {
    std::panic::set_hook(Box::new(|panic| {
        for line in panic.to_string().lines() {
            println!("vm: log {line}");
        }
    }));
    let mut log = KernelLog::open();
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests::ALL.iter().filter(|(name, _)| name.contains(filter)) {
        println!("vm: begin {name}");
        let start = Instant::now();
        log.skip();
        let outcome = catch_unwind(AssertUnwindSafe(|| test(&mut log)));
        let left = dm::remove_all();
        let complaints = log.complaints();
        for line in &complaints {
            println!("vm: log {line}");
        }
        if outcome.is_ok() && left == 0 && complaints.is_empty() {
            println!("vm: ok {name} {}", start.elapsed().as_millis());
            passed += 1;
        } else {
            if left > 0 {
                println!("vm: log {left} mapped devices were left behind");
            }
            println!("vm: FAILED {name}");
            failed += 1;
        }
        disk::remove_all();
    }
    (passed, failed)
}
