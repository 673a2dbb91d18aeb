//! A spare with metadata: bad blocks of main are served from it.

use std::thread;
use std::time::{Duration, Instant};

use nix::libc;

use super::{join, status};
use crate::block::{Buffer, Device};
use crate::disk::{Disk, MIB};
use crate::dm::Mapped;
use crate::kernel_log::KernelLog;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::status::{Mode, Status};
use crate::terminal::PATIENCE;

/// Joins two disks and writes metadata to the spare.
pub fn joined(main: &Disk, spare: &Disk) -> Mapped {
    let mapped = join(main, spare);
    mapped.message(0, "write_metadata").unwrap();
    mapped
}

/// Waits until the status satisfies `test`.
pub fn wait_for(mapped: &Mapped, what: &str, test: impl Fn(&Status) -> bool) -> Status {
    let patience = Instant::now() + PATIENCE;
    loop {
        let now = status(mapped);
        if test(&now) {
            return now;
        }
        assert!(Instant::now() < patience, "waiting for {what}: {now}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Damage that stays as long as this lives. A repair comes a second after a scrub, which may be
/// before anybody looks; here none succeeds.
pub struct Unhealed<'a>(&'a Mapped);

impl<'a> Unhealed<'a> {
    /// Lets no write to the spare through, once the first scrub is over, which would find by itself
    /// what is damaged later.
    pub fn hold(mapped: &'a Mapped) -> Self {
        wait_for(mapped, "the first scrub", |told| told.scrubs > 0);
        mapped.message(0, "fault spare write 0 99999999").unwrap();
        Self(mapped)
    }

    /// Lets writes through again. The next repair heals.
    pub fn release(self) {
        self.0.message(0, "clear_faults").unwrap();
    }
}

pub fn metadata_is_written_on_request(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let told = status(&mapped);
    assert_eq!(
        (told.mode, told.verdict, told.sequence.get()),
        (Mode::ReadWrite, Verdict::Healthy, 1)
    );
    assert!(told.total.get() > 20_000, "{told}");
    mapped.message(0, "write_metadata").unwrap();
    assert_eq!(status(&mapped).sequence.get(), 2);
    mapped.remove().unwrap();
    // Again: found, and no longer a pass-through.
    let mapped = join(&main, &spare);
    let told = status(&mapped);
    assert_eq!(
        (told.mode, told.verdict, told.sequence.get()),
        (Mode::ReadWrite, Verdict::Healthy, 2)
    );
    mapped.remove().unwrap();
}

pub fn writes_to_bad_blocks_succeed(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let device = Device::open(&mapped.path());
    device.write_pattern(0, 128, 1).unwrap();
    main.spoil(17, 3);
    main.spoil(40, 1);
    device.write_pattern(0, 128, 2).unwrap();
    device.check_pattern(0, 128, 2);
    let told = status(&mapped);
    assert_eq!((told.active.get(), told.pending.get()), (4, 0), "{told}");
    assert_eq!(told.write_errors, 4, "{told}");
    for (at, count) in [(17, 1), (16, 8), (19, 1), (18, 30)] {
        device.write_pattern(at, count, 3).unwrap();
        device.check_pattern(at, count, 3);
    }
    assert_eq!(status(&mapped).active.get(), 4);
    drop(device);
    mapped.remove().unwrap();
    let mapped = join(&main, &spare);
    assert_eq!(status(&mapped).active.get(), 4);
    let device = Device::open(&mapped.path());
    device.check_pattern(0, 16, 2);
    device.check_pattern(16, 32, 3);
    device.check_pattern(48, 80, 2);
    assert_eq!(
        mapped.message(0, "remaps 18").unwrap().unwrap(),
        "18 1 active 1\n19 2 active 1\n40 3 active 1\n"
    );
    drop(device);
    mapped.remove().unwrap();
}

pub fn lost_blocks_are_errors_until_written(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let device = Device::open(&mapped.path());
    device.write_pattern(0, 64, 1).unwrap();
    main.spoil(20, 2);
    let error = device.read(16, &mut Buffer::sectors(8)).expect_err("read");
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    let told = status(&mapped);
    assert_eq!((told.active.get(), told.pending.get()), (0, 2), "{told}");
    device.check_pattern(16, 4, 1);
    device.check_pattern(22, 2, 1);
    for at in [20, 21] {
        device.read(at, &mut Buffer::sectors(1)).expect_err("lost");
    }
    device.write_pattern(20, 1, 2).unwrap();
    let told = status(&mapped);
    assert_eq!((told.active.get(), told.pending.get()), (1, 1), "{told}");
    device.check_pattern(20, 1, 2);
    device.read(21, &mut Buffer::sectors(1)).expect_err("lost");
    device.write_pattern(0, 64, 3).unwrap();
    device.check_pattern(0, 64, 3);
    drop(device);
    mapped.remove().unwrap();
}

pub fn damaged_copies_are_healed(log: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    mapped.remove().unwrap();
    let device = Device::open(spare.path());
    for at in [0, 2048] {
        device.write(at, &Buffer::sectors(1)).unwrap();
    }
    drop(device);
    let mapped = join(&main, &spare);
    assert_eq!(mapped.came_up_with(log), Verdict::Degraded.name());
    let told = wait_for(&mapped, "repair", |told| told.repairs_completed > 0);
    assert_eq!(told.verdict, Verdict::Healthy);
    assert!(
        told.corruption_detected >= 1 && told.repair_attempts == 1,
        "{told}"
    );
    mapped.remove().unwrap();
}

pub fn damaged_table_blocks_are_healed(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    main.spoil(100, 1);
    let device = Device::open(&mapped.path());
    device.write_pattern(96, 8, 1).unwrap();
    // The first scrub would find the damage while it is being done.
    wait_for(&mapped, "the first scrub", |told| told.scrubs > 0);
    // The first table block of region A, behind its header.
    let raw = Device::open(spare.path());
    raw.write(8200 + 8, &Buffer::sectors(8)).unwrap();
    raw.write(8200, &Buffer::sectors(8)).unwrap();
    mapped.message(0, "scrub").unwrap();
    assert_eq!(status(&mapped).corruption_detected, 1);
    wait_for(&mapped, "repair", |told| told.repairs_completed > 0);
    mapped.message(0, "scrub").unwrap();
    assert_eq!(status(&mapped).corruption_detected, 1);
    drop((device, raw));
    mapped.remove().unwrap();
    let mapped = join(&main, &spare);
    Device::open(&mapped.path()).check_pattern(96, 8, 1);
    mapped.remove().unwrap();
}

pub fn blocks_are_moved_on_request(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let device = Device::open(&mapped.path());
    device.write_pattern(0, 64, 1).unwrap();
    for block in 8..16 {
        mapped.message(0, &format!("remap {block}")).unwrap();
    }
    device.check_pattern(0, 64, 1);
    device.write_pattern(4, 16, 2).unwrap();
    device.check_pattern(4, 16, 2);
    assert_eq!(status(&mapped).active.get(), 8);
    mapped.message(0, "remap 8").expect_err("moved already");
    mapped
        .message(0, &format!("remap {}", 16 * MIB))
        .expect_err("no such block");
    drop(device);
    mapped.remove().unwrap();
    Device::open(main.path()).check_pattern(8, 8, 1);
}

pub fn injected_faults_are_drills(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let device = Device::open(&mapped.path());
    device.write_pattern(0, 64, 1).unwrap();
    mapped.message(0, "fault main both 10 2").unwrap();
    device.read(8, &mut Buffer::sectors(8)).expect_err("faulty");
    device.write_pattern(8, 8, 2).unwrap();
    device.check_pattern(8, 8, 2);
    let told = status(&mapped);
    assert_eq!((told.active.get(), told.pending.get()), (2, 0), "{told}");
    mapped.message(0, "clear_faults").unwrap();
    device.check_pattern(8, 8, 2);
    drop(device);
    mapped.remove().unwrap();
}

pub fn a_dead_main_relocates_nothing(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let device = Device::open(&mapped.path());
    main.spoil(0, 16 * MIB);
    for at in [8, 4096, 9000] {
        device.write_pattern(at, 8, 1).expect_err("main is dead");
    }
    let told = status(&mapped);
    assert_eq!(told.used.get(), 0, "{told}");
    assert!(told.main_suspect, "{told}");
    drop(device);
    mapped.remove().unwrap();
}
