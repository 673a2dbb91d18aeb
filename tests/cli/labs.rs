//! Commands on a lab: what they do to its devices, what they print, how they exit.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::{Bench, Ran};

impl Bench {
    /// Runs a command line on the lab of this bench, which is made on first use.
    fn lab(&self, words: &str) -> Ran {
        self.run(&format!("--lab lab {words}"))
    }

    /// The same, with JSON, which must end with `status`.
    fn lab_json(&self, command: &str, words: &str, status: i32) -> Value {
        let ran = self.lab(&format!("{words} --json"));
        assert_eq!(ran.status, status, "{words}: {}", ran.stderr);
        assert!(ran.stderr.is_empty(), "{words}: {}", ran.stderr);
        ran.json(command)
    }

    fn verdict(&self, disk: &str) -> String {
        let ran = self.lab(&format!("inspect {disk} --json"));
        ran.json("inspect")["verdict"].as_str().unwrap().to_owned()
    }

    /// Lets the first scrub of `attic`, which is due when it came up, be over: nothing
    /// else is due by itself for an hour.
    fn settle(&self) {
        let scrub = self.lab_json("scrub", "scrub attic", 0);
        assert_eq!(scrub["damage_found"], false);
    }

    /// Every file of the lab, with its size and time, and the bytes of small ones.
    fn lab_files(&self) -> BTreeMap<PathBuf, (Vec<u8>, u64, SystemTime)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path("lab")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let metadata = path.metadata().unwrap();
                let bytes = match metadata.len() {
                    0..65_536 => std::fs::read(&path).unwrap(),
                    _ => Vec::new(),
                };
                let (size, changed) = (metadata.len(), metadata.modified().unwrap());
                found.insert(path, (bytes, size, changed));
            }
        }
        found
    }
}

/// A training lab has these, each with something to learn from.
fn row<'a>(list: &'a Value, name: &str) -> &'a Value {
    let devices = list["devices"].as_array().unwrap();
    let row = devices.iter().find(|device| device["name"] == name);
    row.unwrap_or_else(|| panic!("no {name} in {list}"))
}

#[test]
fn a_device_lives_from_create_to_undo() {
    let bench = Bench::new();
    let list = bench.lab_json("list", "list", 0);
    assert_eq!(row(&list, "disk-h")["part"], "free");
    let spare = Path::new("lab/disks/disk-h.img");
    let blank = bench.bytes(spare.to_str().unwrap());
    let made = bench.lab_json(
        "create",
        "create my-storage --main disk-f --spare disk-h --confirm my-storage",
        0,
    );
    assert_eq!(made["changed"], true);
    assert_eq!(made["verdict"], "healthy");
    let list = bench.lab_json("list", "list", 0);
    assert_eq!(row(&list, "disk-f")["part"], "main");
    assert_eq!(row(&list, "disk-h")["part"], "spare");
    assert_eq!(row(&list, "disk-h")["mapped"], "my-storage");
    let status = bench.lab_json("status", "status my-storage", 0);
    assert_eq!(status["name"], "my-storage");
    assert_eq!(status["mode"], "rw");
    assert_eq!(status["copies"], "VVVVV");
    // Taken down and brought up again, under its own name.
    bench.lab_json("remove", "remove my-storage", 0);
    assert_eq!(
        bench.lab("status my-storage").status,
        0,
        "healthy, and down"
    );
    bench.lab_json("reassemble", "reassemble disk-h", 0);
    assert_eq!(bench.lab("status my-storage").status, 0);
    let again = bench.lab("reassemble my-storage");
    assert_eq!(again.status, 0);
    assert!(again.stdout.contains("active already"), "{}", again.stdout);
    // Taking the creation back takes the device down, too.
    bench.lab_json("undo", "undo 1 --confirm my-storage", 0);
    assert_eq!(bench.bytes(spare.to_str().unwrap()), blank);
    assert_eq!(bench.lab("status my-storage").status, 1);
    let log = bench.lab_json("log", "log", 0);
    let told: Vec<&str> = log["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|action| action["operation"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["create", "remove", "reassemble", "undo"]);
    assert_eq!(log["actions"][0]["undone_by"], 4);
}

#[test]
fn damage_to_an_active_device_is_found_and_healed_by_a_scrub() {
    let bench = Bench::new();
    let spare = "lab/disks/disk-d.img";
    bench.settle();
    let healthy = bench.bytes(spare);
    bench.lab_json(
        "corrupt",
        "corrupt disk-d --copy 1,4 --kind torn --seed 7 --confirm attic",
        0,
    );
    assert_eq!(bench.verdict("disk-d"), "degraded");
    assert_eq!(bench.lab("inspect disk-d").status, 3);
    let scrub = bench.lab_json("scrub", "scrub attic", 0);
    assert_eq!(scrub["damage_found"], true);
    assert_eq!(scrub["repaired"], true);
    assert_eq!(scrub["corruption_detected"], 1);
    assert_eq!(scrub["repairs_completed"], 1);
    assert_eq!(bench.bytes(spare), healthy);
    let clean = bench.lab_json("scrub", "scrub attic", 0);
    assert_eq!(clean["damage_found"], false);
}

#[test]
fn a_repair_that_nobody_waits_for_is_done_by_who_comes_next() {
    let bench = Bench::new();
    bench.settle();
    bench.lab("corrupt disk-d --copy 2 --kind zero --confirm attic");
    // Whoever looks a second later repairs it: here nobody can until the fault is gone.
    assert_eq!(
        bench
            .lab("fault attic spare --on write --from 0 --count 99999999")
            .status,
        0
    );
    let scrub = bench.lab_json("scrub", "scrub attic --no-wait", 3);
    assert_eq!(scrub["repaired"], false);
    assert_eq!(bench.lab("fault attic --clear").status, 0);
    let deadline = Instant::now() + Duration::from_secs(600);
    while bench.lab("status attic").status != 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    let status = bench.lab_json("status", "status attic", 0);
    assert_eq!(status["verdict"], "healthy");
    assert_eq!(status["repairs_completed"], 1);
    assert_eq!(bench.verdict("disk-d"), "healthy");
}

#[test]
fn a_scan_assembles_what_may_be_and_exits_by_the_worst() {
    let bench = Bench::new();
    let only = bench.lab_json("scan", "scan --scan-only", 3);
    assert!(only["devices"].as_array().unwrap().len() >= 3);
    assert_eq!(
        row(&bench.lab_json("list", "list", 0), "disk-b")["active"],
        false
    );
    let scan = bench.lab_json("scan", "scan", 3);
    let outcome = |name: &str| {
        let devices = scan["devices"].as_array().unwrap().iter();
        let mut ours = devices.filter(|device| device["name"] == name);
        ours.next().unwrap()["outcome"].clone()
    };
    assert_eq!(outcome("vault"), "assembled");
    assert_eq!(outcome("attic"), "already-active");
    assert_eq!(
        row(&bench.lab_json("list", "list", 0), "disk-b")["active"],
        true
    );
}

#[test]
fn what_must_not_be_assembled_is_refused_with_its_status() {
    for (copies, kind, verdict, status) in [
        ("0,1,2,3,4", "random", "lost", 4),
        ("2", "rival", "split", 4),
        ("2", "ahead", "outlier", 4),
        ("0", "foreign", "foreign-overwritten", 4),
        ("0,1,2", "zero", "weak", 5),
        ("0,1", "zero", "degraded", 3),
        ("3,4", "stale", "interrupted", 3),
    ] {
        let bench = Bench::new();
        bench.lab("remove attic");
        bench.lab(&format!(
            "corrupt disk-d --copy {copies} --kind {kind} --confirm attic"
        ));
        assert_eq!(bench.verdict("disk-d"), verdict);
        let image = bench.bytes("lab/disks/disk-d.img");
        let ran = bench.lab("reassemble disk-d --json");
        assert_eq!(
            ran.status, status,
            "{verdict}: {} {}",
            ran.stdout, ran.stderr
        );
        if status == 3 {
            assert_eq!(bench.lab("status attic").status, 3, "{verdict}");
            continue;
        }
        assert!(ran.stdout.is_empty());
        assert_eq!(ran.error()["exit_status"], status);
        assert_eq!(bench.bytes("lab/disks/disk-d.img"), image, "{verdict}");
        // Looking at a weak one is asked for, either way.
        if verdict == "weak" {
            assert_eq!(bench.lab("reassemble attic --read-only").status, 3);
            let status = bench.lab_json("status", "status attic", 3);
            assert_eq!(status["mode"], "ro");
        }
    }
}

#[test]
fn dry_runs_and_read_only_leave_every_file_of_a_lab_alone() {
    let bench = Bench::new();
    bench.settle();
    bench.lab("corrupt disk-d --copy 1 --kind zero --confirm attic");
    let commands = [
        (
            "create new --main disk-f --spare disk-h --confirm new",
            true,
        ),
        ("corrupt disk-d --copy 2 --kind zero --confirm attic", true),
        ("reassemble vault", true),
        ("remove attic", true),
        ("repair attic", true),
        ("migrate usb-e --confirm usb-e", true),
        ("undo --confirm attic", true),
        ("write-metadata attic", true),
        ("list", false),
        ("inspect disk-d", false),
        ("scan --scan-only", false),
        ("status", false),
        ("log", false),
    ];
    let before = bench.lab_files();
    for (words, is_change) in commands {
        let ran = bench.lab(&format!("{words} --dry-run"));
        if is_change {
            assert_eq!(ran.status, 0, "{words}: {}", ran.stderr);
            assert!(
                ran.stdout.contains("dmremap-tui"),
                "{words}: {}",
                ran.stdout
            );
        }
        assert!(bench.lab_files() == before, "{words} --dry-run");
        // Bringing a device up read-only changes nothing on any disk, and is done.
        if words.starts_with("reassemble") {
            continue;
        }
        let ran = bench.lab(&format!("{words} --read-only"));
        assert_eq!(ran.status == 5, is_change, "{words}: {}", ran.stderr);
        assert!(bench.lab_files() == before, "{words} --read-only");
    }
}

#[test]
fn a_watch_prints_one_object_for_each_change() {
    let bench = Bench::new();
    bench.settle();
    let mut command = bench.command(&["--lab", "lab", "status", "attic", "--watch", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value {
        let line = lines.next().unwrap().unwrap();
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["schema"], "dmremap/status/1");
        value
    };
    assert_eq!(next()["verdict"], "healthy");
    bench.lab("corrupt disk-d --copy 0 --kind bit-flip --confirm attic");
    assert_eq!(bench.lab("scrub attic").status, 0);
    let deadline = Instant::now() + Duration::from_secs(600);
    let mut seen = next();
    while seen["repairs_completed"] != 1 && Instant::now() < deadline {
        seen = next();
    }
    assert_eq!(seen["repairs_completed"], 1, "{seen}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_short_name_confirms_a_disk_that_has_no_other() {
    let bench = Bench::new();
    assert_eq!(bench.lab("migrate usb-e").status, 5);
    assert_eq!(bench.lab("migrate usb-e --confirm usb").status, 5);
    let ran = bench.lab("migrate usb-e --confirm usb-e --name old");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(bench.lab("undo --confirm old").status, 0);
    let again = bench.lab("migrate usb-e --confirm usb-e.img");
    assert_eq!(again.status, 0, "{}", again.stderr);
}

#[test]
fn an_unreadable_copy_is_told_with_its_reason() {
    let bench = Bench::new();
    bench.settle();
    let ran = bench.lab("fault attic spare --on read --from 1024 --count 1");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let seen = bench.lab_json("inspect", "inspect disk-d", 3);
    let copy = &seen["copies"][1];
    assert_eq!(copy["state"], "unreadable");
    assert!(copy["checksum_stored"].is_null() && copy["reason"].is_string());
    assert_eq!(seen["copies"][2]["state"], "valid");
}
