//! A spare without metadata: everything goes to main, and the target says so.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;

use super::{join, status, table, words};
use crate::block::{Buffer, Device};
use crate::disk::{Disk, Shape, MIB};
use crate::dm::{Line, Mapped};
use crate::kernel_log::KernelLog;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::status::Mode;
use crate::sys;
use crate::terminal::PATIENCE;

pub fn says_so(log: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = join(&main, &spare);
    let told = status(&mapped);
    assert_eq!(
        (told.mode, told.verdict),
        (Mode::PassThrough, Verdict::None)
    );
    assert!(
        told.copies.iter().all(|(_, letter)| *letter == '-'),
        "{told}"
    );
    assert!(log.holds("no metadata here; everything goes to"));
    mapped.remove().unwrap();
}

pub fn data(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = join(&main, &spare);
    let device = Device::open(&mapped.path());
    assert_eq!(device.sectors(), 16 * MIB);
    // Every size from one block to 64, at every alignment to 4 KiB, then the whole.
    let mut at = 0;
    let mut round = 1;
    for size in 1..=64u64 {
        for align in 0..8 {
            at = (at + 8 + align) % (16 * MIB - 128);
            round += 1;
            device.write_pattern(at, size, round).unwrap();
            device.check_pattern(at, size, round);
        }
    }
    for at in (0..16 * MIB).step_by(2048) {
        device.write_pattern(at, 2048, 9).unwrap();
    }
    for at in (0..16 * MIB).step_by(2048) {
        device.check_pattern(at, 2048, 9);
    }
    drop(device);
    mapped.remove().unwrap();
    let (main, spare) = (Device::open(main.path()), Device::open(spare.path()));
    for at in (0..16 * MIB).step_by(2048) {
        main.check_pattern(at, 2048, 9);
        spare.check_zero(at, 2048);
    }
}

pub fn errors_are_errors(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = join(&main, &spare);
    let device = Device::open(&mapped.path());
    device.write_pattern(0, 64, 1).unwrap();
    main.spoil(17, 1);
    for (at, count) in [(17, 1), (16, 8), (0, 64)] {
        let error = device
            .write_pattern(at, count, 2)
            .expect_err("a bad block took data");
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        let error = device
            .read(at, &mut Buffer::sectors(count))
            .expect_err("it was read");
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
    }
    device.write_pattern(18, 8, 3).unwrap();
    device.check_pattern(18, 8, 3);
    drop(device);
    mapped.remove().unwrap();
    Device::open(spare.path()).check_zero(0, 2048);
}

pub fn length(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let length = 5 * MIB + 24;
    let mapped = Mapped::create("joined", &table(length, words(&main, &spare))).unwrap();
    let device = Device::open(&mapped.path());
    assert_eq!(device.sectors(), length);
    device.write_pattern(length - 8, 8, 1).unwrap();
    assert!(
        device.read(length, &mut Buffer::sectors(1)).is_err(),
        "read past the end"
    );
    drop(device);
    mapped.remove().unwrap();
    let main = Device::open(main.path());
    main.check_pattern(length - 8, 8, 1);
    main.check_zero(length, 64);
}

pub fn two_targets(_: &mut KernelLog) {
    let mains = [Disk::of_mib(16), Disk::of_mib(16)];
    let spares = [Disk::of_mib(16), Disk::of_mib(16)];
    let line = |at: usize| Line {
        start: at as u64 * 4 * MIB,
        length: 4 * MIB,
        target: "dm-remap-v4",
        words: words(&mains[at], &spares[at]),
    };
    let mapped = Mapped::create("joined", &[line(0), line(1)]).unwrap();
    let device = Device::open(&mapped.path());
    for at in (0..8 * MIB).step_by(1024) {
        device.write_pattern(at, 1024, 1).unwrap();
    }
    // One write across the border of both.
    device.write_pattern(4 * MIB - 32, 64, 2).unwrap();
    device.check_pattern(4 * MIB - 32, 64, 2);
    assert_eq!(mapped.status().unwrap().len(), 2);
    assert_eq!(mapped.dependencies().unwrap().len(), 4);
    drop(device);
    mapped.remove().unwrap();
    let [first, second] = mains.each_ref().map(|main| Device::open(main.path()));
    first.check_pattern(0, 4 * MIB - 32, 1);
    first.check_pattern(4 * MIB - 32, 32, 2);
    first.check_zero(4 * MIB, 1024);
    second.check_pattern_of(0, 32, 4 * MIB, 2);
    second.check_pattern_of(32, 4 * MIB - 32, 4 * MIB + 32, 1);
    second.check_zero(4 * MIB, 1024);
}

/// The first sector of the partition that `partition` makes.
pub(super) const PARTITION: u64 = 4096;

/// Gives `disk` partitions of so many sectors, the first from sector [`PARTITION`] on.
pub(super) fn make_partitions(disk: &Disk, lengths: &[u64]) -> Vec<PathBuf> {
    let device = Device::open(disk.path());
    let mut table = Buffer::sectors(1);
    let bytes = table.bytes_mut();
    let mut start = PARTITION;
    for (entry, sectors) in bytes[446..].chunks_exact_mut(16).zip(lengths) {
        entry[4] = 0x83;
        entry[8..12].copy_from_slice(&(start as u32).to_le_bytes());
        entry[12..16].copy_from_slice(&(*sectors as u32).to_le_bytes());
        start += sectors;
    }
    bytes[510..].copy_from_slice(&[0x55, 0xaa]);
    device.write(0, &table).unwrap();
    sys::reread_partitions(device.file()).expect("the kernel reads the partition table");
    let paths =
        (1..=lengths.len()).map(|number| PathBuf::from(format!("{}p{number}", disk.word())));
    let paths: Vec<PathBuf> = paths.collect();
    let patience = Instant::now() + PATIENCE;
    while let Some(path) = paths.iter().find(|path| !path.exists()) {
        assert!(
            Instant::now() < patience,
            "{} does not appear",
            path.display()
        );
        thread::sleep(Duration::from_millis(10));
    }
    paths
}

pub fn partition(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let path = make_partitions(&main, &[4 * MIB]).remove(0);
    let line = format!("{} {}", path.display(), spare.word());
    let mapped = Mapped::create("joined", &table(4 * MIB, line.clone())).unwrap();
    assert!(
        Mapped::create("refused", &table(4 * MIB + 8, line)).is_err(),
        "past the partition"
    );
    let device = Device::open(&mapped.path());
    device.write_pattern(0, 4 * MIB, 1).unwrap();
    device.check_pattern(0, 4 * MIB, 1);
    drop(device);
    mapped.remove().unwrap();
    let main = Device::open(main.path());
    main.check_pattern_of(PARTITION, 4 * MIB, 0, 1);
    main.check_zero(1, PARTITION - 1);
    main.check_zero(PARTITION + 4 * MIB, 1024);
}

pub fn flush(_: &mut KernelLog) {
    let cached = || {
        Disk::new(&Shape {
            cached: true,
            ..Shape::default()
        })
    };
    let (main, spare) = (cached(), cached());
    let mapped = join(&main, &spare);
    mapped.message(0, "write_metadata").unwrap();
    let device = Device::open(&mapped.path());
    // Nothing is on the spare, then something is.
    for of_spare in [0, 10] {
        let before = (main.flushes(), spare.flushes());
        for round in 0..10 {
            device.write_pattern(0, 8, round).unwrap();
            device.flush().unwrap();
        }
        assert_eq!(main.flushes() - before.0, 10, "flushes of main");
        assert_eq!(spare.flushes() - before.1, of_spare, "flushes of the spare");
        if of_spare == 0 {
            mapped.message(0, "remap 3").unwrap();
        }
    }
    drop(device);
    mapped.remove().unwrap();
}

pub fn discards(_: &mut KernelLog) {
    let disk = |discards| {
        Disk::new(&Shape {
            discards,
            ..Shape::default()
        })
    };
    // What main takes counts, whatever the spare does.
    for (of_main, of_spare) in [(true, false), (true, true), (false, true), (false, false)] {
        let (main, spare) = (disk(of_main), disk(of_spare));
        let mapped = join(&main, &spare);
        let advertised = mapped.queue_limit("discard_max_bytes") > 0;
        assert_eq!(advertised, of_main, "main {of_main}, spare {of_spare}");
        assert_eq!(mapped.queue_limit("write_zeroes_max_bytes"), 0);
        mapped.message(0, "write_metadata").unwrap();
        let device = Device::open(&mapped.path());
        device.write_pattern(0, 128, 1).unwrap();
        mapped.message(0, "remap 20").unwrap();
        let discarded = device.discard(16, 16);
        assert_eq!(discarded.is_ok(), of_main, "{discarded:?}");
        if of_main {
            // Of what was discarded, the block on the spare keeps its data.
            device.check_zero(16, 4);
            device.check_pattern(20, 1, 1);
            device.check_zero(21, 11);
        }
        device.check_pattern(0, 16, 1);
        device.check_pattern(32, 96, 1);
        drop(device);
        mapped.remove().unwrap();
    }
}

pub fn kind_of_main(_: &mut KernelLog) {
    let disk = |rotational| {
        Disk::new(&Shape {
            rotational,
            ..Shape::default()
        })
    };
    for (of_main, of_spare) in [(false, true), (true, false), (false, false), (true, true)] {
        let (main, spare) = (disk(of_main), disk(of_spare));
        let mapped = join(&main, &spare);
        let turns = mapped.queue_limit("rotational") == 1;
        assert_eq!(turns, of_main, "main {of_main}, spare {of_spare}");
        mapped.remove().unwrap();
    }
}

/// Devices above keep the limits that were there when they were made, and nothing between
/// them and the target checks them again.
pub fn between_blocks(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let words = words(&main, &spare) + " 2 block_size 4096";
    let first = Mapped::create("first", &table(16 * MIB, words.clone())).unwrap();
    first.message(0, "write_metadata").unwrap();
    first.remove().unwrap();
    let linear = |path: &str| {
        [Line {
            start: 0,
            length: 16 * MIB,
            target: "linear",
            words: format!("{path} 0"),
        }]
    };
    let below = Mapped::create("below", &linear(main.word())).unwrap();
    let path = below.path();
    let above = Mapped::create("above", &linear(&path.display().to_string())).unwrap();
    let device = Device::open(&above.path());
    device.write_pattern(0, 1024, 1).unwrap();
    below.load(&table(16 * MIB, words)).unwrap();
    below.resume().unwrap();
    below.message(0, "remap 5").unwrap();
    // Within a block that moved, and into it.
    device.write_pattern(46, 2, 2).unwrap_err();
    device.write_pattern(36, 8, 2).unwrap_err();
    let mut buffer = Buffer::sectors(2);
    device.read(46, &mut buffer).unwrap_err();
    // Within one that fails.
    main.spoil(800, 8);
    device.write_pattern(802, 2, 2).unwrap_err();
    main.heal(800, 8);
    device.check_pattern(0, 1024, 1);
    // Whole blocks are what they were.
    device.write_pattern(40, 8, 3).unwrap();
    device.check_pattern(40, 8, 3);
    device.check_pattern(0, 40, 1);
    drop(device);
    above.remove().unwrap();
    below.remove().unwrap();
}

pub fn read_only(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let raw = Device::open(main.path());
    raw.write_pattern(0, 64, 1).unwrap();
    let option = words(&main, &spare) + " 2 read_only 1";
    refuses_writes(&Mapped::create("joined", &table(16 * MIB, option)).unwrap());
    let line = words(&main, &spare);
    refuses_writes(&Mapped::create_read_only("joined", &table(16 * MIB, line)).unwrap());
    // The kernel lets writes through to a disk that was made read-only; the target must not.
    sys::set_read_only(raw.file(), true).unwrap();
    refuses_writes(&join(&main, &spare));
    sys::set_read_only(raw.file(), false).unwrap();
    raw.check_pattern(0, 64, 1);
}

/// Checks that a mapped device says that it is read-only, and is; and removes it.
fn refuses_writes(mapped: &Mapped) {
    assert_eq!(status(mapped).mode, Mode::ReadOnly);
    let device = Device::open(&mapped.path());
    device.check_pattern(0, 64, 1);
    device.write_pattern(0, 64, 2).expect_err("it took a write");
    device.check_pattern(0, 64, 1);
    drop(device);
    mapped.remove().unwrap();
}

pub fn suspend_resume_remove(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    for _ in 0..5 {
        let mapped = join(&main, &spare);
        let device = Device::open(&mapped.path());
        for round in 1..=20 {
            device.write_pattern(8, 64, round).unwrap();
            mapped.suspend().unwrap();
            status(&mapped);
            mapped.resume().unwrap();
            device.check_pattern(8, 64, round);
        }
        drop(device);
        mapped.remove().unwrap();
        // One that is removed while it is suspended.
        let mapped = join(&main, &spare);
        mapped.suspend().unwrap();
        mapped.remove().unwrap();
    }
}
