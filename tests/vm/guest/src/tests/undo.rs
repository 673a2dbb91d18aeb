//! Every action that writes to a disk is taken back, byte for byte.

use super::refusals::EXT4;
use super::Test;
use crate::application::run;
use crate::disk::Disk;
use crate::kernel_log::KernelLog;
use crate::remap_core::units::Slot;
use crate::witness::{image, put, Witness};

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("application-takes-back-what-it-set-up", set_up),
    ("application-takes-back-what-it-damaged", damage),
    ("application-takes-back-what-it-replaced", replaced),
];

/// Runs a command that must change the spare, and takes it back.
fn there_and_back(disks: &[&Disk], spare: &Disk, words: &str) {
    let witness = Witness::of(disks);
    let before = image(spare);
    run(words).done();
    assert_ne!(image(spare), before, "{words} changed nothing");
    // What is typed follows from what lies there now: the plan tells it.
    let plan = run("undo --dry-run").done();
    let token = plan["plan"]["token"].as_str().expect("something is typed");
    run(&format!("undo --confirm {token}")).done();
    witness.check(words);
}

fn set_up(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let pair = format!("--main {} --spare {}", main.word(), spare.word());
    let disks = [&main, &spare];
    // The device that it brought up is taken down again.
    let create = format!("create vault {pair} --bare --confirm vault");
    there_and_back(&disks, &spare, &create);
    let write = format!("write-metadata {pair} --name vault --confirm vault");
    there_and_back(&disks, &spare, &write);
    run(&write).done();
    there_and_back(&disks, &spare, &write);
    run(&format!(
        "corrupt {} --copy 1,2 --kind random --confirm vault",
        spare.word()
    ))
    .done();
    let repair = format!("repair {} --confirm vault", spare.word());
    there_and_back(&disks, &spare, &repair);
}

fn damage(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    run(&format!(
        "write-metadata --main {} --spare {} --name vault --confirm vault",
        main.word(),
        spare.word()
    ))
    .done();
    for kind in [
        "bit-flip",
        "random",
        "zero",
        "torn",
        "stale",
        "checksum",
        "swapped",
        "foreign",
        "truncated-text",
        "ahead",
        "rival",
        "alien",
    ] {
        let words = format!(
            "corrupt {} --copy 0,1,2,3,4 --kind {kind} --seed 9 --confirm vault",
            spare.word()
        );
        there_and_back(&[&main, &spare], &spare, &words);
    }
}

fn replaced(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let disks = [&main, &spare];
    let name = spare.word().trim_start_matches("/dev/");
    let create = format!(
        "create vault --main {} --spare {} --bare --replace",
        main.word(),
        spare.word()
    );
    EXT4.make(spare.path());
    let over_ext4 = format!("{create} --confirm {name}");
    there_and_back(&disks, &spare, &over_ext4);
    EXT4.check(spare.path());

    // Nothing of it is left for others to find.
    run(&over_ext4).done();
    run("remove vault").done();
    let clear: Vec<Vec<u8>> = Slot::ALL
        .iter()
        .map(|slot| image(&spare)[slot.sector().get() as usize * 512..][..512].to_vec())
        .collect();
    for slot in Slot::ALL {
        put(&spare, slot.sector().get(), &[0; 512]);
    }
    let list = run("list").done();
    let rows = list["devices"].as_array().expect("a list of devices");
    let row = rows.iter().find(|row| row["device"] == spare.word());
    let row = row.expect("the spare is listed");
    assert!(
        row["signatures"].as_array().is_none_or(Vec::is_empty),
        "{row:#}"
    );
    for (slot, copy) in Slot::ALL.into_iter().zip(&clear) {
        put(&spare, slot.sector().get(), copy);
    }
    let over_ours = format!("{create} --confirm vault");
    there_and_back(&disks, &spare, &over_ours);

    let plain = Disk::of_mib(8);
    for (slot, copy) in Slot::ALL.into_iter().zip(super::plain::SDA_SDB) {
        put(&plain, slot.sector().get(), copy);
    }
    let name = plain.word().trim_start_matches("/dev/");
    let migrate = format!("migrate {} --name vault --confirm {name}", plain.word());
    there_and_back(&[&plain], &plain, &migrate);
}
