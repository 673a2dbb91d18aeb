//! What others wrote on a device: named, refused, and the last thing a main is known by.
#![cfg(feature = "blkid")]

use std::path::Path;

use serde_json::Value;

use crate::images::put;
use crate::{Bench, Ran};

const SECTORS: u64 = 16_384;

/// Puts swap space on an image: nothing of it shows at the beginning of a slot.
fn make_swap(image: &Path) {
    let mut page = vec![0; 4096];
    page[1024..1028].copy_from_slice(&1u32.to_le_bytes());
    page[1028..1032].copy_from_slice(&255u32.to_le_bytes());
    page[1036..1052].copy_from_slice(&[0x22; 16]);
    page[4086..].copy_from_slice(b"SWAPSPACE2");
    put(image, 0, &page);
}

/// Puts the header of an encrypted volume on an image.
fn make_luks(image: &Path, uuid: &str) {
    let mut header = vec![0; 1024];
    header[..6].copy_from_slice(b"LUKS\xba\xbe");
    header[6..8].copy_from_slice(&1u16.to_be_bytes());
    header[168..168 + uuid.len()].copy_from_slice(uuid.as_bytes());
    put(image, 0, &header);
}

fn in_lab(bench: &Bench, words: &str) -> Ran {
    bench.in_lab(words)
}

fn device<'a>(list: &'a Value, name: &str) -> &'a Value {
    let devices = list["devices"].as_array().unwrap();
    devices
        .iter()
        .find(|device| device["name"] == name)
        .unwrap()
}

#[test]
fn a_spare_with_a_signature_is_refused_by_its_name_and_taken_on_request() {
    let bench = Bench::new();
    bench.image("main.img", 2 * SECTORS);
    make_swap(&bench.image("spare.img", SECTORS));
    let words = "create vault --main main.img --spare spare.img --confirm spare.img --json";
    let (changed, ran) = bench.is_changed_by("spare.img", words);
    assert_eq!((ran.status, changed), (5, false), "{}", ran.stderr);
    let error = ran.error();
    assert_eq!(error["code"], "spare-not-empty");
    assert!(
        error["message"].as_str().unwrap().contains("swap"),
        "{error}"
    );
    let ran = bench.run(&format!("{words} --replace"));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
}

#[test]
fn a_disk_that_firmware_boots_from_is_no_main_as_a_whole() {
    /// Flags and type of a partition.
    type Entry = (u8, u8);
    /// An MBR with these partitions, a MiB each.
    fn make_table(image: &Path, entries: &[Entry]) {
        let mut sector = vec![0; 512];
        let places = sector[446..].chunks_exact_mut(16).zip(entries).zip(1u32..);
        for ((place, (flags, kind)), number) in places {
            (place[0], place[4]) = (*flags, *kind);
            place[8..12].copy_from_slice(&(number * 2048).to_le_bytes());
            place[12..16].copy_from_slice(&2048u32.to_le_bytes());
        }
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        put(image, 0, &sector);
    }
    let words = "create vault --main main.img --spare spare.img --confirm vault --json";
    let cases: [(&[Entry], Option<&str>); 4] = [
        (&[(0, 0x83), (0, 0x8e)], None),
        (&[(0, 0xef), (0, 0x83), (0, 0x8e)], Some("main: 2, 3.")),
        (&[(0, 0x83), (0x80, 0x83)], Some("main: 1.")),
        (&[(0x80, 0x83)], Some("another disk")),
    ];
    for (entries, advice) in cases {
        let bench = Bench::new();
        make_table(&bench.image("main.img", 5 * 2048), entries);
        bench.image("spare.img", SECTORS);
        let (changed, ran) = bench.is_changed_by("spare.img", words);
        let Some(advice) = advice else {
            assert_eq!((ran.status, changed), (0, true), "{}", ran.stderr);
            continue;
        };
        assert_eq!((ran.status, changed), (5, false), "{entries:?}");
        let error = ran.error();
        assert_eq!(error["code"], "boot-disk");
        let told = error["advice"].as_str().unwrap();
        assert!(told.contains(advice), "{told}");
        let bare = bench.run(&format!("{words} --bare"));
        assert_eq!(bare.status, 0, "{}", bare.stderr);
    }
}

/// Lets an image be known by a file system with a mirror, an array and a partition table,
/// each of which also has something at the end of the image or far inside.
fn make_everything(image: &Path, sectors: u64) {
    make_swap(image);
    for sector in [128, 131_072] {
        let mut superblock = vec![0; 4096];
        superblock[32..48].copy_from_slice(&[0x33; 16]);
        superblock[64..72].copy_from_slice(b"_BHRfS_M");
        put(image, sector, &superblock);
    }
    for sector in [1, sectors - 1] {
        put(image, sector, b"EFI PART\0\0\x01\0\x5c\0\0\0");
    }
    let end = (sectors - 16) & !7;
    for at in [8, end] {
        let mut superblock = vec![0; 512];
        superblock[..8].copy_from_slice(&[0xfc, 0x4e, 0x2b, 0xa9, 1, 0, 0, 0]);
        superblock[16..32].copy_from_slice(&[0x44; 16]);
        superblock[144..152].copy_from_slice(&u64::to_le_bytes(at));
        put(image, at, &superblock);
    }
}

#[test]
fn nothing_is_left_by_which_others_would_know_a_spare_and_all_of_it_comes_back() {
    const LARGE: u64 = (80 << 20) / 512;
    let bench = Bench::new();
    bench.image("main.img", SECTORS);
    make_everything(&bench.image("spare.img", LARGE), LARGE);
    let before = bench.bytes("spare.img");
    let words = "create vault --main main.img --spare spare.img --replace";
    let plan = bench.run(&format!("{words} --dry-run --json"));
    let writes = plan.json("create")["plan"]["writes"].to_string();
    for sector in [1, 7, 8, 128, 131_072] {
        assert!(
            writes.contains(&format!(":{sector},")),
            "{sector}: {writes}"
        );
    }
    let ran = bench.run(&format!("{words} --confirm spare.img"));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(!ran.stdout.contains("still known"), "{}", ran.stdout);
    let seen = bench.run("inspect spare.img --json").json("inspect");
    assert_eq!(seen["verdict"], "healthy");
    let after = bench.bytes("spare.img");
    let at = |sector: u64| &after[sector as usize * 512..][..512];
    for sector in [1, 7, 8, 128, 131_072] {
        assert!(at(sector).iter().all(|byte| *byte == 0), "{sector}");
    }
    assert!(!at(LARGE - 1).starts_with(b"EFI PART"));
    assert!(!at((LARGE - 16) & !7).starts_with(&[0xfc, 0x4e, 0x2b, 0xa9]));
    assert_eq!(bench.run("undo --confirm vault").status, 0);
    assert!(bench.bytes("spare.img") == before);
}

#[test]
fn inspect_and_list_name_what_lies_on_a_device() {
    let bench = Bench::new();
    let uuid = "6fd2f3a8-0f57-4f2c-9f5e-2d5a8f0a1b2c";
    make_luks(&bench.image("luks.img", SECTORS), uuid);
    let seen = bench.run("inspect luks.img --json").json("inspect");
    let signature = &seen["signatures"][0];
    assert_eq!(signature["type"], "crypto_LUKS");
    assert_eq!(signature["usage"], "crypto");
    assert_eq!(signature["uuid"], uuid);
    assert!(bench.run("inspect luks.img").stdout.contains("crypto_LUKS"));
    assert_eq!(in_lab(&bench, "list").status, 0);
    std::fs::rename(bench.path("luks.img"), bench.path("lab/disks/luks.img")).unwrap();
    let ran = in_lab(&bench, "list --json");
    let list = ran.json("list");
    assert_eq!(
        device(&list, "luks")["signatures"][0]["type"],
        "crypto_LUKS"
    );
    assert_eq!(device(&list, "luks")["kind"], "image");
    let blank = &device(&list, "disk-f")["signatures"];
    assert!(blank.as_array().is_some_and(Vec::is_empty), "{blank}");
    assert!(in_lab(&bench, "list").stdout.contains("crypto_LUKS"));
}

#[test]
fn a_main_without_a_serial_number_is_known_by_what_lies_on_it() {
    let bench = Bench::new();
    assert_eq!(in_lab(&bench, "list").status, 0);
    let disks = bench.path("lab/disks");
    let image = |name: &str| bench.image(&format!("lab/disks/{name}.img"), 2 * SECTORS);
    make_luks(&image("mine"), "11111111-2222-3333-4444-555555555555");
    make_luks(&image("other"), "99999999-2222-3333-4444-555555555555");
    let made = in_lab(
        &bench,
        "create safe --main lab/disks/mine.img --spare disk-h --confirm safe",
    );
    assert_eq!(made.status, 0, "{}", made.stderr);
    assert_eq!(in_lab(&bench, "remove safe").status, 0);

    // Wherever it is now, it is found.
    std::fs::rename(disks.join("mine.img"), disks.join("moved.img")).unwrap();
    let found = in_lab(&bench, "reassemble safe");
    assert_eq!(found.status, 0, "{}", found.stderr);
    assert_eq!(in_lab(&bench, "remove safe").status, 0);

    // A new file system: it takes the operator's word, and the word must be typed.
    make_luks(
        &disks.join("moved.img"),
        "77777777-2222-3333-4444-555555555555",
    );
    let lost = in_lab(&bench, "reassemble safe --json");
    assert_eq!(
        (lost.status, &lost.error()["code"]),
        (5, &"main-unknown".into())
    );
    let named = "reassemble safe --main lab/disks/moved.img --json";
    let unconfirmed = in_lab(&bench, named);
    assert_eq!(unconfirmed.status, 5);
    assert_eq!(unconfirmed.error()["code"], "not-confirmed");
    let confirmed = in_lab(&bench, &format!("{named} --confirm safe"));
    assert_eq!(confirmed.status, 0, "{}", confirmed.stderr);
    assert_eq!(in_lab(&bench, "remove safe").status, 0);

    // Known anew, it is found again.
    let known = in_lab(
        &bench,
        "write-metadata --main lab/disks/moved.img --spare disk-h --name safe --confirm safe",
    );
    assert_eq!(known.status, 0, "{}", known.stderr);
    assert_eq!(in_lab(&bench, "reassemble safe").status, 0);
}
