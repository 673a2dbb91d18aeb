//! Copies of the superblock, read and written twice.

use std::sync::OnceLock;

use dmremap::format::superblock::{self as declared, SuperblockCopy, Tail};
use dmremap::remap_core::bytes::Text;
use dmremap::remap_core::layout::Layout;
use dmremap::remap_core::superblock::{
    self as rules, read_copy, readdress, Content, Extension, Features, Flaw, RawCopy, Superblock,
    TextField, Unsupported,
};
use dmremap::remap_core::units::{
    ArrayUuid, BlockSize, Blocks, IdentityDigest, Sector, Sectors, Sequence, Slot, Timestamp,
};
use proptest::prelude::*;

use crate::layout::fits;
use crate::sample;

/// What the declared fields say, in the rules' words; `None` where a number has none.
pub fn superblock_of(copy: &SuperblockCopy) -> Option<Superblock> {
    let common = &copy.common;
    let extension = match &copy.tail {
        Tail::Padding(_) => None,
        Tail::Extension(extension) => Some(Extension {
            features: Features {
                compat: extension.compat,
                ro_compat: extension.ro_compat,
                incompat: extension.incompat,
            },
            array_uuid: ArrayUuid::new(extension.array_uuid),
            main_epoch: common.main_epoch,
            main_identity: IdentityDigest::new(extension.main_identity),
            spare_identity: IdentityDigest::new(extension.spare_identity),
            needs_check: extension.needs_check != 0,
            layout: layout_of(extension)?,
        }),
    };
    Some(Superblock {
        sequence: Sequence::new(common.sequence),
        timestamp: Timestamp::new(common.timestamp),
        main_uuid: Text::from_field(common.main_uuid),
        spare_uuid: Text::from_field(common.spare_uuid),
        main_sectors: Sectors::new(common.main_sectors),
        spare_sectors: Sectors::new(common.spare_sectors),
        sector_size: BlockSize::from_bytes(common.sector_size)?,
        entry_size: common.entry_size,
        capacity: common.capacity,
        main_path: Text::from_field(common.main_path),
        spare_path: Text::from_field(common.spare_path),
        extension,
    })
}

fn layout_of(extension: &declared::Extension) -> Option<Layout> {
    Some(Layout {
        block_size: BlockSize::from_bytes(extension.unit_size)?,
        region_blocks: extension.region_blocks,
        region_a: Sector::new(extension.region_a),
        region_b: Sector::new(extension.region_b),
        replacement: Sector::new(extension.replacement_start),
        replacement_blocks: Blocks::new(extension.replacement_blocks),
    })
}

/// The declared fields of a superblock in a slot, with the checksum that belongs there.
fn declared_copy(superblock: &Superblock, slot: Slot) -> SuperblockCopy {
    let tail = match &superblock.extension {
        None => Tail::Padding(declared::Padding { padding: [0; 112] }),
        Some(extension) => Tail::Extension(declared::Extension {
            extension_magic: declared::EXTENSION_MAGIC,
            extension_version: declared::EXTENSION_VERSION,
            extension_length: 112,
            compat: extension.features.compat,
            ro_compat: extension.features.ro_compat,
            incompat: extension.features.incompat,
            array_uuid: *extension.array_uuid.bytes(),
            main_identity: *extension.main_identity.bytes(),
            spare_identity: *extension.spare_identity.bytes(),
            unit_size: extension.layout.block_size.bytes(),
            needs_check: extension.needs_check.into(),
            region_blocks: extension.layout.region_blocks,
            region_a: extension.layout.region_a.get(),
            region_b: extension.layout.region_b.get(),
            replacement_start: extension.layout.replacement.get(),
            replacement_blocks: extension.layout.replacement_blocks.get(),
        }),
    };
    let copy = SuperblockCopy {
        common: declared::Common {
            magic: declared::MAGIC,
            version: declared::VERSION,
            sequence: superblock.sequence.get(),
            timestamp: superblock.timestamp.get(),
            checksum: 0,
            copy_index: slot.index(),
            structure_size: match superblock.extension {
                None => declared::PLAIN_STRUCTURE_SIZE,
                Some(_) => 512,
            },
            main_epoch: superblock
                .extension
                .map_or(0, |extension| extension.main_epoch),
            main_uuid: *superblock.main_uuid.field(),
            spare_uuid: *superblock.spare_uuid.field(),
            main_sectors: superblock.main_sectors.get(),
            spare_sectors: superblock.spare_sectors.get(),
            sector_size: superblock.sector_size.bytes(),
            entry_size: superblock.entry_size,
            capacity: superblock.capacity,
            reserved_142: [0; 2],
            main_path: *superblock.main_path.field(),
            spare_path: *superblock.spare_path.field(),
        },
        tail,
    };
    copy.sealed()
}

/// A reason against believing a copy.
#[derive(Debug, PartialEq, Eq)]
enum Reason {
    Blank,
    NotOurs,
    Flaw(Flaw),
    /// Whichever of the layout's conditions fails.
    Layout,
    Unsupported(Unsupported),
}

/// Every reason against believing these bytes in this slot.
fn reasons(raw: &RawCopy, slot: Slot) -> Vec<Reason> {
    let copy = SuperblockCopy::fields_of(raw);
    let common = &copy.common;
    if *raw == [0; 512] {
        return vec![Reason::Blank];
    }
    let extended = matches!(copy.tail, Tail::Extension(_));
    if common.magic != declared::MAGIC && !extended {
        return vec![Reason::NotOurs];
    }
    let mut found = Vec::new();
    let mut against = |holds: bool, reason: Reason| {
        if holds {
            found.push(reason);
        }
    };
    against(
        common.magic != declared::MAGIC,
        Reason::Flaw(Flaw::Magic {
            stored: common.magic,
        }),
    );
    against(
        common.version != declared::VERSION,
        Reason::Unsupported(Unsupported::Version {
            stored: common.version,
        }),
    );
    let computed = declared::checksum(raw);
    let due = if extended { computed } else { 0 };
    against(
        common.checksum != due,
        Reason::Flaw(Flaw::Checksum {
            stored: common.checksum,
            computed,
        }),
    );
    against(
        common.copy_index != slot.index(),
        Reason::Flaw(Flaw::CopyIndex {
            stored: common.copy_index,
        }),
    );
    let structure_size = common.structure_size;
    against(
        structure_size != if extended { 512 } else { 2048 },
        Reason::Flaw(Flaw::StructureSize {
            stored: structure_size,
        }),
    );
    against(
        !matches!(common.sector_size, 512 | 1024 | 2048 | 4096),
        Reason::Flaw(Flaw::SectorSize {
            stored: common.sector_size,
        }),
    );
    against(
        common.main_sectors == 0 || common.spare_sectors == 0,
        Reason::Flaw(Flaw::NoSectors),
    );
    match &copy.tail {
        Tail::Extension(extension) => found.extend(reasons_in_extension(extension, common)),
        Tail::Padding(declared::Padding { padding }) => {
            against(
                structure_size == 84288,
                Reason::Unsupported(Unsupported::OtherLayout { structure_size }),
            );
            against(*padding != [0; 112], Reason::Flaw(Flaw::Padding));
            let fills_its_field = !matches!(common.main_path[127], 0 | b' ');
            against(
                fills_its_field && common.spare_path[0] != b'/',
                Reason::Flaw(Flaw::Overrun),
            );
            let texts = [
                (&common.main_uuid[..], TextField::MainUuid),
                (&common.spare_uuid, TextField::SpareUuid),
                (&common.main_path, TextField::MainPath),
                (&common.spare_path, TextField::SparePath),
            ];
            for (bytes, field) in texts {
                against(!is_written_text(bytes), Reason::Flaw(Flaw::Text(field)));
            }
        }
    }
    found
}

fn reasons_in_extension(extension: &declared::Extension, common: &declared::Common) -> Vec<Reason> {
    let mut found = Vec::new();
    if extension.extension_version != 1 {
        found.push(Reason::Unsupported(Unsupported::ExtensionVersion {
            stored: extension.extension_version,
        }));
    }
    if extension.incompat & !3 != 0 {
        found.push(Reason::Unsupported(Unsupported::Features {
            incompat: extension.incompat & !3,
        }));
    }
    // A main with labels has a MiB at each end and something between.
    let room = common.main_sectors / 8 * 8 >= 2 * 2048 + 8;
    if extension.incompat & 3 == 3 || extension.incompat & 3 != 0 && !room {
        found.push(Reason::Flaw(Flaw::MainForm));
    }
    if extension.extension_length != 112 {
        found.push(Reason::Flaw(Flaw::ExtensionLength {
            stored: extension.extension_length,
        }));
    }
    match layout_of(extension) {
        None => found.push(Reason::Flaw(Flaw::UnitSize {
            stored: extension.unit_size,
        })),
        Some(layout) if fits(&layout, Sectors::new(common.spare_sectors)) => {}
        Some(_) => found.push(Reason::Layout),
    }
    found
}

/// Text, then padding: no control bytes, nothing but NULs and spaces behind a NUL.
fn is_written_text(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| *byte == 0);
    let (text, padding) = bytes.split_at(end.unwrap_or(bytes.len()));
    text.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f)
        && padding.iter().all(|byte| matches!(byte, 0 | b' '))
}

/// The rules' answer, held against the oracle's.
fn agree(raw: &RawCopy, slot: Slot) {
    let reasons = reasons(raw, slot);
    let copy = SuperblockCopy::fields_of(raw);
    let reported = match read_copy(raw, slot) {
        Content::Checksummed(superblock) => {
            assert!(matches!(copy.tail, Tail::Extension(_)));
            assert_eq!(superblock_of(&copy), Some(superblock));
            None
        }
        Content::Plain(superblock) => {
            assert!(matches!(copy.tail, Tail::Padding(_)));
            assert_eq!(superblock_of(&copy), Some(superblock));
            None
        }
        Content::Blank => Some(Reason::Blank),
        Content::NotOurs => Some(Reason::NotOurs),
        Content::Flawed(Flaw::Layout(_)) => Some(Reason::Layout),
        Content::Flawed(flaw) => Some(Reason::Flaw(flaw)),
        Content::Unsupported { why, proven } => {
            let other_layout = matches!(why, Unsupported::OtherLayout { .. });
            assert_eq!(
                proven,
                other_layout || matches!(copy.tail, Tail::Extension(_))
            );
            Some(Reason::Unsupported(why))
        }
    };
    match &reported {
        None => {
            assert_eq!(reasons, [], "the rules take {raw:02x?}");
            assert_eq!(SuperblockCopy::decode(raw), Ok(copy));
        }
        Some(reason) => assert!(reasons.contains(reason), "{reason:?}, not in {reasons:?}"),
    }
    let form = reasons.iter().any(is_of_form);
    assert_eq!(SuperblockCopy::decode(raw).is_err(), form, "{reasons:?}");
    assert_eq!(copy.encode(), *raw);
    assert_eq!(copy.common.checksum, rules::stored_checksum(raw));
    assert_eq!(declared::checksum(raw), rules::computed_checksum(raw));
}

/// Whether a reason concerns the form, which the declaration's `decode` looks at, and
/// not the slot or what the numbers and texts mean.
fn is_of_form(reason: &Reason) -> bool {
    match reason {
        Reason::Blank | Reason::NotOurs => true,
        Reason::Layout => false,
        Reason::Unsupported(why) => !matches!(why, Unsupported::Features { .. }),
        Reason::Flaw(flaw) => matches!(
            flaw,
            Flaw::Magic { .. }
                | Flaw::Checksum { .. }
                | Flaw::StructureSize { .. }
                | Flaw::ExtensionLength { .. }
                | Flaw::Padding
        ),
    }
}

fn sealed(raw: &RawCopy) -> RawCopy {
    SuperblockCopy::fields_of(raw).sealed().encode()
}

/// The copy of slot 1 of a plain fixture, and a checksummed one with the same fields.
fn samples() -> &'static [RawCopy; 2] {
    static SAMPLES: OnceLock<[RawCopy; 2]> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let plain = *include_bytes!("../fixtures/plain-v4/sda-sdb-copy1.bin");
        let mut superblock = superblock_of(&SuperblockCopy::decode(&plain).unwrap()).unwrap();
        let layout = Layout::for_spare(superblock.spare_sectors, BlockSize::B1024).unwrap();
        superblock.extension = Some(Extension {
            features: Features {
                compat: 5,
                ro_compat: 6,
                incompat: 0,
            },
            array_uuid: ArrayUuid::new([0xc3; 16]),
            main_epoch: 0x0b0a_0908,
            main_identity: IdentityDigest::new([0xd4; 16]),
            spare_identity: IdentityDigest::NONE,
            needs_check: true,
            layout,
        });
        [plain, superblock.encode(Slot::S1)]
    })
}

#[test]
fn samples_are_taken() {
    for raw in samples() {
        assert_eq!(reasons(raw, Slot::S1), []);
        agree(raw, Slot::S1);
    }
}

#[test]
fn every_fixture_reads_the_same_and_writes_back() {
    for name in ["sda-sdb", "sda-relative"] {
        for slot in Slot::ALL {
            let path = format!("tests/fixtures/plain-v4/{name}-copy{slot}.bin");
            let raw: RawCopy = std::fs::read(path).unwrap().try_into().unwrap();
            agree(&raw, slot);
            let Content::Plain(superblock) = read_copy(&raw, slot) else {
                panic!("{name} {slot} is not read as plain v4");
            };
            assert_eq!(superblock.encode(slot), raw);
            assert_eq!(declared_copy(&superblock, slot).encode(), raw);
        }
    }
    let other = include_bytes!("../fixtures/other/reference-kernel-84288.bin");
    let raw: &RawCopy = other.first_chunk().unwrap();
    agree(raw, Slot::S0);
    assert!(matches!(
        read_copy(raw, Slot::S0),
        Content::Unsupported {
            why: Unsupported::OtherLayout { .. },
            ..
        }
    ));
}

/// Every single byte of a copy set to every value, with the old checksum and with one
/// that fits.
#[test]
fn every_value_of_every_byte_reads_the_same() {
    for raw in samples() {
        for at in 0..raw.len() {
            for value in 0..=u8::MAX {
                let spoiled = sample::spoil(*raw, &[(at, value)]);
                agree(&spoiled, Slot::S1);
                agree(&sealed(&spoiled), Slot::S1);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_rules_write_the_declaration_reads(
        superblock in sample::any_superblock(),
        slot in sample::slot(),
    ) {
        let raw = superblock.encode(slot);
        let copy = SuperblockCopy::decode(&raw).unwrap();
        prop_assert_eq!(superblock_of(&copy), Some(superblock));
        prop_assert_eq!(copy.encode(), raw);
        prop_assert_eq!(declared_copy(&superblock, slot).encode(), raw);
        agree(&raw, slot);
    }

    #[test]
    fn what_the_declaration_writes_the_rules_read(
        superblock in sample::sound(),
        slot in sample::slot(),
    ) {
        let raw = declared_copy(&superblock, slot).encode();
        let read = match read_copy(&raw, slot) {
            Content::Checksummed(read) | Content::Plain(read) => Some(read),
            _ => None,
        };
        prop_assert_eq!(read, Some(superblock));
        prop_assert_eq!(superblock.encode(slot), raw);
        agree(&raw, slot);
    }

    #[test]
    fn another_slot_s_copy_is_made_the_same(
        superblock in sample::any_superblock(),
        changes in sample::changes(512),
        from in sample::slot(),
        to in sample::slot(),
    ) {
        let raw = sample::spoil(superblock.encode(from), &changes);
        let mut copy = SuperblockCopy::fields_of(&raw);
        let checksum = copy.common.checksum;
        copy.common.copy_index = to.index();
        let mut copy = copy.sealed();
        // Plain v4 keeps the checksum field it had.
        if matches!(copy.tail, Tail::Padding(_)) {
            copy.common.checksum = checksum;
        }
        prop_assert_eq!(readdress(&raw, to), copy.encode());
    }

    #[test]
    fn spoiled_copies_are_taken_or_left_alike(
        superblock in sample::sound(),
        changes in sample::changes(512),
        own in sample::slot(),
        read_in in sample::slot(),
        seal in any::<bool>(),
    ) {
        let spoiled = sample::spoil(superblock.encode(own), &changes);
        let spoiled = if seal { sealed(&spoiled) } else { spoiled };
        agree(&spoiled, own);
        agree(&spoiled, read_in);
    }

    #[test]
    fn any_bytes_are_taken_or_left_alike(
        bytes in proptest::collection::vec(any::<u8>(), 512),
        extended in any::<bool>(),
        ours in any::<bool>(),
        slot in sample::slot(),
    ) {
        let mut raw: RawCopy = bytes.try_into().unwrap();
        agree(&raw, slot);
        if ours {
            raw[..8].copy_from_slice(b"4RMD\x04\0\0\0");
        }
        if extended {
            raw[400..404].copy_from_slice(b"DR4X");
        }
        agree(&raw, slot);
        agree(&sealed(&raw), slot);
    }
}
