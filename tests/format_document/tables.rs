//! The document's tables.

use dmremap::format::backup::{Front, RangeRecord};
use dmremap::format::field_map::{of_region_header, of_table_block};
use dmremap::format::label::MainLabel;
use dmremap::format::structure::FieldSpec;
use dmremap::format::superblock::{Common, Extension, Padding, EXTENSION_AT};
use dmremap::format::table::{BlockFront, Entry, STATES};
use dmremap::remap_core::bytes::Text;
use dmremap::remap_core::checksum::Crc32c;
use dmremap::remap_core::layout::Layout;
use dmremap::remap_core::quorum::{judge, Assembly, Healing, Reading, Survey, Verdict};
use dmremap::remap_core::signature;
use dmremap::remap_core::superblock::{Extension as RulesExtension, Features, Superblock};
use dmremap::remap_core::units::{
    ArrayUuid, BlockSize, IdentityDigest, PerSlot, Sectors, Sequence, Slot, Timestamp,
};

use crate::document::{table, tables};

const FIELD_HEAD: &str = "| offset | size | field | meaning |";

/// Offset, size and name of every field that the document lists under a heading.
fn listed(heading: &str, head: &str) -> Vec<(usize, usize, String)> {
    table(heading, head)
        .into_iter()
        .map(|row| {
            (
                row[0].parse().unwrap(),
                row[1].parse().unwrap(),
                row[2].clone(),
            )
        })
        .collect()
}

fn declared(fields: &[FieldSpec], at: usize) -> Vec<(usize, usize, String)> {
    fields
        .iter()
        .map(|field| (at + field.start, field.len, field.name.to_owned()))
        .collect()
}

#[test]
fn fields_lie_where_the_document_says() {
    for (heading, fields, at) in [
        ("### Bytes 0 to 400", Common::FIELDS, 0),
        (
            "### Bytes 400 to 512: the extension",
            Extension::FIELDS,
            EXTENSION_AT,
        ),
        (
            "### Bytes 400 to 512: plain v4",
            Padding::FIELDS,
            EXTENSION_AT,
        ),
        ("### Entry", Entry::FIELDS, 0),
        ("### Label", MainLabel::FIELDS, 0),
        ("## Backup files", Front::FIELDS, 0),
    ] {
        assert_eq!(
            listed(heading, FIELD_HEAD),
            declared(fields, at),
            "{heading}"
        );
    }
}

#[test]
fn blocks_are_divided_as_the_document_says() {
    let mut header: Vec<(usize, usize, String)> = Vec::new();
    for field in of_region_header(&[0; 4096]) {
        // The superblock is one field here; it has tables of its own.
        let name = field.name.split('.').next().unwrap().to_owned();
        match header.last_mut() {
            Some((_, len, last)) if *last == name => *len += field.len,
            _ => header.push((field.start, field.len, name)),
        }
    }
    assert_eq!(listed("### Region header block", FIELD_HEAD), header);

    let mut block = declared(BlockFront::FIELDS, 0);
    let entries = of_table_block(&[0; 4096]).last().unwrap().range().end - BlockFront::BYTES;
    block.push((BlockFront::BYTES, entries, "entries".to_owned()));
    assert_eq!(listed("### Table block", FIELD_HEAD), block);
}

#[test]
fn records_of_a_backup_lie_where_the_document_says() {
    let rows = tables("## Backup files", FIELD_HEAD);
    let records = rows[1].iter().map(|row| {
        (
            row[0].parse().unwrap(),
            row[1].parse().unwrap(),
            row[2].clone(),
        )
    });
    let records: Vec<(usize, usize, String)> = records.collect();
    assert_eq!(records, declared(RangeRecord::FIELDS, 0));
}

#[test]
fn states_have_the_numbers_and_names_of_the_document() {
    let rows = table("### Entry", "| state | name | the replacement |");
    let states: Vec<(String, &str)> = rows
        .iter()
        .map(|row| (row[0].clone(), row[1].as_str()))
        .collect();
    let declared: Vec<(String, &str)> = STATES
        .iter()
        .enumerate()
        .map(|(number, name)| (number.to_string(), *name))
        .collect();
    assert_eq!(states, declared);
}

#[test]
fn checksums_are_those_of_the_document() {
    for row in table("## Conventions", "| bytes | CRC-32C |") {
        let bytes = match row[0].split_once(" times ") {
            Some((count, byte)) => vec![hex(byte)[0]; count.parse().unwrap()],
            None if row[0] == "none" => Vec::new(),
            None => hex(&row[0]),
        };
        let expected = u32::from_str_radix(&row[1], 16).unwrap();
        assert_eq!(crc32c::crc32c(&bytes), expected, "{row:?}");
        assert_eq!(Crc32c::new().update(&bytes).finish(), expected, "{row:?}");
    }
}

fn hex(text: &str) -> Vec<u8> {
    text.split(' ')
        .map(|digits| u8::from_str_radix(digits, 16).unwrap())
        .collect()
}

#[test]
fn slots_lie_where_the_document_says() {
    let rows = table("## The spare", "| slot | sector | bytes |");
    assert_eq!(rows.len(), Slot::COUNT);
    for (row, slot) in rows.iter().zip(Slot::ALL) {
        let start = slot.sector().byte_offset().unwrap();
        let expected = [
            slot.to_string(),
            slot.sector().to_string(),
            format!("{start} to {}", start + 4096),
        ];
        assert_eq!(*row, expected);
    }
}

#[test]
fn layouts_are_those_of_the_document() {
    let rows = table(
        "## Layout",
        "| spare sectors | unit | region_blocks | region_a | replacement_start \
         | replacement_blocks | region_b |",
    );
    for row in rows {
        let number = |at: usize| row[at].parse::<u64>().unwrap();
        let spare = Sectors::new(number(0));
        let unit = BlockSize::from_bytes(number(1).try_into().unwrap()).unwrap();
        let layout = Layout::for_spare(spare, unit).unwrap();
        let expected = [
            u64::from(layout.region_blocks),
            layout.region_a.get(),
            layout.replacement.get(),
            layout.replacement_blocks.get(),
            layout.region_b.get(),
        ];
        let stated: Vec<u64> = (2..7).map(number).collect();
        assert_eq!(stated, expected, "{row:?}");
        assert_eq!(layout.check(spare), Ok(()));
    }
}

#[test]
fn signatures_are_told_as_the_document_says() {
    let rows = table(
        "## Reading a copy",
        "| signature | offset in the slot | bytes |",
    );
    assert_eq!(rows.len(), 10);
    for row in rows {
        let magic = hex(row[2].split(',').next().unwrap());
        for offset in row[1].split(" or ") {
            let at: usize = offset.parse().unwrap();
            let mut slot = [0; 4096];
            slot[at..at + magic.len()].copy_from_slice(&magic);
            let found = signature::detect(&slot).map(|signature| signature.name());
            assert_eq!(found, Some(row[0].as_str()));
        }
    }
}

fn assembled(verdict: Verdict) -> &'static str {
    match verdict.assembly() {
        Assembly::Yes => "yes",
        Assembly::WithEvent => "yes, with an event",
        Assembly::ReadOnlyOnRequest => "read-only on request",
        Assembly::No => "no",
    }
}

fn repaired(verdict: Verdict) -> &'static str {
    match verdict.healing() {
        Healing::NotNeeded => "nothing to repair",
        Healing::AfterBackup => "after a backup",
        Healing::RollForward => "rolled forward",
        Healing::Ask => "when asked",
        Healing::TypedConfirmation => "with the name typed",
        Healing::RebuildOnRequest => "rebuilt on request",
        Healing::Never => "never",
    }
}

#[test]
fn verdicts_allow_what_the_document_says() {
    let rows = table("## Verdict", "| verdict | rule | assembled | repaired |");
    let stated: Vec<[&str; 3]> = rows
        .iter()
        .map(|row| [row[0].as_str(), &row[2], &row[3]])
        .collect();
    let rules = Verdict::ALL.map(|verdict| [verdict.name(), assembled(verdict), repaired(verdict)]);
    assert_eq!(stated, rules);
}

/// Whether a number fits a cell: "any", or numbers of which it is one.
fn fits(cell: &str, number: usize) -> bool {
    cell == "any" || cell.split(" or ").any(|one| one == number.to_string())
}

fn copy(sequence: u64, slot: Slot) -> Reading {
    let spare = Sectors::new(1 << 20);
    let superblock = Superblock {
        sequence: Sequence::new(sequence),
        timestamp: Timestamp::new(0),
        main_uuid: Text::EMPTY,
        spare_uuid: Text::EMPTY,
        main_sectors: spare,
        spare_sectors: spare,
        sector_size: BlockSize::B512,
        entry_size: 16,
        capacity: 0,
        main_path: Text::EMPTY,
        spare_path: Text::EMPTY,
        extension: Some(RulesExtension {
            features: Features::default(),
            array_uuid: ArrayUuid::new([3; 16]),
            main_epoch: 0,
            main_identity: IdentityDigest::NONE,
            spare_identity: IdentityDigest::NONE,
            needs_check: false,
            layout: Layout::for_spare(spare, BlockSize::B512).unwrap(),
        }),
    };
    Reading::Read {
        raw: superblock.encode(slot),
        signature: None,
    }
}

#[test]
fn copies_are_ranked_as_the_document_says() {
    let rows = table(
        "## Verdict",
        "| winners | one older | older than that | verdict |",
    );
    let blank = Reading::Read {
        raw: [0; 512],
        signature: None,
    };
    let mut judged = 0;
    for winners in 1..=5 {
        for one_older in 0..=5 - winners {
            for older in 0..=5 - winners - one_older {
                let sequences = [(winners, 9), (one_older, 8), (older, 5)];
                let mut sequences = sequences
                    .into_iter()
                    .flat_map(|(count, sequence)| std::iter::repeat_n(sequence, count));
                let slots =
                    PerSlot::from_fn(|slot| sequences.next().map_or(blank, |of| copy(of, slot)));
                let verdict = judge(&Survey {
                    slots,
                    header: false,
                })
                .verdict;
                let row = rows.iter().find(|row| {
                    fits(&row[0], winners) && fits(&row[1], one_older) && fits(&row[2], older)
                });
                let counts = (winners, one_older, older);
                assert_eq!(row.unwrap()[3], verdict.name(), "{counts:?}");
                judged += 1;
            }
        }
    }
    assert_eq!(judged, 35);
}
