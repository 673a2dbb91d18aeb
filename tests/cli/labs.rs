//! Commands on a lab: what they do to its devices, what they print, how they exit.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::{Bench, Ran};

impl Bench {
    fn lab(&self, words: &str) -> Ran {
        self.in_lab(words)
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
    let scan = bench.lab_json("scan", "scan", 5);
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

/// Every file below a directory with its bytes, and every link with where it leads.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            let bytes = match () {
                () if kind.is_symlink() => {
                    let target = std::fs::read_link(&path).unwrap();
                    target.as_os_str().as_bytes().to_vec()
                }
                () if kind.is_dir() => {
                    folders.push(path.clone());
                    Vec::new()
                }
                () => std::fs::read(&path).unwrap(),
            };
            found.insert(path, bytes);
        }
    }
    found
}

#[test]
fn looking_makes_no_lab_and_neither_does_a_run_that_changes_nothing() {
    let bench = Bench::new();
    let nothing = tree(bench.directory.path());
    for words in [
        "--lab nowhere inspect attic",
        "--lab nowhere scan",
        "--lab nowhere scan --scan-only",
        "--lab nowhere status",
        "--lab nowhere status attic",
        "--lab nowhere log",
        "--lab nowhere allow",
        "--lab nowhere allow attic",
        "--lab nowhere remove attic",
        "--lab nowhere corrupt attic --copy 1 --confirm attic",
        "--lab nowhere undo",
        "--lab nowhere list --dry-run",
        "--lab nowhere list --read-only",
        "--lab nowhere lab --read-only",
        "--lab nowhere scenario torn-write --dry-run",
        "--lab nowhere scenario torn-writ",
        "--lab nowhere/else list",
        "--lab list",
        "--lab scan --json",
        "lab inspect",
        "--lab=--json list",
        "--lab= list",
    ] {
        let ran = bench.run(words);
        assert!((1..=2).contains(&ran.status), "{words}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "{words}: {}", ran.stdout);
        assert_eq!(tree(bench.directory.path()), nothing, "{words}");
    }
    let told = bench.run("--lab nowhere scan").stderr;
    assert!(told.contains("dmremap-tui lab nowhere"), "{told}");

    // A directory of somebody's, with and without images.
    std::fs::create_dir(bench.path("mine")).unwrap();
    for name in ["rescued.img", "making", "thesis.txt"] {
        std::fs::write(bench.path("mine").join(name), "dear to me").unwrap();
        let before = tree(bench.directory.path());
        let mut wanted = vec!["--lab mine list"];
        if name != "rescued.img" {
            // Beside images a lab is made for who asks for just that.
            wanted.push("lab mine");
        }
        for words in wanted {
            let ran = bench.run(words);
            assert_ne!(ran.status, 0, "{words}: {}", ran.stdout);
            assert_eq!(tree(bench.directory.path()), before, "{words}");
        }
    }
    std::fs::create_dir(bench.path("empty")).unwrap();
    assert_eq!(bench.run("--lab empty list").status, 0);
}

#[test]
fn a_tilde_is_the_home_directory_wherever_a_lab_is_named() {
    let bench = Bench::new();
    let home = bench.path("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(bench.path("c.toml"), "lab = \"~/lab\"\n").unwrap();
    for words in [
        "--config c.toml list",
        "--lab=~/lab scan --scan-only",
        "--config=~/../c.toml log",
        "lab ~/lab",
    ] {
        let ran = bench.run(words);
        assert!(matches!(ran.status, 0 | 3), "{words}: {}", ran.stderr);
        assert!(home.join("lab/lab.json").exists(), "{words}");
        assert!(!bench.path("~").exists(), "{words}");
    }
    for (lab, home) in [
        ("~", None),
        ("~/lab", None),
        ("~/lab", Some("")),
        ("~/lab", Some("home")),
        ("~somebody/lab", Some("/")),
        ("", Some("/")),
        ("relative", Some("/")),
    ] {
        let before = tree(bench.directory.path());
        std::fs::write(bench.path("c.toml"), format!("lab = \"{lab}\"\n")).unwrap();
        let mut command = bench.command(&["--config", "c.toml", "list"]);
        command.env_remove("HOME");
        command.envs(home.map(|home| ("HOME", home)));
        let ran = Ran::from(command.output().unwrap());
        assert!((1..=2).contains(&ran.status), "{lab}: {}", ran.stderr);
        assert!(ran.stderr.contains(lab), "{lab}: {}", ran.stderr);
        std::fs::write(bench.path("c.toml"), "lab = \"~/lab\"\n").unwrap();
        assert_eq!(tree(bench.directory.path()), before, "{lab}");
    }
}

#[test]
fn a_lab_has_a_list_of_its_own() {
    let bench = Bench::new();
    let listed = |words: &str, status| bench.lab_json("allow", words, status);
    assert_eq!(listed("allow", 0)["allowed"], serde_json::json!([]));
    assert_eq!(listed("allow attic vault", 0)["changed"], true);
    assert_eq!(listed("allow", 0)["allowed"].as_array().unwrap().len(), 2);
    assert!(bench.path("lab/dmremap.toml").exists());
    assert_eq!(bench.lab_json("config", "config", 0)["allowed"], 2);
    assert_eq!(listed("allow --remove attic", 0)["changed"], true);
    assert_eq!(listed("allow", 0)["allowed"][0]["name"], "vault");
    assert_eq!(
        bench.run("config --json").json("config")["allowed"],
        0,
        "the machine's own list"
    );
}

#[test]
fn nothing_outside_of_a_lab_is_written_wherever_its_files_lead() {
    let bench = Bench::new();
    bench.lab("remove attic");
    let spare = bench.bytes("lab/disks/disk-d.img");
    let main = bench.path("lab/disks/disk-c.img");
    std::fs::write(bench.path("outside.img"), &spare).unwrap();
    let (outside, disks) = (bench.path("outside.img"), bench.path("lab/disks"));
    std::os::unix::fs::symlink(&outside, disks.join("link.img")).unwrap();
    std::fs::create_dir(bench.path("elsewhere")).unwrap();
    std::fs::copy(&outside, bench.path("elsewhere/deep.img")).unwrap();
    std::os::unix::fs::symlink(bench.path("elsewhere"), disks.join("folder")).unwrap();
    let ways = [
        outside.display().to_string(),
        "outside.img".to_owned(),
        "lab/../outside.img".to_owned(),
        "link".to_owned(),
        "link.img".to_owned(),
        disks.join("link.img").display().to_string(),
        disks.join("folder/deep.img").display().to_string(),
    ];
    for way in &ways {
        let seen = bench.lab(&format!("inspect {way}"));
        assert_eq!(seen.status, 0, "looking is free: {}", seen.stderr);
        for words in [
            format!("corrupt {way} --copy 1 --confirm attic"),
            format!("repair {way} --confirm attic"),
            format!("migrate {way} --confirm attic"),
            format!("reassemble {way}"),
            format!("create new --main disk-f --spare {way} --replace --confirm attic"),
            format!("create new --main {way} --spare disk-h --confirm new"),
            format!(
                "write-metadata --main disk-c --spare {way} --name x --replace --confirm attic"
            ),
        ] {
            let ran = bench.lab(&words);
            if !words.starts_with("repair") {
                assert_ne!(ran.status, 0, "{words}: {}", ran.stdout);
            }
            assert!(bench.bytes("outside.img") == spare, "{words}");
            assert!(bench.bytes("elsewhere/deep.img") == spare, "{words}");
            bench.lab("remove new");
            bench.lab("remove attic");
        }
    }
    // What its registry says is up lies elsewhere, one way or the other.
    let registry = bench.path("lab/lab.json");
    let was = std::fs::read_to_string(&registry).unwrap();
    for way in [
        outside.to_str().unwrap(),
        "../outside.img",
        "disks/link.img",
        "disks/folder/deep.img",
        "/dev/null",
    ] {
        let mapped = format!(
            "\"mapped\": [{{\"name\": \"attic\", \"main\": {:?}, \"spare\": {way:?}, \
             \"scrub_interval_seconds\": 1, \"read_only\": false}}]",
            main.display().to_string()
        );
        let text = was.replace("\"mapped\": []", &mapped);
        assert_ne!(text, was);
        std::fs::write(&registry, text).unwrap();
        std::fs::remove_file(bench.path("lab/state/attic.json")).ok();
        for words in [
            "list",
            "status",
            "scrub attic",
            "repair attic",
            "write-metadata attic",
            "corrupt attic --copy 1 --confirm attic",
            "remove attic",
        ] {
            let ran = bench.lab(words);
            assert!(bench.bytes("outside.img") == spare, "{way} {words}");
            assert!(bench.bytes("elsewhere/deep.img") == spare, "{way} {words}");
            let all = format!("{}{}", ran.stdout, ran.stderr);
            assert!(!all.contains("panicked"), "{way} {words}: {all}");
        }
        std::fs::write(&registry, &was).unwrap();
    }
}

#[test]
fn a_file_of_a_lab_that_is_a_link_is_not_followed() {
    let bench = Bench::new();
    bench.lab("corrupt disk-d --copy 1 --confirm attic");
    std::fs::create_dir(bench.path("victims")).unwrap();
    std::fs::write(bench.path("victims/file"), "precious\n").unwrap();
    let before = tree(&bench.path("victims"));
    for name in [
        "lock",
        "lab.json.new",
        "events.jsonl",
        "dmremap.toml",
        "making",
        "state/attic.json.new",
        "state/attic.json",
        "journal/journal.jsonl",
        "journal/lock",
        "journal/2.bin",
        "history/attic.json",
    ] {
        let path = bench.path("lab").join(name);
        let folder = path.parent().unwrap();
        std::fs::create_dir_all(folder).unwrap();
        let kept = std::fs::read(&path).ok();
        std::fs::remove_file(&path).ok();
        std::os::unix::fs::symlink(bench.path("victims/file"), &path).unwrap();
        for words in [
            "list",
            "allow attic",
            "scrub attic",
            "corrupt disk-d --copy 2 --confirm attic",
        ] {
            bench.lab(words);
            assert_eq!(tree(&bench.path("victims")), before, "{name}: {words}");
        }
        std::fs::remove_file(&path).ok();
        if let Some(kept) = kept {
            std::fs::write(&path, kept).unwrap();
        }
        assert_eq!(bench.lab("list").status, 0, "{name}");
    }
    for name in ["state", "journal", "backups", "history"] {
        let path = bench.path("lab").join(name);
        let away = bench.path("away");
        std::fs::rename(&path, &away).ok();
        std::os::unix::fs::symlink(bench.path("victims"), &path).unwrap();
        for words in [
            "list",
            "scrub attic",
            "corrupt disk-d --copy 2 --confirm attic",
        ] {
            let ran = bench.lab(words);
            assert_eq!(ran.status, 5, "{name}: {words}: {}", ran.stdout);
            assert!(ran.stderr.contains(name), "{}", ran.stderr);
            assert_eq!(tree(&bench.path("victims")), before, "{name}: {words}");
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(&away, &path).ok();
    }
    // The directory itself may be one.
    std::os::unix::fs::symlink("lab", bench.path("also")).unwrap();
    assert_eq!(bench.run("--lab also scrub attic").status, 0);
}

#[test]
fn a_device_whose_images_are_gone_or_cut_short_is_not_well() {
    for (disk, flag, words) in [
        ("disk-d", "spare_failing", "The spare fails"),
        ("disk-c", "main_suspect", "Main fails as a whole"),
    ] {
        for size in [None, Some(0), Some(1 << 20), Some((16 << 20) - 512)] {
            for has_record in [true, false] {
                let bench = Bench::new();
                bench.settle();
                let image = bench.path(&format!("lab/disks/{disk}.img"));
                match size {
                    None => std::fs::remove_file(&image).unwrap(),
                    Some(size) => {
                        let file = std::fs::File::options().write(true).open(&image).unwrap();
                        file.set_len(size).unwrap();
                    }
                }
                if !has_record {
                    std::fs::remove_file(bench.path("lab/state/attic.json")).unwrap();
                }
                let what = format!("{disk} {size:?} {has_record}");
                let ran = bench.lab("status attic --json");
                let status = ran.json("status");
                // Of a spare with nothing on it nothing is left to fail: it passes through.
                if status["mode"] != "pass" {
                    assert_eq!(status[flag], true, "{what}: {status}");
                    assert!(ran.stdout.contains(words), "{what}: {status}");
                }
                if disk == "disk-d" && size.is_none_or(|size| size < 1 << 22) {
                    assert_ne!(status["verdict"], "healthy", "{what}");
                    assert_ne!(ran.status, 0, "{what}");
                }
                let list = bench.lab("list --json").json("list");
                assert_eq!(row(&list, disk)["mapped"], "attic", "{what}");
            }
        }
    }
}

#[test]
fn a_backup_and_the_journal_must_tell_of_the_same_device() {
    let bench = Bench::new();
    for words in [
        // A device that is up would be repaired a second after the damage.
        "remove attic --confirm attic",
        "corrupt disk-d --copy 1 --confirm attic",
        "corrupt disk-b --copy 2 --confirm vault",
    ] {
        assert_eq!(bench.lab(words).status, 0, "{words}");
    }
    let damaged = [
        bench.bytes("lab/disks/disk-d.img"),
        bench.bytes("lab/disks/disk-b.img"),
    ];
    let journal = bench.path("lab/journal");
    let lines = std::fs::read_to_string(journal.join("journal.jsonl")).unwrap();
    let exchange = |one: &str, other: &str| {
        let (one, other) = (journal.join(one), journal.join(other));
        let kept = std::fs::read(&one).unwrap();
        std::fs::copy(&other, &one).unwrap();
        std::fs::write(&other, kept).unwrap();
    };
    let refused = |what: &str| {
        for token in ["attic", "vault"] {
            let ran = bench.lab(&format!("undo 2 --confirm {token}"));
            assert_eq!(ran.status, 5, "{what}: {} {}", ran.stdout, ran.stderr);
            assert!(bench.bytes("lab/disks/disk-d.img") == damaged[0], "{what}");
            assert!(bench.bytes("lab/disks/disk-b.img") == damaged[1], "{what}");
        }
    };
    for side in ["bin", "after.bin"] {
        exchange(&format!("2.{side}"), &format!("3.{side}"));
        refused(side);
    }
    // Now both files are the other action's, and agree with each other.
    for side in ["bin", "after.bin"] {
        exchange(&format!("2.{side}"), &format!("3.{side}"));
    }
    for device in ["\"device\":null", "\"device\":\"/dev/sda\""] {
        let path = bench.path("lab/disks/disk-d.img");
        let named = format!("\"device\":\"{}\"", path.display());
        let tampered = lines.replace(&named, device);
        assert_ne!(tampered, lines);
        std::fs::write(journal.join("journal.jsonl"), tampered).unwrap();
        refused(device);
    }
    std::fs::write(journal.join("journal.jsonl"), lines).unwrap();
    assert_eq!(bench.lab("undo 2 --confirm attic").status, 0);
}
