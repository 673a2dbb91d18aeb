//! Cold starts with everything that takes disks by itself: md, LVM, btrfs over two disks, LUKS,
//! swap, a partition of main, and main as a partition, all over listed devices with hundreds of
//! moved blocks, in a system that comes up through Debian's own initramfs.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};

use crate::disks::node;
use crate::machine::{
    argument, is_up, journal, json, mounted_at, property, run, tried, unit, wait_for,
};
use crate::wear::bad_sectors;
use crate::Named;

/// Looks at what a plan tells of a main, and sets everything up, once.
pub const MAKE: &[Named] = &[
    (
        "system-cold-create-tells-what-lies-on-main",
        plans_tell_of_main,
    ),
    ("system-cold-devices-are-set-up", set_up),
];

/// What is looked at after each cold start with all disks.
pub const START: &[Named] = &[
    ("system-cold-every-read-is-right", reads_are_right),
    (
        "system-cold-nothing-but-mapped-devices-is-in-use",
        mains_are_left_alone,
    ),
    (
        "system-cold-doctor-finds-names-that-lead-past",
        names_that_lead_past,
    ),
];

/// What is looked at after a cold start without the spares.
pub const ALONE: &[Named] = &[
    (
        "system-cold-main-alone-is-taken-by-nobody",
        mains_are_left_alone_without_spares,
    ),
    ("system-cold-main-taken-by-hand-is-seen", taken_by_hand),
];

/// Devices by name, each with a main and a spare that are called after it.
const DEVICES: [&str; 9] = [
    "array", "volumes", "poola", "poolb", "vault", "swap", "parts", "part", "stack",
];

/// Where each file system is mounted, with the seed of what lies on it.
const MOUNTS: [(&str, u8); 7] = [
    ("array", 1),
    ("volumes", 2),
    ("pool", 3),
    ("opened", 4),
    ("parts", 5),
    ("part", 6),
    ("stack", 7),
];

/// Array of one disk that is itself a main: md's own rule looks for what lies on it, and makes links.
const BASE: &str = "/dev/md/base";

/// Bytes of each file: most of what the smallest of the file systems has room for.
const LENGTH: u32 = 12 << 20;

fn content(seed: u8) -> Vec<u8> {
    let bytes = (0..LENGTH).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 ^ seed);
    bytes.collect()
}

fn mapped(name: &str) -> String {
    format!("/dev/mapper/{name}")
}

/// Runs a program with an input.
fn feed(line: &str, input: &str) {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a command"));
    let child = command.args(words).stdin(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{line}: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    assert!(child.wait().expect("it ends").success(), "{line}");
}

fn append(path: &str, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let mut file = file.unwrap_or_else(|error| panic!("{path}: {error}"));
    file.write_all(text.as_bytes()).expect("it can be written");
}

/// A tag of what lies on a device: `UUID`, `PARTUUID`.
fn tag(device: &str, name: &str) -> String {
    run(&format!("blkid -p -s {name} -o value {device}"))
        .trim()
        .to_owned()
}

/// Joins main and spare, and writes where main is bad: what it refuses is moved.
fn join(name: &str, main: &str) {
    let spare = node(&format!("{name}-spare"));
    run(&format!(
        "dmremap-tui create {name} --main {main} --spare {spare} --bare --confirm {name}"
    ));
    tried(&format!(
        "dd if=/dev/zero of={} bs=256k count=160 oflag=direct status=none",
        mapped(name)
    ));
    let moved = json(&format!("status {name}"))["remaps_active"].as_u64();
    assert!(
        moved > Some(bad_sectors() / 2),
        "{name}: {moved:?} blocks moved"
    );
}

fn make_luks(device: &str) {
    run("dd if=/dev/urandom of=/etc/vault.key bs=64 count=1 status=none");
    run(&format!(
        "cryptsetup luksFormat -q --type luks2 --luks2-metadata-size 16k --luks2-keyslots-size 256k \
         --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /etc/vault.key {device}"
    ));
}

/// Files as they were, put back when it is dropped.
struct AsTheyWere(Vec<(&'static str, Vec<u8>)>);

impl AsTheyWere {
    fn keep(paths: &[&'static str]) -> Self {
        let read = |path: &&'static str| (*path, fs::read(path).unwrap_or_default());
        Self(paths.iter().map(read).collect())
    }
}

impl Drop for AsTheyWere {
    fn drop(&mut self) {
        for (path, bytes) in &self.0 {
            fs::write(path, bytes).expect("a file can be put back");
        }
    }
}

fn plans_tell_of_main() {
    let _tables = AsTheyWere::keep(&["/etc/fstab", "/etc/crypttab", "/etc/mdadm/mdadm.conf"]);
    let (main, spare) = (node("parts-main"), node("parts-spare"));
    feed(
        &format!("sfdisk -q {main}"),
        "label: gpt\nsize=4M, name=first\nsize=1M, name=second\nsize=4M\nsize=2M\n",
    );
    run("udevadm settle --timeout=60");
    run(&format!("mke2fs -q -F -t ext4 -L inner {main}1"));
    run(&format!("mkswap -q {main}2"));
    run(&format!("pvcreate -q --devices {main}3 {main}3"));
    make_luks(&format!("{main}4"));
    run("udevadm settle --timeout=60");
    let uuid = tag(&format!("{main}1"), "UUID");
    let partition_uuid = tag(&format!("{main}2"), "PART_ENTRY_UUID");
    let luks = tag(&format!("{main}4"), "UUID");
    let past = "leads past told, to old data: name /dev/mapper/told";
    let by_content = "leads to told once that is listed";
    let names = [
        (format!("UUID={uuid}"), by_content.to_owned()),
        ("LABEL=inner".to_owned(), by_content.to_owned()),
        (format!("PARTUUID={partition_uuid}"), by_content.to_owned()),
        ("PARTLABEL=second".to_owned(), by_content.to_owned()),
        (format!("{main}2"), format!("{past}-part2 there")),
        (
            "/dev/disk/by-id/virtio-parts-main-part1".to_owned(),
            format!("{past}-part1 there"),
        ),
        (
            "/dev/disk/by-id/virtio-parts-main".to_owned(),
            format!("{past} there"),
        ),
    ];
    for (name, _) in &names {
        append("/etc/fstab", &format!("{name} /mnt/x auto noauto 0 0\n"));
    }
    append("/etc/crypttab", &format!("x UUID={luks} none noauto\n"));
    append("/etc/mdadm/mdadm.conf", "DEVICE /dev/vd*\n");
    let create = |main: &str| {
        let told = json(&format!(
            "create told --main {main} --spare {spare} --bare --dry-run"
        ));
        let notes = told["plan"]["notes"].as_array().expect("notes").clone();
        let notes = notes
            .iter()
            .map(|note| note.as_str().expect("text").to_owned());
        notes.collect::<Vec<String>>()
    };
    let has = |notes: &[String], parts: &[&str]| {
        let is_it = |note: &String| parts.iter().all(|part| note.contains(part));
        assert!(notes.iter().any(is_it), "{parts:?}: {notes:#?}");
    };
    let notes = create(&main);
    has(
        &notes,
        &["gpt partition table with 4 partitions (ext4, swap, LVM2_member, crypto_LUKS)"],
    );
    has(&notes, &["/dev/mapper/told-part1"]);
    has(&notes, &["Once it is listed (dmremap-tui allow told)"]);
    has(&notes, &["LVM sees its label"]);
    for (name, leads) in &names {
        has(&notes, &[&format!("{name} in /etc/fstab"), leads]);
    }
    has(
        &notes,
        &[&format!("UUID={luks} in /etc/crypttab"), by_content],
    );
    has(&notes, &["/dev/vd* in /etc/mdadm/mdadm.conf", past]);

    // A main that is a partition is named by what the table of its disk says, too.
    let notes = create(&format!("{main}2"));
    has(&notes, &[&format!("{main}2 holds swap")]);
    has(&notes, &["PARTLABEL=second in /etc/fstab", by_content]);
    has(
        &notes,
        &[
            &format!("PARTUUID={partition_uuid} in /etc/fstab"),
            by_content,
        ],
    );
    has(&notes, &[&format!("{main}2 in /etc/fstab"), past]);
    let of_others = |note: &String| note.contains(&uuid) || note.contains("LABEL=inner");
    assert!(!notes.iter().any(of_others), "{notes:#?}");

    for part in 1..=4 {
        run(&format!("wipefs -q -a {main}{part}"));
    }
    run(&format!("sfdisk -q --delete {main}"));
    run(&format!("wipefs -q -a {main}"));
    run("udevadm settle --timeout=60");
}

fn names_that_lead_past() {
    let _table = AsTheyWere::keep(&["/etc/fstab"]);
    assert_eq!(check(&json("doctor"), "tables")["ok"], true);
    for name in [
        "/dev/disk/by-id/virtio-parts-main-part1".to_owned(),
        "ID=virtio-parts-main-part1".to_owned(),
        format!("{}1", node("parts-main")),
        format!("{}1", node("part-main")),
        node("array-main"),
        BASE.to_owned(),
    ] {
        append("/etc/fstab", &format!("{name} /mnt/x ext4 noauto 0 0\n"));
        let tables = check(&json("doctor"), "tables");
        assert_eq!(tables["ok"], false, "{name}");
        let summary = tables["summary"].as_str().expect("a summary");
        let name = name.replace("ID=", "/dev/disk/by-id/");
        assert!(summary.contains(&name), "{name}: {summary}");
    }
}

fn set_up() {
    let of_part = node("part-main");
    feed(
        &format!("sfdisk -q {of_part}"),
        "label: gpt\nsize=40M, name=part\n",
    );
    run("udevadm settle --timeout=60");
    join("part", &format!("{of_part}1"));
    run(&format!(
        "mdadm --create {BASE} --level=0 --raid-devices=1 --force --metadata=1.2 --run {}",
        node("stack-main")
    ));
    run("udevadm settle --timeout=60");
    join("stack", BASE);
    for name in DEVICES
        .iter()
        .filter(|name| !["part", "stack"].contains(name))
    {
        join(name, &node(&format!("{name}-main")));
    }

    feed(
        "sfdisk -q --no-reread --no-tell-kernel /dev/mapper/parts",
        "label: gpt\nsize=30M, name=first\n",
    );
    run("dmremap-tui remove parts");
    run("dmremap-tui reassemble parts");
    run("mke2fs -q -F -t ext4 /dev/mapper/parts-part1");
    run("mke2fs -q -F -t ext4 -L part /dev/mapper/part");
    run("mke2fs -q -F -t ext4 -L stack /dev/mapper/stack");
    run("mkswap -q /dev/mapper/swap");
    let mirror = node("mirror-disk");
    run(&format!(
        "mdadm --create /dev/md/array --level=1 --raid-devices=2 --assume-clean --bitmap=none \
         --metadata=1.2 --run /dev/mapper/array {mirror}"
    ));
    for array in ["/dev/md/array", BASE] {
        let line = run(&format!("mdadm --detail --brief {array}"));
        append("/etc/mdadm/mdadm.conf", &line);
    }
    run("mke2fs -q -F -t ext4 /dev/md/array");
    run("vgcreate -q --devices /dev/mapper/volumes group /dev/mapper/volumes");
    run("lvcreate -q -y --devices /dev/mapper/volumes --name volume --extents 90%VG group");
    run("mke2fs -q -F -t ext4 -L volumes /dev/group/volume");
    run("mkfs.btrfs -q -m raid1 -d raid1 /dev/mapper/poola /dev/mapper/poolb");
    make_luks("/dev/mapper/vault");
    run("cryptsetup open --key-file /etc/vault.key /dev/mapper/vault opened");
    run("mke2fs -q -F -t ext4 /dev/mapper/opened");

    append(
        "/etc/crypttab",
        &format!(
            "opened UUID={} /etc/vault.key luks,nofail\n",
            tag("/dev/mapper/vault", "UUID")
        ),
    );
    // How long a device is waited for is in the kernel's command line, which the host makes.
    const OPTIONS: &str = "nofail";
    let lines = [
        format!(
            "UUID={} /mnt/array ext4 {OPTIONS}",
            tag("/dev/md/array", "UUID")
        ),
        format!("LABEL=volumes /mnt/volumes ext4 {OPTIONS}"),
        format!(
            "UUID={} /mnt/pool btrfs {OPTIONS}",
            tag("/dev/mapper/poola", "UUID")
        ),
        format!("/dev/mapper/opened /mnt/opened ext4 {OPTIONS}"),
        format!(
            "PARTUUID={} /mnt/parts ext4 {OPTIONS}",
            tag("/dev/mapper/parts-part1", "PART_ENTRY_UUID")
        ),
        format!("PARTLABEL=part /mnt/part ext4 {OPTIONS}"),
        format!(
            "UUID={} /mnt/stack ext4 {OPTIONS}",
            tag("/dev/mapper/stack", "UUID")
        ),
        format!(
            "UUID={} none swap {OPTIONS}",
            tag("/dev/mapper/swap", "UUID")
        ),
    ];
    append(
        "/etc/fstab",
        &(lines.map(|line| format!("{line} 0 0\n")).concat()),
    );
    for (name, seed) in MOUNTS {
        let directory = format!("/mnt/{name}");
        fs::create_dir_all(&directory).expect("a directory can be made");
        run("systemctl daemon-reload");
        run(&format!("mount {directory}"));
        let file = File::create(format!("{directory}/file"));
        let mut file = file.expect("a file can be made");
        file.write_all(&content(seed)).expect("there is room");
        file.sync_all().expect("it is durable");
    }
    for (name, _) in MOUNTS {
        run(&format!("umount /mnt/{name}"));
    }
    run("cryptsetup close opened");
    run("vgchange -q -an --devices /dev/mapper/volumes group");
    run("mdadm --stop /dev/md/array");
    run(&format!("dmremap-tui allow {}", DEVICES.join(" ")));
    run("sync");
}

/// The kernel's name of main of a device, which may be a partition or an array.
fn main_of(name: &str) -> String {
    let disk = || node(&format!("{name}-main")).replace("/dev/", "");
    match name {
        "part" => format!("{}1", disk()),
        "stack" => kernel_name(BASE),
        _ => disk(),
    }
}

/// The kernel's name of the device that a link leads to.
fn kernel_name(link: &str) -> String {
    let node = fs::canonicalize(link).unwrap_or_else(|error| panic!("{link}: {error}"));
    let name = node.file_name().expect("a node has a name");
    name.to_str().expect("ASCII").to_owned()
}

fn reads_are_right() {
    for (name, _) in MOUNTS {
        let directory = format!("/mnt/{name}");
        wait_for(&format!("{name} is mounted"), || {
            mounted_at(&directory).is_some()
        });
    }
    for (name, seed) in MOUNTS {
        let found = fs::read(format!("/mnt/{name}/file"));
        let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found == content(seed), "{name}: what was written is there");
    }
    wait_for("swap is in use", || {
        fs::read_to_string("/proc/swaps").is_ok_and(|told| told.lines().count() == 2)
    });
    let array = format!("/sys/class/block/{}/md", kernel_name("/dev/md/array"));
    let action = format!("{array}/sync_action");
    fs::write(&action, "check").expect("md can be asked");
    wait_for("md has compared its disks", || {
        fs::read_to_string(&action).is_ok_and(|told| told.trim() == "idle")
    });
    let mismatches = fs::read_to_string(format!("{array}/mismatch_cnt"));
    assert_eq!(mismatches.expect("md counts").trim(), "0");
}

/// Who holds a device, by the kernel's names.
fn holders(name: &str) -> Vec<String> {
    let entries = fs::read_dir(format!("/sys/class/block/{name}/holders"));
    let names = entries.expect("the device is here").filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.into_string().ok()
    });
    names.collect()
}

/// Arrays of md that are started, by the kernel's names.
fn started_arrays() -> Vec<String> {
    let disks = fs::read_dir("/sys/class/block").expect("sysfs is mounted");
    let names = disks.filter_map(|disk| disk.ok()?.file_name().into_string().ok());
    let is_started = |name: &String| {
        let state = fs::read_to_string(format!("/sys/class/block/{name}/md/array_state"));
        state.is_ok_and(|state| !["inactive", "clear"].contains(&state.trim()))
    };
    names.filter(is_started).collect()
}

/// Links to main that tell of its contents.
fn links_by_content(main: &str) -> Vec<String> {
    let told = run(&format!("udevadm info --query=symlink /dev/{main}"));
    let links = told.split_whitespace().filter(|link| {
        ["by-uuid", "by-label", "by-partuuid", "by-partlabel"]
            .iter()
            .any(|kind| link.contains(kind))
    });
    links.map(str::to_owned).collect()
}

/// Every main is hidden: no partitions, no links, nobody but `may_hold` on it.
fn check_hidden(may_hold: impl Fn(&str, &str) -> bool) {
    for name in DEVICES {
        let main = main_of(name);
        for holder in holders(&main) {
            assert!(
                may_hold(name, &holder),
                "{name}: {main} is held by {holder}"
            );
        }
        assert_eq!(links_by_content(&main), [""; 0], "{name}");
        if name != "part" {
            let below = fs::read_dir(format!("/sys/class/block/{main}")).expect("it is here");
            let partitions = below.filter(|entry| {
                entry
                    .as_ref()
                    .is_ok_and(|entry| entry.path().join("partition").exists())
            });
            assert_eq!(partitions.count(), 0, "{name}: {main} has partitions");
        }
        let number = fs::read_to_string(format!("/sys/class/block/{main}/dev")).expect("a number");
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("proc is mounted");
        let is_mounted = mounts
            .lines()
            .any(|line| line.split(' ').nth(2) == Some(number.trim()));
        assert!(!is_mounted, "{name}: {main} is mounted");
        let swaps = fs::read_to_string("/proc/swaps").expect("proc is mounted");
        assert!(!swaps.contains(&format!("/dev/{main} ")), "{name}: {swaps}");
    }
}

fn check(checks: &serde_json::Value, id: &str) -> serde_json::Value {
    let checks = checks["checks"].as_array().expect("checks");
    let named = checks.iter().find(|check| check["id"] == id);
    named.unwrap_or_else(|| panic!("no check {id}")).clone()
}

fn failed_units() -> String {
    run("systemctl list-units --failed --plain --no-legend --no-pager dmremap-assemble@*")
}

fn mains_are_left_alone() {
    let mapped = |name: &str, holder: &str| {
        let told = fs::read_to_string(format!("/sys/class/block/{holder}/dm/name"));
        told.is_ok_and(|told| told.trim() == name)
    };
    check_hidden(mapped);
    assert!(DEVICES.iter().all(|name| is_up(name)));
    assert_eq!(failed_units(), "");
    let checks = json("doctor");
    for id in ["hidden", "held", "tables", "listed"] {
        assert_eq!(check(&checks, id)["ok"], true, "{:#}", check(&checks, id));
    }
    // Nobody made a filter here, and LVM sees the label of main as well.
    assert_eq!(check(&checks, "lvm")["ok"], false);
}

fn mains_are_left_alone_without_spares() {
    for name in DEVICES {
        assert!(!is_up(name), "{name}");
    }
    check_hidden(|_, _| false);
    for (name, _) in MOUNTS {
        assert_eq!(mounted_at(&format!("/mnt/{name}")), None, "{name}");
    }
    assert_eq!(
        fs::read_to_string("/proc/swaps")
            .map(|told| told.lines().count())
            .ok(),
        Some(1)
    );
    // The array that is a main itself is there; the one over a listed device lacks that.
    assert_eq!(started_arrays(), [main_of("stack")]);
    assert_eq!(failed_units(), "");
    assert_eq!(check(&json("doctor"), "held")["ok"], true);
}

/// Where no rule can help: md and LVM read labels themselves when a person calls them.
fn taken_by_hand() {
    let listed = json("allow");
    let entry = |name: &str| {
        let listed = listed["allowed"].as_array().expect("a list");
        let entry = listed.iter().find(|entry| entry["name"] == name);
        entry.expect("it is listed")["array_uuid"]
            .as_str()
            .expect("a UUID")
            .to_owned()
    };
    tried("mdadm --stop --scan");
    run("mdadm --assemble --scan --run");
    run("vgchange -q -ay group");
    for name in ["array", "volumes"] {
        assert!(!holders(&main_of(name)).is_empty(), "{name} is taken");
        let uuid = entry(name);
        assert!(
            !tried(&format!("systemctl start {}", unit(&uuid)))
                .status
                .success(),
            "{name}"
        );
        assert_eq!(property(&unit(&uuid), "ExecMainStatus"), "5");
        let told = journal(&uuid);
        assert!(
            told.contains(&format!("main of {name}, was taken past it")),
            "{told}"
        );
        let list = json("list");
        let devices = list["devices"].as_array().expect("devices");
        let main = format!("/dev/{}", main_of(name));
        let row = devices.iter().find(|row| row["device"] == main.as_str());
        assert_eq!(
            row.expect("main is listed")["findings"][0]["id"],
            "main-held"
        );
    }
    let held = check(&json("doctor"), "held");
    assert_eq!(held["ok"], false);
    let summary = held["summary"].as_str().expect("a summary");
    assert!(
        summary.contains("main of array") && summary.contains("main of volumes"),
        "{summary}"
    );
    assert_eq!(argument("dmremap.stage"), "cold-alone");
}
