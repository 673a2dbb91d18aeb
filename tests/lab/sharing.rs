//! Several handles and processes on one lab at once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dmremap::port::{Access, Activation, Host, HostError, Platform, Reply};
use dmremap::remap_core::message::Message;
use dmremap::remap_core::params::Options;
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::status::RepairStatus;
use dmremap::remap_core::units::{MainBlock, Sector, Slot};
use dmremap::sys::ThisMachine;

use crate::fixture::{damage, vault, verdict, Fixture};

#[test]
fn two_handles_see_what_the_other_does() {
    let fixture = Fixture::new();
    let (mut one, mut other) = (fixture.lab(), fixture.lab());
    one.activate(&vault()).unwrap();
    assert_eq!(other.mapped().unwrap().len(), 2);
    let mut block = [0; 512];
    for round in 0..20u8 {
        let (writer, reader) = match round % 2 {
            0 => (&mut one, &mut other),
            _ => (&mut other, &mut one),
        };
        let at = Sector::new(1000 + u64::from(round));
        let block_number = MainBlock::new(at.get());
        writer.write("vault", at, &[round; 512]).unwrap();
        // Moved by one, and read by the other where it lies now.
        writer
            .message("vault", &Message::Remap(block_number))
            .unwrap();
        reader.read("vault", at, &mut block).unwrap();
        assert_eq!(block, [round; 512]);
        reader.write("vault", at, &[round + 100; 512]).unwrap();
        writer.read("vault", at, &mut block).unwrap();
        assert_eq!(block, [round + 100; 512]);
        assert_eq!(
            one.mapped().unwrap()[1].status,
            other.mapped().unwrap()[1].status
        );
    }
    other.deactivate("vault").unwrap();
    assert_eq!(one.mapped().unwrap().len(), 1);
    assert!(matches!(
        one.write("vault", Sector::new(0), &[0; 512]),
        Err(dmremap::lab::LabIoError::Host(HostError::NotFound(_)))
    ));
}

#[test]
fn threads_with_handles_of_their_own_lose_no_remap() {
    let fixture = Fixture::new();
    fixture.lab().activate(&vault()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let fixture = &fixture;
            scope.spawn(move || {
                let mut lab = fixture.lab();
                for step in 0..10 {
                    let block = 2000 + thread * 100 + step;
                    lab.write("vault", Sector::new(block), &[thread as u8; 512])
                        .unwrap();
                    lab.message("vault", &Message::Remap(MainBlock::new(block)))
                        .unwrap();
                }
            });
        }
    });
    let mut lab = fixture.lab();
    let from = MainBlock::new(2000);
    let Reply::Remaps(rows) = lab.message("vault", &Message::Remaps(from)).unwrap() else {
        panic!("a list of remaps");
    };
    assert_eq!(rows.len(), 40);
    let replacements: BTreeSet<_> = rows.iter().map(|row| row.replacement).collect();
    assert_eq!(replacements.len(), 40);
    let mut block = [0; 512];
    for row in rows {
        lab.read("vault", Sector::new(row.block.get()), &mut block)
            .unwrap();
        let thread = (row.block.get() - 2000) / 100;
        assert_eq!(block, [thread as u8; 512]);
    }
}

#[test]
fn a_scrub_that_is_due_is_done_by_whoever_comes_next_and_survives_a_restart() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    assert_eq!(lab.run_due().unwrap(), Some(100));
    drop(lab);
    fixture.machine.pass(99);
    assert_eq!(fixture.lab().run_due().unwrap(), Some(1));
    fixture.machine.pass(1);
    assert_eq!(fixture.lab().run_due().unwrap(), Some(3_600_000));
    let status = fixture.lab().mapped().unwrap().remove(0).status;
    assert_eq!((status.scrubs, status.next_scrub), (1, Some(3600)));

    // A repair that waits goes on waiting after a restart of the machine, and no longer
    // than it would have.
    let mut lab = fixture.lab();
    damage(&mut lab, "disk-d", Slot::S1);
    lab.message("attic", &Message::Scrub).unwrap();
    fixture.machine.reboot();
    let mut lab = fixture.lab();
    let status = lab.mapped().unwrap().remove(0).status;
    assert_eq!(
        status.repair,
        RepairStatus::Waiting {
            attempt: 1,
            in_millis: 1000
        }
    );
    assert_eq!(status.scrubs, 2);
    assert_eq!(lab.run_due().unwrap(), Some(100));
    fixture.machine.pass(1000);
    fixture.lab().run_due().unwrap();
    assert_eq!(verdict(&mut lab, "disk-d"), Verdict::Healthy);
    let status = lab.mapped().unwrap().remove(0).status;
    assert_eq!(status.repairs_completed, 1);
}

#[test]
fn a_device_that_is_up_is_not_opened_for_writing_except_to_damage_it() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    let refused = lab.open(Path::new("disk-d"), Access::Exclusive).err();
    let told = refused.unwrap().to_string();
    assert!(told.contains("in use by the mapped device attic"), "{told}");
    let again = Activation {
        name: "again".to_owned(),
        main: PathBuf::from("disk-g"),
        spare: PathBuf::from("disk-d"),
        options: Options::default(),
        meant: Default::default(),
    };
    assert!(matches!(lab.activate(&again), Err(HostError::Busy { .. })));

    // One that is not up can be held by one at a time, who is named.
    let held = lab.open(Path::new("disk-b"), Access::Exclusive).unwrap();
    let told = fixture
        .lab()
        .open(&fixture.file("disks/disk-b.img"), Access::Exclusive)
        .err()
        .unwrap()
        .to_string();
    assert!(
        told.contains(&format!("process {}", std::process::id())),
        "{told}"
    );
    assert!(matches!(
        lab.activate(&vault()),
        Err(HostError::Busy { .. })
    ));
    drop(held);
    lab.activate(&vault()).unwrap();
    assert!(lab
        .mapped()
        .unwrap()
        .iter()
        .any(|mapped| mapped.name == "vault"));
}

#[test]
fn what_is_due_on_a_disk_that_somebody_holds_waits() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    let path = fixture.file("disks/disk-d.img");
    let held = ThisMachine.open(&path, Access::Exclusive).unwrap();
    fixture.machine.pass(100);
    assert_eq!(lab.run_due().unwrap(), Some(250));
    drop(held);
    assert_eq!(lab.run_due().unwrap(), Some(3_600_000));
}

#[test]
fn a_change_by_another_wakes_whoever_watches_and_a_look_wakes_nobody() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    let mut watcher = lab.watcher().unwrap();
    let (woke, wakes) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while watcher.wait().is_ok() {
            if woke.send(()).is_err() {
                break;
            }
        }
    });
    let quiet = std::time::Duration::from_millis(100);
    let mut other = fixture.lab();
    other.devices().unwrap();
    other.mapped().unwrap();
    other.events(0).unwrap();
    verdict(&mut other, "disk-b");
    assert!(
        wakes.recv_timeout(quiet).is_err(),
        "a look woke the watcher"
    );
    other.activate(&vault()).unwrap();
    wakes
        .recv_timeout(std::time::Duration::from_secs(600))
        .expect("a change wakes the watcher");
    while wakes.recv_timeout(quiet).is_ok() {}
    damage(&mut other, "disk-b", Slot::S0);
    wakes
        .recv_timeout(std::time::Duration::from_secs(600))
        .expect("damage wakes the watcher");
}

/// Whoever looks beside work is told what was there before it, and that it was before.
#[test]
fn a_handle_beside_others_waits_for_no_work_of_theirs() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    let known = lab.mapped().unwrap();
    let paths: Vec<_> = lab
        .devices()
        .unwrap()
        .into_iter()
        .map(|it| it.path)
        .collect();
    let lock = std::fs::File::options()
        .write(true)
        .open(fixture.file("lock"));
    let lock = lock.unwrap();
    // Somebody works, and the handle is new.
    lock.lock().unwrap();
    let mut beside = lab.beside().unwrap();
    assert!(!beside.is_behind(), "it was not asked yet");
    assert_eq!(beside.mapped().unwrap().len(), known.len());
    assert!(beside.is_behind());
    let seen: Vec<_> = beside
        .devices()
        .unwrap()
        .into_iter()
        .map(|it| it.path)
        .collect();
    assert_eq!(seen, paths);
    for path in &paths {
        assert!(
            beside.open(path, Access::Read).is_ok(),
            "{}",
            path.display()
        );
    }
    beside.events(0).unwrap();
    lock.unlock().unwrap();
    assert_eq!(beside.mapped().unwrap().len(), known.len());
    assert!(!beside.is_behind());
    // What was done meanwhile is known from then on.
    let name = known[0].name.clone();
    lab.deactivate(&name).unwrap();
    assert_eq!(beside.mapped().unwrap().len(), known.len() - 1);
}
