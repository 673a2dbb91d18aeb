//! Superblocks with every field at its limits and beside its valid value, under a
//! checksum that fits, so that the checks behind the checksum are reached. Nothing
//! panics, and whatever is accepted keeps the invariants of a layout.
#![cfg(test)]

mod common;

use common::{checksummed, plain, read, survey, Noise, ARRAY, OTHER_ARRAY, SPARE};
use dmremap::remap_core::bytes::{Text, TextError};
use dmremap::remap_core::commit::{prepare, Authority, Intent};
use dmremap::remap_core::layout::{Layout, Region, ENTRIES_PER_BLOCK};
use dmremap::remap_core::quorum::{judge, CopyState, Verdict};
use dmremap::remap_core::superblock::{
    computed_checksum, read_copy, readdress, stored_checksum, Content, Flaw, RawCopy, Superblock,
    COPY_BYTES, EXTENSION_MAGIC, MAGIC,
};
use dmremap::remap_core::units::{BlockSize, Replacement, Sectors, Slot, BLOCK_4K_SECTORS};

/// A field: its name, its offset and its length in bytes.
type Named = (&'static str, usize, usize);

/// The numbers of the first 400 bytes.
const COMMON: [Named; 13] = [
    ("magic", 0, 4),
    ("version", 4, 4),
    ("sequence", 8, 8),
    ("timestamp", 16, 8),
    ("copy index", 28, 4),
    ("structure size", 32, 4),
    ("reserved", 36, 4),
    ("main sectors", 114, 8),
    ("spare sectors", 122, 8),
    ("sector size", 130, 4),
    ("entry size", 134, 4),
    ("capacity", 138, 4),
    ("reserved", 142, 2),
];

/// The numbers of the extension that are not of the layout.
const EXTENSION: [Named; 7] = [
    ("extension magic", 400, 4),
    ("extension version", 404, 2),
    ("extension length", 406, 2),
    ("compat", 408, 4),
    ("ro_compat", 412, 4),
    ("incompat", 416, 4),
    ("needs check", 472, 4),
];

/// The numbers from which a layout follows.
const LAYOUT: [Named; 7] = [
    ("spare sectors", 122, 8),
    ("unit size", 468, 4),
    ("region blocks", 476, 4),
    ("region A", 480, 8),
    ("region B", 488, 8),
    ("replacement area", 496, 8),
    ("replacement blocks", 504, 8),
];

fn get(raw: &RawCopy, (_, at, length): Named) -> u64 {
    let mut bytes = [0; 8];
    bytes[..length].copy_from_slice(&raw[at..at + length]);
    u64::from_le_bytes(bytes)
}

fn put(raw: &mut RawCopy, (_, at, length): Named, value: u64) {
    raw[at..at + length].copy_from_slice(&value.to_le_bytes()[..length]);
}

/// The limits of a field, and what lies around its valid value.
fn values(valid: u64, (_, _, length): Named) -> Vec<u64> {
    let max = u64::MAX >> (64 - 8 * length);
    let around = [
        valid.wrapping_sub(8),
        valid.wrapping_sub(1),
        valid.wrapping_add(1),
        valid.wrapping_add(8),
        valid.wrapping_mul(2),
        valid / 2,
    ];
    let limits = [0, 1, 7, 8, max, max - 1, max & !7, max / 2, max / 2 + 1];
    let mut values: Vec<u64> = around
        .iter()
        .map(|value| value & max)
        .chain(limits)
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// Renews the checksum of a copy, whether or not it still says that it has one.
fn reseal(raw: &mut RawCopy) {
    let checksum = computed_checksum(raw);
    raw[24..28].copy_from_slice(&checksum.to_le_bytes());
}

/// Checks what was accepted against the rules as they stand in the specification, in
/// numbers that cannot overflow.
fn assert_sound(superblock: &Superblock, what: &str) {
    assert!(superblock.main_sectors.get() > 0, "{what}");
    assert!(superblock.spare_sectors.get() > 0, "{what}");
    let Some(extension) = &superblock.extension else {
        return;
    };
    assert_eq!(extension.features.unknown_incompat(), 0, "{what}");
    let layout = &extension.layout;
    let wide = |value: u64| u128::from(value);
    let unit = wide(layout.block_size.sectors().get());
    let blocks = wide(layout.replacement_blocks.get());
    let region = wide(u64::from(layout.region_blocks)) * wide(BLOCK_4K_SECTORS);
    let [a, b, area] = [layout.region_a, layout.region_b, layout.replacement];
    for start in [a, b, area] {
        assert_eq!(start.get() % BLOCK_4K_SECTORS, 0, "{what}: {layout:?}");
    }
    let [a, b, area] = [a, b, area].map(|start| wide(start.get()));
    let ends = [8192 + 8, a + region, area + blocks * unit, b + region];
    let starts = [a, area, b, wide(superblock.spare_sectors.get())];
    for (end, start) in ends.into_iter().zip(starts) {
        assert!(end <= start, "{what}: {end} > {start}: {layout:?}");
    }
    let room = (wide(u64::from(layout.region_blocks)) - 1) * wide(ENTRIES_PER_BLOCK);
    assert!(blocks > 0 && blocks <= room, "{what}: {layout:?}");
    assert!(
        room - blocks < wide(ENTRIES_PER_BLOCK),
        "{what}: {layout:?}"
    );
    assert_places(layout, what);
}

/// Looks up the first and the last replacement block, and one past it.
fn assert_places(layout: &Layout, what: &str) {
    let last = layout.replacement_blocks.get() - 1;
    for index in [0, last / 2, last] {
        let replacement = Replacement::new(index);
        let sector = layout.replacement_sector(replacement).unwrap().get();
        assert!(sector >= layout.replacement.get(), "{what}");
        let end = sector + layout.block_size.sectors().get();
        assert!(end <= layout.region_b.get(), "{what}");
        let (block, at) = layout.entry_place(replacement).unwrap();
        assert_eq!(
            layout.replacement_at(block, at),
            Some(replacement),
            "{what}"
        );
        for region in Region::ALL {
            let start = layout.region_start(region).get();
            let block = layout.table_block(region, block).unwrap().get();
            let end = start + layout.region_sectors().get();
            assert!(block > start && block + BLOCK_4K_SECTORS <= end, "{what}");
        }
    }
    let past = Replacement::new(last + 1);
    assert_eq!(layout.replacement_sector(past), None, "{what}");
    assert_eq!(layout.entry_place(past), None, "{what}");
    assert_eq!(
        layout.table_block(Region::B, layout.table_blocks()),
        None,
        "{what}"
    );
    assert_eq!(layout.table_block(Region::A, u32::MAX), None, "{what}");
}

/// Reads a copy and tells whether it was accepted; whatever it is can be shown.
fn accepts(raw: &RawCopy, what: &str) -> bool {
    let content = read_copy(raw, Slot::S2);
    let shown = format!("{content:?}");
    assert!(
        shown.chars().all(|c| c.is_ascii_graphic() || c == ' '),
        "{what}"
    );
    match content {
        Content::Checksummed(superblock) => {
            assert_eq!(stored_checksum(raw), computed_checksum(raw), "{what}");
            assert_sound(&superblock, what);
            assert_eq!(&readdress(raw, Slot::S2), raw, "{what}");
            let again = superblock.encode(Slot::S2);
            assert_eq!(read_copy(&again, Slot::S2), content, "{what}: encoded");
            true
        }
        Content::Plain(superblock) => {
            assert_sound(&superblock, what);
            true
        }
        Content::Flawed(flaw) => {
            assert!(!flaw.to_string().is_empty());
            false
        }
        Content::Blank | Content::NotOurs | Content::Unsupported { .. } => false,
    }
}

/// The fields whose value may be anything, so that every one is accepted.
const FREE: [&str; 9] = [
    "sequence",
    "timestamp",
    "reserved",
    "main sectors",
    "entry size",
    "capacity",
    "compat",
    "ro_compat",
    "needs check",
];

/// The fields of which one value alone is known.
const FIXED: [&str; 7] = [
    "magic",
    "version",
    "copy index",
    "structure size",
    "extension version",
    "extension length",
    "incompat",
];

#[test]
fn each_field_of_a_checksummed_copy_at_its_limits_is_refused_or_harmless() {
    let good = checksummed(ARRAY, 7).encode(Slot::S2);
    assert!(accepts(&good, "the valid copy"));
    let mut accepted = 0;
    for field in COMMON.into_iter().chain(EXTENSION).chain(LAYOUT) {
        for value in values(get(&good, field), field) {
            let mut raw = good;
            put(&mut raw, field, value);
            reseal(&mut raw);
            let what = format!("{} is {value}", field.0);
            let free = FREE.contains(&field.0) && (field.0 != "main sectors" || value > 0);
            let unchanged = value == get(&good, field);
            let accepted_now = accepts(&raw, &what);
            assert!(accepted_now || !(free || unchanged), "{what}");
            // Of the features one is known: a main with labels.
            let known = field.0 == "incompat" && matches!(value, 1 | 2);
            let fixed = FIXED.contains(&field.0) && !unchanged && !known;
            assert!(!(accepted_now && fixed), "{what}");
            accepted += usize::from(accepted_now);
        }
    }
    println!("{accepted} accepted");
    assert!(accepted > 100);
}

#[test]
fn no_two_or_three_hostile_numbers_make_a_layout_that_overlaps() {
    let good = checksummed(ARRAY, 7).encode(Slot::S2);
    let choices = LAYOUT.map(|field| {
        let mut values = values(get(&good, field), field);
        values.push(get(&good, field));
        values.extend(BlockSize::ALL.map(|size| u64::from(size.bytes())));
        values
    });
    let (mut tried, mut accepted) = (0, 0);
    for one in 0..LAYOUT.len() {
        for two in one + 1..LAYOUT.len() {
            for first in &choices[one] {
                for second in &choices[two] {
                    // The remap unit goes with any two others.
                    for unit in BlockSize::ALL {
                        let mut raw = good;
                        put(&mut raw, LAYOUT[1], u64::from(unit.bytes()));
                        put(&mut raw, LAYOUT[one], *first);
                        put(&mut raw, LAYOUT[two], *second);
                        reseal(&mut raw);
                        let names = (LAYOUT[one].0, LAYOUT[two].0);
                        let what = format!("{names:?} are {first} and {second}, unit {unit}");
                        accepted += usize::from(accepts(&raw, &what));
                        tried += 1;
                    }
                }
            }
        }
    }
    println!("{tried} layouts tried, {accepted} accepted");
    assert!(accepted > 0 && accepted < tried);
}

#[test]
fn each_field_of_a_plain_copy_at_its_limits_is_refused_or_harmless() {
    let good = plain(1, "/dev/sdb").encode(Slot::S2);
    assert!(accepts(&good, "the valid copy"));
    let refused = ["magic", "version", "copy index", "structure size"];
    for field in COMMON {
        for value in values(get(&good, field), field) {
            let mut raw = good;
            put(&mut raw, field, value);
            let what = format!("{} is {value}", field.0);
            let accepted = accepts(&raw, &what);
            let changed = value != get(&good, field);
            assert!(
                !(accepted && changed && refused.contains(&field.0)),
                "{what}"
            );
            let free = [
                "sequence",
                "timestamp",
                "reserved",
                "entry size",
                "capacity",
            ];
            assert!(accepted || !free.contains(&field.0), "{what}");
            // A plain copy has no checksum; with one it is nothing that anybody wrote.
            reseal(&mut raw);
            assert!(!accepts(&raw, &what), "{what}, with a checksum");
        }
    }
}

#[test]
fn text_of_a_plain_copy_that_no_tool_writes_makes_it_corrupt() {
    let fields = [(40, 37), (77, 37), (144, 128), (272, 128)];
    for (start, length) in fields {
        for at in [start, start + 1, start + length - 1] {
            for byte in 0..=255u8 {
                let mut raw = plain(1, "/dev/sdb").encode(Slot::S2);
                raw[at] = byte;
                let accepted = accepts(&raw, "text");
                let control = byte != 0 && byte.is_ascii_control();
                assert!(!(accepted && control), "byte {byte} at {at}");
                // A NUL ends a text: whatever comes behind it must be padding.
                assert!(!(accepted && byte == 0 && at == start), "NUL at {at}");
            }
        }
    }
}

#[test]
fn noise_under_a_fitting_checksum_is_refused_or_harmless() {
    for seed in 0..30_000 {
        let mut noise = Noise::new(seed);
        let mut raw = [0; COPY_BYTES];
        noise.fill(&mut raw);
        // Each round believes one more of the fields that are looked at early.
        let good = checksummed(ARRAY, 7).encode(Slot::S2);
        let kept = [
            (0, 4),
            (400, 4),
            (4, 4),
            (404, 4),
            (416, 4),
            (28, 8),
            (130, 4),
            (468, 4),
        ];
        for (at, length) in &kept[..2 + seed as usize % 7] {
            raw[*at..at + length].copy_from_slice(&good[*at..at + length]);
        }
        reseal(&mut raw);
        assert_eq!(raw[..4], MAGIC.to_le_bytes());
        assert_eq!(raw[400..404], EXTENSION_MAGIC.to_le_bytes());
        accepts(&raw, &format!("seed {seed}"));
    }
}

#[test]
fn judging_and_planning_on_hostile_copies_never_panics() {
    let mut planned = 0;
    let content = checksummed(ARRAY, 7);
    for seed in 0..6000 {
        let mut noise = Noise::new(seed);
        let slots = Slot::ALL.map(|slot| {
            let good = match noise.word() % 4 {
                0 => plain(noise.word() % 2, "/dev/sdb"),
                1 => checksummed(OTHER_ARRAY, 7),
                _ => checksummed(ARRAY, [0, 6, 7, u64::MAX][noise.word() as usize % 4]),
            };
            let mut raw = good.encode(slot);
            if noise.word().is_multiple_of(3) {
                let fields = COMMON.into_iter().chain(EXTENSION).chain(LAYOUT);
                let fields: Vec<Named> = fields.collect();
                let field = fields[noise.word() as usize % fields.len()];
                let values = values(get(&raw, field), field);
                put(
                    &mut raw,
                    field,
                    values[noise.word() as usize % values.len()],
                );
                if good.extension.is_some() {
                    reseal(&mut raw);
                }
            }
            read(raw)
        });
        let survey = survey(slots, noise.word().is_multiple_of(2));
        let judgement = judge(&survey);
        let intents = [
            Intent::Heal,
            Intent::Advance(&content),
            Intent::Create(&content),
            Intent::Migrate(&content),
            Intent::Rebuild(&content),
            Intent::Adopt(Slot::S1),
        ];
        for intent in intents {
            match prepare(&judgement, &survey, intent, Authority::Typed) {
                Ok(prepared) => {
                    planned += 1;
                    for slot in prepared.slots() {
                        let copy = prepared.final_copy(slot).unwrap();
                        let written = read_copy(&copy, slot);
                        assert!(
                            matches!(written, Content::Checksummed(_) | Content::Plain(_)),
                            "seed {seed}: {written:?}"
                        );
                    }
                }
                Err(refusal) => assert!(!refusal.to_string().is_empty()),
            }
        }
    }
    println!("{planned} plans made");
    assert!(planned > 6000);
}

#[test]
fn a_copy_that_claims_a_larger_spare_is_judged_by_what_it_claims() {
    // Whether the spare has so many sectors is for whoever knows the device to check.
    let mut boastful = checksummed(ARRAY, 7);
    boastful.spare_sectors = Sectors::new(u64::MAX);
    let slots = Slot::ALL.map(|slot| read(boastful.encode(slot)));
    assert_eq!(judge(&survey(slots, false)).verdict, Verdict::Healthy);
    let mut modest = checksummed(ARRAY, 7);
    modest.spare_sectors = Sectors::new(SPARE.get() - 8);
    let slots = Slot::ALL.map(|slot| read(modest.encode(slot)));
    let judgement = judge(&survey(slots, false));
    assert_eq!(judgement.verdict, Verdict::Lost);
    let state = judgement.states.get(Slot::S0);
    assert!(matches!(state, CopyState::Corrupt(Flaw::Layout(_))));
}

#[test]
fn text_is_never_cut_short_and_ends_where_its_padding_begins() {
    let long = Text::<8>::new(b"123456789");
    let expected = TextError::TooLong {
        length: 9,
        limit: 8,
    };
    assert_eq!(long, Err(expected));
    assert_eq!(Text::<8>::new(b"a\0b"), Err(TextError::Nul));
    let cases: [(&[u8; 8], &[u8], bool); 9] = [
        (b"\0\0\0\0\0\0\0\0", b"", true),
        (b"        ", b"", true),
        (b"12345678", b"12345678", true),
        (b"/dev\0\0\0\0", b"/dev", true),
        (b"/dev    ", b"/dev", true),
        (b"/dev\0   ", b"/dev", true),
        (b"a b\0\0\0\0\0", b"a b", true),
        (b"/dev\0x\0\0", b"/dev", false),
        (b"\x1b[2J\0\0\0\0", b"\x1b[2J", false),
    ];
    for (field, trimmed, plain) in cases {
        let text = Text::from_field(*field);
        assert_eq!(text.trimmed(), trimmed, "{field:?}");
        assert_eq!(text.is_plain(), plain, "{field:?}");
        assert!(format!("{text:?}").is_ascii());
    }
    for byte in 0..=255u8 {
        let text = Text::from_field([byte; 4]);
        let shown = format!("{text:?}");
        assert!(
            shown.chars().all(|c| c.is_ascii_graphic() || c == ' '),
            "{shown}"
        );
    }
}
