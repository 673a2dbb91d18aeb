//! A table that contradicts itself: the copies say so until a person had it settled.

use super::rig::{Rig, SEED};
use crate::lab::dm_target::{MessageError, Refused};
use crate::port::slots::survey;
use crate::port::{BlockStore, Reply};
use crate::remap_core::engine::WriteFailure;
use crate::remap_core::event::Event;
use crate::remap_core::layout::Region;
use crate::remap_core::message::{Direction, Message};
use crate::remap_core::params::Options;
use crate::remap_core::quorum::{judge, Verdict};
use crate::remap_core::remap_table::{
    format_block, put_entry, seal_block, BlockPlace, Entry, EntryState,
};
use crate::remap_core::units::{BlockSize, Generation, MainBlock, Sequence, Slot};

/// Whether the copies say that the table needs a check.
fn noted(rig: &Rig) -> bool {
    let found = survey(&rig.spare);
    let superblock = judge(&found).superblock(&found).unwrap();
    superblock.extension.unwrap().needs_check
}

fn table_block(rig: &Rig, region: Region) -> Vec<u8> {
    let mut raw = vec![0; 4096];
    let at = rig.layout().table_block(region, 0).unwrap();
    rig.spare.read_at(at, &mut raw).unwrap();
    raw
}

/// Moves some blocks, with data that tells them from all others.
fn with_moved(blocks: &[u64]) -> Rig {
    let mut rig = Rig::new(BlockSize::B512, 64);
    rig.write(0, 8, 1).unwrap();
    for block in blocks {
        rig.break_main(Direction::Write, *block, 1);
        rig.write(*block, 1, 2).unwrap();
    }
    rig.heal_disks();
    rig.events.clear();
    rig
}

/// A device whose regions hold different entries of one generation.
fn contradicting() -> Rig {
    let mut rig = with_moved(&[2]);
    let other = table_block(&with_moved(&[3]), Region::B);
    let at = rig.layout().table_block(Region::B, 0).unwrap();
    rig.damage(at, &other);
    rig
}

#[test]
fn a_contradiction_stays_noted_until_a_person_has_the_table_settled() {
    let mut rig = contradicting();
    rig.restart(Options::default()).unwrap();
    assert!(rig.status().needs_check && !noted(&rig));
    // Coming up writes nothing; the first scrub notes it, and nothing is mended by itself.
    let before = table_block(&rig, Region::B);
    rig.pass(100);
    assert!(noted(&rig));
    assert_eq!(rig.verdict(), Verdict::Healthy);
    assert_eq!(rig.status().sequence, Sequence::new(2));
    rig.pass(60_000);
    rig.message(&Message::Scrub).unwrap();
    assert_eq!(rig.status().sequence, Sequence::new(2), "noted once");
    assert_eq!(table_block(&rig, Region::B), before);
    assert!(rig.write(0, 1, 3).is_err());

    // It is remembered also where nothing on the spare shows it any more.
    let mut quiet = with_moved(&[2]);
    let at = rig.layout().table_block(Region::B, 0).unwrap();
    rig.damage(at, &table_block(&quiet, Region::B));
    rig.restart(Options::default()).unwrap();
    assert!(rig.status().needs_check && rig.write(0, 1, 3).is_err());
    rig.damage(at, &before);
    rig.restart(Options::default()).unwrap();

    rig.message(&Message::Repair).unwrap();
    assert!(!rig.status().needs_check && !noted(&rig));
    assert_eq!(rig.verdict(), Verdict::Healthy);
    rig.expect(2, 1, 2);
    rig.write(0, 8, 4).unwrap();
    rig.take_events();
    rig.message(&Message::Scrub).unwrap();
    assert_eq!(rig.take_events(), [Event::ScrubClean]);
    rig.restart(Options::default()).unwrap();
    assert!(!rig.status().needs_check);
    rig.expect(0, 8, 4);
    quiet.expect(2, 1, 2);
}

#[test]
fn the_note_goes_only_when_the_copies_took_it() {
    let mut rig = contradicting();
    rig.restart(Options::default()).unwrap();
    rig.pass(100);
    assert!(noted(&rig));
    for slot in Slot::ALL {
        rig.break_spare_at(Direction::Write, slot.sector(), 1);
    }
    assert!(rig.message(&Message::Repair).is_err());
    assert!(rig.status().needs_check && noted(&rig));
    assert!(rig.write(0, 1, 3).is_err());
    rig.heal_disks();
    rig.message(&Message::Repair).unwrap();
    assert!(!rig.status().needs_check && !noted(&rig));
    rig.write(0, 1, 3).unwrap();
}

#[test]
fn a_device_that_is_to_be_read_only_notes_and_settles_nothing() {
    let mut rig = contradicting();
    let options = Options {
        read_only: true,
        ..Options::default()
    };
    rig.restart(options).unwrap();
    rig.pass(100);
    assert!(rig.status().needs_check && !noted(&rig));
    assert!(matches!(
        rig.message(&Message::Repair),
        Err(MessageError::Refused(Refused::ReadOnly { .. }))
    ));
}

#[test]
fn entries_that_contradict_each_other_are_retired_but_for_the_one_that_is_served() {
    let mut rig = with_moved(&[2, 3]);
    let size = rig.main.size().get();
    let entry = |main, moves| Entry {
        state: EntryState::Active,
        main: MainBlock::new(main),
        moves,
    };
    for region in Region::ALL {
        let place = BlockPlace {
            array: SEED.array,
            region,
            index: 0,
        };
        let mut raw = Box::new([0; 4096]);
        format_block(&mut raw, &place);
        // Block 2 twice, block 3, and a block that main does not have.
        for (at, entry) in [entry(2, 1), entry(3, 1), entry(2, 1), entry(size, 1)]
            .iter()
            .enumerate()
        {
            put_entry(&mut raw, at as u32, entry);
        }
        seal_block(&mut raw, &place, Generation::new(9));
        let at = rig.layout().table_block(region, 0).unwrap();
        rig.damage(at, &raw[..]);
    }
    rig.restart(Options::default()).unwrap();
    assert!(rig.status().needs_check);
    rig.expect(2, 2, 2);
    rig.message(&Message::Repair).unwrap();
    assert!(!rig.status().needs_check);
    rig.restart(Options::default()).unwrap();
    assert!(!rig.status().needs_check);
    rig.expect(2, 2, 2);
    let Ok(Reply::Remaps(rows)) = rig.message(&Message::Remaps(MainBlock::new(0))) else {
        panic!("a list of remaps");
    };
    let rows: Vec<_> = rows.iter().map(|row| row.replacement.get()).collect();
    assert_eq!(rows, [0, 1]);
    assert_eq!(rig.status().used.get(), 4);
}

#[test]
fn a_table_that_somebody_else_wrote_is_settled_only_after_it_was_read_again() {
    let mut rig = with_moved(&[2]);
    // The same array, three remaps on.
    let newer = table_block(&with_moved(&[2, 3, 4]), Region::A);
    let at = rig.layout().table_block(Region::A, 0).unwrap();
    rig.damage(at, &newer);
    rig.message(&Message::Scrub).unwrap();
    assert!(rig.status().needs_check && noted(&rig));
    assert!(matches!(
        rig.message(&Message::Repair),
        Err(MessageError::Refused(Refused::NotWritten(
            WriteFailure::Contradiction
        )))
    ));
    assert_eq!(table_block(&rig, Region::A), newer);
    rig.restart(Options::default()).unwrap();
    assert!(
        rig.status().needs_check,
        "what is newer is read, and in doubt"
    );
    assert_eq!(rig.status().active.get(), 3);
    rig.message(&Message::Repair).unwrap();
    assert!(!rig.status().needs_check && !noted(&rig));
    rig.write(0, 8, 5).unwrap();
    rig.restart(Options::default()).unwrap();
    rig.expect(0, 8, 5);
}
