//! What is shared without locks, raced for from two processors.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::remapping::joined;
use super::{check_remaps, failing, lifecycle, remaps, status, table, Test};
use crate::block::Device;
use crate::disk::{Disk, MIB};
use crate::dm::{Line, Mapped};
use crate::kernel_log::{KernelLog, Quiet};
use crate::race::{stay_on, Race};
use crate::random::Random;
use crate::terminal::PATIENCE;
use crate::worn::Worn;

/// The tests of this file, for a guest with two processors.
pub const TESTS: &[(&str, Test)] = &[
    (
        "two-processors-lookups-and-relocation",
        lookups_race_relocation,
    ),
    (
        "two-processors-requests-and-late-writes",
        requests_race_late_writes,
    ),
    ("two-processors-suspends", suspends),
    ("two-processors-moves-under-flushes", moves_under_flushes),
    ("two-processors-many-errors-at-once", failing::many_at_once),
    (
        "two-processors-removal-in-flight",
        lifecycle::removal_in_flight,
    ),
];

/// Sectors that are raced for.
const RACED: u64 = 2048;

fn two_are_online() {
    let online = fs::read_to_string("/sys/devices/system/cpu/online");
    assert_eq!(online.expect("sysfs tells").trim(), "0-1", "processors");
}

fn join_at(main: &str, sectors: u64, spare: &Disk) -> Mapped {
    let words = format!("{main} {}", spare.word());
    let mapped = Mapped::create("joined", &table(sectors, words));
    mapped.expect("main and spare are joined")
}

/// Reads and writes race with failing writes that move blocks, with scrubs and with
/// status calls.
fn lookups_race_relocation(_: &mut KernelLog) {
    two_are_online();
    let _quiet = Quiet::new();
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mut worn = Worn::over(main.path());
    let path = worn.path().display().to_string();
    let mapped = join_at(&path, worn.sectors(), &spare);
    mapped.message(0, "write_metadata").unwrap();
    let race = Race::over(&mapped.path(), RACED);
    let mut random = Random::new(17);
    let mut scrubs = 0;
    let enough = || status(&mapped).active.get() > 100 && race.requests() > 1000;
    let start = Instant::now();
    let requests = race.run(|| {
        thread::scope(|scope| {
            let looks = scope.spawn(|| {
                stay_on(1);
                while scrubs < 4 || !enough() {
                    mapped.message(0, "scrub").unwrap();
                    scrubs += 1;
                }
            });
            stay_on(0);
            while !looks.is_finished() {
                let places = (0..8).map(|_| (random.below(RACED), 1 + random.below(4)));
                worn.wear(places.collect::<Vec<_>>().into_iter());
                thread::sleep(Duration::from_millis(100));
                assert!(start.elapsed() < PATIENCE, "{}", status(&mapped));
            }
            looks.join().expect("it obeys");
        });
    });
    let moved: Vec<u64> = remaps(&mapped)
        .iter()
        .map(|line| line.block.get())
        .collect();
    let told = status(&mapped);
    assert_eq!(
        (told.corruption_detected, told.read_errors),
        (0, 0),
        "{told}"
    );
    println!(
        "vm: note {requests} requests raced {} moves and {scrubs} scrubs",
        moved.len()
    );
    mapped.remove().unwrap();
    let mapped = join_at(&path, worn.sectors(), &spare);
    check_remaps(&mapped, &moved, &[]);
    mapped.remove().unwrap();
    worn.remove();
}

/// Blocks that work are moved on request while writes to them are on their way, which end
/// late and on another processor than they began on. What is copied must have them.
fn requests_race_late_writes(_: &mut KernelLog) {
    two_are_online();
    let _quiet = Quiet::new();
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let line = Line {
        start: 0,
        length: 16 * MIB,
        target: "delay",
        words: format!("{0} 0 0 {0} 0 3 {0} 0 0", main.word()),
    };
    let late = Mapped::create("late", &[line]).expect("writes are delayed");
    let mapped = join_at(&late.path().display().to_string(), 16 * MIB, &spare);
    mapped.message(0, "write_metadata").unwrap();
    let race = Race::over(&mapped.path(), 256);
    let mut moved = 0;
    let requests = race.run(|| {
        // All the blocks that the race is for, in another order.
        for nth in 0..256 {
            mapped
                .message(0, &format!("remap {}", nth * 37 % 256))
                .unwrap();
            moved += 1;
        }
    });
    assert_eq!(status(&mapped).active.get(), moved);
    assert!(requests > 100, "{requests} requests");
    let all: Vec<u64> = (0..256).collect();
    check_remaps(&mapped, &all, &[]);
    mapped.remove().unwrap();
    late.remove().unwrap();
}

/// Blocks are moved on request while somebody flushes all the time: whatever waits for requests on
/// their way waits for those alone that were there before.
fn moves_under_flushes(_: &mut KernelLog) {
    two_are_online();
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let moved = AtomicBool::new(false);
    let flushes = thread::scope(|scope| {
        let flushing = scope.spawn(|| {
            stay_on(1);
            let device = Device::open(&mapped.path());
            let mut flushes = 0u64;
            while !moved.load(Ordering::Relaxed) {
                device.flush().unwrap();
                device.discard(8 * MIB, 8).unwrap_err();
                flushes += 1;
            }
            flushes
        });
        stay_on(0);
        for block in 0..200 {
            mapped.message(0, &format!("remap {block}")).unwrap();
        }
        moved.store(true, Ordering::Relaxed);
        flushing.join().expect("every flush succeeds")
    });
    assert!(flushes > 20, "{flushes} flushes");
    assert_eq!(status(&mapped).active.get(), 200);
    mapped.remove().unwrap();
}

/// Suspends and new tables, while both processors read and write and blocks are moved.
fn suspends(_: &mut KernelLog) {
    two_are_online();
    let _quiet = Quiet::new();
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let race = Race::over(&mapped.path(), RACED);
    let requests = race.run(|| {
        for cycle in 0..200 {
            if cycle % 4 == 0 {
                mapped
                    .message(0, &format!("remap {}", cycle * 7 % RACED))
                    .unwrap();
            }
            mapped.suspend().unwrap();
            if cycle % 20 == 0 {
                mapped
                    .load(&table(16 * MIB, super::words(&main, &spare)))
                    .unwrap();
            }
            mapped.resume().unwrap();
        }
    });
    assert!(requests > 100, "{requests} requests");
    assert_eq!(status(&mapped).active.get(), 50);
    mapped.remove().unwrap();
}
