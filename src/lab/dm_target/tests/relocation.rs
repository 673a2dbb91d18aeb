//! Blocks that fail, one by one and all together.

use std::collections::BTreeSet;

use super::rig::{lost, Rig, MAIN_SIZE};
use crate::lab::dm_target::{ActivateError, MessageError, Refused};
use crate::port::{BlockStore, Reply};
use crate::remap_core::engine::LoadError;
use crate::remap_core::event::Event;
use crate::remap_core::layout::Region;
use crate::remap_core::message::{Direction, Message};
use crate::remap_core::params::Options;
use crate::remap_core::policy::{PassUp, UsageMark};
use crate::remap_core::units::{BlockSize, MainBlock, Replacement};

const FIRST: u64 = 32;

/// Every way to choose failing blocks among so many.
fn subsets(blocks: u64) -> impl Iterator<Item = Vec<u64>> {
    (0..1u32 << blocks).map(move |mask| {
        (0..blocks)
            .filter(|block| mask & (1 << block) != 0)
            .collect()
    })
}

/// Failing blocks in requests of one to sixteen blocks: every subset of short requests;
/// every single block, every pair and every run of long ones.
fn cases() -> Vec<(u64, Vec<u64>)> {
    let mut cases = Vec::new();
    for length in 1..=16 {
        if length <= 6 {
            cases.extend(subsets(length).map(|bad| (length, bad)));
            continue;
        }
        for from in 0..length {
            for to in from..length {
                cases.push((length, (from..=to).collect()));
                cases.push((length, Vec::from_iter(BTreeSet::from([from, to]))));
            }
        }
    }
    cases
}

#[test]
fn exactly_the_blocks_that_fail_to_be_written_are_moved() {
    for unit in [BlockSize::B512, BlockSize::B4096] {
        for (length, bad) in cases() {
            let case = format!("{unit}: {bad:?} of {length}");
            let mut rig = Rig::new(unit, 64);
            rig.write(FIRST - 1, length + 2, 1).unwrap();
            for block in &bad {
                rig.break_main(Direction::Write, FIRST + block, 1);
            }
            // Sixteen bad blocks in a row would put main to the test, which it passes.
            rig.write(FIRST, length, 2).unwrap();
            assert_eq!(rig.status().active.get(), bad.len() as u64, "{case}");
            assert_eq!(rig.status().write_errors, bad.len() as u64, "{case}");
            for restarted in [false, true] {
                if restarted {
                    rig.restart(Options::default()).unwrap();
                }
                rig.expect(FIRST - 1, 1, 1);
                rig.expect(FIRST, length, 2);
                rig.expect(FIRST + length, 1, 1);
            }
            // Main was not touched where it is bad, and holds what it took elsewhere.
            let old = rig.pattern(FIRST, length, 1);
            let new = rig.pattern(FIRST, length, 2);
            let bytes = unit.bytes() as usize;
            for block in 0..length {
                let mut found = vec![0; bytes];
                let at = unit.first_sector(MainBlock::new(FIRST + block)).unwrap();
                rig.main.read_at(at, &mut found).unwrap();
                let range = block as usize * bytes..(block as usize + 1) * bytes;
                let expected = if bad.contains(&block) { &old } else { &new };
                assert_eq!(found, expected[range], "{case}, block {block}");
            }
        }
    }
}

#[test]
fn exactly_the_blocks_that_fail_to_be_read_are_lost_until_their_next_write() {
    for (length, bad) in cases() {
        let mut rig = Rig::new(BlockSize::B1024, 64);
        rig.write(FIRST - 1, length + 2, 1).unwrap();
        for block in &bad {
            rig.break_main(Direction::Read, FIRST + block, 1);
        }
        let expected = match bad.is_empty() {
            true => Ok(()),
            false => lost(bad.iter().map(|block| FIRST + block)),
        };
        for attempt in 1..=2 {
            let (bytes, outcome) = rig.read_at(FIRST, length as usize);
            assert_eq!(outcome, expected, "{bad:?} of {length}");
            let whole = rig.pattern(FIRST, length, 1);
            for (block, (found, whole)) in (0..).zip(bytes.chunks(1024).zip(whole.chunks(1024))) {
                match bad.contains(&block) {
                    true => assert!(found.iter().all(|byte| *byte == 0xee)),
                    false => assert_eq!(found, whole),
                }
            }
            assert_eq!(rig.status().pending.get(), bad.len() as u64);
            assert_eq!(rig.status().active.get(), 0);
            assert_eq!(rig.status().read_errors, attempt * bad.len() as u64);
        }
        rig.restart(Options::default()).unwrap();
        assert_eq!(rig.status().pending.get(), bad.len() as u64);
        rig.write(FIRST, length, 2).unwrap();
        assert_eq!(rig.status().pending.get(), 0);
        assert_eq!(rig.status().active.get(), bad.len() as u64);
        rig.restart(Options::default()).unwrap();
        rig.expect(FIRST - 1, 1, 1);
        rig.expect(FIRST, length, 2);
        rig.expect(FIRST + length, 1, 1);
    }
}

#[test]
fn a_pending_block_that_works_again_is_read_and_still_moved_by_its_next_write() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    rig.write(5, 1, 1).unwrap();
    rig.break_main(Direction::Read, 5, 1);
    assert_eq!(rig.read_at(5, 1).1, lost([5]));
    rig.heal_disks();
    rig.expect(5, 1, 1);
    assert_eq!(rig.status().pending.get(), 1);
    rig.write(5, 1, 2).unwrap();
    assert_eq!(rig.status().active.get(), 1);
    rig.expect(5, 1, 2);
}

#[test]
fn a_replacement_that_fails_is_passed_over_for_good() {
    for failing in 0..=3 {
        let mut rig = Rig::new(BlockSize::B512, 64);
        rig.break_replacements(Direction::Both, 0, failing);
        rig.break_main(Direction::Write, 9, 1);
        rig.write(8, 3, 1).unwrap();
        let bad: Vec<Event> = (0..failing)
            .map(|index| Event::ReplacementBad {
                replacement: Replacement::new(index),
            })
            .collect();
        let mut expected = vec![Event::Remapped {
            block: MainBlock::new(9),
            replacement: Replacement::new(failing),
        }];
        expected.extend(bad);
        assert_eq!(rig.take_events(), expected);
        assert_eq!(rig.status().used.get(), failing + 1);
        rig.restart(Options::default()).unwrap();
        rig.expect(8, 3, 1);
        rig.break_main(Direction::Write, 20, 1);
        rig.write(20, 1, 1).unwrap();
        assert_eq!(rig.status().used.get(), failing + 2);
        rig.expect(20, 1, 1);
    }
}

#[test]
fn a_spare_that_takes_nothing_fails_the_write_and_moves_nothing_until_it_is_mended() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    rig.write(0, 16, 1).unwrap();
    rig.break_main(Direction::Write, 4, 2);
    rig.break_spare_at(
        Direction::Write,
        crate::remap_core::units::Sector::new(0),
        u64::MAX,
    );
    assert_eq!(rig.write(0, 16, 2), lost([4, 5]));
    assert!(rig.status().spare_failing);
    let events = rig.take_events();
    assert_eq!(
        events.iter().filter(|e| **e == Event::SpareFails).count(),
        1
    );
    assert_eq!(rig.write(4, 1, 2), lost([4]));
    let told = rig.take_events();
    assert!(told.contains(&Event::NotRelocated {
        block: MainBlock::new(4),
        why: PassUp::SpareFails
    }));
    rig.expect(0, 4, 2);
    rig.expect(4, 2, 1);
    // The spare works again; the repair that is due finds that out.
    rig.spare.faults().clear();
    rig.pass(1000);
    assert!(!rig.status().spare_failing);
    rig.write(0, 16, 3).unwrap();
    rig.restart(Options::default()).unwrap();
    rig.expect(0, 16, 3);
}

#[test]
fn a_replacement_in_use_that_fails_is_replaced_itself() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    rig.break_main(Direction::Write, 9, 1);
    rig.write(9, 1, 1).unwrap();
    rig.break_replacements(Direction::Write, 0, 1);
    rig.write(9, 1, 2).unwrap();
    rig.expect(9, 1, 2);
    let Ok(Reply::Remaps(rows)) = rig.message(&Message::Remaps(MainBlock::new(0))) else {
        panic!("a list of remaps");
    };
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].replacement, rows[0].moves),
        (Replacement::new(1), 2)
    );
    rig.restart(Options::default()).unwrap();
    rig.expect(9, 1, 2);
    assert_eq!(rig.status().active.get(), 1);
    assert_eq!(rig.status().used.get(), 2);

    // One that cannot be read any more is lost; the next write to it mends that.
    rig.break_replacements(Direction::Read, 1, 1);
    assert_eq!(rig.read_at(9, 1).1, lost([9]));
    assert_eq!(rig.status().pending.get(), 0);
}

#[test]
fn the_spare_runs_full_with_one_event_at_each_mark_and_errors_from_then_on() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    let total = rig.status().total.get();
    let mut marks = Vec::new();
    for block in 0..total {
        // What works in between keeps main from being suspected.
        rig.write(2000, 1, 1).unwrap();
        rig.break_main(Direction::Write, block, 1);
        rig.write(block, 1, 1).unwrap();
        let usage = rig
            .take_events()
            .into_iter()
            .filter_map(|event| match event {
                Event::SpareUse { mark } => Some(mark),
                _ => None,
            });
        marks.extend(usage);
    }
    assert_eq!(
        marks,
        [
            UsageMark::Percent75,
            UsageMark::Percent90,
            UsageMark::Exhausted
        ]
    );
    rig.break_main(Direction::Both, 1000, 1);
    for _ in 0..2 {
        assert_eq!(rig.write(999, 3, 2), lost([1000]));
        assert_eq!(rig.read_at(999, 3).1, lost([1000]));
        let why = PassUp::Exhausted;
        let block = MainBlock::new(1000);
        assert_eq!(
            rig.take_events(),
            vec![Event::NotRelocated { block, why }; 2]
        );
    }
    assert_eq!(rig.status().used.get(), total);
    assert_eq!(rig.status().pending.get(), 0);
    rig.restart(Options::default()).unwrap();
    rig.expect(0, total, 1);
    // What was moved is written as before.
    rig.write(0, total, 3).unwrap();
    rig.expect(0, total, 3);
}

#[test]
fn a_block_is_moved_on_request_with_its_data() {
    let mut rig = Rig::new(BlockSize::B2048, 64);
    rig.write(10, 3, 1).unwrap();
    rig.message(&Message::Remap(MainBlock::new(11))).unwrap();
    assert_eq!(rig.status().active.get(), 1);
    rig.expect(10, 3, 1);
    assert!(matches!(
        rig.message(&Message::Remap(MainBlock::new(11))),
        Err(MessageError::Refused(Refused::AlreadyMoved(_)))
    ));
    let past = MainBlock::new(MAIN_SIZE.get() / 4);
    assert!(matches!(
        rig.message(&Message::Remap(past)),
        Err(MessageError::Refused(Refused::PastEnd(_)))
    ));
    rig.break_main(Direction::Read, 12, 1);
    assert!(matches!(
        rig.message(&Message::Remap(MainBlock::new(12))),
        Err(MessageError::Refused(Refused::Unreadable(_)))
    ));
    assert_eq!(rig.status().pending.get(), 1);
    assert!(matches!(
        rig.message(&Message::Remap(MainBlock::new(u64::MAX))),
        Err(MessageError::Refused(Refused::PastEnd(_)))
    ));
}

#[test]
fn remaps_are_listed_in_pieces_that_go_on_behind_each_other() {
    let mut rig = Rig::new(BlockSize::B512, 1200);
    for block in 0..1100 {
        rig.message(&Message::Remap(MainBlock::new(3 * block)))
            .unwrap();
    }
    let mut found = Vec::new();
    let mut from = MainBlock::new(0);
    loop {
        let Ok(Reply::Remaps(rows)) = rig.message(&Message::Remaps(from)) else {
            panic!("a list of remaps");
        };
        let Some(last) = rows.last() else { break };
        from = MainBlock::new(last.block.get() + 1);
        found.extend(rows.iter().map(|row| row.block.get()));
    }
    assert_eq!(found, (0..1100).map(|block| 3 * block).collect::<Vec<_>>());
}

/// What a table block in a bad place may leave behind: a remap that was reported as
/// failed must never, after a restart, hide a later acknowledged write.
#[test]
fn a_remap_that_could_not_be_recorded_never_hides_a_later_write() {
    for bad_region in Region::ALL {
        for write_first in [false, true] {
            let mut rig = Rig::new(BlockSize::B512, 64);
            rig.write(0, 4, 1).unwrap();
            rig.break_main(Direction::Write, 2, 1);
            let at = rig.layout().table_block(bad_region, 0).unwrap();
            // One sector of the block fails: the write reaches the others.
            rig.break_spare_at(Direction::Write, at, u64::from(write_first) + 1);
            assert_eq!(rig.write(2, 1, 2), lost([2]));
            rig.expect(2, 1, 1);
            // Main takes the block again, the table still fails: nothing may be
            // acknowledged, for the failed remap may be on the spare.
            rig.main.faults().clear();
            assert_eq!(rig.write(2, 1, 3), lost([2]));
            rig.spare.faults().clear();
            rig.write(2, 1, 4).unwrap();
            rig.expect(0, 2, 1);
            rig.expect(2, 1, 4);
            rig.restart(Options::default()).unwrap();
            rig.expect(2, 1, 4);
            rig.expect(3, 1, 1);
        }
    }
}

#[test]
fn contradicting_tables_come_up_read_only_and_lost_ones_not_at_all() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    rig.write(0, 4, 1).unwrap();
    rig.break_main(Direction::Write, 2, 1);
    rig.write(2, 1, 2).unwrap();
    let (spare, mut other) = (rig.spare.inner().clone(), Rig::new(BlockSize::B512, 64));
    other.break_main(Direction::Write, 3, 1);
    other.write(3, 1, 2).unwrap();
    // The same generation with other entries in region B.
    let at = rig.layout().table_block(Region::B, 0).unwrap();
    let mut raw = [0; 4096];
    other.spare.read_at(at, &mut raw).unwrap();
    rig.damage(at, &raw);
    rig.events.clear();
    rig.restart(Options::default()).unwrap();
    assert!(rig.status().needs_check);
    assert!(rig.take_events().contains(&Event::NeedsCheck));
    assert!(rig.write(0, 1, 3).is_err());
    let refused = rig.message(&Message::WriteMetadata);
    assert!(matches!(
        refused,
        Err(MessageError::Refused(Refused::ReadOnly {
            needs_check: true
        }))
    ));

    *rig.spare.inner() = spare;
    for region in Region::ALL {
        let at = rig.layout().table_block(region, 0).unwrap();
        rig.damage(at, &[0; 512]);
    }
    let lost = Err(ActivateError::Load(LoadError::TableLost { blocks: 1 }));
    assert_eq!(rig.restart(Options::default()), lost);
    let read_only = Options {
        read_only: true,
        ..Options::default()
    };
    let lost = Err(ActivateError::Load(LoadError::TableLost { blocks: 1 }));
    assert_eq!(rig.restart(read_only), lost);
}
