//! Devices of which nothing may be written, with blocks on the spare: these are served from
//! there, and not a byte of either disk changes.

use super::remapping::{joined, wait_for};
use super::{check_remaps, status, table, words, Test};
use crate::block::{Buffer, Device};
use crate::disk::{Disk, MIB};
use crate::dm::Mapped;
use crate::kernel_log::KernelLog;
use crate::remap_core::status::{Mode, RepairStatus};
use crate::sys;

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[("read-only-serves-what-moved", serves_what_moved)];

/// All of a disk.
fn image(disk: &Disk) -> Vec<u8> {
    let device = Device::open_read_only(disk.path());
    let mut buffer = Buffer::sectors(2048);
    let mut image = Vec::new();
    for at in (0..device.sectors()).step_by(2048) {
        device.read(at, &mut buffer).expect("the disk is read");
        image.extend_from_slice(buffer.bytes());
    }
    image
}

fn serves_what_moved(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let device = Device::open(&mapped.path());
    device.write_pattern(0, 256, 1).unwrap();
    main.spoil(100, 5);
    device.write_pattern(90, 20, 2).unwrap();
    main.spoil(200, 1);
    device.read(200, &mut Buffer::sectors(1)).expect_err("lost");
    drop(device);
    mapped.remove().unwrap();
    // Main works again, and has what was there before: nobody may see that.
    main.heal(0, 16 * MIB);
    // A copy that could be repaired.
    let raw_spare = Device::open(spare.path());
    raw_spare.write(1024, &Buffer::sectors(8)).unwrap();
    drop(raw_spare);
    let before = (image(&main), image(&spare));

    let line = words(&main, &spare);
    let at_will =
        |options: &str| Mapped::create("joined", &table(16 * MIB, line.clone() + options));
    check_reads(&at_will(" 2 read_only 1").unwrap());
    check_reads(&Mapped::create_read_only("joined", &table(16 * MIB, line.clone())).unwrap());
    for disks in [&[&main][..], &[&spare], &[&main, &spare]] {
        let set = |read_only| {
            for disk in disks {
                let raw = Device::open_read_only(disk.path());
                sys::set_read_only(raw.file(), read_only).unwrap();
            }
        };
        set(true);
        check_reads(&at_will("").unwrap());
        set(false);
    }
    assert!(image(&main) == before.0, "main changed");
    assert!(image(&spare) == before.1, "the spare changed");

    // And writable again, everything is as it was left.
    let mapped = at_will("").unwrap();
    assert_eq!(status(&mapped).mode, Mode::ReadWrite);
    check_remaps(&mapped, &[100, 101, 102, 103, 104], &[200]);
    wait_for(&mapped, "repair", |told| told.repairs_completed > 0);
    Device::open(&mapped.path())
        .write_pattern(200, 1, 3)
        .unwrap();
    check_remaps(&mapped, &[100, 101, 102, 103, 104, 200], &[]);
    mapped.remove().unwrap();
}

/// Checks that a mapped device says that it is read-only, serves what moved from the
/// spare, and refuses whatever would write; and removes it.
fn check_reads(mapped: &Mapped) {
    assert_eq!(status(mapped).mode, Mode::ReadOnly);
    check_remaps(mapped, &[100, 101, 102, 103, 104], &[200]);
    let device = Device::open(&mapped.path());
    device.check_pattern(0, 90, 1);
    device.check_pattern(90, 20, 2);
    device.check_pattern(110, 146, 1);
    for (at, count) in [(100, 1), (98, 4), (0, 8), (200, 1)] {
        let refused = device.write_pattern(at, count, 9);
        refused.expect_err("it took a write");
    }
    device.check_pattern(90, 20, 2);
    // The damage is seen, and left alone.
    wait_for(mapped, "the first scrub", |told| told.scrubs > 0);
    mapped.message(0, "scrub").unwrap();
    for message in ["write_metadata", "repair", "remap 7"] {
        mapped.message(0, message).expect_err("it is read-only");
    }
    let told = status(mapped);
    assert!(told.corruption_detected > 0, "{told}");
    assert_eq!(
        (told.repair, told.repair_attempts),
        (RepairStatus::Idle, 0),
        "{told}"
    );
    drop(device);
    mapped.remove().unwrap();
}
