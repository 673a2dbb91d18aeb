//! The guest is reset in the middle of its I/O, several times over: what was acknowledged
//! is there when main and spare are joined again.
//!
//! The disks are the emulator's, and outlive a reset. What was acknowledged is recorded on
//! a third one, which also tells the next boot that the reset was meant.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{remaps, status, table, Test};
use crate::block::{Buffer, Device};
use crate::disk::MIB;
use crate::dm::Mapped;
use crate::kernel_log::{KernelLog, Quiet};
use crate::random::Random;
use crate::remap_core::status::Mode;
use crate::sys;
use crate::terminal::PATIENCE;
use crate::worn::Worn;

/// The tests of this file, for a guest whose disks outlive it.
pub const TESTS: &[(&str, Test)] = &[("resets-lose-no-acknowledged-write", acknowledged_survive)];

const MAIN: &str = "/dev/vda";
const SPARE: &str = "/dev/vdb";
const RECORD: &str = "/dev/vdc";

/// How often the guest is reset.
const RESETS: u64 = 5;

/// Threads that write, each to its own part of the device.
const WRITERS: u64 = 4;

/// Sectors between the parts of two writers, and sectors that each writes to.
const APART: u64 = 8 * MIB;
const PART: u64 = 4096;

/// Where on the record disk a writer's records begin, and room for how many.
const RECORDS_FROM: u64 = 8;
const RECORDS: u64 = 8192;

/// Writes that are acknowledged before a reset, at least, after more of main went bad.
const LEAST: u64 = 100;

const BOOT: u64 = u64::from_le_bytes(*b"the boot");
const WRITTEN: u64 = u64::from_le_bytes(*b"awritten");

/// The disk that tells what was acknowledged.
struct Record {
    disk: Device,
    /// Writes that this boot noted.
    noted: AtomicU64,
}

impl Record {
    fn open() -> Self {
        Self {
            disk: Device::open_durable(Path::new(RECORD)),
            noted: AtomicU64::new(0),
        }
    }

    /// How many resets came before this boot.
    fn resets(&self) -> u64 {
        match self.words(0) {
            [BOOT, resets, _] => resets,
            _ => 0,
        }
    }

    /// Says that this is the reset of that number, and that it is meant.
    fn announce(&self, reset: u64) {
        self.put(0, [BOOT, reset, 0]);
    }

    /// Notes that a writer's write of that number was acknowledged.
    fn acknowledge(&self, writer: u64, number: u64) {
        let at = RECORDS_FROM + writer * RECORDS + number;
        self.put(at, [WRITTEN, writer, number]);
        self.noted.fetch_add(1, Ordering::Relaxed);
    }

    /// How many of a writer's writes were acknowledged; they were in order.
    fn acknowledged(&self, writer: u64) -> u64 {
        let at = |number| RECORDS_FROM + writer * RECORDS + number;
        let is = |number: &u64| self.words(at(*number)) == [WRITTEN, writer, *number];
        (0..RECORDS).take_while(is).count() as u64
    }

    fn words(&self, at: u64) -> [u64; 3] {
        let mut buffer = Buffer::sectors(1);
        self.disk.read(at, &mut buffer).expect("the record is read");
        [0, 8, 16].map(|at| u64::from_le_bytes(buffer.bytes()[at..at + 8].try_into().unwrap()))
    }

    fn put(&self, at: u64, words: [u64; 3]) {
        let mut buffer = Buffer::sectors(1);
        for (to, word) in buffer.bytes_mut().chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        self.disk.write(at, &buffer).expect("the record is written");
    }
}

/// What one writer writes, which follows from its number and the write's alone.
#[derive(Clone, Copy)]
struct Writer(u64);

impl Writer {
    /// The sectors that its write of that number is to, and the round of what it writes.
    fn request(self, number: u64) -> (u64, u64, u64) {
        let mut random = Random::new(self.0 << 32 | number);
        let count = 1 + random.below(64);
        let at = self.0 * APART + random.below(PART - count + 1);
        (at, count, number + 1)
    }

    /// Writes from `number` on until the guest ends, and records what was acknowledged.
    fn write_on(self, path: &Path, mut number: u64, record: &Record, stop: &AtomicBool) {
        // Half of them as databases do, half as those do that sync what they wrote.
        let synced = self.0.is_multiple_of(2);
        let device = match synced {
            true => Device::open(path),
            false => Device::open_durable(path),
        };
        while number < RECORDS && !stop.load(Ordering::Relaxed) {
            let (at, count, round) = self.request(number);
            device
                .write_pattern(at, count, round)
                .expect("it takes writes");
            if synced {
                device.flush().expect("it takes flushes");
            }
            record.acknowledge(self.0, number);
            number += 1;
        }
    }

    /// Checks that its part holds what was acknowledged. The sectors of the one write that
    /// was not may hold either; returns how many hold that.
    fn check(self, device: &Device, acknowledged: u64) -> usize {
        let mut rounds = vec![0; PART as usize];
        let from = self.0 * APART;
        for number in 0..acknowledged {
            let (at, count, round) = self.request(number);
            rounds[(at - from) as usize..][..count as usize].fill(round);
        }
        let (late_at, late_count, late) = self.request(acknowledged);
        let mut should = Buffer::sectors(1);
        let mut is = Buffer::sectors(PART);
        device.read(from, &mut is).expect("its part is read");
        let mut later = 0;
        for ((sector, round), holds) in (from..).zip(rounds).zip(is.bytes().chunks_exact(512)) {
            let mut holds_round = |round| {
                match round {
                    0 => should.bytes_mut().fill(0),
                    _ => should.fill(sector, round),
                }
                holds == should.bytes()
            };
            if (late_at..late_at + late_count).contains(&sector) && holds_round(late) {
                later += 1;
                continue;
            }
            assert!(
                holds_round(round),
                "sector {sector} was acknowledged in round {round} and holds something else"
            );
        }
        later
    }
}

/// Places of main that take no writes from the time after that reset on.
fn places(reset: u64) -> impl Iterator<Item = (u64, u64)> {
    let mut random = Random::new(1000 + reset);
    (0..WRITERS).flat_map(move |writer| {
        let place = |_| (writer * APART + random.below(PART), 1 + random.below(6));
        (0..60).map(place).collect::<Vec<_>>()
    })
}

fn acknowledged_survive(log: &mut KernelLog) {
    let _quiet = Quiet::new();
    let record = Record::open();
    let resets = record.resets();
    let mut worn = Worn::over(Path::new(MAIN));
    worn.wear((0..resets).flat_map(places));
    let words = format!("{} {SPARE}", worn.path().display());
    let mapped = Mapped::create("joined", &table(worn.sectors(), words));
    let mapped = mapped.expect("main and spare are joined again");
    if resets == 0 {
        mapped.message(0, "write_metadata").unwrap();
    }
    let told = status(&mapped);
    assert_eq!(told.mode, Mode::ReadWrite, "{told}");
    let acknowledged = check_all(&mapped, &record, resets);
    if resets == RESETS {
        let moved = remaps(&mapped).len();
        assert!(moved > 200, "only {moved} blocks moved: {told}");
        println!("vm: note {acknowledged} acknowledged writes outlived {RESETS} resets");
        mapped.remove().unwrap();
        worn.remove();
        return;
    }
    work_until_reset(&mapped, &record, &mut worn, resets, log)
}

/// Checks what every writer was acknowledged; returns how many writes that were.
fn check_all(mapped: &Mapped, record: &Record, resets: u64) -> u64 {
    let device = Device::open(&mapped.path());
    let (mut acknowledged, mut later) = (0, 0);
    for writer in (0..WRITERS).map(Writer) {
        let count = record.acknowledged(writer.0);
        later += writer.check(&device, count);
        acknowledged += count;
    }
    let least = resets * LEAST;
    assert!(
        acknowledged >= least,
        "{acknowledged} writes before {resets} resets"
    );
    println!(
        "vm: note reset {resets}: {acknowledged} acknowledged writes are there, {} blocks moved, \
         {later} sectors of writes that were on their way",
        status(mapped).active
    );
    acknowledged
}

/// Writes from several threads, has the copies written and the spare scrubbed all the
/// while, and resets the guest in the middle of it.
fn work_until_reset(
    mapped: &Mapped,
    record: &Record,
    worn: &mut Worn,
    resets: u64,
    log: &mut KernelLog,
) {
    let stop = AtomicBool::new(false);
    let path = mapped.path();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for writer in (0..WRITERS).map(Writer) {
            let number = record.acknowledged(writer.0);
            let (path, stop) = (&path, &stop);
            threads.push(scope.spawn(move || writer.write_on(path, number, record, stop)));
        }
        threads.push(scope.spawn(|| maintain(mapped, resets, &stop)));
        thread::sleep(Duration::from_millis(300));
        worn.wear(places(resets));
        let patience = Instant::now() + PATIENCE;
        let enough = record.noted.load(Ordering::Relaxed) + LEAST;
        while record.noted.load(Ordering::Relaxed) < enough && Instant::now() < patience {
            thread::sleep(Duration::from_millis(100 + resets * 7));
        }
        // One that ended found something wrong, or nothing more to do.
        let ended = threads.iter().filter(|one| one.is_finished()).count();
        let complaints = log.complaints();
        if ended == 0 && complaints.is_empty() {
            record.announce(resets + 1);
            sys::reset();
        }
        stop.store(true, Ordering::Relaxed);
        panic!("{ended} threads ended before the reset; the kernel said {complaints:?}");
    })
}

/// Has the target write its metadata and look at it, over and over, and move blocks that
/// nobody writes to.
fn maintain(mapped: &Mapped, resets: u64, stop: &AtomicBool) {
    for nth in 0.. {
        let block = 7 * MIB + resets * 10_000 + nth;
        for message in ["write_metadata", "scrub", &format!("remap {block}")] {
            mapped.message(0, message).expect("it obeys");
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // Writers wait while the target looks after itself, and are to get on as well.
        thread::sleep(Duration::from_millis(30));
    }
}
