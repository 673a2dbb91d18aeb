//! Disks and tables of other shapes than a whole disk of 512-byte blocks, each with blocks
//! that moved, and put together anew.

use nix::libc;

use super::pass_through::{make_partitions, PARTITION};
use super::{check_remaps, remaps, status, table, words, Test};
use crate::block::{Buffer, Device};
use crate::disk::{Disk, Shape, MIB};
use crate::dm::{Line, Mapped};
use crate::kernel_log::KernelLog;
use crate::remap_core::layout::Layout;
use crate::remap_core::message::RemapLine;
use crate::remap_core::status::Status;
use crate::remap_core::units::{BlockSize, Sectors};
use crate::shadow::Shadow;

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("blocks-of-4096-bytes-move", four_kib),
    ("larger-remap-units-move", larger_units),
    ("blocks-of-a-partition-move", partition),
    ("blocks-of-two-targets-move", two_targets),
];

fn with_blocks(bytes: u32) -> Disk {
    Disk::new(&Shape {
        block: bytes,
        ..Shape::default()
    })
}

/// Joins main, whose first sector is sector `from` of `disk`, to its spare by the table
/// line, and moves blocks of `unit` sectors: one sector of each is bad. Then does it again
/// with what that left.
fn move_blocks(line: &str, sectors: u64, unit: u64, disk: &Disk, from: u64) {
    let join = || Mapped::create("joined", &table(sectors, line.to_owned())).expect(line);
    let mapped = join();
    mapped.message(0, "write_metadata").unwrap();
    assert_eq!(
        mapped.queue_limit("logical_block_size"),
        unit * 512,
        "{line}"
    );
    let mut shadow = Shadow::over(&mapped.path(), 0, 256 * unit);
    // The first and the last block of main among them.
    let last = sectors / unit - 1;
    let bad = [0, 17, 18, 40, 200];
    for block in bad {
        disk.spoil(from + block * unit + unit - 1, 1);
    }
    disk.spoil(from + last * unit, 1);
    shadow.write(0, 256 * unit).unwrap();
    shadow.write(10 * unit, 20 * unit).unwrap();
    shadow.check_all();
    let device = Device::open(&mapped.path());
    device.write_pattern(last * unit, unit, 77).unwrap();
    if unit > 1 {
        let error = device
            .write_pattern(1, 1, 1)
            .expect_err("less than a block");
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
    drop(device);
    let moved: Vec<u64> = bad.into_iter().chain([last]).collect();
    check_remaps(&mapped, &moved, &[]);
    let mut closed = shadow.close();
    mapped.remove().unwrap();
    // Main works again and has old data in these blocks.
    disk.heal(from, sectors);
    for _ in 0..2 {
        let mapped = join();
        check_remaps(&mapped, &moved, &[]);
        let mut shadow = closed.open(&mapped.path());
        shadow.check_all();
        shadow.write(16 * unit, 4 * unit).unwrap();
        shadow.check_all();
        let device = Device::open(&mapped.path());
        device.check_pattern(last * unit, unit, 77);
        drop(device);
        closed = shadow.close();
        mapped.remove().unwrap();
    }
}

fn four_kib(_: &mut KernelLog) {
    for (of_main, of_spare) in [(4096, 512), (512, 4096), (4096, 4096)] {
        let (main, spare) = (with_blocks(of_main), with_blocks(of_spare));
        move_blocks(&words(&main, &spare), 16 * MIB, 8, &main, 0);
    }
    // A part of such a disk, from somewhere on.
    let (main, spare) = (with_blocks(4096), with_blocks(4096));
    let line = Line {
        start: 0,
        length: 4 * MIB,
        target: "linear",
        words: format!("{} {}", main.word(), MIB + 8),
    };
    let part = Mapped::create("part", &[line]).unwrap();
    let line = format!("{} {}", part.path().display(), spare.word());
    move_blocks(&line, 4 * MIB, 8, &main, MIB + 8);
    part.remove().unwrap();
    Device::open(main.path()).check_zero(0, MIB + 8);
}

fn larger_units(log: &mut KernelLog) {
    for bytes in [1024, 2048, 4096] {
        let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
        let line = words(&main, &spare);
        let asked = format!("{line} 2 block_size {bytes}");
        move_blocks(&asked, 16 * MIB, bytes / 512, &main, 0);
        // With another unit the entries would mean other blocks.
        let refused = Mapped::create("joined", &table(16 * MIB, line));
        let error = refused.err().expect("another unit was taken");
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        assert!(log.holds(&format!("block_size {bytes} must be in it")));
    }
}

fn partition(_: &mut KernelLog) {
    let (disk, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let [path, other] = &make_partitions(&disk, &[4 * MIB, 2 * MIB])[..] else {
        panic!("two partitions were made")
    };
    let other = Device::open(other);
    other.write_pattern(0, 2 * MIB, 5).unwrap();
    let line = format!("{} {}", path.display(), spare.word());
    move_blocks(&line, 4 * MIB, 1, &disk, PARTITION);
    other.check_pattern(0, 2 * MIB, 5);
    // Nor did anything go to where the sectors of the partition are on the whole disk.
    Device::open(disk.path()).check_zero(1, PARTITION - 1);
    drop(other);
    // And one that the spare is.
    let (main, disk) = (Disk::of_mib(16), Disk::of_mib(32));
    let path = &make_partitions(&disk, &[24 * MIB])[0];
    let line = format!("{} {}", main.word(), path.display());
    move_blocks(&line, 16 * MIB, 1, &main, 0);
    Device::open(disk.path()).check_zero(1, PARTITION - 1);
    replacements_fail(&line, &main, &disk);
}

/// Has replacements on a spare, a partition of `disk`, fail when they are written anew in
/// requests of several blocks, good ones among them.
fn replacements_fail(line: &str, main: &Disk, disk: &Disk) {
    let mapped = Mapped::create("joined", &table(16 * MIB, line.to_owned())).unwrap();
    let mut shadow = Shadow::over(&mapped.path(), 300, 64);
    main.spoil(300, 8);
    shadow.write(300, 8).unwrap();
    let layout = Layout::for_spare(Sectors::new(24 * MIB), BlockSize::B512).unwrap();
    let moved = remaps(&mapped);
    let at = moved.iter().find(|line| line.block.get() == 303);
    let at = at.expect("block 303 is on the spare").replacement.get();
    disk.spoil(PARTITION + layout.replacement.get() + at, 1);
    shadow.write(300, 8).unwrap();
    shadow.check_all();
    let device = Device::open(disk.path());
    device.check_zero(1, PARTITION - 1);
    drop((device, shadow));
    mapped.remove().unwrap();
}

/// Two targets in one table, main and spare of each their own: the second one's blocks are
/// counted from where it begins.
fn two_targets(_: &mut KernelLog) {
    const HALF: u64 = 16 * MIB;
    let mains = [Disk::of_mib(16), Disk::of_mib(16)];
    let spares = [Disk::of_mib(16), Disk::of_mib(16)];
    let line = |at: usize| Line {
        start: at as u64 * HALF,
        length: HALF,
        target: "dm-remap-v4",
        words: words(&mains[at], &spares[at]),
    };
    let join = || Mapped::create("joined", &[line(0), line(1)]).unwrap();
    let mapped = join();
    for start in [0, HALF] {
        mapped.message(start, "write_metadata").unwrap();
    }
    let mut shadow = Shadow::over(&mapped.path(), HALF - 2048, 4096);
    // The last blocks of the first one, and the first of the second.
    mains[0].spoil(HALF - 3, 3);
    mains[0].spoil(HALF - 1000, 2);
    mains[1].spoil(0, 2);
    mains[1].spoil(700, 1);
    shadow.write(HALF - 2048, 4096).unwrap();
    shadow.write(HALF - 16, 32).unwrap();
    shadow.check_all();
    mapped.message(HALF, "remap 900").unwrap();
    shadow.check_all();
    let moved = [
        vec![HALF - 1000, HALF - 999, HALF - 3, HALF - 2, HALF - 1],
        vec![0, 1, 700, 900],
    ];
    let check = |mapped: &Mapped| {
        let told = mapped.status().unwrap();
        for (start, (told, moved)) in [0, HALF].into_iter().zip(told.iter().zip(&moved)) {
            let text = mapped.message(start, "remaps").unwrap().unwrap_or_default();
            let lines = text.lines().map(|line| RemapLine::parse(line).expect(line));
            let blocks: Vec<u64> = lines.map(|line| line.block.get()).collect();
            assert_eq!(&blocks, moved, "of the target at {start}");
            let told: Status = told.parse().expect(told);
            assert_eq!(told.active.get(), moved.len() as u64, "{told}");
        }
    };
    check(&mapped);
    let mut closed = shadow.close();
    mapped.remove().unwrap();
    for (main, from) in mains.iter().zip([HALF - 1000, 0]) {
        main.heal(from, 1000);
    }
    for _ in 0..2 {
        let mapped = join();
        check(&mapped);
        let mut shadow = closed.open(&mapped.path());
        shadow.check_all();
        shadow.write(HALF - 20, 40).unwrap();
        shadow.check_all();
        closed = shadow.close();
        mapped.remove().unwrap();
    }
    // Each is whole by itself, too.
    for at in [0, 1] {
        let mapped = super::join(&mains[at], &spares[at]);
        let lines = remaps(&mapped);
        let blocks: Vec<u64> = lines.iter().map(|line| line.block.get()).collect();
        assert_eq!(blocks, moved[at]);
        assert_eq!(status(&mapped).pending.get(), 0);
        let mut buffer = Buffer::sectors(8);
        let device = Device::open(&mapped.path());
        device.read(0, &mut buffer).expect("it is read");
        drop(device);
        mapped.remove().unwrap();
    }
}
