//! Power cuts: what was promised is there, whenever the power goes.

use std::collections::BTreeMap;

use super::{status, table};
use crate::block::{Buffer, Device, SECTOR};
use crate::crash::{Pair, Recording, State};
use crate::dm::Mapped;
use crate::kernel_log::KernelLog;
use crate::log_writes::{Event, Logged};
use crate::remap_core::quorum::Verdict;
use crate::remap_core::units::Sectors;

const MAIN: Sectors = Sectors::new(4096);
const SPARE: Sectors = Sectors::new(12_288);

/// Which round each sector was last promised to hold, by the marks of a workload.
#[derive(Default)]
struct Promises(BTreeMap<u64, u64>);

impl Promises {
    /// Reads marks as [`promise`] leaves them.
    fn of(marks: &[String]) -> Self {
        let mut promises = Self::default();
        for mark in marks {
            let mut words = mark.split('-').map(|word| word.parse::<u64>().unwrap());
            let [at, count, round] = [(); 3].map(|()| words.next().unwrap());
            promises
                .0
                .extend((at..at + count).map(|sector| (sector, round)));
        }
        promises
    }

    /// How many sectors of `device` hold neither what they were promised to nor what a
    /// later round up to `last` wrote.
    fn broken(&self, device: &Device, last: u64) -> usize {
        let is_broken = |(sector, round): (&u64, &u64)| {
            let mut is = Buffer::sectors(1);
            let mut should = Buffer::sectors(1);
            device.read(*sector, &mut is).is_err()
                || !(*round..=last).any(|round| {
                    should.fill(*sector, round);
                    is.bytes() == should.bytes()
                })
        };
        self.0.iter().filter(|entry| is_broken(*entry)).count()
    }
}

/// Promises that sectors hold what `round` wrote.
fn promise(log: &Logged, at: u64, count: u64, round: u64) {
    log.mark(&format!("{at}-{count}-{round}"));
}

pub fn states_are_every_one(_: &mut KernelLog) {
    const ROUNDS: u64 = 12;
    let workload = |pair: &Pair, log: &Logged| {
        let (main, spare) = (
            Device::open(&pair.main.path()),
            Device::open(&pair.spare.path()),
        );
        for round in 1..=ROUNDS {
            let at = round % 4 * 64;
            main.write_pattern(at, 16, round).unwrap();
            spare.write_pattern(at, 1, round).unwrap();
            main.flush().unwrap();
            promise(log, at, 16, round);
        }
    };
    let prepare = |pair: &Pair| {
        let main = Device::open(&pair.main.path());
        main.write_pattern(1000, 300, 7).unwrap();
    };
    let recording = Recording::of(MAIN, SPARE, prepare, workload);
    let writes = |test: &dyn Fn(u64, &[u8]) -> bool| {
        let is =
            |event: &&Event| matches!(event, Event::Write { at, data, .. } if test(at.get(), data));
        recording.events().iter().filter(is).count() as u64
    };
    assert_eq!(
        writes(&|at, data| at < MAIN.get() && data.len() == 16 * SECTOR),
        ROUNDS
    );
    assert_eq!(
        writes(&|at, data| at >= MAIN.get() && data.len() == SECTOR),
        ROUNDS
    );
    let (mut torn, mut newest) = (0, 0);
    let states = recording.every_state(|state| {
        let main = Device::open(&state.pair.main.path());
        main.check_pattern(1000, 300, 7);
        let promises = Promises::of(state.marks);
        assert_eq!(promises.broken(&main, ROUNDS), 0, "{}", state.name);
        torn += usize::from(state.name.contains("torn"));
        newest = promises.0.values().copied().max().unwrap_or_default();
    });
    // Each round's write to main whole and torn, and its write to the spare.
    assert_eq!((states as u64, torn as u64), (ROUNDS * 3 + 2, ROUNDS));
    assert_eq!(newest, ROUNDS, "the last state lacks promises");
}

/// A promise before the flush is one that a power cut breaks: the states must show it.
pub fn states_show_an_early_promise(_: &mut KernelLog) {
    let recording = Recording::of(
        MAIN,
        SPARE,
        |_| {},
        |pair, log| {
            let main = Device::open(&pair.main.path());
            for round in 1..=4 {
                main.write_pattern(0, 16, round).unwrap();
                promise(log, 0, 16, round);
                main.flush().unwrap();
            }
        },
    );
    let mut broken = 0;
    recording.every_state(|state| {
        let main = Device::open(&state.pair.main.path());
        broken += usize::from(Promises::of(state.marks).broken(&main, 4) > 0);
    });
    assert!(broken >= 4, "{broken} states break an early promise");
}

/// Brings the target up on both parts of a pair; its first scrub is its only one.
fn join(pair: &Pair) -> Mapped {
    let words = format!(
        "{} {} 2 scrub_interval 0",
        pair.main.path().display(),
        pair.spare.path().display()
    );
    Mapped::create("joined", &table(MAIN.get(), words)).expect("the target comes up")
}

/// Checks that a device comes up by itself after a power cut and keeps every promise.
fn comes_up(state: &State<'_>, last: u64) {
    let joined = join(&state.pair);
    let told = status(&joined);
    assert!(
        matches!(
            told.verdict,
            Verdict::Healthy | Verdict::Degraded | Verdict::Interrupted
        ),
        "{}: {told}",
        state.name
    );
    assert!(!told.needs_check, "{}: {told}", state.name);
    let device = Device::open(&joined.path());
    let broken = Promises::of(state.marks).broken(&device, last);
    assert_eq!(
        broken, 0,
        "{}: sectors broke their promise: {told}",
        state.name
    );
    drop(device);
    joined.remove().unwrap();
}

fn write_metadata(pair: &Pair) {
    let joined = join(pair);
    joined.message(0, "write_metadata").unwrap();
    let device = Device::open(&joined.path());
    device.write_pattern(0, 512, 1).unwrap();
    device.flush().unwrap();
    drop(device);
    joined.remove().unwrap();
}

pub fn relocated_writes_survive(_: &mut KernelLog) {
    const LAST: u64 = 8;
    let recording = Recording::of(MAIN, SPARE, write_metadata, |pair, log| {
        promise(log, 0, 512, 1);
        let joined = join(pair);
        let device = Device::open(&joined.path());
        for round in 2..=LAST {
            let at = round * 16;
            joined
                .message(0, &format!("fault main both {} 2", at + 3))
                .unwrap();
            device.write_pattern(at + 3, 2, round).unwrap();
            // What is relocated is durable when it is acknowledged.
            promise(log, at + 3, 2, round);
            device.write_pattern(at, 8, round).unwrap();
            device.flush().unwrap();
            promise(log, at, 8, round);
        }
        assert_eq!(status(&joined).active.get(), 2 * (LAST - 1));
        drop(device);
        joined.remove().unwrap();
    });
    let states = recording.every_state(|state| comes_up(state, LAST));
    println!("vm: note {states} states after power cuts in relocations");
}

pub fn rewritten_copies_survive(_: &mut KernelLog) {
    let recording = Recording::of(MAIN, SPARE, write_metadata, |pair, log| {
        promise(log, 0, 512, 1);
        let joined = join(pair);
        for block in 32..36 {
            joined.message(0, &format!("remap {block}")).unwrap();
            joined.message(0, "write_metadata").unwrap();
        }
        joined.remove().unwrap();
    });
    let states = recording.every_state(|state| comes_up(state, 1));
    println!("vm: note {states} states after power cuts in writing copies and moving blocks");
}
