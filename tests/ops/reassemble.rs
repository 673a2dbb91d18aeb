//! Bringing up what metadata describes: by identity, never by a path.

use std::path::Path;

use dmremap::inspect::{look, scan_all, Depth, Inspection, MainMatch, Mains};
use dmremap::ops::{execute, plan_in, CorruptionKind, Operation, Surroundings, Target};
use dmremap::port::{Access, Host as _};
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::units::{BlockSize, Sectors, Slot};

use crate::host::{
    confirmed, context, corrupt, created, planned, ram, run, with_plain, Machine, MAIN,
    MAIN_SECTORS, SPARE, SPARE_SECTORS,
};

fn reassemble() -> Operation {
    Operation::Reassemble {
        target: Target::Path(SPARE.into()),
        main: None,
        name: None,
        read_only: false,
    }
}

fn with(main: Option<&str>, name: Option<&str>, read_only: bool) -> Operation {
    Operation::Reassemble {
        target: Target::Path(SPARE.into()),
        main: main.map(Into::into),
        name: name.map(str::to_owned),
        read_only,
    }
}

/// Copies to damage, how, and the verdict; whether it assembles, and what must be typed.
#[test]
fn the_verdict_decides() {
    use CorruptionKind as Kind;
    let three = [Slot::S1, Slot::S2, Slot::S3];
    type Case<'a> = (&'a [Slot], Kind, Verdict, Result<Option<&'a str>, &'a str>);
    let cases: [Case<'_>; 10] = [
        (&[Slot::S0], Kind::Zero, Verdict::Degraded, Ok(None)),
        (
            &[Slot::S0, Slot::S4],
            Kind::Random,
            Verdict::Degraded,
            Ok(None),
        ),
        (&three, Kind::Stale, Verdict::Interrupted, Ok(None)),
        (&three, Kind::Zero, Verdict::Weak, Ok(Some("vault"))),
        (
            &[Slot::S0, Slot::S1, Slot::S2, Slot::S3],
            Kind::Torn,
            Verdict::Weak,
            Ok(Some("vault")),
        ),
        (&[Slot::S2], Kind::Ahead, Verdict::Outlier, Err("outlier")),
        (&[Slot::S2], Kind::Rival, Verdict::Split, Err("split")),
        (
            &[Slot::S0],
            Kind::Foreign,
            Verdict::ForeignOverwritten,
            Err("foreign-overwritten"),
        ),
        (&Slot::ALL, Kind::Random, Verdict::Lost, Err("lost")),
        (&Slot::ALL, Kind::Zero, Verdict::Lost, Err("lost")),
    ];
    for (slots, kind, verdict, expected) in cases {
        let case = format!("{kind} {slots:?}");
        let (mut machine, mut context, _) = created();
        corrupt(&mut machine, slots, kind);
        assert_eq!(machine.verdict(SPARE), verdict, "{case}");
        let before = machine.images();
        match (planned(&mut machine, &mut context, &reassemble()), expected) {
            (Ok(plan), Ok(token)) => {
                assert_eq!(plan.token.as_deref(), token, "{case}");
                execute(&mut machine, &mut context, confirmed(plan)).unwrap();
                assert_eq!(machine.mapped[0].name, "vault", "{case}");
                let weak = verdict == Verdict::Weak;
                assert_eq!(machine.mapped[0].options.read_only, weak, "{case}");
            }
            (Err(refusal), Err(code)) => {
                assert_eq!(refusal.code(), code, "{case}");
                assert_eq!(refusal.exit().code(), 4, "{case}");
                assert!(!refusal.advice().is_empty(), "{case}");
                assert!(machine.mapped.is_empty());
            }
            (plan, _) => panic!("{case}: {plan:?}"),
        }
        assert!(machine.images() == before, "{case}: bringing up wrote");
    }
}

#[test]
fn a_weak_device_read_only_needs_no_typing() {
    let (mut machine, mut context, _) = created();
    corrupt(
        &mut machine,
        &[Slot::S0, Slot::S1, Slot::S2],
        CorruptionKind::Zero,
    );
    context.read_only = true;
    let plan = planned(&mut machine, &mut context, &with(None, None, true)).unwrap();
    assert_eq!(plan.token, None);
    execute(&mut machine, &mut context, plan.confirm(None).unwrap()).unwrap();
    assert!(machine.mapped[0].options.read_only);
}

#[test]
fn an_active_device_is_left_alone() {
    let (mut machine, mut context, journal) = created();
    machine.map("vault", MAIN, SPARE);
    let logged = journal.actions().len();
    for target in [Target::Path(SPARE.into()), Target::Name("vault".to_owned())] {
        let operation = Operation::Reassemble {
            target,
            main: None,
            name: None,
            read_only: false,
        };
        let plan = planned(&mut machine, &mut context, &operation).unwrap();
        assert!(!plan.is_needed());
        let outcome = execute(&mut machine, &mut context, confirmed(plan)).unwrap();
        assert!(!outcome.changed && outcome.summary.contains("active already"));
    }
    assert_eq!(machine.mapped.len(), 1);
    assert_eq!(journal.actions().len(), logged);
}

#[test]
fn main_is_found_by_identity_wherever_it_is_now() {
    let (mut machine, mut context, _) = created();
    let main = machine.disks.remove(std::path::Path::new(MAIN)).unwrap();
    let refusal = planned(&mut machine, &mut context, &reassemble()).unwrap_err();
    assert_eq!(refusal.code(), "main-not-found");
    // Another disk where main was, of its size: a path must not be believed.
    machine.add(MAIN, ram(MAIN_SECTORS, 9));
    let refusal = planned(&mut machine, &mut context, &reassemble()).unwrap_err();
    assert_eq!(refusal.code(), "main-not-found");
    machine.disks.insert("/disks/z-moved".into(), main);
    run(&mut machine, &mut context, &reassemble()).unwrap();
    assert_eq!(machine.mapped[0].main.to_str(), Some("/disks/z-moved"));
}

#[test]
fn what_stands_against_a_main_is_told() {
    type Prepare = fn(&mut Machine);
    let larger_blocks = |machine: &mut Machine| {
        let main = ram(MAIN_SECTORS, 1).with_logical_block(BlockSize::B4096);
        machine.add(MAIN, main);
    };
    let clone_of_main = |machine: &mut Machine| machine.add("/disks/clone", ram(MAIN_SECTORS, 1));
    let cases: [(&str, Prepare, Operation); 10] = [
        ("block-size", larger_blocks, reassemble()),
        ("block-size", larger_blocks, with(Some(MAIN), None, false)),
        ("main-ambiguous", clone_of_main, reassemble()),
        (
            "main-size",
            |machine| machine.add(MAIN, ram(Sectors::new(MAIN_SECTORS.get() - 8), 1)),
            reassemble(),
        ),
        (
            "busy",
            |machine| machine.map("attic", MAIN, "/disks/b"),
            reassemble(),
        ),
        (
            "main-identity",
            |machine| machine.add("/disks/other", ram(MAIN_SECTORS, 9)),
            with(Some("/disks/other"), None, false),
        ),
        (
            "main-size",
            |machine| machine.add("/disks/other", ram(Sectors::new(4096), 1)),
            with(Some("/disks/other"), None, false),
        ),
        ("same-device", |_| {}, with(Some(SPARE), None, false)),
        ("not-found", |_| {}, with(Some("/disks/none"), None, false)),
        (
            "name-taken",
            |machine| machine.map("vault", "/disks/a", "/disks/b"),
            reassemble(),
        ),
    ];
    for (code, prepare, operation) in cases {
        let (mut machine, mut context, _) = created();
        prepare(&mut machine);
        let refusal = planned(&mut machine, &mut context, &operation).unwrap_err();
        assert_eq!(refusal.code(), code, "{refusal}");
        if matches!(code, "block-size" | "main-size") {
            assert_eq!(refusal.exit().code(), 4, "{refusal}");
        }
    }
}

#[test]
fn clones_of_a_spare_are_both_refused_by_name() {
    let (mut machine, mut context, _) = created();
    let clone = machine.fork();
    let disk = clone.disks[std::path::Path::new(SPARE)].clone();
    machine.disks.insert("/disks/clone".into(), disk);
    for path in [SPARE, "/disks/clone"] {
        let operation = Operation::Reassemble {
            target: Target::Path(path.into()),
            main: None,
            name: None,
            read_only: false,
        };
        let refusal = planned(&mut machine, &mut context, &operation).unwrap_err();
        assert_eq!(
            (refusal.code(), refusal.exit().code()),
            ("duplicate-array", 4)
        );
        let message = refusal.message();
        assert!(
            message.contains(SPARE) && message.contains("/disks/clone"),
            "{message}"
        );
    }
    let by_name = Operation::Reassemble {
        target: Target::Name("vault".to_owned()),
        main: None,
        name: None,
        read_only: false,
    };
    let refusal = planned(&mut machine, &mut context, &by_name).unwrap_err();
    assert_eq!(refusal.code(), "ambiguous-name");
}

#[test]
fn plain_v4_wants_a_word_on_main_and_gets_a_name_of_its_own() {
    let mut machine = with_plain();
    let (mut context, _) = context();
    // The fixture's sizes are other ones: make the disks fit them.
    let copies = Slot::ALL.map(|slot| machine.copy(SPARE, slot));
    machine.add(SPARE, ram(Sectors::new(1_048_576), 2));
    machine.put_copies(SPARE, &copies);
    let refusal = planned(&mut machine, &mut context, &reassemble()).unwrap_err();
    assert_eq!((refusal.code(), refusal.exit().code()), ("main-unknown", 5));
    let word = with(Some(MAIN), None, false);
    let refusal = planned(&mut machine, &mut context, &word).unwrap_err();
    assert_eq!(refusal.code(), "main-size");
    machine.add(MAIN, ram(Sectors::new(2_097_152), 1));
    machine.map("dm-remap-auto-1", "/disks/a", "/disks/b");
    run(&mut machine, &mut context, &word).unwrap();
    assert_eq!(machine.mapped[1].name, "dm-remap-auto-2");
    machine.mapped.clear();
    let named = with(Some(MAIN), Some("attic"), false);
    run(&mut machine, &mut context, &named).unwrap();
    assert_eq!(machine.mapped[0].name, "attic");
}

#[test]
fn where_nothing_can_be_brought_up_the_judgement_is_told_all_the_same() {
    let (mut machine, mut context, _) = created();
    machine.without_targets = true;
    let refusal = planned(&mut machine, &mut context, &reassemble()).unwrap_err();
    assert_eq!(
        (refusal.code(), refusal.exit().code()),
        ("cannot-activate", 5)
    );
    assert!(refusal.message().contains("as vault"), "{refusal}");
    corrupt(&mut machine, &Slot::ALL, CorruptionKind::Zero);
    let refusal = planned(&mut machine, &mut context, &reassemble()).unwrap_err();
    assert_eq!((refusal.code(), refusal.exit().code()), ("lost", 4));
}

#[test]
fn a_spare_that_was_cut_short_is_not_assembled() {
    let (mut machine, mut context, _) = created();
    let copies = Slot::ALL.map(|slot| machine.copy(SPARE, slot));
    machine.add(SPARE, ram(Sectors::new(10_000), 2));
    machine.put_copies(SPARE, &copies);
    let refusal = planned(&mut machine, &mut context, &reassemble()).unwrap_err();
    assert_eq!((refusal.code(), refusal.exit().code()), ("spare-shrunk", 4));
}

/// Nothing of plain v4 is where its size says, and a target goes by that size all the same.
#[test]
fn plain_v4_on_a_spare_of_another_size_is_not_assembled() {
    for (sectors, code) in [
        (1_048_576, "main-size"),
        (1_048_575, "spare-shrunk"),
        (1_048_584, "spare-grown"),
    ] {
        let mut machine = with_plain();
        let (mut context, _) = context();
        let copies = Slot::ALL.map(|slot| machine.copy(SPARE, slot));
        machine.add(SPARE, ram(Sectors::new(sectors), 2));
        machine.put_copies(SPARE, &copies);
        let word = with(Some(MAIN), None, false);
        let refusal = planned(&mut machine, &mut context, &word).unwrap_err();
        assert_eq!(
            (refusal.code(), refusal.exit().code()),
            (code, 4),
            "{refusal}"
        );
        let is_told = machine
            .inspect(SPARE)
            .findings
            .into_iter()
            .any(|it| it.id == code);
        assert_eq!(is_told, sectors != 1_048_576, "{sectors}");
    }
}

#[test]
fn a_scan_groups_arrays_and_finds_their_mains() {
    let (mut machine, ..) = created();
    machine.add("/disks/blank", ram(Sectors::new(4096), 7));
    let scan = scan_all(&mut machine).unwrap();
    assert_eq!(scan.devices.len(), 3);
    assert_eq!(scan.arrays.len(), 1);
    let array = &scan.arrays[0];
    assert_eq!(array.name.as_deref(), Some("vault"));
    assert_eq!(array.main, MainMatch::Found(MAIN.into()));
    assert_eq!(
        (array.is_cloned(), array.active_as.as_deref()),
        (false, None)
    );
    machine.map("vault", MAIN, SPARE);
    let scan = scan_all(&mut machine).unwrap();
    assert_eq!(scan.arrays[0].active_as.as_deref(), Some("vault"));
}

/// So many arrays, each with a main and a spare of its own.
fn many(count: u8) -> Machine {
    let mut machine = Machine::default();
    let (mut context, _) = context();
    for number in 0..count {
        let [main, spare] = ["main", "spare"].map(|part| format!("/disks/{part}-{number:03}"));
        machine.add(&main, ram(MAIN_SECTORS, 2 * number + 1));
        machine.add(&spare, ram(SPARE_SECTORS, 2 * number + 2));
        let create = Operation::Create {
            name: format!("vault-{number}"),
            main: main.into(),
            spare: spare.into(),
            options: Default::default(),
            replace: false,
            form: Default::default(),
        };
        run(&mut machine, &mut context, &create).unwrap();
    }
    machine.mapped.clear();
    machine
}

fn spare_of_many(number: u8) -> Operation {
    Operation::Reassemble {
        target: Target::Path(format!("/disks/spare-{number:03}").into()),
        main: None,
        name: None,
        read_only: false,
    }
}

#[test]
fn arrays_brought_up_in_a_row_share_one_look_at_all_devices() {
    let opened = [20, 40, 80].map(|count| {
        let mut machine = many(count);
        let (mut context, _) = context();
        let mut surroundings = Surroundings::default();
        machine.opened = 0;
        for number in 0..count {
            let operation = spare_of_many(number);
            let plan = plan_in(&mut surroundings, &mut machine, &mut context, &operation).unwrap();
            execute(&mut machine, &mut context, confirmed(plan)).unwrap();
        }
        assert_eq!(machine.mapped.len(), usize::from(count));
        for (number, device) in machine.mapped.iter().enumerate() {
            let main = format!("/disks/main-{number:03}");
            assert_eq!(
                (device.name.as_str(), device.main.to_str()),
                (format!("vault-{number}").as_str(), Some(main.as_str()))
            );
        }
        machine.opened
    });
    assert_eq!(opened, [opened[0], 2 * opened[0], 4 * opened[0]]);
}

#[test]
fn a_main_that_was_exchanged_since_the_look_at_all_devices_is_refused() {
    let mut machine = many(2);
    let (mut context, _) = context();
    let mut surroundings = Surroundings::default();
    let mut plan = |machine: &mut Machine, number| {
        plan_in(
            &mut surroundings,
            machine,
            &mut context,
            &spare_of_many(number),
        )
    };
    plan(&mut machine, 0).unwrap();
    for other in [
        ram(MAIN_SECTORS, 99),
        ram(Sectors::new(MAIN_SECTORS.get() + 8), 3),
    ] {
        machine.add("/disks/main-001", other);
        let refusal = plan(&mut machine, 1).unwrap_err();
        assert_eq!((refusal.code(), refusal.exit().code()), ("main-changed", 4));
    }
    machine.add("/disks/main-001", ram(MAIN_SECTORS, 3));
    plan(&mut machine, 1).unwrap();
}

#[test]
fn a_scan_tells_devices_in_their_order_however_many_there_are() {
    let mut machine = many(100);
    let scan = scan_all(&mut machine).unwrap();
    let paths: Vec<_> = scan
        .devices
        .iter()
        .map(|device| &device.info.path)
        .collect();
    assert!(paths.is_sorted() && paths.len() == 200);
    let mut mains = Mains::default();
    for device in &scan.devices {
        let seen = device.seen.as_deref().unwrap();
        let mut alone = inspect_as_scan(&mut machine, &device.info.path);
        mains.note(&mut machine, &mut alone);
        assert_eq!(*seen, alone);
        assert_eq!(seen.main.is_some(), seen.is_ours());
    }
    assert_eq!(scan.arrays.len(), 100);
    for (number, array) in scan.arrays.iter().enumerate() {
        let main = format!("/disks/main-{number:03}");
        assert_eq!(array.main, MainMatch::Found(main.into()));
    }
}

fn inspect_as_scan(machine: &mut Machine, path: &Path) -> Inspection {
    let store = machine.open(path, Access::Read).unwrap();
    look(&*store, path, Depth::Scan)
}
