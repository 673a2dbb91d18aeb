//! What is let through, and what is not.

use super::rig::{disks, lost, Rig, MAIN_SIZE};
use crate::lab::dm_target::{ActivateError, MessageError, Refused, RequestError};
use crate::lab::fault::FaultRange;
use crate::lab::ram::RamDisk;
use crate::port::BlockStore;
use crate::remap_core::engine::LoadError;
use crate::remap_core::event::Event;
use crate::remap_core::layout::Region;
use crate::remap_core::message::{Direction, Message};
use crate::remap_core::params::Options;
use crate::remap_core::policy::{Failure, PassUp};
use crate::remap_core::quorum::{Refusal, Verdict};
use crate::remap_core::status::Mode;
use crate::remap_core::units::{
    BlockSize, Errno, IdentityDigest, MainBlock, Sector, Sectors, Sequence, Slot,
};

#[test]
fn a_spare_without_metadata_gives_a_pass_through_that_remaps_nothing() {
    let (main, spare) = disks(BlockSize::B512, 64);
    let mut rig = Rig::on(main, spare, Options::default()).unwrap();
    assert_eq!(rig.status().mode, Mode::PassThrough);
    assert_eq!(rig.status().verdict, Verdict::None);
    assert_eq!(rig.target.due(), None);
    rig.write(0, 8, 1).unwrap();
    rig.break_main(Direction::Write, 3, 1);
    assert_eq!(rig.write(0, 8, 2), lost([3]));
    assert_eq!(
        rig.take_events().last(),
        Some(&Event::NotRelocated {
            block: MainBlock::new(3),
            why: PassUp::NoMetadata
        })
    );
    rig.expect(0, 3, 2);
    rig.expect(3, 1, 1);
    assert!(rig.spare.inner().written().next().is_none());

    rig.message(&Message::WriteMetadata).unwrap();
    assert_eq!(rig.status().mode, Mode::ReadWrite);
    assert_eq!(rig.verdict(), Verdict::Healthy);
    rig.write(0, 8, 3).unwrap();
    rig.expect(0, 8, 3);
    assert_eq!(rig.status().active.get(), 1);
    rig.restart(Options::default()).unwrap();
    rig.expect(0, 8, 3);
}

#[test]
fn requests_past_the_end_or_between_blocks_are_refused() {
    let mut rig = Rig::new(BlockSize::B1024, 64);
    let last = MAIN_SIZE.get() / 2 - 1;
    rig.write(last, 1, 1).unwrap();
    assert_eq!(rig.write(last, 2, 1), Err(RequestError::PastEnd));
    assert_eq!(rig.write(u64::MAX / 2, 1, 1), Err(RequestError::PastEnd));
    let misaligned = Err(RequestError::Misaligned {
        unit: BlockSize::B1024,
    });
    assert_eq!(rig.write_at(0, &[0; 512]), misaligned);
    assert_eq!(rig.read_at(last + 1, 1).1, Err(RequestError::PastEnd));
    assert_eq!(rig.read_at(last + 1, 0).1, Ok(()));
}

#[test]
fn a_read_only_device_writes_nothing_at_all() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    rig.write(0, 4, 1).unwrap();
    let read_only = Options {
        read_only: true,
        ..Options::default()
    };
    rig.restart(read_only).unwrap();
    rig.damage(Slot::S3.sector(), &[0xff; 512]);
    let before: Vec<u8> = contents(rig.spare.inner());
    assert_eq!(rig.status().mode, Mode::ReadOnly);
    assert_eq!(rig.write(0, 1, 2), Err(RequestError::ReadOnly));
    rig.break_main(Direction::Read, 1, 1);
    assert_eq!(rig.read_at(0, 4).1, lost([1]));
    rig.pass(10_000);
    rig.pass(10_000);
    let refused = rig.message(&Message::Repair);
    assert!(matches!(
        refused,
        Err(MessageError::Refused(Refused::ReadOnly { .. }))
    ));
    assert_eq!(rig.status().scrubs, 1);
    assert_eq!(rig.status().pending.get(), 0);
    assert_eq!(contents(rig.spare.inner()), before);
}

fn contents(disk: &RamDisk) -> Vec<u8> {
    disk.written()
        .flat_map(|(_, bytes)| bytes.to_vec())
        .collect()
}

#[test]
fn errors_that_are_not_of_blocks_pass_up_and_relocate_nothing() {
    for errno in [6, 19, 30, 52, 67, 108, 110, 22] {
        let mut rig = Rig::new(BlockSize::B512, 64);
        rig.main.faults().push(FaultRange {
            errno: Errno::new(errno),
            ..FaultRange::bad(Direction::Both, Sector::new(0), MAIN_SIZE)
        });
        for first in 0..40 {
            assert!(rig.write(first, 1 + first % 7, 1).is_err());
            assert!(rig.read_at(first, 3).1.is_err());
        }
        let status = rig.status();
        assert_eq!((status.used.get(), status.main_suspect), (0, false));
        let why = PassUp::NotOfBlocks(Failure::from_errno(Errno::new(errno)));
        assert!(rig.take_events().iter().all(|event| {
            matches!(event, Event::NotRelocated { why: told, .. } if *told == why)
        }));
    }
}

#[test]
fn a_main_that_fails_everywhere_stops_relocating() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    rig.break_main(Direction::Both, 0, MAIN_SIZE.get());
    // A request of sixteen blocks is enough to tell.
    assert_eq!(rig.write(100, 16, 1), lost(100..116));
    assert_eq!(rig.status().used.get(), 0);
    assert!(rig.status().main_suspect);
    assert_eq!(
        rig.take_events()
            .iter()
            .filter(|event| **event == Event::MainSuspect)
            .count(),
        1
    );
    for block in 0..64 {
        assert!(rig.write(block, 1, 1).is_err());
        assert!(rig.read_at(block, 1).1.is_err());
    }
    assert_eq!(rig.status().used.get(), 0);

    // It works again: so does relocating.
    rig.heal_disks();
    rig.write(500, 1, 2).unwrap();
    assert!(!rig.status().main_suspect);
    rig.break_main(Direction::Write, 7, 1);
    rig.write(0, 16, 3).unwrap();
    assert_eq!(rig.status().active.get(), 1);
}

#[test]
fn a_main_that_works_again_loses_no_write_to_a_bad_block() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    rig.break_main(Direction::Both, 0, MAIN_SIZE.get());
    assert!(rig.write(100, 1, 1).is_err());
    assert!(rig.status().main_suspect);
    rig.heal_disks();
    // The first that is heard of it is a block that it does not take.
    rig.break_main(Direction::Write, 500, 1);
    rig.write(500, 1, 2).unwrap();
    rig.expect(500, 1, 2);
    assert!(!rig.status().main_suspect);
    assert_eq!(rig.status().active.get(), 1);
}

#[test]
fn a_main_that_fails_block_by_block_costs_less_than_sixteen_replacements() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    rig.break_main(Direction::Both, 0, MAIN_SIZE.get());
    for block in 0..200 {
        let _ = rig.write(block, 1, 1);
    }
    let used = rig.status().used.get();
    assert!(used < 16, "{used}");
    let mut rig = Rig::new(BlockSize::B512, 64);
    rig.break_main(Direction::Both, 0, MAIN_SIZE.get());
    for block in 0..200 {
        assert!(rig.read_at(block, 1).1.is_err());
    }
    let used = rig.status().used.get();
    assert!(used < 16, "{used}");
}

#[test]
fn other_disks_than_the_metadata_says_are_refused() {
    let rig = Rig::new(BlockSize::B512, 64);
    let (main, spare) = disks(BlockSize::B512, 64);
    let mut joined = rig.spare;
    let joined = joined.inner().clone();
    let refused = |main: RamDisk, spare: RamDisk| Rig::on(main, spare, Options::default()).err();
    let other = IdentityDigest::new([9; 16]);

    assert_eq!(refused(main.clone(), joined.clone()), None);
    let copied_main = main.clone().with_identity(IdentityDigest::NONE);
    assert!(matches!(
        refused(copied_main, joined.clone()),
        Some(ActivateError::Identity { is, .. }) if is.is_none()
    ));
    for (main, spare) in [
        (main.clone().with_identity(other), joined.clone()),
        (main.clone(), joined.clone().with_identity(other)),
    ] {
        assert!(matches!(
            refused(main, spare),
            Some(ActivateError::Identity { is, .. }) if is == other
        ));
    }
    let larger = RamDisk::new(Sectors::new(MAIN_SIZE.get() + 1)).with_identity(main.identity());
    assert!(matches!(
        refused(larger, joined.clone()),
        Some(ActivateError::Load(LoadError::Size { .. }))
    ));
    let coarse = main.with_logical_block(BlockSize::B4096);
    assert!(matches!(
        refused(coarse.clone(), joined),
        Some(ActivateError::Unit { .. })
    ));
    // Without metadata the remap unit follows from the disks.
    let rig = Rig::on(coarse, spare, Options::default()).unwrap();
    assert_eq!(rig.target.block_size(), BlockSize::B4096);
}

#[test]
fn every_verdict_is_admitted_as_the_table_says() {
    let slots = |count: usize| Slot::ALL.into_iter().take(count);
    let read_only = Options {
        read_only: true,
        ..Options::default()
    };
    for damaged in 0..=5 {
        let mut rig = Rig::new(BlockSize::B512, 64);
        for slot in slots(damaged) {
            rig.damage(slot.sector(), &[0x5a; 512]);
        }
        let up = rig.restart(Options::default());
        let up_read_only = rig.restart(read_only);
        match damaged {
            0..=2 => assert_eq!((up, up_read_only), (Ok(()), Ok(()))),
            3 | 4 => {
                assert_eq!(
                    up,
                    Err(ActivateError::Load(LoadError::Copies(Refusal::Verdict(
                        Verdict::Weak
                    ))))
                );
                assert_eq!(up_read_only, Ok(()));
            }
            _ => {
                let lost = Err(ActivateError::Load(LoadError::Copies(Refusal::Verdict(
                    Verdict::Lost,
                ))));
                assert_eq!((up, up_read_only), (lost, lost));
            }
        }
    }
}

#[test]
fn a_spare_whose_copies_cannot_be_read_does_not_come_up_as_if_it_had_none() {
    for unreadable in 1..=5 {
        let mut rig = Rig::new(BlockSize::B512, 64);
        for (number, slot) in Slot::ALL.into_iter().enumerate() {
            match number < unreadable {
                true => rig.break_spare_at(Direction::Read, slot.sector(), 8),
                false => rig.damage(slot.sector(), &[0; 4096]),
            }
        }
        let layout = rig.layout();
        for region in Region::ALL {
            rig.damage(layout.region_start(region), &[0; 4096]);
        }
        let refused = Err(ActivateError::Load(LoadError::Copies(Refusal::Unreadable(
            unreadable,
        ))));
        for read_only in [false, true] {
            let options = Options {
                read_only,
                ..Options::default()
            };
            assert_eq!(rig.restart(options), refused, "{unreadable}");
        }
    }
}

#[test]
fn metadata_is_written_anew_at_the_next_sequence() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    assert_eq!(rig.status().sequence, Sequence::new(1));
    rig.damage(Slot::S0.sector(), &[0; 512]);
    rig.message(&Message::WriteMetadata).unwrap();
    assert_eq!(rig.status().sequence, Sequence::new(2));
    assert_eq!(rig.verdict(), Verdict::Healthy);
    assert_eq!(rig.backups.len(), 1);
    let kept = &rig.backups[0];
    assert_eq!(kept.len(), 5);

    // Every copy lost, the device still up: it knows what it is.
    for slot in Slot::ALL {
        rig.damage(slot.sector(), &[0; 512]);
    }
    rig.message(&Message::WriteMetadata).unwrap();
    assert_eq!(rig.verdict(), Verdict::Healthy);
    rig.restart(Options::default()).unwrap();
}
