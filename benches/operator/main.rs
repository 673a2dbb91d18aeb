//! What the operator waits for: whole processes, side by side in one run.
//!
//! `make bench` runs this; the figures go to the terminal and to
//! `target/bench/bench.json`. Every comparison alternates its commands (A B C A B C ...)
//! and gives medians and the median of the ratios of neighbours, so that a machine
//! whose speed drifts does not decide the outcome.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its report")]

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{json, Value};

mod keys;
mod pty;
mod remapped;
mod seat;

/// Images in the scan, and devices on the screen.
const MANY: usize = 1000;

/// Images that the dd-and-xxd reader is given; it takes its time for each alike.
const FOR_SHELL: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("--bare-loop", images)) = arguments.split_first().map(|(a, b)| (a.as_str(), b)) {
        bare_loop(images);
        return;
    }
    // Cargo says `--bench`; what else is named are the parts to measure, for a quick look.
    let parts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let parts: Vec<&str> = parts
        .into_iter()
        .filter(|it| !it.starts_with("--"))
        .collect();
    let wants = |part: &str| parts.is_empty() || parts.contains(&part);
    let directory = work_directory();
    let binary = install(&directory);
    let image = make_image(&binary, &directory);
    let images = copy_images(&image, &directory);
    let mut report = serde_json::Map::new();
    report.insert("schema".to_owned(), json!("dmremap/bench/1"));
    if wants("inspect") {
        report.insert("inspect".to_owned(), bench_inspect(&binary, &image));
    }
    if wants("scan") {
        report.insert("scan".to_owned(), bench_scan(&binary, &images));
    }
    if wants("seat") {
        let seat = seat::bench(&binary, &directory, &images);
        report.insert("seat".to_owned(), seat);
    } else if wants("keys") {
        let lab = seat::make_lab(&binary, &directory, &images);
        report.insert("keys".to_owned(), keys::bench(&binary, &lab));
    }
    let text = serde_json::to_string_pretty(&report).expect("numbers and strings serialize");
    let path = directory
        .parent()
        .expect("the work directory has a parent")
        .join("bench.json");
    if parts.is_empty() {
        std::fs::write(&path, text + "\n").expect("target/bench can be written");
        println!("\nwritten to {}", path.display());
    } else {
        println!("\nnot written: only a part was measured");
    }
    std::fs::remove_dir_all(&directory).expect("the work directory can be removed");
}

fn work_directory() -> PathBuf {
    let target = option_env!("CARGO_TARGET_DIR").unwrap_or("target");
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(target)
        .join("bench/work");
    match std::fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
        _ => std::fs::create_dir_all(&directory).expect("target/bench can be made"),
    }
    directory
}

/// The program as the linker left it.
const LINKED: &str = env!("CARGO_BIN_EXE_dmremap-tui");

/// Puts a copy of the program where it is measured. The others are measured as a package
/// installed them; a file that the linker wrote lies in the page cache in single pages, which
/// costs each start some 0.1 ms more.
fn install(directory: &Path) -> PathBuf {
    let installed = directory.join("dmremap-tui");
    std::fs::copy(LINKED, &installed).expect("the program can be copied");
    installed
}

/// One small spare with checksummed metadata, made by the program itself.
fn make_image(binary: &Path, directory: &Path) -> PathBuf {
    let (main, spare) = (directory.join("main.img"), directory.join("spare.img"));
    for (path, bytes) in [(&main, 64 << 20), (&spare, 5 << 20)] {
        File::create(path)
            .and_then(|file| file.set_len(bytes))
            .expect("an image can be made");
    }
    let made = Command::new(binary)
        .args(["create", "bench", "--confirm", "bench", "--main"])
        .arg(&main)
        .arg("--spare")
        .arg(&spare)
        .env("XDG_STATE_HOME", directory.join("state"))
        .stdout(Stdio::null())
        .status()
        .expect("the program starts");
    assert!(made.success(), "create ended with {made}");
    spare
}

fn copy_images(image: &Path, directory: &Path) -> Vec<PathBuf> {
    let bytes = std::fs::read(image).expect("the image can be read");
    let copy = |number: usize| {
        let path = directory.join(format!("spare-{number:04}.img"));
        let file = File::create(&path).expect("an image can be made");
        file.set_len(bytes.len() as u64)
            .expect("an image can be sized");
        for (index, block) in bytes.chunks(4096).enumerate() {
            if block.iter().any(|byte| *byte != 0) {
                file.write_all_at(block, index as u64 * 4096)
                    .expect("an image can be written");
            }
        }
        path
    };
    (0..MANY).map(copy).collect()
}

/// What `scan` cannot do without: open, five reads, close, for each image.
fn bare_loop(images: &[String]) {
    let mut buffer = [0; 4096];
    for image in images {
        let file = File::open(image).expect("the image can be opened");
        for sector in [0u64, 1024, 2048, 4096, 8192] {
            file.read_exact_at(&mut buffer, sector * 512)
                .expect("the image can be read");
            black_box(&buffer);
        }
    }
}

/// A command, and how it is called in the report.
struct Contender {
    name: &'static str,
    command: Box<dyn Fn() -> Command>,
}

impl Contender {
    fn new(name: &'static str, command: impl Fn() -> Command + 'static) -> Self {
        Self {
            name,
            command: Box::new(command),
        }
    }

    fn time(&self) -> Duration {
        let mut command = (self.command)();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let start = Instant::now();
        // The exit status may speak of what was found; only starting must succeed.
        command
            .status()
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        start.elapsed()
    }
}

/// Runs the contenders in turn, `rounds` times after one warm-up, and reports medians
/// and, against the first, the median of the ratios round by round.
fn race(title: &str, rounds: usize, contenders: &[Contender]) -> Value {
    println!("\n{title}, {rounds} rounds");
    contenders.iter().for_each(|contender| {
        contender.time();
    });
    let round = |_| {
        contenders
            .iter()
            .map(|c| c.time().as_secs_f64())
            .collect::<Vec<_>>()
    };
    let rounds: Vec<Vec<f64>> = (0..rounds).map(round).collect();
    let mut report = serde_json::Map::new();
    for (index, contender) in contenders.iter().enumerate() {
        let seconds = median(rounds.iter().map(|round| round[index]));
        let ratio = median(rounds.iter().map(|round| round[index] / round[0]));
        println!(
            "  {:<28} {:>10.3} ms   {ratio:>8.2}",
            contender.name,
            seconds * 1e3
        );
        report.insert(
            contender.name.to_owned(),
            json!({ "median_microseconds": (seconds * 1e6).round(), "ratio": ratio }),
        );
    }
    Value::Object(report)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn bench_inspect(binary: &Path, image: &Path) -> Value {
    let command = |program: PathBuf, arguments: &'static [&'static str]| {
        let image = image.to_owned();
        move || {
            let mut command = Command::new(&program);
            command.args(arguments).arg(&image);
            command
        }
    };
    let system = |name: &str| {
        let places = ["/usr/sbin", "/sbin", "/usr/bin"].map(|place| Path::new(place).join(name));
        places.into_iter().find(|path| path.exists())
    };
    let mut contenders = vec![Contender::new(
        "dmremap-tui inspect",
        command(binary.to_owned(), &["inspect"]),
    )];
    for (name, program, arguments) in [
        ("blkid -p", "blkid", &["-p"][..]),
        ("mdadm --examine", "mdadm", &["--examine"][..]),
    ] {
        match system(program) {
            Some(path) => contenders.push(Contender::new(name, command(path, arguments))),
            None => println!("{program} is not installed; `make bench` installs it"),
        }
    }
    contenders.push(Contender::new(
        "inspect, not installed",
        command(LINKED.into(), &["inspect"]),
    ));
    race(
        "inspect one image (whole process; ratio to the first)",
        201,
        &contenders,
    )
}

fn bench_scan(binary: &Path, images: &[PathBuf]) -> Value {
    let scan = |images: &[PathBuf], options: &'static [&'static str]| {
        let (binary, images) = (binary.to_owned(), images.to_owned());
        move || {
            let mut command = Command::new(&binary);
            command.args(["scan", "--scan-only"]).args(options);
            images.iter().for_each(|image| {
                command.arg("--device").arg(image);
            });
            command
        }
    };
    let bare = {
        let images = images.to_owned();
        move || {
            let mut command = Command::new(std::env::current_exe().expect("the bench has a path"));
            command.arg("--bare-loop").args(&images);
            command
        }
    };
    let shell = {
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/operator/dd-xxd-reader.sh");
        let images = images[..FOR_SHELL].to_owned();
        move || {
            let mut command = Command::new("bash");
            command.arg(&script).args(&images);
            command
        }
    };
    let bare_loop = race(
        "scan 1,000 images (whole process; ratio to the first)",
        31,
        &[
            Contender::new("five preads per image", bare),
            Contender::new("dmremap-tui scan", scan(images, &[])),
            Contender::new("dmremap-tui scan --json", scan(images, &["--json"])),
        ],
    );
    let few = race(
        "scan 100 images (whole process; ratio to the first)",
        3,
        &[
            Contender::new("dmremap-tui scan", scan(&images[..FOR_SHELL], &[])),
            Contender::new("dd and xxd", shell),
        ],
    );
    json!({ "images_1000": bare_loop, "images_100": few })
}
