//! Random loads on disks that fail at random, against a model of what each block may
//! hold. No power fails here; the device is taken down and up at random instead.

use std::collections::BTreeMap;

use super::rig::{disks, Rig, MAIN_SIZE};
use crate::lab::dm_target::RequestError;
use crate::lab::fault::FaultRange;
use crate::lab::ram::next_random;
use crate::port::BlockStore;
use crate::remap_core::message::{Direction, Message};
use crate::remap_core::params::Options;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::units::{BlockSize, Errno, MainBlock, Sector, Sectors, Slot};

/// Blocks that the load works on: few, so that the same ones fail again and again.
const BLOCKS: u64 = 24;

/// What a block may hold: what was acknowledged last, and what failed since.
type Model = BTreeMap<u64, Vec<u8>>;

struct Soak {
    rig: Rig,
    model: Model,
    random: u64,
    salt: u8,
    history: Vec<String>,
}

impl Soak {
    fn new(seed: u64) -> Self {
        let mut rig = Rig::new(BlockSize::B512, 520);
        rig.write(0, BLOCKS, 0).unwrap();
        Self {
            rig,
            model: (0..BLOCKS).map(|block| (block, vec![0])).collect(),
            random: seed,
            salt: 0,
            history: Vec::new(),
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        next_random(&mut self.random) % limit
    }

    fn note(&mut self, what: String) {
        self.history.push(what);
    }

    fn range(&mut self) -> (u64, u64) {
        let first = self.below(BLOCKS);
        let count = 1 + self.below(16.min(BLOCKS - first));
        (first, count)
    }

    fn write(&mut self) {
        let (first, count) = self.range();
        self.salt = self.salt.wrapping_add(1).max(1);
        let salt = self.salt;
        let outcome = self.rig.write(first, count, salt);
        self.note(format!("write {first}+{count} salt {salt}: {outcome:?}"));
        let failed: Vec<u64> = match outcome {
            Ok(()) => Vec::new(),
            Err(RequestError::Blocks(failed)) => failed.iter().map(|f| f.block.get()).collect(),
            Err(error) => panic!("{error}: {:#?}", self.history),
        };
        for block in first..first + count {
            let allowed = self.model.get_mut(&block).unwrap();
            if !failed.contains(&block) {
                allowed.clear();
            }
            allowed.push(salt);
        }
    }

    fn read(&mut self) {
        let (first, count) = self.range();
        let (bytes, outcome) = self.rig.read_at(first, count as usize);
        let lost: Vec<u64> = match &outcome {
            Ok(()) => Vec::new(),
            Err(RequestError::Blocks(lost)) => lost.iter().map(|f| f.block.get()).collect(),
            Err(error) => panic!("{error}: {:#?}", self.history),
        };
        self.note(format!("read {first}+{count}: lost {lost:?}"));
        for (block, found) in (first..).zip(bytes.chunks(512)) {
            if !lost.contains(&block) {
                self.check(block, found);
            }
        }
    }

    fn check(&self, block: u64, found: &[u8]) {
        let allowed = &self.model[&block];
        let matches = allowed
            .iter()
            .any(|salt| found == self.rig.pattern(block, 1, *salt));
        assert!(
            matches,
            "block {block} holds {:?} and may hold {allowed:?}: {:#?}",
            &found[..12],
            self.history
        );
    }

    /// Lets something fail: blocks of the load, replacements, table blocks, copies.
    fn break_something(&mut self) {
        let direction = match self.below(3) {
            0 => Direction::Read,
            1 => Direction::Write,
            _ => Direction::Both,
        };
        let errno = match self.below(6) {
            0 => Errno::new(61),
            1 => Errno::new(6),
            _ => Errno::EIO,
        };
        let layout = self.rig.layout();
        let (on_main, at, count) = match self.below(5) {
            0 | 1 => (true, self.below(BLOCKS), 1 + self.below(4)),
            2 => (
                false,
                layout.replacement.get() + self.below(20),
                1 + self.below(3),
            ),
            3 => {
                let region = match self.below(2) {
                    0 => crate::remap_core::layout::Region::A,
                    _ => crate::remap_core::layout::Region::B,
                };
                let block = self.below(u64::from(layout.table_blocks()).min(2));
                let at = layout.table_block(region, block as u32).unwrap();
                // Not its first sector: what cannot even be destroyed can come back, when
                // the other region fails as well.
                (false, at.get() + 1 + self.below(6), 1 + self.below(2))
            }
            _ => {
                // Three copies can always be written: with fewer, a write of the copies
                // that failed could come back with a slot that becomes readable again.
                let slot = Slot::from_index(3 + self.below(2) as u32).unwrap();
                (false, slot.sector().get(), 1)
            }
        };
        let fault = FaultRange {
            errno,
            ..FaultRange::bad(direction, Sector::new(at), Sectors::new(count))
        };
        self.note(format!("fault, main {on_main}: {fault:?}"));
        match on_main {
            true => self.rig.main.faults().push(fault),
            false => self.rig.spare.faults().push(fault),
        }
    }

    fn mend_something(&mut self) {
        let faults = match self.below(2) {
            0 => self.rig.main.faults(),
            _ => self.rig.spare.faults(),
        };
        if !faults.is_empty() {
            let fault = faults.remove(0);
            self.note(format!("mended {fault:?}"));
        }
    }

    fn step(&mut self) {
        match self.below(20) {
            0..=6 => self.write(),
            7..=10 => self.read(),
            11 | 12 => self.break_something(),
            13 | 14 => self.mend_something(),
            15 => {
                let block = self.below(BLOCKS);
                let outcome = self.rig.message(&Message::Remap(MainBlock::new(block)));
                self.note(format!("remap {block}: {:?}", outcome.map(drop)));
            }
            16 => {
                let done = self.rig.pass(3000);
                self.note(format!("3 s pass: {done}"));
            }
            17 => {
                let _ = self.rig.message(&Message::Scrub);
                self.note("scrub".to_owned());
            }
            18 => {
                let outcome = self.rig.message(&Message::WriteMetadata);
                self.note(format!("write metadata: {:?}", outcome.map(drop)));
            }
            _ => {
                // A table block that can be read in neither region keeps it down, as long
                // as it cannot be read.
                let outcome = self.rig.restart(Options::default());
                self.note(format!("restart: {outcome:?}"));
            }
        }
        assert!(
            !self.rig.status().needs_check,
            "the table contradicts itself: {:#?}",
            self.history
        );
    }

    /// Everything works again: every block can be read, and the device heals.
    fn end(&mut self) {
        self.rig.heal_disks();
        for restarted in [false, true] {
            if restarted {
                self.rig
                    .message(&Message::Repair)
                    .unwrap_or_else(|error| panic!("{error}: {:#?}", self.history));
                assert_eq!(self.rig.verdict(), Verdict::Healthy);
                self.rig
                    .restart(Options::default())
                    .unwrap_or_else(|error| panic!("{error}: {:#?}", self.history));
            }
            for block in 0..BLOCKS {
                let (found, outcome) = self.rig.read_at(block, 1);
                assert_eq!(outcome, Ok(()), "block {block}: {:#?}", self.history);
                self.check(block, &found);
            }
        }
        self.rig.write(0, BLOCKS, 255).unwrap();
        self.rig.restart(Options::default()).unwrap();
        self.rig.expect(0, BLOCKS, 255);
        assert!(!self.rig.status().needs_check);
    }
}

#[test]
fn whatever_fails_a_read_gives_what_was_acknowledged_or_an_error() {
    for seed in 0..300 {
        let mut soak = Soak::new(seed);
        soak.note(format!("seed {seed}"));
        for _ in 0..120 {
            soak.step();
        }
        soak.end();
    }
}

/// The load above is worth something only if what it works on is really remapped.
#[test]
fn the_random_load_reaches_every_kind_of_trouble() {
    let (main, spare) = disks(BlockSize::B512, 520);
    assert!(main.size() == MAIN_SIZE && spare.size() > MAIN_SIZE);
    let mut totals = BTreeMap::new();
    for seed in 0..40 {
        let mut soak = Soak::new(seed);
        for _ in 0..120 {
            soak.step();
        }
        for event in soak.rig.take_events() {
            *totals.entry(event.name()).or_insert(0) += 1;
        }
    }
    for name in [
        "remapped",
        "pending",
        "replacement-bad",
        "not-relocated",
        "spare-fails",
        "corruption-detected",
        "repair-completed",
        "repair-failed",
        "metadata-written",
    ] {
        assert!(totals.contains_key(name), "no {name} in {totals:?}");
    }
}
