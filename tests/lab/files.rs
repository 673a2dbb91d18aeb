//! What crashes and strangers do to the lab's own files.

use std::fs;
use std::path::Path;

use dmremap::lab::Lab;
use dmremap::port::{Host, HostError};
use dmremap::remap_core::message::Message;
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::units::{MainBlock, Sector};

use crate::fixture::{vault, verdict, Fixture};

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
    fs::write(fixture.file("disks/disk-a.img"), "half").unwrap();
    for strange in [&b""[..], b"cakes"] {
        fs::write(fixture.file("making"), strange).unwrap();
        let told = fixture.try_lab().err().unwrap().to_string();
        assert!(told.contains("and no lab"), "{told}");
        assert_eq!(fs::read(fixture.file("disks/disk-a.img")).unwrap(), b"half");
    }
    fs::write(
        fixture.file("making"),
        "dmremap: a lab is being made here\n",
    )
    .unwrap();
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
