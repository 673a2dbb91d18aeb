//! Disks and devices: copied, vanished, from elsewhere, with faults.

use std::fs;
use std::path::{Path, PathBuf};

use dmremap::port::{Access, Activation, Host, HostError};
use dmremap::remap_core::message::Message;
use dmremap::remap_core::params::Options;
use dmremap::remap_core::status::Mode;
use dmremap::remap_core::units::{IdentityDigest, Sector};

use crate::fixture::{vault, Fixture};

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
fn images_are_joined_where_the_lab_is_and_only_looked_at_elsewhere() {
    let fixture = Fixture::new();
    let mut lab = fixture.lab();
    let image = |folder: &Path, name: &str, bytes: u64| {
        let path = folder.join(name);
        fs::File::create(&path).unwrap().set_len(bytes).unwrap();
        path
    };
    let activation = |folder: &Path| Activation {
        name: "far.away".to_owned(),
        main: image(folder, "main.img", 1 << 20),
        spare: image(folder, "spare.img", 8 << 20),
        options: Options::default(),
        meant: Default::default(),
    };
    let elsewhere = activation(fixture.directory.path());
    let refused = lab.activate(&elsewhere).unwrap_err();
    assert!(matches!(refused, HostError::Refused(_)), "{refused}");
    assert!(lab.open(&elsewhere.spare, Access::Read).is_ok());
    for access in [Access::Exclusive, Access::HandOver, Access::Damage] {
        let opened = lab.open(&elsewhere.spare, access);
        assert!(matches!(opened, Err(HostError::Refused(_))), "{access:?}");
    }
    let activation = activation(&fixture.path());
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
fn images_in_the_labs_directory_are_disks_of_it() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path()).unwrap();
    for name in ["old.img", "new.img"] {
        let image = fs::File::create(fixture.file(name)).unwrap();
        image.set_len(8 << 20).unwrap();
    }
    let mut lab = fixture.lab();
    assert_eq!(lab.devices().unwrap().len(), 10);
    let activation = Activation {
        name: "joined".to_owned(),
        main: PathBuf::from("old"),
        spare: fixture.file("new.img"),
        options: Options::default(),
        meant: Default::default(),
    };
    lab.activate(&activation).unwrap();
    let mapped = lab.mapped().unwrap().remove(1);
    assert_eq!(mapped.main, fixture.file("old.img").canonicalize().unwrap());
}
