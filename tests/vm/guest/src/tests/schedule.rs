//! What a target does when: nothing while its table is loaded, a scrub soon after it came up
//! and then each time that it is due, repairs at growing distances.

use std::thread;
use std::time::{Duration, Instant};

use nix::libc;

use super::remapping::{joined, wait_for};
use super::{join, status, table, words, Test};
use crate::block::{Buffer, Device};
use crate::disk::{Disk, MIB};
use crate::dm::{Line, Mapped};
use crate::kernel_log::KernelLog;
use crate::remap_core::status::{Mode, RepairStatus};
use crate::remap_core::units::Slot;

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("a-table-is-loaded-without-io", loads_without_io),
    ("scrubs-come-when-they-are-due", scrubs),
    ("a-suspend-waits-for-no-scrub", waits_for_no_scrub),
    ("a-suspend-waits-for-no-layout", waits_for_no_layout),
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
    assert_eq!(main_now, before[0] + 2, "main is read for labels alone");
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

/// A device whose spare becomes slow at a word.
struct OverSlowSpare {
    main: Disk,
    spare: Disk,
    beneath: Mapped,
}

impl OverSlowSpare {
    fn new() -> Self {
        let (main, spare) = (Disk::of_mib(16), Disk::of_mib(48));
        let beneath = Mapped::create("beneath", &slow(&spare, 0)).unwrap();
        Self {
            main,
            spare,
            beneath,
        }
    }

    fn up(&self, option: &str) -> Mapped {
        let words = format!(
            "{} {}{option}",
            self.main.word(),
            self.beneath.path().display()
        );
        Mapped::create("joined", &table(16 * MIB, words)).unwrap()
    }

    /// Lets each access take so many milliseconds from now on.
    fn takes(&self, milliseconds: u64) {
        self.beneath.load(&slow(&self.spare, milliseconds)).unwrap();
        self.beneath.suspend().unwrap();
        self.beneath.resume().unwrap();
    }

    /// Accesses to the spare while `what` is done.
    fn accesses(&self, what: impl FnOnce()) -> u64 {
        let before = self.spare.accesses();
        what();
        self.spare.accesses() - before
    }

    /// A device that is always at a scrub, each of which takes a minute and more; and the number of
    /// accesses in one.
    fn at_a_scrub(&self, milliseconds: u64) -> (Mapped, u64) {
        joined(&self.main, &self.spare).remove().unwrap();
        // A table of many blocks is read one after another.
        let mapped = self.up(" 2 scrub_interval 0");
        let accesses = self.accesses(|| drop(mapped.message(0, "scrub").unwrap()));
        assert!(accesses > 20, "a scrub reads {accesses} times");
        mapped.remove().unwrap();
        let mapped = self.up(" 2 scrub_interval 1");
        wait_for(&mapped, "the first scrub", |told| told.scrubs > 0);
        self.takes(milliseconds);
        let before = self.spare.accesses();
        wait_for(&mapped, "a scrub", |_| self.spare.accesses() > before);
        (mapped, accesses)
    }

    fn remove(self, mapped: &Mapped) {
        self.takes(0);
        mapped.remove().unwrap();
        self.beneath.remove().unwrap();
    }
}

fn waits_for_no_layout(_: &mut KernelLog) {
    let on = OverSlowSpare::new();
    let mapped = on.up(" 2 scrub_interval 0");
    let whole = on.accesses(|| drop(mapped.message(0, "write_metadata").unwrap()));
    assert!(whole > 12, "a layout takes {whole} accesses");
    mapped.remove().unwrap();
    let blank = Device::open(on.spare.path());
    blank.write(0, &Buffer::sectors(48 * MIB)).unwrap();
    let mapped = on.up(" 2 scrub_interval 0");
    on.takes(3000);
    let before = on.spare.accesses();
    thread::scope(|scope| {
        let layout = scope.spawn(|| mapped.message(0, "write_metadata"));
        wait_for(&mapped, "the layout", |_| on.spare.accesses() > before);
        mapped.suspend().unwrap();
        let accesses = on.spare.accesses() - before;
        assert!(accesses < whole / 2, "{accesses} of {whole} accesses");
        on.takes(0);
        let refused = layout.join().expect("no panic").unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EAGAIN), "{refused}");
    });
    // Asked again, it is laid out.
    mapped.resume().unwrap();
    mapped.message(0, "write_metadata").unwrap();
    assert_eq!(status(&mapped).mode, Mode::ReadWrite);
    on.remove(&mapped);
}

fn waits_for_no_scrub(_: &mut KernelLog) {
    let on = OverSlowSpare::new();
    let (mapped, accesses) = on.at_a_scrub(3000);
    let (ended, before) = (status(&mapped).scrubs, on.spare.accesses());
    mapped.suspend().unwrap();
    assert!(
        on.spare.accesses() - before < accesses / 2,
        "it waited for the scrub"
    );
    assert_eq!(status(&mapped).scrubs, ended);
    on.takes(0);
    mapped.resume().unwrap();
    let told = wait_for(&mapped, "the scrub that was cut short", |told| {
        told.scrubs > ended
    });
    assert_eq!(told.corruption_detected, 0);
    on.remove(&mapped);
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
