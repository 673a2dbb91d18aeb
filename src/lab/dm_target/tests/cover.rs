//! Covering main and uncovering it: what is served, what main shows, and what is found when the
//! power fails at any write.

use std::collections::BTreeMap;

use super::rig::{arguments, disks, made_on, Rig, SEED, START};
use crate::lab::dm_target::room::Heap;
use crate::lab::dm_target::{ActivateError, Disks, MessageError, Refused, Target};
use crate::lab::fault::{FaultRange, Faulty};
use crate::lab::ram::{CachedDisk, Power, RamDisk, Unflushed};
use crate::port::slots::survey;
use crate::port::{BlockStore, IoError};
use crate::remap_core::bytes::Text;
use crate::remap_core::commit::{self, Authority, Intent};
use crate::remap_core::engine::{Cover, LoadError, Progress, Uncover};
use crate::remap_core::event::Event;
use crate::remap_core::label::{End, Label, LabelReading, MainForm};
use crate::remap_core::layout::Region;
use crate::remap_core::main_verdict::MainVerdict;
use crate::remap_core::message::{Direction, Message};
use crate::remap_core::params::Options;
use crate::remap_core::quorum::judge;
use crate::remap_core::remap_table::{
    entry, put_entry, seal_block, BlockPlace, Entry, RegionHeader,
};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{
    BlockSize, Blocks, Errno, Generation, IdentityDigest, MainBlock, Sector, Sectors, Slot,
    SECTOR_BYTES,
};

/// Main has no whole number of 4 KiB, and a little between its ends.
const SIZE: Sectors = Sectors::new(2 * 2048 + 64 + 5);

/// Its replacements are enough for both ends, once and again, and a few bad blocks.
fn made(unit: BlockSize) -> (RamDisk, RamDisk) {
    let (_, mut spare) = disks(unit, 9000 * 512 / u64::from(unit.bytes()) + 200);
    let mut main = RamDisk::new(SIZE)
        .with_logical_block(unit)
        .with_identity(IdentityDigest::new([1; 16]));
    if unit == BlockSize::B4096 {
        main = RamDisk::new(SIZE.align_down_4k()).with_logical_block(unit);
    }
    let mut disks = Disks {
        main: &mut main,
        spare: &mut spare,
    };
    let mut target = made_on(&mut disks);
    let all: Vec<u8> = (0..target.blocks().get())
        .flat_map(|block| content(unit, block, 0))
        .collect();
    target
        .write(&mut disks, START, Sector::new(0), &all)
        .unwrap();
    (main, spare)
}

fn content(unit: BlockSize, block: u64, version: u64) -> Vec<u8> {
    let mut bytes = vec![0xb7; unit.bytes() as usize];
    bytes[..8].copy_from_slice(&block.to_le_bytes());
    bytes[8..16].copy_from_slice(&version.to_le_bytes());
    bytes
}

fn rig(unit: BlockSize) -> Rig {
    let (main, spare) = made(unit);
    Rig::on(main, spare, Options::default()).unwrap()
}

fn superblock(spare: &dyn BlockStore) -> Superblock {
    let found = survey(spare);
    judge(&found).superblock(&found).unwrap()
}

fn all_of(disk: &dyn BlockStore) -> Vec<u8> {
    let mut bytes = vec![0; disk.size().bytes().unwrap() as usize];
    disk.read_at(Sector::new(0), &mut bytes).unwrap();
    bytes
}

/// Everything at both ends of main but their labels.
fn around_labels(main: &dyn BlockStore) -> Vec<u8> {
    let all = all_of(main);
    let mut around = Vec::new();
    for end in End::ALL {
        let (start, length) = end.range(main.size()).unwrap();
        let label = end.label_sector(main.size()).unwrap().get();
        for sector in start.get()..start.get() + length.get() {
            if !(label..label + 8).contains(&sector) {
                let at = sector as usize * SECTOR_BYTES;
                around.extend_from_slice(&all[at..at + SECTOR_BYTES]);
            }
        }
    }
    around
}

#[track_caller]
fn expect_nothing_seen(main: &dyn BlockStore, superblock: &Superblock, case: &str) {
    assert!(
        around_labels(main).iter().all(|byte| *byte == 0),
        "{case}: something is seen"
    );
    for end in End::ALL {
        let mut raw = [0; 4096];
        let at = end.label_sector(main.size()).unwrap();
        main.read_at(at, &mut raw).unwrap();
        let label = *LabelReading::of(&raw, end, main.size())
            .label()
            .expect(case);
        let extension = superblock.extension.unwrap();
        assert_eq!(
            (label.form, label.sealed),
            (MainForm::Covered, true),
            "{case}"
        );
        assert_eq!(label.epoch, extension.main_epoch, "{case}");
        assert_eq!(label.array, extension.array_uuid, "{case}");
    }
}

fn refused(outcome: Result<crate::port::Reply, MessageError>) -> Refused {
    match outcome {
        Err(MessageError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_covered_main_shows_labels_alone_and_is_served_as_before() {
    for unit in [BlockSize::B512, BlockSize::B4096] {
        let mut rig = rig(unit);
        let before = all_of(&rig.main);
        let blocks = rig.target.blocks().get();
        let of_ends = End::ALL.map(|end| end.blocks(rig.main.size(), unit).unwrap().1.get());
        let of_ends = of_ends[0] + of_ends[1];
        rig.take_events();
        rig.message(&Message::Cover).unwrap();
        let covered = Event::MainCovered {
            moved: Blocks::new(of_ends),
        };
        assert_eq!(rig.take_events().last(), Some(&covered));
        assert_eq!(rig.status().active.get(), of_ends);
        let known = superblock(&rig.spare);
        assert_eq!(known.main_form(), MainForm::Covered);
        assert_eq!(known.extension.unwrap().main_epoch, 1);
        expect_nothing_seen(&rig.main, &known, "covered");
        assert_eq!(rig.read_at(0, blocks as usize), (before.clone(), Ok(())));
        // Nor after a restart, and what is written there meanwhile is there afterwards.
        rig.restart(Options::default()).unwrap();
        rig.write_at(1, &content(unit, 1, 7)).unwrap();
        rig.message(&Message::Scrub).unwrap();
        assert_eq!(rig.take_events().last(), Some(&Event::ScrubClean));
        expect_nothing_seen(&rig.main, &known, "used");
        let why = refused(rig.message(&Message::Cover));
        assert_eq!(why, Refused::HasLabels(MainForm::Covered));
        rig.message(&Message::Uncover).unwrap();
        let uncovered = Event::MainUncovered {
            stay: Blocks::new(0),
        };
        assert_eq!(rig.take_events().last(), Some(&uncovered));
        let known = superblock(&rig.spare);
        assert_eq!(known.main_form(), MainForm::Bare);
        assert_eq!(rig.status().active.get(), 0);
        assert_eq!(rig.status().used.get(), 0, "replacements are free again");
        let mut now = before.clone();
        let at = unit.bytes() as usize;
        now[at..2 * at].copy_from_slice(&content(unit, 1, 7));
        assert!(all_of(&rig.main) == now, "main is as it was");
        assert_eq!(refused(rig.message(&Message::Uncover)), Refused::NotCovered);
        // Once more: what was given back rests until the table is read anew.
        rig.message(&Message::Cover).unwrap();
        let known = superblock(&rig.spare);
        assert_eq!(known.extension.unwrap().main_epoch, 2);
        expect_nothing_seen(&rig.main, &known, "covered again");
        rig.restart(Options::default()).unwrap();
        assert_eq!(rig.read_at(0, blocks as usize), (now, Ok(())));
    }
}

#[test]
fn a_replacement_that_was_given_back_rests_until_the_table_is_read_anew() {
    let mut rig = rig(BlockSize::B512);
    rig.message(&Message::Cover).unwrap();
    rig.message(&Message::Uncover).unwrap();
    rig.take_events();
    let middle = MainBlock::new(2048 + 3);
    let moved_to = |rig: &mut Rig| {
        rig.message(&Message::Remap(middle)).unwrap();
        match rig.take_events()[..] {
            [Event::Remapped { replacement, .. }] => replacement.get(),
            ref other => panic!("{other:?}"),
        }
    };
    // The ends took the first 4101; the table block in which they end rests as well.
    assert_eq!(moved_to(&mut rig), 4101_u64.next_multiple_of(252));
    rig.restart(Options::default()).unwrap();
    let other = MainBlock::new(2048 + 4);
    rig.message(&Message::Remap(other)).unwrap();
    let told = rig.take_events();
    assert!(
        matches!(told[..], [.., Event::Remapped { replacement, .. }] if replacement.get() == 0),
        "{told:?}"
    );
}

#[test]
fn nothing_is_covered_without_room_or_where_a_block_is_lost() {
    let (mut main, mut spare) = disks(BlockSize::B512, 4000);
    main = RamDisk::new(SIZE).with_identity(main.identity());
    made_on(&mut Disks {
        main: &mut main,
        spare: &mut spare,
    });
    let before = all_of(&spare);
    let mut rig = Rig::on(main, spare, Options::default()).unwrap();
    let needs = Blocks::new(2 * 2048 + 5);
    assert_eq!(
        refused(rig.message(&Message::Cover)),
        Refused::NoRoom { needs }
    );
    assert!(all_of(&rig.spare) == before, "nothing was written");

    let mut rig = self::rig(BlockSize::B512);
    rig.break_main(Direction::Both, 700, 1);
    let main = all_of(rig.main.inner());
    let lost = MainBlock::new(700);
    assert_eq!(
        refused(rig.message(&Message::Cover)),
        Refused::Unreadable(lost)
    );
    assert_eq!(
        refused(rig.message(&Message::Cover)),
        Refused::Unreadable(lost)
    );
    assert!(all_of(rig.main.inner()) == main, "main was written to");
    // Once it is written it is on the spare, and nobody misses it on main.
    rig.write_at(700, &content(BlockSize::B512, 700, 1))
        .unwrap();
    rig.message(&Message::Cover).unwrap();
    let known = superblock(&rig.spare);
    expect_nothing_seen_but(rig.main.inner(), &known, 700);
    // Main does not take it back.
    rig.message(&Message::Uncover).unwrap();
    let stays = Event::MainUncovered {
        stay: Blocks::new(1),
    };
    assert_eq!(rig.take_events().last(), Some(&stays));
    let (bytes, read) = rig.read_at(700, 1);
    assert_eq!((read, bytes), (Ok(()), content(BlockSize::B512, 700, 1)));
}

/// One block could not be written, and is not seen either: it cannot be read.
fn expect_nothing_seen_but(main: &RamDisk, superblock: &Superblock, block: u64) {
    let mut main = main.clone();
    main.write_at(Sector::new(block), &[0; 512]).unwrap();
    expect_nothing_seen(&main, superblock, "but one block");
}

#[test]
fn a_block_that_takes_no_zeros_and_can_be_read_keeps_main_from_being_covered() {
    let mut rig = rig(BlockSize::B512);
    rig.break_main(Direction::Write, 900, 1);
    let block = MainBlock::new(900);
    assert_eq!(
        refused(rig.message(&Message::Cover)),
        Refused::NotErased(block)
    );
    assert_eq!(superblock(&rig.spare).main_form(), MainForm::Bare);
    rig.heal_disks();
    rig.restart(Options::default()).unwrap();
    rig.message(&Message::Cover).unwrap();
    expect_nothing_seen(&rig.main, &superblock(&rig.spare), "healed");
}

#[test]
fn labels_that_are_lost_come_back_and_other_disks_are_refused() {
    let mut rig = rig(BlockSize::B512);
    let blank = RamDisk::new(rig.spare.size());
    rig.message(&Message::Cover).unwrap();
    let known = superblock(&rig.spare);
    rig.main.write_at(Sector::new(0), &[0; 4096]).unwrap();
    rig.message(&Message::Repair).unwrap();
    expect_nothing_seen(&rig.main, &known, "repaired");
    let main = rig.main.inner().clone();
    // Without its spare it is no pass-through.
    let up = Rig::on(main.clone(), blank, Options::default()).map(|_| ());
    let other = ActivateError::Load(LoadError::Main(MainVerdict::Other));
    assert_eq!(up, Err(other));
    let mut theirs = [0; 4096];
    theirs[..4].copy_from_slice(b"XFSB");
    rig.main.write_at(Sector::new(0), &theirs).unwrap();
    let overwritten = ActivateError::Load(LoadError::Main(MainVerdict::Overwritten));
    assert_eq!(rig.restart(Options::default()), Err(overwritten));
}

#[test]
fn an_old_copy_of_the_spare_serves_no_covered_main() {
    let (main, spare) = made(BlockSize::B512);
    let mut rig = Rig::on(main, spare.clone(), Options::default()).unwrap();
    rig.message(&Message::Cover).unwrap();
    let main = rig.main.inner().clone();
    let up = Rig::on(main, spare, Options::default()).map(|_| ());
    let newer = ActivateError::Load(LoadError::Main(MainVerdict::Newer));
    assert_eq!(up, Err(newer));
}

#[test]
fn copies_made_anew_from_a_header_bring_up_a_bare_main_whose_ends_are_moved() {
    let mut rig = rig(BlockSize::B512);
    let before = rig.read_at(0, SIZE.get() as usize);
    rig.message(&Message::Cover).unwrap();
    // Every header is written anew on a covered main.
    let layout = rig.layout();
    for region in Region::ALL {
        rig.damage(layout.region_start(region), &[0x11; 4096]);
    }
    rig.message(&Message::Repair).unwrap();
    let mut raw = Box::new([0; 4096]);
    rig.spare
        .read_at(layout.region_start(Region::B), &mut raw[..])
        .unwrap();
    let header = RegionHeader::read(&raw, Region::B).unwrap();
    for slot in Slot::ALL {
        rig.damage(slot.sector(), &[0x11; 512]);
    }
    let found = survey(&rig.spare);
    let intent = Intent::Rebuild(&header.superblock);
    let prepared = commit::prepare(&judge(&found), &found, intent, Authority::Typed).unwrap();
    for slot in Slot::ALL {
        let copy = prepared.final_copy(slot).unwrap();
        rig.damage(slot.sector(), &copy);
    }
    rig.restart(Options::default()).unwrap();
    assert_eq!(superblock(&rig.spare).main_form(), MainForm::Bare);
    assert_eq!(rig.read_at(0, SIZE.get() as usize), before);
    rig.message(&Message::Cover).unwrap();
    expect_nothing_seen(&rig.main, &superblock(&rig.spare), "covered again");
}

#[test]
fn a_main_that_is_covered_by_its_copies_and_not_by_its_table_does_not_come_up() {
    let (mut main, mut spare) = made(BlockSize::B512);
    let mut covered = superblock(&spare);
    let extension = covered.extension.as_mut().unwrap();
    extension.features = extension.features.with_main(MainForm::Covered);
    for slot in Slot::ALL {
        let copy = covered.encode(slot);
        spare.write_at(slot.sector(), &copy).unwrap();
    }
    for end in End::ALL {
        let mut raw = [0; 4096];
        let label = Label::of(&covered, end, IdentityDigest::NONE, Text::EMPTY, false);
        label.unwrap().write(&mut raw);
        let at = end.label_sector(SIZE).unwrap();
        main.write_at(at, &raw).unwrap();
    }
    let up = Rig::on(main, spare, Options::default()).map(|_| ());
    let blocks = Blocks::new(2 * 2048 + 5);
    assert_eq!(
        up,
        Err(ActivateError::Load(LoadError::NotCovered { blocks }))
    );
}

#[test]
fn a_block_that_main_takes_and_does_not_give_back_stays_on_the_spare() {
    let mut rig = rig(BlockSize::B512);
    rig.message(&Message::Cover).unwrap();
    rig.break_main(Direction::Read, 5, 1);
    rig.message(&Message::Uncover).unwrap();
    let stays = Event::MainUncovered {
        stay: Blocks::new(1),
    };
    assert_eq!(rig.take_events().last(), Some(&stays));
    rig.restart(Options::default()).unwrap();
    let (bytes, read) = rig.read_at(5, 1);
    assert_eq!((read, bytes), (Ok(()), content(BlockSize::B512, 5, 0)));
}

/// Entries that another one counts for may still be live: what retires them is written after it,
/// and may fail. Given back alone, the newest would leave the block to one of them.
#[test]
fn an_entry_that_was_superseded_does_not_come_back_with_an_uncover() {
    let mut rig = rig(BlockSize::B512);
    rig.message(&Message::Remap(MainBlock::new(7))).unwrap();
    let layout = rig.layout();
    let first = layout.replacement.get();
    // The entry that leads to replacement 1 counts for more; that of replacement 0 is live still.
    let blocks = Region::ALL.map(|region| layout.table_block(region, 0).unwrap());
    for (region, at) in Region::ALL.into_iter().zip(blocks) {
        let mut raw = [0; 4096];
        rig.spare.read_at(at, &mut raw).unwrap();
        let newer = Entry {
            moves: 2,
            ..entry(&raw, 0).unwrap()
        };
        assert!(put_entry(&mut raw, 1, &newer));
        let place = BlockPlace {
            array: SEED.array,
            region,
            index: 0,
        };
        seal_block(&mut raw, &place, Generation::new(9));
        rig.damage(at, &raw);
    }
    let newest = content(BlockSize::B512, 7, 3);
    rig.damage(Sector::new(first + 1), &newest);
    rig.restart(Options::default()).unwrap();
    rig.message(&Message::Cover).unwrap();
    rig.message(&Message::Uncover).unwrap();
    rig.restart(Options::default()).unwrap();
    assert_eq!(rig.read_at(7, 1), (newest, Ok(())));
    assert_eq!(rig.status().active.get(), 0);
}

/// Steps of a cover or an uncover, with writes in between.
enum Work {
    Cover(Cover<Heap>),
    Uncover(Uncover<Heap>),
}

/// A device on disks whose power fails, and what may be found of each block.
struct Run {
    unit: BlockSize,
    main: CachedDisk,
    spare: CachedDisk,
    target: Target,
    /// The versions that a block may have, the last one that was flushed first.
    versions: BTreeMap<u64, Vec<u64>>,
    version: u64,
}

impl Run {
    fn new((main, spare): &(RamDisk, RamDisk), unit: BlockSize, power: &Power) -> Self {
        let mut main = CachedDisk::new(main.clone(), power);
        let mut spare = CachedDisk::new(spare.clone(), power);
        let mut disks = Disks {
            main: &mut main,
            spare: &mut spare,
        };
        let target = Target::activate(arguments(Options::default()), &mut disks, START).unwrap();
        Self {
            unit,
            main,
            spare,
            target,
            versions: BTreeMap::new(),
            version: 0,
        }
    }

    /// Writes the blocks that others would know main by, and one at the last end.
    fn write(&mut self) {
        let last = self.target.blocks().get() - 1;
        self.version += 1;
        for block in [0, 2, last] {
            let data = content(self.unit, block, self.version);
            let versions = self.versions.entry(block).or_insert(vec![0]);
            versions.push(self.version);
            let mut disks = Disks {
                main: &mut self.main,
                spare: &mut self.spare,
            };
            let at = self.unit.first_sector(MainBlock::new(block)).unwrap();
            let _ = self.target.write(&mut disks, START, at, &data);
        }
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        if self.target.flush(&mut disks, START).is_ok() {
            for versions in self.versions.values_mut() {
                versions.drain(..versions.len() - 1);
            }
        }
    }

    /// Covers or uncovers, as far as the power allows. Returns whether that ended.
    fn work(&mut self, uncover: bool) -> bool {
        self.write();
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let (engine, mut host) = self.target.parts(&mut disks, START, None);
        let begun = match uncover {
            false => Cover::begin(engine, &mut host).map(Work::Cover),
            true => Uncover::begin(engine, &mut host).map(Work::Uncover),
        };
        let Ok(mut work) = begun else { return false };
        loop {
            let mut disks = Disks {
                main: &mut self.main,
                spare: &mut self.spare,
            };
            let (engine, mut host) = self.target.parts(&mut disks, START, None);
            let stepped = match &mut work {
                Work::Cover(cover) => cover.step(engine, &mut host),
                Work::Uncover(uncover) => uncover.step(engine, &mut host),
            };
            match stepped {
                Ok(Progress::More) => self.write(),
                Ok(Progress::Done) => break,
                Err(_) => return false,
            }
        }
        self.write();
        true
    }
}

/// Brings the device up on what the power left, and looks at everything.
fn check(run: Run, unflushed: Unflushed, uncover: bool, case: &str) {
    let unit = run.unit;
    let main = run.main.after_power_failure(unflushed);
    let spare = run.spare.after_power_failure(unflushed);
    let known = superblock(&spare);
    if known.main_form() == MainForm::Covered {
        expect_nothing_seen(&main, &known, case);
    }
    let mut rig =
        Rig::on(main, spare, Options::default()).unwrap_or_else(|error| panic!("{case}: {error}"));
    assert!(!rig.status().needs_check, "{case}");
    let blocks = rig.target.blocks().get();
    let (found, read) = rig.read_at(0, blocks as usize);
    assert_eq!(read, Ok(()), "{case}");
    for (block, found) in (0..).zip(found.chunks(unit.bytes() as usize)) {
        let versions = run.versions.get(&block).map_or(&[0][..], |of| &of[..]);
        let is_known = versions
            .iter()
            .any(|version| content(unit, block, *version) == found);
        assert!(is_known, "{case}: block {block} holds {:x?}", &found[..16]);
    }
    // It goes on from there, to the end.
    let message = match uncover {
        false => Message::Cover,
        true => Message::Uncover,
    };
    match rig.message(&message) {
        Ok(_) => {}
        Err(MessageError::Refused(Refused::HasLabels(_) | Refused::NotCovered)) => {}
        Err(error) => panic!("{case}: {error}"),
    }
    rig.message(&Message::Repair)
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    rig.restart(Options::default())
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    assert!(
        rig.read_at(0, blocks as usize).0 == found,
        "{case}: the end"
    );
    let known = superblock(&rig.spare);
    if uncover {
        assert_eq!(known.main_form(), MainForm::Bare, "{case}");
        assert!(all_of(&rig.main)[..found.len()] == found, "{case}: main");
        assert_eq!(rig.status().active.get(), 0, "{case}");
    } else {
        expect_nothing_seen(&rig.main, &known, case);
    }
}

fn fail_at_every_write(unit: BlockSize, uncover: bool) {
    let mut made = made(unit);
    if uncover {
        let mut rig = Rig::on(made.0, made.1, Options::default()).unwrap();
        rig.message(&Message::Cover).unwrap();
        made = (rig.main.inner().clone(), rig.spare.inner().clone());
    }
    let whole = Power::failing_after(u64::MAX);
    assert!(Run::new(&made, unit, &whole).work(uncover));
    let steps = whole.done();
    assert!(steps > 40, "only {steps} writes and flushes");
    for after in 0..=steps {
        let fates = (0..2).map(|seed| Unflushed::Mixed(after * 31 + seed));
        for unflushed in [Unflushed::Lost, Unflushed::Kept].into_iter().chain(fates) {
            let power = Power::failing_after(after);
            let mut run = Run::new(&made, unit, &power);
            run.work(uncover);
            check(
                run,
                unflushed,
                uncover,
                &format!("write {after}, {unflushed:?}"),
            );
        }
    }
}

#[test]
fn a_power_failure_at_every_write_of_a_cover_loses_nothing() {
    fail_at_every_write(BlockSize::B512, false);
    fail_at_every_write(BlockSize::B4096, false);
}

#[test]
fn a_power_failure_at_every_write_of_an_uncover_loses_nothing() {
    fail_at_every_write(BlockSize::B512, true);
    fail_at_every_write(BlockSize::B4096, true);
}

/// Every single write to the spare fails in turn, with the block that it begins at bad from then
/// on or not: what is acknowledged is there after a restart.
#[test]
fn a_spare_that_fails_at_any_write_of_either_loses_nothing() {
    for uncover in [false, true] {
        let (main, spare) = made(BlockSize::B512);
        let mut start = Rig::on(main, spare, Options::default()).unwrap();
        if uncover {
            start.message(&Message::Cover).unwrap();
        }
        let (main, spare) = (start.main.inner().clone(), start.spare.inner().clone());
        let before = start.read_at(0, SIZE.get() as usize).0;
        let layout = start.layout();
        let message = if uncover {
            Message::Uncover
        } else {
            Message::Cover
        };
        let tables = Region::ALL.map(|region| layout.region_start(region).get());
        let of_tables = tables
            .into_iter()
            .flat_map(|at| (0..20).map(move |block| at + block * 8));
        let data = (0..40).map(|at| layout.replacement.get() + at * 117);
        let slots = Slot::ALL.map(|slot| slot.sector().get());
        for at in of_tables.chain(data).chain(slots) {
            let case = format!("uncover {uncover}, sector {at}");
            let bad = FaultRange::bad(Direction::Write, Sector::new(at), Sectors::new(1));
            let faulty = Faulty::new(spare.clone(), vec![bad]);
            let main = Faulty::new(main.clone(), Vec::new());
            let mut rig = Rig::on_faulty(main, faulty, Options::default()).unwrap();
            let _ = rig.message(&message);
            let (now, read) = rig.read_at(0, SIZE.get() as usize);
            assert!(read.is_ok() && now == before, "{case}: at once");
            let fresh = content(BlockSize::B512, 2, 5);
            let written = rig.write_at(2, &fresh).is_ok();
            rig.restart(Options::default())
                .unwrap_or_else(|error| panic!("{case}: {error}"));
            let (mut now, read) = rig.read_at(0, SIZE.get() as usize);
            assert!(read.is_ok(), "{case}");
            let was = &mut now[2 * 512..3 * 512];
            assert!(
                !written || *was == fresh,
                "{case}: what was acknowledged is gone"
            );
            was.copy_from_slice(&before[2 * 512..3 * 512]);
            assert!(now == before, "{case}: after a restart");
            // It ends well once the spare works.
            rig.heal_disks();
            rig.message(&Message::Repair).unwrap();
            match rig.message(&message) {
                Ok(_) | Err(MessageError::Refused(Refused::HasLabels(_) | Refused::NotCovered)) => {
                }
                Err(error) => panic!("{case}: {error}"),
            }
        }
    }
}

/// A spare that is gone right behind one of the writes of several table blocks, which reached it.
struct Leaving {
    inner: RamDisk,
    tables: [std::ops::Range<u64>; 2],
    /// Such writes until it leaves.
    left: usize,
    gone: bool,
}

impl Leaving {
    fn check(&self, at: Sector) -> Result<(), IoError> {
        let errno = Errno::new(19);
        match self.gone {
            true => Err(IoError { errno, at }),
            false => Ok(()),
        }
    }
}

impl BlockStore for Leaving {
    fn size(&self) -> Sectors {
        self.inner.size()
    }

    fn logical_block(&self) -> BlockSize {
        self.inner.logical_block()
    }

    fn identity(&self) -> IdentityDigest {
        self.inner.identity()
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        self.check(at)?;
        self.inner.read_at(at, buffer)
    }

    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError> {
        self.check(at)?;
        self.inner.write_at(at, data)?;
        let is_run = data.len() > 4096 && self.tables.iter().any(|table| table.contains(&at.get()));
        if is_run {
            self.gone = self.left == 0;
            self.left = self.left.wrapping_sub(1);
        }
        self.check(at)
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.check(Sector::new(0))
    }
}

/// The regions differ then, and one tells of moves that nobody knows of. What is written to main
/// meanwhile is not acknowledged where a restart could serve it from the spare.
#[test]
fn a_spare_that_leaves_behind_a_piece_of_its_table_undoes_no_write() {
    for uncover in [false, true] {
        for left in 0..8 {
            let unit = BlockSize::B512;
            let (main, spare) = made(unit);
            let mut rig = Rig::on(main, spare, Options::default()).unwrap();
            if uncover {
                rig.message(&Message::Cover).unwrap();
            }
            let layout = rig.layout();
            let tables = Region::ALL.map(|region| {
                let start = layout.region_start(region).get() + 8;
                start..start + layout.region_sectors().get() - 8
            });
            let mut main = rig.main.inner().clone();
            let mut spare = Leaving {
                inner: rig.spare.inner().clone(),
                tables,
                left,
                gone: false,
            };
            let mut disks = Disks {
                main: &mut main,
                spare: &mut spare,
            };
            let up = |disks: &mut Disks<'_>| {
                Target::activate(arguments(Options::default()), disks, START).unwrap()
            };
            let mut target = up(&mut disks);
            let message = match uncover {
                false => Message::Cover,
                true => Message::Uncover,
            };
            let _ = target.message(&mut disks, START, &message, SEED, &mut |_| Ok(()));
            let last = target.blocks().get() - 1;
            let written = [0, 1000, 2047, 2048 + 64, last].map(|block| {
                let (at, data) = (Sector::new(block), content(unit, block, 9));
                (block, target.write(&mut disks, START, at, &data).is_ok())
            });
            spare.gone = false;
            spare.left = usize::MAX;
            let mut disks = Disks {
                main: &mut main,
                spare: &mut spare,
            };
            let mut target = up(&mut disks);
            for (block, acknowledged) in written {
                let mut found = vec![0; 512];
                let read = target.read(&mut disks, START, Sector::new(block), &mut found);
                assert!(read.is_ok(), "{message} {left}: block {block}");
                let old = !acknowledged && found == content(unit, block, 0);
                assert!(
                    old || found == content(unit, block, 9),
                    "{message} {left}: block {block}, acknowledged {acknowledged}"
                );
            }
        }
    }
}
