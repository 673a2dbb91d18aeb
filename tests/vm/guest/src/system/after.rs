//! After the reset: what came up by itself, and what waits for an operator.

use std::fs;

use crate::before::{content, ROUND};
use crate::disks::{find, node, take_away};
use crate::machine::{
    is_up, journal, json, mounted_at, number_of, property, run, tried, unit, wait_for,
};
use crate::wear::{bad_places, bad_sectors, Ledger};
use crate::{doctor, journey, Named};

/// What is looked at after the reset.
pub const TESTS: &[Named] = &[
    ("system-device-comes-up-after-a-reset", comes_up),
    (
        "system-screen-finds-all-of-it-after-the-reset",
        journey::is_there_after_the_reset,
    ),
    ("system-degraded-device-comes-up-and-is-told-of", degraded),
    ("system-weak-device-waits-for-an-operator", weak),
    ("system-clone-of-a-spare-is-refused", clone),
    ("system-missing-disk-blocks-nothing", missing),
    ("system-main-that-comes-later-is-known", main_later),
    ("system-foreign-spare-is-shown-and-left-alone", foreign),
    ("system-tools-work-by-their-names", tools),
    (
        "system-doctor-misses-a-listed-device",
        doctor::of_a_machine_that_lacks_a_spare,
    ),
    (
        "system-screen-says-that-all-is-safe",
        journey::screen_says_safe,
    ),
];

/// The UUID of the array that a disk is the spare of.
pub fn array_of(serial: &str) -> String {
    let seen = json(&format!("inspect {}", node(serial)));
    let uuid = seen["fields"]["array_uuid"].as_str();
    uuid.expect("a spare has one").to_owned()
}

/// Checks what was put on a device, which must be mounted itself.
pub fn check_content(name: &str, seed: u8) {
    let directory = format!("/mnt/{name}");
    assert_eq!(
        mounted_at(&directory),
        Some(number_of(name)),
        "{name} itself is mounted"
    );
    let found = fs::read(format!("{directory}/file")).expect("the file is there");
    assert!(found == content(seed), "what was synced is there");
}

/// The end of a unit that systemd does not call failed.
pub const DONE: &str = "done";

/// Waits until the unit of an array has run and ended as `expected`: [`DONE`], or with the status
/// that failed it. Of a unit that ended well systemd keeps nothing; its words are in the journal.
pub fn wait_for_end(uuid: &str, expected: &str) {
    let unit = unit(uuid);
    wait_for(&format!("{unit} ends: {expected}"), || {
        let ended = match property(&unit, "ActiveState").as_str() {
            "failed" => property(&unit, "ExecMainStatus"),
            "inactive" if !journal(uuid).is_empty() => DONE.to_owned(),
            _ => return false,
        };
        ended == expected
    });
}

fn comes_up() {
    assert!(is_up("vault"));
    let status = json("status vault");
    assert_eq!(status["verdict"], "healthy");
    assert_eq!(status["remaps_active"], bad_sectors());
    check_content("vault", 1);
    let ledger = Ledger::open("/mnt/vault");
    for place in bad_places() {
        ledger.check(&place, ROUND);
    }
    wait_for_end(&array_of("vault-spare"), DONE);
    assert_eq!(run("systemctl is-active local-fs.target").trim(), "active");
}

/// Its file system is mounted by a UUID that main has as well.
fn degraded() {
    assert!(is_up("worn"));
    check_content("worn", 2);
    let uuid = array_of("worn-spare");
    wait_for_end(&uuid, DONE);
    let told = journal(&uuid);
    assert!(
        told.contains("worn is up; its copies were judged degraded"),
        "{told}"
    );
    let warnings = run(&format!(
        "journalctl -b -o cat --no-pager -p 4 -u {}",
        unit(&uuid)
    ));
    assert!(warnings.contains("judged degraded"), "{warnings}");
    wait_for("its target repairs it", || {
        json("status worn")["verdict"] == "healthy"
    });
    let link = fs::canonicalize("/dev/disk/by-uuid/66666666-7777-8888-9999-aaaaaaaaaaaa");
    let link = link
        .expect("a link to the file system")
        .to_str()
        .expect("ASCII")
        .to_owned();
    assert!(link.starts_with("/dev/dm-"), "{link} is not main");
}

fn weak() {
    assert!(!is_up("frail"));
    let uuid = array_of("frail-spare");
    wait_for_end(&uuid, "5");
    assert_eq!(property(&unit(&uuid), "Result"), "exit-code");
    let told = journal(&uuid);
    assert!(
        told.contains("frail is judged weak: it waits for an operator"),
        "{told}"
    );
}

fn clone() {
    assert!(!is_up("twin"));
    let uuid = array_of("twin-spare");
    assert_eq!(array_of("twin-clone"), uuid);
    wait_for_end(&uuid, "4");
    let told = journal(&uuid);
    assert!(told.contains("One is a clone of the other"), "{told}");
}

/// The spare is not here, but a mount of it is asked for.
fn missing() {
    assert!(find("gone-spare").is_none(), "the host left it out");
    assert!(!is_up("gone"));
    assert_eq!(mounted_at("/mnt/gone"), None);
    let told = run(&format!(
        "udevadm info --query=property {}",
        node("gone-main")
    ));
    assert!(told.contains("DMREMAP_ROLE=main"), "{told}");
    let uuid = told
        .lines()
        .find_map(|line| line.strip_prefix("DMREMAP_UUID="));
    let uuid = uuid.expect("main knows its array");
    wait_for_end(uuid, DONE);
    let told = journal(uuid);
    assert!(told.contains("no spare of array"), "{told}");
}

fn main_later() {
    wait_for("it came up at the start", || is_up("later"));
    run("dmremap-tui remove later");
    let uuid = array_of("later-spare");
    let (main, spare) = (take_away("later-main"), take_away("later-spare"));
    wait_for("its unit rests", || {
        property(&unit(&uuid), "ActiveState") == "inactive"
    });
    spare.bring_back();
    wait_for("the unit waits in vain", || {
        journal(&uuid).contains("later: the main disk is not here")
    });
    assert!(!is_up("later"));
    main.bring_back();
    wait_for("it is up", || is_up("later"));
    wait_for("udev has made its node", || {
        fs::exists("/dev/mapper/later").is_ok_and(|there| there)
    });
}

/// A disk with a device of ours is plugged in that this machine knows nothing of.
fn foreign() {
    let away = take_away("stranger-spare");
    away.bring_back();
    run("udevadm settle --timeout=60");
    let spare = node("stranger-spare");
    let told = run(&format!("udevadm info --query=property {spare}"));
    for property in [
        "DMREMAP_ROLE=spare",
        "DMREMAP_ALLOWED=0",
        "DMREMAP_NAME=stranger",
    ] {
        assert!(told.contains(property), "{told}");
    }
    assert!(!told.contains("DMREMAP_STARTED"), "{told}");
    let list = json("list");
    let rows = list["devices"].as_array().expect("devices");
    let row = rows.iter().find(|row| row["device"] == spare.as_str());
    assert_eq!(row.expect("it is listed")["verdict"], "healthy");
    let uuid = array_of("stranger-spare");
    let by_itself = tried(&format!("dmremap-tui reassemble --unattended {uuid}"));
    assert_eq!(by_itself.status.code(), Some(5), "not without a person");
    assert!(!is_up("stranger"));
    assert_eq!(property(&unit(&uuid), "ExecMainStatus"), "0");
    assert_eq!(
        property(&unit(&uuid), "ExecMainExitTimestampMonotonic"),
        "0",
        "it never ran"
    );
}

fn tools() {
    let scanned = tried(&format!(
        "dm-remap-scan --scan-only --device {}",
        node("frail-spare")
    ));
    assert_eq!(scanned.status.code(), Some(3));
    let sequence = |name: &str| json(&format!("inspect {name}"))["working_sequence"].as_u64();
    let before = sequence("later").expect("a sequence");
    run("dm-remap-write-metadata later");
    assert_eq!(sequence("later"), Some(before + 1));
}
