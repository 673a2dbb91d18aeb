//! The worker on a host of disks in memory: what it answers, in which order.

use super::*;
use crate::lab::ram::RamDisk;
use crate::ops::{Operation, Target};
use crate::port::Usage;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::units::{Sectors, Slot};
use crate::tui::fake::{context, FakeHost};
use crate::tui::sample::{self, path};

/// Long enough for a busy machine; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);

fn blank(name: &str) -> (DeviceInfo, RamDisk) {
    let size = Sectors::new(1 << 17);
    (sample::device(name, size, Usage::Free), RamDisk::new(size))
}

fn damaged_spare() -> (DeviceInfo, RamDisk) {
    let (device, _) = blank("disk-h");
    let mut disk = sample::spare(sample::superblock(9, "disk-x", "disk-h"), "cellar");
    sample::damage(&mut disk, Slot::S3, 100, b"damage");
    (device, disk)
}

fn interest(name: &str) -> Request {
    Request::Follow(Interest {
        store: path(name),
        active: None,
        remaps: false,
    })
}

fn next(events: &Receiver<Event>) -> Answer {
    match events.recv_timeout(PATIENCE).expect("an answer in time") {
        Event::Told(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn wait<T>(events: &Receiver<Event>, mut wanted: impl FnMut(Answer) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(next(events)) {
            return found;
        }
    }
}

#[test]
fn a_thousand_devices_are_told_in_groups_after_the_list() {
    let names = (0..1000).map(|number| format!("disk-{number:04}"));
    let host = FakeHost::new(names.map(|name| blank(&name)).collect());
    let (sender, events) = mpsc::channel();
    let worker = start(
        (Box::new(host), context()),
        None,
        sender,
        Underway::default(),
    )
    .unwrap();
    let mut answers = 0;
    let mut told = 0;
    let mut listed = 0;
    while told < 1000 {
        match next(&events) {
            Answer::Listed { devices, .. } => listed = devices.len(),
            Answer::Examined(found) => {
                assert_eq!(listed, 1000, "the list comes first");
                told += found.len();
                answers += 1;
            }
            _ => {}
        }
    }
    assert_eq!(told, 1000);
    assert!((1000 / GROUP..500).contains(&answers), "{answers} answers");
    worker.end(PATIENCE);
}

#[test]
fn what_is_looked_at_comes_before_the_rest() {
    let names = (0..300).map(|number| format!("disk-{number:04}"));
    let host = FakeHost::new(names.map(|name| blank(&name)).collect());
    let world = Arc::clone(&host.0);
    let (sender, events) = mpsc::channel();
    let worker = start(
        (Box::new(host), context()),
        None,
        sender,
        Underway::default(),
    )
    .unwrap();
    for number in 0..300 {
        worker.ask(interest(&format!("disk-{number:04}")));
    }
    let last = path("disk-0299");
    let is_last = |(path, _): &(PathBuf, Examined)| *path == last;
    wait(&events, |answer| match answer {
        Answer::Examined(found) => found.iter().any(is_last).then_some(()),
        _ => None,
    });
    let opened = world.lock().unwrap().opened.len();
    assert!(
        opened < 600,
        "{opened} looks: every step of the eye was one"
    );
    worker.end(PATIENCE);
}

#[test]
fn a_plan_is_carried_out_and_what_is_shown_agrees_with_its_outcome() {
    let host = FakeHost::new(vec![blank("disk-a"), damaged_spare()]);
    let before = host.copies(&path("disk-h"));
    let mut world = host.clone();
    let (sender, events) = mpsc::channel();
    let worker = start(
        (Box::new(host), context()),
        None,
        sender,
        Underway::default(),
    )
    .unwrap();
    worker.ask(interest("disk-h"));
    let operation = Box::new(Operation::Repair {
        target: Target::Path(path("disk-h")),
        from: None,
        rebuild: false,
        array: None,
    });
    worker.ask(Request::Plan {
        ticket: 7,
        operation,
    });
    let plan = wait(&events, |answer| match answer {
        Answer::Planned { ticket: 7, plan } => Some(plan.unwrap()),
        _ => None,
    });
    assert_eq!(plan.predicted, Some(Verdict::Healthy));
    assert_eq!(
        world.copies(&path("disk-h")),
        before,
        "planning writes nothing"
    );
    let token = plan.token.clone();
    let confirmed = Box::new(plan.confirm(token.as_deref()).unwrap());
    worker.ask(Request::Execute {
        ticket: 8,
        confirmed,
    });
    let mut seen = None;
    let outcome = wait(&events, |answer| match answer {
        Answer::Examined(found) => {
            for (path, examined) in found {
                if path == sample::path("disk-h") {
                    seen = Some(examined.unwrap().verdict());
                }
            }
            None
        }
        Answer::Executed { ticket: 8, outcome } => Some(outcome.unwrap()),
        _ => None,
    });
    assert_eq!(outcome.verdict, Some(Verdict::Healthy));
    assert_eq!(seen, Some(Verdict::Healthy));
    assert!(world.plan(&Operation::Undo { id: None }).is_err());
    let whole = sample::superblock(9, "disk-x", "disk-h");
    for (slot, raw) in Slot::ALL.iter().zip(world.copies(&path("disk-h"))) {
        assert_eq!(raw, whole.encode(*slot), "copy {slot}");
    }
    worker.end(PATIENCE);
}

/// The operation that formats a blank spare and activates nothing.
fn formats(spare: &str) -> Operation {
    Operation::WriteInactive {
        name: "late".to_owned(),
        main: path("disk-a"),
        spare: path(spare),
        options: Default::default(),
        replace: false,
        adopt: false,
    }
}

/// Begins to format disk-b, whose writes are held back.
fn work_that_is_held(worker: &Handle, events: &Receiver<Event>, gate: &crate::tui::fake::Gate) {
    let operation = Box::new(formats("disk-b"));
    worker.ask(Request::Plan {
        ticket: 1,
        operation,
    });
    let plan = wait(events, |answer| match answer {
        Answer::Planned { ticket: 1, plan } => Some(plan.unwrap()),
        _ => None,
    });
    let token = plan.token.clone();
    gate.close(path("disk-b"));
    worker.ask(Request::Execute {
        ticket: 2,
        confirmed: Box::new(plan.confirm(token.as_deref()).unwrap()),
    });
    wait(events, |answer| match answer {
        Answer::Progress { ticket: 2, share } if share.work == ops::Work::Writing => Some(()),
        _ => None,
    });
}

#[test]
fn looking_and_planning_go_on_beside_work() {
    let host = FakeHost::new(vec![blank("disk-a"), blank("disk-b"), damaged_spare()]);
    let world = Arc::clone(&host.0);
    let gate = Arc::clone(&world.lock().unwrap().gate);
    let underway = Underway::default();
    let (sender, events) = mpsc::channel();
    let worker = start((Box::new(host), context()), None, sender, underway.clone()).unwrap();
    work_that_is_held(&worker, &events, &gate);
    let damage = |disk: &mut RamDisk| sample::damage(disk, Slot::S1, 100, b"more damage");
    damage(
        world
            .lock()
            .unwrap()
            .disks
            .get_mut(&path("disk-h"))
            .unwrap(),
    );
    worker.ask(Request::LookAgain);
    wait(&events, |answer| match answer {
        Answer::Examined(found) => found.into_iter().find_map(|(at, examined)| {
            let winners = examined.unwrap().judgement.winner_count();
            (at == path("disk-h") && winners == 3).then_some(())
        }),
        Answer::Executed { .. } => panic!("the work is held"),
        _ => None,
    });
    worker.ask(Request::Plan {
        ticket: 3,
        operation: Box::new(Operation::Repair {
            target: Target::Path(path("disk-h")),
            from: None,
            rebuild: false,
            array: None,
        }),
    });
    wait(&events, |answer| match answer {
        Answer::Planned { ticket: 3, plan } => Some(plan.unwrap()),
        Answer::Executed { .. } => panic!("the work is held"),
        _ => None,
    });
    gate.open();
    let outcome = wait(&events, |answer| match answer {
        Answer::Executed { ticket: 2, outcome } => Some(outcome),
        _ => None,
    });
    assert_eq!(outcome.unwrap().verdict, Some(Verdict::Healthy));
    underway.wait_until_idle();
    worker.end(PATIENCE);
}

#[test]
fn work_is_under_way_until_its_outcome_is_told_and_ends_on_request() {
    let host = FakeHost::new(vec![blank("disk-a"), blank("disk-b")]);
    let before = host.copies(&path("disk-b"));
    let look = host.clone();
    let gate = Arc::clone(&host.0.lock().unwrap().gate);
    let underway = Underway::default();
    let (sender, events) = mpsc::channel();
    let worker = start((Box::new(host), context()), None, sender, underway.clone()).unwrap();
    work_that_is_held(&worker, &events, &gate);
    worker.ask(Request::Stop(2));
    gate.open();
    let outcome = wait(&events, |answer| match answer {
        Answer::Executed { ticket: 2, outcome } => Some(outcome),
        _ => None,
    });
    assert_eq!(outcome.unwrap_err().code, ops::INTERRUPTED);
    assert_eq!(look.copies(&path("disk-b")), before);
    // A signal does the same, and all of it was told by the time that nothing is under way.
    work_that_is_held(&worker, &events, &gate);
    let signal = crate::signals::Caught::HANG_UP;
    assert!(underway.end(signal));
    gate.open();
    underway.wait_until_idle();
    assert!(!underway.end(signal));
    let told = events.try_iter().filter_map(|event| match event {
        Event::Told(Answer::Executed { outcome, .. }) => Some(outcome.unwrap_err().code),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [ops::INTERRUPTED]);
    worker.end(PATIENCE);
}

#[test]
fn a_plan_that_was_given_up_is_not_told() {
    let host = FakeHost::new(vec![blank("disk-a"), blank("disk-b")]);
    let (sender, events) = mpsc::channel();
    let worker = start(
        (Box::new(host), context()),
        None,
        sender,
        Underway::default(),
    )
    .unwrap();
    for ticket in 1..=20 {
        let operation = Box::new(formats("disk-b"));
        worker.ask(Request::Plan { ticket, operation });
        if ticket < 20 {
            worker.ask(Request::Stop(ticket));
        }
    }
    // Planned one after the other: the last one tells that all are over.
    let mut planned = Vec::new();
    wait(&events, |answer| match answer {
        Answer::Planned { ticket, plan } => {
            planned.push((ticket, plan.is_ok()));
            (ticket == 20).then_some(())
        }
        _ => None,
    });
    assert!(
        planned.iter().all(|(_, made)| *made),
        "half a plan was told"
    );
    worker.end(PATIENCE);
}

#[test]
fn every_remap_is_asked_for_however_many_answers_that_takes() {
    let host = FakeHost::new(vec![damaged_spare()]);
    let (sender, events) = mpsc::channel();
    let worker = start(
        (Box::new(host), context()),
        None,
        sender,
        Underway::default(),
    )
    .unwrap();
    worker.ask(Request::Follow(Interest {
        store: path("disk-h"),
        active: Some("cellar".to_owned()),
        remaps: true,
    }));
    let list = wait(&events, |answer| match answer {
        Answer::Remaps(list) => Some(list),
        _ => None,
    });
    assert_eq!(list.rows(), sample::remaps(25));
    assert!(!list.more);
    worker.end(PATIENCE);
}

#[test]
fn a_panic_of_the_worker_is_told() {
    let host = FakeHost::default();
    host.0.lock().unwrap().panics = true;
    let (sender, events) = mpsc::channel();
    let _worker = start(
        (Box::new(host), context()),
        None,
        sender,
        Underway::default(),
    )
    .unwrap();
    loop {
        if let Event::WorkerGone = events.recv_timeout(PATIENCE).unwrap() {
            return;
        }
    }
}
