//! A main that is covered while it is in use: what it shows, what is served, and how it is had
//! back.

use std::path::Path;
use std::thread;

use super::refusals::EXT4;
use super::{status, table, Test};
use crate::application::run;
use crate::block::Device;
use crate::disk::{Disk, Shape, MIB};
use crate::dm::Mapped;
use crate::file_system::Tree;
use crate::kernel_log::{KernelLog, Quiet};
use crate::known::Known;
use crate::random::Random;
use crate::witness::image;

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("covered-main-of-a-mounted-file-system", mounted),
    ("covered-main-keeps-its-labels-from-discards", discards),
    ("covered-main-is-covered-while-it-is-written", while_written),
];

const VAULT: &str = "/dev/mapper/vault";
const LABEL: usize = 4096;
/// Bytes of an end of main.
const END: usize = (MIB * 512) as usize;

/// Fails where the ends of a disk show anything but labels.
fn expect_nothing_seen(image: &[u8]) {
    let last = image.len() - LABEL;
    assert_eq!(&image[..4], b"DRML");
    assert_eq!(&image[last..last + 4], b"DRML");
    let around = image[LABEL..END]
        .iter()
        .chain(&image[image.len() - END..last]);
    assert!(around.clone().all(|byte| *byte == 0), "something is seen");
}

fn signatures(word: &str) -> usize {
    let seen = run(&format!("inspect {word}"));
    let found = seen.json["signatures"].as_array();
    found.unwrap_or_else(|| panic!("{:#}", seen.json)).len()
}

fn mounted(_: &mut KernelLog) {
    let _quiet = Quiet::new();
    let main = Known::of_mib("WITNESS-main", 64);
    let spare = Known::of_mib("WITNESS-spare", 16);
    let (main_word, spare_word) = (main.word(), spare.word());
    run(&format!(
        "create vault --main {main_word} --spare {spare_word} --bare --confirm vault"
    ))
    .done();
    let vault = Path::new(VAULT);
    EXT4.make(vault);
    EXT4.mount(vault);
    assert_eq!(signatures(&main_word), 1, "others see it before");
    let mut tree = Tree::plant();
    let mut random = Random::new(64);
    thread::scope(|scope| {
        let work = scope.spawn(|| tree.exercise(&mut random, 200));
        run("cover vault --confirm vault").done();
        work.join().expect("the work ends");
    });
    expect_nothing_seen(&main.image());
    assert_eq!(signatures(&main_word), 0);
    tree.check_all();
    // Nobody misses blocks of its ends.
    main.disk.spoil(100, 16);
    tree.exercise(&mut random, 200);
    tree.check_all();
    EXT4.unmount();
    EXT4.check(vault);
    run("remove vault").done();
    run("reassemble vault").done();
    EXT4.mount(vault);
    tree.check_all();
    // What main does not take stays on the spare, until it does.
    run("uncover vault --confirm vault").done();
    tree.exercise(&mut random, 100);
    tree.check_all();
    main.disk.heal(100, 16);
    run("uncover vault --confirm vault").done();
    EXT4.unmount();
    EXT4.check(vault);
    assert_eq!(signatures(&main_word), 1);
    let (shown, held) = (image_of(vault), main.image());
    for range in [0..END, held.len() - END..held.len()] {
        assert!(shown[range.clone()] == held[range], "main is as it was");
    }
    run("remove vault").done();
    main.unplug();
    spare.unplug();
}

/// Every byte of a device.
fn image_of(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("it can be read")
}

fn discards(_: &mut KernelLog) {
    let disk = |mib| {
        Disk::new(&Shape {
            mib,
            discards: true,
            ..Shape::default()
        })
    };
    let (main, spare) = (disk(16), disk(16));
    let words = format!("{} {}", main.word(), spare.word());
    let joined =
        Mapped::create("joined", &table(16 * MIB, words)).expect("main and spare are joined");
    joined.message(0, "write_metadata").expect("metadata");
    let device = Device::open_durable(&joined.path());
    device.write_pattern(0, 16 * MIB, 1).expect("it works");
    joined.message(0, "cover").expect("main is covered");
    expect_nothing_seen(&image(&main));
    // In one piece and in small ones, across both boundaries.
    device.discard(0, 16 * MIB).expect("a discard ends well");
    device.discard(MIB - 64, 128).expect("a discard ends well");
    device
        .discard(15 * MIB - 64, 128)
        .expect("a discard ends well");
    let now = image(&main);
    expect_nothing_seen(&now);
    let between = &now[END..now.len() - END];
    assert!(
        between.iter().all(|byte| *byte == 0),
        "the rest was discarded"
    );
    device.check_pattern(0, MIB, 1);
    device.check_pattern(15 * MIB, MIB, 1);
    drop(device);
    joined.message(0, "uncover").expect("main is uncovered");
    let device = Device::open(&joined.path());
    device.discard(0, 16 * MIB).expect("a discard ends well");
    drop(device);
    assert!(image(&main).iter().all(|byte| *byte == 0), "as before");
    joined.remove().expect("nobody uses it");
}

fn while_written(_: &mut KernelLog) {
    const ROUNDS: u64 = 12;
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(32));
    let words = format!("{} {}", main.word(), spare.word());
    let joined =
        Mapped::create("joined", &table(16 * MIB, words)).expect("main and spare are joined");
    joined.message(0, "write_metadata").expect("metadata");
    let write = |round: u64| {
        let device = Device::open_durable(&joined.path());
        for at in [0, 512, MIB - 128, 15 * MIB - 128, 16 * MIB - 256] {
            device.write_pattern(at, 256, round).expect("it works");
        }
    };
    write(0);
    for round in 1..=ROUNDS {
        let message = if round % 2 == 1 { "cover" } else { "uncover" };
        thread::scope(|scope| {
            let work = scope.spawn(|| write(round));
            joined.message(0, message).expect(message);
            work.join().expect("the writes end");
        });
        let device = Device::open_read_only(&joined.path());
        for at in [0, 512, MIB - 128, 15 * MIB - 128, 16 * MIB - 256] {
            device.check_pattern(at, 256, round);
        }
        drop(device);
        if round % 2 == 1 {
            expect_nothing_seen(&image(&main));
        } else {
            assert_eq!(status(&joined).active.get(), 0);
            assert_eq!(status(&joined).used.get(), 0);
        }
    }
    joined.remove().expect("nobody uses it");
}
