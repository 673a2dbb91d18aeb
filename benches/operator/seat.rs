//! The terminal application, measured from outside: a pseudo-terminal and `/proc`, beside
//! two others that show a machine's state.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use portable_pty::CommandBuilder;
use serde_json::{json, Value};

use crate::keys::{self, Arrows};
use crate::median;
use crate::pty::Running;

/// How long an application is left alone.
const IDLE: Duration = Duration::from_secs(10);

/// Starts that are timed.
const STARTS: usize = 31;

/// Starts of the others that are timed.
const FEWER_STARTS: usize = 7;

/// Measures start, idling and memory with a lab that has `images` besides its own disks,
/// then how long keys take.
pub(crate) fn bench(binary: &Path, directory: &Path, images: &[PathBuf]) -> Value {
    let lab = make_lab(binary, directory, images);
    let devices = images.len();
    println!("\nterminal applications, {devices} devices in ours, 120x40");
    let ours = measure("dmremap-tui", STARTS, &|| {
        let mut command = CommandBuilder::new(binary);
        command.arg("lab");
        command.arg(&lab);
        command
    });
    let mut others = serde_json::Map::new();
    for (name, words) in [("btop", &["--utf-force"][..]), ("btm", &[])] {
        let Some(program) = installed(name) else {
            println!("  {name} is not installed, and not measured");
            others.insert(name.to_owned(), Value::Null);
            continue;
        };
        let measured = measure(name, FEWER_STARTS, &|| {
            let mut command = CommandBuilder::new(&program);
            command.args(words);
            // Their settings are the usual ones, and what they write is ours to remove.
            command.env("HOME", directory);
            command.env("XDG_CONFIG_HOME", directory);
            command.env("LANG", "C.UTF-8");
            command
        });
        others.insert(name.to_owned(), measured.json());
    }
    let keys = keys::bench(binary, &lab);
    let mut report = ours.json();
    report["devices"] = json!(devices);
    report["key_to_screen_p99_ms"] = keys["p99_ms"].clone();
    report["keys"] = keys;
    report["beside"] = Value::Object(others);
    report
}

/// The program of this name, where it is installed.
fn installed(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&paths).map(|place| place.join(name));
    places.find(|path| path.is_file())
}

/// What one application costs.
struct Cost {
    first_frame: f64,
    arrows: Arrows,
    idle: Idle,
}

impl Cost {
    fn json(&self) -> Value {
        json!({
            "first_frame_microseconds": (self.first_frame * 1e3).round(),
            "arrow_to_screen_median_ms": self.arrows.median,
            "arrow_to_screen_p99_ms": self.arrows.p99,
            "idle_cpu_percent": self.idle.cpu_percent,
            "idle_wakeups_per_second": self.idle.wakeups_per_second,
            "resident_mib": self.idle.resident_mib,
        })
    }
}

fn measure(name: &str, starts: usize, command: &dyn Fn() -> CommandBuilder) -> Cost {
    let start = || Running::start(command());
    let first_frame = median((0..starts).map(|_| start().first_frame.as_secs_f64() * 1e3));
    let arrows = keys::arrows(start());
    let idle = idle(start());
    println!("  {name}");
    println!("    first frame                {first_frame:>10.3} ms");
    println!(
        "    from an arrow to the screen{:>10.3} ms, 99th percentile {:.3} ms",
        arrows.median, arrows.p99
    );
    println!(
        "    idle CPU                   {:>10.2} %",
        idle.cpu_percent
    );
    println!(
        "    idle wake-ups              {:>10.2} per second",
        idle.wakeups_per_second
    );
    println!(
        "    resident memory            {:>10.2} MiB",
        idle.resident_mib
    );
    Cost {
        first_frame,
        arrows,
        idle,
    }
}

/// A lab in which every image is a disk.
pub(crate) fn make_lab(binary: &Path, directory: &Path, images: &[PathBuf]) -> PathBuf {
    let lab = directory.join("lab");
    // Without a terminal the program makes the lab and leaves it at that.
    let made = Command::new(binary)
        .arg("lab")
        .arg(&lab)
        .stdout(Stdio::null())
        .status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "the lab can be made"
    );
    for image in images {
        let name = image.file_name().expect("an image has a name");
        std::fs::rename(image, lab.join("disks").join(name)).expect("an image can be moved");
    }
    lab
}

struct Idle {
    cpu_percent: f64,
    wakeups_per_second: f64,
    resident_mib: f64,
}

/// Leaves the application alone and reads what it used meanwhile from `/proc`.
fn idle(running: Running) -> Idle {
    let process = running.pid();
    std::thread::sleep(Duration::from_secs(3));
    let before = Usage::of(process);
    std::thread::sleep(IDLE);
    let after = Usage::of(process);
    drop(running);
    let ticks_per_second = 100.0;
    Idle {
        cpu_percent: (after.ticks - before.ticks) as f64 / ticks_per_second / IDLE.as_secs_f64()
            * 100.0,
        wakeups_per_second: (after.switches - before.switches) as f64 / IDLE.as_secs_f64(),
        resident_mib: after.resident_kib as f64 / 1024.0,
    }
}

struct Usage {
    /// User and system time of all threads, in clock ticks.
    ticks: u64,
    /// Voluntary context switches of all threads: each is one wake-up.
    switches: u64,
    resident_kib: u64,
}

impl Usage {
    fn of(process: u32) -> Self {
        let root = format!("/proc/{process}");
        let read = |path: String| std::fs::read_to_string(path).expect("/proc can be read");
        let stat = read(format!("{root}/stat"));
        let behind_name = stat.rsplit_once(')').expect("a name in parentheses").1;
        let fields: Vec<&str> = behind_name.split_whitespace().collect();
        let number = |field: &str| field.parse::<u64>().expect("a number");
        let status = |path: String, key: &str| {
            let text = read(path);
            let line = text
                .lines()
                .find(|line| line.starts_with(key))
                .expect("the key is there");
            number(line.split_whitespace().nth(1).expect("a value"))
        };
        let threads = std::fs::read_dir(format!("{root}/task")).expect("/proc can be listed");
        let switches = threads
            .filter_map(Result::ok)
            .map(|thread| {
                let path = thread.path().join("status").display().to_string();
                status(path, "voluntary_ctxt_switches")
            })
            .sum();
        Self {
            ticks: number(fields[11]) + number(fields[12]),
            switches,
            resident_kib: status(format!("{root}/status"), "VmRSS"),
        }
    }
}
