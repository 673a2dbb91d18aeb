//! Somebody asks for an early end at every step of every action: it is done to its end, or
//! the disks are what they were, and the journal and the error tell which.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use dmremap::ops::{execute, Context, CorruptionKind, Operation, Progress, Target, INTERRUPTED};
use dmremap::port::journal::ActionId;
use dmremap::remap_core::label::MainForm;
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::units::{Sector, Sectors, Slot};
use dmremap::stop::Stop;

use crate::common::ext4_block;
use crate::host::{
    confirmed, context, create, created, planned, ram, run, with_plain, Machine, SPARE,
};

/// A spare whose table takes several writes.
const LARGE: Sectors = Sectors::new(200 << 11);

fn large() -> Machine {
    let mut machine = Machine::new();
    machine.add(SPARE, ram(LARGE, 2));
    machine
}

/// Lets an early end be asked for when progress is told for the time `at`, from 0 on. The
/// count of the times that it was told.
fn stop_at(context: &mut Context, at: usize) -> Arc<AtomicUsize> {
    let told = Arc::new(AtomicUsize::new(0));
    let (count, stop) = (Arc::clone(&told), Stop::default());
    let asked = stop.clone();
    context.progress = Progress::told_to(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) == at {
            asked.ask();
        }
    })
    .until(stop);
    told
}

fn replacing() -> (Machine, Operation) {
    let mut machine = large();
    machine.poke(SPARE, Sector::new(1024), &ext4_block());
    machine.poke(SPARE, Sector::new(8205), &[0x44; 1024]);
    let replace = match create("attic") {
        Operation::Create {
            name,
            main,
            spare,
            options,
            ..
        } => Operation::Create {
            name,
            main,
            spare,
            options,
            replace: true,
            form: Some(MainForm::Bare),
        },
        other => other,
    };
    (machine, replace)
}

#[test]
fn what_sets_up_ends_at_every_step_with_every_byte_as_it_was() {
    let migrate = Operation::Migrate {
        path: SPARE.into(),
        name: None,
        block_size: None,
        main: None,
    };
    let (occupied, replace) = replacing();
    for (case, machine, operation) in [
        ("create", large(), create("vault")),
        ("replace", occupied, replace),
        ("migrate", with_plain(), migrate),
    ] {
        let before = machine.images();
        let verdict = machine.fork().verdict(SPARE);
        let mut ended = 0;
        for at in 0.. {
            let mut machine = machine.fork();
            let (mut context, journal) = context();
            let plan = planned(&mut machine, &mut context, &operation).unwrap();
            assert!(plan.can_end_early(), "{case}");
            let told = stop_at(&mut context, at);
            let result = execute(&mut machine, &mut context, confirmed(plan));
            let actions = journal.actions();
            if told.load(Ordering::SeqCst) <= at {
                result.unwrap();
                break;
            }
            let Err(error) = result else {
                // Asked for when the copies were being written: it is done to its end.
                assert_eq!(machine.verdict(SPARE), Verdict::Healthy, "{case} {at}");
                continue;
            };
            ended += 1;
            assert_eq!(error.code, INTERRUPTED, "{case} {at}: {error}");
            assert_eq!(error.exit.code(), 1);
            assert!(machine.images() == before, "{case} {at}: not as it was");
            assert_eq!(machine.verdict(SPARE), verdict, "{case} {at}");
            assert!(machine.mapped.is_empty(), "{case} {at}");
            match actions.as_slice() {
                [] => assert_eq!(error.advice, "Nothing was changed.", "{case} {at}"),
                [action] => {
                    let end = action.ended.as_ref().unwrap();
                    assert!(!end.done && end.rolled_back, "{case} {at}: {end:?}");
                    assert!(end.summary.contains("Interrupted"), "{}", end.summary);
                    assert!(error.advice.contains("written back"), "{}", error.advice);
                }
                more => panic!("{case} {at}: {} actions", more.len()),
            }
            // The same again, with nobody in its way.
            context.progress = Progress::silent();
            run(&mut machine, &mut context, &operation).unwrap();
            assert_eq!(machine.verdict(SPARE), Verdict::Healthy, "{case} {at}");
        }
        assert!(ended > 4, "{case}: only {ended} early ends");
    }
}

#[test]
fn what_must_not_end_in_its_middle_is_not_begun_or_done_to_its_end() {
    let damaged = {
        let (mut machine, ..) = created();
        machine.poke(SPARE, Slot::S3.sector(), &[0; 512]);
        machine
    };
    let repair = Operation::Repair {
        target: Target::Path(SPARE.into()),
        from: None,
        rebuild: false,
        array: None,
    };
    let corrupt = Operation::Corrupt {
        path: SPARE.into(),
        slots: vec![Slot::S1],
        kind: CorruptionKind::Random,
        seed: 1,
    };
    let undo = Operation::Undo {
        id: Some(ActionId::new(1)),
    };
    for (case, machine, operation) in [
        ("repair", damaged, repair),
        ("corrupt", created().0, corrupt),
        ("undo", large(), undo),
    ] {
        let begin = || {
            let (mut machine, mut context) = (machine.fork(), context().0);
            if case == "undo" {
                run(&mut machine, &mut context, &create("vault")).unwrap();
                machine.mapped.clear();
            }
            (machine, context)
        };
        let (mut whole, mut context) = begin();
        let before = whole.images();
        run(&mut whole, &mut context, &operation).unwrap();
        let (mut not_begun, mut done) = (0, 0);
        for at in 0.. {
            let (mut machine, mut context) = begin();
            let plan = planned(&mut machine, &mut context, &operation).unwrap();
            assert!(!plan.can_end_early(), "{case}");
            let told = stop_at(&mut context, at);
            let result = execute(&mut machine, &mut context, confirmed(plan));
            if told.load(Ordering::SeqCst) <= at {
                break;
            }
            match result {
                Ok(_) => {
                    assert!(
                        machine.images() == whole.images(),
                        "{case} {at}: half of it"
                    );
                    done += 1;
                }
                Err(error) => {
                    assert_eq!(error.code, INTERRUPTED, "{case} {at}: {error}");
                    assert!(machine.images() == before, "{case} {at}: half of it");
                    not_begun += 1;
                }
            }
        }
        assert!(done > 0 && not_begun > 0, "{case}: {done}, {not_begun}");
    }
}

#[test]
fn what_was_asked_to_end_before_it_began_asks_the_host_for_nothing() {
    let (mut machine, mut context, _) = created();
    let remove = Operation::Remove {
        name: "vault".to_owned(),
    };
    machine.map("vault", crate::host::MAIN, SPARE);
    let plan = planned(&mut machine, &mut context, &remove).unwrap();
    let stop = Stop::default();
    stop.ask();
    context.progress = Progress::silent().until(stop);
    let error = execute(&mut machine, &mut context, confirmed(plan)).unwrap_err();
    assert_eq!(error.code, INTERRUPTED);
    assert_eq!(machine.mapped.len(), 1);
}
