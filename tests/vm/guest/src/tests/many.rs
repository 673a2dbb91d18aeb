//! Many remaps: more than the existing tools could keep, a hundred thousand, and more
//! than there is room for.

use std::time::Instant;

use nix::libc;

use super::remapping::joined;
use super::{check_remaps, join, status, Test};
use crate::block::{Buffer, Device};
use crate::disk::{Disk, MIB};
use crate::kernel_log::{KernelLog, Quiet};
use crate::random::Random;
use crate::shadow::Shadow;

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("more-than-2048-remaps", thousands),
    ("a-hundred-thousand-remaps", hundred_thousand),
    ("an-exhausted-spare", exhaustion),
];

fn thousands(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    let mut shadow = Shadow::over(&mapped.path(), 0, 16 * MIB);
    main.spoil(3000, 5000);
    for at in (0..16 * MIB).step_by(64) {
        shadow.write(at, 64).unwrap();
    }
    shadow.check_all();
    let bad: Vec<u64> = (3000..8000).collect();
    check_remaps(&mapped, &bad, &[]);
    let closed = shadow.close();
    mapped.remove().unwrap();
    // Main works again, and holds what was there before: nobody may see that.
    main.heal(3000, 5000);
    let mapped = join(&main, &spare);
    check_remaps(&mapped, &bad, &[]);
    let mut shadow = closed.open(&mapped.path());
    shadow.check_all();
    let mut random = Random::new(5);
    for _ in 0..500 {
        let (at, count) = shadow.somewhere(&mut random, 1, 128);
        shadow.write(at, count).unwrap();
        shadow.check(at, count);
    }
    shadow.check_all();
    check_remaps(&mapped, &bad, &[]);
    drop(shadow);
    mapped.remove().unwrap();
}

fn hundred_thousand(_: &mut KernelLog) {
    const BAD: u64 = 100_000;
    let (main, spare) = (Disk::of_mib(64), Disk::of_mib(64));
    let mapped = joined(&main, &spare);
    main.spoil(1000, BAD);
    let start = Instant::now();
    let device = Device::open(&mapped.path());
    // From behind, so that neighbours on main are none on the spare.
    for nth in (0..64 * MIB / 512).map(|nth| 64 * MIB / 512 - 1 - nth) {
        device.write_pattern(nth * 512, 512, 1).unwrap();
    }
    let moving = start.elapsed();
    assert_eq!(status(&mapped).active.get(), BAD);
    drop(device);
    mapped.remove().unwrap();
    let start = Instant::now();
    let mapped = join(&main, &spare);
    let up = start.elapsed();
    println!(
        "vm: note {BAD} blocks moved in {} ms, known again in {} ms",
        moving.as_millis(),
        up.as_millis()
    );
    assert_eq!(status(&mapped).active.get(), BAD);
    let device = Device::open(&mapped.path());
    for at in (0..64 * MIB).step_by(1024) {
        device.check_pattern(at, 1024, 1);
    }
    let mut random = Random::new(6);
    for round in 2..2000 {
        let at = random.below(64 * MIB - 64);
        let count = 1 + random.below(64);
        device.write_pattern(at, count, round).unwrap();
        device.check_pattern(at, count, round);
    }
    let told = status(&mapped);
    assert_eq!((told.active.get(), told.used.get()), (BAD, BAD), "{told}");
    drop(device);
    mapped.remove().unwrap();
}

fn exhaustion(log: &mut KernelLog) {
    let _quiet = Quiet::new();
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(5));
    let mapped = joined(&main, &spare);
    let mut shadow = Shadow::over(&mapped.path(), 0, 8192);
    let total = status(&mapped).total.get();
    main.spoil(0, total + 100);
    let mut passed = [false; 3];
    for at in 0..total {
        let events = mapped.events().unwrap();
        log.skip();
        shadow.write(at, 1).unwrap();
        let told = status(&mapped);
        assert_eq!((told.used.get(), told.total.get()), (at + 1, total));
        assert!(mapped.events().unwrap() > events, "no event for a remap");
        for (percent, passed) in [75, 90, 100].into_iter().zip(&mut passed) {
            let now = (at + 1) * 100 >= total * percent;
            let said = log.holds(&format!("spare {percent} % used"));
            assert_eq!(said, now && !*passed, "{percent} % at {told}");
            *passed = now;
        }
    }
    assert_eq!(passed, [true; 3]);
    // Full: errors, and nothing else changes.
    for at in [total, total + 50] {
        log.skip();
        let error = shadow.write(at, 1).expect_err("there is no room");
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        let error = shadow.write(at, 8).expect_err("there is no room");
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
    }
    let device = Device::open(&mapped.path());
    device
        .read(total + 10, &mut Buffer::sectors(1))
        .expect_err("a bad block was read");
    drop(device);
    shadow.write(total + 100, 64).unwrap();
    for _ in 0..2 {
        shadow.check(0, total);
        shadow.check(total + 100, 8192 - total - 100);
    }
    shadow.write(0, 64).unwrap();
    let moved: Vec<u64> = (0..total).collect();
    check_remaps(&mapped, &moved, &[]);
    let closed = shadow.close();
    mapped.remove().unwrap();
    let mapped = join(&main, &spare);
    check_remaps(&mapped, &moved, &[]);
    let mut shadow = closed.open(&mapped.path());
    shadow.check(0, total);
    shadow.write(total, 1).expect_err("there is no room");
    drop(shadow);
    mapped.remove().unwrap();
}
