//! Processes that are killed in the middle of what they do, again and again: the lab
//! they leave opens, and holds everything that was acknowledged.
//!
//! Every other process is the real program under its load. The rest are this one itself,
//! told by the environment what to do, which is everything else that changes a lab.
//! `KILLS` says how many to kill.
#![cfg(test)]

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dmremap::lab::exercise::Exercise;
use dmremap::lab::{Contents, Lab};
use dmremap::port::slots::survey;
use dmremap::port::{Access, Activation, Host, HostError};
use dmremap::remap_core::message::Message;
use dmremap::remap_core::params::Options;
use dmremap::remap_core::quorum::{judge, Verdict};
use dmremap::remap_core::units::{Blocks, Slot};
use dmremap::sys::ThisMachine;

const LOAD: Exercise = Exercise {
    seed: 0x6b69_6c6c,
    blocks: Blocks::new(400),
};

/// What a process is to do, in the environment of the one that starts it.
const TASK: &str = "KILL_NINE_TASK";
const LAB: &str = "KILL_NINE_LAB";
const FROM_STEP: &str = "KILL_NINE_FROM";

fn kills(default: u64) -> u64 {
    match std::env::var("KILLS") {
        Ok(kills) => kills.parse().expect("KILLS is a number"),
        Err(_) => default,
    }
}

fn open(directory: &Path) -> Result<Lab, HostError> {
    Lab::open_or_create(directory, Arc::new(ThisMachine), Contents::Training)
}

fn append_to(report: &Path) -> File {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(report)
        .expect("a file for the report")
}

fn start_program(lab: &Path, from: u64, report: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_dmremap-tui"))
        .arg("--lab")
        .arg(lab)
        .args(["exercise", "vault"])
        .args(["--seed", &LOAD.seed.to_string()])
        .args(["--blocks", &LOAD.blocks.to_string()])
        .args(["--from", &from.to_string()])
        .args(["--steps", "1000000"])
        .stdin(Stdio::null())
        .stdout(append_to(report))
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the program")
}

fn start(task: &str, lab: &Path, from: u64, report: &Path) -> Child {
    let report = append_to(report);
    let program = std::env::current_exe().expect("the path of this program");
    Command::new(program)
        .args(["--exact", "the_process_that_is_killed", "--nocapture"])
        .env(TASK, task)
        .env(LAB, lab)
        .env(FROM_STEP, from.to_string())
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(report)
        .spawn()
        .expect("a process")
}

/// What the killed processes do. Reports go to standard error: standard output is the
/// test harness's own.
#[test]
fn the_process_that_is_killed() {
    let (Ok(task), Ok(directory)) = (std::env::var(TASK), std::env::var(LAB)) else {
        // This is the run of the tests themselves, in which nobody is to be killed here.
        return;
    };
    let directory = Path::new(&directory);
    match task.as_str() {
        "make" => drop(open(directory).expect("a lab")),
        "work" => work(directory),
        other => panic!("no such task: {other}"),
    }
}

/// Writes without end, and in between everything else that changes a lab.
fn work(directory: &Path) {
    let mut lab = open(directory).expect("a lab");
    let from = std::env::var(FROM_STEP).expect("a step");
    let mut step: u64 = from.parse().expect("a number");
    loop {
        LOAD.run(&mut lab, "vault", step, 3, &mut std::io::stderr())
            .expect("a load that goes on");
        step += 3;
        match step % 5 {
            0 => drop(lab.message("vault", &Message::WriteMetadata)),
            1 => {
                let spare = lab.open(Path::new("disk-b"), Access::Damage);
                let mut spare = spare.expect("the spare");
                let slot = if step.is_multiple_of(2) {
                    Slot::S3
                } else {
                    Slot::S0
                };
                spare.write_at(slot.sector(), &[0x99; 512]).expect("damage");
            }
            2 => drop(lab.message("vault", &Message::Scrub)),
            3 => drop(lab.message("vault", &Message::Repair)),
            _ => drop(lab.run_due()),
        }
    }
}

/// Waits a little, differently each time, and kills.
fn kill_after(mut child: Child, micros: u64) {
    std::thread::sleep(Duration::from_micros(micros));
    let ended = child.try_wait().expect("a process to ask");
    child.kill().expect("a process to kill");
    child.wait().expect("a process that is dead");
    if let Some(status) = ended {
        assert!(status.success(), "the process failed by itself: {status}");
    }
}

fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    *seed >> 33
}

/// Cuts off half a line at the end, which a process left that was killed: it was never
/// reported, and the next process would go on in the middle of it.
fn cut_off_half_a_line(report: &Path) {
    let mut bytes = fs::read(report).expect("a report");
    let whole = bytes.iter().rposition(|byte| *byte == b'\n');
    bytes.truncate(whole.map_or(0, |end| end + 1));
    fs::write(report, bytes).expect("a report");
}

/// The report without what a panic would have put there.
fn report_of(path: &Path) -> BufReader<File> {
    let mut text = String::new();
    let mut file = File::open(path).expect("a report");
    file.read_to_string(&mut text).expect("a report in UTF-8");
    assert!(!text.contains("panicked"), "{text}");
    BufReader::new(File::open(path).expect("a report"))
}

#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("lab");
    let report = directory.path().join("report");
    let mut lab = open(&path).expect("a lab");
    lab.activate(&Activation {
        name: "vault".to_owned(),
        main: "disk-a".into(),
        spare: "disk-b".into(),
        options: Options::default(),
        meant: Default::default(),
    })
    .expect("vault comes up");
    // The work damages two copies; with those that a new lab has damaged that would be
    // more than may be lost.
    lab.message("vault", &Message::Repair).expect("a repair");
    LOAD.break_blocks(&mut lab, "vault", 7).expect("bad blocks");
    drop(lab);
    let mut seed = 1;
    let mut from = 0;
    let mut worked = 0;
    for kill in 0..kills(20) {
        let child = match kill % 2 {
            0 => start_program(&path, from, &report),
            _ => start("work", &path, from, &report),
        };
        kill_after(child, 10_000 + random(&mut seed) % 100_000);

        cut_off_half_a_line(&report);
        let mut lab = open(&path).expect("the lab opens");
        let spare = lab.open(Path::new("disk-b"), Access::Read).expect("spare");
        let verdict = judge(&survey(&*spare)).verdict;
        let fine = [Verdict::Healthy, Verdict::Degraded, Verdict::Interrupted];
        assert!(fine.contains(&verdict), "kill {kill}: {verdict}");
        let mapped = lab.mapped().expect("the devices that are up");
        assert_eq!(mapped.len(), 2, "kill {kill}");
        assert!(!mapped[1].status.needs_check, "kill {kill}");
        lab.events(0).expect("the log");
        let verified = LOAD
            .verify(&mut lab, "vault", &mut report_of(&report))
            .expect("the load can be verified");
        assert!(
            verified.wrong.is_empty(),
            "kill {kill}: {:?}",
            verified.wrong
        );
        worked += u64::from(verified.next_step > from);
        from = verified.next_step;
    }
    println!("{from} steps, {worked} processes got to work");
    assert!(
        worked > 0,
        "every process was killed before it did anything"
    );
    // It still heals.
    let mut lab = open(&path).expect("the lab opens");
    lab.message("vault", &Message::Repair).expect("a repair");
    lab.message("vault", &Message::Scrub).expect("a scrub");
    let status = lab.mapped().expect("devices").remove(1).status;
    assert_eq!(status.verdict, Verdict::Healthy);
    assert!(status.active.get() > 12);
}

#[test]
fn a_process_killed_while_it_makes_a_lab_leaves_none_or_one_that_is_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let report = directory.path().join("report");
    let mut seed = 2;
    let mut unfinished = 0;
    for kill in 0..kills(20) {
        let path = directory.path().join(format!("lab-{kill}"));
        let child = start("make", &path, 0, &report);
        kill_after(child, random(&mut seed) % 120_000);
        unfinished += u64::from(!path.join("lab.json").exists());
        let mut lab = open(&path).expect("the lab opens");
        assert_eq!(lab.devices().expect("devices").len(), 8, "kill {kill}");
        assert_eq!(lab.mapped().expect("devices that are up").len(), 1);
        let mut names: Vec<_> = fs::read_dir(&path)
            .expect("the lab's directory")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        assert_eq!(
            names,
            ["disks", "events.jsonl", "lab.json", "lock", "state"]
        );
        fs::remove_dir_all(&path).expect("a lab to remove");
    }
    println!("{unfinished} labs were unfinished");
    report_of(&report);
}
