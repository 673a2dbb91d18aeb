//! Scrubs and repairs: what they find, when they run, what they leave behind.

use super::rig::Rig;
use crate::format::backup::Content;
use crate::lab::dm_target::MessageError;
use crate::port::BlockStore;
use crate::remap_core::event::Event;
use crate::remap_core::layout::Region;
use crate::remap_core::message::{Direction, Message};
use crate::remap_core::params::Options;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::status::RepairStatus;
use crate::remap_core::units::{BlockSize, Sector, Sequence, Slot, Timestamp};

#[test]
fn the_first_scrub_comes_100_ms_after_activation_and_the_next_an_interval_later() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    assert_eq!(rig.status().next_scrub, Some(0));
    assert!(!rig.pass(99));
    assert!(rig.pass(1));
    assert_eq!(rig.take_events(), [Event::ScrubClean]);
    assert_eq!(rig.status().next_scrub, Some(3600));
    assert!(!rig.pass(3_599_999));
    assert!(rig.pass(1));
    assert_eq!((rig.status().scrubs, rig.status().last_scrub), (2, Some(0)));

    let options = Options {
        scrub_interval: 0,
        ..Options::default()
    };
    rig.restart(options).unwrap();
    assert_eq!(rig.target.due(), None);
    assert!(!rig.pass(100_000_000));
    rig.message(&Message::Scrub).unwrap();
    assert_eq!(rig.status().scrubs, 1);
    assert_eq!(rig.status().next_scrub, None);
}

/// Something to damage on the spare, and how many copies and table blocks that is.
fn damages(rig: &Rig) -> Vec<(&'static str, Vec<Sector>, u8, u32)> {
    let layout = rig.layout();
    let header = |region| layout.region_start(region);
    let table = |region| layout.table_block(region, 0).unwrap();
    vec![
        ("copy 0", vec![Slot::S0.sector()], 1, 0),
        (
            "copies 1, 4",
            vec![Slot::S1.sector(), Slot::S4.sector()],
            2,
            0,
        ),
        ("header A", vec![header(Region::A)], 0, 1),
        ("header B", vec![header(Region::B)], 0, 1),
        ("both headers", Region::ALL.map(header).to_vec(), 0, 2),
        ("table A", vec![table(Region::A)], 0, 1),
        ("table B", vec![table(Region::B)], 0, 1),
        ("both tables", Region::ALL.map(table).to_vec(), 0, 2),
        (
            "copy 2, header A, table B",
            vec![Slot::S2.sector(), header(Region::A), table(Region::B)],
            1,
            2,
        ),
    ]
}

#[test]
fn what_a_scrub_finds_is_repaired_a_second_later_with_a_backup() {
    let cases = damages(&Rig::new(BlockSize::B512, 64)).len();
    for case in 0..cases {
        let mut rig = Rig::new(BlockSize::B512, 64);
        rig.break_main(Direction::Write, 7, 1);
        rig.write(0, 16, 1).unwrap();
        rig.pass(100);
        rig.events.clear();
        let (what, places, copies, table_blocks) = damages(&rig).swap_remove(case);
        let original = rig.spare.inner().clone();
        for at in &places {
            rig.damage(*at, &[0xa5; 512]);
        }
        rig.message(&Message::Scrub).unwrap();
        assert_eq!(
            rig.take_events(),
            [
                Event::CorruptionDetected {
                    copies,
                    table_blocks
                },
                Event::RepairScheduled {
                    attempt: 1,
                    in_millis: 1000
                }
            ],
            "{what}"
        );
        let status = rig.status();
        assert_eq!(
            (status.corruption_detected, status.repairs_completed),
            (1, 0)
        );
        assert!(!rig.pass(999), "{what}");
        assert!(rig.pass(1), "{what}");
        assert_eq!(rig.take_events(), [Event::RepairCompleted], "{what}");
        let status = rig.status();
        assert_eq!((status.repairs_completed, status.repair_attempts), (1, 1));
        assert_eq!(status.verdict, Verdict::Healthy);
        assert_eq!(
            (status.sequence, status.last_repair),
            (Sequence::new(1), Some(0))
        );

        // What was overwritten was kept, the damage included.
        let kept: Vec<_> = rig.backups.iter().flatten().collect();
        for at in &places {
            let saved = kept.iter().find(|range| range.at == *at).unwrap();
            match &saved.content {
                Content::Raw(bytes) => assert_eq!(&bytes[..512], [0xa5; 512]),
                Content::Zeros(_) => panic!("{what}: zeros were kept"),
            }
        }
        // Copies are what they were, byte for byte; the table may be a generation on.
        for slot in Slot::ALL {
            let mut bytes = [[0; 512]; 2];
            original.read_at(slot.sector(), &mut bytes[0]).unwrap();
            rig.spare.read_at(slot.sector(), &mut bytes[1]).unwrap();
            assert_eq!(bytes[0], bytes[1], "{what}");
        }
        rig.restart(Options::default()).unwrap();
        rig.expect(0, 16, 1);
        rig.message(&Message::Scrub).unwrap();
        assert_eq!(rig.take_events().last(), Some(&Event::ScrubClean), "{what}");
    }
}

#[test]
fn a_repair_that_fails_is_tried_after_1_2_3_3_3_seconds_and_then_given_up() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    rig.pass(100);
    rig.damage(Slot::S1.sector(), &[1; 512]);
    rig.break_spare_at(Direction::Write, Slot::S1.sector(), 1);
    rig.message(&Message::Scrub).unwrap();
    rig.events.clear();
    let mut waits = Vec::new();
    while let RepairStatus::Waiting { attempt, in_millis } = rig.status().repair {
        waits.push((attempt, in_millis));
        assert!(!rig.pass(in_millis - 1));
        assert!(rig.pass(1));
    }
    assert_eq!(
        waits,
        [(1, 1000), (2, 2000), (3, 3000), (4, 3000), (5, 3000)]
    );
    assert_eq!(rig.status().repair, RepairStatus::GaveUp);
    assert_eq!(rig.status().repair_attempts, 5);
    let events = rig.take_events();
    let failed = |event: &&Event| matches!(event, Event::RepairFailed { .. });
    assert_eq!(events.iter().filter(failed).count(), 5);
    assert_eq!(events.last(), Some(&Event::RepairGaveUp));

    // The next scrub starts anew, and a person may try at any time.
    rig.spare.faults().clear();
    rig.message(&Message::Scrub).unwrap();
    assert!(matches!(
        rig.status().repair,
        RepairStatus::Waiting { attempt: 1, .. }
    ));
    rig.message(&Message::Repair).unwrap();
    assert_eq!(rig.status().repair, RepairStatus::Idle);
    assert_eq!(rig.verdict(), Verdict::Healthy);
}

#[test]
fn nothing_is_overwritten_that_could_not_be_kept() {
    let mut rig = Rig::new(BlockSize::B512, 520);
    rig.break_main(Direction::Write, 5, 1);
    rig.write(5, 1, 1).unwrap();
    let layout = rig.layout();
    // A copy, a header, a table block in use and one into which nothing was ever put.
    let places = [
        Slot::S1.sector(),
        layout.region_start(Region::A),
        layout.table_block(Region::B, 0).unwrap(),
        layout.table_block(Region::A, 1).unwrap(),
    ];
    for at in places {
        rig.damage(at, &[1; 512]);
        rig.backups_fail = true;
        rig.message(&Message::Scrub).unwrap();
        let refused = rig.message(&Message::Repair);
        assert!(matches!(refused, Err(MessageError::NotKept(_))), "{at}");
        assert!(rig.message(&Message::WriteMetadata).is_err());
        let mut there = [0; 512];
        rig.spare.read_at(at, &mut there).unwrap();
        assert_eq!(there, [1; 512], "{at}");
        rig.backups_fail = false;
        rig.message(&Message::Repair).unwrap();
        assert_eq!(rig.verdict(), Verdict::Healthy);
    }
}

#[test]
fn what_needs_a_person_is_not_repaired_without_one() {
    for (damaged, verdict) in [(3, Verdict::Weak), (4, Verdict::Weak), (5, Verdict::Lost)] {
        let mut rig = Rig::new(BlockSize::B512, 64);
        for slot in Slot::ALL.into_iter().take(damaged) {
            rig.damage(slot.sector(), &[7; 512]);
        }
        rig.pass(100);
        assert_eq!(rig.status().verdict, verdict);
        assert_eq!(rig.status().corruption_detected, 1);
        assert_eq!(rig.status().repair, RepairStatus::Idle);
        rig.pass(60_000);
        assert_eq!(rig.verdict(), verdict);
        rig.message(&Message::Repair).unwrap();
        assert_eq!(rig.verdict(), Verdict::Healthy, "{verdict}");
        assert_eq!(rig.status().repairs_completed, 1);
    }
}

#[test]
fn a_table_that_another_wrote_stops_the_device() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    rig.write(0, 16, 1).unwrap();
    rig.break_main(Direction::Write, 9, 1);
    rig.write(9, 1, 2).unwrap();
    // The same array, three remaps on: intact, newer, and not what this target wrote.
    let mut other = Rig::new(BlockSize::B512, 64);
    for block in [1, 2, 3] {
        other.break_main(Direction::Write, block, 1);
        other.write(block, 1, 1).unwrap();
    }
    let at = rig.layout().table_block(Region::A, 0).unwrap();
    let mut newer = [0; 4096];
    other.spare.read_at(at, &mut newer).unwrap();
    rig.damage(at, &newer);
    rig.events.clear();
    rig.message(&Message::Scrub).unwrap();
    assert!(rig.status().needs_check);
    assert!(rig.take_events().contains(&Event::NeedsCheck));
    assert!(rig.write(0, 1, 3).is_err());
    rig.expect(0, 9, 1);
    rig.expect(9, 1, 2);
}

#[test]
fn an_interrupted_write_of_the_copies_is_rolled_forward() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    let mut old = [0; 512];
    rig.spare.read_at(Slot::S3.sector(), &mut old).unwrap();
    rig.message(&Message::WriteMetadata).unwrap();
    rig.damage(Slot::S3.sector(), &old);
    assert_eq!(rig.verdict(), Verdict::Interrupted);
    rig.restart(Options::default()).unwrap();
    rig.pass(100);
    rig.pass(1000);
    assert_eq!(rig.verdict(), Verdict::Healthy);
    assert_eq!(rig.status().sequence, Sequence::new(2));
}

#[test]
fn counters_are_cleared_on_request_and_nothing_else_is() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    rig.break_main(Direction::Write, 1, 1);
    rig.write(1, 1, 1).unwrap();
    rig.pass(100);
    rig.message(&Message::ClearStats).unwrap();
    let status = rig.status();
    assert_eq!((status.write_errors, status.scrubs), (0, 0));
    assert_eq!((status.active.get(), status.used.get()), (1, 1));
    assert!(status.next_scrub.is_some());
}

#[test]
fn a_write_of_the_copies_that_failed_never_meets_another_of_its_sequence() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    // Three slots take what is written and cannot be read, so that the write fails and
    // what it left is not seen.
    for slot in [Slot::S2, Slot::S3, Slot::S4] {
        rig.break_spare_at(Direction::Read, slot.sector(), 1);
    }
    for slot in [Slot::S0, Slot::S1] {
        rig.break_spare_at(Direction::Write, slot.sector(), 1);
    }
    for _ in 0..3 {
        assert!(rig.message(&Message::WriteMetadata).is_err());
        rig.now.stamp = Timestamp::new(rig.now.stamp.get() + 1);
    }
    // One of them held on to what the first attempt left.
    rig.spare
        .faults()
        .retain(|fault| fault.direction == Direction::Read);
    rig.spare.faults().remove(0);
    rig.break_spare_at(Direction::Write, Slot::S2.sector(), 1);
    rig.message(&Message::WriteMetadata).unwrap_err();
    rig.heal_disks();
    assert_ne!(rig.verdict(), Verdict::Split);
    rig.message(&Message::Repair).unwrap();
    assert_eq!(rig.verdict(), Verdict::Healthy);
}

/// The one copy of a later sequence is damaged and healed with the one before: nothing is left of
/// the later one, and the next write must not pass it over.
#[test]
fn a_sequence_of_which_no_copy_is_left_is_written_again() {
    let mut rig = Rig::new(BlockSize::B512, 64);
    let only_the_first_is_written = |rig: &mut Rig| {
        for slot in &Slot::ALL[..4] {
            rig.break_spare_at(Direction::Write, slot.sector(), 1);
        }
        assert!(rig.message(&Message::WriteMetadata).is_err());
        rig.heal_disks();
        rig.restart(Options::default()).unwrap();
        assert_eq!(rig.status().verdict, Verdict::Interrupted);
    };
    only_the_first_is_written(&mut rig);
    rig.damage(Slot::S4.sector(), &[0x5a; 512]);
    rig.message(&Message::Repair).unwrap();
    assert_eq!(rig.status().verdict, Verdict::Healthy);
    only_the_first_is_written(&mut rig);
}
