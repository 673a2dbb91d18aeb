//! Table blocks that take no writes: others are used in their place, and only writes to the
//! blocks that they may relocate are told from all others.

use super::rig::{lost, Rig, SEED};
use crate::port::{BlockStore, Reply};
use crate::remap_core::event::Event;
use crate::remap_core::layout::{Region, ENTRIES_PER_BLOCK};
use crate::remap_core::message::{Direction, Message};
use crate::remap_core::params::Options;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::remap_table::{check_block, BlockPlace, FIRST_GENERATION};
use crate::remap_core::units::{BlockSize, MainBlock, Sector, Slot, BLOCK_4K_BYTES};

fn replacement_of(rig: &mut Rig, block: u64) -> u64 {
    let Ok(Reply::Remaps(rows)) = rig.message(&Message::Remaps(MainBlock::new(block))) else {
        panic!("a list of remaps");
    };
    assert_eq!(rows[0].block, MainBlock::new(block));
    rows[0].replacement.get()
}

/// Lets one sector of a table block take no writes.
fn break_table(rig: &mut Rig, region: Region, number: u32, sector: u64) {
    let at = rig.layout().table_block(region, number).unwrap();
    rig.break_spare_at(Direction::Write, Sector::new(at.get() + sector), 1);
}

#[test]
fn a_table_block_that_takes_no_write_stops_neither_moves_nor_writes() {
    for region in Region::ALL {
        for (sector, used) in (0..8).flat_map(|sector| [(sector, false), (sector, true)]) {
            let case = format!("region {region:?}, sector {sector}, used {used}");
            let mut rig = Rig::new(BlockSize::B512, 520);
            rig.write(0, 20, 1).unwrap();
            if used {
                rig.message(&Message::Remap(MainBlock::new(9))).unwrap();
            }
            rig.events.clear();
            break_table(&mut rig, region, 0, sector);
            rig.break_main(Direction::Write, 2, 2);
            if sector == 0 && !used {
                // The header still says that nothing was ever put there, and nothing would be
                // looked for behind it.
                assert_eq!(rig.write(0, 5, 2), lost([2, 3]), "{case}");
                assert!(!rig.target.index.holds_writes, "{case}");
                rig.write(0, 2, 3).unwrap();
                rig.restart(Options::default()).unwrap();
                rig.expect(0, 2, 3);
                continue;
            }
            rig.write(0, 5, 2).unwrap();
            let told = rig.take_events();
            let fails = told.iter().filter(|event| **event == Event::SpareFails);
            assert_eq!(fails.count(), 1, "{case}: {told:?}");
            assert!(rig.status().spare_failing && !rig.target.index.holds_writes);
            let first = ENTRIES_PER_BLOCK;
            assert_eq!(replacement_of(&mut rig, 2), first, "{case}");
            rig.expect(0, 5, 2);
            rig.restart(Options::default()).unwrap();
            rig.expect(0, 5, 2);
            rig.expect(5, 15, 1);
            // Moves and writes go on, those of the blocks in question too.
            rig.break_main(Direction::Write, 12, 1);
            rig.write(0, 20, 3).unwrap();
            assert!(replacement_of(&mut rig, 12) >= first, "{case}");
            rig.expect(0, 20, 3);
            rig.restart(Options::default()).unwrap();
            rig.expect(0, 20, 3);
            // Repairs try it again; when it takes writes, it is used again.
            rig.pass(100);
            rig.pass(1000);
            rig.write(0, 1, 3).unwrap();
            assert!(!rig.target.index.holds_writes, "{case}");
            rig.heal_disks();
            rig.message(&Message::Repair).unwrap();
            assert!(!rig.status().spare_failing, "{case}");
            rig.break_main(Direction::Write, 15, 1);
            rig.write(15, 1, 4).unwrap();
            assert!(replacement_of(&mut rig, 15) < first, "{case}");
            rig.restart(Options::default()).unwrap();
            rig.expect(0, 15, 3);
            rig.expect(15, 1, 4);
            assert!(!rig.status().needs_check, "{case}");
        }
    }
}

#[test]
fn a_block_on_the_spare_whose_move_may_show_later_holds_writes_until_it_is_known() {
    for region in Region::ALL {
        let mut rig = Rig::new(BlockSize::B512, 520);
        rig.write(0, 8, 1).unwrap();
        rig.message(&Message::Remap(MainBlock::new(2))).unwrap();
        rig.break_replacements(Direction::Write, 0, 1);
        for number in 0..rig.layout().table_blocks() {
            // Not the header: what it says must not end the table.
            break_table(&mut rig, region, number, 5);
        }
        assert_eq!(rig.write(2, 1, 2), lost([2]));
        rig.expect(2, 1, 1);
        assert!(rig.target.index.holds_writes);
        // Its old replacement takes writes again, and would not be looked at after a restart.
        rig.heal_disks();
        for number in 0..rig.layout().table_blocks() {
            break_table(&mut rig, region, number, 5);
        }
        assert_eq!(rig.write(2, 1, 3), lost([2]));
        rig.write(3, 5, 3).unwrap();
        rig.heal_disks();
        rig.pass(100);
        rig.pass(1000);
        assert!(!rig.status().spare_failing);
        rig.write(2, 1, 4).unwrap();
        assert!(!rig.target.index.holds_writes);
        rig.expect(0, 2, 1);
        rig.restart(Options::default()).unwrap();
        rig.expect(2, 1, 4);
        rig.expect(3, 5, 3);
        assert!(!rig.status().needs_check);
    }
}

/// A region that neither takes a write nor can be kept from being believed says of a block what it
/// said before its last move; after a restart it may be the only one that can be read.
#[test]
fn what_one_region_alone_tells_of_is_moved_again_before_it_is_acknowledged() {
    for region in Region::ALL {
        for others_work in [false, true] {
            let case = format!("region {region:?}, others work {others_work}");
            let mut rig = Rig::new(BlockSize::B512, 520);
            rig.write(0, 8, 1).unwrap();
            rig.message(&Message::Remap(MainBlock::new(7))).unwrap();
            let tables = rig.layout().table_blocks();
            for number in 0..tables {
                break_table(&mut rig, region, number, 0);
            }
            rig.break_main(Direction::Write, 2, 1);
            assert_eq!(rig.write(2, 1, 2), lost([2]), "{case}");
            if others_work {
                rig.heal_disks();
                break_table(&mut rig, region, 0, 0);
            }
            rig.restart(Options::default()).unwrap();
            let acknowledged = rig.write(2, 1, 3).is_ok();
            assert!(acknowledged || !others_work, "{case}");
            rig.write(3, 5, 3).unwrap();
            for number in 0..tables {
                let at = rig.layout().table_block(region.other(), number).unwrap();
                rig.break_spare_at(Direction::Read, at, 8);
            }
            rig.restart(Options::default()).unwrap();
            if acknowledged {
                rig.expect(2, 1, 3);
            }
            rig.expect(0, 2, 1);
            rig.expect(3, 5, 3);
        }
    }
}

#[test]
fn a_lost_block_takes_another_replacement_where_its_own_cannot_be_recorded() {
    for region in Region::ALL {
        let mut rig = Rig::new(BlockSize::B512, 520);
        rig.write(0, 8, 1).unwrap();
        rig.break_main(Direction::Read, 2, 1);
        assert_eq!(rig.read_at(2, 1).1, lost([2]));
        assert_eq!(rig.status().pending.get(), 1);
        break_table(&mut rig, region, 0, 0);
        rig.write(2, 1, 2).unwrap();
        assert_eq!(replacement_of(&mut rig, 2), ENTRIES_PER_BLOCK);
        for _ in 0..2 {
            rig.expect(2, 1, 2);
            rig.restart(Options::default()).unwrap();
            assert!(!rig.status().needs_check);
        }
        rig.write(2, 1, 3).unwrap();
        rig.expect(2, 1, 3);
    }
}

#[test]
fn a_repair_mends_everything_but_the_table_block_that_takes_no_write() {
    let mut rig = Rig::new(BlockSize::B512, 520);
    for block in 0..300 {
        rig.message(&Message::Remap(MainBlock::new(block))).unwrap();
    }
    break_table(&mut rig, Region::A, 0, 3);
    rig.break_main(Direction::Write, 400, 1);
    rig.damage(Slot::S2.sector(), &[0x11; 512]);
    for number in 0..2 {
        let at = rig.layout().table_block(Region::A, number).unwrap();
        rig.damage(at, &[0x11; 512]);
    }
    assert!(rig.message(&Message::Repair).is_err());
    assert_eq!(rig.verdict(), Verdict::Healthy);
    // One of both blocks is damaged still.
    rig.take_events();
    rig.message(&Message::Scrub).unwrap();
    assert!(rig.take_events().contains(&Event::CorruptionDetected {
        copies: 0,
        table_blocks: 1
    }));
    rig.write(400, 1, 2).unwrap();
    rig.restart(Options::default()).unwrap();
    rig.expect(400, 1, 2);
    rig.heal_disks();
    rig.message(&Message::Repair).unwrap();
}

#[test]
fn a_replacement_that_an_unrecorded_entry_may_lead_to_is_not_given_to_another_block() {
    let mut rig = Rig::new(BlockSize::B512, 520);
    rig.write(0, 8, 1).unwrap();
    rig.break_main(Direction::Read, 2, 1);
    break_table(&mut rig, Region::A, 0, 5);
    assert_eq!(rig.read_at(2, 1).1, lost([2]));
    // Block 1 keeps the entry in one region, and block 2 is where reading ends for good.
    break_table(&mut rig, Region::B, 1, 5);
    break_table(&mut rig, Region::A, 2, 5);
    break_table(&mut rig, Region::B, 2, 5);
    assert_eq!(rig.write(2, 1, 2), lost([2]));
    rig.break_main(Direction::Write, 4, 1);
    let _ = rig.write(4, 1, 3);
    let _ = rig.message(&Message::Remap(MainBlock::new(5)));
    rig.main.faults().clear();
    rig.restart(Options::default()).unwrap();
    for (block, salts) in [(2, [1, 2]), (4, [1, 3]), (5, [1, 1])] {
        let (found, read) = rig.read_at(block, 1);
        let allowed = salts.map(|salt| rig.pattern(block, 1, salt));
        assert!(read.is_err() || allowed.contains(&found), "block {block}");
    }
}

/// A device of which region A holds a move of block 2 that region B does not, and whose header
/// there neither can be read nor takes a write.
fn with_a_hidden_move() -> Rig {
    let mut rig = Rig::new(BlockSize::B512, 520);
    rig.write(0, 8, 1).unwrap();
    let at = rig.layout().table_block(Region::B, 0).unwrap();
    let mut before = [0; BLOCK_4K_BYTES];
    rig.spare.read_at(at, &mut before).unwrap();
    rig.message(&Message::Remap(MainBlock::new(2))).unwrap();
    rig.damage(at, &before);
    break_table(&mut rig, Region::A, 0, 0);
    let at = rig.layout().table_block(Region::A, 0).unwrap();
    rig.break_spare_at(Direction::Read, at, 1);
    rig.restart(Options::default()).unwrap();
    rig
}

#[test]
fn nothing_is_written_while_a_region_that_cannot_be_read_may_undo_it() {
    let mut rig = with_a_hidden_move();
    for _ in 0..2 {
        assert_eq!(rig.write(1, 3, 2), lost([1, 2, 3]));
        assert!(rig.message(&Message::Remap(MainBlock::new(2))).is_err());
        assert!(rig.target.index.holds_writes && rig.status().spare_failing);
        rig.expect(0, 8, 1);
    }
    // Once it takes a write, the next write does it, or a repair.
    for repaired in [false, true] {
        let mut rig = with_a_hidden_move();
        assert_eq!(rig.write(2, 1, 2), lost([2]));
        rig.heal_disks();
        if repaired {
            rig.message(&Message::Repair).unwrap();
            rig.restart(Options::default()).unwrap();
            rig.expect(0, 8, 1);
            assert_eq!(rig.status().active.get(), 0);
        }
        rig.write(2, 1, 3).unwrap();
        assert!(!rig.target.index.holds_writes);
        rig.restart(Options::default()).unwrap();
        rig.expect(2, 1, 3);
    }
}

#[test]
fn a_region_that_was_only_laid_out_holds_no_writes() {
    let mut rig = Rig::new(BlockSize::B512, 520);
    rig.write(0, 8, 1).unwrap();
    let at = rig.layout().table_block(Region::B, 0).unwrap();
    break_table(&mut rig, Region::B, 0, 0);
    rig.break_spare_at(Direction::Read, at, 1);
    rig.restart(Options::default()).unwrap();
    rig.write(0, 8, 2).unwrap();
    assert!(!rig.target.index.holds_writes);
    rig.expect(0, 8, 2);
}

#[test]
fn the_first_update_of_a_block_goes_to_region_a() {
    let mut rig = Rig::new(BlockSize::B512, 520);
    rig.write(0, 8, 1).unwrap();
    // Region B is brought to region A first, and is the one that is worth less till then.
    let at = rig.layout().table_block(Region::B, 0).unwrap();
    rig.damage(at, &[0x11; 512]);
    rig.restart(Options::default()).unwrap();
    rig.write(0, 8, 2).unwrap();
    break_table(&mut rig, Region::A, 0, 0);
    assert!(rig.message(&Message::Remap(MainBlock::new(2))).is_err());
    let mut raw = [0; BLOCK_4K_BYTES];
    rig.spare.read_at(at, &mut raw).unwrap();
    let place = BlockPlace {
        array: SEED.array,
        region: Region::B,
        index: 0,
    };
    assert_eq!(check_block(&raw, &place), Ok(FIRST_GENERATION));
}
