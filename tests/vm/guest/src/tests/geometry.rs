//! Requests of 1 to 64 blocks, at each of the eight alignments to 4 KiB, with a bad block
//! in each place: exactly that block moves, or is lost, and no other is touched.

use nix::libc;

use super::remapping::joined;
use super::{check_remaps, join, Test};
use crate::block::{Buffer, Device};
use crate::disk::{Disk, MIB};
use crate::kernel_log::{KernelLog, Quiet};
use crate::metadata::Metadata;
use crate::random::Random;
use crate::remap_core::units::BlockSize;

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("write-geometry", writes),
    ("read-geometry", reads),
    ("several-bad-blocks-in-one-request", several_in_one_request),
];

const MAIN_MIB: u64 = 24;
const SPARE_MIB: u64 = 16;

/// Sectors from one request's place to the next one's; none reaches into another's.
const STRIDE: u64 = 80;

/// A request, and the one sector in it that is bad.
#[derive(Clone, Copy)]
struct Request {
    at: u64,
    size: u64,
    bad: u64,
}

/// Every request of one size, each in a place of its own, in the order of their places.
fn requests(size: u64) -> impl Iterator<Item = Request> {
    (0..8).flat_map(move |align| {
        (0..size).map(move |bad| {
            let at = 8 + (align * 64 + bad) * STRIDE + align;
            let bad = at + bad;
            Request { at, size, bad }
        })
    })
}

impl Request {
    /// Checks the request's sectors through the mapped device, and that those on either
    /// side are as they were before anything was written.
    fn check(&self, device: &Device, round: u64) {
        let mut buffer = Buffer::sectors(self.size + 2);
        let from = self.at - 1;
        device.read(from, &mut buffer).unwrap();
        buffer.check_part(0, 1, from, 0);
        buffer.check_part(1, self.size, self.at, round);
        let behind = self.at + self.size;
        buffer.check_part(self.size + 1, 1, behind, 0);
    }

    /// Checks that the sectors of `device` other than the bad one hold `round`.
    fn check_others(&self, device: &Device, round: u64) {
        let (before, behind) = (self.bad - self.at, self.at + self.size - self.bad - 1);
        if before > 0 {
            device.check_pattern(self.at, before, round);
        }
        if behind > 0 {
            device.check_pattern(self.bad + 1, behind, round);
        }
    }
}

/// Two disks, main full of round 0, and what the spare holds before anything is moved.
fn prepared() -> (Disk, Disk, Metadata) {
    let (main, spare) = (Disk::of_mib(MAIN_MIB), Disk::of_mib(SPARE_MIB));
    joined(&main, &spare).remove().unwrap();
    let raw = Device::open(main.path());
    for at in (0..MAIN_MIB * MIB).step_by(2048) {
        raw.write_pattern(at, 2048, 0).unwrap();
    }
    let fresh = Metadata::of(&spare, BlockSize::B512);
    (main, spare, fresh)
}

fn writes(_: &mut KernelLog) {
    let _quiet = Quiet::new();
    let (main, spare, fresh) = prepared();
    let raw = Device::open(main.path());
    for size in 1..=64 {
        main.heal(0, MAIN_MIB * MIB);
        fresh.restore(&spare);
        let bad: Vec<u64> = requests(size).map(|request| request.bad).collect();
        for at in &bad {
            main.spoil(*at, 1);
        }
        let mapped = join(&main, &spare);
        let device = Device::open(&mapped.path());
        for request in requests(size) {
            device.write_pattern(request.at, size, size).unwrap();
        }
        check_remaps(&mapped, &bad, &[]);
        for request in requests(size) {
            request.check(&device, size);
            request.check_others(&raw, size);
        }
        drop(device);
        mapped.remove().unwrap();
    }
}

fn reads(_: &mut KernelLog) {
    let _quiet = Quiet::new();
    let (main, spare, fresh) = prepared();
    for size in 1..=64 {
        main.heal(0, MAIN_MIB * MIB);
        fresh.restore(&spare);
        let mapped = join(&main, &spare);
        let device = Device::open(&mapped.path());
        let bad: Vec<u64> = requests(size).map(|request| request.bad).collect();
        for request in requests(size) {
            device.write_pattern(request.at, size, size).unwrap();
        }
        for at in &bad {
            main.spoil(*at, 1);
        }
        for request in requests(size) {
            let error = device.read(request.at, &mut Buffer::sectors(size));
            let error = error.expect_err("a bad block was read");
            assert_eq!(error.raw_os_error(), Some(libc::EIO));
            request.check_others(&device, size);
            device
                .read(request.bad, &mut Buffer::sectors(1))
                .expect_err("a bad block was read");
        }
        check_remaps(&mapped, &[], &bad);
        // The next write moves it; the others stay.
        for request in requests(size) {
            device.write_pattern(request.bad, 1, size).unwrap();
        }
        check_remaps(&mapped, &bad, &[]);
        for request in requests(size) {
            request.check(&device, size);
        }
        drop(device);
        mapped.remove().unwrap();
    }
}

fn several_in_one_request(_: &mut KernelLog) {
    let _quiet = Quiet::new();
    let (main, spare, fresh) = prepared();
    let mut random = Random::new(1);
    fresh.restore(&spare);
    let mapped = join(&main, &spare);
    let device = Device::open(&mapped.path());
    let mut moved = Vec::new();
    for round in 1..=400 {
        // Each sector of a request is bad or not, from nearly none to nearly all.
        let size = 1 + random.below(64);
        let at = 8 + round * 100 + random.below(8);
        let odds = 1 + random.below(16);
        for sector in at..at + size {
            if random.below(17) < odds {
                main.spoil(sector, 1);
                moved.push(sector);
            }
        }
        device.write_pattern(at, size, round).unwrap();
        device.check_pattern(at, size, round);
        // Again, now that they are remapped; then a part of it.
        device.write_pattern(at, size, round + 1000).unwrap();
        let skip = random.below(size);
        device
            .write_pattern(at + skip, size - skip, round + 2000)
            .unwrap();
        if skip > 0 {
            device.check_pattern(at, skip, round + 1000);
        }
        device.check_pattern(at + skip, size - skip, round + 2000);
        device.check_pattern(at - 1, 1, 0);
        device.check_pattern(at + size, 1, 0);
        // Null_blk remembers no more than 512 ranges; what was moved is not missed.
        main.heal(at, size);
    }
    check_remaps(&mapped, &moved, &[]);
    drop(device);
    mapped.remove().unwrap();
}
