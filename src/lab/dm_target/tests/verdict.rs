//! The verdict on a spare against what a target makes of it: a device that does not come up, or
//! not with every block that was moved, is never called well.

use std::cell::Cell;
use std::path::Path;

use super::rig::{disks, Rig};
use crate::inspect::{inspect, Inspection, MainSeen};
use crate::lab::fault::{FaultRange, Faulty};
use crate::lab::ram::{next_random, RamDisk};
use crate::port::block::{Signature, SignatureUse};
use crate::port::{BlockStore, IoError};
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::message::{Direction, Message};
use crate::remap_core::params::Options;
use crate::remap_core::quorum::{Assembly, Verdict};
use crate::remap_core::units::{
    BlockSize, IdentityDigest, Replacement, Sector, Sectors, Slot, BLOCK_4K_BYTES,
    BLOCK_4K_SECTORS, SECTOR_BYTES,
};

/// Blocks that are written, and of these the first ones are moved.
const BLOCKS: u64 = 40;
const MOVED: u64 = 12;

/// A device on which blocks were moved, and what its spare was before and might have been.
struct Base {
    main: RamDisk,
    spare: RamDisk,
    layout: Layout,
    /// Before the last of them was moved.
    earlier: RamDisk,
    /// Another one was moved instead of the last.
    elsewhere: RamDisk,
}

impl Base {
    fn new(unit: BlockSize) -> Self {
        let mut rig = Rig::new(unit, 520);
        rig.write(0, BLOCKS, 1).unwrap();
        rig.break_main(Direction::Write, 0, BLOCKS);
        let moved = |rig: &mut Rig, first, count| {
            rig.write(first, count, 2).unwrap();
            (rig.main.inner().clone(), rig.spare.inner().clone())
        };
        let (main, earlier) = moved(&mut rig, 0, MOVED - 1);
        let layout = rig.layout();
        let (_, spare) = moved(&mut rig, MOVED - 1, 1);
        let mut other = Rig::on(main.clone(), earlier.clone(), Options::default()).unwrap();
        other.break_main(Direction::Write, 0, BLOCKS);
        let (_, elsewhere) = moved(&mut other, MOVED, 1);
        Self {
            main,
            spare,
            layout,
            earlier,
            elsewhere,
        }
    }
}

/// Main and spare after damage, and which damage that was.
struct Damaged {
    main: RamDisk,
    spare: RamDisk,
    faults: Vec<FaultRange>,
    told: Vec<String>,
}

/// Random damage to metadata. Replacement blocks are left alone: what they hold is main's.
struct Chance {
    random: u64,
    /// The only region that is damaged, where it is of another time already: what the other one
    /// held could be told by nobody.
    only: Option<Region>,
}

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        next_random(&mut self.random) % limit
    }

    fn slot(&mut self) -> Slot {
        Slot::ALL[self.below(Slot::ALL.len() as u64) as usize]
    }

    fn region(&mut self) -> Region {
        let chosen = Region::ALL[self.below(2) as usize];
        self.only.unwrap_or(chosen)
    }

    /// Puts one region back to what it was earlier, or might have been.
    fn another_time(&mut self, base: &Base, on: &mut Damaged) {
        let region = self.region();
        let from = [&base.earlier, &base.elsewhere][self.below(2) as usize];
        let mut block = [0; BLOCK_4K_BYTES];
        for index in 0..u64::from(base.layout.region_blocks) {
            let at = base.layout.region_start(region).get() + index * BLOCK_4K_SECTORS;
            from.read_at(Sector::new(at), &mut block).unwrap();
            on.spare.write_at(Sector::new(at), &block).unwrap();
        }
        self.only = Some(region);
        on.told.push(format!("region {region} of another time"));
    }

    /// A block of metadata: of a slot, or of a region with its header.
    fn place(&mut self, layout: &Layout) -> Sector {
        match self.below(2) {
            0 => self.slot().sector(),
            _ => {
                let block = self.below(u64::from(layout.region_blocks));
                let start = layout.region_start(self.region()).get();
                Sector::new(start + block * BLOCK_4K_SECTORS)
            }
        }
    }

    fn once(&mut self, base: &Base, on: &mut Damaged) {
        let layout = &base.layout;
        let at = self.place(layout);
        let mut block = [0; BLOCK_4K_BYTES];
        let kind = self.below(7);
        if at.get() + BLOCK_4K_SECTORS > on.spare.size().get() {
            // It was cut short.
            return;
        }
        match kind {
            0 => {}
            1 => block.fill_with(|| next_random(&mut self.random) as u8),
            2 | 3 => {
                on.spare.read_at(at, &mut block).unwrap();
                let bit = self.below(if kind == 2 { 400 } else { 4096 * 8 });
                block[(bit / 8) as usize] ^= 1 << (bit % 8);
            }
            4 => {
                let fault = FaultRange::bad(Direction::Read, at, Sectors::new(8));
                on.faults.push(fault);
                on.told.push(format!("unreadable at {at}"));
                return;
            }
            5 => {
                let change = [-8, 8][self.below(2) as usize];
                match self.below(2) {
                    0 => on.main = resized(&on.main, change),
                    _ => on.spare = resized(&on.spare, change),
                }
                on.told.push(format!("a disk of {change} sectors more"));
                return;
            }
            _ => {
                let larger = on.main.clone().with_logical_block(BlockSize::B4096);
                on.main = larger;
                on.told.push("main with blocks of 4096".to_owned());
                return;
            }
        }
        on.spare.write_at(at, &block).unwrap();
        on.told.push(format!("kind {kind} at {at}"));
    }
}

/// The same disk with more or fewer sectors.
fn resized(disk: &RamDisk, change: i64) -> RamDisk {
    let size = Sectors::new(disk.size().get().checked_add_signed(change).unwrap());
    let mut made = RamDisk::new(size)
        .with_logical_block(disk.logical_block())
        .with_identity(disk.identity());
    let unit = disk.logical_block().sectors().get();
    let mut raw = vec![0; unit as usize * SECTOR_BYTES];
    for at in (0..disk.size().get().min(size.get())).step_by(unit as usize) {
        disk.read_at(Sector::new(at), &mut raw).unwrap();
        if raw.iter().any(|byte| *byte != 0) {
            made.write_at(Sector::new(at), &raw).unwrap();
        }
    }
    made
}

/// What a target makes of the disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It does not come up.
    Refused,
    /// It comes up, and some block is not what was written last.
    Wrong,
    /// It comes up read-only by itself, for it found a contradiction.
    NeedsCheck,
    /// It comes up with everything.
    Whole,
}

fn outcome(on: &Damaged, read_only: bool) -> Outcome {
    let options = Options {
        read_only,
        ..Options::default()
    };
    let spare = Faulty::new(on.spare.clone(), on.faults.clone());
    let Ok(mut rig) = Rig::on_faulty(Faulty::new(on.main.clone(), Vec::new()), spare, options)
    else {
        return Outcome::Refused;
    };
    let expected = [
        rig.pattern(0, MOVED, 2),
        rig.pattern(MOVED, BLOCKS - MOVED, 1),
    ];
    let (found, read) = rig.read_at(0, BLOCKS as usize);
    match (read, found == expected.concat()) {
        (Ok(()), true) if rig.status().needs_check => Outcome::NeedsCheck,
        (Ok(()), true) => Outcome::Whole,
        _ => Outcome::Wrong,
    }
}

fn judged(on: &Damaged) -> Inspection {
    let spare = Faulty::new(on.spare.clone(), on.faults.clone());
    let mut seen = inspect(&spare, Path::new("/dev/spare"));
    seen.judge_with_main(Some(MainSeen::from(&on.main as &dyn BlockStore)));
    seen
}

#[test]
fn the_verdict_is_what_a_target_makes_of_the_device() {
    let bases = [BlockSize::B512, BlockSize::B4096].map(Base::new);
    let mut met = std::collections::BTreeMap::new();
    for seed in 1..=3000_u64 {
        let mut chance = Chance {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            only: None,
        };
        let base = &bases[(seed % 2) as usize];
        let mut on = Damaged {
            main: base.main.clone(),
            spare: base.spare.clone(),
            faults: Vec::new(),
            told: Vec::new(),
        };
        if chance.below(4) == 0 {
            chance.another_time(base, &mut on);
        }
        for _ in 0..chance.below(6) {
            chance.once(base, &mut on);
        }
        let seen = judged(&on);
        let verdict = seen.verdict();
        let (usual, read_only) = (outcome(&on, false), outcome(&on, true));
        let told = format!(
            "seed {seed}: {verdict}, {usual:?}, {read_only:?}: {:?}",
            on.told
        );
        match verdict.assembly() {
            Assembly::Yes | Assembly::WithEvent => {
                assert_eq!(
                    (usual, read_only),
                    (Outcome::Whole, Outcome::Whole),
                    "{told}"
                );
            }
            Assembly::ReadOnlyOnRequest => assert_ne!(read_only, Outcome::Refused, "{told}"),
            Assembly::No => assert_ne!(usual, Outcome::Whole, "{told}"),
        }
        if on.told.is_empty() {
            assert_eq!(verdict, Verdict::Healthy, "{told}");
        }
        *met.entry(verdict).or_insert(0) += 1;
    }
    for verdict in [
        Verdict::Healthy,
        Verdict::Degraded,
        Verdict::Weak,
        Verdict::Unsupported,
        Verdict::Lost,
    ] {
        assert!(
            met.get(&verdict).is_some_and(|count| *count > 20),
            "{met:?}"
        );
    }
}

/// A spare that tells of signatures, and counts what is read of it.
struct Watched<'a> {
    spare: &'a RamDisk,
    signatures: Vec<Signature>,
    reads: Cell<u64>,
    sectors: Cell<u64>,
}

impl<'a> Watched<'a> {
    fn new(spare: &'a RamDisk, at: Option<Sector>) -> Self {
        let signature = |at| Signature::at("btrfs", SignatureUse::FileSystem, at);
        Self {
            spare,
            signatures: at.into_iter().map(signature).collect(),
            reads: Cell::new(0),
            sectors: Cell::new(0),
        }
    }
}

impl BlockStore for Watched<'_> {
    fn size(&self) -> Sectors {
        self.spare.size()
    }

    fn logical_block(&self) -> BlockSize {
        self.spare.logical_block()
    }

    fn identity(&self) -> IdentityDigest {
        self.spare.identity()
    }

    fn signatures(&self) -> Result<Vec<Signature>, IoError> {
        Ok(self.signatures.clone())
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        self.reads.set(self.reads.get() + 1);
        let sectors = (buffer.len() / SECTOR_BYTES) as u64;
        self.sectors.set(self.sectors.get() + sectors);
        self.spare.read_at(at, buffer)
    }

    fn write_at(&mut self, _: Sector, _: &[u8]) -> Result<(), IoError> {
        unreachable!("looking writes nothing")
    }

    fn flush(&mut self) -> Result<(), IoError> {
        unreachable!("looking writes nothing")
    }
}

/// What main's own blocks hold is no signature of others, wherever it lies.
#[test]
fn a_signature_in_a_block_that_was_moved_is_not_anothers() {
    for unit in [BlockSize::B512, BlockSize::B4096] {
        let base = Base::new(unit);
        let seen = inspect(&base.spare, Path::new("/dev/spare"));
        let remaps = seen.table.unwrap().remaps;
        assert_eq!(remaps.len() as u64, MOVED);
        let place = |replacement: Replacement| {
            let distance = replacement.get() * unit.sectors().get();
            Sector::new(base.layout.replacement.get() + distance)
        };
        let used: Vec<Replacement> = remaps.iter().map(|remap| remap.replacement).collect();
        let is_free = |it: &Replacement| !used.contains(it);
        let free = (0..).map(Replacement::new).find(is_free).unwrap();
        let judged = |at| {
            let store = Watched::new(&base.spare, Some(at));
            inspect(&store, Path::new("/dev/spare")).verdict()
        };
        for replacement in &used {
            assert_eq!(
                judged(place(*replacement)),
                Verdict::Healthy,
                "{replacement:?}"
            );
        }
        assert_eq!(judged(place(free)), Verdict::Ambivalent);
        for ours in [
            Slot::S3.sector(),
            base.layout.region_a,
            base.layout.region_b,
        ] {
            assert_eq!(judged(ours), Verdict::Healthy, "{ours}");
        }
        assert_eq!(judged(Sector::new(64)), Verdict::Ambivalent);
    }
}

/// A spare that is large costs no more than a small one with as much on it.
#[test]
fn looking_costs_by_what_is_used() {
    let looked = |replacement_blocks, moved| {
        let unit = BlockSize::B4096;
        let (main, spare) = disks(unit, replacement_blocks);
        let mut rig = Rig::on(main, spare, Options::default()).unwrap();
        rig.message(&Message::WriteMetadata).unwrap();
        rig.break_main(Direction::Write, 0, moved);
        rig.write(0, moved, 1).unwrap();
        let spare = rig.spare.inner();
        let store = Watched::new(spare, None);
        let seen = inspect(&store, Path::new("/dev/spare"));
        assert_eq!(seen.verdict(), Verdict::Healthy);
        assert_eq!(seen.table.unwrap().counts.active, moved);
        (store.reads.get(), store.sectors.get())
    };
    let small = looked(40_000, 3);
    let large = looked(400_000, 3);
    assert!(large.0 <= small.0 + 2, "reads: {large:?} after {small:?}");
    assert!(
        large.1 <= 2 * small.1 && large.1 < 2048,
        "{large:?} after {small:?}"
    );
    let more = looked(400_000, 500);
    assert!(more.1 <= large.1 + 2048, "{more:?} after {large:?}");
}
