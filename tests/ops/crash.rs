//! The power fails at every write and flush of every action: what is left can be taken
//! back to the byte, and never reads as something else than old or new.

use std::path::Path;
use std::sync::{Arc, Mutex};

use dmremap::lab::ram::{CachedDisk, Power, RamDisk, Unflushed};
use dmremap::ops::{execute, Context, CorruptionKind, Operation, Target};
use dmremap::port::journal::ActionId;
use dmremap::port::BlockStore as _;
use dmremap::remap_core::label::MainForm;
use dmremap::remap_core::params::Options;
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::units::{Sector, Slot};

use crate::common::ext4_block;
use crate::host::{
    confirmed, context, create, created, planned, ram, run, with_plain, Machine, Step, MAIN,
    MAIN_SECTORS, SPARE,
};
use crate::journal::MemoryJournal;

const MODES: [Unflushed; 4] = [
    Unflushed::Lost,
    Unflushed::Kept,
    Unflushed::Mixed(1),
    Unflushed::Mixed(2),
];

/// What both disks of a machine hold after the power failed at write or flush `after` of
/// `operation`; none if it did not come that far.
fn disks_after_crash(
    machine: &Machine,
    context: &mut Context,
    journal: &MemoryJournal,
    operation: &Operation,
    (after, mode): (u64, Unflushed),
) -> Option<[(&'static str, RamDisk); 2]> {
    let mut machine = machine.fork();
    machine.without_targets = true;
    let power = Power::failing_after(after);
    let disks = [MAIN, SPARE].map(|path| {
        let medium = machine.disks[Path::new(path)]
            .lock()
            .unwrap()
            .inner()
            .clone();
        let disk = Arc::new(Mutex::new(CachedDisk::new(medium, &power)));
        machine.losing_power.insert(path.into(), Arc::clone(&disk));
        (path, disk)
    });
    let known = journal.actions().len();
    let plan = planned(&mut machine, context, operation).unwrap();
    let result = execute(&mut machine, context, confirmed(plan));
    if !power.has_failed() {
        result.unwrap();
        return None;
    }
    // Whatever the program would still have logged, the machine is off.
    journal.cut_off_behind(known);
    drop(machine);
    Some(disks.map(|(path, disk)| {
        let disk = Arc::into_inner(disk).unwrap().into_inner().unwrap();
        (path, disk.after_power_failure(mode))
    }))
}

fn actions() -> Vec<(&'static str, Machine, Operation, &'static [Verdict])> {
    const USABLE: &[Verdict] = &[Verdict::Healthy, Verdict::Degraded, Verdict::Interrupted];
    let degraded = {
        let (mut machine, ..) = created();
        machine.poke(SPARE, Slot::S0.sector(), &[0x33; 512]);
        machine.poke(SPARE, Slot::S3.sector(), &[0; 512]);
        machine
    };
    let occupied = {
        let mut machine = Machine::new();
        machine.poke(SPARE, Sector::new(1024), &ext4_block());
        machine.poke(SPARE, Sector::new(8205), &[0x44; 1024]);
        machine
    };
    let repair = Operation::Repair {
        target: Target::Path(SPARE.into()),
        from: None,
        rebuild: false,
        array: None,
    };
    let anew = |adopt| Operation::WriteInactive {
        name: "vault".to_owned(),
        main: MAIN.into(),
        spare: SPARE.into(),
        options: Options::default(),
        replace: false,
        adopt,
    };
    let with_labels = Operation::Create {
        name: "vault".to_owned(),
        main: MAIN.into(),
        spare: SPARE.into(),
        options: Options::default(),
        replace: false,
        form: None,
    };
    let labelled = || {
        let mut machine = Machine::new();
        machine.without_targets = true;
        run(&mut machine, &mut context().0, &with_labels).unwrap();
        machine
    };
    // The same content, another disk.
    let on_a_copy = {
        let mut machine = labelled();
        let mut copy = ram(MAIN_SECTORS, 7);
        for (at, bytes) in machine.image(MAIN) {
            copy.write_at(Sector::new(at), &bytes).unwrap();
        }
        machine.add(MAIN, copy);
        machine
    };
    let replace = Operation::Create {
        name: "attic".to_owned(),
        main: MAIN.into(),
        spare: SPARE.into(),
        options: Options::default(),
        replace: true,
        form: Some(MainForm::Bare),
    };
    let migrate = Operation::Migrate {
        path: SPARE.into(),
        name: None,
        block_size: None,
        main: None,
    };
    let corrupt = Operation::Corrupt {
        path: SPARE.into(),
        slots: vec![Slot::S1, Slot::S4],
        kind: CorruptionKind::Random,
        seed: 1,
    };
    vec![
        ("repair", degraded, repair, USABLE),
        ("metadata anew", created().0, anew(false), USABLE),
        ("labels anew", labelled(), anew(false), USABLE),
        ("adopt with labels", on_a_copy, anew(true), USABLE),
        ("migrate", with_plain(), migrate, USABLE),
        ("corrupt", created().0, corrupt, USABLE),
        ("create", Machine::new(), create("vault"), &Verdict::ALL),
        (
            "create with labels",
            Machine::new(),
            with_labels,
            &Verdict::ALL,
        ),
        ("replace", occupied, replace, &Verdict::ALL),
    ]
}

#[test]
fn every_crash_of_every_action_can_be_taken_back_to_the_byte() {
    for (case, machine, operation, verdicts) in actions() {
        let before = machine.images();
        let mut crashes = 0;
        for mode in MODES {
            for after in 0.. {
                let (mut context, journal) = context();
                let crash = (after, mode);
                let Some(disks) =
                    disks_after_crash(&machine, &mut context, &journal, &operation, crash)
                else {
                    break;
                };
                crashes += 1;
                let mut machine = machine.fork();
                for (path, disk) in disks {
                    machine.add(path, disk);
                }
                let verdict = machine.verdict(SPARE);
                assert!(verdicts.contains(&verdict), "{case} {crash:?}: {verdict}");
                let undo = Operation::Undo { id: None };
                run(&mut machine, &mut context, &undo)
                    .unwrap_or_else(|error| panic!("{case} {crash:?}: {error}"));
                assert!(
                    machine.images() == before,
                    "{case} {crash:?}: not as it was"
                );
            }
        }
        println!("{case}: {crashes} crashes");
        assert!(crashes > 8, "{case}: only {crashes} crashes");
    }
}

#[test]
fn every_crash_of_an_undo_can_be_taken_back_in_turn() {
    for (case, mut machine, operation, _) in actions() {
        machine.without_targets = true;
        let (mut context, journal) = context();
        run(&mut machine, &mut context, &operation).unwrap();
        let done = machine.images();
        let done_by = journal.actions().len();
        let undo = Operation::Undo {
            id: Some(ActionId::new(done_by as u64)),
        };
        let mut crashes = 0;
        for mode in MODES {
            for after in 0.. {
                let crash = (after, mode);
                // Whatever was done in a fork is not known in the next one.
                journal.forget_behind(done_by);
                let Some(disks) = disks_after_crash(&machine, &mut context, &journal, &undo, crash)
                else {
                    break;
                };
                let mut machine = machine.fork();
                for (path, disk) in disks {
                    machine.add(path, disk);
                }
                let redo = Operation::Undo {
                    id: Some(ActionId::new(journal.actions().len() as u64)),
                };
                run(&mut machine, &mut context, &redo)
                    .unwrap_or_else(|error| panic!("{case} {crash:?}: {error}"));
                assert!(machine.images() == done, "{case} {crash:?}");
                crashes += 1;
            }
        }
        println!("{case}: {crashes} crashes");
        assert!(crashes > 8, "{case}");
    }
}

/// The order of writes is what keeps a crash harmless.
#[test]
fn the_table_is_durable_before_the_first_copy_and_copy_0_comes_last() {
    for (case, machine, operation) in [
        ("create", Machine::new(), create("vault")),
        (
            "migrate",
            with_plain(),
            Operation::Migrate {
                path: SPARE.into(),
                name: None,
                block_size: None,
                main: None,
            },
        ),
    ] {
        let mut machine = machine.fork();
        let (mut context, _) = context();
        run(&mut machine, &mut context, &operation).unwrap();
        let steps = machine.steps.lock().unwrap().clone();
        let is_copy = |step: &Step| {
            let slots = Slot::ALL.map(|slot| slot.sector().get());
            matches!(step, Step::Write(at, 1) if slots.contains(at))
        };
        let first = steps.iter().position(is_copy).unwrap();
        assert!(steps[..first].contains(&Step::Flush), "{case}");
        let table: u64 = steps[..first]
            .iter()
            .map(|step| match step {
                Step::Write(_, sectors) => *sectors,
                Step::Flush => 0,
            })
            .sum();
        let layout = *machine.inspect(SPARE).superblock.unwrap().layout().unwrap();
        assert_eq!(table, 2 * layout.region_sectors().get(), "{case}");
        let copies: Vec<Step> = steps[first..].to_vec();
        let expected: Vec<Step> = Slot::ALL
            .into_iter()
            .rev()
            .flat_map(|slot| [Step::Write(slot.sector().get(), 1), Step::Flush])
            .collect();
        assert_eq!(copies, expected, "{case}");
    }
}
