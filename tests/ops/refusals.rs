//! Plans that are no longer true, words that were not said, and programs that may not.

use dmremap::ops::{execute, CorruptionKind, Operation, Target};
use dmremap::remap_core::message::Message;
use dmremap::remap_core::units::{Sectors, Slot};

use crate::host::{confirmed, context, create, created, planned, ram, run, Machine, MAIN, SPARE};

fn zero(slot: Slot) -> Operation {
    Operation::Corrupt {
        path: SPARE.into(),
        slots: vec![slot],
        kind: CorruptionKind::Zero,
        seed: 1,
    }
}

#[test]
fn a_plan_is_stale_once_any_slot_or_the_disk_itself_changed() {
    type Change = fn(&mut Machine);
    let changes: [(&str, Change); 3] = [
        ("another slot", |machine| {
            machine.poke(SPARE, Slot::S4.sector(), &[9; 512]);
        }),
        ("a foreign signature behind a copy", |machine| {
            let ext4 = crate::common::ext4_block();
            let behind = dmremap::remap_core::units::Sector::new(2);
            machine.poke(SPARE, behind, &ext4[1024..1536]);
            machine.poke(SPARE, Slot::S0.sector(), &[0; 512]);
        }),
        ("another disk", |machine| {
            let copies = Slot::ALL.map(|slot| machine.copy(SPARE, slot));
            machine.add(SPARE, ram(Sectors::new(5 * 2048 + 8), 2));
            machine.put_copies(SPARE, &copies);
        }),
    ];
    for (case, change) in changes {
        let (mut machine, mut context, journal) = created();
        let plan = planned(&mut machine, &mut context, &zero(Slot::S2)).unwrap();
        change(&mut machine);
        let images = machine.images();
        let error = execute(&mut machine, &mut context, confirmed(plan)).unwrap_err();
        assert_eq!((error.code, error.exit.code()), ("stale", 5), "{case}");
        assert!(machine.images() == images, "{case}");
        assert_eq!(journal.actions().len(), 1, "{case}: nothing was begun");
    }
}

#[test]
fn the_token_must_be_typed_exactly() {
    let (mut machine, mut context, _) = created();
    let plan = planned(&mut machine, &mut context, &zero(Slot::S2)).unwrap();
    for (typed, code) in [
        (None, "not-confirmed"),
        (Some(""), "wrong-confirmation"),
        (Some("Vault"), "wrong-confirmation"),
        (Some("vault "), "wrong-confirmation"),
        (Some("yes"), "wrong-confirmation"),
        (Some("\u{1b}[2J"), "wrong-confirmation"),
    ] {
        let refusal = plan.clone().confirm(typed).unwrap_err();
        assert_eq!(
            (refusal.code(), refusal.exit().code()),
            (code, 5),
            "{typed:?}"
        );
        assert!(!refusal.message().contains('\u{1b}'));
    }
    assert!(plan.confirm(Some("vault")).is_ok());
}

#[test]
fn a_read_only_program_changes_nothing() {
    let (mut machine, mut context, journal) = created();
    context.read_only = true;
    machine.map("vault", MAIN, SPARE);
    let images = machine.images();
    let logged = journal.actions();
    let operations = [
        zero(Slot::S1),
        Operation::Remove {
            name: "vault".to_owned(),
        },
        Operation::Message {
            name: "vault".to_owned(),
            message: Message::Scrub,
        },
        Operation::WriteMetadata {
            name: "vault".to_owned(),
        },
    ];
    for operation in operations {
        let error = run(&mut machine, &mut context, &operation).unwrap_err();
        assert_eq!(
            (error.code, error.exit.code()),
            ("read-only", 5),
            "{operation:?}"
        );
    }
    machine.mapped.clear();
    let reassemble = Operation::Reassemble {
        target: Target::Path(SPARE.into()),
        main: None,
        name: None,
        read_only: false,
    };
    let error = run(&mut machine, &mut context, &reassemble).unwrap_err();
    assert_eq!(error.code, "read-only");
    assert!(machine.images() == images && machine.mapped.is_empty());
    assert_eq!(journal.actions(), logged);
}

#[test]
fn messages_and_removals_go_to_devices_that_are_up() {
    let (mut machine, mut context, journal) = created();
    for operation in [
        Operation::Remove {
            name: "vault".to_owned(),
        },
        Operation::Message {
            name: "vault".to_owned(),
            message: Message::Scrub,
        },
    ] {
        let refusal = planned(&mut machine, &mut context, &operation).unwrap_err();
        assert_eq!((refusal.code(), refusal.exit().code()), ("not-found", 1));
    }
    machine.map("vault", MAIN, SPARE);
    let scrub = Operation::Message {
        name: "vault".to_owned(),
        message: Message::Scrub,
    };
    run(&mut machine, &mut context, &scrub).unwrap();
    assert_eq!(machine.messages, [("vault".to_owned(), Message::Scrub)]);
    let remove = Operation::Remove {
        name: "vault".to_owned(),
    };
    run(&mut machine, &mut context, &remove).unwrap();
    assert!(machine.mapped.is_empty());
    let logged: Vec<String> = journal
        .actions()
        .into_iter()
        .map(|action| action.begun.operation)
        .collect();
    assert_eq!(logged, ["create", "scrub", "remove"]);
}

#[test]
fn the_command_that_does_the_same_is_told() {
    let mut machine = Machine::new();
    let (mut context, _) = context();
    let plan = planned(&mut machine, &mut context, &create("vault")).unwrap();
    assert_eq!(
        plan.command,
        "dmremap-tui create vault --main /disks/main --spare /disks/spare --bare"
    );
    run(&mut machine, &mut context, &create("vault")).unwrap();
    let damage = Operation::Corrupt {
        path: SPARE.into(),
        slots: vec![Slot::S4, Slot::S1],
        kind: CorruptionKind::Torn,
        seed: 7,
    };
    let plan = planned(&mut machine, &mut context, &damage).unwrap();
    assert_eq!(
        plan.command,
        "dmremap-tui corrupt /disks/spare --copy 4,1 --kind torn --seed 7"
    );
    assert_eq!(plan.title, "Corrupt copies 1 and 4 of vault");
}

#[test]
fn the_older_layout_is_not_damaged_even_on_purpose() {
    let mut machine = Machine::new();
    let raw = crate::common::fixture("other/reference-kernel-84288.bin");
    let first = dmremap::remap_core::units::Sector::new(0);
    machine.poke(SPARE, first, &raw[..84288 / 512 * 512]);
    let (mut context, _) = context();
    for slot in Slot::ALL {
        let refusal = planned(&mut machine, &mut context, &zero(slot)).unwrap_err();
        assert_eq!(refusal.code(), "unsupported-layout", "slot {slot}");
    }
}
