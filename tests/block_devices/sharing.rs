//! What is used through a device that has bytes in common with it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dmremap::port::device_mapper::Line;
use dmremap::port::{DeviceInfo, Usage};
use dmremap::remap_core::units::{Sector, Sectors};
use dmremap::sys::{block_devices, block_devices_with, block_usage};

use crate::tree::{Device, Tree};

fn used(tree: &Tree, path: &Path) -> Option<String> {
    used_with(tree, path, &|_| Vec::new())
}

fn used_with(tree: &Tree, path: &Path, tables: &dyn Fn(&str) -> Vec<Line>) -> Option<String> {
    match block_usage(&tree.roots(), tables, path).unwrap() {
        Usage::Free => None,
        Usage::InUse(by) => Some(by),
        usage @ Usage::Mapped { .. } => panic!("{usage:?}"),
    }
}

fn listed(devices: &[DeviceInfo], name: &str) -> Option<String> {
    let device = devices.iter().find(|device| device.name == name);
    match &device.unwrap().usage {
        Usage::InUse(by) => Some(by.clone()),
        _ => None,
    }
}

impl Tree {
    /// A loop device over so many sectors of a file or a node, from a byte on.
    fn loop_over(&mut self, name: &str, path: &Path, offset: u64, sectors: u64) -> Device<'_> {
        self.disk(name, sectors)
            .set("loop/backing_file", format!("{}\n", path.display()))
            .set("loop/offset", format!("{offset}\n"))
    }
}

/// A file of the machine that was made up.
fn image(tree: &Tree, name: &str) -> std::path::PathBuf {
    let path = tree.path(name);
    fs::write(&path, [0; 4096]).unwrap();
    path
}

#[test]
fn a_file_is_used_by_whoever_uses_a_loop_over_its_bytes() {
    let mut tree = Tree::new();
    let (file, other) = (image(&tree, "a.img"), image(&tree, "b.img"));
    let (link, hard) = (tree.path("link"), tree.path("hard"));
    symlink(&file, &link).unwrap();
    fs::hard_link(&file, &hard).unwrap();
    tree.loop_over("loop0", &file, 0, 8);
    let ways = [&file, &link, &hard];
    for way in ways {
        assert_eq!(used(&tree, way), None, "a loop alone uses nothing");
    }
    let number = tree.loop_over("loop1", &hard, 4096, 8).number;
    tree.mount(&number, "/dev/loop1", "/mnt");
    for way in ways {
        assert_eq!(
            used(&tree, way).as_deref(),
            Some("a mount on /mnt on loop1")
        );
    }
    assert_eq!(used(&tree, &other), None);
    let devices = block_devices(&tree.roots()).unwrap();
    assert_eq!(listed(&devices, "loop0"), None, "its window is another one");
    tree.loop_over("loop2", &link, 512, 8);
    let devices = block_devices(&tree.roots()).unwrap();
    assert_eq!(
        listed(&devices, "loop2").as_deref(),
        Some("a mount on /mnt on loop1")
    );
}

/// Has something use the first loop device.
type Make = fn(&mut Tree);

#[test]
fn a_file_is_used_by_what_lies_over_a_loop_over_it() {
    let uses: [(&str, Make); 4] = [
        ("the machine's swap on loop0", |tree| {
            tree.swap_to("/dev/loop0")
        }),
        ("dm-0 (vault) on loop0", |tree| {
            tree.disk("dm-0", 8).set("dm/name", "vault\n");
            tree.hold("loop0", "dm-0");
        }),
        ("a mount on /mnt on loop0p1", |tree| {
            let number = tree.partition("loop0", "loop0p1", 4).number;
            tree.mount(&number, "/dev/loop0p1", "/mnt");
        }),
        ("the btrfs file system 12-34 on loop0", |tree| {
            let devices = tree.path("sys/fs/btrfs/12-34/devices");
            fs::create_dir_all(&devices).unwrap();
            symlink(tree.path("sys/class/block/loop0"), devices.join("loop0")).unwrap();
        }),
    ];
    for (by, make) in uses {
        let mut tree = Tree::new();
        let file = image(&tree, "a.img");
        tree.loop_over("loop0", &file, 0, 8);
        make(&mut tree);
        assert_eq!(used(&tree, &file).as_deref(), Some(by));
    }
}

#[test]
fn swap_to_a_file_and_a_mount_of_a_file_use_it_and_every_loop_over_it() {
    for swap in [true, false] {
        let mut tree = Tree::new();
        let file = image(&tree, "a.img");
        let source = file.display().to_string();
        let by = match swap {
            true => {
                tree.swap_to(&source);
                "the machine's swap"
            }
            false => {
                tree.mount("0:99", &source, "/mnt");
                "a mount on /mnt"
            }
        };
        tree.loop_over("loop0", &file, 0, 8);
        assert_eq!(used(&tree, &file).as_deref(), Some(by));
        let devices = block_devices(&tree.roots()).unwrap();
        assert_eq!(listed(&devices, "loop0").as_deref(), Some(by));
    }
}

#[test]
fn what_an_nbd_serves_is_used_by_whoever_uses_the_nbd() {
    let mut tree = Tree::new();
    let file = image(&tree, "a.qcow2");
    let nbd = tree.disk("nbd0", 8).set("pid", "77\n");
    let number = nbd.number;
    let open = tree.path("proc/77/fd");
    fs::create_dir_all(&open).unwrap();
    symlink(&file, open.join("9")).unwrap();
    symlink("/dev/null", open.join("0")).unwrap();
    assert_eq!(used(&tree, &file), None);
    tree.mount(&number, "/dev/nbd0", "/mnt");
    assert_eq!(
        used(&tree, &file).as_deref(),
        Some("a mount on /mnt on nbd0")
    );
}

/// The line of a linear mapping over sectors of a disk.
fn linear(disk: &str, from: u64, length: u64) -> Vec<Line> {
    vec![Line {
        start: Sector::new(0),
        length: Sectors::new(length),
        target: "linear".to_owned(),
        text: format!("{disk} {from}"),
    }]
}

#[test]
fn of_linear_mappings_over_one_disk_those_are_used_that_share_the_bytes_of_a_used_one() {
    let mut tree = Tree::new();
    let disk = tree.disk("sda", 300).number;
    let mut numbers = Vec::new();
    for (number, name) in ["first", "second", "again"].into_iter().enumerate() {
        let dm = format!("dm-{number}");
        let device = tree.disk(&dm, 100).set("dm/name", format!("{name}\n"));
        numbers.push(device.number);
        tree.hold("sda", &dm);
    }
    tree.mount(&numbers[0], "/dev/dm-0", "/mnt");
    let tables = |name: &str| match name {
        "first" => linear(&disk, 0, 100),
        "second" => linear(&disk, 100, 100),
        _ => linear(&disk, 50, 100),
    };
    let devices = block_devices_with(&tree.roots(), &tables).unwrap();
    assert_eq!(
        listed(&devices, "dm-1").as_deref(),
        Some("dm-2 (again) on sda")
    );
    assert!(listed(&devices, "dm-2").unwrap().contains("on dm-0"));
    assert!(listed(&devices, "sda").unwrap().contains("dm-0 (first)"));
    let apart = |name: &str| match name {
        "again" => linear(&disk, 200, 100),
        name => tables(name),
    };
    let devices = block_devices_with(&tree.roots(), &apart).unwrap();
    assert_eq!(listed(&devices, "dm-0").as_deref(), Some("a mount on /mnt"));
    for free in ["dm-1", "dm-2"] {
        assert_eq!(listed(&devices, free), None, "{free}");
    }
}
