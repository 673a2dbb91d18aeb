//! A device that version 0.1.0 made: it comes up with all its remaps, and goes on.

use super::rig::{lost, Rig, SEED};
use crate::lab::ram::RamDisk;
use crate::port::slots::survey;
use crate::port::BlockStore;
use crate::remap_core::layout::{Region, ENTRIES_PER_BLOCK};
use crate::remap_core::message::{Direction, Message};
use crate::remap_core::params::Options;
use crate::remap_core::quorum::{judge, Verdict};
use crate::remap_core::remap_table::{seal_block, BlockPlace, RawBlock};
use crate::remap_core::units::{
    BlockSize, Generation, IdentityDigest, Sector, Sectors, BLOCK_4K_BYTES,
};

const MAIN: &[u8] = include_bytes!("../../../../tests/fixtures/v0.1.0/main.sectors");
const SPARE: &[u8] = include_bytes!("../../../../tests/fixtures/v0.1.0/spare.sectors");

/// A disk of the sectors in a file, as `tests/fixtures/README.md` describes it.
fn disk(file: &[u8], identity: IdentityDigest) -> RamDisk {
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let (size, mut rest) = file.split_at(8);
    let mut disk = RamDisk::new(Sectors::new(number(size))).with_identity(identity);
    while !rest.is_empty() {
        let (head, behind) = rest.split_at(11);
        let length = usize::from(head[8]) | usize::from(head[9]) << 8;
        let (bytes, behind) = behind.split_at(length);
        let mut sector = [head[10]; 512];
        sector[..length].copy_from_slice(bytes);
        disk.write_at(Sector::new(number(&head[..8])), &sector)
            .unwrap();
        rest = behind;
    }
    disk
}

/// What it holds: block, count, and the salt of the pattern.
const WRITTEN: [(u64, u64, u8); 4] = [(0, 64, 1), (1000, 1, 4), (1001, 299, 2), (4998, 30, 3)];

#[test]
fn a_device_of_version_0_1_0_comes_up_with_all_its_remaps_and_goes_on() {
    let spare = disk(SPARE, IdentityDigest::NONE);
    let found = survey(&spare);
    let superblock = judge(&found).superblock(&found).unwrap();
    let extension = superblock.extension.unwrap();
    let main = disk(MAIN, extension.main_identity);
    let spare = spare.with_identity(extension.spare_identity);
    let mut rig = Rig::on(main, spare, Options::default()).unwrap();
    let status = rig.status();
    assert_eq!(status.verdict, Verdict::Healthy);
    let counts = (status.active.get(), status.pending.get(), status.used.get());
    assert_eq!(counts, (324, 5, 330));
    for (first, count, salt) in WRITTEN {
        rig.expect(first, count, salt);
    }
    rig.pass(100);
    assert_eq!(
        rig.status().corruption_detected,
        0,
        "a scrub finds it whole"
    );
    // The lost blocks are still to be moved by their next write.
    rig.break_main(Direction::Both, 7000, 5);
    assert_eq!(rig.read_at(7000, 5).1, lost(7000..7005));
    rig.write(7000, 5, 9).unwrap();
    rig.message(&Message::WriteMetadata).unwrap();
    rig.restart(Options::default()).unwrap();
    let status = rig.status();
    let counts = (status.active.get(), status.pending.get(), status.used.get());
    assert_eq!(counts, (329, 0, 330));
    rig.expect(7000, 5, 9);
    for (first, count, salt) in WRITTEN {
        rig.expect(first, count, salt);
    }
}

/// A repair of version 0.1.0 put a spare to the test with a block that nothing was ever put into.
#[test]
fn a_block_without_entries_behind_the_last_one_in_use_is_no_contradiction() {
    let mut rig = Rig::new(BlockSize::B512, 520);
    let layout = rig.layout();
    for number in [0, 2] {
        for region in Region::ALL {
            let mut raw: Box<RawBlock> = Box::new([0; BLOCK_4K_BYTES]);
            let place = BlockPlace {
                array: SEED.array,
                region,
                index: number,
            };
            seal_block(&mut raw, &place, Generation::new(7));
            rig.damage(layout.table_block(region, number).unwrap(), &raw[..]);
        }
    }
    for restarted in [false, true] {
        rig.message(&Message::Scrub).unwrap();
        assert!(!rig.status().needs_check);
        assert_eq!(rig.status().corruption_detected, 0);
        if !restarted {
            rig.restart(Options::default()).unwrap();
        }
    }
    // All of them come into use.
    let count = 2 * ENTRIES_PER_BLOCK + 8;
    rig.break_main(Direction::Write, 0, count);
    rig.write(0, count, 1).unwrap();
    assert_eq!(rig.status().active.get(), count);
    rig.restart(Options::default()).unwrap();
    assert_eq!(rig.status().active.get(), count);
    rig.expect(0, count, 1);
}
