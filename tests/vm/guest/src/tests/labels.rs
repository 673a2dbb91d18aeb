//! A main that bears labels: nothing that lies on the device is seen on it, the device is what
//! lies between them, and no other main is taken for it.

use std::path::Path;

use super::refusals::EXT4;
use super::Test;
use crate::application::run;
use crate::block::Device;
use crate::disk::{Disk, MIB};
use crate::dm::{Line, Mapped};
use crate::kernel_log::KernelLog;
use crate::known::Known;
use crate::witness::{image, put};

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("labelled-main-shows-nothing-of-its-content", shows_nothing),
    ("labelled-main-moves-what-fails-between-the-labels", moves),
    ("labelled-main-is-taken-by-its-labels-alone", taken),
    ("labels-of-main-are-written-anew", written_anew),
];

const VAULT: &str = "/dev/mapper/vault";
const MAIN_MIB: u64 = 16;
const SPARE_MIB: u64 = 8;
/// Sectors of main before the device, and behind it.
const END: u64 = MIB;
const LABEL: usize = 4096;

/// Where others write what they know a disk by: into both ends, and to be seen from there.
const MARKS: [(u64, &[u8]); 9] = [
    (0, b"LUKS\xba\xbe\x00\x02"),
    (512, b"EFI PART"),
    (510, b"\x55\xaa"),
    (512, b"LABELONE"),
    (0, b"XFSB"),
    (4096, b"\xfc\x4e\x2b\xa9"),
    (4086, b"SWAPSPACE2"),
    (65_536 + 64, b"_BHRfS_M"),
    (1080, b"\x53\xef"),
];

struct Pair {
    main: Known,
    spare: Known,
}

impl Pair {
    /// A device that was just made of empty disks, and is up.
    fn new() -> Self {
        let pair = Self {
            main: Known::of_mib("WITNESS-main", MAIN_MIB),
            spare: Known::of_mib("WITNESS-spare", SPARE_MIB),
        };
        let (main, spare) = (pair.main.word(), pair.spare.word());
        run(&format!(
            "create vault --main {main} --spare {spare} --confirm vault"
        ))
        .done();
        pair
    }

    fn line(&self, length: u64) -> [Line; 1] {
        [Line {
            start: 0,
            length,
            target: "dm-remap-v4",
            words: format!("{} {}", self.main.word(), self.spare.word()),
        }]
    }

    fn unplug(self) {
        self.main.unplug();
        self.spare.unplug();
    }
}

/// Signatures that are found on a device.
fn signatures(word: &str) -> usize {
    let seen = run(&format!("inspect {word}"));
    let found = seen.json["signatures"].as_array();
    found.unwrap_or_else(|| panic!("{:#}", seen.json)).len()
}

fn shows_nothing(_: &mut KernelLog) {
    let pair = Pair::new();
    let whole = MAIN_MIB * MIB;
    let device = Device::open(Path::new(VAULT));
    assert_eq!(device.sectors(), whole - 2 * END);
    drop(device);
    let before = pair.main.image();
    let ends = |image: &[u8]| {
        let behind = image.len() - (END * 512) as usize;
        [
            image[..(END * 512) as usize].to_vec(),
            image[behind..].to_vec(),
        ]
    };
    assert_eq!(&ends(&before)[0][..4], b"DRML");
    EXT4.make(Path::new(VAULT));
    assert_eq!(signatures(VAULT), 1);
    assert_eq!(signatures(&pair.main.word()), 0);
    let blank = image(&pair.main.disk);
    for (at, mark) in MARKS {
        // From the front, and the same from the end, where the first of a disk are repeated.
        for from in [0, (whole - 2 * END) * 512 - 131_072] {
            let start = from + at;
            put(
                &pair.main.disk,
                END + start / 512,
                &on_sectors(start % 512, mark),
            );
        }
        assert_eq!(signatures(&pair.main.word()), 0, "{mark:02x?}");
        assert!(ends(&pair.main.image()) == ends(&before), "{mark:02x?}");
        put(&pair.main.disk, 0, &blank);
    }
    EXT4.check(Path::new(VAULT));
    run("remove vault").done();
    pair.unplug();
}

/// Whole sectors that hold `bytes` so far behind their beginning.
fn on_sectors(skip: u64, bytes: &[u8]) -> Vec<u8> {
    let mut sectors = vec![0; skip as usize];
    sectors.extend_from_slice(bytes);
    sectors.resize(sectors.len().next_multiple_of(512), 0);
    sectors
}

fn moves(_: &mut KernelLog) {
    let pair = Pair::new();
    let vault = Mapped::named("vault");
    let device = Device::open_durable(Path::new(VAULT));
    device.write_pattern(0, 4096, 1).expect("main works");
    // What fails is on main a MiB further on.
    pair.main.disk.spoil(END + 100, 16);
    device.write_pattern(90, 40, 2).expect("the spare takes it");
    drop(device);
    run("remove vault").done();
    run("reassemble vault").done();
    let device = Device::open_read_only(Path::new(VAULT));
    device.check_pattern(0, 90, 1);
    device.check_pattern(90, 40, 2);
    device.check_pattern(130, 3966, 1);
    drop(device);
    let first = super::remaps(&vault).first().map(|line| line.block.get());
    assert_eq!(first, Some(END + 100));
    pair.main.disk.heal(END + 100, 16);
    run("remove vault").done();
    pair.unplug();
}

fn taken(log: &mut KernelLog) {
    let pair = Pair::new();
    run("remove vault").done();
    let (whole, between) = (MAIN_MIB * MIB, MAIN_MIB * MIB - 2 * END);
    let mut refused = |what: &str, table: &[Line], why: &str| {
        log.skip();
        assert!(Mapped::create("vault", table).is_err(), "{what}");
        assert!(log.holds(why), "{what}");
    };
    refused("too long", &pair.line(whole), "between the labels");
    let main = pair.main.image();
    let spare = pair.spare.image();
    pair.spare.copy(&vec![0; spare.len()]);
    refused(
        "a pass-through",
        &pair.line(between),
        "labels of another device",
    );
    pair.spare.copy(&spare);
    let mut bare = main.clone();
    let last = bare.len() - LABEL;
    bare[..LABEL].fill(0);
    bare[last..].fill(0);
    pair.main.copy(&bare);
    refused("no label", &pair.line(between), "bears no label");
    pair.main.copy(&main);
    let up = Mapped::create("vault", &pair.line(between)).expect("it is as it was");
    up.remove().expect("nobody uses it");

    // Behind a bridge that tells nothing of the disk it is main all the same; a disk of another
    // name holds a copy.
    let Pair { main: known, spare } = pair;
    let disk = known.unplug();
    put(&disk, 0, &main);
    run("reassemble vault").done();
    run("remove vault").done();
    put(&disk, 0, &vec![0; main.len()]);
    disk.remove();
    let copy = Known::over("WITNESS-copy", Disk::of_mib(MAIN_MIB));
    copy.copy(&main);
    assert_eq!(run("reassemble vault").code(5), "not-confirmed");
    run("reassemble vault --confirm vault").done();
    run("remove vault").done();
    Pair { main: copy, spare }.unplug();
}

fn written_anew(_: &mut KernelLog) {
    let pair = Pair::new();
    let vault = Mapped::named("vault");
    let whole = pair.main.image();
    let last = MAIN_MIB * MIB - 8;
    for at in [0, last] {
        put(&pair.main.disk, at, &[0; LABEL]);
        vault.message(0, "scrub").expect("a scrub");
        vault.message(0, "repair").expect("a repair");
        assert!(pair.main.image() == whole, "label at {at}");
    }
    run("remove vault").done();
    pair.unplug();
}
