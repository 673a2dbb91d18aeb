//! What a kernel that looks for its own mistakes has found when the tests are over.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::kernel_log::KernelLog;
use crate::{modules, sys};

const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";

/// Unloads the module, and returns what is wrong with what it leaves behind. Says which
/// of the kernel's own checks were on, if any.
pub fn look_back(log: &mut KernelLog) -> Vec<String> {
    log.skip();
    let mut wrong = Vec::new();
    if let Err(error) = modules::unload("dm_remap_v4") {
        wrong.push(format!("the module cannot be unloaded: {error}"));
    }
    wrong.extend(locks());
    wrong.extend(leaks());
    wrong.extend(log.complaints());
    wrong
}

/// After its first report lockdep says nothing more, so it must be on to the end.
fn locks() -> Option<String> {
    let stats = fs::read_to_string("/proc/lockdep_stats").ok()?;
    let on = stats
        .lines()
        .find_map(|line| line.trim().strip_prefix("debug_locks:"))
        .is_some_and(|value| value.trim() == "1");
    if on {
        println!("vm: note lockdep was on to the end");
    }
    (!on).then(|| "lockdep is off".to_owned())
}

/// Memory that nothing points to any more.
fn leaks() -> Vec<String> {
    if !Path::new(KMEMLEAK).exists() || sys::argument("kmemleak") == "off" {
        return Vec::new();
    }
    // Young memory is passed over, for its pointer may still be in a register.
    thread::sleep(Duration::from_secs(6));
    for _ in 0..2 {
        fs::write(KMEMLEAK, "scan").expect("kmemleak scans on request");
    }
    let found = fs::read_to_string(KMEMLEAK).expect("kmemleak tells what it found");
    if found.is_empty() {
        println!("vm: note kmemleak found nothing");
    }
    found.lines().map(str::to_owned).collect()
}
