//! What the target costs beside `linear` on the same null device.
//!
//! The guest is run so that one instruction takes one virtual nanosecond: what is
//! measured are instructions, the kernel's and this loop's together. Caches, contention
//! and the disks' own time are no part of it.

use std::fmt::Write as _;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::block::{Buffer, Device};
use crate::disk::{Disk, Shape, MIB};
use crate::dm::{Line, Mapped};
use crate::remap_core::status::{Mode, Status};
use crate::remap_core::units::{MainBlock, Replacement, Sector, Sectors};
use crate::spare::SpareTable;

/// I/Os in one measurement, each of 4 KiB.
const COUNT: usize = 10_000;
const IO_SECTORS: u64 = 8;
/// Remapped blocks in the measurements that have some: 12,500 runs of 4 KiB.
const REMAPS: u64 = 100_000;
const RUNS: u64 = REMAPS / IO_SECTORS;
/// By which part of itself a ratio may move when it is measured again.
const STEP: f64 = 0.001;
const MOST_PASSES: usize = 20;
/// The null device that all of them stand on: nothing is kept, so its size costs nothing.
const MAIN: Sectors = Sectors::new(64 * 1024 * MIB);
const SPARE: Sectors = Sectors::new(128 * MIB);
/// From the first sector of a run to that of the next, in the first half of main.
const STRIDE: u64 = MAIN.get() / 2 / RUNS / IO_SECTORS * IO_SECTORS;
/// Failed writes whose way to their acknowledgement is timed.
const FAILURES: u64 = 64;

/// Which I/O.
#[derive(Clone, Copy)]
enum Direction {
    Read,
    Write,
    Discard,
}

/// Reads and writes of one kind, compared.
struct Ratio {
    read: Compared,
    write: Compared,
}

/// The same I/Os on two devices.
#[derive(Clone, Copy)]
struct Compared {
    /// Nanoseconds for one I/O on the device that is compared with.
    reference: f64,
    /// The same on the device that is measured.
    measured: f64,
    /// By which part of itself the ratio moved when both were measured again.
    step: f64,
}

impl Compared {
    /// How many I/Os the measured device does while the other one does 1.
    fn ratio(&self) -> f64 {
        self.reference / self.measured
    }
}

/// One device and where its I/Os go.
struct Subject {
    device: Device,
    places: Vec<Sector>,
}

impl Subject {
    fn new(mapped: &Mapped, places: Vec<Sector>) -> Self {
        Self {
            device: Device::open(&mapped.path()),
            places,
        }
    }

    /// Nanoseconds for one I/O.
    fn time(&self, direction: Direction) -> f64 {
        let mut buffer = Buffer::sectors(IO_SECTORS);
        let start = Instant::now();
        for place in &self.places {
            let done = match direction {
                Direction::Read => self.device.read(place.get(), &mut buffer),
                Direction::Write => self.device.write(place.get(), &buffer),
                Direction::Discard => self.device.discard(place.get(), IO_SECTORS),
            };
            done.expect("a null device takes every I/O");
        }
        start.elapsed().as_nanos() as f64 / self.places.len() as f64
    }
}

/// Numbers below `limit` that are the same in every run.
fn random(limit: u64) -> impl Iterator<Item = u64> {
    let mut state = 1u64;
    std::iter::repeat_with(move || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) % limit
    })
}

fn compare(reference: &Subject, measured: &Subject) -> Ratio {
    Ratio {
        read: compare_one(reference, measured, Direction::Read),
        write: compare_one(reference, measured, Direction::Write),
    }
}

fn compare_one(reference: &Subject, measured: &Subject, direction: Direction) -> Compared {
    let pass = || {
        let (reference, measured) = (reference.time(direction), measured.time(direction));
        Compared {
            reference,
            measured,
            step: 0.0,
        }
    };
    // The first I/Os find cold paths, and what the kernel still has to do beside them.
    let mut before = pass();
    for _ in 0..MOST_PASSES {
        let now = pass();
        let step = (now.ratio() / before.ratio() - 1.0).abs();
        if step <= STEP {
            return Compared { step, ..now };
        }
        before = now;
    }
    panic!("two measurements one after the other always differ by more than {STEP}");
}

fn linear(name: &str, on: &str, length: Sectors) -> Mapped {
    let line = Line {
        start: 0,
        length: length.get(),
        target: "linear",
        words: format!("{on} 0"),
    };
    Mapped::create(name, &[line]).expect("linear comes up")
}

/// The target, loaded and not yet resumed. Its first scrub is its only one.
fn loaded(main: &Disk, spare: &str) -> Mapped {
    let line = Line {
        start: 0,
        length: Device::open_read_only(main.path()).sectors(),
        target: "dm-remap-v4",
        words: format!("{} {spare} 2 scrub_interval 0", main.word()),
    };
    Mapped::loaded("joined", &[line]).expect("the table is taken")
}

fn status(joined: &Mapped) -> Status {
    let texts = joined.status().expect("the target tells its status");
    texts[0].parse().expect("as the rules have it")
}

/// Brings the target up and waits until it has nothing more to do by itself.
fn joined(main: &Disk, spare: &str, remaps: u64) -> Mapped {
    let joined = loaded(main, spare);
    joined.resume().expect("the target comes up");
    while status(&joined).next_scrub.is_some() {
        thread::sleep(Duration::from_millis(50));
    }
    let told = status(&joined);
    assert_eq!((told.mode, told.active.get()), (Mode::ReadWrite, remaps));
    joined
}

/// The disks of all measurements.
struct Bench {
    main: Disk,
    spare: Disk,
    table: SpareTable,
    /// What `linear` is compared on.
    linear: Mapped,
}

impl Bench {
    fn new() -> Self {
        let main = null(MAIN);
        let spare = Disk::of_mib(SPARE.get() / MIB);
        let fresh = loaded(&main, spare.word());
        fresh.resume().expect("a pass-through comes up");
        let asked = fresh.message(0, "write_metadata");
        asked.expect("metadata are written");
        fresh.remove().expect("nobody uses it");
        let table = SpareTable::of(&Device::open(spare.path()));
        let linear = linear("linear", main.word(), MAIN);
        Self {
            main,
            spare,
            table,
            linear,
        }
    }

    /// The same places of main through `linear` and through the target.
    fn compare_on_main(&self, remaps: u64, places: &[Sector]) -> Ratio {
        let joined = joined(&self.main, self.spare.word(), remaps);
        let reference = Subject::new(&self.linear, places.to_vec());
        let measured = Subject::new(&joined, places.to_vec());
        let ratio = compare(&reference, &measured);
        drop(measured);
        joined.remove().expect("nobody uses it");
        ratio
    }

    /// Discards, on a main of the same size that takes them: such a null device keeps what is
    /// written, and nothing is.
    fn compare_discards(&self, places: &[Sector]) -> Compared {
        let main = Disk::new(&Shape {
            mib: MAIN.get() / MIB,
            discards: true,
            ..Shape::default()
        });
        let below = linear("discarded", main.word(), MAIN);
        let joined = joined(&main, self.spare.word(), 0);
        let reference = Subject::new(&below, places.to_vec());
        let measured = Subject::new(&joined, places.to_vec());
        let compared = compare_one(&reference, &measured, Direction::Discard);
        drop((reference, measured));
        for mapped in [joined, below] {
            mapped.remove().expect("nobody uses it");
        }
        compared
    }

    /// Blocks that were moved, against `linear` on the spare they were moved to. The
    /// metadata have to be kept and the measured I/Os must not be; so the spare is a
    /// `linear` device that is led to a null device once the target is up.
    fn compare_on_remapped(&self) -> Ratio {
        let null = null(SPARE);
        let under = linear("under", self.spare.word(), SPARE);
        let path = under.path();
        let path = path.to_str().expect("a node's path is text");
        let joined = joined(&self.main, path, REMAPS);
        let line = Line {
            start: 0,
            length: SPARE.get(),
            target: "linear",
            words: format!("{} 0", null.word()),
        };
        under.load(&[line]).expect("another table is taken");
        under.suspend().expect("nothing is in flight");
        under.resume().expect("the other table comes up");
        let base = linear("base", path, SPARE);
        let runs: Vec<u64> = random(RUNS).take(COUNT).collect();
        let on_spare = |run: &u64| {
            self.table
                .replacement_sector(Replacement::new(run * IO_SECTORS))
        };
        let reference = Subject::new(&base, runs.iter().map(on_spare).collect());
        let on_main = |run: &u64| Sector::new(run * STRIDE);
        let measured = Subject::new(&joined, runs.iter().map(on_main).collect());
        let ratio = compare(&reference, &measured);
        drop((reference, measured));
        for mapped in [joined, base, under] {
            mapped.remove().expect("nobody uses it");
        }
        ratio
    }

    /// Nanoseconds until the target is up, and bytes of the kernel's memory it takes.
    fn assemble(&self) -> (f64, f64) {
        let before = kernel_memory();
        let joined = loaded(&self.main, self.spare.word());
        let start = Instant::now();
        joined.resume().expect("the target comes up");
        let nanoseconds = start.elapsed().as_nanos() as f64;
        let memory = kernel_memory() - before;
        joined.remove().expect("nobody uses it");
        (nanoseconds, memory)
    }
}

fn null(size: Sectors) -> Disk {
    Disk::new(&Shape {
        mib: size.get() / MIB,
        kept: false,
        ..Shape::default()
    })
}

/// Bytes that the kernel has in slabs and in mapped areas, where every allocation of a
/// module lands.
fn kernel_memory() -> f64 {
    let text = fs::read_to_string("/proc/meminfo").expect("the kernel counts its memory");
    let kib = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let words = line.and_then(|line| line.split_whitespace().next());
        words.and_then(|word| word.parse().ok()).expect("in KiB")
    };
    (kib("Slab:") + kib("VmallocUsed:")) * 1024.0
}

/// Nanoseconds of a write to good blocks, and of one that fails, is moved and
/// acknowledged then.
fn failed_write() -> (f64, f64) {
    let (main, spare) = (Disk::of_mib(64), Disk::of_mib(16));
    let fresh = loaded(&main, spare.word());
    fresh.resume().expect("a pass-through comes up");
    fresh.message(0, "write_metadata").expect("it is written");
    let device = Device::open(&fresh.path());
    let buffer = Buffer::sectors(IO_SECTORS);
    let time = || {
        let start = Instant::now();
        for at in 0..FAILURES {
            let written = device.write(at * 1024, &buffer);
            written.expect("it is acknowledged");
        }
        start.elapsed().as_nanos() as f64 / FAILURES as f64
    };
    time();
    let good = time();
    for at in 0..FAILURES {
        main.spoil(at * 1024, IO_SECTORS);
    }
    let failed = time();
    assert_eq!(status(&fresh).active.get(), FAILURES * IO_SECTORS);
    drop(device);
    fresh.remove().expect("nobody uses it");
    (good, failed)
}

/// Measures everything; returns it as JSON, and says it in words as it goes.
pub fn run() -> String {
    println!("vm: note 4 KiB, {COUNT} random I/Os each, against linear on the same null device");
    let bench = Bench::new();
    let anywhere = random(MAIN.get() / IO_SECTORS).map(|at| Sector::new(at * IO_SECTORS));
    let anywhere: Vec<_> = anywhere.take(COUNT).collect();
    let none = bench.compare_on_main(0, &anywhere);
    say("no remaps", &none, Some(0.99));
    let discard = bench.compare_discards(&anywhere);
    println!(
        "vm: note {:<30} {:.4} ({:.0} of {:.0} ns)",
        "discards, no remaps",
        discard.ratio(),
        discard.measured,
        discard.reference
    );
    let (empty_up, empty_memory) = bench.assemble();

    let runs = (0..RUNS).flat_map(|run| {
        let first = run * STRIDE;
        (first..first + IO_SECTORS).map(MainBlock::new)
    });
    let spare = Device::open(bench.spare.path());
    bench.table.serve(&spare, &runs.collect::<Vec<_>>());
    drop(spare);

    let half = MAIN.get() / 2;
    let second_half = random(half / IO_SECTORS).map(|at| Sector::new(half + at * IO_SECTORS));
    let elsewhere = bench.compare_on_main(REMAPS, &second_half.take(COUNT).collect::<Vec<_>>());
    say("100,000 remaps elsewhere", &elsewhere, Some(0.98));
    let middles =
        random(RUNS).map(|run| Sector::new(run * STRIDE + STRIDE / 2 / IO_SECTORS * IO_SECTORS));
    let between = bench.compare_on_main(REMAPS, &middles.take(COUNT).collect::<Vec<_>>());
    say("half-way between two of them", &between, None);
    let on_remapped = bench.compare_on_remapped();
    say("on remapped blocks", &on_remapped, Some(0.95));

    let (full_up, full_memory) = bench.assemble();
    let each = (full_memory - empty_memory) / REMAPS as f64;
    println!(
        "vm: note up with 100,000 remaps after {:.1} ms, with none after {:.1} ms",
        full_up / 1e6,
        empty_up / 1e6
    );
    println!("vm: note memory for one remap: {each:.1} bytes; aim at most 32");
    let (good, failed) = failed_write();
    println!(
        "vm: note a write that fails is acknowledged after {:.3} ms, one to good blocks after {:.3} ms",
        failed / 1e6,
        good / 1e6
    );

    let mut json = format!(
        "{{\"schema\":\"dmremap/bench-vm/1\",\"ios\":{COUNT},\"io_bytes\":4096,\"linear_iops\":{:.0}",
        1e9 / none.read.reference
    );
    put(&mut json, "linear_iops_by_direction", &none, |it| {
        1e9 / it.reference
    });
    let all = [
        ("none", &none),
        ("elsewhere_100k", &elsewhere),
        ("between_100k", &between),
        ("on_remapped", &on_remapped),
    ];
    for (key, value) in [
        ("ratio", Compared::ratio as fn(&Compared) -> f64),
        ("step", |it| it.step),
    ] {
        let mut inner = String::new();
        for (name, ratio) in all {
            put(&mut inner, name, ratio, value);
        }
        write!(json, ",\"{key}\":{{{}}}", inner.trim_start_matches(',')).unwrap();
    }
    write!(
        json,
        ",\"assemble_100k_nanoseconds\":{full_up:.0},\"assemble_empty_nanoseconds\":{empty_up:.0},\
         \"good_write_nanoseconds\":{good:.0},\"failed_write_nanoseconds\":{failed:.0},\
         \"bytes_per_remap\":{each:.2},\
         \"discard\":{{\"ratio\":{:.5},\"step\":{:.5}}}}}",
        discard.ratio(),
        discard.step
    )
    .unwrap();
    json
}

fn put(json: &mut String, key: &str, ratio: &Ratio, value: impl Fn(&Compared) -> f64) {
    let (read, write) = (value(&ratio.read), value(&ratio.write));
    write!(
        json,
        ",\"{key}\":{{\"read\":{read:.5},\"write\":{write:.5}}}"
    )
    .unwrap();
}

fn say(what: &str, ratio: &Ratio, aim: Option<f64>) {
    let aim = aim.map_or_else(String::new, |aim| format!("  aim at least {aim}"));
    println!(
        "vm: note {what:<30} read {:.4} ({:.0} of {:.0} ns)  write {:.4} ({:.0} of {:.0} ns){aim}",
        ratio.read.ratio(),
        ratio.read.measured,
        ratio.read.reference,
        ratio.write.ratio(),
        ratio.write.measured,
        ratio.write.reference,
    );
}
