//! Setting up a device: what is refused, what is written, and taking it all back.

use std::sync::{Arc, Mutex};

use dmremap::inspect::{inspect_table, Extent};
use dmremap::lab::ram::RamDisk;
use dmremap::ops::{execute, Operation, Progress, Share, Target, Work};
use dmremap::port::journal::ActionRecord;
use dmremap::port::{Access, BlockStore as _, Host as _};
use dmremap::remap_core::label::MainForm;
use dmremap::remap_core::layout::Layout;
use dmremap::remap_core::message::Direction;
use dmremap::remap_core::params::Options;
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::units::{BlockSize, Sector, Sectors, Slot};

use crate::common::ext4_block;
use crate::host::{
    confirmed, context, create, created, planned, ram, run, Machine, MAIN, MAIN_SECTORS, SPARE,
    SPARE_SECTORS,
};

fn create_with(name: &str, options: Options, replace: bool) -> Operation {
    Operation::Create {
        name: name.to_owned(),
        main: MAIN.into(),
        spare: SPARE.into(),
        options,
        replace,
        form: Some(MainForm::Bare),
    }
}

#[test]
fn a_new_device_is_whole_named_and_up() {
    let mut machine = Machine::new();
    let (mut context, journal) = context();
    let plan = planned(&mut machine, &mut context, &create("my-storage")).unwrap();
    assert_eq!(plan.token.as_deref(), Some("my-storage"));
    assert!(plan.token_aliases.iter().all(|alias| alias == "spare"));
    assert!(plan.clone().confirm(Some("spare")).is_ok());
    assert!(plan.clone().confirm(None).is_err());
    assert_eq!(plan.predicted, Some(Verdict::Healthy));
    assert!(plan.undoable);
    let outcome = execute(&mut machine, &mut context, confirmed(plan)).unwrap();
    assert_eq!(outcome.verdict, Some(Verdict::Healthy));
    assert_eq!(machine.mapped[0].name, "my-storage");
    let seen = machine.inspect(SPARE);
    assert_eq!(seen.verdict(), Verdict::Healthy);
    assert_eq!(seen.name.as_deref(), Some("my-storage"));
    assert_eq!(seen.findings, []);
    let superblock = seen.superblock.unwrap();
    assert_eq!(superblock.main_sectors, MAIN_SECTORS);
    assert_eq!(superblock.spare_sectors, SPARE_SECTORS);
    assert_eq!(superblock.sequence.get(), 1);
    let store = machine.open(SPARE.as_ref(), Access::Read).unwrap();
    let table = inspect_table(&*store, &superblock, Extent::Whole).unwrap();
    let layout = superblock.layout().unwrap();
    assert_eq!(table.counts.free, layout.replacement_blocks.get());
    assert_eq!(table.counts.total(), layout.replacement_blocks.get());
    assert!(table.damaged_a.is_empty() && table.damaged_b.is_empty() && table.lost.is_empty());
    let action = &journal.actions()[0];
    assert_eq!(action.begun.activates.as_deref(), Some("my-storage"));
    assert!(action.ended.as_ref().unwrap().done);
}

#[test]
fn every_byte_that_changes_was_announced() {
    let mut machine = Machine::new();
    let (mut context, _) = context();
    let plan = planned(&mut machine, &mut context, &create("vault")).unwrap();
    let writes = plan.writes.clone();
    execute(&mut machine, &mut context, confirmed(plan)).unwrap();
    for (at, block) in machine.image(SPARE) {
        for (index, sector) in block.chunks(512).enumerate() {
            let byte = (at + index as u64) * 512;
            let announced = writes.iter().any(|write| write.bytes().contains(&byte));
            assert!(announced || sector.iter().all(|b| *b == 0), "sector {byte}");
        }
    }
    assert!(writes.iter().all(|write| write.device.as_os_str() == SPARE));
}

/// Before anything is done one sees how the spare will be divided and what the kernel will
/// be told: exactly that is done.
#[test]
fn the_plan_tells_the_layout_and_the_table_line() {
    for (asked, stated) in [
        (None, "0 14336 dm-remap-v4 /disks/main /disks/spare"),
        (
            Some(BlockSize::B4096),
            "0 14336 dm-remap-v4 /disks/main /disks/spare 2 block_size 4096",
        ),
    ] {
        let mut machine = Machine::new();
        let (mut context, _) = context();
        let options = Options {
            block_size: asked,
            ..Options::default()
        };
        let create = create_with("vault", options, false);
        let plan = planned(&mut machine, &mut context, &create).unwrap();
        let told = plan.layout.unwrap();
        let joined = plan.joined.clone().unwrap();
        assert_eq!(joined.table, stated);
        assert_eq!(joined.main.as_os_str(), MAIN);
        assert_eq!(joined.spare.as_os_str(), SPARE);
        execute(&mut machine, &mut context, confirmed(plan)).unwrap();
        let made = machine.inspect(SPARE).superblock.unwrap();
        assert_eq!(made.layout(), Some(&told));
    }
}

/// Tables are as large as the spare makes them: whoever waits sees each part of the work
/// begin, go on and end.
#[test]
fn what_takes_its_time_is_told_as_it_goes_on() {
    let mut machine = Machine::new();
    let (mut context, _) = context();
    let told: Arc<Mutex<Vec<Share>>> = Arc::default();
    let heard = told.clone();
    context.progress = Progress::told_to(move |share| heard.lock().unwrap().push(share));
    let plan = planned(&mut machine, &mut context, &create("vault")).unwrap();
    let regions = plan.layout.unwrap().region_sectors().get() * 2;
    execute(&mut machine, &mut context, confirmed(plan)).unwrap();
    let told = told.lock().unwrap();
    for work in [Work::Looking, Work::Keeping, Work::Writing, Work::Verifying] {
        let shares: Vec<&Share> = told.iter().filter(|share| share.work == work).collect();
        // What is wiped besides is a piece of its own.
        let whole = shares.iter().filter(|share| share.of.get() >= regions);
        let done: Vec<u64> = whole.map(|share| share.percent()).collect();
        assert_eq!(
            (done.first(), done.last()),
            (Some(&0), Some(&100)),
            "{work}"
        );
        assert!(
            done.is_sorted_by(|one, next| one < next),
            "{work}: {done:?}"
        );
    }
}

/// What stands against a new device, and the code that says so.
#[test]
fn every_refusal_has_its_code_and_writes_nothing() {
    type Prepare = fn(&mut Machine);
    let small = |machine: &mut Machine| machine.add(SPARE, ram(Sectors::new(8295), 2));
    let cases: [(&str, &str, Prepare, Operation); 15] = [
        ("spare-size", "too small", small, create("vault")),
        ("invalid-name", "slash", |_| {}, create("a/b")),
        ("invalid-name", "empty", |_| {}, create("")),
        ("invalid-name", "space", |_| {}, create("a b")),
        ("invalid-name", "long", |_| {}, create(&"x".repeat(128))),
        (
            "name-taken",
            "taken",
            |machine| machine.map("vault", "/disks/a", "/disks/b"),
            create("vault"),
        ),
        (
            "busy",
            "spare in use",
            |machine| machine.map("attic", "/disks/a", SPARE),
            create("vault"),
        ),
        (
            "busy",
            "main in use",
            |machine| machine.map("attic", MAIN, "/disks/b"),
            create("vault"),
        ),
        (
            "same-device",
            "one device",
            |_| {},
            Operation::Create {
                name: "vault".to_owned(),
                main: SPARE.into(),
                spare: SPARE.into(),
                options: Options::default(),
                replace: false,
                form: Some(MainForm::Bare),
            },
        ),
        (
            "not-found",
            "no such device",
            |machine| drop(machine.disks.remove(std::path::Path::new(MAIN))),
            create("vault"),
        ),
        (
            "spare-not-empty",
            "ext4",
            |machine| machine.poke(SPARE, Sector::new(0), &ext4_block()),
            create("vault"),
        ),
        (
            "spare-not-empty",
            "plain v4",
            |machine| machine.put_copies(SPARE, &crate::common::plain_fixture("sda-sdb")),
            create("vault"),
        ),
        (
            "unsupported",
            "older layout",
            |machine| {
                let raw = crate::common::fixture("other/reference-kernel-84288.bin");
                machine.poke(SPARE, Sector::new(0), &raw[..84288 / 512 * 512]);
            },
            create_with("vault", Options::default(), true),
        ),
        (
            "main-is-a-spare",
            "main carries metadata",
            |machine| {
                let copies = crate::common::plain_fixture("sda-sdb");
                machine.put_copies(MAIN, &copies);
            },
            create("vault"),
        ),
        (
            "block-size",
            "4Kn main, unit of 512",
            |machine| {
                let main = ram(MAIN_SECTORS, 1).with_logical_block(BlockSize::B4096);
                machine.add(MAIN, main);
            },
            create_with(
                "vault",
                Options {
                    block_size: Some(BlockSize::B512),
                    ..Options::default()
                },
                false,
            ),
        ),
    ];
    for (code, case, prepare, operation) in cases {
        let mut machine = Machine::new();
        prepare(&mut machine);
        let (mut context, journal) = context();
        let refusal = planned(&mut machine, &mut context, &operation).unwrap_err();
        assert_eq!(refusal.code(), code, "{case}: {refusal}");
        assert!(!refusal.advice().is_empty(), "{case}");
        assert_eq!(journal.actions(), [], "{case}");
    }
}

#[test]
fn the_smallest_spare_is_named_and_is_enough() {
    for block_size in BlockSize::ALL {
        let needs = Layout::smallest_spare(block_size);
        let mut machine = Machine::new();
        let (mut context, _) = context();
        let operation = create_with(
            "vault",
            Options {
                block_size: Some(block_size),
                ..Options::default()
            },
            false,
        );
        machine.add(SPARE, ram(Sectors::new(needs.get() - 1), 2));
        let refusal = planned(&mut machine, &mut context, &operation).unwrap_err();
        assert!(refusal.advice().contains(&needs.to_string()), "{refusal}");
        machine.add(SPARE, ram(needs, 2));
        run(&mut machine, &mut context, &operation).unwrap();
        assert_eq!(machine.verdict(SPARE), Verdict::Healthy, "{block_size}");
    }
}

#[test]
fn the_remap_unit_is_the_larger_block() {
    for (main, spare, expected) in [
        (BlockSize::B512, BlockSize::B512, 512),
        (BlockSize::B4096, BlockSize::B512, 4096),
        (BlockSize::B512, BlockSize::B4096, 4096),
    ] {
        let mut machine = Machine::default();
        machine.add(MAIN, ram(MAIN_SECTORS, 1).with_logical_block(main));
        machine.add(SPARE, ram(SPARE_SECTORS, 2).with_logical_block(spare));
        let (mut context, _) = context();
        run(&mut machine, &mut context, &create("vault")).unwrap();
        let superblock = machine.inspect(SPARE).superblock.unwrap();
        assert_eq!(superblock.layout().unwrap().block_size.bytes(), expected);
    }
}

#[test]
fn data_without_a_name_is_overwritten_only_when_the_disk_is_named() {
    for at in [0, 8192, 8200, 10_000] {
        let mut machine = Machine::new();
        machine.poke(SPARE, Sector::new(at), &[0x77; 512]);
        let (mut context, _) = context();
        let plan = planned(&mut machine, &mut context, &create("vault")).unwrap();
        // Sector 10000 lies in the replacement area, which is not written.
        let is_written = at != 10_000;
        let refusal = plan.clone().confirm(None).unwrap_err();
        assert_eq!(refusal.code(), "not-confirmed");
        let by_new_name = plan.clone().confirm(Some("vault"));
        assert_eq!(by_new_name.is_err(), is_written, "sector {at}");
        assert!(plan.clone().confirm(Some("spare")).is_ok(), "sector {at}");
        execute(&mut machine, &mut context, confirmed(plan)).unwrap();
        assert_eq!(machine.verdict(SPARE), Verdict::Healthy);
    }
}

#[test]
fn replacing_a_device_asks_for_its_name_and_goes_on_behind_its_sequence() {
    let (mut machine, mut context, _) = created();
    let operation = create_with("attic", Options::default(), true);
    let old = machine.inspect(SPARE).superblock.unwrap();
    let plan = planned(&mut machine, &mut context, &operation).unwrap();
    assert_eq!(plan.token.as_deref(), Some("vault"));
    execute(&mut machine, &mut context, confirmed(plan)).unwrap();
    let seen = machine.inspect(SPARE);
    assert_eq!(seen.name.as_deref(), Some("attic"));
    assert!(seen.superblock.unwrap().sequence > old.sequence);
    assert_eq!(seen.verdict(), Verdict::Healthy);
}

#[test]
fn without_targets_the_spare_is_formatted_and_that_is_said() {
    let mut machine = Machine::new();
    machine.without_targets = true;
    let (mut context, _) = context();
    let plan = planned(&mut machine, &mut context, &create("vault")).unwrap();
    assert!(plan
        .notes
        .iter()
        .any(|note| note.contains("not brought up")));
    run(&mut machine, &mut context, &create("vault")).unwrap();
    assert_eq!(machine.verdict(SPARE), Verdict::Healthy);
    assert!(machine.mapped.is_empty());
}

#[test]
fn a_device_that_does_not_come_up_leaves_the_spare_as_it_was() {
    let mut machine = Machine::new();
    machine.poke(SPARE, Sector::new(8200), &[0x77; 4096]);
    let before = machine.image(SPARE);
    machine.activation_fails = true;
    let (mut context, journal) = context();
    let error = run(&mut machine, &mut context, &create("vault")).unwrap_err();
    assert!(error.advice.contains("written back"), "{error:?}");
    assert!(machine.image(SPARE) == before);
    let ended = journal.actions()[0].ended.clone().unwrap();
    assert!(ended.rolled_back && !ended.done);
}

#[test]
fn a_spare_that_fails_on_the_way_is_put_back() {
    let region_b = {
        let (mut machine, ..) = created();
        machine.inspect(SPARE).headers[1].at.get()
    };
    for bad in [region_b, 8200, Slot::S0.sector().get()] {
        let mut machine = Machine::new();
        machine.poke(SPARE, Sector::new(8208), &[0x77; 4096]);
        let before = machine.image(SPARE);
        machine.fail(SPARE, Direction::Write, bad, 1);
        let (mut context, journal) = context();
        let result = run(&mut machine, &mut context, &create("vault"));
        if bad == 0 {
            // Four durable copies are enough; the fifth is told of.
            let outcome = result.unwrap();
            assert_eq!(outcome.verdict, Some(Verdict::Degraded));
            assert_eq!(outcome.details.len(), 1);
            continue;
        }
        result.unwrap_err();
        machine.heal(SPARE);
        let ended = journal.actions()[0].ended.clone().unwrap();
        assert!(!ended.done);
        assert!(machine.image(SPARE) == before, "sector {bad}");
    }
}

#[test]
fn what_cannot_be_logged_is_not_done() {
    let mut machine = Machine::new();
    let (mut context, journal) = context();
    journal.fill();
    let before = machine.image(SPARE);
    let error = run(&mut machine, &mut context, &create("vault")).unwrap_err();
    assert_eq!(error.exit.code(), 1);
    assert!(machine.image(SPARE) == before && machine.mapped.is_empty());
}

#[test]
fn metadata_is_written_anew_for_the_same_pair_alone() {
    let (mut machine, mut context, _) = created();
    let write = |name: &str, main: &str| Operation::WriteInactive {
        name: name.to_owned(),
        main: main.into(),
        spare: SPARE.into(),
        options: Options::default(),
        replace: false,
        adopt: false,
    };
    run(&mut machine, &mut context, &write("vault", MAIN)).unwrap();
    let seen = machine.inspect(SPARE);
    assert_eq!(seen.verdict(), Verdict::Healthy);
    assert_eq!(seen.superblock.unwrap().sequence.get(), 2);
    let refusal = planned(&mut machine, &mut context, &write("attic", MAIN)).unwrap_err();
    assert_eq!(refusal.code(), "other-name");
    machine.add("/disks/other", ram(MAIN_SECTORS, 9));
    let refusal = planned(&mut machine, &mut context, &write("vault", "/disks/other"));
    assert_eq!(refusal.unwrap_err().code(), "spare-not-empty");
}

/// A disk of this identity with everything that lies on another one.
fn copied(machine: &mut Machine, path: &str, identity: u8) -> RamDisk {
    let store = machine.open(path.as_ref(), Access::Read).unwrap();
    let mut bytes = vec![0; store.size().get() as usize * 512];
    store.read_at(Sector::new(0), &mut bytes).unwrap();
    let mut copy = ram(store.size(), identity);
    copy.write_at(Sector::new(0), &bytes).unwrap();
    copy
}

#[test]
fn a_copy_on_another_disk_is_taken_for_good_on_the_operators_word() {
    let (mut machine, mut context, _) = created();
    let reassemble = Operation::Reassemble {
        target: Target::Path(SPARE.into()),
        main: None,
        name: None,
        read_only: false,
    };
    let write = |adopt: bool| Operation::WriteInactive {
        name: "vault".to_owned(),
        main: MAIN.into(),
        spare: SPARE.into(),
        options: Options::default(),
        replace: false,
        adopt,
    };
    // Both disks are copied to others, byte for byte.
    let original = machine.disks[std::path::Path::new(SPARE)].clone();
    for (path, identity) in [(MAIN, 31), (SPARE, 32)] {
        let copy = copied(&mut machine, path, identity);
        machine.add(path, copy);
    }
    let refusal = planned(&mut machine, &mut context, &reassemble).unwrap_err();
    assert_eq!(refusal.code(), "main-not-found");
    let refusal = planned(&mut machine, &mut context, &write(false)).unwrap_err();
    assert_eq!(refusal.code(), "spare-not-empty");

    let plan = planned(&mut machine, &mut context, &write(true)).unwrap();
    assert_eq!(plan.doubts.len(), 2, "{:?}", plan.doubts);
    assert_eq!(plan.token.as_deref(), Some("vault"));
    let notes = plan.notes.join(" ");
    for part in [
        "identity of main is recorded",
        "identity of the spare is recorded",
    ] {
        assert!(notes.contains(part), "{notes}");
    }
    let before = machine.image(SPARE);
    run(&mut machine, &mut context, &write(true)).unwrap();
    let plan = planned(&mut machine, &mut context, &reassemble).unwrap();
    assert!(plan.doubts.is_empty() && plan.token.is_none(), "{plan:?}");
    assert!(planned(&mut machine, &mut context, &write(false)).is_ok());
    run(&mut machine, &mut context, &Operation::Undo { id: None }).unwrap();
    assert!(machine.image(SPARE) == before);

    // Beside the spare that it was copied from it is one of two.
    machine.disks.insert("/disks/original".into(), original);
    let refusal = planned(&mut machine, &mut context, &write(true)).unwrap_err();
    assert_eq!(refusal.code(), "duplicate-array");
    machine
        .disks
        .remove(std::path::Path::new("/disks/original"));

    // A main of another size is no copy.
    machine.add(MAIN, ram(SPARE_SECTORS, 31));
    let refusal = planned(&mut machine, &mut context, &write(true)).unwrap_err();
    assert_eq!(refusal.code(), "main-size");
}

#[test]
fn a_main_that_nothing_stable_told_is_known_once_it_was_named() {
    let mut machine = crate::host::with_plain();
    let (mut context, _) = context();
    let main = machine.inspect(SPARE).superblock.unwrap().main_sectors;
    machine.add(MAIN, ram(main, 1));
    let migrate = Operation::Migrate {
        path: SPARE.into(),
        name: Some("old".to_owned()),
        block_size: None,
        main: None,
    };
    run(&mut machine, &mut context, &migrate).unwrap();
    let reassemble = Operation::Reassemble {
        target: Target::Path(SPARE.into()),
        main: None,
        name: None,
        read_only: false,
    };
    let refusal = planned(&mut machine, &mut context, &reassemble).unwrap_err();
    assert_eq!(refusal.code(), "main-unknown");
    let write = Operation::WriteInactive {
        name: "old".to_owned(),
        main: MAIN.into(),
        spare: SPARE.into(),
        options: Options::default(),
        replace: false,
        adopt: false,
    };
    run(&mut machine, &mut context, &write).unwrap();
    run(&mut machine, &mut context, &reassemble).unwrap();
    assert_eq!(machine.mapped[0].main.to_str(), Some(MAIN));
}

#[test]
fn first_metadata_can_be_written_without_bringing_anything_up() {
    let mut machine = Machine::new();
    let (mut context, _) = context();
    let operation = Operation::WriteInactive {
        name: "vault".to_owned(),
        main: MAIN.into(),
        spare: SPARE.into(),
        options: Options::default(),
        replace: false,
        adopt: false,
    };
    run(&mut machine, &mut context, &operation).unwrap();
    assert_eq!(machine.verdict(SPARE), Verdict::Healthy);
    assert!(machine.mapped.is_empty());
}

/// Both disks are looked at once more before either is written.
#[test]
fn a_plan_that_does_not_hold_for_the_spare_writes_no_labels_to_main() {
    let mut machine = Machine::new();
    let (mut context, journal) = context();
    let operation = Operation::Create {
        name: "vault".to_owned(),
        main: MAIN.into(),
        spare: SPARE.into(),
        options: Options::default(),
        replace: false,
        form: None,
    };
    let plan = planned(&mut machine, &mut context, &operation).unwrap();
    machine.poke(SPARE, Slot::S1.sector(), &[0x66; 512]);
    machine.steps.lock().unwrap().clear();
    let error = execute(&mut machine, &mut context, confirmed(plan)).unwrap_err();
    assert_eq!((error.code, error.exit.code()), ("stale", 5));
    assert!(machine.steps.lock().unwrap().is_empty(), "it wrote");
    let undone = |action: &ActionRecord| action.ended.as_ref().is_some_and(|end| end.rolled_back);
    assert!(journal.actions().iter().all(undone), "nothing to take back");
}
