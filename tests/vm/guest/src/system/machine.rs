//! The machine: its programs, its journal, its end.

use std::fs;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What the kernel's command line says after `name=`.
pub fn argument(name: &str) -> String {
    let line = fs::read_to_string("/proc/cmdline").expect("proc is mounted");
    let said = |word: &str| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned());
    line.split_whitespace().find_map(said).unwrap_or_default()
}

/// Runs a command line of words without spaces, whatever comes of it.
pub fn tried(line: &str) -> Output {
    let mut words = line.split_whitespace();
    let program = words.next().expect("a command");
    let output = Command::new(program).args(words).output();
    output.unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Runs a command line, which must succeed, and gives what it said.
pub fn run(line: &str) -> String {
    let output = tried(line);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{line}: {}\n{said}{errors}",
        output.status
    );
    said
}

/// Runs the application as the package installed it, and gives its JSON.
pub fn json(line: &str) -> Value {
    let output = tried(&format!("dmremap-tui {line} --json"));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let errors = String::from_utf8_lossy(&output.stderr);
        panic!("{line}: {error}\n{errors}")
    })
}

/// Waits until `is_so`, or panics with what was waited for.
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    const LONGEST: Duration = Duration::from_secs(120);
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONGEST, "waited in vain: {what}");
        sleep(Duration::from_millis(200));
    }
}

/// What the journal of this start has of the unit for an array.
pub fn journal(uuid: &str) -> String {
    run(&format!(
        "journalctl -b -o cat --no-pager -u {}",
        unit(uuid)
    ))
}

/// The unit that assembles an array.
pub fn unit(uuid: &str) -> String {
    format!("dmremap-assemble@{uuid}.service")
}

/// A property of a unit, as systemd has it.
pub fn property(unit: &str, name: &str) -> String {
    run(&format!("systemctl show --value --property={name} {unit}"))
        .trim()
        .to_owned()
}

/// Whether a mapped device of this name is up.
pub fn is_up(name: &str) -> bool {
    let report = json("status");
    let devices = report["devices"].as_array().expect("devices");
    devices.iter().any(|device| device["name"] == name)
}

/// What is mounted at a directory, by its number.
pub fn mounted_at(directory: &str) -> Option<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("proc is mounted");
    let mut lines = table
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    lines.find_map(|words| (words[4] == directory).then(|| words[2].to_owned()))
}

/// The number of a device-mapper device.
pub fn number_of(name: &str) -> String {
    let node = fs::canonicalize(format!("/dev/mapper/{name}")).expect("udev made its node");
    let node = node.file_name().expect("a node").to_str().expect("ASCII");
    let number = fs::read_to_string(format!("/sys/class/block/{node}/dev"));
    number.expect("sysfs has its number").trim().to_owned()
}

/// Says what the journal has of this program and udev, for whoever reads of a failure.
pub fn tell_journal() {
    let lines = run("journalctl -b -o short-monotonic --no-pager -n 200");
    for line in lines.lines() {
        println!("vm: log {line}");
    }
}

/// Resets the machine at once: nothing is synced, nothing is taken down.
pub fn reset() {
    let triggered = fs::write("/proc/sysrq-trigger", "b");
    panic!("the guest cannot be reset: {triggered:?}");
}

/// Powers off at once: what the tests left need not be taken down.
pub fn power_off() {
    fs::write("/proc/sysrq-trigger", "o").expect("the guest is powered off");
    sleep(Duration::from_secs(60));
}
