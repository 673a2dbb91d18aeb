//! Memory is short while blocks of main go bad.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;

use nix::mount::{mount, umount, MsFlags};

use super::{status, table, Test};
use crate::block::{Buffer, Device, SECTOR};
use crate::disk::{Disk, MIB};
use crate::dm::Mapped;
use crate::kernel_log::{KernelLog, Quiet};
use crate::worn::Worn;

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[("memory-runs-short-while-blocks-move", runs_short)];

/// What is left to the kernel, for everything, in MiB.
const LEFT: u64 = 48;

/// Files in memory, which nothing can take back while they are there.
struct Hog;

const HOG: &str = "/hog";

impl Hog {
    /// Takes memory until so many MiB are available.
    fn until(left: u64) -> Self {
        fs::create_dir_all(HOG).expect("a place to mount at");
        let whole = Some("size=100%");
        let mounted = mount(Some("hog"), HOG, Some("tmpfs"), MsFlags::empty(), whole);
        mounted.expect("memory takes files");
        let mut file = File::create(format!("{HOG}/file")).expect("a file");
        let chunk = vec![0xa5; 1 << 20];
        while available() > left {
            file.write_all(&chunk).expect("the file grows");
        }
        Self
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        // The test fails by what it found, not by this.
        let _ = umount(HOG);
    }
}

/// MiB that could be had at once.
fn available() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").expect("the kernel tells");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .expect("a number of KiB")
        / 1024
}

fn set(path: &str, value: &str) -> String {
    let before = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    fs::write(path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
    before.trim().to_owned()
}

/// Fills the memory with what is to be written to a device one in twelve of whose blocks takes
/// no writes: it becomes free only as blocks move.
fn runs_short(_: &mut KernelLog) {
    const SIZE: u64 = 96 * MIB;
    // Of each 256.
    const BAD: u64 = 20;
    let _quiet = Quiet::new();
    let (main, spare) = (Disk::of_mib(96), Disk::of_mib(32));
    // The disks are of memory too, and must not ask for it when it is short.
    for (disk, size) in [(&main, SIZE), (&spare, 32 * MIB)] {
        let device = Device::open(disk.path());
        for at in (0..size).step_by(2048) {
            device.write(at, &Buffer::sectors(2048)).unwrap();
        }
    }
    let mut worn = Worn::over(main.path());
    let line = format!("{} {}", worn.path().display(), spare.word());
    let join = || Mapped::create("joined", &table(SIZE, line.clone())).unwrap();
    let mapped = join();
    mapped.message(0, "write_metadata").unwrap();
    worn.wear((0..SIZE / 256).map(|nth| (nth * 256, BAD)));
    // Nothing is written before there is no other way.
    let before = [
        ("/proc/sys/vm/dirty_background_ratio", "80"),
        ("/proc/sys/vm/dirty_ratio", "90"),
    ]
    .map(|(path, value)| (path, set(path, value)));
    let hog = Hog::until(LEFT);
    let file = OpenOptions::new()
        .write(true)
        .open(mapped.path())
        .expect("it opens");
    let mut buffer = Buffer::sectors(2048);
    for at in (0..SIZE).step_by(2048) {
        buffer.fill(at, 1);
        let written = file.write_all_at(buffer.bytes(), at * SECTOR as u64);
        written.expect("it takes buffered writes");
    }
    let least = available();
    file.sync_all().expect("everything became durable");
    drop((file, hog));
    for (path, value) in before {
        fs::write(path, value).expect("it was like that");
    }
    assert!(least < LEFT + 16, "{least} MiB were left");
    let told = status(&mapped);
    assert_eq!(told.active.get(), SIZE / 256 * BAD, "{told}");
    println!(
        "vm: note {} blocks moved with {least} MiB of memory left",
        told.active
    );
    mapped.remove().unwrap();
    let mapped = join();
    let device = Device::open(&mapped.path());
    for at in (0..SIZE).step_by(2048) {
        device.check_pattern(at, 2048, 1);
    }
    drop(device);
    mapped.remove().unwrap();
    worn.remove();
}
