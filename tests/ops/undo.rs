//! Taking actions back, byte for byte, and not when somebody wrote in between.

use dmremap::ops::{execute, CorruptionKind, Operation, Target};
use dmremap::port::journal::ActionId;
use dmremap::remap_core::label::MainForm;
use dmremap::remap_core::params::Options;
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::units::{Sector, Slot};

use crate::common::ext4_block;
use crate::host::{
    confirmed, context, create, created, planned, ram, run, with_plain, Machine, MAIN, SPARE,
};

fn undo(id: Option<u64>) -> Operation {
    Operation::Undo {
        id: id.map(ActionId::new),
    }
}

fn corrupt(slots: &[Slot], kind: CorruptionKind) -> Operation {
    Operation::Corrupt {
        path: SPARE.into(),
        slots: slots.to_vec(),
        kind,
        seed: 5,
    }
}

/// Every destructive action, done to a fitting machine and taken back.
#[test]
fn every_action_is_undone_to_the_byte_and_redone_to_the_byte() {
    let damaged = || {
        let (mut machine, ..) = created();
        machine.poke(SPARE, Slot::S1.sector(), &[0x33; 512]);
        machine.poke(SPARE, Slot::S3.sector(), &[0; 512]);
        machine
    };
    let lost = || {
        let (mut machine, ..) = created();
        for slot in Slot::ALL {
            machine.poke(SPARE, slot.sector(), &[0x33; 512]);
        }
        machine
    };
    let occupied = || {
        let mut machine = Machine::new();
        machine.poke(SPARE, Sector::new(0), &ext4_block());
        machine.poke(SPARE, Sector::new(8205), &[0x44; 1024]);
        machine
    };
    let pair = |replace| Operation::WriteInactive {
        name: "vault".to_owned(),
        main: MAIN.into(),
        spare: SPARE.into(),
        options: Options::default(),
        replace,
        adopt: false,
    };
    let repair = |rebuild| Operation::Repair {
        target: Target::Path(SPARE.into()),
        from: None,
        rebuild,
        array: None,
    };
    let replace = Operation::Create {
        name: "vault".to_owned(),
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
    let mut cases = vec![
        ("create", Machine::new(), create("vault")),
        ("replace", occupied(), replace),
        ("first metadata", occupied(), pair(true)),
        ("metadata anew", created().0, pair(false)),
        ("repair", damaged(), repair(false)),
        ("rebuild", lost(), repair(true)),
        ("migrate", with_plain(), migrate),
    ];
    for kind in CorruptionKind::ALL {
        let operation = corrupt(&[Slot::S0, Slot::S3], kind);
        cases.push((kind.name(), created().0, operation));
    }
    for (case, mut machine, operation) in cases {
        let (mut context, journal) = context();
        let before = machine.images();
        run(&mut machine, &mut context, &operation).unwrap();
        let after = machine.images();
        assert!(before != after, "{case}");
        let outcome = run(&mut machine, &mut context, &undo(None)).unwrap();
        assert!(machine.images() == before, "{case}: not as it was");
        assert!(machine.mapped.is_empty(), "{case}");
        let id = outcome.action.unwrap();
        assert_eq!(
            journal
                .actions()
                .last()
                .unwrap()
                .begun
                .undoes
                .unwrap()
                .get(),
            1
        );
        // The undo is an action too.
        run(&mut machine, &mut context, &undo(Some(id.get()))).unwrap();
        assert!(machine.images() == after, "{case}: not redone");
    }
}

#[test]
fn an_undo_predicts_its_verdict_and_asks_for_the_name() {
    let (mut machine, mut context, _) = created();
    run(
        &mut machine,
        &mut context,
        &corrupt(&[Slot::S1], CorruptionKind::Zero),
    )
    .unwrap();
    let plan = planned(&mut machine, &mut context, &undo(None)).unwrap();
    assert_eq!(plan.token.as_deref(), Some("vault"));
    assert_eq!(plan.before, Some(Verdict::Degraded));
    assert_eq!(plan.predicted, Some(Verdict::Healthy));
    assert_eq!(plan.bytes_written(), 512);
}

#[test]
fn bytes_that_somebody_wrote_since_are_not_written_over() {
    let (mut machine, mut context, _) = created();
    run(
        &mut machine,
        &mut context,
        &corrupt(&[Slot::S1], CorruptionKind::Torn),
    )
    .unwrap();
    let repair = Operation::Repair {
        target: Target::Path(SPARE.into()),
        from: None,
        rebuild: false,
        array: None,
    };
    run(&mut machine, &mut context, &repair).unwrap();
    let images = machine.images();
    let refusal = planned(&mut machine, &mut context, &undo(Some(2))).unwrap_err();
    assert_eq!((refusal.code(), refusal.exit().code()), ("stale", 5));
    assert!(refusal.message().contains("1024"), "{refusal}");
    assert!(machine.images() == images);
    // One after the other, from the last one on, each can be taken back.
    run(&mut machine, &mut context, &undo(None)).unwrap();
    run(&mut machine, &mut context, &undo(None)).unwrap();
    assert_eq!(machine.verdict(SPARE), Verdict::Healthy);
}

#[test]
fn independent_actions_are_taken_back_in_any_order() {
    let (mut machine, mut context, _) = created();
    let before = machine.images();
    run(
        &mut machine,
        &mut context,
        &corrupt(&[Slot::S1], CorruptionKind::Zero),
    )
    .unwrap();
    run(
        &mut machine,
        &mut context,
        &corrupt(&[Slot::S3], CorruptionKind::Zero),
    )
    .unwrap();
    run(&mut machine, &mut context, &undo(Some(2))).unwrap();
    run(&mut machine, &mut context, &undo(Some(3))).unwrap();
    assert!(machine.images() == before);
    let refusal = planned(&mut machine, &mut context, &undo(Some(2))).unwrap_err();
    assert_eq!(refusal.code(), "already-undone");
}

#[test]
fn what_changes_between_plan_and_undo_is_seen() {
    for at in [Slot::S1.sector(), Sector::new(8216)] {
        let mut machine = Machine::new();
        let (mut context, _) = context();
        run(&mut machine, &mut context, &create("vault")).unwrap();
        let plan = planned(&mut machine, &mut context, &undo(None)).unwrap();
        machine.poke(SPARE, at, &[0x66; 512]);
        let images = machine.images();
        let error = execute(&mut machine, &mut context, confirmed(plan)).unwrap_err();
        assert_eq!((error.code, error.exit.code()), ("stale", 5), "sector {at}");
        assert!(machine.images() == images);
        assert_eq!(machine.mapped[0].name, "vault", "it is up again");
    }
}

#[test]
fn an_action_that_was_cut_off_is_taken_back_wherever_it_stopped() {
    let (mut whole, mut context, journal) = created();
    let before = whole.fork();
    let operation = corrupt(&Slot::ALL, CorruptionKind::Random);
    run(&mut whole, &mut context, &operation).unwrap();
    journal.cut_off_behind(1);
    for written in 0..=Slot::COUNT {
        let mut machine = before.fork();
        for slot in &Slot::ALL[..written] {
            machine.poke(SPARE, slot.sector(), &whole.copy(SPARE, *slot));
        }
        let plan = planned(&mut machine, &mut context, &undo(Some(2))).unwrap();
        assert!(plan.notes.iter().any(|note| note.contains("cut off")));
        // What was written by anybody else is still not written over.
        machine.poke(SPARE, Slot::S0.sector(), &[0x66; 512]);
        let refusal = planned(&mut machine, &mut context, &undo(Some(2))).unwrap_err();
        assert_eq!(refusal.code(), "stale");
        drop(plan);
    }
    run(&mut whole, &mut context, &undo(Some(2))).unwrap();
    assert!(whole.images() == before.images());
}

#[test]
fn another_disk_under_the_same_path_is_not_written() {
    let (mut machine, mut context, _) = created();
    run(
        &mut machine,
        &mut context,
        &corrupt(&[Slot::S1], CorruptionKind::Zero),
    )
    .unwrap();
    let size = dmremap::port::BlockStore::size(
        &*machine.disks[std::path::Path::new(SPARE)].lock().unwrap(),
    );
    machine.add(SPARE, ram(size, 9));
    let refusal = planned(&mut machine, &mut context, &undo(None)).unwrap_err();
    assert_eq!(refusal.code(), "other-device");
}

#[test]
fn a_creation_is_taken_back_only_from_its_own_device() {
    let mut machine = Machine::new();
    let (mut context, _) = context();
    run(&mut machine, &mut context, &create("vault")).unwrap();
    let plan = planned(&mut machine, &mut context, &undo(None)).unwrap();
    assert!(plan.notes.iter().any(|note| note.contains("taken down")));
    machine.mapped.clear();
    machine.map("other", "/disks/x", SPARE);
    let refusal = planned(&mut machine, &mut context, &undo(None)).unwrap_err();
    assert_eq!(refusal.code(), "busy");
}

#[test]
fn there_is_nothing_to_undo_where_nothing_was_done() {
    let mut machine = Machine::new();
    let (mut context, _) = context();
    let refusal = planned(&mut machine, &mut context, &undo(None)).unwrap_err();
    assert_eq!(refusal.code(), "nothing-to-undo");
    let refusal = planned(&mut machine, &mut context, &undo(Some(7))).unwrap_err();
    assert_eq!((refusal.code(), refusal.exit().code()), ("not-found", 1));
}
