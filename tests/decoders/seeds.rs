//! Real structures, from which the corpora are made.

use std::path::Path;

use dmremap::format::backup::{Backup, Content, SavedRange};
use dmremap::format::superblock::SuperblockCopy;
use dmremap::remap_core::bytes::Text;
use dmremap::remap_core::label::{End, Label, MainForm};
use dmremap::remap_core::layout::Region;
use dmremap::remap_core::remap_table::{
    put_entry, seal_block, BlockPlace, Entry, EntryState, RegionHeader,
};
use dmremap::remap_core::superblock::RawCopy;
use dmremap::remap_core::units::{Generation, IdentityDigest, MainBlock, Sector, Sectors, Slot};

use crate::bodies::SLOT_INPUT;
use crate::common::{checksummed, fixture, plain, plain_fixture, ARRAY, OTHER_ARRAY, SPARE};

type Seeds = Vec<(&'static str, Vec<u8>)>;

/// The seeds of every target.
pub fn all() -> Vec<(&'static str, Seeds)> {
    vec![
        ("backup_file", backup_files()),
        ("main_label", main_labels()),
        ("message", messages()),
        ("params_line", params_lines()),
        ("region_header", region_headers()),
        ("status_line", status_lines()),
        ("superblock_copy", superblock_copies()),
        ("survey", surveys()),
        ("table_blocks", table_blocks()),
    ]
}

fn superblock_copies() -> Seeds {
    let hostile = {
        let mut superblock = checksummed(ARRAY, 3);
        superblock.main_path = Text::new(b"/dev/\x1b]0;x\x07\xe2\x80\xaegpj").unwrap();
        superblock.encode(Slot::S4)
    };
    let other = fixture("other/reference-kernel-84288.bin");
    vec![
        (
            "checksummed",
            checksummed(ARRAY, 7).encode(Slot::S0).to_vec(),
        ),
        ("hostile", hostile.to_vec()),
        ("other-layout", other[..512].to_vec()),
        ("plain", plain_fixture("sda-sdb")[1].to_vec()),
        ("zeros", vec![0; 512]),
    ]
}

/// Five parts of a survey: how each slot comes about, and a copy where it needs one.
fn made_up(slots: [(u8, Option<RawCopy>); 5]) -> Vec<u8> {
    let part = |(kind, raw): (u8, Option<RawCopy>)| {
        let mut part = vec![kind];
        part.extend(raw.unwrap_or([0; 512]));
        assert_eq!(part.len(), SLOT_INPUT);
        part
    };
    slots.into_iter().flat_map(part).collect()
}

fn surveys() -> Seeds {
    let newest = Some(checksummed(ARRAY, 7).encode(Slot::S0));
    let in_slot_3 = Some(checksummed(ARRAY, 7).encode(Slot::S3));
    let other = Some(checksummed(OTHER_ARRAY, 9).encode(Slot::S3));
    let as_before = (2, None);
    let [p0, p1, p2, p3, p4] = plain_fixture("sda-sdb").map(|raw| (0, Some(raw)));
    let [r0, r1, ..] = plain_fixture("sda-relative").map(|raw| (0, Some(raw)));
    let unsupported = {
        let mut copy = SuperblockCopy::fields_of(&checksummed(ARRAY, 7).encode(Slot::S2));
        copy.common.version = 5;
        copy.sealed().encode()
    };
    vec![
        (
            "healthy",
            made_up([(0, newest), as_before, as_before, as_before, as_before]),
        ),
        (
            "interrupted",
            made_up([(0, newest), (3, None), as_before, as_before, (4, None)]),
        ),
        (
            "lone",
            made_up([(7, None), (6, None), (7, None), (0, in_slot_3), (6, None)]),
        ),
        (
            "outlier",
            made_up([(0, newest), (4, None), (4, None), (4, None), as_before]),
        ),
        ("plain", made_up([p0, p1, p2, p3, p4])),
        ("plain-split", made_up([r0, r1, p2, p3, (6, None)])),
        (
            "split",
            made_up([(0, newest), (5, None), as_before, as_before, as_before]),
        ),
        (
            "two-arrays",
            made_up([(0, newest), as_before, as_before, (0, other), as_before]),
        ),
        (
            "unsupported",
            made_up([
                (0, newest),
                as_before,
                (0, Some(unsupported)),
                (6, None),
                (7, None),
            ]),
        ),
    ]
}

fn region_headers() -> Seeds {
    let header = |region, name: &[u8]| {
        let mut raw = [0; 4096];
        let header = RegionHeader {
            region,
            name: Text::new(name).unwrap(),
            superblock: checksummed(ARRAY, 4),
        };
        header.write(&mut raw);
        raw.to_vec()
    };
    vec![
        ("a", header(Region::A, b"my-storage")),
        ("b-nameless", header(Region::B, b"")),
        ("hostile", header(Region::A, b"\x1b[31m\xff\xe2\x81\xa6")),
    ]
}

fn main_labels() -> Seeds {
    let label = |end, form, sealed, name: &[u8]| {
        let label = Label {
            end,
            array: ARRAY,
            epoch: 3,
            identity: IdentityDigest::new([0x11; 16]),
            main_sectors: Sectors::new(1 << 21),
            form,
            sealed,
            name: Text::new(name).unwrap(),
        };
        let mut raw = [0; 4096];
        label.write(&mut raw);
        raw.to_vec()
    };
    vec![
        (
            "first",
            label(End::First, MainForm::Labelled, true, b"vault"),
        ),
        ("last", label(End::Last, MainForm::Covered, true, b"vault")),
        ("unsealed", label(End::First, MainForm::Covered, false, b"")),
        (
            "hostile",
            label(
                End::Last,
                MainForm::Labelled,
                true,
                b"\x1b[31m\xff\xe2\x81\xa6",
            ),
        ),
    ]
}

fn table_blocks() -> Seeds {
    let block = |region, generation, entries: &[(u32, EntryState, u64, u16)]| {
        let mut raw = [0; 4096];
        for (at, state, main, moves) in entries {
            let entry = Entry {
                state: *state,
                main: MainBlock::new(*main),
                moves: *moves,
            };
            assert!(put_entry(&mut raw, *at, &entry));
        }
        let place = BlockPlace {
            array: ARRAY,
            region,
            index: 1,
        };
        seal_block(&mut raw, &place, Generation::new(generation));
        raw.to_vec()
    };
    let entries = [
        (0, EntryState::Active, 4711, 1),
        (1, EntryState::Retired, 99, 1),
        (2, EntryState::Active, 99, 2),
        (3, EntryState::Pending, 100, 1),
        (251, EntryState::ReplacementBad, 7, 1),
    ];
    let both = |a: Vec<u8>, b: Vec<u8>| [a, b].concat();
    let a = |generation| block(Region::A, generation, &entries);
    let b = |generation| block(Region::B, generation, &entries);
    vec![
        ("agreed", both(a(5), b(5))),
        (
            "contradiction",
            both(a(5), block(Region::B, 5, &entries[1..])),
        ),
        ("last-generation", both(a(u64::MAX), b(u64::MAX))),
        ("newer-in-b", both(a(5), b(6))),
        ("only-a", both(a(5), vec![0; 4096])),
    ]
}

fn lines(lines: &[(&'static str, &str)]) -> Seeds {
    lines
        .iter()
        .map(|(name, line)| (*name, line.as_bytes().to_vec()))
        .collect()
}

fn params_lines() -> Seeds {
    lines(&[
        (
            "all",
            "8:0 8:16 6 scrub_interval 60 block_size 4096 read_only 1",
        ),
        ("hostile", "\u{1b}[2J /dev/\u{202e}b 2 \u{1b}] 1"),
        ("paths", "/dev/disk/by-id/a /dev/disk/by-id/b"),
        ("repeated", "a b 4 read_only 1 read_only 0"),
        ("wrong-count", "a b 3 scrub_interval 0"),
    ])
}

fn status_lines() -> Seeds {
    lines(&[
        (
            "healthy",
            "1 rw healthy VVVVV 18 1204 3 1207/131072 1204 3 41 7 7 9 idle 41 3559 120 -",
        ),
        (
            "pass",
            "1 pass none ----- 0 0 0 0/0 0 0 0 0 0 0 idle - - - -",
        ),
        (
            "waiting",
            "1 ro weak V?XF- 18446744073709551615 0 0 1/64 9 9 9 9 9 9 wait:5:1500 0 - 3 cms",
        ),
        (
            "hostile",
            "1 rw \u{1b}[31m VVVVV 1 1 1 1/1 1 1 1 1 1 1 idle - - - -",
        ),
    ])
}

fn messages() -> Seeds {
    lines(&[
        ("fault", "fault main both 1000 8"),
        ("hostile", "remap \u{1b}[31m\u{200f}"),
        ("remap", "remap 4711"),
        ("remaps", "remaps"),
        ("scrub", "scrub"),
    ])
}

fn backup_files() -> Seeds {
    let saved = |at, content| SavedRange {
        at: Sector::new(at),
        content,
    };
    let file = |path: &str, ranges| {
        Backup::new(Path::new(path), IdentityDigest::new([7; 16]), SPARE, ranges)
            .unwrap()
            .encode()
            .unwrap()
    };
    let copy = |slot| Content::Raw(plain(1, "/dev/sdb").encode(slot).to_vec());
    vec![
        (
            "copies",
            file(
                "/dev/sdb",
                vec![saved(0, copy(Slot::S0)), saved(1024, copy(Slot::S1))],
            ),
        ),
        (
            "zeros",
            file("", vec![saved(0, Content::Zeros(Sectors::new(8208)))]),
        ),
        ("nothing", file("/dev/disk/by-id/x", vec![])),
    ]
}
