//! Random lives of a device, against a model of what each block may hold: disks with caches
//! and torn writes, bad sectors that come and go, errors that pass, disks that go away, rot,
//! spares that are exchanged while the device is suspended, scrubs, repairs, covers and uncovers
//! that are a step on between two requests, and power that fails at any write.
//!
//! A run that fails says its seed. `DMREMAP_MODEL=SEED` runs that one alone, and
//! `DMREMAP_MODEL=FROM..END` others than the usual ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rig::{arguments, disks, made_on, MAIN_SIZE, SEED, START};
use crate::lab::dm_target::{Disks, Now, RequestError, Target};
use crate::lab::ram::next_random;
use crate::port::{BlockStore, IoError};
use crate::remap_core::commit::Authority;
use crate::remap_core::engine::{Cover, LoadError, Progress, Repair, Scrub, Uncover};
use crate::remap_core::event::Event;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::message::Message;
use crate::remap_core::params::Options;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::remap_table::{check_block, BlockPlace};
use crate::remap_core::repair::Phase;
use crate::remap_core::units::{
    BlockSize, Errno, Generation, IdentityDigest, MainBlock, Millis, Sector, Sectors, Slot,
    Timestamp, BLOCK_4K_BYTES, SECTOR_BYTES,
};

type Bytes = [u8; SECTOR_BYTES];

/// Blocks that the load works on: few, so that the same ones fail again and again.
const BLOCKS: u64 = 24;

/// What both disks share: chance, and the power.
struct World {
    random: u64,
    /// Writes and flushes until the power fails.
    power: Option<u64>,
    failed: bool,
}

impl World {
    fn below(&mut self, limit: u64) -> u64 {
        next_random(&mut self.random) % limit
    }

    fn one_in(&mut self, times: u64) -> bool {
        times > 0 && self.below(times) == 0
    }

    /// Counts a write or flush. Returns whether the power fails during it.
    fn spend(&mut self) -> bool {
        match &mut self.power {
            Some(0) => {
                self.failed = true;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }
}

/// A disk with a volatile cache.
#[derive(Clone)]
struct Disk {
    world: Arc<Mutex<World>>,
    size: Sectors,
    identity: IdentityDigest,
    medium: BTreeMap<u64, Bytes>,
    /// What was written since the last flush, in order; any of it may reach the medium.
    cache: BTreeMap<u64, Vec<Bytes>>,
    bad_to_read: BTreeSet<u64>,
    bad_to_write: BTreeSet<u64>,
    /// One in so many fails; 0 for none.
    read_errors: u64,
    write_errors: u64,
    offline: bool,
}

const GONE: Errno = Errno::new(19);

impl Disk {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sector(&self, at: u64) -> Bytes {
        let cached = self.cache.get(&at).and_then(|versions| versions.last());
        *cached
            .or(self.medium.get(&at))
            .unwrap_or(&[0; SECTOR_BYTES])
    }

    fn check(&self, at: Sector) -> Result<(), IoError> {
        match self.offline || self.world().failed {
            true => Err(IoError { errno: GONE, at }),
            false => Ok(()),
        }
    }

    /// Only some of what is in the cache reaches the medium.
    fn power_comes_back(&mut self) {
        for (at, versions) in std::mem::take(&mut self.cache) {
            let kept = self.world().below(versions.len() as u64 + 1);
            if let Some(bytes) = kept.checked_sub(1).map(|at| versions[at as usize]) {
                self.medium.insert(at, bytes);
            }
        }
        self.offline = false;
    }

    fn calm(&mut self) {
        self.read_errors = 0;
        self.write_errors = 0;
        self.offline = false;
    }

    fn heal(&mut self) {
        self.calm();
        self.bad_to_read.clear();
        self.bad_to_write.clear();
    }
}

impl BlockStore for Disk {
    fn size(&self) -> Sectors {
        self.size
    }

    fn logical_block(&self) -> BlockSize {
        BlockSize::B512
    }

    fn identity(&self) -> IdentityDigest {
        self.identity
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        self.check(at)?;
        let failed = |errno| Err(IoError { errno, at });
        let passing = self.read_errors;
        if self.world().one_in(passing) {
            return failed(Errno::EIO);
        }
        for (sector, bytes) in (at.get()..).zip(buffer.chunks_mut(SECTOR_BYTES)) {
            assert!(sector < self.size.get(), "a read past the end");
            if self.bad_to_read.contains(&sector) {
                return failed(Errno::new(61));
            }
            bytes.copy_from_slice(&self.sector(sector));
        }
        Ok(())
    }

    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError> {
        self.check(at)?;
        let dies = self.world().spend();
        let passing = self.write_errors;
        let fails = self.world().one_in(passing);
        let mut bad = false;
        for (sector, bytes) in (at.get()..).zip(data.chunks(SECTOR_BYTES)) {
            assert!(sector < self.size.get(), "a write past the end");
            if self.bad_to_write.contains(&sector) {
                bad = true;
            } else if !(dies || fails) || self.world().one_in(2) {
                let bytes = bytes.try_into().unwrap();
                self.cache.entry(sector).or_default().push(bytes);
            }
        }
        match () {
            () if dies => Err(IoError { errno: GONE, at }),
            () if fails => Err(IoError {
                errno: Errno::EIO,
                at,
            }),
            () if bad => Err(IoError {
                errno: Errno::new(61),
                at,
            }),
            () => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), IoError> {
        let at = Sector::new(0);
        self.check(at)?;
        let passing = self.write_errors;
        if self.world().spend() {
            return Err(IoError { errno: GONE, at });
        }
        if self.world().one_in(passing) {
            return Err(IoError {
                errno: Errno::EIO,
                at,
            });
        }
        for (at, versions) in std::mem::take(&mut self.cache) {
            self.medium.insert(at, *versions.last().unwrap());
        }
        Ok(())
    }
}

/// Contents that a block may show, by the number of the write that made them.
#[derive(Clone, Default)]
struct Block {
    /// Now.
    now: Vec<u64>,
    /// After a power failure now.
    later: Vec<u64>,
}

/// One life in so many is that of a device whose main can be covered: the others are small.
const COVERABLE_ONE_IN: u64 = 50;

/// Long work under way.
enum Work {
    Cover(Cover<super::super::room::Heap>),
    Uncover(Uncover<super::super::room::Heap>),
    Scrub(Scrub<super::super::room::Heap>),
    Repair(Repair<super::super::room::Heap>),
}

struct Life {
    world: Arc<Mutex<World>>,
    main: Disk,
    spare: Disk,
    target: Target,
    work: Option<Work>,
    coverable: bool,
    now: Now,
    blocks: BTreeMap<u64, Block>,
    /// The spare as it was once.
    old_spare: Option<BTreeMap<u64, Bytes>>,
    version: u64,
    /// Whether something of the metadata rotted that no repair has mended yet.
    rotten: bool,
    /// The names of the events so far.
    told: BTreeSet<&'static str>,
    history: Vec<String>,
}

fn content(block: u64, version: u64) -> Bytes {
    let mut bytes = [0xb7; SECTOR_BYTES];
    bytes[..8].copy_from_slice(&block.to_le_bytes());
    bytes[8..16].copy_from_slice(&version.to_le_bytes());
    bytes[504..].copy_from_slice(&(!version).to_le_bytes());
    bytes
}

impl Life {
    fn new(seed: u64) -> Self {
        let world = Arc::new(Mutex::new(World {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            power: None,
            failed: false,
        }));
        let coverable = seed.is_multiple_of(COVERABLE_ONE_IN);
        let (main_size, spare) = match coverable {
            true => (
                Sectors::new(2 * 2048 + 64),
                disks(BlockSize::B512, 13_000).1,
            ),
            false => (MAIN_SIZE, disks(BlockSize::B512, 520).1),
        };
        let main = disks(BlockSize::B512, 520).0;
        let disk = |size: Sectors, identity| Disk {
            world: world.clone(),
            size,
            identity,
            medium: BTreeMap::new(),
            cache: BTreeMap::new(),
            bad_to_read: BTreeSet::new(),
            bad_to_write: BTreeSet::new(),
            read_errors: 0,
            write_errors: 0,
            offline: false,
        };
        let mut main = disk(main_size, main.identity());
        let mut spare = disk(spare.size(), spare.identity());
        let mut disks = Disks {
            main: &mut main,
            spare: &mut spare,
        };
        let target = made_on(&mut disks);
        let mut life = Self {
            world,
            main,
            spare,
            target,
            work: None,
            coverable,
            now: START,
            blocks: BTreeMap::new(),
            old_spare: None,
            version: 0,
            rotten: false,
            told: BTreeSet::new(),
            history: vec![format!("seed {seed}")],
        };
        life.write(0, BLOCKS);
        life.flush();
        life
    }

    fn below(&self, limit: u64) -> u64 {
        self.world.lock().unwrap().below(limit)
    }

    /// Whether the power failed.
    fn dead(&self) -> bool {
        self.world.lock().unwrap().failed
    }

    fn note(&mut self, what: String) {
        self.history.push(what);
    }

    fn layout(&self) -> Layout {
        Layout::for_spare(self.spare.size, BlockSize::B512).unwrap()
    }

    fn write(&mut self, first: u64, count: u64) {
        self.version += 1;
        let version = self.version;
        let data: Vec<u8> = (first..first + count)
            .flat_map(|block| content(block, version))
            .collect();
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let at = Sector::new(first);
        let outcome = self.target.write(&mut disks, self.now, at, &data);
        let dead = self.dead();
        self.note(format!("write {first}+{count} v{version}: {outcome:?}"));
        let failed: BTreeSet<u64> = match outcome {
            Ok(()) => BTreeSet::new(),
            Err(RequestError::Blocks(failed)) => failed.iter().map(|f| f.block.get()).collect(),
            Err(RequestError::ReadOnly) => return,
            Err(error) => panic!("{error}"),
        };
        for number in first..first + count {
            let block = self.blocks.entry(number).or_default();
            // What the power cut off was never acknowledged.
            if !failed.contains(&number) && !dead {
                block.now.clear();
            }
            block.now.push(version);
            block.later.push(version);
        }
    }

    fn read(&mut self, first: u64, count: u64) -> usize {
        let mut bytes = vec![0xee; count as usize * SECTOR_BYTES];
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let at = Sector::new(first);
        let outcome = self.target.read(&mut disks, self.now, at, &mut bytes);
        let lost: BTreeSet<u64> = match &outcome {
            Ok(()) => BTreeSet::new(),
            Err(RequestError::Blocks(lost)) => lost.iter().map(|f| f.block.get()).collect(),
            Err(error) => panic!("{error}"),
        };
        self.note(format!("read {first}+{count}: lost {lost:?}"));
        for (number, found) in (first..).zip(bytes.chunks(SECTOR_BYTES)) {
            let allowed = &self.blocks[&number].now;
            let right = lost.contains(&number)
                || allowed
                    .iter()
                    .any(|version| content(number, *version) == found);
            assert!(
                right,
                "block {number} holds {:02x?} and may hold {allowed:?}",
                &found[..16]
            );
        }
        lost.len()
    }

    fn flush(&mut self) {
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let flushed = self.target.flush(&mut disks, self.now);
        let dead = self.dead();
        self.note(format!("flush: {flushed:?}"));
        if flushed.is_ok() && !dead {
            for block in self.blocks.values_mut() {
                block.later = block.now.clone();
            }
        }
    }

    fn message(&mut self, message: &Message) {
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let target = &mut self.target;
        let done = target.message(&mut disks, self.now, message, SEED, &mut |_| Ok(()));
        self.note(format!("{message}: {:?}", done.map(drop)));
    }

    /// Goes a step on with a scrub or a repair, or begins one.
    fn work(&mut self) {
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let (engine, mut host) = self.target.parts(&mut disks, self.now, None);
        let (work, progress) = match self.work.take() {
            Some(Work::Scrub(mut scrub)) => {
                let progress = scrub.step(engine, &mut host);
                (Work::Scrub(scrub), progress)
            }
            Some(Work::Repair(mut repair)) => {
                let progress = repair.step(engine, &mut host);
                (Work::Repair(repair), progress)
            }
            Some(Work::Cover(mut cover)) => match cover.step(engine, &mut host) {
                Ok(progress) => (Work::Cover(cover), progress),
                Err(why) => return self.note(format!("cover: {why}")),
            },
            Some(Work::Uncover(mut uncover)) => match uncover.step(engine, &mut host) {
                Ok(progress) => (Work::Uncover(uncover), progress),
                Err(why) => return self.note(format!("uncover: {why}")),
            },
            None if matches!(engine.schedule().backoff.phase(), Phase::Waiting { .. }) => {
                let repair = Repair::begin(engine, &mut host, Authority::Automatic);
                (Work::Repair(repair), Progress::More)
            }
            None => match Scrub::begin(engine, &mut host) {
                Ok(scrub) => (Work::Scrub(scrub), Progress::More),
                Err(_) => return,
            },
        };
        if progress == Progress::More {
            self.work = Some(work);
            return;
        }
        let what = match &work {
            Work::Scrub(_) => "scrub ended".to_owned(),
            Work::Cover(_) => "cover ended".to_owned(),
            Work::Uncover(_) => "uncover ended".to_owned(),
            Work::Repair(repair) => format!("repair ended: {:?}", repair.outcome()),
        };
        let mended = matches!(&work, Work::Repair(repair) if repair.outcome().is_ok());
        self.rotten &= !mended;
        self.note(what);
    }

    /// Begins to cover main, or to uncover it.
    fn begin_cover(&mut self) {
        let covers = self.below(2) == 0;
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let (engine, mut host) = self.target.parts(&mut disks, self.now, None);
        let begun = match covers {
            true => Cover::begin(engine, &mut host).map(Work::Cover),
            false => Uncover::begin(engine, &mut host).map(Work::Uncover),
        };
        self.note(format!("covers {covers}: {:?}", begun.as_ref().err()));
        self.work = begun.ok();
    }

    /// Lets something fail from now on.
    fn break_something(&mut self) {
        let one_in = [0, 0, 2, 4, 20][self.below(5) as usize];
        let place = self.below(BLOCKS + 6);
        let layout = self.layout();
        let what = match self.below(15) {
            // A write that fails may be torn, and rot has the other one of the pair.
            5 | 9 | 10 | 13 | 14 if self.rotten => return,
            0 => {
                self.main.bad_to_write.insert(place);
                format!("main takes no {place}")
            }
            1 => {
                self.main.bad_to_read.insert(place);
                self.main.bad_to_write.insert(place);
                format!("main loses {place}")
            }
            2 => {
                self.main.bad_to_read.clear();
                self.main.bad_to_write.clear();
                "main is whole".to_owned()
            }
            3 => {
                self.main.write_errors = one_in;
                format!("main fails one write in {one_in}")
            }
            4 => {
                self.main.read_errors = one_in;
                format!("main fails one read in {one_in}")
            }
            5 | 9 | 10 => {
                self.spare.write_errors = one_in;
                format!("the spare fails one write in {one_in}")
            }
            6 | 11 | 12 => {
                self.spare.read_errors = one_in;
                format!("the spare fails one read in {one_in}")
            }
            7 => {
                let at = layout.replacement.get() + self.below(12);
                self.spare.bad_to_write.insert(at);
                format!("the spare takes no {at}")
            }
            13 | 14 => {
                let region = Region::ALL[self.below(2) as usize];
                let number = self.below(u64::from(layout.table_blocks())) as u32;
                let at = layout.table_block(region, number).unwrap().get() + self.below(8);
                self.spare.bad_to_write.insert(at);
                format!("block {number} of the table takes no {at}")
            }
            _ => {
                let which = self.below(2) == 0;
                let disk = if which {
                    &mut self.main
                } else {
                    &mut self.spare
                };
                disk.offline = !disk.offline;
                format!(
                    "offline: main {}, spare {}",
                    self.main.offline, self.spare.offline
                )
            }
        };
        self.note(what);
    }

    /// One thing of the metadata rots, unless something else still is.
    fn rot(&mut self) {
        // Rot and a torn write, or one that failed, together may take both of a pair.
        let power_fails = self.world.lock().unwrap().power.is_some();
        let tears = power_fails || self.spare.write_errors > 0;
        if self.rotten || self.spare.offline || tears || !self.spare.cache.is_empty() {
            return;
        }
        let layout = self.layout();
        let at = match self.below(3) {
            0 => Slot::from_index(self.below(5) as u32).unwrap().sector(),
            1 => {
                let region = Region::ALL[self.below(2) as usize];
                layout.region_start(region)
            }
            _ => {
                let region = Region::ALL[self.below(2) as usize];
                let number = self.below(u64::from(layout.table_blocks()).min(2)) as u32;
                // A region that could not be read when the table was is destroyed before the next
                // write, whatever it holds: rot of the other one would take both.
                if !self.agree_on(&layout, number) || self.target.index.holds_writes {
                    return;
                }
                let other = layout.table_block(region.other(), number).unwrap().get();
                if self
                    .spare
                    .bad_to_write
                    .range(other..other + 8)
                    .next()
                    .is_some()
                {
                    return;
                }
                layout.table_block(region, number).unwrap()
            }
        };
        self.spare.cache.remove(&at.get());
        self.spare.medium.insert(at.get(), [0xa5; SECTOR_BYTES]);
        self.rotten = true;
        self.note(format!("sector {at} of the spare rots"));
    }

    /// Whether both regions hold the same of a table block.
    fn agree_on(&self, layout: &Layout, number: u32) -> bool {
        agreed(&self.spare, layout, number).is_some()
    }

    /// Whether a table block that is settled now was changed since the spare was as it is in
    /// `old`.
    fn has_changed_since(&self, old: &Disk) -> bool {
        let layout = self.layout();
        (0..layout.table_blocks()).any(|number| {
            let [then, now] = [old, &self.spare].map(|disk| agreed(disk, &layout, number));
            then.is_some() && now > then
        })
    }
    fn calm(&mut self) {
        self.main.calm();
        self.spare.calm();
    }

    /// Suspends, and goes on with the same spare, or with what took its place.
    fn suspend(&mut self) {
        self.work = None;
        self.calm();
        let kept = self.spare.clone();
        let what = self.below(6);
        let mut changed = what < 3;
        match what {
            0 => {
                self.spare.medium.clear();
                self.spare.cache.clear();
            }
            1 => {
                let mut other = Life::new(self.below(1 << 32)).spare;
                other.world = self.world.clone();
                let layout = self.layout();
                // Another array, not another run of this one.
                for slot in Slot::ALL {
                    let at = slot.sector().get();
                    other.medium.insert(at, [0x33; SECTOR_BYTES]);
                }
                for region in Region::ALL {
                    let at = layout.region_start(region).get();
                    other.medium.insert(at, [0x33; SECTOR_BYTES]);
                }
                self.spare = other;
            }
            2 => self.spare.size = Sectors::new(self.spare.size.get() - 8),
            // A copy of it, made before its table was changed.
            3 => {
                if let Some(medium) = self.old_spare.clone() {
                    let mut old = self.spare.clone();
                    old.cache.clear();
                    old.medium = medium;
                    let settled = !self.target.status(self.now).spare_failing;
                    changed = settled && self.has_changed_since(&old);
                    if changed {
                        self.spare = old;
                    }
                }
            }
            4 => {
                let mut now = self.spare.clone();
                let cache = std::mem::take(&mut now.cache);
                let last = cache.iter().map(|(at, of)| (*at, *of.last().unwrap()));
                now.medium.extend(last);
                self.old_spare = Some(now.medium);
            }
            _ => {}
        }
        let resumed = self.check_unchanged();
        self.note(format!("suspended, {what}: {resumed:?}"));
        if changed {
            assert!(resumed.is_err(), "another spare was taken for this one");
            self.spare = kept;
            assert_eq!(self.check_unchanged(), Ok(()));
        } else {
            assert_eq!(resumed, Ok(()), "the same spare was refused");
        }
    }

    fn check_unchanged(&mut self) -> Result<(), LoadError> {
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let (engine, mut host) = self.target.parts(&mut disks, self.now, None);
        engine.check_unchanged(&mut host)
    }

    /// Takes the device down and up again.
    fn restart(&mut self) {
        self.work = None;
        // While reads fail it may stay down, but never for good.
        if self.below(2) == 0 || !self.activate() {
            self.calm();
            let up = self.activate();
            // Coming up flushes the spare, and the power may fail at that.
            assert!(up || self.dead(), "it does not come up");
        }
        let status = self.target.status(self.now);
        assert!(!status.needs_check, "the table contradicts itself");
    }

    /// Brings it up from what is on its disks. Returns whether it came up.
    fn activate(&mut self) -> bool {
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let up = Target::activate(arguments(Options::default()), &mut disks, self.now);
        self.note(format!("restart: {:?}", up.as_ref().err()));
        up.map(|target| self.target = target).is_ok()
    }

    /// The power comes back after it failed.
    fn power_comes_back(&mut self) {
        {
            let mut world = self.world.lock().unwrap();
            world.failed = false;
            world.power = None;
        }
        self.main.power_comes_back();
        self.spare.power_comes_back();
        for block in self.blocks.values_mut() {
            block.now = block.later.clone();
        }
        self.note("the power is back".to_owned());
        self.restart();
    }

    fn step(&mut self) {
        self.now.uptime = self.now.uptime.after(100);
        let first = self.below(BLOCKS);
        let count = 1 + self.below(8.min(BLOCKS - first));
        match self.below(40) {
            0..=10 => self.write(first, count),
            11..=16 => {
                self.read(first, count);
            }
            17..=19 => self.flush(),
            20 if self.coverable => self.begin_cover(),
            20..=26 => self.work(),
            27..=30 => self.break_something(),
            31 => self.rot(),
            32 => self.message(&Message::Remap(MainBlock::new(first))),
            33 => self.message(&Message::WriteMetadata),
            34 => self.suspend(),
            35 => self.restart(),
            36 => self.calm(),
            37 => {
                self.now.uptime = Millis::new(self.now.uptime.get() + 3000);
                self.now.stamp = Timestamp::new(self.now.stamp.get() + 3);
                self.work();
            }
            _ => {
                // Rot and a torn write together may take both of a pair.
                if !self.rotten {
                    let after = self.below(12);
                    self.world.lock().unwrap().power = Some(after);
                    self.note(format!("the power fails after {after} writes"));
                }
            }
        }
        let events = self.target.take_events();
        self.told.extend(events.iter().map(Event::name));
        if self.dead() {
            self.power_comes_back();
        }
        let status = self.target.status(self.now);
        assert!(!status.needs_check, "the table contradicts itself");
    }

    /// Everything works again: the device heals, and no block was lost.
    fn end(&mut self) {
        self.world.lock().unwrap().power = None;
        self.main.heal();
        self.spare.heal();
        self.work = None;
        self.message(&Message::Scrub);
        self.message(&Message::Repair);
        self.message(&Message::Scrub);
        let status = self.target.status(self.now);
        assert_eq!(status.verdict, Verdict::Healthy);
        assert_eq!(self.read(0, BLOCKS), 0, "blocks are lost");
        let used = status.used.get();
        self.restart();
        assert_eq!(self.read(0, BLOCKS), 0, "blocks are lost after a restart");
        self.write(0, BLOCKS);
        self.restart();
        assert_eq!(self.read(0, BLOCKS), 0);
        let status = self.target.status(self.now);
        assert!(!status.spare_failing && !status.needs_check);
        assert!(status.used.get() >= used, "room was forgotten");
    }
}

/// The generation of a table block, if both regions hold the same.
fn agreed(spare: &Disk, layout: &Layout, number: u32) -> Option<Generation> {
    let [a, b] = Region::ALL.map(|region| {
        let at = layout.table_block(region, number).unwrap().get();
        let mut raw = [0; BLOCK_4K_BYTES];
        for (sector, bytes) in (at..).zip(raw.chunks_mut(SECTOR_BYTES)) {
            bytes.copy_from_slice(&spare.sector(sector));
        }
        let place = BlockPlace {
            array: SEED.array,
            region,
            index: number,
        };
        check_block(&raw, &place).ok()
    });
    a.filter(|_| a == b)
}

/// A device whose spare has, in its cache alone, a move of block 3 in region A and what
/// destroyed it again.
fn given_up_in_the_cache() -> Life {
    let mut life = Life::new(0);
    let at = life.layout().table_block(Region::A, 0).unwrap().get();
    let before = life.spare.medium.clone();
    life.message(&Message::Remap(MainBlock::new(3)));
    let moved = std::mem::replace(&mut life.spare.medium, before);
    assert_ne!(moved[&at], life.spare.medium[&at]);
    for sector in at..at + BLOCK_4K_BYTES as u64 / SECTOR_BYTES as u64 {
        life.spare.cache.insert(sector, vec![moved[&sector]]);
    }
    let replacement = life.layout().replacement.get();
    let data = moved[&replacement];
    life.spare.medium.insert(replacement, data);
    let header = life.spare.cache.get_mut(&at).unwrap();
    header.push([0xff; SECTOR_BYTES]);
    life
}

/// Has the oldest of what is in the cache of the spare reach its medium, and nothing else.
fn keep_the_oldest(life: &mut Life) {
    for (at, versions) in std::mem::take(&mut life.spare.cache) {
        life.spare.medium.insert(at, versions[0]);
    }
    life.spare.calm();
    assert!(life.activate());
}

#[test]
fn an_update_given_up_in_the_cache_of_the_spare_undoes_no_write() {
    for flushes in [true, false] {
        let mut life = given_up_in_the_cache();
        life.spare.write_errors = u64::from(!flushes);
        assert!(life.activate());
        life.spare.offline = true;
        life.write(3, 1);
        // Not acknowledged unless what was read of the spare is there to stay.
        let acknowledged = life.blocks[&3].now.len() == 1;
        assert_eq!(acknowledged, flushes);
        if !flushes {
            life.read(3, 1);
            life.spare.calm();
            life.write(3, 1);
            assert_eq!(life.blocks[&3].now.len(), 1);
        }
        life.main.flush().unwrap();
        keep_the_oldest(&mut life);
        assert_eq!(life.read(0, BLOCKS), 0);
    }
}

/// Runs one life. Returns the names of what happened, or what went wrong and how it came to
/// that.
fn run(seed: u64) -> Result<BTreeSet<&'static str>, String> {
    let mut life = Life::new(seed);
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..120 {
            life.step();
        }
        life.end();
    }));
    let told = |()| life.told.iter().copied().collect();
    lived.map(told).map_err(|panic| {
        let why = panic.downcast_ref::<String>().cloned();
        let why = why.or_else(|| panic.downcast_ref::<&str>().map(|why| (*why).to_owned()));
        let from = life.history.len().saturating_sub(60);
        let history = life.history[from..].join("\n");
        format!("seed {seed}: {}\n{history}", why.unwrap_or_default())
    })
}

/// The seeds to run.
fn seeds() -> std::ops::Range<u64> {
    let Ok(asked) = std::env::var("DMREMAP_MODEL") else {
        return 0..20_000;
    };
    let number = |text: &str| text.parse().expect("a seed is a number");
    match asked.split_once("..") {
        Some((from, end)) => number(from)..number(end),
        None => number(&asked)..number(&asked) + 1,
    }
}

#[test]
fn no_life_of_a_device_reads_what_was_never_acknowledged() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (seeds, many) = (Mutex::new(seeds()), seeds().count() > 100);
    let next = || seeds.lock().unwrap().next();
    let lives: Vec<_> = std::thread::scope(|scope| {
        let live = || std::iter::from_fn(next).map(run).collect::<Vec<_>>();
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(live)).collect();
        let lives = all.into_iter().flat_map(|thread| thread.join().unwrap());
        lives.collect()
    });
    std::panic::set_hook(hook);
    let failed = lives.iter().filter_map(|life| life.as_ref().err());
    let failed: Vec<&str> = failed.map(String::as_str).collect();
    assert!(
        failed.is_empty(),
        "{} lives failed:\n{}",
        failed.len(),
        failed.join("\n\n")
    );
    // They are worth something only if every kind of trouble comes up in them.
    let told: BTreeSet<_> = lives.iter().flatten().flatten().copied().collect();
    for name in [
        "remapped",
        "pending",
        "replacement-bad",
        "not-relocated",
        "main-suspect",
        "spare-fails",
        "corruption-detected",
        "repair-completed",
        "repair-failed",
        "scrub-clean",
        "metadata-written",
        "main-covered",
        "main-uncovered",
    ] {
        assert!(!many || told.contains(name), "no {name} in {told:?}");
    }
}
