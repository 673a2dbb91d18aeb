//! Writes of the copies that are refused, and the sequences that are written.

use dmremap::remap_core::commit::{prepare, Authority, Intent, Prepared, Refusal};
use dmremap::remap_core::quorum::{judge, Reading, Survey, Verdict};
use dmremap::remap_core::superblock::Superblock;
use dmremap::remap_core::units::{Blocks, PerSlot, Sectors, Sequence, Slot};

use crate::common::{
    checksummed, ext4_block, plain, read, read_block, ARRAY, OTHER_ARRAY, UNREADABLE,
};

fn all(superblock: &Superblock) -> Survey {
    Survey {
        slots: PerSlot::from_fn(|slot| read(superblock.encode(slot))),
        header: false,
    }
}

fn with(mut survey: Survey, slots: &[(Slot, Reading)]) -> Survey {
    for (slot, reading) in slots {
        *survey.slots.get_mut(*slot) = *reading;
    }
    survey
}

fn typed(survey: &Survey, intent: Intent<'_>) -> Result<Prepared, Refusal> {
    prepare(&judge(survey), survey, intent, Authority::Typed)
}

#[test]
fn only_plain_copies_are_migrated() {
    let migrated = checksummed(ARRAY, 0);
    let intent = Intent::Migrate(&migrated);
    let prepared = typed(&all(&plain(1, "/dev/sdb")), intent).unwrap();
    assert_eq!(prepared.sequence(), Sequence::new(2));
    for array in [ARRAY, OTHER_ARRAY] {
        let already = all(&checksummed(array, 7));
        assert_eq!(typed(&already, intent), Err(Refusal::Mismatch), "{array}");
    }
}

#[test]
fn content_of_another_array_or_of_another_format_is_no_update() {
    let survey = all(&checksummed(ARRAY, 7));
    for other in [checksummed(OTHER_ARRAY, 7), plain(7, "/dev/sdb")] {
        let refused = typed(&survey, Intent::Advance(&other));
        assert_eq!(refused, Err(Refusal::Mismatch));
    }
    let plain_copies = all(&plain(1, "/dev/sdb"));
    for new in [checksummed(ARRAY, 2), plain(2, "/dev/sdb")] {
        let refused = typed(&plain_copies, Intent::Advance(&new));
        assert_eq!(refused, Err(Refusal::Mismatch));
    }
    let created = plain(1, "/dev/sdb");
    let refused = typed(&survey, Intent::Create(&created));
    assert_eq!(refused, Err(Refusal::Mismatch));
}

#[test]
fn the_last_sequence_there_is_can_be_repaired_but_not_exceeded() {
    let last = checksummed(ARRAY, u64::MAX);
    let survey = with(all(&last), &[(Slot::S2, UNREADABLE)]);
    let healed = typed(&survey, Intent::Heal).unwrap();
    assert_eq!(healed.sequence(), Sequence::new(u64::MAX));
    assert_eq!(healed.slots().collect::<Vec<_>>(), [Slot::S2]);
    for intent in [Intent::Advance(&last), Intent::Create(&last)] {
        assert_eq!(typed(&survey, intent), Err(Refusal::SequenceExhausted));
    }
}

#[test]
fn a_rebuilt_superblock_exceeds_copies_that_may_come_back() {
    let survey = Survey {
        slots: PerSlot::new([UNREADABLE; Slot::COUNT]),
        header: true,
    };
    let recovered = checksummed(ARRAY, 41);
    let rebuilt = typed(&survey, Intent::Rebuild(&recovered)).unwrap();
    assert_eq!(rebuilt.sequence(), Sequence::new(42));
}

#[test]
fn features_that_allow_reading_only_are_not_written() {
    let mut future = checksummed(ARRAY, 7);
    future.extension.as_mut().unwrap().features.ro_compat = 0x40;
    let refused = Err(Refusal::Features { ro_compat: 0x40 });
    let degraded = with(all(&future), &[(Slot::S4, UNREADABLE)]);
    for intent in [Intent::Heal, Intent::Advance(&checksummed(ARRAY, 7))] {
        assert_eq!(typed(&degraded, intent), refused, "{intent:?}");
    }
    let weak = with(
        degraded,
        &[Slot::S1, Slot::S2, Slot::S3].map(|slot| (slot, UNREADABLE)),
    );
    assert_eq!(typed(&weak, Intent::Adopt(Slot::S0)), refused);
    let lost = Survey {
        slots: PerSlot::new([UNREADABLE; Slot::COUNT]),
        header: true,
    };
    assert_eq!(typed(&lost, Intent::Rebuild(&future)), refused);
    // Features that may be ignored stand in nobody's way, and survive.
    let mut compatible = checksummed(ARRAY, 7);
    compatible.extension.as_mut().unwrap().features.compat = 0x40;
    let survey = with(all(&compatible), &[(Slot::S4, UNREADABLE)]);
    let healed = typed(&survey, Intent::Heal).unwrap();
    let copy = compatible.encode(Slot::S4);
    assert_eq!(healed.final_copy(Slot::S4), Some(copy));
}

#[test]
fn content_that_would_not_be_believed_is_never_written() {
    let survey = all(&checksummed(ARRAY, 7));
    type Spoil = fn(&mut Superblock);
    let spoil: [(&str, Spoil); 5] = [
        ("no main", |s| s.main_sectors = Sectors::new(0)),
        ("no spare", |s| s.spare_sectors = Sectors::new(0)),
        ("a spare smaller than its layout", |s| {
            s.spare_sectors = Sectors::new(9000)
        }),
        ("no replacement area", |s| {
            let extension = s.extension.as_mut().unwrap();
            extension.layout.replacement_blocks = Blocks::new(0);
        }),
        ("features that nobody knows", |s| {
            s.extension.as_mut().unwrap().features.incompat = 1 << 31;
        }),
    ];
    for (what, spoil) in spoil {
        let mut content = checksummed(ARRAY, 7);
        spoil(&mut content);
        for intent in [Intent::Advance(&content), Intent::Create(&content)] {
            assert_eq!(typed(&survey, intent), Err(Refusal::Malformed), "{what}");
        }
    }
}

#[test]
fn only_a_believable_copy_of_this_array_can_be_adopted() {
    let at = |array, sequence, slot: Slot| read(checksummed(array, sequence).encode(slot));
    let outlier = Survey {
        slots: PerSlot::new([
            at(ARRAY, 9, Slot::S0),
            at(ARRAY, 6, Slot::S1),
            at(ARRAY, 6, Slot::S2),
            at(OTHER_ARRAY, 12, Slot::S3),
            read(plain(1, "/dev/sdb").encode(Slot::S4)),
        ]),
        header: false,
    };
    assert_eq!(judge(&outlier).verdict, Verdict::Outlier);
    for slot in [Slot::S0, Slot::S1, Slot::S2] {
        let adopted = typed(&outlier, Intent::Adopt(slot)).unwrap();
        assert_eq!(adopted.sequence(), Sequence::new(10));
    }
    for slot in [Slot::S3, Slot::S4] {
        let refused = typed(&outlier, Intent::Adopt(slot));
        assert_eq!(refused, Err(Refusal::NotBelievable(slot)));
    }
}

#[test]
fn a_foreign_signature_lifts_no_other_prohibition() {
    let over = |survey| with(survey, &[(Slot::S0, read_block(&ext4_block()))]);
    let seven = checksummed(ARRAY, 7);
    let mut twin = seven;
    twin.main_path = crate::common::text("/dev/sdz");
    let split = over(with(
        all(&seven),
        &[(Slot::S4, read(twin.encode(Slot::S4)))],
    ));
    let mut future = seven;
    future.extension.as_mut().unwrap().features.incompat = 1 << 31;
    let unsupported = over(with(
        all(&seven),
        &[(Slot::S4, read(future.encode(Slot::S4)))],
    ));
    let never = Refusal::Verdict {
        verdict: Verdict::Unsupported,
        needs: None,
    };
    for (survey, refusal) in [(split, Refusal::Mismatch), (unsupported, never)] {
        assert_eq!(judge(&survey).verdict, Verdict::ForeignOverwritten);
        for intent in [
            Intent::Heal,
            Intent::Advance(&seven),
            Intent::Adopt(Slot::S1),
        ] {
            assert_eq!(typed(&survey, intent), Err(refusal), "{intent:?}");
        }
    }
}
