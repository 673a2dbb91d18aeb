//! The document's test vectors, through both codecs and both ways: bytes to the
//! listed fields, listed fields to the bytes.

use std::path::Path;

use dmremap::format::backup::{Backup, Content, SavedRange};
use dmremap::format::field_map::{of_copy, of_label, of_region_header, of_table_block, Field};
use dmremap::format::label::MainLabel;
use dmremap::format::superblock::{SuperblockCopy, Tail};
use dmremap::format::table::{RegionHeader, TableBlock};
use dmremap::remap_core::bytes::Text;
use dmremap::remap_core::label::{End, Label, LabelReading, MainForm};
use dmremap::remap_core::layout::{Layout, Region};
use dmremap::remap_core::remap_table::{
    self as rules, check_block, put_entry, seal_block, BlockPlace, Entry, EntryState,
};
use dmremap::remap_core::superblock::{
    read_copy, Content as Read, Extension, Features, Superblock,
};
use dmremap::remap_core::units::{
    ArrayUuid, BlockSize, Blocks, Generation, IdentityDigest, MainBlock, Sector, Sectors, Sequence,
    Slot, Timestamp,
};

use crate::document::{number, sixteen, vector, Fields, Vector};

/// Holds a field map to the listed fields: the values listed, zeros where none is.
fn shows(vector: &Vector, map: &[Field]) {
    for (name, value) in &vector.fields.0 {
        let field = map.iter().find(|field| field.name == *name);
        let field = field.unwrap_or_else(|| panic!("there is no field {name}"));
        assert_eq!(field.value, *value, "{name}");
    }
    for field in map {
        let bytes = &vector.bytes[field.range()];
        if !vector.fields.0.contains_key(&*field.name) {
            assert!(
                bytes.iter().all(|byte| *byte == 0),
                "{} is not listed",
                field.name
            );
        }
    }
}

/// Bytes made from the listed fields alone, at the places that the map gives.
fn assembled<const N: usize>(fields: &Fields, map: &[Field], padding: u8) -> [u8; N] {
    let mut raw = [0; N];
    for field in map {
        let Some(value) = fields.0.get(&*field.name) else {
            continue;
        };
        let bytes = &mut raw[field.range()];
        match field.len {
            16 => bytes.copy_from_slice(&sixteen(value)),
            1..=8 => bytes.copy_from_slice(&number(value).to_le_bytes()[..field.len]),
            _ => {
                let padding = if field.name == "name" { 0 } else { padding };
                bytes.fill(padding);
                bytes[..value.len()].copy_from_slice(value.as_bytes());
            }
        }
    }
    raw
}

fn text<const N: usize>(value: &str, padding: u8) -> Text<N> {
    let mut field = [padding; N];
    field[..value.len()].copy_from_slice(value.as_bytes());
    Text::from_field(field)
}

fn block_size(bytes: u64) -> BlockSize {
    BlockSize::from_bytes(bytes.try_into().unwrap()).unwrap()
}

/// The superblock that the listed fields, each behind `prefix`, describe.
fn superblock(fields: &Fields, prefix: &str, padding: u8) -> Superblock {
    let name = |field: &str| format!("{prefix}{field}");
    let number = |field: &str| fields.number(&name(field));
    let small = |field: &str| u32::try_from(number(field)).unwrap();
    let sixteen = |field: &str| fields.sixteen(&name(field));
    let extension = fields
        .0
        .contains_key(&name("array_uuid"))
        .then(|| Extension {
            features: Features {
                compat: small("compat"),
                ro_compat: small("ro_compat"),
                incompat: small("incompat"),
            },
            array_uuid: ArrayUuid::new(sixteen("array_uuid")),
            main_epoch: small("main_epoch"),
            main_identity: IdentityDigest::new(sixteen("main_identity")),
            spare_identity: IdentityDigest::new(sixteen("spare_identity")),
            needs_check: number("needs_check") != 0,
            layout: Layout {
                block_size: block_size(number("unit_size")),
                region_blocks: small("region_blocks"),
                region_a: Sector::new(number("region_a")),
                region_b: Sector::new(number("region_b")),
                replacement: Sector::new(number("replacement_start")),
                replacement_blocks: Blocks::new(number("replacement_blocks")),
            },
        });
    Superblock {
        sequence: Sequence::new(number("sequence")),
        timestamp: Timestamp::new(number("timestamp")),
        main_uuid: text(fields.text(&name("main_uuid")), padding),
        spare_uuid: text(fields.text(&name("spare_uuid")), padding),
        main_sectors: Sectors::new(number("main_sectors")),
        spare_sectors: Sectors::new(number("spare_sectors")),
        sector_size: block_size(number("sector_size")),
        entry_size: small("entry_size"),
        capacity: small("capacity"),
        main_path: text(fields.text(&name("main_path")), padding),
        spare_path: text(fields.text(&name("spare_path")), padding),
        extension,
    }
}

fn check_copy(name: &str, slot: Slot, padding: u8) -> [u8; 512] {
    let vector = vector(name);
    let raw: [u8; 512] = vector.bytes.as_slice().try_into().unwrap();
    let map = of_copy(&raw);
    shows(&vector, &map);

    let copy = SuperblockCopy::decode(&raw).unwrap();
    assert_eq!(copy.encode(), raw);
    let made = SuperblockCopy::fields_of(&assembled(&vector.fields, &map, padding));
    assert_eq!(made.sealed().encode(), raw);

    let listed = superblock(&vector.fields, "", padding);
    assert_eq!(listed.encode(slot), raw);
    let read = match (read_copy(&raw, slot), &copy.tail) {
        (Read::Checksummed(read), Tail::Extension(_)) => read,
        (Read::Plain(read), Tail::Padding(_)) => read,
        (other, tail) => panic!("{name} is read as {other:?} and {tail:?}"),
    };
    assert_eq!(read, listed);
    if let Some(layout) = read.layout() {
        let computed = Layout::for_spare(read.spare_sectors, layout.block_size);
        assert_eq!(computed, Ok(*layout));
    }
    raw
}

#[test]
fn plain_copy() {
    let raw = check_copy("plain-slot-3", Slot::S3, b' ');
    assert_eq!(
        raw,
        *include_bytes!("../fixtures/plain-v4/sda-sdb-copy3.bin"),
        "what an existing tool wrote"
    );
}

#[test]
fn checksummed_copies() {
    let first = check_copy("checksummed-slot-0", Slot::S0, 0);
    let third = check_copy("checksummed-slot-2", Slot::S2, 0);
    let differing = |at: &usize| first[*at] != third[*at];
    let differing: Vec<usize> = (0..512).filter(differing).collect();
    assert!(
        differing.iter().all(|at| (24..32).contains(at)),
        "{differing:?}"
    );
}

#[test]
fn header_block() {
    let vector = vector("header-b");
    let raw: [u8; 4096] = vector.bytes.as_slice().try_into().unwrap();
    let map = of_region_header(&raw);
    shows(&vector, &map);

    let header = RegionHeader::decode(&raw).unwrap();
    assert_eq!(header.encode(), raw);
    let mut made = RegionHeader::fields_of(&assembled(&vector.fields, &map, 0));
    made.front.checksum = 0;
    assert_eq!(made.sealed().encode(), raw);

    let listed = rules::RegionHeader {
        region: Region::B,
        name: Text::new(vector.fields.text("name").as_bytes()).unwrap(),
        superblock: superblock(&vector.fields, "superblock.", 0),
    };
    assert_eq!(rules::RegionHeader::read(&raw, Region::B), Ok(listed));
    let mut written = [0; 4096];
    listed.write(&mut written);
    assert_eq!(written, raw);
}

fn check_label(name: &str, listed: Label) {
    let vector = vector(name);
    let raw: [u8; 4096] = vector.bytes.as_slice().try_into().unwrap();
    let map = of_label(&raw);
    shows(&vector, &map);

    let label = MainLabel::decode(&raw).unwrap();
    assert_eq!(label.encode(), raw);
    let mut fields = vector.fields.clone();
    let words = fields.0.get_mut("words").unwrap();
    *words = words.replace("\\x0a", "\n");
    let mut made = MainLabel::fields_of(&assembled(&fields, &map, 0));
    made.checksum = 0;
    assert_eq!(made.with_checksum().encode(), raw);

    let read = LabelReading::of(&raw, listed.end, listed.main_sectors);
    assert_eq!(read, LabelReading::Label(listed));
    let mut written = [0xff; 4096];
    listed.write(&mut written);
    assert_eq!(written, raw);
}

#[test]
fn labels_of_main() {
    let listed = |name: &str| {
        let fields = vector(name).fields;
        let number = |field: &str| fields.number(field);
        Label {
            end: End::ALL[number("end") as usize],
            array: ArrayUuid::new(fields.sixteen("array_uuid")),
            epoch: number("main_epoch").try_into().unwrap(),
            identity: IdentityDigest::new(fields.sixteen("identity")),
            main_sectors: Sectors::new(number("main_sectors")),
            form: MainForm::ALL[number("form") as usize],
            sealed: number("sealed") == 1,
            name: Text::new(fields.text("name").as_bytes()).unwrap(),
        }
    };
    for name in ["main-label-first", "main-label-last"] {
        check_label(name, listed(name));
    }
}

#[test]
fn table_block() {
    let vector = vector("table-block-2");
    let raw: [u8; 4096] = vector.bytes.as_slice().try_into().unwrap();
    let map = of_table_block(&raw);
    shows(&vector, &map);

    let block = TableBlock::decode(&raw).unwrap();
    assert_eq!(block.encode(), raw);
    let mut made = TableBlock::fields_of(&assembled(&vector.fields, &map, 0));
    made.front.checksum = 0;
    assert_eq!(made.sealed().encode(), raw);

    let place = BlockPlace {
        array: ArrayUuid::new(vector.fields.sixteen("array_uuid")),
        region: Region::A,
        index: 2,
    };
    let generation = Generation::new(vector.fields.number("generation"));
    assert_eq!(check_block(&raw, &place), Ok(generation));
    let mut written = [0; 4096];
    let mut live = 0;
    for at in 0..252 {
        let number = |field: &str| vector.fields.number(&format!("entry[{at}].{field}"));
        let entry = Entry {
            state: EntryState::ALL[usize::try_from(number("state")).unwrap()],
            main: MainBlock::new(number("main_block")),
            moves: number("moves").try_into().unwrap(),
        };
        live += u32::from(entry != Entry::default());
        assert_eq!(rules::entry(&raw, at), Some(entry));
        assert!(put_entry(&mut written, at, &entry));
    }
    assert!(live >= 4, "a table with nothing in it shows little");
    seal_block(&mut written, &place, generation);
    assert_eq!(written, raw);
}

#[test]
fn backup_file() {
    let Vector { bytes, fields } = vector("backup");
    let range = |at: usize| {
        let field = |name: &str| fields.number(&format!("range[{at}].{name}"));
        let kept = Sectors::from_bytes(field("length"));
        SavedRange {
            at: Sector::new(field("offset") / 512),
            content: match field("kind") {
                0 => Content::Raw(vec![0x5a; kept.bytes().unwrap() as usize]),
                _ => Content::Zeros(kept),
            },
        }
    };
    let listed = Backup::new(
        Path::new(fields.text("path")),
        IdentityDigest::new(fields.sixteen("identity")),
        Sectors::new(fields.number("device_sectors")),
        vec![range(0), range(1)],
    )
    .unwrap();
    assert_eq!(listed.encode().as_deref(), Ok(&bytes[..]));
    assert_eq!(Backup::decode(&bytes), Ok(listed));
    assert_eq!(fields.number("file_length"), bytes.len() as u64);
}
