//! Memory is short while blocks of main go bad, or the kernel is refused it outright.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::mount::{mount, umount, MsFlags};

use super::remapping::joined;
use super::{join, join_as, remaps, status, table, words, Test};
use crate::block::{Buffer, Device, SECTOR};
use crate::disk::{Disk, MIB};
use crate::dm::Mapped;
use crate::kernel_log::{KernelLog, Quiet};
use crate::random::Random;
use crate::worn::Worn;

/// The test during which memory is short.
pub const SHORT: &[(&str, Test)] = &[("memory-runs-short-while-blocks-move", runs_short)];

/// The tests during which the kernel is refused memory.
pub const TESTS: &[(&str, Test)] = &[
    ("fault-injection-of-allocations", refused),
    ("fault-injection-moves-take-no-memory", moves_take_none),
];

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

/// Fills the memory with what is to be written to a device many of whose blocks take no writes:
/// it becomes free only as blocks move.
fn runs_short(_: &mut KernelLog) {
    const SIZE: u64 = 96 * MIB;
    // Of each 256. On a kernel that looks for its own mistakes a move takes some 7 ms, and that
    // kernel gives up when no page becomes free for a second or two.
    let bad = if Path::new(FAILSLAB).exists() { 2 } else { 20 };
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
    worn.wear((0..SIZE / 256).map(|nth| (nth * 256, bad)));
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
    assert_eq!(told.active.get(), SIZE / 256 * bad, "{told}");
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

const FAILSLAB: &str = "/sys/kernel/debug/failslab";

/// Has one of so many allocations fail, of those threads that were told to.
struct Refusal;

impl Refusal {
    fn of_one_in(count: u64) -> Self {
        let values = [
            ("task-filter", "Y"),
            ("ignore-gfp-wait", "N"),
            ("verbose", "0"),
            ("interval", &count.to_string()),
            ("times", "-1"),
            ("probability", "100"),
        ];
        for (name, value) in values {
            set(&format!("{FAILSLAB}/{name}"), value);
        }
        Self
    }
}

impl Drop for Refusal {
    fn drop(&mut self) {
        let _ = fs::write(format!("{FAILSLAB}/probability"), "0");
    }
}

/// Has the kernel's own workers be refused memory.
fn refuse_workers() {
    for entry in fs::read_dir("/proc")
        .expect("processes are listed")
        .flatten()
    {
        let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if comm.starts_with("kworker/") {
            // One that ended meanwhile takes nothing.
            let _ = fs::write(entry.path().join("make-it-fail"), "1");
        }
    }
}

/// Runs `inner` on a thread of its own, which is refused memory.
fn while_refused<T: Send>(inner: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let refused = scope.spawn(|| {
            fs::write("/proc/thread-self/make-it-fail", "1").expect("it can be refused memory");
            inner()
        });
        refused.join().expect("it found nothing wrong")
    })
}

/// Allocations of whoever joins main and the spare, writes, sends messages or suspends, and
/// of the target's worker, fail. Each call may; nothing acknowledged is lost.
fn refused(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    joined(&main, &spare).remove().unwrap();
    // The kernel says at length that it cannot make a cache; those that another device
    // uses are there.
    let others = (Disk::of_mib(16), Disk::of_mib(16));
    let other = join_as("other", &others.0, &others.1);
    // Coming up and going away.
    let line = table(16 * MIB, words(&main, &spare));
    let mut up = 0;
    for count in [4999, 1999, 499, 97] {
        for _ in 0..40 {
            let refusal = Refusal::of_one_in(count);
            let created = while_refused(|| Mapped::create("refused", &line));
            drop(refusal);
            match created {
                Ok(mapped) => {
                    up += 1;
                    mapped.remove().unwrap();
                }
                // One that did not come up could not be removed either.
                Err(_) => Mapped::remove_named("refused"),
            }
        }
    }
    // Reading, writing and everything else, over blocks that are bad.
    let mapped = join(&main, &spare);
    let device = Device::open(&mapped.path());
    device.write_pattern(0, 4096, 1).unwrap();
    for at in (0..4096).filter(|sector| is_bad(*sector)) {
        main.spoil(at, 1);
    }
    let mut held = vec![(1, 1); 4096];
    let mut failed = 0;
    for (phase, count) in (1..).zip([101, 11, 2]) {
        let refusal = Refusal::of_one_in(count);
        refuse_workers();
        let (held, failed) = (&mut held, &mut failed);
        while_refused(|| {
            *failed += write_at_random(&mapped, &device, held, phase);
        });
        drop(refusal);
    }
    println!("vm: note {up} of 160 came up, {failed} of 900 writes were refused memory");
    assert!(
        (41..160).contains(&up) && (1..900).contains(&failed),
        "{up} came up, {failed} writes failed"
    );
    check_held(&device, &held);
    drop(device);
    let moved = remaps(&mapped).len();
    assert!(moved > 100, "{moved} blocks moved");
    mapped.remove().unwrap();
    let mapped = join(&main, &spare);
    assert_eq!(remaps(&mapped).len(), moved);
    check_held(&Device::open(&mapped.path()), &held);
    check_writes_well(&mapped);
    mapped.remove().unwrap();
    other.remove().unwrap();
}

/// What moves after a device came up takes no memory, 256 blocks at the least: where all of
/// it holds data that is on its way to the device, none can be had.
fn moves_take_none(_: &mut KernelLog) {
    const BLOCKS: u64 = 256;
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    // The disks are of memory too.
    for disk in [&main, &spare] {
        let device = Device::open(disk.path());
        for at in (0..16 * MIB).step_by(2048) {
            device.write(at, &Buffer::sectors(2048)).unwrap();
        }
    }
    // Just laid out; with a table that was read; and one that is read and ends in the middle
    // of a block.
    for first in [0, 1, 2].map(|nth| nth * 2000) {
        let mapped = join(&main, &spare);
        if first == 0 {
            mapped.message(0, "write_metadata").unwrap();
        }
        let device = Device::open(&mapped.path());
        main.spoil(first, BLOCKS);
        let refusal = Refusal::of_one_in(1);
        refuse_workers();
        for at in first..first + BLOCKS {
            let written = device.write_pattern(at, 1, 1);
            // A worker may have been started for it meanwhile.
            refuse_workers();
            assert!(written.is_ok(), "block {at} was not moved: {written:?}");
        }
        drop(refusal);
        device.check_pattern(first, BLOCKS, 1);
        drop(device);
        mapped.remove().unwrap();
    }
    let mapped = join(&main, &spare);
    assert_eq!(remaps(&mapped).len() as u64, 3 * BLOCKS);
    mapped.remove().unwrap();
}

/// Whether main goes bad there.
fn is_bad(sector: u64) -> bool {
    (7..10).contains(&(sector % 40))
}

/// Writes and sends messages; `held` keeps of each sector the round that was acknowledged
/// last and the last that was tried. Returns how many writes failed.
fn write_at_random(mapped: &Mapped, device: &Device, held: &mut [(u64, u64)], phase: u64) -> u64 {
    let mut random = Random::new(phase);
    let mut failed = 0;
    for nth in 0..300 {
        let count = 1 + random.below(16);
        let at = random.below(4096 - count);
        let round = phase * 1000 + nth;
        let written: io::Result<()> = device.write_pattern(at, count, round);
        for held in &mut held[at as usize..(at + count) as usize] {
            held.1 = round;
            if written.is_ok() {
                held.0 = round;
            }
        }
        failed += u64::from(written.is_err());
        if nth % 20 == 0 {
            // Any of these may be refused.
            for message in [
                "scrub",
                "write_metadata",
                "remaps",
                &format!("remap {}", 8000 + nth),
            ] {
                let _ = mapped.message(0, message);
            }
            let _ = mapped.suspend();
            // What stays suspended holds every write until it is resumed.
            while mapped.resume().is_err() {}
        }
    }
    // What is due comes to its end.
    thread::sleep(Duration::from_millis(200));
    failed
}

/// Checks that each sector holds what was acknowledged last, or what failed after it.
fn check_held(device: &Device, held: &[(u64, u64)]) {
    let mut should = Buffer::sectors(1);
    let mut is = Buffer::sectors(1);
    for (sector, (acknowledged, tried)) in (0..).zip(held) {
        if device.read(sector, &mut is).is_err() {
            // Lost when its block went bad, or what was to go there did not.
            let lost = *acknowledged == 1 && is_bad(sector);
            assert!(
                lost || acknowledged < tried,
                "sector {sector} cannot be read"
            );
            continue;
        }
        let holds = (*acknowledged..=*tried).any(|round| {
            should.fill(sector, round);
            is.bytes() == should.bytes()
        });
        assert!(
            holds,
            "sector {sector} holds nothing of rounds {acknowledged} to {tried}"
        );
    }
}

/// Checks that all is well again: writes everywhere succeed.
fn check_writes_well(mapped: &Mapped) {
    let device = Device::open(&mapped.path());
    for at in (0..4096).step_by(64) {
        device
            .write_pattern(at, 64, 99_999)
            .expect("memory is there");
    }
    device.check_pattern(0, 4096, 99_999);
    assert_eq!(status(mapped).pending.get(), 0);
}
