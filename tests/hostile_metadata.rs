//! Metadata made to do harm when it is shown: its checksums fit, its texts and numbers
//! do not mean well. Nothing of it may reach a terminal, a log or a JSON document raw.
#![cfg(test)]

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use common::{checksummed, plain, ARRAY, SPARE};
use dmremap::format::field_map::{of_copy, of_region_header, of_table_block, Field};
use dmremap::format::superblock::SuperblockCopy;
use dmremap::format::table::{RegionHeader, TableBlock};
use dmremap::inspect::{inspect, status_findings, Inspection};
use dmremap::lab::ram::RamDisk;
use dmremap::port::{BlockStore as _, DeviceInfo, LoggedEvent, Mapped, Part, Usage};
use dmremap::remap_core::bytes::Text;
use dmremap::remap_core::event::Event;
use dmremap::remap_core::layout::Region;
use dmremap::remap_core::params::Options;
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::remap_table::{self, check_block, format_block, BlockPlace};
use dmremap::remap_core::superblock::{read_copy, readdress, Content, RawCopy};
use dmremap::remap_core::units::{BlockSize, Slot, Timestamp};
use dmremap::report::style::Style;
use dmremap::report::{
    event_json, inspection_text, list_json, list_text, mapped_json, mapped_text, object, scan_text,
    Form, ListRow, ScanReport, ScanRow, Seen,
};
use dmremap::text;

/// Texts that do something to a terminal, or to whoever reads it.
const ATTACKS: [&[u8]; 12] = [
    b"\x1b]0;title\x07",
    b"\x1b[2J\x1b[1;1H",
    b"\x1bP$q\x1b\\",
    b"\x9b31m",
    "\u{9b}31m".as_bytes(),
    b"ok\r\ndevice: healthy",
    b"\x08\x08\x08\x7f",
    "/dev/\u{202e}bds\u{202c}".as_bytes(),
    "\u{2066}\u{2067}\u{2068}\u{2069}\u{200e}\u{200f}\u{61c}".as_bytes(),
    "a\u{200b}b\u{200d}c\u{feff}d\u{ad}e".as_bytes(),
    "\u{2028}\u{2029}\u{e0041}\u{fff9}".as_bytes(),
    b"\xc3\x28\xe2\x82\xf0\x9f\x92\xff\xfe",
];

/// What a field is filled with: texts of attack and every byte for long ones, the ends
/// of its range and the neighbours of its value for numbers.
fn fillings(field: &[u8]) -> Vec<Vec<u8>> {
    if field.len() > 16 {
        let bytes = (0..=u8::MAX).map(|byte| vec![byte; field.len()]);
        let attacks = ATTACKS.iter().map(|attack| {
            let mut filling = attack.repeat(field.len() / attack.len());
            filling.resize(field.len(), b' ');
            filling
        });
        return bytes.chain(attacks).collect();
    }
    let shifted = |by: u128| {
        let mut number = [0; 16];
        number[..field.len()].copy_from_slice(field);
        let number = u128::from_le_bytes(number).wrapping_add(by).to_le_bytes();
        number[..field.len()].to_vec()
    };
    vec![
        vec![0; field.len()],
        vec![0xff; field.len()],
        shifted(1),
        shifted(u128::MAX),
    ]
}

/// Calls `check` with every structure that differs from `raw` in one field, that one
/// filled with something bad.
fn spoil<const N: usize>(raw: &[u8; N], fields: &[Field], mut check: impl FnMut([u8; N])) {
    for field in fields {
        for filling in fillings(&raw[field.range()]) {
            let mut spoiled = *raw;
            spoiled[field.range()].copy_from_slice(&filling);
            check(spoiled);
        }
    }
}

fn is_inert(shown: &str) {
    assert!(text::shows_as_is(shown), "{shown:?}");
    let json = serde_json::to_string(shown).unwrap();
    assert!(text::shows_as_is(&json), "{json:?}");
}

fn fields_are_inert(fields: &[Field]) {
    for field in fields {
        is_inert(&field.name);
        is_inert(&field.value);
    }
}

fn copies() -> [RawCopy; 2] {
    [
        checksummed(ARRAY, 7).encode(Slot::S2),
        plain(1, "/dev/sdb").encode(Slot::S2),
    ]
}

#[test]
fn every_field_of_a_copy_is_shown_without_harm() {
    for raw in copies() {
        let mut shown = 0;
        spoil(&raw, &of_copy(&raw), |raw| {
            let sealed = SuperblockCopy::fields_of(&raw).sealed().encode();
            for raw in [raw, sealed] {
                fields_are_inert(&of_copy(&raw));
                match read_copy(&raw, Slot::S2) {
                    Content::Flawed(flaw) => is_inert(&flaw.to_string()),
                    Content::Unsupported { why, .. } => is_inert(&why.to_string()),
                    _ => {}
                }
                shown += 1;
            }
        });
        // Four texts of 268 fillings each, twice, and the rest.
        assert!(shown > 2 * 4 * 268, "only {shown} copies were shown");
    }
}

/// A checksum that fits makes hostile text credible: it is read, and shown escaped.
#[test]
fn credible_text_is_shown_escaped() {
    for attack in ATTACKS {
        let mut superblock = checksummed(ARRAY, 7);
        superblock.main_path = Text::new(attack).unwrap();
        let raw = superblock.encode(Slot::S0);
        assert_eq!(
            read_copy(&raw, Slot::S0),
            Content::Checksummed(superblock),
            "{attack:02x?}"
        );
        let fields = of_copy(&raw);
        let field = fields
            .iter()
            .find(|field| field.name == "main_path")
            .unwrap();
        assert_eq!(field.value, text::escape(attack));
        assert!(field.value.contains('\\'), "{}", field.value);
    }
}

#[test]
fn every_field_of_a_region_header_is_shown_without_harm() {
    let mut raw = [0; 4096];
    let header = remap_table::RegionHeader {
        region: Region::A,
        name: Text::new(b"my-storage").unwrap(),
        superblock: checksummed(ARRAY, 7),
    };
    header.write(&mut raw);
    spoil(&raw, &of_region_header(&raw), |raw| {
        let mut header = RegionHeader::fields_of(&raw);
        header.superblock = header.superblock.sealed();
        let raw = header.sealed().encode();
        fields_are_inert(&of_region_header(&raw));
        if let Err(flaw) = remap_table::RegionHeader::read(&raw, Region::A) {
            is_inert(&flaw.to_string());
        }
    });
}

#[test]
fn every_field_of_a_table_block_is_shown_without_harm() {
    let place = BlockPlace {
        array: ARRAY,
        region: Region::B,
        index: 3,
    };
    let mut raw = [0; 4096];
    format_block(&mut raw, &place);
    // The front and the first two entries: the other entries are laid out like them.
    let fields = &of_table_block(&raw)[..20];
    spoil(&raw, fields, |raw| {
        let raw = TableBlock::fields_of(&raw).sealed().encode();
        fields_are_inert(&of_table_block(&raw)[..20]);
        if let Err(flaw) = check_block(&raw, &place) {
            is_inert(&flaw.to_string());
        }
    });
}

/// A spare whose five copies all say what `raw` says, as it lies at a path that does
/// not mean well either.
fn seen_on_a_spare(raw: &RawCopy, header: Option<&[u8; 4096]>) -> Inspection {
    let mut disk = RamDisk::new(SPARE);
    for slot in Slot::ALL {
        let copy = readdress(raw, slot);
        disk.write_at(slot.sector(), &copy).unwrap();
        if let (Some(header), Content::Checksummed(superblock)) = (header, read_copy(&copy, slot)) {
            let at = superblock.layout().unwrap().region_start(Region::A);
            disk.write_at(at, header).unwrap();
        }
    }
    inspect(&disk, hostile_path())
}

/// What else a host may tell: names of files, of mapped devices, of who uses them.
const HOSTILE: &str = "x\u{1b}[31m\u{202e}y\n";

fn hostile_path() -> &'static Path {
    Path::new(OsStr::from_bytes(b"/dev/\x1b[31m\xe2\x80\xae\xff\n"))
}

/// Everything that is told of a spare: each report, as JSON and as text.
fn reports(seen: &Inspection) -> Vec<String> {
    let row = |usage| ListRow {
        info: DeviceInfo {
            path: seen.path.clone(),
            name: HOSTILE.to_owned(),
            size: seen.size,
            logical_block: BlockSize::B512,
            read_only: false,
            usage,
            faults: 0,
            properties: None,
        },
        seen: Ok(std::sync::Arc::new(seen.clone())),
        finding: None,
    };
    let part = Usage::Mapped {
        name: HOSTILE.to_owned(),
        part: Part::Spare,
    };
    let rows = [Usage::Free, Usage::InUse(HOSTILE.to_owned()), part].map(row);
    let scanned = |form| [ScanRow::new(seen.path.clone(), &Ok(seen.clone()), form)];
    let mut reports = vec![
        object("inspect", Seen::new(seen)).to_string(),
        object("list", list_json(&rows)).to_string(),
        object("scan", ScanReport::new(&scanned(Form::Json))).to_string(),
    ];
    for ascii in [false, true] {
        let style = Style {
            ascii,
            color: false,
        };
        reports.push(inspection_text(seen, style, true));
        reports.push(list_text(&rows, style));
        for verbose in [false, true] {
            let rows = scanned(Form::Text { style, verbose });
            reports.push(scan_text(&rows));
        }
    }
    reports
}

fn reports_are_inert(seen: &Inspection) {
    for report in reports(seen) {
        for line in report.lines() {
            assert!(text::shows_as_is(line), "{line:?}");
        }
    }
}

#[test]
fn every_field_of_a_copy_is_reported_without_harm() {
    for raw in copies() {
        let mut healthy = 0;
        spoil(&raw, &of_copy(&raw), |raw| {
            let sealed = SuperblockCopy::fields_of(&raw).sealed().encode();
            let seen = seen_on_a_spare(&sealed, None);
            healthy += u32::from(seen.judgement.verdict == Verdict::Healthy);
            reports_are_inert(&seen);
            reports_are_inert(&seen_on_a_spare(&raw, None));
        });
        // Most hostile texts are credible, so that the reports had to show them.
        assert!(healthy > 4 * 90, "only {healthy} spares were believed");
    }
}

#[test]
fn hostile_names_are_reported_without_harm() {
    let fields = of_region_header(&[0; 4096]);
    let name = fields.iter().find(|field| field.name == "name").unwrap();
    let names = fillings(&[0; 128]);
    assert_eq!(names[0].len(), name.len);
    for filling in names {
        let superblock = checksummed(ARRAY, 7);
        let mut raw = [0; 4096];
        let header = remap_table::RegionHeader {
            region: Region::A,
            name: Text::EMPTY,
            superblock,
        };
        header.write(&mut raw);
        let mut header = RegionHeader::fields_of(&raw);
        header.front.name_length = 127;
        header.front.name = filling.as_slice().try_into().unwrap();
        let raw = header.sealed().encode();
        let seen = seen_on_a_spare(&superblock.encode(Slot::S0), Some(&raw));
        assert_eq!(seen.judgement.verdict, Verdict::Healthy);
        reports_are_inert(&seen);
        // A name that device-mapper would not take is told, and never used.
        let taken = |c: char| c.is_ascii_alphanumeric() || "#+-.:=@_".contains(c);
        assert!(seen.name.iter().all(|name| name.chars().all(taken)));
    }
}

#[test]
fn hostile_names_of_mapped_devices_are_reported_without_harm() {
    let status = "1 ro weak V?XF- 18 1 2 3/64 9 9 9 9 9 9 wait:5:1500 0 - 3 cms";
    let device = Mapped {
        name: HOSTILE.to_owned(),
        main: hostile_path().to_owned(),
        spare: hostile_path().to_owned(),
        size: SPARE,
        block_size: BlockSize::B512,
        options: Options::default(),
        status: status.parse().unwrap(),
    };
    let findings = status_findings(&device);
    assert!(!findings.is_empty());
    let event = LoggedEvent {
        id: 1,
        time: Timestamp::new(u64::MAX),
        device: HOSTILE.to_owned(),
        event: Event::ScrubClean,
    };
    let reports = [
        mapped_json(&device, &findings).to_string(),
        mapped_text(&device, &findings, Style::default()),
        event_json(&event).to_string(),
    ];
    for line in reports.iter().flat_map(|report| report.lines()) {
        assert!(text::shows_as_is(line), "{line:?}");
    }
}
