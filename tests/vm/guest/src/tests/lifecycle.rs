//! Coming up, being suspended, getting another table and going away, under load and
//! after errors.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use nix::libc;

use super::remapping::{joined, wait_for};
use super::{check_remaps, join, join_as, remaps, status, table, words, Test};
use crate::block::{Buffer, Device};
use crate::disk::{Disk, MIB};
use crate::dm::{Line, Mapped};
use crate::kernel_log::KernelLog;
use crate::random::Random;
use crate::remap_core::status::{Mode, RepairStatus};
use crate::shadow::Shadow;

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("data-survive-remove-and-recreate", recreate),
    ("a-thousand-suspends-under-load", suspend_under_load),
    ("another-table-under-load", another_table_under_load),
    ("the-table-becomes-error-and-back", error_and_back),
    ("changed-metadata-refuse-resume", changed_metadata),
    ("each-disk-serves-one-device", one_device_alone),
    ("the-log-tells-who-is-gone", gone_is_told),
    ("removal-after-errors", removal_after_errors),
    ("removal-while-errors-are-in-flight", removal_in_flight),
];

fn recreate(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = join(&main, &spare);
    let shadow = Shadow::over(&mapped.path(), 0, 10 * MIB);
    shadow.check_all();
    let shadow = shadow.close();
    mapped.remove().unwrap();
    // Recreated: still a pass-through. Then with metadata.
    let mapped = join(&main, &spare);
    assert_eq!(status(&mapped).mode, Mode::PassThrough);
    let mut shadow = shadow.open(&mapped.path());
    shadow.check_all();
    mapped.message(0, "write_metadata").unwrap();
    shadow.check_all();
    main.spoil(1000, 40);
    for at in (0..10 * MIB).step_by(512) {
        shadow.write(at, 512).unwrap();
    }
    let moved: Vec<u64> = (1000..1040).collect();
    check_remaps(&mapped, &moved, &[]);
    let mut closed = shadow.close();
    mapped.remove().unwrap();
    for _ in 0..3 {
        let mapped = join(&main, &spare);
        let told = status(&mapped);
        assert_eq!((told.mode, told.active.get()), (Mode::ReadWrite, 40));
        let mut shadow = closed.open(&mapped.path());
        shadow.check_all();
        shadow.write(990, 60).unwrap();
        shadow.check(980, 80);
        closed = shadow.close();
        mapped.remove().unwrap();
    }
}

fn one_device_alone(log: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let others = [Disk::of_mib(16), Disk::of_mib(16)];
    let mapped = joined(&main, &spare);
    mapped.message(0, "remap 7").unwrap();
    let refused = |main: &Disk, spare: &Disk, option: &str, log: &mut KernelLog| {
        let line = table(16 * MIB, words(main, spare) + option);
        let Err(error) = Mapped::create("second", &line) else {
            panic!("two targets write to one disk");
        };
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY), "{error}");
        assert!(log.holds("is part of another device that is up"));
        log.skip();
    };
    for option in ["", " 2 read_only 1"] {
        refused(&others[0], &spare, option, log);
        refused(&main, &others[1], option, log);
        refused(&spare, &others[1], option, log);
        refused(&others[0], &main, option, log);
    }
    // In one table they would be two as well.
    let of = |start, main: &Disk, spare: &Disk| Line {
        start,
        length: 4 * MIB,
        target: "dm-remap-v4",
        words: words(main, spare),
    };
    let [one, other] = [Disk::of_mib(16), Disk::of_mib(16)];
    for both in [
        [of(0, &others[0], &one), of(4 * MIB, &others[1], &one)],
        [of(0, &one, &others[0]), of(4 * MIB, &one, &others[1])],
        [of(0, &one, &other), of(4 * MIB, &other, &others[0])],
    ] {
        let Err(error) = Mapped::create("second", &both) else {
            panic!("one disk serves two targets of a table");
        };
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY), "{error}");
    }
    // One that is suspended gives way, and does not come back before the other one is gone.
    mapped.suspend().unwrap();
    let second = join_as("second", &main, &spare);
    let error = mapped.resume().expect_err("the spare is the other one's");
    assert_eq!(error.raw_os_error(), Some(libc::EBUSY), "{error}");
    second.suspend().unwrap();
    mapped.resume().unwrap();
    second.resume().expect_err("now it is this one's");
    second.remove().unwrap();
    check_remaps(&mapped, &[7], &[]);
    // Its own next table is no other device, nor is one that has taken its place.
    mapped.load(&table(16 * MIB, words(&main, &spare))).unwrap();
    mapped.resume().unwrap();
    check_remaps(&mapped, &[7], &[]);
    mapped
        .load(&table(16 * MIB, words(&others[0], &others[1])))
        .unwrap();
    mapped.resume().unwrap();
    let second = join_as("second", &main, &spare);
    check_remaps(&second, &[7], &[]);
    mapped.remove().unwrap();
    second.remove().unwrap();
    join(&others[0], &others[1]).remove().unwrap();
}

fn gone_is_told(log: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    // Another table is no end.
    for _ in 0..2 {
        mapped.load(&table(16 * MIB, words(&main, &spare))).unwrap();
        mapped.suspend().unwrap();
        mapped.resume().unwrap();
        assert!(!log.holds(": deactivated"));
    }
    mapped.remove().unwrap();
    assert!(log.holds(": deactivated"));
    log.skip();
    // What never came up does not go either.
    let line = table(16 * MIB, words(&main, &spare));
    Mapped::loaded("joined", &line).unwrap().remove().unwrap();
    assert!(!log.holds("activated"));
    // Nor is there one any more if there is another kind of target in its place.
    let mapped = join(&main, &spare);
    let error = Line {
        start: 0,
        length: 16 * MIB,
        target: "error",
        words: String::new(),
    };
    mapped.load(&[error]).unwrap();
    mapped.resume().unwrap();
    assert!(log.holds(": deactivated"));
    mapped.remove().unwrap();
}

/// Writes and reads back at random until told to stop; returns how often.
fn exercise(shadow: &mut Shadow, seed: u64, stop: &AtomicBool) -> u64 {
    let mut random = Random::new(seed);
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let (at, length) = shadow.somewhere(&mut random, 1, 64);
        shadow.write(at, length).unwrap();
        shadow.check(at, length);
        let (at, length) = shadow.somewhere(&mut random, 1, 64);
        shadow.check(at, length);
        count += 1;
    }
    count
}

/// Runs `inner` while half of the device is written and checked; then checks all of it.
fn under_load(mapped: &Mapped, sectors: u64, inner: impl FnOnce()) {
    let mut shadow = Shadow::over(&mapped.path(), 0, sectors);
    let stop = AtomicBool::new(false);
    let count = thread::scope(|scope| {
        let load = scope.spawn(|| exercise(&mut shadow, 3, &stop));
        // The load ends whatever becomes of `inner`.
        let _stop = StopOnDrop(&stop);
        inner();
        stop.store(true, Ordering::Relaxed);
        load.join().expect("the load found nothing wrong")
    });
    assert!(count > 100, "only {count} requests under load");
    shadow.check_all();
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Checks that nothing but these blocks moved, that enough of them did, and that a
/// device brought up anew knows the same.
fn check_moved(main: &Disk, spare: &Disk, mapped: Mapped, may: &[u64], least: usize) {
    let moved: Vec<u64> = remaps(&mapped)
        .iter()
        .map(|line| line.block.get())
        .collect();
    assert!(moved.iter().all(|block| may.contains(block)), "{moved:?}");
    assert!(moved.len() >= least, "only {} blocks moved", moved.len());
    check_remaps(&mapped, &moved, &[]);
    mapped.remove().unwrap();
    let mapped = join(main, spare);
    check_remaps(&mapped, &moved, &[]);
    mapped.remove().unwrap();
}

fn suspend_under_load(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let bad = |cycle: u64| cycle * 2 % 2048;
    under_load(&mapped, 2048, || {
        for cycle in 0..1000 {
            // Half of the time main takes no writes in a few places.
            match cycle % 20 {
                0 => drop(mapped.message(0, &format!("fault main write {} 8", bad(cycle)))),
                10 => drop(mapped.message(0, "clear_faults")),
                _ => {}
            }
            mapped.suspend().unwrap();
            if cycle % 50 == 0 {
                status(&mapped);
                mapped.message(0, "scrub").expect_err("it is suspended");
                mapped.message(0, "remap 3").expect_err("it is suspended");
            }
            mapped.resume().unwrap();
            if cycle % 50 == 1 {
                mapped.message(0, "write_metadata").unwrap();
            }
        }
    });
    let may: Vec<u64> = (0..50)
        .flat_map(|nth| (0..8).map(move |at| bad(nth * 20) + at))
        .collect();
    let told = status(&mapped);
    assert_eq!(told.sequence.get(), 21, "{told}");
    check_moved(&main, &spare, mapped, &may, 8);
}

fn another_table_under_load(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    under_load(&mapped, 2048, || {
        for cycle in 0..100u64 {
            // What fails is forgotten with the table it was said to.
            let fault = format!("fault main write {} 8", cycle * 20);
            mapped.message(0, &fault).unwrap();
            thread::sleep(Duration::from_millis(20));
            let option = format!(" 2 scrub_interval {}", cycle % 3);
            let line = table(16 * MIB, words(&main, &spare) + &option);
            mapped.load(&line).unwrap();
            mapped.resume().unwrap();
        }
    });
    let may: Vec<u64> = (0..100)
        .flat_map(|cycle| (0..8).map(move |at| cycle * 20 + at))
        .collect();
    check_moved(&main, &spare, mapped, &may, 8);
}

fn error_and_back(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let mut shadow = Shadow::over(&mapped.path(), 0, 4096);
    main.spoil(0, 64);
    shadow.write(0, 128).unwrap();
    let error = [Line {
        start: 0,
        length: 16 * MIB,
        target: "error",
        words: String::new(),
    }];
    for _ in 0..20 {
        mapped.load(&error).unwrap();
        mapped.resume().unwrap();
        shadow.write(0, 64).expect_err("nothing is there");
        let line = table(16 * MIB, words(&main, &spare));
        mapped.load(&line).unwrap();
        mapped.resume().unwrap();
        shadow.check_all();
        shadow.write(32, 64).unwrap();
    }
    shadow.check_all();
    drop(shadow);
    mapped.remove().unwrap();
}

fn changed_metadata(log: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let device = Device::open(&mapped.path());
    device.write_pattern(0, 64, 1).unwrap();
    type Change = fn(&Mapped);
    let changes: [(&str, Change); 3] = [
        ("copies", |other| {
            other.message(0, "write_metadata").unwrap();
        }),
        ("table", |other| {
            other.message(0, "remap 7").unwrap();
        }),
        ("a later block of the table", |other| {
            for block in 1000..1300 {
                other.message(0, &format!("remap {block}")).unwrap();
            }
        }),
    ];
    for (what, change) in changes {
        mapped.suspend().unwrap();
        let other = join_as("other", &main, &spare);
        change(&other);
        let active = status(&other).active;
        other.remove().unwrap();
        log.skip();
        let error = mapped.resume().expect_err(what);
        assert_eq!(error.raw_os_error(), Some(libc::ESTALE), "{what}");
        assert!(
            log.holds("changed while the device was suspended"),
            "{what}"
        );
        // And again; only another table helps.
        mapped.resume().expect_err(what);
        let line = table(16 * MIB, words(&main, &spare));
        mapped.load(&line).unwrap();
        mapped.resume().unwrap();
        assert_eq!(status(&mapped).active, active, "{what}");
        device.check_pattern(0, 64, 1);
    }
    // Removed while it cannot be resumed.
    mapped.suspend().unwrap();
    let other = join_as("other", &main, &spare);
    other.message(0, "write_metadata").unwrap();
    other.remove().unwrap();
    mapped.resume().expect_err("changed");
    drop(device);
    mapped.remove().unwrap();
    // Only damaged: that is for a scrub to find.
    let mapped = join(&main, &spare);
    mapped.suspend().unwrap();
    let raw = Device::open(spare.path());
    raw.write(1024, &Buffer::sectors(1)).unwrap();
    mapped.resume().unwrap();
    mapped.message(0, "scrub").unwrap();
    wait_for(&mapped, "repair", |told| told.repairs_completed == 1);
    mapped.remove().unwrap();
}

fn removal_after_errors(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    main.spoil(100, 4);
    // An error that nothing was done about; one that was; one while the spare fails, and
    // its repair is due.
    for (metadata, spare_fails) in [(false, false), (true, false), (true, true)] {
        for suspend in [false, true] {
            let mapped = join(&main, &spare);
            if metadata {
                mapped.message(0, "write_metadata").unwrap();
            }
            if spare_fails {
                mapped.message(0, "fault spare write 0 99999999").unwrap();
                main.spoil(200, 4);
            }
            let device = Device::open(&mapped.path());
            let at = if spare_fails { 200 } else { 100 };
            let written = device.write_pattern(at, 8, 1);
            assert_eq!(written.is_ok(), metadata && !spare_fails, "{written:?}");
            drop(device);
            if spare_fails {
                let told = status(&mapped);
                let due = matches!(told.repair, RepairStatus::Waiting { .. });
                assert!(told.spare_failing && due, "{told}");
            }
            if suspend {
                mapped.suspend().unwrap();
                mapped.resume().unwrap();
                mapped.suspend().unwrap();
            }
            mapped.remove().unwrap();
        }
    }
}

pub fn removal_in_flight(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    joined(&main, &spare).remove().unwrap();
    for round in 0..30u64 {
        let mapped = join(&main, &spare);
        main.spoil(round * 200, 100);
        let (opened, was_refused) = (Barrier::new(5), AtomicBool::new(false));
        thread::scope(|scope| {
            for nth in 0..4 {
                let (path, opened, was_refused) = (mapped.path(), &opened, &was_refused);
                scope.spawn(move || {
                    let device = Device::open(&path);
                    opened.wait();
                    for at in (nth..100).step_by(4) {
                        device.write_pattern(round * 200 + at, 1, 1).unwrap();
                    }
                    // However fast this was, nobody lets go before removal was tried.
                    while !was_refused.load(Ordering::Relaxed) {
                        thread::yield_now();
                    }
                });
            }
            opened.wait();
            // As soon as the last of them lets go.
            let mut refused = 0;
            while let Err(error) = mapped.remove() {
                assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
                was_refused.store(true, Ordering::Relaxed);
                refused += 1;
                if refused % 8 == 0 {
                    mapped.suspend().unwrap();
                    mapped.resume().unwrap();
                }
                thread::yield_now();
            }
        });
        main.heal(round * 200, 100);
    }
    let mapped = join(&main, &spare);
    let bad: Vec<u64> = (0..30u64)
        .flat_map(|round| (0..100).map(move |at| round * 200 + at))
        .collect();
    check_remaps(&mapped, &bad, &[]);
    let device = Device::open(&mapped.path());
    for round in 0..30 {
        device.check_pattern(round * 200, 100, 1);
    }
    drop(device);
    mapped.remove().unwrap();
}
