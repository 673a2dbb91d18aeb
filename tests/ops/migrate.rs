//! From plain v4 to checksummed copies.

use dmremap::ops::{CorruptionKind, Operation};
use dmremap::port::{Access, Host as _};
use dmremap::remap_core::message::Direction;
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::units::{Sector, Slot};

use crate::host::{
    context, corrupt, created, planned, ram, run, with_plain, Machine, MAIN, SPARE, SPARE_SECTORS,
};

fn migrate(name: Option<&str>) -> Operation {
    Operation::Migrate {
        path: SPARE.into(),
        name: name.map(str::to_owned),
        block_size: None,
        main: None,
    }
}

#[test]
fn every_field_is_kept_and_the_rest_is_new() {
    for damaged in [vec![], vec![Slot::S0], vec![Slot::S1, Slot::S4]] {
        let mut machine = with_plain();
        let before = machine.inspect(SPARE).superblock.unwrap();
        if !damaged.is_empty() {
            corrupt(&mut machine, &damaged, CorruptionKind::Zero);
        }
        let (mut context, _) = context();
        let plan = planned(&mut machine, &mut context, &migrate(Some("old"))).unwrap();
        assert_eq!(plan.predicted, Some(Verdict::Healthy));
        assert_eq!(plan.token.as_deref(), Some("spare"));
        run(&mut machine, &mut context, &migrate(Some("old"))).unwrap();
        let seen = machine.inspect(SPARE);
        assert_eq!(seen.verdict(), Verdict::Healthy);
        assert_eq!(seen.name.as_deref(), Some("old"));
        let after = seen.superblock.unwrap();
        assert_eq!(after.main_path, before.main_path);
        assert_eq!(after.main_uuid, before.main_uuid);
        assert_eq!(after.main_sectors, before.main_sectors);
        assert_eq!(after.sector_size, before.sector_size);
        assert_eq!(after.sequence.get(), 2);
        // The fixture speaks of a larger spare than this one.
        assert_eq!(after.spare_sectors, SPARE_SECTORS);
        assert!(after.extension.unwrap().main_identity.is_none());
    }
}

const UUID: &str = "3f1c9a52-0b7e-4c11-9d5e-2a6f8e1b7c90";

/// Plain v4 that tells the file system of its main, and a main of the size that it tells.
fn with_main() -> Machine {
    let mut machine = with_plain();
    for slot in Slot::ALL {
        let mut copy = [0; 512];
        let store = machine.open(SPARE.as_ref(), Access::Read).unwrap();
        store.read_at(slot.sector(), &mut copy).unwrap();
        copy[40..76].copy_from_slice(UUID.to_uppercase().as_bytes());
        machine.poke(SPARE, slot.sector(), &copy);
    }
    let size = machine.inspect(SPARE).superblock.unwrap().main_sectors;
    machine.add(MAIN, ram(size, 1));
    machine
}

fn naming(main: &str) -> Operation {
    match migrate(None) {
        Operation::Migrate {
            path,
            name,
            block_size,
            ..
        } => Operation::Migrate {
            path,
            name,
            block_size,
            main: Some(main.into()),
        },
        other => other,
    }
}

/// What the migration records of main, and what its plan says of it.
fn recorded(machine: &mut Machine, operation: &Operation) -> (bool, String) {
    let before = machine.image(SPARE);
    let (mut context, _) = context();
    let plan = planned(machine, &mut context, operation).unwrap();
    let said = format!("{} {}", plan.notes.join(" "), plan.doubts.join(" "));
    run(machine, &mut context, operation).unwrap();
    let superblock = machine.inspect(SPARE).superblock.unwrap();
    let known = superblock.extension.unwrap().main_identity;
    run(machine, &mut context, &Operation::Undo { id: None }).unwrap();
    assert!(machine.image(SPARE) == before, "{said}");
    (!known.is_none(), said)
}

#[test]
fn main_is_recorded_where_it_can_be_told_beyond_doubt() {
    let mut machine = with_main();
    let (known, said) = recorded(&mut machine, &migrate(None));
    assert!(
        !known && said.contains("No identity of main is recorded: no device"),
        "{said}"
    );

    machine.format(MAIN, UUID);
    let (known, said) = recorded(&mut machine, &migrate(None));
    assert!(known && said.contains("the only device"), "{said}");

    // One of another size cannot be it, whatever it holds.
    machine.add("/disks/other", ram(SPARE_SECTORS, 8));
    machine.format("/disks/other", UUID);
    assert!(recorded(&mut machine, &migrate(None)).0);

    let size = machine.inspect(MAIN).size;
    machine.add("/disks/copy", ram(size, 9));
    machine.format("/disks/copy", UUID);
    let (known, said) = recorded(&mut machine, &migrate(None));
    assert!(!known && said.contains("/disks/copy"), "{said}");
    assert!(
        recorded(&mut machine, &naming(MAIN)).0,
        "the operator tells which"
    );

    machine.signatures.clear();
    let (known, said) = recorded(&mut machine, &naming(MAIN));
    assert!(known && said.contains("has no such"), "{said}");
}

#[test]
fn what_cannot_be_main_is_refused() {
    let mut machine = with_main();
    let size = machine.inspect(MAIN).size;
    machine.add("/disks/small", ram(SPARE_SECTORS, 7));
    machine.add("/disks/clone-of-spare", ram(size, 2));
    machine.add("/disks/clone", ram(size, 1));
    let mut other = created().0;
    let disk = other.disks.remove(std::path::Path::new(SPARE)).unwrap();
    machine.disks.insert("/disks/ours".into(), disk);
    let (mut context, journal) = context();
    for (main, code) in [
        ("/disks/small", "main-size"),
        ("/disks/nothing", "not-found"),
        (SPARE, "same-device"),
        ("/disks/ours", "main-is-a-spare"),
        ("/disks/clone-of-spare", "same-identity"),
        (MAIN, "main-ambiguous"),
    ] {
        let refusal = planned(&mut machine, &mut context, &naming(main)).unwrap_err();
        assert_eq!(refusal.code(), code, "{main}: {refusal}");
    }
    assert!(journal.actions().is_empty());
}

#[test]
fn what_stands_against_a_migration_is_told_and_nothing_is_written() {
    type Prepare = fn(&mut Machine);
    let cases: [(&str, &str, Prepare); 8] = [
        ("verdict", "weak", |machine| {
            corrupt(
                machine,
                &[Slot::S0, Slot::S1, Slot::S2],
                CorruptionKind::Zero,
            );
        }),
        ("verdict", "split", |machine| {
            corrupt(
                machine,
                &[Slot::S0, Slot::S1, Slot::S2],
                CorruptionKind::Rival,
            );
        }),
        ("verdict", "blank", |machine| {
            for slot in Slot::ALL {
                machine.poke(SPARE, slot.sector(), &[0; 512]);
            }
        }),
        ("busy", "in use", |machine| {
            machine.map("vault", MAIN, SPARE)
        }),
        ("data-in-the-way", "data in region A", |machine| {
            machine.poke(SPARE, Sector::new(8201), &[1; 512]);
        }),
        ("data-in-the-way", "data in region B", |machine| {
            machine.poke(SPARE, Sector::new(SPARE_SECTORS.get() - 1), &[1; 512]);
        }),
        ("unsupported-layout", "older layout", |machine| {
            let raw = crate::common::fixture("other/reference-kernel-84288.bin");
            machine.poke(SPARE, Sector::new(0), &raw[..84288 / 512 * 512]);
        }),
        ("not-plain", "checksummed", |machine| {
            *machine = created().0;
        }),
    ];
    for (code, case, prepare) in cases {
        let mut machine = with_plain();
        prepare(&mut machine);
        let (mut context, _) = context();
        let refusal = planned(&mut machine, &mut context, &migrate(None)).unwrap_err();
        assert_eq!(refusal.code(), code, "{case}: {refusal}");
        assert_eq!(refusal.exit().code(), 5, "{case}");
    }
}

#[test]
fn where_the_data_in_the_way_lies_is_said() {
    let mut machine = with_plain();
    machine.poke(SPARE, Sector::new(8203), &[1; 512]);
    let (mut context, _) = context();
    let refusal = planned(&mut machine, &mut context, &migrate(None)).unwrap_err();
    assert!(refusal.message().contains("8203"), "{refusal}");
}

#[test]
fn a_migration_that_fails_leaves_plain_v4_as_it_was() {
    for bad in [8200, 2048] {
        let mut machine = with_plain();
        let before = machine.image(SPARE);
        // The third slot alone is not enough to fail; three are.
        machine.fail(SPARE, Direction::Write, bad, 7000);
        let (mut context, journal) = context();
        run(&mut machine, &mut context, &migrate(None)).unwrap_err();
        machine.heal(SPARE);
        let ended = journal.actions()[0].ended.clone().unwrap();
        assert!(!ended.done);
        let verdict = machine.verdict(SPARE);
        if ended.rolled_back {
            assert!(machine.image(SPARE) == before, "from {bad}");
        }
        assert!(
            matches!(verdict, Verdict::Healthy | Verdict::Interrupted),
            "from {bad}: {verdict}"
        );
    }
}
