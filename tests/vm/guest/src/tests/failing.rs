//! Spares that fail, in one place or as a whole, and mains that do.

use std::thread;

use nix::libc;

use super::remapping::{joined, wait_for};
use super::{check_remaps, join, remaps, status, table, words, Test};
use crate::block::{Buffer, Device};
use crate::disk::{Disk, MIB};
use crate::dm::{Line, Mapped};
use crate::kernel_log::KernelLog;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::status::Mode;
use crate::remap_core::units::{BlockSize, Sectors, Slot};
use crate::shadow::Shadow;

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("a-failing-replacement-is-retired", replacement_fails),
    ("a-replacement-that-fails-later", replacement_fails_later),
    ("a-failing-spare-loses-nothing", spare_fails),
    ("an-unreadable-spare-is-no-pass-through", unreadable_spare),
    ("a-lost-table-is-no-empty-one", table_lost),
    ("many-errors-at-once", many_at_once),
    ("a-dead-main-comes-back", main_comes_back),
    ("a-main-that-came-back-is-asked-at-once", asked_at_once),
    ("lost-blocks-persist", lost_blocks_persist),
    (
        "readahead-that-fails-says-nothing-of-a-block",
        readahead_fails,
    ),
    ("thin-main-that-is-full-is-no-bad-block", thin_main_is_full),
];

fn layout(spare: &Disk) -> Layout {
    let size = Device::open_read_only(spare.path()).sectors();
    Layout::for_spare(Sectors::new(size), BlockSize::B512).expect("the spare is large enough")
}

/// Where on the spare a replacement lies.
fn replacement_sector(spare: &Disk, replacement: u64) -> u64 {
    layout(spare).replacement.get() + replacement
}

/// Drivers give up readahead early, and nobody waits for it: a block is lost only when somebody
/// wants it and cannot have it.
fn readahead_fails(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    main.spoil(2048, 8);
    let ahead = Device::open_cached(&mapped.path());
    let before = main.accesses();
    ahead.will_need(2048, 64).unwrap();
    wait_for(&mapped, "readahead", |_| main.accesses() > before);
    // Whatever is on its way is over when it is suspended.
    mapped.suspend().unwrap();
    mapped.resume().unwrap();
    let told = status(&mapped);
    assert_eq!((told.pending.get(), told.active.get()), (0, 0), "{told}");
    let device = Device::open(&mapped.path());
    device.read(2048, &mut Buffer::sectors(64)).unwrap_err();
    assert_eq!(status(&mapped).pending.get(), 8);
    drop((ahead, device));
    mapped.remove().unwrap();
}

fn replacement_fails(log: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let mut shadow = Shadow::over(&mapped.path(), 0, 64);
    spare.spoil(replacement_sector(&spare, 0), 2);
    main.spoil(10, 3);
    let events = mapped.events().unwrap();
    shadow.write(8, 8).unwrap();
    shadow.check_all();
    assert!(log.holds("replacement 0 failed and is used no more"));
    assert!(log.holds("replacement 1 failed and is used no more"));
    assert!(mapped.events().unwrap() > events);
    let check = |mapped: &Mapped| {
        check_remaps(mapped, &[10, 11, 12], &[]);
        let places = remaps(mapped);
        let places: Vec<u64> = places.iter().map(|line| line.replacement.get()).collect();
        assert_eq!(places, [2, 3, 4]);
        let told = status(mapped);
        assert_eq!(told.used.get(), 5, "{told}");
        assert!(!told.spare_failing, "{told}");
    };
    check(&mapped);
    let closed = shadow.close();
    mapped.remove().unwrap();
    spare.heal(0, 16 * MIB);
    let mapped = join(&main, &spare);
    check(&mapped);
    let mut shadow = closed.open(&mapped.path());
    shadow.check_all();
    // Retired is retired, even if it works again.
    main.spoil(40, 1);
    shadow.write(40, 1).unwrap();
    assert_eq!(remaps(&mapped)[3].replacement.get(), 5);
    shadow.check_all();
    drop(shadow);
    mapped.remove().unwrap();
}

fn replacement_fails_later(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let mut shadow = Shadow::over(&mapped.path(), 0, 64);
    main.spoil(20, 4);
    shadow.write(16, 16).unwrap();
    // The replacement of block 21: read first, which finds it lost. Main's own is no answer.
    main.heal(20, 4);
    spare.spoil(replacement_sector(&spare, 1), 1);
    let device = Device::open(&mapped.path());
    for (at, count) in [(21, 1), (20, 2), (16, 16), (0, 64)] {
        let error = device.read(at, &mut Buffer::sectors(count));
        let error = error.expect_err("a lost block was read");
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
    }
    shadow.check(0, 21);
    shadow.check(22, 42);
    shadow.write(16, 16).unwrap();
    shadow.check_all();
    check_remaps(&mapped, &[20, 21, 22, 23], &[]);
    let places = remaps(&mapped);
    assert_eq!((places[1].replacement.get(), places[1].moves), (4, 2));
    // And written first.
    spare.spoil(replacement_sector(&spare, 2), 1);
    shadow.write(22, 1).unwrap();
    shadow.check_all();
    let closed = shadow.close();
    drop(device);
    mapped.remove().unwrap();
    spare.heal(0, 16 * MIB);
    let mapped = join(&main, &spare);
    check_remaps(&mapped, &[20, 21, 22, 23], &[]);
    let told = status(&mapped);
    assert_eq!((told.used.get(), told.mode), (6, Mode::ReadWrite), "{told}");
    let shadow = closed.open(&mapped.path());
    shadow.check_all();
    drop(shadow);
    mapped.remove().unwrap();
}

fn spare_fails(log: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let mut shadow = Shadow::over(&mapped.path(), 0, 256);
    main.spoil(20, 4);
    shadow.write(16, 16).unwrap();
    let events = mapped.events().unwrap();
    mapped.message(0, "fault spare write 0 999999").unwrap();
    main.spoil(100, 4);
    for _ in 0..3 {
        let error = shadow.write(100, 1).expect_err("nothing could take it");
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
    }
    let told = status(&mapped);
    assert!(told.spare_failing, "{told}");
    assert!(log.holds("the spare fails; nothing is moved"));
    assert!(mapped.events().unwrap() > events);
    // What moved before is still there; main's other blocks work.
    shadow.check(0, 100);
    shadow.check(104, 152);
    shadow.write(0, 20).unwrap();
    shadow.write(104, 64).unwrap();
    shadow
        .write(20, 1)
        .expect_err("its replacement takes nothing");
    shadow.check(0, 20);
    check_remaps(&mapped, &[20, 21, 22, 23], &[]);
    // It comes back; a repair finds out.
    mapped.message(0, "clear_faults").unwrap();
    let told = wait_for(&mapped, "the spare's repair", |told| !told.spare_failing);
    assert!(told.repair_attempts > 0, "{told}");
    shadow.write(96, 16).unwrap();
    shadow.write(16, 16).unwrap();
    shadow.check_all();
    let moved = [20, 21, 22, 23, 100, 101, 102, 103];
    check_remaps(&mapped, &moved, &[]);
    let closed = shadow.close();
    mapped.remove().unwrap();
    let mapped = join(&main, &spare);
    check_remaps(&mapped, &moved, &[]);
    closed.open(&mapped.path()).check_all();
    mapped.remove().unwrap();
}

fn unreadable_spare(log: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let shadow = Shadow::over(&mapped.path(), 0, 64);
    mapped.message(0, "remap 7").unwrap();
    let closed = shadow.close();
    mapped.remove().unwrap();
    // Dead as a whole; then in every slot and both headers.
    let headers = layout(&spare);
    let mut places: Vec<u64> = Slot::ALL.map(|slot| slot.sector().get()).into();
    places.extend([headers.region_a.get(), headers.region_b.get()]);
    for whole in [true, false] {
        match whole {
            true => spare.spoil(0, 16 * MIB),
            false => places.iter().for_each(|at| spare.spoil(*at, 8)),
        }
        for option in ["", " 2 read_only 1"] {
            let line = table(16 * MIB, words(&main, &spare) + option);
            let Err(error) = Mapped::create("refused", &line) else {
                panic!("main's own blocks would be served in place of those that moved");
            };
            assert_eq!(error.raw_os_error(), Some(libc::EIO));
        }
        assert!(log.holds("cannot be read"));
        spare.heal(0, 16 * MIB);
    }
    let mapped = join(&main, &spare);
    closed.open(&mapped.path()).check_all();
    mapped.remove().unwrap();
}

fn table_lost(log: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let mut shadow = Shadow::over(&mapped.path(), 0, 64);
    mapped.message(0, "remap 7").unwrap();
    shadow.write(0, 16).unwrap();
    let closed = shadow.close();
    mapped.remove().unwrap();
    let layout = layout(&spare);
    let raw = Device::open(spare.path());
    let places = Region::ALL.map(|region| layout.table_block(region, 0).unwrap().get());
    let mut kept = [Buffer::sectors(8), Buffer::sectors(8)];
    for (at, kept) in places.iter().zip(&mut kept) {
        raw.read(*at, kept).unwrap();
        raw.write(*at, &Buffer::sectors(8)).unwrap();
    }
    for option in ["", " 2 read_only 1"] {
        let line = table(16 * MIB, words(&main, &spare) + option);
        let Err(error) = Mapped::create("refused", &line) else {
            panic!("main's own block would be served in place of the one that moved");
        };
        assert_eq!(error.raw_os_error(), Some(libc::EUCLEAN));
    }
    assert!(log.holds("lost in both regions"));
    // One of the two is enough.
    raw.write(places[1], &kept[1]).unwrap();
    let mapped = join(&main, &spare);
    closed.open(&mapped.path()).check_all();
    mapped.remove().unwrap();
}

pub fn many_at_once(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    for nth in 0..8 {
        main.spoil(nth * 1000, 100);
    }
    let closed: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|nth| {
                let path = mapped.path();
                scope.spawn(move || {
                    let mut shadow = Shadow::over(&path, nth * 1000, 200);
                    for round in 0..5 {
                        for at in (0..200).step_by(7 + round) {
                            let length = (200 - at).min(11) as u64;
                            let at = nth * 1000 + at as u64;
                            shadow.write(at, length).unwrap();
                            shadow.check(at, length);
                        }
                    }
                    shadow.check_all();
                    shadow.close()
                })
            })
            .collect();
        let threads = threads.into_iter();
        threads
            .map(|one| one.join().expect("no thread found anything wrong"))
            .collect()
    });
    let bad: Vec<u64> = (0..8)
        .flat_map(|nth| (0..100).map(move |at| nth * 1000 + at))
        .collect();
    check_remaps(&mapped, &bad, &[]);
    mapped.remove().unwrap();
    let mapped = join(&main, &spare);
    check_remaps(&mapped, &bad, &[]);
    for closed in closed {
        closed.open(&mapped.path()).check_all();
    }
    mapped.remove().unwrap();
}

fn main_comes_back(log: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let mut shadow = Shadow::over(&mapped.path(), 0, 256);
    main.spoil(20, 4);
    shadow.write(16, 16).unwrap();
    main.spoil(0, 16 * MIB);
    for at in [0, 64, 128] {
        shadow.write(at, 8).expect_err("main is dead");
        let device = Device::open(&mapped.path());
        device
            .read(at, &mut Buffer::sectors(8))
            .expect_err("main is dead");
    }
    assert!(log.holds("main fails as a whole; nothing is moved"));
    let told = status(&mapped);
    assert!(told.main_suspect && told.used.get() == 4, "{told}");
    // The spare's blocks are served as ever.
    shadow.check(20, 4);
    shadow.write(20, 4).unwrap();
    shadow.check(20, 4);
    main.heal(0, 16 * MIB);
    main.spoil(20, 4);
    main.spoil(100, 4);
    shadow.write(0, 256).unwrap();
    shadow.check_all();
    check_remaps(&mapped, &[20, 21, 22, 23, 100, 101, 102, 103], &[]);
    assert!(!status(&mapped).main_suspect);
    drop(shadow);
    mapped.remove().unwrap();
}

fn asked_at_once(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let mut shadow = Shadow::over(&mapped.path(), 0, 256);
    for round in 0..4 {
        main.spoil(0, 16 * MIB);
        for at in 0..=round {
            shadow.write(at * 8, 8).expect_err("main is dead");
        }
        assert!(status(&mapped).main_suspect);
        main.heal(0, 16 * MIB);
        // The first that is heard of it again is one bad block.
        main.spoil(100 + round, 1);
        shadow.write(100 + round, 1).unwrap();
        assert!(!status(&mapped).main_suspect);
        main.heal(100 + round, 1);
        shadow.write(0, 256).unwrap();
    }
    shadow.check_all();
    check_remaps(&mapped, &[100, 101, 102, 103], &[]);
    drop(shadow);
    mapped.remove().unwrap();
}

fn lost_blocks_persist(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let mut shadow = Shadow::over(&mapped.path(), 0, 256);
    main.spoil(50, 3);
    let device = Device::open(&mapped.path());
    device
        .read(48, &mut Buffer::sectors(8))
        .expect_err("blocks are lost");
    drop(device);
    check_remaps(&mapped, &[], &[50, 51, 52]);
    let mut closed = shadow.close();
    mapped.remove().unwrap();
    for _ in 0..2 {
        let mapped = join(&main, &spare);
        check_remaps(&mapped, &[], &[50, 51, 52]);
        let device = Device::open(&mapped.path());
        for at in 50..53 {
            device
                .read(at, &mut Buffer::sectors(1))
                .expect_err("it is lost");
        }
        shadow = closed.open(&mapped.path());
        shadow.check(0, 50);
        shadow.check(53, 203);
        closed = shadow.close();
        drop(device);
        mapped.remove().unwrap();
    }
    // One is written, one comes back by itself, one stays lost.
    main.heal(52, 1);
    let mapped = join(&main, &spare);
    shadow = closed.open(&mapped.path());
    shadow.write(50, 1).unwrap();
    shadow.check(48, 3);
    shadow.check(52, 4);
    check_remaps(&mapped, &[50], &[51, 52]);
    let device = Device::open(&mapped.path());
    device
        .read(51, &mut Buffer::sectors(1))
        .expect_err("it is lost");
    // Written, it moves, though main would take it.
    shadow.write(52, 1).unwrap();
    check_remaps(&mapped, &[50, 52], &[51]);
    shadow.write(51, 1).unwrap();
    shadow.check_all();
    closed = shadow.close();
    drop(device);
    mapped.remove().unwrap();
    let mapped = join(&main, &spare);
    check_remaps(&mapped, &[50, 51, 52], &[]);
    closed.open(&mapped.path()).check_all();
    mapped.remove().unwrap();
}

/// A main that has no room left is no matter of single blocks: whoever writes is told, and
/// nothing moves.
fn thin_main_is_full(_: &mut KernelLog) {
    const ROOM: u64 = 4 * MIB;
    // What a pool gives room for at once, in sectors.
    const CHUNK: u64 = 128;
    let (names, room, spare) = (Disk::of_mib(4), Disk::of_mib(4), Disk::of_mib(16));
    let line = |length, target, words| {
        let start = 0;
        [Line {
            start,
            length,
            target,
            words,
        }]
    };
    let words = format!(
        "{} {} {CHUNK} 0 2 skip_block_zeroing error_if_no_space",
        names.word(),
        room.word()
    );
    let pool = Mapped::create("pool", &line(ROOM, "thin-pool", words)).unwrap();
    pool.message(0, "create_thin 0").unwrap();
    let words = format!("{} 0", pool.path().display());
    let thin = Mapped::create("thin", &line(16 * MIB, "thin", words)).unwrap();
    let words = format!("{} {}", thin.path().display(), spare.word());
    let mapped = Mapped::create("joined", &table(16 * MIB, words)).unwrap();
    mapped.message(0, "write_metadata").unwrap();

    let device = Device::open(&mapped.path());
    let mut written = Vec::new();
    for at in (0..16 * MIB).step_by(CHUNK as usize) {
        match device.write_pattern(at, CHUNK, 1) {
            Ok(()) => written.push(at),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENOSPC), "{error}"),
        }
    }
    assert_eq!(written.len() as u64, ROOM / CHUNK);
    check_remaps(&mapped, &[], &[]);
    let told = status(&mapped);
    assert!(!told.main_suspect && told.mode == Mode::ReadWrite, "{told}");
    // What found room is there, and takes writes as before; a bad block there moves.
    for (round, at) in written.iter().enumerate() {
        device.check_pattern(*at, CHUNK, 1);
        device.write_pattern(*at, CHUNK, 2 + round as u64).unwrap();
    }
    room.spoil(CHUNK + 7, 1);
    for (round, at) in written.iter().enumerate() {
        device
            .write_pattern(*at, CHUNK, 100 + round as u64)
            .unwrap();
        device.check_pattern(*at, CHUNK, 100 + round as u64);
    }
    assert_eq!(remaps(&mapped).len(), 1);
    drop(device);
    mapped.remove().unwrap();
    thin.remove().unwrap();
    pool.remove().unwrap();
}
