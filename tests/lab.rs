//! The lab on real files: what a newcomer finds, and what several processes, crashes
//! and strangers do to it.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;

use dmremap::lab::exercise::{Exercise, ExerciseError, Found};
use dmremap::lab::{Contents, Lab};
use dmremap::port::slots::survey;
use dmremap::port::{
    Access, Activation, BlockStore, Clock, DeviceInfo, Host, HostError, Part, Platform, Reply,
    Uptime, Usage, Watcher,
};
use dmremap::remap_core::event::Event;
use dmremap::remap_core::message::Message;
use dmremap::remap_core::params::Options;
use dmremap::remap_core::quorum::{judge, Verdict};
use dmremap::remap_core::status::{Mode, RepairStatus};
use dmremap::remap_core::units::{
    Blocks, IdentityDigest, MainBlock, Millis, Sector, Slot, Timestamp,
};
use dmremap::sys::ThisMachine;

/// This machine, with a clock that stands until it is told to go on.
struct Machine {
    uptime: AtomicU64,
    boot: AtomicU64,
}

impl Machine {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            uptime: AtomicU64::new(5_000_000),
            boot: AtomicU64::new(0),
        })
    }

    fn pass(&self, millis: u64) {
        self.uptime.fetch_add(millis, Ordering::SeqCst);
    }

    /// Starts anew: the clock begins at nought.
    fn reboot(&self) {
        self.boot.fetch_add(1, Ordering::SeqCst);
        self.uptime.store(0, Ordering::SeqCst);
    }
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        Timestamp::new(1_760_000_000 + self.uptime.load(Ordering::SeqCst) / 1000)
    }
}

impl Uptime for Machine {
    fn uptime(&self) -> Millis {
        Millis::new(self.uptime.load(Ordering::SeqCst))
    }

    fn boot_id(&self) -> String {
        format!("boot {}", self.boot.load(Ordering::SeqCst))
    }
}

impl Platform for Machine {
    fn open(&self, path: &Path, access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        ThisMachine.open(path, access)
    }

    fn block_devices(&self) -> Result<Vec<DeviceInfo>, HostError> {
        ThisMachine.block_devices()
    }

    fn usage(&self, path: &Path) -> Result<Usage, HostError> {
        ThisMachine.usage(path)
    }

    fn watch(
        &self,
        replaced: &[PathBuf],
        written: &[PathBuf],
    ) -> Result<Box<dyn Watcher>, HostError> {
        ThisMachine.watch(replaced, written)
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), HostError> {
        ThisMachine.random(bytes)
    }
}

struct Fixture {
    directory: tempfile::TempDir,
    machine: Arc<Machine>,
}

impl Fixture {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            machine: Machine::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("lab")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// A handle of its own, as another process would have.
    fn lab(&self) -> Lab {
        self.try_lab().unwrap()
    }

    fn try_lab(&self) -> Result<Lab, HostError> {
        Lab::open_or_create(&self.path(), self.machine.clone(), Contents::Training)
    }
}

fn verdict(lab: &mut Lab, disk: &str) -> Verdict {
    let store = lab.open(Path::new(disk), Access::Read).unwrap();
    judge(&survey(&*store)).verdict
}

fn vault() -> Activation {
    Activation {
        name: "vault".to_owned(),
        main: PathBuf::from("disk-a"),
        spare: PathBuf::from("disk-b"),
        options: Options::default(),
    }
}

fn damage(lab: &mut Lab, disk: &str, slot: Slot) {
    let mut store = lab.open(Path::new(disk), Access::Damage).unwrap();
    store.write_at(slot.sector(), &[0xd6; 512]).unwrap();
}

fn names_of(events: &[dmremap::port::LoggedEvent]) -> Vec<&'static str> {
    events.iter().map(|logged| logged.event.name()).collect()
}

#[test]
fn a_newcomer_finds_a_healthy_device_a_damaged_one_an_older_one_and_blank_disks() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    let devices = lab.devices().unwrap();
    let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(
        names,
        ["disk-a", "disk-b", "disk-c", "disk-d", "disk-f", "disk-g", "disk-h", "usb-e"]
    );
    assert_eq!(
        devices[2].usage,
        Usage::Mapped {
            name: "attic".to_owned(),
            part: Part::Main
        }
    );
    assert_eq!(devices[0].usage, Usage::Free);
    assert!(devices[0].faults > 0);

    let mapped = lab.mapped().unwrap();
    assert_eq!(mapped.len(), 1);
    assert_eq!(mapped[0].name, "attic");
    assert_eq!(mapped[0].status.verdict, Verdict::Healthy);
    assert_eq!(mapped[0].status.mode, Mode::ReadWrite);
    assert_eq!(mapped[0].status.active.get(), 2);

    assert_eq!(verdict(&mut lab, "disk-d"), Verdict::Healthy);
    assert_eq!(verdict(&mut lab, "disk-b"), Verdict::Degraded);
    assert_eq!(verdict(&mut lab, "usb-e"), Verdict::Healthy);
    for blank in ["disk-g", "disk-h", "disk-a"] {
        assert_eq!(verdict(&mut lab, blank), Verdict::None);
    }
    // The damaged device stays as it is until somebody assembles it.
    fixture.machine.pass(100_000);
    lab.run_due().unwrap();
    assert_eq!(verdict(&mut lab, "disk-b"), Verdict::Degraded);
    // Images take no more room than what is in them.
    use std::os::unix::fs::MetadataExt as _;
    let room: u64 = devices
        .iter()
        .map(|device| fs::metadata(&device.path).unwrap().blocks() * 512)
        .sum();
    assert!(room < 8 << 20, "{room}");
}

#[test]
fn reassembled_the_damage_is_found_and_healed_and_the_data_is_there() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    lab.activate(&vault()).unwrap();
    let status = lab.mapped().unwrap().remove(1).status;
    assert_eq!(status.verdict, Verdict::Degraded);
    assert_eq!((status.active.get(), status.pending.get()), (12, 3));
    let before = lab.events(0).unwrap().last().unwrap().id;
    fixture.machine.pass(100);
    assert_eq!(lab.run_due().unwrap(), Some(1000));
    assert_eq!(verdict(&mut lab, "disk-b"), Verdict::Degraded);
    fixture.machine.pass(1000);
    lab.run_due().unwrap();
    assert_eq!(verdict(&mut lab, "disk-b"), Verdict::Healthy);
    let told = lab.events(before).unwrap();
    let of_vault: Vec<_> = told.into_iter().filter(|e| e.device == "vault").collect();
    assert_eq!(
        names_of(&of_vault),
        [
            "corruption-detected",
            "repair-scheduled",
            "repair-completed"
        ]
    );

    let mut block = [0; 512];
    for moved in [17, 64, 71, 130, 200] {
        lab.read("vault", Sector::new(moved), &mut block).unwrap();
        let text = String::from_utf8_lossy(&block);
        assert!(
            text.starts_with(&format!("vault: this is block {moved}.")),
            "{text}"
        );
    }
    assert!(lab.read("vault", Sector::new(90), &mut block).is_err());
    lab.write("vault", Sector::new(90), &[7; 512]).unwrap();
    lab.read("vault", Sector::new(90), &mut block).unwrap();
    assert_eq!(block, [7; 512]);
    assert!(fs::read_dir(fixture.file("backups")).unwrap().count() > 0);
}

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
fn a_copied_image_is_not_the_same_disk() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    let copy = fixture.file("disks/copy.img");
    fs::copy(fixture.file("disks/disk-b.img"), &copy).unwrap();
    assert!(lab
        .devices()
        .unwrap()
        .iter()
        .any(|device| device.name == "copy"));
    let stranger = Activation {
        spare: copy.clone(),
        ..vault()
    };
    let told = lab.activate(&stranger).unwrap_err().to_string();
    assert!(told.contains("may be a copy or another disk"), "{told}");
    let store = lab.open(&copy, Access::Read).unwrap();
    assert_eq!(store.identity(), IdentityDigest::NONE);
    lab.activate(&vault()).unwrap();
}

#[test]
fn images_from_elsewhere_can_be_joined() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    let image = |name: &str, bytes: u64| {
        let path = fixture.directory.path().join(name);
        fs::File::create(&path).unwrap().set_len(bytes).unwrap();
        path
    };
    let activation = Activation {
        name: "far.away".to_owned(),
        main: image("main.img", 1 << 20),
        spare: image("spare.img", 8 << 20),
        options: Options::default(),
    };
    lab.activate(&activation).unwrap();
    lab.message("far.away", &Message::WriteMetadata).unwrap();
    lab.write("far.away", Sector::new(3), &[3; 512]).unwrap();
    let mut lab = fixture.lab();
    let mapped = lab.mapped().unwrap();
    assert_eq!(mapped[1].name, "far.away");
    assert_eq!(mapped[1].main, activation.main.canonicalize().unwrap());
    assert_eq!(mapped[1].status.mode, Mode::ReadWrite);
    assert_eq!(lab.devices().unwrap().len(), 10);
    lab.deactivate("far.away").unwrap();
    assert_eq!(lab.devices().unwrap().len(), 8);
    lab.activate(&activation).unwrap();
}

#[test]
fn faults_are_set_through_a_device_and_stay_with_its_disk() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    lab.activate(&vault()).unwrap();
    lab.message("vault", &Message::ClearFaults).unwrap();
    let mut block = [0; 512];
    lab.read("vault", Sector::new(90), &mut block).unwrap();
    let words: Vec<&str> = "fault main write 500 18446744073709551615"
        .split(' ')
        .collect();
    lab.message("vault", &Message::parse(&words).unwrap())
        .unwrap();
    let disk = lab.devices().unwrap().remove(0);
    assert_eq!(disk.faults, disk.size.get() - 500);
    lab.write("vault", Sector::new(499), &[1; 512]).unwrap();
    lab.write("vault", Sector::new(500), &[2; 512]).unwrap();
    let mut lab = fixture.lab();
    lab.read("vault", Sector::new(500), &mut block).unwrap();
    assert_eq!(block, [2; 512]);
    assert_eq!(lab.mapped().unwrap()[1].status.active.get(), 13);
    for line in [
        "fault main write 999999999 1",
        "fault spare read 18446744073709551615 1",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let message = Message::parse(&words).unwrap();
        assert!(lab.message("vault", &message).is_err(), "{line}");
    }
}

/// Everything below the lab's directory, as it was.
fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

#[test]
fn a_lab_whose_making_was_cut_short_is_made_anew_and_nothing_else_is_touched() {
    // As a crash would leave it: everything but the registry, and half an image.
    let fixture = Fixture::new();
    drop(fixture.lab());
    fs::remove_file(fixture.file("lab.json")).unwrap();
    fs::write(fixture.file("making"), "").unwrap();
    fs::write(fixture.file("disks/disk-a.img"), "half").unwrap();
    let mut lab = fixture.lab();
    assert_eq!(lab.devices().unwrap().len(), 8);
    assert_eq!(verdict(&mut lab, "disk-b"), Verdict::Degraded);
    assert!(!fixture.file("making").exists());

    // Finished, but for the last step.
    fs::write(fixture.file("making"), "").unwrap();
    assert_eq!(fixture.lab().devices().unwrap().len(), 8);
    assert!(!fixture.file("making").exists());

    // A directory of somebody else's.
    let fixture = Fixture::new();
    fs::create_dir(fixture.path()).unwrap();
    fs::write(fixture.file("thesis.txt"), "dear to me").unwrap();
    let told = fixture.try_lab().err().unwrap().to_string();
    assert!(
        told.contains("other things than images, and no lab"),
        "{told}"
    );
    assert_eq!(fs::read_dir(fixture.path()).unwrap().count(), 1);

    let missing = Lab::open(&fixture.file("nowhere"), fixture.machine.clone());
    assert!(matches!(missing, Err(HostError::NotFound(_))));
    assert!(!fixture.file("nowhere").exists());
}

#[test]
fn a_process_that_died_in_the_middle_is_made_up_for() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    lab.activate(&vault()).unwrap();
    let state = fs::read(fixture.file("state/vault.json")).unwrap();
    lab.write("vault", Sector::new(3000), &[9; 512]).unwrap();
    lab.message("vault", &Message::Remap(MainBlock::new(3000)))
        .unwrap();
    drop(lab);
    // It had written the table, and neither the record nor the end of its action.
    fs::write(fixture.file("state/vault.json"), state).unwrap();
    fs::write(fixture.file("state/gone.json.new"), "{").unwrap();
    fs::write(fixture.file("state/gone.json"), "{").unwrap();
    let mark = fs::read_to_string(fixture.file("lock")).unwrap();
    fs::write(fixture.file("lock"), mark.replace("clean", "busy ")).unwrap();

    let mut lab = fixture.lab();
    let status = lab.mapped().unwrap().remove(1).status;
    assert_eq!(status.active.get(), 13);
    let mut block = [0; 512];
    lab.read("vault", Sector::new(3000), &mut block).unwrap();
    assert_eq!(block, [9; 512]);
    assert_eq!(fs::read_dir(fixture.file("state")).unwrap().count(), 2);
    let mark = fs::read_to_string(fixture.file("lock")).unwrap();
    assert!(mark.contains("clean"), "{mark}");
}

#[test]
fn files_that_cannot_be_used_are_named_with_what_to_do() {
    let cases: [(&str, &[u8]); 9] = [
        ("lab.json", b""),
        ("lab.json", b"{}"),
        ("lab.json", b"\xff\xfe"),
        ("lab.json", br#"{"schema":"dmremap/lab/2","disks":[],"mapped":[]}"#),
        ("state/attic.json", b"[]"),
        ("state/attic.json", br#"{"version":1,"boot_id":"","status":"1 rw","block_size_bytes":512,"size_sectors":1}"#),
        ("state/attic.json", br#"{"version":7,"boot_id":"","status":"1 rw","block_size_bytes":512,"size_sectors":1}"#),
        ("events.jsonl", b"\x1b[2J\n{}\n"),
        ("events.jsonl", b"{\"id\":1}\n"),
    ];
    for (name, bytes) in cases {
        let fixture = Fixture::new();
        drop(fixture.lab());
        fs::write(fixture.file(name), bytes).unwrap();
        let outcome = fixture.try_lab().and_then(|mut lab| {
            lab.mapped()?;
            lab.events(0).map(|_| ())
        });
        let told = outcome.unwrap_err().to_string();
        assert!(told.contains(name), "{told}");
        assert!(told.contains("remove"), "{told}");
        assert!(!told.contains('\x1b'), "{told:?}");
    }
    // Without its record a device goes on, with its counters at nought.
    let fixture = Fixture::new();
    drop(fixture.lab());
    fs::remove_file(fixture.file("state/attic.json")).unwrap();
    let mut lab = fixture.lab();
    let status = lab.mapped().unwrap().remove(0).status;
    assert_eq!((status.active.get(), status.write_errors), (2, 0));
    lab.message("attic", &Message::Scrub).unwrap();
    assert_eq!(lab.mapped().unwrap()[0].status.scrubs, 1);
}

#[test]
fn a_device_whose_image_vanished_is_told_of_and_can_be_taken_down() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    fs::remove_file(fixture.file("disks/disk-d.img")).unwrap();
    assert_eq!(lab.mapped().unwrap().len(), 1);
    fixture.machine.pass(100);
    assert!(matches!(lab.run_due(), Err(HostError::NotFound(_))));
    // It is not asked for again at once.
    assert_eq!(lab.run_due().unwrap(), Some(60_000));
    lab.deactivate("attic").unwrap();
    assert!(lab.mapped().unwrap().is_empty());
}

#[test]
fn a_lab_can_be_moved() {
    let fixture = Fixture::new();
    fixture.lab().activate(&vault()).unwrap();
    let elsewhere = Fixture::new();
    copy_tree(&fixture.path(), &elsewhere.path());
    drop(fixture);
    let mut lab = elsewhere.lab();
    assert_eq!(lab.mapped().unwrap().len(), 2);
    lab.message("vault", &Message::Scrub).unwrap();
    let mut block = [0; 512];
    lab.read("vault", Sector::new(64), &mut block).unwrap();
}

#[test]
fn names_that_are_none_are_refused() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    for name in ["", ".", "..", "a/b", "../x", "a b", "ü", "a\n"] {
        let activation = Activation {
            name: name.to_owned(),
            ..vault()
        };
        assert!(
            matches!(lab.activate(&activation), Err(HostError::Refused(_))),
            "{name:?}"
        );
    }
    let taken = Activation {
        name: "attic".to_owned(),
        ..vault()
    };
    assert!(matches!(lab.activate(&taken), Err(HostError::Busy { .. })));
    let same = Activation {
        spare: PathBuf::from("disk-a"),
        ..vault()
    };
    assert!(matches!(lab.activate(&same), Err(HostError::Refused(_))));
    let none = Activation {
        spare: PathBuf::from("disk-z"),
        ..vault()
    };
    assert!(matches!(lab.activate(&none), Err(HostError::NotFound(_))));
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
        .recv_timeout(std::time::Duration::from_secs(10))
        .expect("a change wakes the watcher");
    while wakes.recv_timeout(quiet).is_ok() {}
    damage(&mut other, "disk-b", Slot::S0);
    wakes
        .recv_timeout(std::time::Duration::from_secs(10))
        .expect("damage wakes the watcher");
}

#[test]
fn a_thousand_images_are_listed_and_a_lab_is_opened_at_once() {
    let fixture = Fixture::new();
    drop(fixture.lab());
    for number in 0..1000 {
        let path = fixture.file(&format!("disks/many-{number:04}.img"));
        fs::File::create(path).unwrap().set_len(1 << 30).unwrap();
    }
    let begun = Instant::now();
    let mut lab = fixture.lab();
    let opened = begun.elapsed();
    let mapped = lab.mapped().unwrap();
    let known = begun.elapsed();
    assert_eq!(lab.devices().unwrap().len(), 1008);
    let listed = begun.elapsed();
    println!("opened {opened:?}, mapped {known:?}, listed {listed:?}");
    assert_eq!(mapped.len(), 1);
    // Far above what it takes, and far below what a person notices.
    assert!(listed.as_millis() < 500, "{listed:?}");
}

#[test]
fn events_are_numbered_over_the_labs_whole_life() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    let made = lab.events(0).unwrap();
    assert_eq!(made[0].id, 1);
    let ids = |events: &[dmremap::port::LoggedEvent]| {
        events.iter().map(|logged| logged.id).collect::<Vec<u64>>()
    };
    assert!(ids(&made).windows(2).all(|pair| pair[1] == pair[0] + 1));
    let last = made.last().unwrap().id;
    lab.activate(&vault()).unwrap();
    fixture.lab().deactivate("vault").unwrap();
    let more = lab.events(last).unwrap();
    assert_eq!(ids(&more), [last + 1, last + 2]);
    assert_eq!(
        (more[0].event, more[1].event),
        (
            Event::Activated {
                verdict: Verdict::Degraded
            },
            Event::Deactivated
        )
    );
    assert_eq!(more[0].device, "vault");
}

#[test]
fn a_load_is_verified_and_what_was_lost_is_named() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    lab.activate(&vault()).unwrap();
    let load = Exercise {
        seed: 11,
        blocks: Blocks::new(64),
    };
    load.break_blocks(&mut lab, "vault", 5).unwrap();
    let mut report = Vec::new();
    let done = load.run(&mut lab, "vault", 0, 40, &mut report).unwrap();
    assert_eq!(done.failed, 0);
    let text = String::from_utf8(report.clone()).unwrap();
    assert_eq!(text.lines().count() as u64, done.acknowledged);
    // Half a line was never reported, however wrong it is.
    report.extend(b"ack 3 99");
    let verified = load.verify(&mut lab, "vault", &mut &report[..]).unwrap();
    assert_eq!((verified.next_step, &verified.wrong[..]), (40, &[][..]));

    // A later step than the last one reported may have got through, an older may not.
    load.run(&mut lab, "vault", 40, 5, &mut std::io::sink())
        .unwrap();
    let verified = load.verify(&mut lab, "vault", &mut &report[..]).unwrap();
    assert!(verified.wrong.is_empty());
    load.run(&mut lab, "vault", 0, 40, &mut std::io::sink())
        .unwrap();
    let mut newer = report[..report.len() - "ack 3 99".len()].to_vec();
    load.run(&mut lab, "vault", 40, 5, &mut newer).unwrap();
    load.run(&mut lab, "vault", 0, 40, &mut std::io::sink())
        .unwrap();
    let verified = load.verify(&mut lab, "vault", &mut &newer[..]).unwrap();
    assert!(!verified.wrong.is_empty());
    for wrong in &verified.wrong {
        let Found::Generation(found) = wrong.found else {
            panic!("{wrong}");
        };
        assert!(found < wrong.acknowledged, "{wrong}");
    }

    let word = text.lines().last().unwrap().split(' ').nth(1).unwrap();
    let block = MainBlock::new(word.parse().unwrap());
    lab.write("vault", Sector::new(block.get()), &[1; 512])
        .unwrap();
    let verified = load.verify(&mut lab, "vault", &mut &report[..]).unwrap();
    assert_eq!(verified.wrong.len(), 1);
    assert_eq!(
        (verified.wrong[0].block, verified.wrong[0].found),
        (block, Found::Stranger)
    );
    let fault = format!("fault main read {block} 1");
    let words: Vec<&str> = fault.split(' ').collect();
    lab.message("vault", &Message::parse(&words).unwrap())
        .unwrap();
    let verified = load.verify(&mut lab, "vault", &mut &report[..]).unwrap();
    let found = verified.wrong[0].found;
    let moved = lab
        .read("vault", Sector::new(block.get()), &mut [0; 512])
        .is_ok();
    assert_eq!(found, if moved { Found::Stranger } else { Found::Lost });

    for bad in [
        "ack 1\n",
        "nak 1 2\n",
        "ack 1 2 3\n",
        "ack x 1\n",
        "ack -1 1\n",
    ] {
        let outcome = load.verify(&mut lab, "vault", &mut bad.as_bytes());
        assert!(
            matches!(outcome, Err(ExerciseError::Line { number: 1 })),
            "{bad}"
        );
    }
    for blocks in [0, 1 << 40] {
        let load = Exercise {
            blocks: Blocks::new(blocks),
            ..load
        };
        let outcome = load.run(&mut lab, "vault", 0, 1, &mut std::io::sink());
        assert!(matches!(outcome, Err(ExerciseError::Blocks { .. })));
    }
}
