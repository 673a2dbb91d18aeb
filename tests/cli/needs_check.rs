//! A device whose remap table contradicted itself.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use dmremap::remap_core::superblock::{read_copy, Content};
use dmremap::remap_core::units::Slot;

use crate::Bench;

/// Copies that say `needs_check`, as a scrub writes them where the table contradicts itself.
#[test]
fn a_device_whose_table_needs_a_check_comes_up_read_only_until_it_is_repaired() {
    let bench = Bench::new();
    let attic = bench.in_lab("inspect attic --json").json("inspect");
    assert_eq!(bench.in_lab("remove attic").status, 0);
    let spare = attic["device"].as_str().unwrap().to_owned();
    let image = OpenOptions::new().read(true).write(true).open(&spare);
    let image = image.unwrap();
    for slot in Slot::ALL {
        let at = slot.sector().get() * 512;
        let mut raw = [0; 512];
        image.read_exact_at(&mut raw, at).unwrap();
        let Content::Checksummed(mut superblock) = read_copy(&raw, slot) else {
            panic!("copy {slot} is damaged");
        };
        superblock.extension.as_mut().unwrap().needs_check = true;
        image.write_all_at(&superblock.encode(slot), at).unwrap();
    }
    let told = || {
        let status = bench.in_lab("status attic --json").json("status");
        let device = &status["devices"][0];
        (
            device["mode"].as_str().unwrap().to_owned(),
            device["needs_check"].as_bool().unwrap(),
        )
    };
    assert_eq!(bench.in_lab("reassemble attic").status, 5, "not unasked");
    let up = bench.in_lab("reassemble attic --confirm attic");
    assert_eq!(up.status, 0, "{}", up.stderr);
    assert_eq!(told(), ("ro".to_owned(), true));
    let repaired = bench.in_lab("repair attic");
    assert_eq!(repaired.status, 0, "{}", repaired.stderr);
    assert_eq!(told(), ("rw".to_owned(), false));
    assert_eq!(bench.in_lab("inspect attic").status, 0, "healthy");
}
