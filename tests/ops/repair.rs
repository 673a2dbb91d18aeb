//! Repairs beyond the table of damage: choices, shrunk spares, disks that fail.

use dmremap::ops::{CorruptionKind, Operation, Target};
use dmremap::remap_core::message::{Direction, Message};
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::units::{Sector, Slot};

use crate::host::{
    context, corrupt, created, planned, ram, run, with_plain, Machine, MAIN, SPARE, SPARE_SECTORS,
};

fn repair(from: Option<Slot>) -> Operation {
    Operation::Repair {
        target: Target::Path(SPARE.into()),
        from,
        rebuild: false,
        array: None,
    }
}

#[test]
fn an_outlier_is_repaired_either_way_as_the_operator_chooses() {
    for (from, sequence) in [(None, 6), (Some(Slot::S2), 6), (Some(Slot::S0), 7)] {
        let (mut machine, mut context, _) = created();
        let before = machine.inspect(SPARE).superblock.unwrap();
        corrupt(&mut machine, &[Slot::S2], CorruptionKind::Ahead);
        assert_eq!(machine.verdict(SPARE), Verdict::Outlier);
        run(&mut machine, &mut context, &repair(from)).unwrap();
        let seen = machine.inspect(SPARE);
        assert_eq!(seen.verdict(), Verdict::Healthy);
        // What is adopted becomes the newest; what was ahead stays behind it.
        let expected = if from == Some(Slot::S2) { 7 } else { sequence };
        assert_eq!(
            seen.superblock.unwrap().sequence.get(),
            expected,
            "{from:?}"
        );
        let same_time = seen.superblock.unwrap().timestamp == before.timestamp;
        assert_eq!(same_time, from == Some(Slot::S0), "{from:?}");
    }
}

#[test]
fn a_choice_that_cannot_be_believed_is_refused() {
    let (mut machine, mut context, _) = created();
    corrupt(
        &mut machine,
        &[Slot::S1, Slot::S2, Slot::S3],
        CorruptionKind::Random,
    );
    assert_eq!(machine.verdict(SPARE), Verdict::Weak);
    let refusal = planned(&mut machine, &mut context, &repair(Some(Slot::S1))).unwrap_err();
    assert_eq!(refusal.code(), "not-believable");
    run(&mut machine, &mut context, &repair(Some(Slot::S4))).unwrap();
    assert_eq!(machine.verdict(SPARE), Verdict::Healthy);
}

#[test]
fn a_damaged_region_header_is_written_anew_with_its_name() {
    for region in 0..2 {
        let (mut machine, mut context, _) = created();
        let original = machine.image(SPARE);
        let at = machine.inspect(SPARE).headers[region].at;
        machine.poke(SPARE, at, &[0; 512]);
        let seen = machine.inspect(SPARE);
        assert_eq!(seen.verdict(), Verdict::Degraded);
        assert_eq!(seen.name.as_deref(), Some("vault"), "the other one has it");
        assert_eq!(seen.findings[0].id, "header-damaged");
        run(&mut machine, &mut context, &repair(None)).unwrap();
        assert!(machine.image(SPARE) == original);
    }
}

#[test]
fn both_headers_lost_cost_the_name_and_nothing_else() {
    let (mut machine, mut context, _) = created();
    for region in 0..2 {
        let at = machine.inspect(SPARE).headers[region].at;
        machine.poke(SPARE, at, &[0xff; 4096]);
    }
    let seen = machine.inspect(SPARE);
    assert_eq!(
        (seen.name, seen.judgement.verdict),
        (None, Verdict::Healthy)
    );
    assert_eq!(machine.inspect(SPARE).token(), "spare");
    let outcome = run(&mut machine, &mut context, &repair(None)).unwrap();
    assert!(!outcome.changed, "without a name there is nothing to write");
}

#[test]
fn lost_copies_are_rebuilt_from_either_region() {
    for lost_header in [None, Some(0), Some(1)] {
        let (mut machine, mut context, _) = created();
        let before = machine.inspect(SPARE);
        if let Some(region) = lost_header {
            let at: Sector = before.headers[region].at;
            machine.poke(SPARE, at, &[0; 4096]);
        }
        for slot in Slot::ALL {
            machine.poke(SPARE, slot.sector(), &[0; 512]);
        }
        let seen = machine.inspect(SPARE);
        assert_eq!(seen.verdict(), Verdict::Lost, "{lost_header:?}");
        assert_eq!(seen.name.as_deref(), Some("vault"));
        let rebuild = Operation::Repair {
            target: Target::Path(SPARE.into()),
            from: None,
            rebuild: true,
            array: None,
        };
        let plan = planned(&mut machine, &mut context, &rebuild).unwrap();
        assert_eq!(plan.token.as_deref(), Some("vault"));
        run(&mut machine, &mut context, &rebuild).unwrap();
        let after = machine.inspect(SPARE);
        assert_eq!(after.judgement.verdict, Verdict::Healthy);
        assert_eq!(after.array_uuid(), before.array_uuid());
        assert!(after.superblock.unwrap().sequence > before.superblock.unwrap().sequence);
    }
}

#[test]
fn rebuilding_what_is_not_lost_is_refused() {
    let (mut machine, mut context, _) = created();
    corrupt(&mut machine, &[Slot::S1], CorruptionKind::Zero);
    let operation = Operation::Repair {
        target: Target::Path(SPARE.into()),
        from: None,
        rebuild: true,
        array: None,
    };
    let refusal = planned(&mut machine, &mut context, &operation).unwrap_err();
    assert_eq!(refusal.code(), "not-lost");
}

#[test]
fn an_unreadable_copy_comes_back_where_writing_works() {
    let (mut machine, mut context, journal) = created();
    machine.fail(SPARE, Direction::Read, Slot::S2.sector().get(), 1);
    assert_eq!(machine.verdict(SPARE), Verdict::Degraded);
    let error = run(&mut machine, &mut context, &repair(None));
    // It cannot be read back while the fault lasts, and four copies are enough.
    let outcome = error.unwrap();
    assert_eq!(outcome.verdict, Some(Verdict::Degraded));
    assert_eq!(outcome.details.len(), 2, "{:?}", outcome.details);
    assert!(
        journal
            .actions()
            .last()
            .unwrap()
            .ended
            .as_ref()
            .unwrap()
            .done
    );
    machine.heal(SPARE);
    assert_eq!(machine.verdict(SPARE), Verdict::Healthy);
}

#[test]
fn a_spare_that_takes_no_writes_is_told_and_not_made_worse() {
    let (mut machine, mut context, journal) = created();
    corrupt(
        &mut machine,
        &[Slot::S0, Slot::S1, Slot::S2],
        CorruptionKind::Zero,
    );
    let damaged = machine.image(SPARE);
    machine.fail(SPARE, Direction::Write, 0, SPARE_SECTORS.get());
    let error = run(&mut machine, &mut context, &repair(None)).unwrap_err();
    assert_eq!((error.code, error.exit.code()), ("io", 1));
    assert_eq!(machine.image(SPARE), damaged);
    let ended = journal.actions().last().unwrap().ended.clone().unwrap();
    assert!(!ended.done);
}

#[test]
fn a_spare_that_was_cut_short_is_not_written() {
    let plain = with_plain();
    let mut machine = Machine::default();
    machine.add(
        SPARE,
        ram(dmremap::remap_core::units::Sectors::new(8192), 2),
    );
    let copies = Slot::ALL.map(|slot| plain.copy(SPARE, slot));
    for slot in [Slot::S0, Slot::S1, Slot::S2, Slot::S3] {
        machine.poke(SPARE, slot.sector(), &copies[slot.index() as usize]);
    }
    let seen = machine.inspect(SPARE);
    assert_eq!(seen.verdict(), Verdict::Degraded);
    let reason = seen.reason(Slot::S4).unwrap();
    assert!(reason.contains("past the end"), "{reason}");
    let (mut context, _) = context();
    let refusal = planned(&mut machine, &mut context, &repair(None)).unwrap_err();
    assert_eq!(refusal.code(), "spare-shrunk");
}

#[test]
fn an_active_device_is_asked_to_repair_itself() {
    let (mut machine, mut context, _) = created();
    machine.map("vault", MAIN, SPARE);
    for target in [Target::Name("vault".to_owned()), Target::Path(SPARE.into())] {
        let operation = Operation::Repair {
            target,
            from: None,
            rebuild: false,
            array: None,
        };
        let plan = planned(&mut machine, &mut context, &operation).unwrap();
        assert_eq!(plan.token, None, "nothing is at stake");
        run(&mut machine, &mut context, &operation).unwrap();
        let sent = machine.messages.pop();
        assert_eq!(sent, Some(("vault".to_owned(), Message::Repair)));
    }
    let chosen = planned(&mut machine, &mut context, &repair(Some(Slot::S1))).unwrap_err();
    assert_eq!(chosen.code(), "active");
    let of_main = Operation::Repair {
        target: Target::Path(MAIN.into()),
        from: None,
        rebuild: false,
        array: None,
    };
    let refusal = planned(&mut machine, &mut context, &of_main).unwrap_err();
    assert_eq!(refusal.code(), "not-a-spare");
}

#[test]
fn a_device_that_is_down_is_found_by_its_name() {
    let (mut machine, mut context, _) = created();
    corrupt(&mut machine, &[Slot::S1], CorruptionKind::Torn);
    let operation = Operation::Repair {
        target: Target::Name("vault".to_owned()),
        from: None,
        rebuild: false,
        array: None,
    };
    run(&mut machine, &mut context, &operation).unwrap();
    assert_eq!(machine.verdict(SPARE), Verdict::Healthy);
    let other = Operation::Repair {
        target: Target::Name("attic".to_owned()),
        from: None,
        rebuild: false,
        array: None,
    };
    let refusal = planned(&mut machine, &mut context, &other).unwrap_err();
    assert_eq!((refusal.code(), refusal.exit().code()), ("not-found", 1));
}
