//! What a target does when: nothing while its table is loaded, a scrub soon after it came up
//! and then each time that it is due, repairs at growing distances.

use std::thread;
use std::time::{Duration, Instant};

use super::remapping::{joined, wait_for};
use super::{join, status, table, words, Test};
use crate::block::{Buffer, Device};
use crate::disk::{Disk, MIB};
use crate::dm::{Line, Mapped};
use crate::kernel_log::KernelLog;
use crate::remap_core::status::RepairStatus;
use crate::remap_core::units::Slot;

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("a-table-is-loaded-without-io", loads_without_io),
    ("scrubs-come-when-they-are-due", scrubs),
    ("a-suspend-waits-for-no-scrub", waits_for_no_scrub),
    ("repairs-back-off-and-give-up", backs_off),
];

fn loads_without_io(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    joined(&main, &spare).remove().unwrap();
    let accesses = || [&main, &spare].map(Disk::accesses);
    let before = accesses();
    let line = table(16 * MIB, words(&main, &spare));
    let mapped = Mapped::loaded("joined", &line).unwrap();
    assert_eq!(accesses(), before, "of main and the spare");
    mapped.resume().unwrap();
    let [main_now, spare_now] = accesses();
    assert_eq!(main_now, before[0], "main is not read to come up");
    assert!(spare_now > before[1], "the spare's metadata is");
    mapped.remove().unwrap();
}

fn scrubs(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    joined(&main, &spare).remove().unwrap();
    let begun = Instant::now();
    let with = |option: &str| {
        let line = table(16 * MIB, words(&main, &spare) + option);
        Mapped::create("joined", &line).unwrap()
    };
    let mapped = with(" 2 scrub_interval 1");
    wait_for(&mapped, "the first scrub", |told| told.scrubs >= 1);
    let first = begun.elapsed();
    assert!(first >= Duration::from_millis(100), "after {first:?}");
    wait_for(&mapped, "the third scrub", |told| told.scrubs >= 3);
    let third = begun.elapsed();
    assert!(third >= Duration::from_millis(2100), "after {third:?}");
    // None while it is suspended; what was due comes then.
    mapped.suspend().unwrap();
    let before = status(&mapped).scrubs;
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(status(&mapped).scrubs, before);
    mapped.resume().unwrap();
    wait_for(&mapped, "the scrub that was due", |told| {
        told.scrubs > before
    });
    mapped.remove().unwrap();
    let mapped = with(" 2 scrub_interval 0");
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(status(&mapped).scrubs, 0);
    mapped.message(0, "scrub").unwrap();
    assert_eq!(status(&mapped).scrubs, 1);
    mapped.remove().unwrap();
}

/// A device on which each access takes so many milliseconds.
fn slow(spare: &Disk, milliseconds: u64) -> [Line; 1] {
    [Line {
        start: 0,
        length: 48 * MIB,
        target: "delay",
        words: format!("{0} 0 {milliseconds} {0} 0 0", spare.word()),
    }]
}

fn waits_for_no_scrub(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(48));
    joined(&main, &spare).remove().unwrap();
    let beneath = Mapped::create("beneath", &slow(&spare, 0)).unwrap();
    let takes = |milliseconds| {
        beneath.load(&slow(&spare, milliseconds)).unwrap();
        beneath.suspend().unwrap();
        beneath.resume().unwrap();
    };
    let line = |option: &str| {
        let words = format!("{} {}{option}", main.word(), beneath.path().display());
        table(16 * MIB, words)
    };
    // A table of many blocks is read one after another.
    let mapped = Mapped::create("joined", &line(" 2 scrub_interval 0")).unwrap();
    let before = spare.accesses();
    mapped.message(0, "scrub").unwrap();
    let accesses = spare.accesses() - before;
    assert!(accesses > 20, "a scrub reads {accesses} times");
    mapped.remove().unwrap();
    // From the first scrub on a whole one takes a minute and more, and there is always one under way.
    let mapped = Mapped::create("joined", &line(" 2 scrub_interval 1")).unwrap();
    wait_for(&mapped, "the first scrub", |told| told.scrubs > 0);
    takes(3000);
    let (ended, before) = (status(&mapped).scrubs, spare.accesses());
    wait_for(&mapped, "a scrub", |_| spare.accesses() > before);
    mapped.suspend().unwrap();
    assert!(
        spare.accesses() - before < accesses / 2,
        "it waited for the scrub"
    );
    assert_eq!(status(&mapped).scrubs, ended);
    takes(0);
    mapped.resume().unwrap();
    let told = wait_for(&mapped, "the scrub that was cut short", |told| {
        told.scrubs > ended
    });
    assert_eq!(told.corruption_detected, 0);
    mapped.remove().unwrap();
    beneath.remove().unwrap();
}

fn backs_off(log: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let device = Device::open(spare.path());
    device
        .write(Slot::S2.sector().get(), &Buffer::sectors(1))
        .unwrap();
    mapped.message(0, "fault spare write 0 999999").unwrap();
    let begun = Instant::now();
    mapped.message(0, "scrub").unwrap();
    assert_eq!(status(&mapped).corruption_detected, 1);
    wait_for(&mapped, "the last attempt", |told| {
        told.repair == RepairStatus::GaveUp
    });
    let took = begun.elapsed();
    let least = Duration::from_secs(1 + 2 + 3 + 3 + 3);
    assert!(took >= least, "it gave up after {took:?}");
    let told = status(&mapped);
    assert_eq!((told.repair_attempts, told.repairs_completed), (5, 0));
    for attempt in 1..=5 {
        let said = format!("repair: attempt {attempt} in ");
        assert!(log.holds(&said), "the log does not say {said:?}");
    }
    assert!(log.holds("repair: gave up until the next scrub"));
    // The next scrub begins anew.
    mapped.message(0, "clear_faults").unwrap();
    mapped.message(0, "scrub").unwrap();
    let told = wait_for(&mapped, "the repair", |told| told.repairs_completed == 1);
    assert_eq!(told.repair_attempts, 6);
    mapped.remove().unwrap();
    join(&main, &spare).remove().unwrap();
}
