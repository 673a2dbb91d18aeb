//! Readers and writers that race, and what a reader may see then.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};

use nix::sched::{sched_setaffinity, CpuSet};
use nix::unistd::Pid;

use crate::block::{Buffer, Device};
use crate::random::Random;

/// The most sectors of one request.
const MOST: u64 = 16;

/// Keeps the thread that calls it on one processor.
pub fn stay_on(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor).expect("there is such a processor");
    sched_setaffinity(Pid::from_raw(0), &set).expect("a thread stays where it is told to");
}

/// The first sectors of a device, and which rounds of writes to each have begun and ended.
/// Whoever reads one while it is written may see any round from the last that had ended
/// before to the last that has begun by then, and nothing else.
pub struct Race {
    path: PathBuf,
    begun: Vec<AtomicU64>,
    ended: Vec<AtomicU64>,
    stop: AtomicBool,
    requests: AtomicU64,
}

impl Race {
    /// Writes the first `sectors` sectors for the first time.
    pub fn over(path: &Path, sectors: u64) -> Self {
        let device = Device::open(path);
        device
            .write_pattern(0, sectors, 1)
            .expect("it takes writes");
        let rounds = || (0..sectors).map(|_| AtomicU64::new(1)).collect();
        Self {
            path: path.to_owned(),
            begun: rounds(),
            ended: rounds(),
            stop: AtomicBool::new(false),
            requests: AtomicU64::new(0),
        }
    }

    /// Has one writer and one reader on each of both processors race while `inner` runs;
    /// then checks everything once more. Returns how many requests there were.
    pub fn run(&self, inner: impl FnOnce()) -> u64 {
        thread::scope(|scope| {
            let mut racers: Vec<ScopedJoinHandle<'_, ()>> = Vec::new();
            for processor in 0..2 {
                racers.push(scope.spawn(move || self.write(processor)));
                racers.push(scope.spawn(move || self.read(processor)));
            }
            let _stop = Stop(&self.stop);
            inner();
            self.stop.store(true, Ordering::Relaxed);
            for racer in racers {
                racer.join().expect("a racer found nothing wrong");
            }
        });
        self.check(&Device::open(&self.path), 0, self.sectors());
        self.requests()
    }

    /// How many requests there were so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn sectors(&self) -> u64 {
        self.begun.len() as u64
    }

    fn goes_on(&self) -> bool {
        self.requests.fetch_add(1, Ordering::Relaxed);
        !self.stop.load(Ordering::Relaxed)
    }

    /// Writes to the half of one processor.
    fn write(&self, processor: usize) {
        stay_on(processor);
        let device = Device::open(&self.path);
        let mut random = Random::new(processor as u64);
        let half = self.sectors() / 2;
        let mut round = 1;
        while self.goes_on() {
            round += 1;
            let count = 1 + random.below(MOST);
            let at = half * processor as u64 + random.below(half - count);
            let of = at as usize..(at + count) as usize;
            for begun in &self.begun[of.clone()] {
                begun.store(round, Ordering::SeqCst);
            }
            device
                .write_pattern(at, count, round)
                .expect("it takes writes");
            for ended in &self.ended[of] {
                ended.store(round, Ordering::SeqCst);
            }
        }
    }

    fn read(&self, processor: usize) {
        stay_on(processor);
        let device = Device::open(&self.path);
        let mut random = Random::new(100 + processor as u64);
        while self.goes_on() {
            let count = 1 + random.below(MOST);
            self.check(&device, random.below(self.sectors() - count), count);
        }
    }

    fn check(&self, device: &Device, at: u64, count: u64) {
        let load = |rounds: &[AtomicU64]| -> Vec<u64> {
            let of = &rounds[at as usize..(at + count) as usize];
            of.iter()
                .map(|round| round.load(Ordering::SeqCst))
                .collect()
        };
        let ended = load(&self.ended);
        let mut holds = Buffer::sectors(count);
        device
            .read(at, &mut holds)
            .unwrap_or_else(|error| panic!("sectors {at}+{count}: {error}"));
        let begun = load(&self.begun);
        let mut should = Buffer::sectors(1);
        let sectors = holds.bytes().chunks_exact(512);
        for ((sector, holds), (ended, begun)) in (at..).zip(sectors).zip(ended.iter().zip(begun)) {
            let seen = (*ended..=begun).any(|round| {
                should.fill(sector, round);
                holds == should.bytes()
            });
            assert!(
                seen,
                "sector {sector} holds nothing of rounds {ended} to {begun}"
            );
        }
    }
}

/// Ends the race whatever becomes of the test.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
