//! Before the reset: devices of every kind, and somebody at work on one of them.

use std::fs::{self, File, OpenOptions};
use std::io::Write;

use crate::disks::node;
use crate::machine::{is_up, run, tried};
use crate::Named;

/// What is done before the reset, in this order.
pub const TESTS: &[Named] = &[
    ("system-packages-are-installed", packages),
    ("system-devices-are-set-up", set_up),
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
        "dmremap-tui create {name} --main {} --spare {} --confirm {name}",
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

fn write(directory: &str, seed: u8) {
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
            "mke2fs -q -F -t ext4 -U {uuid} /dev/mapper/{name}"
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

/// Somebody writes without end; what was not synced may be lost, and nothing else.
fn write_data() {
    let busy = File::create("/mnt/vault/busy");
    let mut busy = busy.expect("a file can be made");
    std::thread::spawn(move || while busy.write_all(&[7; 4096]).is_ok() {});
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(tried("mountpoint -q /mnt/vault").status.success());
}
