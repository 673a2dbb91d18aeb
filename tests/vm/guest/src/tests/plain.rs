//! What existing tools wrote, on disks: read as they meant it, left alone where data may
//! lie, and after a migration still to be read by whoever knows plain v4 alone.

use super::Test;
use crate::application::run;
use crate::block::{Buffer, Device};
use crate::disk::{Disk, Shape};
use crate::kernel_log::KernelLog;
use crate::log_writes::{Event, Logged};
use crate::remap_core::units::Sectors;
use crate::witness::{put, Witness};

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("application-reads-what-existing-tools-wrote", reads),
    ("application-migrates-nothing-that-may-be-data", refuses),
    (
        "application-migrates-what-plain-readers-still-read",
        migrates,
    ),
];

macro_rules! copies {
    ($name:literal) => {
        [
            include_bytes!(concat!(
                "../../../../fixtures/plain-v4/",
                $name,
                "-copy0.bin"
            )),
            include_bytes!(concat!(
                "../../../../fixtures/plain-v4/",
                $name,
                "-copy1.bin"
            )),
            include_bytes!(concat!(
                "../../../../fixtures/plain-v4/",
                $name,
                "-copy2.bin"
            )),
            include_bytes!(concat!(
                "../../../../fixtures/plain-v4/",
                $name,
                "-copy3.bin"
            )),
            include_bytes!(concat!(
                "../../../../fixtures/plain-v4/",
                $name,
                "-copy4.bin"
            )),
        ]
    };
}

/// The copies of a spare `/dev/sdb` of `/dev/sda`.
pub const SDA_SDB: [&[u8; 512]; 5] = copies!("sda-sdb");

/// The same where the path of the spare is not absolute.
const SDA_RELATIVE: [&[u8; 512]; 5] = copies!("sda-relative");

/// What an older kernel module wrote at sectors of its own, in a layout of its own.
const REFERENCE_KERNEL: &[u8] =
    include_bytes!("../../../../fixtures/other/reference-kernel-84288.bin");

/// Where the copies lie, by the tools that wrote them.
const SLOTS: [u64; 5] = [0, 1024, 2048, 4096, 8192];

const MAIN_SECTORS: u64 = 2_097_152;
const SPARE_SECTORS: u64 = 1_048_576;

/// A disk as large as the copies say that their spare is, and the copies on it.
pub fn spare_with(copies: &[&[u8; 512]; 5]) -> Disk {
    let spare = Disk::new(&Shape {
        mib: SPARE_SECTORS / 2048,
        ..Shape::default()
    });
    for (at, copy) in SLOTS.into_iter().zip(copies) {
        put(&spare, at, *copy);
    }
    spare
}

/// Everything but the copies that could be overwritten, as much as a test reads again.
fn check_blank_but_copies(spare: &Disk) {
    let device = Device::open_read_only(spare.path());
    for (from, to) in [
        (1, 1024),
        (1025, 2048),
        (2049, 4096),
        (4097, 8192),
        (8193, 65_536),
    ] {
        device.check_zero(from, to - from);
    }
    device.check_zero(SPARE_SECTORS - 65_536, 65_536);
}

/// What somebody who knows plain v4 alone reads: copy 0, by the offsets of its fields.
#[derive(Debug, PartialEq, Eq)]
struct PlainReader {
    main: String,
    spare: String,
    main_uuid: String,
    spare_uuid: String,
    main_sectors: u64,
    spare_sectors: u64,
    sector_size: u32,
}

impl PlainReader {
    /// Nothing where copy 0 has not the magic and the version.
    fn read(spare: &Disk) -> Option<Self> {
        let mut copy = Buffer::sectors(1);
        let device = Device::open_read_only(spare.path());
        device.read(0, &mut copy).expect("the spare reads");
        let copy = copy.bytes();
        let u32_at = |at: usize| u32::from_le_bytes(copy[at..at + 4].try_into().unwrap());
        let u64_at = |at: usize| u64::from_le_bytes(copy[at..at + 8].try_into().unwrap());
        let text_at = |at: usize, length| {
            let text = String::from_utf8_lossy(&copy[at..at + length]).into_owned();
            text.trim_matches([' ', '\0']).to_owned()
        };
        if (u32_at(0), u32_at(4)) != (0x444d_5234, 4) {
            return None;
        }
        Some(Self {
            main: text_at(144, 128),
            spare: text_at(272, 128),
            main_uuid: text_at(40, 37),
            spare_uuid: text_at(77, 37),
            main_sectors: u64_at(114),
            spare_sectors: u64_at(122),
            sector_size: u32_at(130),
        })
    }
}

fn reads(_: &mut KernelLog) {
    for (copies, spare_path) in [(&SDA_SDB, "/dev/sdb"), (&SDA_RELATIVE, "sdb")] {
        let spare = spare_with(copies);
        let seen = run(&format!("inspect {}", spare.word()));
        let json = &seen.json;
        assert_eq!(
            (seen.status, &json["verdict"]),
            (0, &"healthy".into()),
            "{json:#}"
        );
        let copies = json["copies"].as_array().expect("five copies");
        assert!(
            copies.iter().all(|copy| copy["state"] == "plain"),
            "{json:#}"
        );
        assert_eq!(json["working_sequence"], 1);
        let fields = &json["fields"];
        for (field, value) in [("main_path", "/dev/sda"), ("spare_path", spare_path)] {
            assert_eq!(fields[field], value, "{json:#}");
        }
        for (field, value) in [
            ("main_sectors", MAIN_SECTORS),
            ("spare_sectors", SPARE_SECTORS),
            ("timestamp_seconds", 1_761_264_000),
        ] {
            assert_eq!(fields[field], value, "{field}: {json:#}");
        }
        for field in ["name", "array_uuid"] {
            assert!(fields[field].is_null(), "{field}: {json:#}");
        }
        let findings = json["findings"].as_array().expect("findings");
        let found = |id: &str| findings.iter().any(|finding| finding["id"] == id);
        assert!(found("plain-format"), "{json:#}");
        assert_eq!(found("path-not-absolute"), spare_path == "sdb", "{json:#}");
        check_blank_but_copies(&spare);
        spare.remove();
    }
    let spare = Disk::of_mib(8);
    for at in [0, 256, 512, 768, 1024] {
        put(&spare, at, REFERENCE_KERNEL);
    }
    let seen = run(&format!("inspect {}", spare.word()));
    let json = &seen.json;
    assert_eq!(
        (seen.status, &json["verdict"]),
        (4, &"unsupported".into()),
        "{json:#}"
    );
    assert_eq!(json["findings"][0]["id"], "unsupported-layout", "{json:#}");
}

fn refuses(_: &mut KernelLog) {
    let migrate = |spare: &Disk, code: &str, says: &str| {
        let name = spare.word().trim_start_matches("/dev/");
        let words = format!("migrate {} --name vault --confirm {name}", spare.word());
        let refused = run(&words);
        assert_eq!(refused.code(5), code, "{refused:?}");
        let text = format!("{} {}", refused.json["message"], refused.json["advice"]);
        assert!(text.contains(says), "{says:?} is not in {refused:?}");
    };
    // An older module wrote there: what it moved may lie from sector 0 on.
    let older = Disk::of_mib(8);
    for at in [0, 256, 512, 768, 1024] {
        put(&older, at, REFERENCE_KERNEL);
    }
    let witness = Witness::of(&[&older]);
    migrate(&older, "unsupported-layout", "Save that with the module");
    witness.check("an older layout");

    let spare = spare_with(&SDA_SDB);
    // It wrote its copies anew over those of the tools, and these are back in slot 1 to 4.
    put(&spare, 0, REFERENCE_KERNEL);
    migrate(&spare, "unsupported-layout", "may hold remapped user data");
    put(&spare, 0, SDA_SDB[0]);
    // Behind the last slot lies where the table would; at the end of the spare its other half.
    for at in [8208, SPARE_SECTORS - 16] {
        put(&spare, at, &[0x5a; 512]);
        migrate(&spare, "data-in-the-way", &format!("Sector {at} "));
        Device::open_read_only(spare.path()).check_zero(at + 1, 8);
        put(&spare, at, &[0; 512]);
        check_blank_but_copies(&spare);
    }
    for (at, copy) in SLOTS.into_iter().zip(SDA_SDB) {
        assert_eq!(sector(&spare, at), copy, "copy at {at}");
    }
}

fn sector(spare: &Disk, at: u64) -> Vec<u8> {
    let mut buffer = Buffer::sectors(1);
    let device = Device::open_read_only(spare.path());
    device.read(at, &mut buffer).expect("the spare reads");
    buffer.bytes().to_vec()
}

fn migrates(_: &mut KernelLog) {
    let spare = spare_with(&SDA_SDB);
    let before = PlainReader::read(&spare).expect("they are plain v4");
    assert_eq!(before.main, "/dev/sda");
    assert_eq!(before.spare_sectors, SPARE_SECTORS);

    let logged = Logged::new(&spare, Sectors::new(1 << 18));
    let path = logged.path();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let migrate = format!("migrate {} --name vault --confirm {name}", path.display());
    run(&migrate).done();
    let slots = logged.finish().into_iter().filter_map(|event| match event {
        Event::Write { at, .. } if SLOTS.contains(&at.get()) => Some(at.get()),
        _ => None,
    });
    let order: Vec<u64> = slots.collect();
    assert_eq!(order.last(), Some(&0), "copy 0 comes last: {order:?}");
    assert_eq!(
        order.len(),
        SLOTS.len(),
        "each copy is written once: {order:?}"
    );

    let after = PlainReader::read(&spare).expect("plain readers read it");
    assert_eq!(after, before);
    let inspect = format!("inspect {}", spare.word());
    let seen = run(&inspect).done();
    assert_eq!(seen["working_sequence"], 2);
    assert_eq!(seen["fields"]["name"], "vault");

    let main = Disk::new(&Shape {
        mib: MAIN_SECTORS / 2048,
        ..Shape::default()
    });
    let write = format!(
        "write-metadata --main {} --spare {} --name vault --confirm vault",
        main.word(),
        spare.word()
    );
    run(&write).done();
    let written = PlainReader::read(&spare).expect("plain readers read it");
    let now = PlainReader {
        main: main.word().to_owned(),
        spare: spare.word().to_owned(),
        ..after
    };
    assert_eq!(written, now);
    assert_eq!(run(&inspect).done()["working_sequence"], 3);
}
