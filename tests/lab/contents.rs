//! What a newcomer finds, and what comes of it.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use dmremap::port::{Host, Part, Usage};
use dmremap::remap_core::event::Event;
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::status::Mode;
use dmremap::remap_core::units::Sector;

use crate::fixture::{names_of, vault, verdict, Fixture};

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
fn a_thousand_images_are_listed_and_a_lab_is_opened_at_once() {
    let fixture = Fixture::new();
    drop(fixture.lab());
    for number in 0..1000 {
        let path = fixture.file(&format!("disks/many-{number:04}.img"));
        fs::File::create(path).unwrap().set_len(1 << 30).unwrap();
    }
    // How fast this machine is now: what the beginning of each image takes to be read.
    let yardstick = || {
        let begun = Instant::now();
        let mut bytes = vec![0; 1 << 17];
        for entry in fs::read_dir(fixture.file("disks")).unwrap() {
            let file = fs::File::open(entry.unwrap().path()).unwrap();
            file.read_at(&mut bytes, 0).unwrap();
        }
        begun.elapsed()
    };
    let mut seen = Vec::new();
    // Others may take the processor at any moment, and seldom each time.
    for _ in 0..20 {
        let begun = Instant::now();
        let mut lab = fixture.lab();
        let mapped = lab.mapped().unwrap();
        assert_eq!(mapped.len(), 1);
        assert_eq!(lab.devices().unwrap().len(), 1008);
        let listed = begun.elapsed();
        let allowed = yardstick();
        if listed < allowed {
            println!("{listed:?}, and {allowed:?} are allowed");
            return;
        }
        seen.push((listed, allowed));
    }
    panic!("{seen:?}");
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
