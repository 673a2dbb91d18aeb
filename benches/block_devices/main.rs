//! `list` on a machine with a thousand block devices, which was made up: sysfs, udev's
//! database, and a sparse file for each device.
//!
//! `make bench` runs this, too; the figures go to the terminal and to
//! `target/bench/block_devices.json`.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its report")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dmremap::cli::{self, Ports};
use dmremap::port::{
    Access, BlockStore, Clock, DeviceInfo, HostError, Platform, Uptime, Usage, Watcher,
};
use dmremap::remap_core::units::{Millis, Timestamp};
use dmremap::sys::{block_devices, FileJournal, KernelDeviceMapper, Roots, ThisMachine};
use serde_json::json;

#[path = "../../tests/block_devices/tree.rs"]
#[expect(clippy::unwrap_used, reason = "shared with tests, where it is allowed")]
mod tree;

use tree::Tree;

const DISKS: usize = 250;
const PARTITIONS: usize = 2;
const VOLUMES: usize = 250;

/// Whole processes that are timed.
const ROUNDS: usize = 21;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, root, rest @ ..] = arguments.as_slice() {
        if word == "--list" {
            std::process::exit(list(Path::new(root), rest));
        }
    }
    let tree = make_tree();
    let devices = block_devices(&tree.roots()).expect("the tree can be read");
    assert_eq!(devices.len(), DISKS * (1 + PARTITIONS) + VOLUMES);
    let read = median((0..ROUNDS).map(|_| {
        let begun = Instant::now();
        let read = block_devices(&tree.roots()).expect("the tree can be read");
        assert_eq!(read.len(), devices.len());
        begun.elapsed()
    }));
    let program = std::env::current_exe().expect("the bench has a path");
    let root = tree.directory.path();
    let command = |program: &Path, words: &[&str]| {
        let mut command = Command::new(program);
        command.args(words).arg(root);
        command
    };
    let text = time(|| command(&program, &["--list"]));
    let json = time(|| {
        let mut command = command(&program, &["--list"]);
        command.arg("--json");
        command
    });
    println!("\n{} block devices", devices.len());
    let report = [
        ("sysfs, udev's database and mounts read", Some(read)),
        ("list (whole process)", text),
        ("list --json (whole process)", json),
    ];
    for (what, took) in &report {
        match took {
            Some(took) => println!("  {what:<40} {:>9.3} ms", took.as_secs_f64() * 1e3),
            None => println!("  {what:<40}  does not run here"),
        }
    }
    let microseconds = |took: &Option<Duration>| took.map(|took| took.as_micros());
    let report = json!({
        "schema": "dmremap/bench-block-devices/1",
        "devices": devices.len(),
        "read_microseconds": microseconds(&report[0].1),
        "list_microseconds": microseconds(&report[1].1),
        "list_json_microseconds": microseconds(&report[2].1),
    });
    let target = option_env!("CARGO_TARGET_DIR").unwrap_or("target");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(target)
        .join("bench");
    std::fs::create_dir_all(&folder).expect("target/bench can be made");
    std::fs::write(folder.join("block_devices.json"), format!("{report}\n"))
        .expect("target/bench can be written");
}

/// Disks with partitions, and volumes that lie on one partition each; udev knows what is
/// on half of the partitions.
fn make_tree() -> Tree {
    let mut tree = Tree::new();
    for disk in 0..DISKS {
        let name = format!("sd{disk:03}");
        tree.disk(&name, 1 << 16)
            .set("device/model", "ST4000VN008-2DR1\n")
            .set("device/wwid", format!("naa.5000c500{disk:08x}\n"))
            .udev("E:ID_PART_TABLE_TYPE=gpt\nE:ID_SERIAL_SHORT=ZDH0ABCD\n");
        for number in 1..=PARTITIONS {
            let partition = format!("{name}p{number}");
            let device = tree.partition(&name, &partition, 1 << 15);
            if number == 1 {
                device.udev(format!(
                    "E:ID_FS_TYPE=ext4\nE:ID_FS_USAGE=filesystem\nE:ID_PART_ENTRY_UUID=a-{disk}\n"
                ));
            }
        }
    }
    for volume in 0..VOLUMES {
        let name = format!("dm-{volume}");
        tree.disk(&name, 1 << 15)
            .set("dm/name", format!("vg-lv{volume}\n"))
            .set("dm/uuid", format!("LVM-{volume:08}\n"));
        tree.hold(&format!("sd{volume:03}p2"), &name);
    }
    tree.mount("8:2", "/dev/sd000p1", "/srv");
    tree.swap_to("/dev/sd001p1");
    for device in block_devices(&tree.roots()).expect("the tree can be read") {
        File::create(&device.path)
            .and_then(|file| file.set_len(device.size.bytes().unwrap_or_default()))
            .expect("a stand-in for a device can be made");
    }
    tree
}

fn time(command: impl Fn() -> Command) -> Option<Duration> {
    let run = || {
        let mut command = command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let begun = Instant::now();
        let status = command.status().ok()?;
        status.success().then(|| begun.elapsed())
    };
    run()?;
    let took: Option<Vec<Duration>> = (0..ROUNDS).map(|_| run()).collect();
    Some(median(took?.into_iter()))
}

fn median(took: impl Iterator<Item = Duration>) -> Duration {
    let mut took: Vec<Duration> = took.collect();
    took.sort();
    took[took.len() / 2]
}

/// What `dmremap-tui list` does, on the machine below `root`.
fn list(root: &Path, words: &[String]) -> i32 {
    let ports = Ports {
        platform: Arc::new(MadeUp(Roots {
            sys: root.join("sys"),
            proc: root.join("proc"),
            udev: root.join("run/udev"),
            dev: root.join("dev"),
        })),
        device_mapper: Arc::new(KernelDeviceMapper),
        journal: |directory| Box::new(FileJournal::new(directory)),
    };
    std::env::set_var("XDG_STATE_HOME", root.join("state"));
    let line = ["dmremap-tui", "list"].map(Into::into);
    let line = line.into_iter().chain(words.iter().map(Into::into));
    let exit = cli::run(line.collect(), &ports);
    i32::from(exit != std::process::ExitCode::SUCCESS)
}

/// This machine, with other block devices.
struct MadeUp(Roots);

impl Clock for MadeUp {
    fn now(&self) -> Timestamp {
        ThisMachine.now()
    }
}

impl Uptime for MadeUp {
    fn uptime(&self) -> Millis {
        ThisMachine.uptime()
    }

    fn boot_id(&self) -> String {
        ThisMachine.boot_id()
    }
}

impl Platform for MadeUp {
    fn open(&self, path: &Path, access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        ThisMachine.open(path, access)
    }

    fn block_devices(&self) -> Result<Vec<DeviceInfo>, HostError> {
        block_devices(&self.0)
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
