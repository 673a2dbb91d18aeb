//! Before the reset: devices of every kind, and somebody at work on one of them.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;

use crate::disks::node;
use crate::machine::{is_up, json, run, tried};
use crate::wear::{bad_places, bad_sectors, Ledger};
use crate::{doctor, journey, Named};

/// What is done before the reset, in this order.
pub const TESTS: &[Named] = &[
    ("system-doctor-of-a-new-machine", doctor::of_a_new_machine),
    ("system-packages-are-installed", packages),
    (
        "system-screen-from-two-disks-to-the-list",
        journey::from_two_disks_to_the_list,
    ),
    ("system-devices-are-set-up", set_up),
    ("system-script-counts-what-moves", script),
    ("system-data-is-written-until-the-reset", write_data),
];

/// What was put on the file systems, and is looked for after the reset.
pub fn content(seed: u8) -> Vec<u8> {
    let bytes = (0..256 * 1024u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 ^ seed);
    bytes.collect()
}

fn packages() {
    let installed = run("dpkg-query --show --showformat=${Package}=${Status};");
    for package in ["dmremap-tui", "dm-remap-v4-dkms"] {
        let line = format!("{package}=install ok installed;");
        assert!(installed.contains(&line), "{package}");
    }
    run("modprobe dm_remap_v4");
    for program in ["/usr/bin/dm-remap-scan", "/usr/bin/dm-remap-write-metadata"] {
        run(&format!("{program} --help"));
    }
    assert_eq!(
        fs::read_dir("/dev/mapper").expect("udev runs").count(),
        1,
        "nothing came up"
    );
}

fn create(name: &str) {
    run(&format!(
        "dmremap-tui create {name} --main {} --spare {} --bare --confirm {name}",
        node(&format!("{name}-main")),
        node(&format!("{name}-spare"))
    ));
    assert!(is_up(name));
}

fn remove(name: &str) {
    run(&format!("dmremap-tui remove {name}"));
}

fn corrupt(name: &str, copies: &str) {
    let spare = node(&format!("{name}-spare"));
    run(&format!(
        "dmremap-tui corrupt {spare} --copy {copies} --kind torn --confirm {name}"
    ));
}

/// Puts a file on a file system, and makes it durable.
pub fn write(directory: &str, seed: u8) {
    let mut file = File::create(format!("{directory}/file")).expect("a file can be made");
    file.write_all(&content(seed)).expect("it can be written");
    file.sync_all().expect("it is durable");
}

fn set_up() {
    for name in [
        "vault", "worn", "frail", "later", "twin", "gone", "stranger",
    ] {
        create(name);
    }
    for (name, uuid, seed) in [
        ("vault", "11111111-2222-3333-4444-555555555555", 1),
        ("worn", "66666666-7777-8888-9999-aaaaaaaaaaaa", 2),
    ] {
        run(&format!(
            "mke2fs -q -F -t ext4 -b 4096 -U {uuid} /dev/mapper/{name}"
        ));
        let directory = format!("/mnt/{name}");
        fs::create_dir_all(&directory).expect("a directory can be made");
        run(&format!("mount /dev/mapper/{name} {directory}"));
        write(&directory, seed);
    }
    run("umount /mnt/worn");
    for name in ["worn", "frail", "later", "twin", "gone", "stranger"] {
        remove(name);
    }
    // A second disk that says it is the same spare.
    run(&format!(
        "dd if={} of={} bs=1M oflag=direct",
        node("twin-spare"),
        node("twin-clone")
    ));
    corrupt("worn", "1,3");
    corrupt("frail", "0,1,2,3");
    let mut table = OpenOptions::new()
        .append(true)
        .open("/etc/fstab")
        .expect("a table of mounts");
    writeln!(
        table,
        "/dev/mapper/vault /mnt/vault ext4 defaults,x-systemd.device-timeout=600 0 2\n\
         UUID=66666666-7777-8888-9999-aaaaaaaaaaaa /mnt/worn ext4 defaults,x-systemd.device-timeout=600 0 2\n\
         /dev/mapper/gone /mnt/gone ext4 nofail,x-systemd.device-timeout=5 0 0"
    )
    .expect("it can be written");
    // One of them is named by the path of its spare. Last of all: from here on udev's next
    // look at a disk brings its device up.
    run("dmremap-tui allow vault frail later gone");
    for serial in ["worn-spare", "twin-spare"] {
        run(&format!("dmremap-tui allow {}", node(serial)));
    }
    run("sync -f /etc/fstab");
}

/// What was written last where the main of `vault` is bad.
pub const ROUND: u8 = 2;

/// What the screen shows of the other device, a script reads of this one.
fn script() {
    let remaps = || json("status vault")["remaps_active"].as_u64();
    let ledger = Ledger::reserve("/mnt/vault");
    assert_eq!(remaps(), Some(0));
    for place in bad_places() {
        ledger.write(&place, ROUND);
        ledger.check(&place, ROUND);
    }
    assert_eq!(remaps(), Some(bad_sectors()));
    corrupt("vault", "1,3");
    let damaged = tried(&format!(
        "dmremap-tui inspect {} --json",
        node("vault-spare")
    ));
    assert_eq!(damaged.status.code(), Some(3));
    let scrub = json("scrub vault");
    assert_eq!(scrub["verdict_found"], "degraded");
    run("dmremap-tui repair vault");
    assert_eq!(json("status vault")["verdict"], "healthy");
    run(&format!("dmremap-tui inspect {}", node("vault-spare")));
}

/// Somebody writes without end; what was not synced may be lost, and nothing else.
fn write_data() {
    let busy = File::create("/mnt/vault/busy");
    let busy = busy.expect("a file can be made");
    std::thread::spawn(move || {
        for at in (0..256).cycle() {
            let written = busy.write_all_at(&[7; 4096], at * 4096);
            written.expect("there is room");
        }
    });
    journey::work_until_the_reset();
    assert!(tried("mountpoint -q /mnt/vault").status.success());
}
