//! What others wrote: another layout, a later version, file systems and partitions.

use dmremap::remap_core::quorum::{judge, CopyState, Foreign, Reading, Survey, Verdict};
use dmremap::remap_core::signature::Signature;
use dmremap::remap_core::superblock::{RawCopy, Unsupported, COPY_BYTES};
use dmremap::remap_core::units::{PerSlot, Sector, Slot, BLOCK_4K_BYTES, SECTOR_BYTES};

use crate::common::{
    checksummed, ext4_block, fixture, plain, read, read_block, survey, Noise, ARRAY,
};
use crate::{castagnoli, letters, pattern};

/// What an older kernel module leaves: its own layout under our magic, at sectors 0,
/// 256, 512, 768 and 1024, over whatever was there.
fn written_by_reference_kernel(slots: [Reading; Slot::COUNT]) -> Survey {
    let metadata = fixture("other/reference-kernel-84288.bin");
    let mut spare = vec![0; 2048 * SECTOR_BYTES];
    for sector in [0, 256, 512, 768, 1024] {
        let at = Sector::new(sector).byte_offset().unwrap() as usize;
        spare[at..at + metadata.len()].copy_from_slice(&metadata);
    }
    let read_slot = |slot: Slot| {
        let at = slot.sector().byte_offset().unwrap() as usize;
        read_block(spare[at..at + BLOCK_4K_BYTES].first_chunk().unwrap())
    };
    let [_, _, s2, s3, s4] = slots;
    survey(
        [read_slot(Slot::S0), read_slot(Slot::S1), s2, s3, s4],
        false,
    )
}

#[test]
fn another_layout_under_our_magic_is_unsupported_whatever_lies_beside_it() {
    let unsupported = CopyState::Unsupported(Unsupported::OtherLayout {
        structure_size: 84_288,
    });
    for letters in [
        "-----", "?????", "XX-xx", "AAAAA", "AAABB", "NNNNN", "HHHNN",
    ] {
        let beside = pattern(letters);
        let survey = written_by_reference_kernel(Slot::ALL.map(|slot| *beside.slots.get(slot)));
        let judgement = judge(&survey);
        assert_eq!(judgement.verdict, Verdict::Unsupported, "beside {letters}");
        assert_eq!(judgement.states.get(Slot::S0), &unsupported, "{letters}");
        assert_eq!(judgement.states.get(Slot::S1), &unsupported, "{letters}");
    }
}

#[test]
fn features_and_versions_from_the_future_are_never_outvoted() {
    let later = |slot: Slot, at: usize, value: u8| {
        let mut raw = checksummed(ARRAY, 3).encode(slot);
        raw[at] = value;
        let checksum = castagnoli(&raw);
        raw[24..28].copy_from_slice(&checksum.to_le_bytes());
        raw
    };
    let cases: [(usize, u8, Unsupported); 3] = [
        (4, 5, Unsupported::Version { stored: 5 }),
        (404, 2, Unsupported::ExtensionVersion { stored: 2 }),
        (419, 0x80, Unsupported::Features { incompat: 1 << 31 }),
    ];
    for (at, value, why) in cases {
        for alone in Slot::ALL {
            let slots = PerSlot::from_fn(|slot| match slot == alone {
                true => read(later(slot, at, value)),
                false => read(checksummed(ARRAY, 9).encode(slot)),
            });
            let judgement = judge(&Survey {
                slots,
                header: false,
            });
            assert_eq!(judgement.verdict, Verdict::Unsupported, "{why} in {alone}");
            assert_eq!(*judgement.states.get(alone), CopyState::Unsupported(why));
        }
    }
    // Without a checksum it may be damage as well, and has one vote as damage has.
    let mut raw = plain(1, "/dev/sdb").encode(Slot::S2);
    raw[4] = 6;
    let mut survey = pattern("AAAAA");
    *survey.slots.get_mut(Slot::S2) = read(raw);
    assert_eq!(judge(&survey).verdict, Verdict::Degraded);
    assert_eq!(letters(&judge(&survey)), "PPUPP");
}

#[test]
fn a_partition_table_written_into_slot_0_is_seen_beside_what_is_left_of_the_copy() {
    // Partitioning tools keep the first 440 bytes of the sector: they may be boot code.
    let partitioned = |raw: RawCopy| {
        let mut block = [0; BLOCK_4K_BYTES];
        block[..440].copy_from_slice(&raw[..440]);
        block[440..444].copy_from_slice(&[0x1d, 0x5c, 0x3e, 0x77]);
        block[446..462]
            .copy_from_slice(&[0, 0, 2, 0, 0xee, 255, 255, 255, 1, 0, 0, 0, 255, 255, 15, 0]);
        block[510..512].copy_from_slice(&[0x55, 0xaa]);
        block
    };
    let gpt = |raw: RawCopy| {
        let mut block = partitioned(raw);
        block[512..520].copy_from_slice(b"EFI PART");
        block
    };
    let cases = [
        (checksummed(ARRAY, 9).encode(Slot::S0), "HHHHH"),
        (plain(1, "/dev/sdb").encode(Slot::S0), "AAAAA"),
        (plain(1, "/dev/sdb").encode(Slot::S0), "A----"),
    ];
    for (raw, letters) in cases {
        let tables = [
            (partitioned(raw), Signature::BootSector),
            (gpt(raw), Signature::Gpt),
        ];
        for (block, signature) in tables {
            let mut survey = pattern(letters);
            *survey.slots.get_mut(Slot::S0) = read_block(&block);
            let judgement = judge(&survey);
            assert_eq!(judgement.verdict, Verdict::ForeignOverwritten, "{letters}");
            assert_eq!(
                *judgement.states.get(Slot::S0),
                CopyState::Foreign(Foreign::Signature(signature)),
                "{letters}"
            );
        }
    }
}

#[test]
fn what_an_old_file_system_left_behind_an_intact_copy_overwrites_nothing() {
    for (letters, verdict) in [("HHHHH", Verdict::Healthy), ("AAAAA", Verdict::Healthy)] {
        let mut survey = pattern(letters);
        let Reading::Read { raw, .. } = *survey.slots.get(Slot::S0) else {
            panic!("{letters}");
        };
        let mut block = ext4_block();
        block[..COPY_BYTES].copy_from_slice(&raw);
        *survey.slots.get_mut(Slot::S0) = read_block(&block);
        assert_eq!(judge(&survey).verdict, verdict, "{letters}");
    }
}

#[test]
fn devices_of_others_are_none_of_ours() {
    for seed in 0..2000 {
        let mut noise = Noise::new(seed);
        let slots = [(); Slot::COUNT].map(|()| {
            let mut block = [0; BLOCK_4K_BYTES];
            noise.fill(&mut block);
            read_block(&block)
        });
        let judgement = judge(&survey(slots, false));
        assert_eq!(judgement.verdict, Verdict::None, "seed {seed}");
        assert_eq!((judgement.winner, judgement.highest), (None, None));
    }
    // A file system: its superblock in slot 0, its data or nothing in the others.
    let mut noise = Noise::new(1);
    let mut data = [0; BLOCK_4K_BYTES];
    noise.fill(&mut data);
    let slots = [ext4_block(), data, [0; BLOCK_4K_BYTES], data, data].map(|b| read_block(&b));
    let judgement = judge(&survey(slots, false));
    assert_eq!(judgement.verdict, Verdict::None);
    assert_eq!(letters(&judgement), "FX-XX");
}
