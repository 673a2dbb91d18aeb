//! What the kernel and udev tell of the devices of a machine, and what they do not.

use std::fs;
use std::os::unix::fs::symlink;

use dmremap::ops::eligibility::{against_main, Facts, Obstacle};
use dmremap::port::block::{Properties, SignatureUse};
use dmremap::port::{DeviceInfo, Usage};
use dmremap::remap_core::units::{BlockSize, Sectors};
use dmremap::sys::{block_devices, block_usage};

use crate::tree::Tree;

fn device<'a>(devices: &'a [DeviceInfo], name: &str) -> &'a DeviceInfo {
    let found = devices.iter().find(|device| device.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {devices:#?}"))
}

fn properties<'a>(devices: &'a [DeviceInfo], name: &str) -> &'a Properties {
    device(devices, name).properties.as_deref().unwrap()
}

fn used_by(devices: &[DeviceInfo], name: &str) -> String {
    match &device(devices, name).usage {
        Usage::InUse(by) => by.clone(),
        other => format!("{other:?}"),
    }
}

/// A machine with a disk with three partitions, volumes over one of them, an array over
/// two disks, an NVMe disk, a loop device, and things that are no disks.
fn machine() -> Tree {
    let mut tree = Tree::new();
    tree.disk("sda", 1 << 20)
        .set("device/model", "ST4000VN008-2DR1\n")
        .set("device/wwid", "naa.5000c500a1b2c3d4\n")
        .set("device/vpd_pg80", b"\0\x80\0\x08ZDH0ABCD")
        .set("queue/rotational", "1\n")
        .udev("E:ID_PART_TABLE_TYPE=gpt\nE:ID_PART_TABLE_UUID=77\n");
    let root = tree.partition("sda", "sda1", 4096);
    root.udev(
        "E:ID_FS_TYPE=ext4\nE:ID_FS_USAGE=filesystem\nE:ID_FS_UUID=aa\n\
         E:ID_PART_ENTRY_UUID=AAAA-01\n",
    );
    tree.partition("sda", "sda2", 8192);
    tree.partition("sda", "sda3", 2048);
    tree.disk("dm-0", 8000)
        .set("dm/name", "vg-root\n")
        .set("dm/uuid", "LVM-abc\n");
    tree.hold("sda2", "dm-0");
    tree.swap_to("/dev/sda3");
    tree.mount("8:2", "/dev/sda1", "/boot\\040here");
    tree.disk("sdb", 1 << 18).set("device/wwid", "t10.ATA X\n");
    tree.disk("sdc", 1 << 18).set("device/wwid", "t10.ATA X\n");
    tree.disk("md127", 1 << 18)
        .set("md/level", "raid1\n")
        .udev("E:MD_UUID=1:2:3:4\nE:MD_NAME=host:pool\n");
    tree.hold("sdb", "md127");
    tree.hold("sdc", "md127");
    tree.disk("nvme0n1", 1 << 21)
        .set("wwid", "eui.0025385b\n")
        .set("device/model", "Some NVMe  \n")
        .set("device/serial", "S5Y1  \n")
        .set("queue/logical_block_size", "4096\n");
    tree.disk("loop0", 4096)
        .set("loop/backing_file", "/srv/a b.img\n");
    tree.disk("loop1", 0);
    tree.disk("cciss!c0d0", 4096).set("ro", "1\n");
    tree.disk("sr0", 4096).set("device/type", "5\n");
    tree
}

#[test]
fn each_device_is_told_with_what_its_maker_and_the_kernel_say() {
    let tree = machine();
    let devices = block_devices(&tree.roots()).unwrap();
    let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "cciss/c0d0",
            "dm-0",
            "loop0",
            "md127",
            "nvme0n1",
            "sda",
            "sda1",
            "sda2",
            "sda3",
            "sdb",
            "sdc",
            "sr0"
        ],
        "what has no sectors is no device"
    );
    let kinds: Vec<&str> = names
        .iter()
        .map(|name| properties(&devices, name).kind.name())
        .collect();
    assert_eq!(
        kinds,
        [
            "disk", "lvm", "loop", "raid1", "disk", "disk", "part", "part", "part", "disk", "disk",
            "rom"
        ]
    );
    let sda = properties(&devices, "sda");
    assert_eq!(sda.model.as_deref(), Some("ST4000VN008-2DR1"));
    assert_eq!(sda.serial.as_deref(), Some("ZDH0ABCD"));
    assert_eq!(sda.wwid.as_deref(), Some("naa.5000c500a1b2c3d4"));
    assert_eq!(sda.rotational, Some(true));
    assert_eq!(sda.physical_block_bytes, Some(4096));
    let table = &sda.signatures.as_ref().unwrap()[0];
    assert_eq!(
        (table.kind.as_str(), table.used_for),
        ("gpt", SignatureUse::PartitionTable)
    );
    let nvme = device(&devices, "nvme0n1");
    assert_eq!(nvme.logical_block, BlockSize::B4096);
    assert_eq!(nvme.size, Sectors::new(1 << 21));
    assert_eq!(
        properties(&devices, "nvme0n1").serial.as_deref(),
        Some("S5Y1")
    );
    let cciss = device(&devices, "cciss/c0d0");
    assert!(cciss.read_only);
    assert_eq!(cciss.path, tree.path("dev/cciss/c0d0"));
    assert_eq!(
        properties(&devices, "loop0").label.as_deref(),
        Some("/srv/a b.img")
    );
}

#[test]
fn a_partition_shares_what_its_disk_has_and_is_known_by_its_own_uuid() {
    let tree = machine();
    let devices = block_devices(&tree.roots()).unwrap();
    let (disk, part) = (properties(&devices, "sda"), properties(&devices, "sda1"));
    assert_eq!(part.parents, ["sda"]);
    assert_eq!(part.model, disk.model);
    assert_eq!(part.rotational, Some(true));
    assert_eq!(part.partition_uuid.as_deref(), Some("aaaa-01"));
    assert!(!part.identity.is_none());
    assert_ne!(part.identity, disk.identity);
    assert!(
        properties(&devices, "sda3").identity.is_none(),
        "it has no UUID"
    );
    assert_eq!(
        part.signatures.as_ref().unwrap()[0].uuid.as_deref(),
        Some("aa")
    );
}

#[test]
fn whoever_uses_a_device_is_named_through_its_disk_and_its_partitions_too() {
    let tree = machine();
    let devices = block_devices(&tree.roots()).unwrap();
    assert_eq!(used_by(&devices, "sda1"), "a mount on /boot here");
    assert_eq!(properties(&devices, "sda1").mounts, ["/boot here"]);
    assert_eq!(used_by(&devices, "sda2"), "dm-0 (vg-root)");
    assert_eq!(used_by(&devices, "sda3"), "the machine's swap");
    assert!(properties(&devices, "sda3").is_swap);
    assert_eq!(used_by(&devices, "sda"), "a mount on /boot here on sda1");
    assert_eq!(used_by(&devices, "sdb"), "md127 (host:pool)");
    assert_eq!(properties(&devices, "md127").parents, ["sdb", "sdc"]);
    for free in ["dm-0", "md127", "nvme0n1", "loop0"] {
        assert_eq!(device(&devices, free).usage, Usage::Free, "{free}");
    }
}

#[test]
fn a_disk_that_is_held_as_a_whole_leaves_no_partition_free() {
    let mut tree = Tree::new();
    tree.disk("sda", 1 << 20);
    tree.partition("sda", "sda1", 4096);
    tree.disk("dm-0", 1 << 20).set("dm/name", "vault\n");
    tree.hold("sda", "dm-0");
    let devices = block_devices(&tree.roots()).unwrap();
    assert_eq!(used_by(&devices, "sda1"), "dm-0 (vault) on sda");
}

#[test]
fn a_file_system_over_several_devices_holds_each_of_them() {
    let mut tree = Tree::new();
    tree.disk("sda", 4096);
    tree.disk("sdb", 4096);
    tree.disk("dm-7", 4096).set("dm/name", "pool\n");
    for name in ["sda", "sdb", "dm-7"] {
        let devices = tree.path("sys/fs/btrfs/12-34/devices");
        fs::create_dir_all(&devices).unwrap();
        symlink(tree.path("sys/class/block").join(name), devices.join(name)).unwrap();
    }
    tree.mount("0:44", "/dev/mapper/pool", "/pool");
    let devices = block_devices(&tree.roots()).unwrap();
    assert_eq!(used_by(&devices, "dm-7"), "a mount on /pool");
    for name in ["sda", "sdb"] {
        assert_eq!(used_by(&devices, name), "the btrfs file system 12-34");
    }
}

#[test]
fn two_disks_with_one_serial_number_have_one_identity() {
    let tree = machine();
    let devices = block_devices(&tree.roots()).unwrap();
    let identity = |name| properties(&devices, name).identity;
    assert_eq!(identity("sdb"), identity("sdc"));
    assert!(!identity("sdb").is_none());
    assert_ne!(identity("sdb"), identity("sda"));
    assert!(identity("loop0").is_none());
}

#[test]
fn an_identity_is_the_same_whether_udev_runs_or_not() {
    for attribute in [Some(("wwid", "eui.1")), Some(("device/serial", "A1"))] {
        let identity = |udev: bool| {
            let mut tree = Tree::new();
            let mut disk = tree.disk("x", 8);
            if let Some((file, text)) = attribute {
                disk = disk.set(file, text);
            }
            if udev {
                disk.udev("E:ID_SERIAL=Maker_A1\nE:ID_WWN=0x5\nE:ID_MODEL=Maker\n");
            }
            let devices = block_devices(&tree.roots()).unwrap();
            properties(&devices, "x").identity
        };
        assert_eq!(identity(true), identity(false));
        assert!(!identity(true).is_none());
    }
}

#[test]
fn hostile_content_is_escaped_and_breaks_nothing() {
    let mut tree = Tree::new();
    tree.disk("sda", 4096)
        .set("device/model", b"\x1b[2J\xff\xe2\x80\xaeevil\n")
        .set("device/wwid", b"\0\0junk")
        .set("device/serial", vec![b'x'; 1 << 20])
        .set("uevent", "DEVNAME=../../etc/passwd\nDEVTYPE=disk\n")
        .udev(b"E:ID_FS_TYPE=\x1b]0;x\nE:ID_FS_USAGE=\n\xff\nE:=\n");
    tree.disk("sdb", 4096).set("size", "lots\n");
    tree.disk("sdc", 4096).set("dev", "x:y\n");
    tree.disk("sdd", 4096)
        .set("queue/logical_block_size", "1000000\n")
        .set("size", "18446744073709551615\n");
    fs::write(tree.path("sys/class/block/junk"), "no directory").unwrap();
    symlink("nowhere", tree.path("sys/class/block/dangling")).unwrap();
    fs::write(tree.path("proc/self/mountinfo"), b"\xff \\0 8:1\n").unwrap();
    let devices = block_devices(&tree.roots()).unwrap();
    let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(
        names,
        ["sda", "sdd"],
        "what has no number or size is left out"
    );
    assert_eq!(
        devices[0].path,
        tree.path("dev/sda"),
        "the name leads nowhere else"
    );
    let sda = properties(&devices, "sda");
    let model = sda.model.as_deref().unwrap();
    assert!(dmremap::text::shows_as_is(model), "{model:?}");
    assert!(sda.serial.as_ref().unwrap().len() <= 64 * 1024);
    assert_eq!(sda.wwid, None);
    assert_eq!(device(&devices, "sdd").size, Sectors::new(u64::MAX));
    assert_eq!(
        properties(&devices, "sdd").unread,
        ["queue/logical_block_size"]
    );
}

#[test]
fn blocks_that_no_target_takes_are_told_as_they_are() {
    for (told, bytes, is_read) in [
        ("512", 512, true),
        ("4096", 4096, true),
        ("8192", 8192, true),
        ("65536", 65_536, true),
        ("3000", 512, false),
        ("0", 512, false),
    ] {
        let mut tree = Tree::new();
        tree.disk("sda", 4096)
            .set("queue/logical_block_size", format!("{told}\n"));
        let devices = block_devices(&tree.roots()).unwrap();
        let sda = device(&devices, "sda");
        assert_eq!(sda.logical_block_bytes(), bytes, "{told}");
        assert_eq!(
            properties(&devices, "sda").unread.is_empty(),
            is_read,
            "{told}"
        );
        let facts = Facts::new(sda, None);
        let is_refused = against_main(&facts) == [Obstacle::LargeBlocks(bytes)];
        assert_eq!(is_refused, bytes > 4096, "{told}");
    }
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_told() {
    let mut tree = Tree::new();
    // A folder where a file should be fails in the same way for every user.
    tree.disk("sda", 4096)
        .folder("device/model")
        .set("device/wwid", "naa.1\n")
        .folder("serial");
    let devices = block_devices(&tree.roots()).unwrap();
    let sda = properties(&devices, "sda");
    assert_eq!(sda.unread, ["device/model", "serial"]);
    assert_eq!(sda.wwid.as_deref(), Some("naa.1"));
}

#[test]
fn devices_that_hold_each_other_in_a_circle_are_listed_once_each() {
    let mut tree = Tree::new();
    for name in ["dm-0", "dm-1", "dm-2"] {
        tree.disk(name, 4096);
    }
    tree.hold("dm-0", "dm-1");
    tree.hold("dm-1", "dm-2");
    tree.hold("dm-2", "dm-0");
    let devices = block_devices(&tree.roots()).unwrap();
    assert_eq!(devices.len(), 3);
    assert_eq!(used_by(&devices, "dm-0"), "dm-1");
}

#[test]
fn a_machine_without_block_devices_has_an_empty_list() {
    let tree = Tree::new();
    assert_eq!(block_devices(&tree.roots()).unwrap(), []);
    fs::remove_dir_all(tree.path("sys/class/block")).unwrap();
    assert_eq!(block_devices(&tree.roots()).unwrap(), []);
}

#[test]
fn what_is_not_mounted_is_told_and_not_taken_for_a_machine_without_devices() {
    let mut tree = Tree::new();
    tree.disk("sda", 4096);
    fs::remove_file(tree.path("proc/self/mountinfo")).unwrap();
    let devices = block_devices(&tree.roots()).unwrap();
    let table = tree.path("proc/self/mountinfo").display().to_string();
    assert_eq!(properties(&devices, "sda").unread, [table.as_str()]);
    let file = tree.path("a.img");
    fs::write(&file, "").unwrap();
    let refused = block_usage(&tree.roots(), &|_| Vec::new(), &file).unwrap_err();
    assert!(refused.to_string().contains(&table), "{refused}");
    fs::remove_dir_all(tree.path("sys")).unwrap();
    fs::create_dir(tree.path("sys")).unwrap();
    let refused = block_devices(&tree.roots()).unwrap_err().to_string();
    let sys = tree.path("sys").display().to_string();
    assert!(refused.contains(&sys), "{refused}");
}
