//! The terminal application, measured from outside: a pseudo-terminal and `/proc`.

use std::io::Read as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::time::{Duration, Instant};

use portable_pty::{native_pty_system, Child, CommandBuilder, MasterPty, PtySize};
use serde_json::{json, Value};

use crate::median;

const SIZE: PtySize = PtySize {
    rows: 40,
    cols: 120,
    pixel_width: 0,
    pixel_height: 0,
};

/// How long the application is left alone.
const IDLE: Duration = Duration::from_secs(10);

/// Starts that are timed.
const STARTS: usize = 31;

/// Measures start, idling and memory with a lab that has `images` besides its own disks.
pub(crate) fn bench(binary: &Path, directory: &Path, images: &[PathBuf]) -> Value {
    let lab = make_lab(binary, directory, images);
    let devices = images.len();
    println!("\nthe terminal application, {devices} devices, 120x40");
    let first = (0..STARTS).map(|_| start(binary, &lab).first_frame.as_secs_f64() * 1e3);
    let first_frame = median(first);
    println!("  first frame                  {first_frame:>10.3} ms");
    let idle = idle(start(binary, &lab));
    println!(
        "  idle CPU                     {:>10.2} %",
        idle.cpu_percent
    );
    println!(
        "  idle wake-ups                {:>10.2} per second",
        idle.wakeups_per_second
    );
    println!(
        "  resident memory              {:>10.2} MiB",
        idle.resident_mib
    );
    json!({
        "devices": devices,
        "first_frame_microseconds": (first_frame * 1e3).round(),
        "idle_cpu_percent": idle.cpu_percent,
        "idle_wakeups_per_second": idle.wakeups_per_second,
        "resident_mib": idle.resident_mib,
    })
}

/// A lab in which every image is a disk.
fn make_lab(binary: &Path, directory: &Path, images: &[PathBuf]) -> PathBuf {
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

/// A running application. Dropping it ends it.
struct Running {
    child: Box<dyn Child + Send + Sync>,
    /// While it is there what the application draws is read.
    _output: Receiver<Vec<u8>>,
    first_frame: Duration,
    _master: Box<dyn MasterPty + Send>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the application and waits until its first frame is on the screen.
fn start(binary: &Path, lab: &Path) -> Running {
    let pty = native_pty_system()
        .openpty(SIZE)
        .expect("a pseudo-terminal can be had");
    let mut command = CommandBuilder::new(binary);
    command.arg("lab");
    command.arg(lab);
    command.env("TERM", "xterm-256color");
    let mut reader = pty
        .master
        .try_clone_reader()
        .expect("the terminal can be read");
    let (sender, output) = channel();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    let begun = Instant::now();
    let child = pty
        .slave
        .spawn_command(command)
        .expect("the program starts");
    drop(pty.slave);
    let [rows, columns] = [SIZE.rows, SIZE.cols]
        .map(|length| NonZero::new(length).expect("a screen has lines and columns"));
    let mut screen = vt100::Parser::new(rows, columns, 0);
    let first_frame = loop {
        let bytes = output
            .recv_timeout(Duration::from_secs(10))
            .expect("a first frame within 10 s");
        screen.process(&bytes);
        // A frame reaches from the first to the last line of the screen.
        let mut lines = screen.screen().rows(0, SIZE.cols);
        let first = lines.next().unwrap_or_default();
        let last = lines.last().unwrap_or_default();
        if !first.trim().is_empty() && !last.trim().is_empty() {
            break begun.elapsed();
        }
    };
    Running {
        child,
        _output: output,
        first_frame,
        _master: pty.master,
    }
}

struct Idle {
    cpu_percent: f64,
    wakeups_per_second: f64,
    resident_mib: f64,
}

/// Leaves the application alone and reads what it used meanwhile from `/proc`.
fn idle(running: Running) -> Idle {
    let process = running.child.process_id().expect("the program runs");
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
