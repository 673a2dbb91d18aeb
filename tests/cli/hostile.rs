//! Text from elsewhere: whatever stands in names, on disks, in files and in the journal, it comes
//! out escaped and can be told from what looks like it; numbers at their end and files of
//! other kinds stop nothing.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use dmremap::remap_core::bytes::Text;
use dmremap::remap_core::superblock::Superblock;
use dmremap::remap_core::units::{BlockSize, Sectors, Sequence, Slot, Timestamp};
use dmremap::text::{escape, is_visible};

use crate::images::{put, SECTORS};
use crate::Bench;

/// Each with what moves a cursor, forges a line, turns an order, or is no text.
const ATTACKS: [&[u8]; 8] = [
    b"a\x1b[2J\x1b]0;owned\x07z",
    b"b\n  9  2026-01-01T00:00:00Z  done  forged\r\x08",
    b"c\xe2\x80\xaelive\xe2\x80\xac\xe2\x80\xa8",
    b"d\xff\xc3\xe2\x80",
    b"e\\x1b[2J",
    b"f\\\\x1b",
    b"g\\u{202e}",
    b"h\x9b31m\xc2\x9b31m\x7f",
];

/// What was printed; nothing in it does anything but show.
fn checked(output: &Output, what: &str) -> String {
    let mut all = String::new();
    for bytes in [&output.stdout, &output.stderr] {
        let text = str::from_utf8(bytes).unwrap_or_else(|_| panic!("{what}: not UTF-8"));
        let strange = text.chars().find(|it| *it != '\n' && !is_visible(*it));
        assert_eq!(strange, None, "{what}: {text:?}");
        all += text;
    }
    assert!(!all.contains("panicked"), "{what}: {all}");
    all
}

impl Bench {
    fn checked<W: AsRef<OsStr>>(&self, words: &[W]) -> String {
        let mut command = self.command(&[]);
        command.args(words);
        let what = format!("{:?}", words.iter().map(AsRef::as_ref).collect::<Vec<_>>());
        checked(&command.output().unwrap(), &what)
    }
}

/// Words as they stand, with something from outside in the place of each `@`.
fn line(words: &str, outside: &OsStr) -> Vec<OsString> {
    let words = words.split(' ').map(|word| match word {
        "@" => outside.to_owned(),
        word => word.into(),
    });
    words.collect()
}

fn as_json(bytes: &[u8]) -> String {
    serde_json::Value::from(escape(bytes).as_ref()).to_string()
}

#[test]
fn what_was_typed_comes_back_escaped_wherever_it_stands() {
    let bench = Bench::new();
    bench.vault();
    for attack in ATTACKS {
        let word = OsStr::from_bytes(attack);
        for words in [
            "@",
            "--@",
            "inspect @",
            "inspect ./@",
            "inspect --@",
            "inspect spare.img @",
            "scan --device @",
            "scan --scan-only --device @ --json",
            "status @",
            "scrub @",
            "remove @",
            "repair @",
            "reassemble @",
            "reassemble --unattended @",
            "corrupt spare.img --copy 1 --kind @",
            "corrupt spare.img --copy @",
            "corrupt spare.img --copy 1 --confirm @",
            "create @ --main main.img --spare spare.img",
            "create x --main @ --spare spare.img",
            "create x --main main.img --spare @ --block-size @",
            "migrate @",
            "undo @",
            "allow @",
            "allow --remove @",
            "--policy @ allow",
            "--config @ list",
            "--lab @ inspect x",
            "--lab @ lab --read-only",
            "lab @ @",
            "scenario @",
            "man @",
            "completions @",
            "--color @ list",
            "--theme @ config",
            "udev-probe @",
        ] {
            let plain = line(words, word);
            bench.checked(&plain);
            let json = [plain, vec!["--json".into()]].concat();
            let told = bench.checked(&json);
            for line in told.lines().filter(|line| line.starts_with('{')) {
                let _: serde_json::Value = serde_json::from_str(line).expect(words);
            }
        }
    }
}

#[test]
fn paths_can_be_told_apart_in_every_report() {
    let bench = Bench::new();
    let vault = bench.vault();
    bench.in_lab("list");
    let long = [b'l'; 251].to_vec();
    let attacks = ATTACKS.iter().map(|attack| attack.to_vec());
    for mut name in attacks.chain([long]) {
        name.retain(|byte| *byte != b'/');
        name.extend(b".img");
        let name = OsString::from(OsStr::from_bytes(&name));
        let image = bench.path("").join(&name);
        std::fs::copy(&vault, &image).unwrap();
        std::fs::copy(&image, bench.path("lab/disks").join(&name)).unwrap();
        let shown = as_json(name.as_bytes());
        for words in [
            "inspect @ --json",
            "scan --scan-only --device @ --json",
            "corrupt @ --copy 1 --confirm vault --dry-run --json",
            "corrupt @ --copy 1 --confirm vault --json",
            "migrate @ --dry-run --json",
            "--lab lab inspect @ --json",
        ] {
            let told = bench.checked(&line(words, &name));
            let shown = shown.trim_matches('"');
            assert!(told.contains(shown), "{words}: {told}");
        }
        for words in ["inspect @", "corrupt @ --copy 2 --confirm vault"] {
            bench.checked(&line(words, &name));
        }
        let told = bench.checked(&["--lab", "lab", "list", "--json"]);
        let stem = Path::new(&name).file_stem().unwrap();
        let stem = format!("\"name\":{}", as_json(stem.as_bytes()));
        assert!(told.contains(&stem), "{told}");
        // The short name, with which a lab's disk can be called.
        let told = bench.checked(&line("--lab lab inspect @ --json", &name));
        assert!(told.contains("\"verdict\""), "{told}");
    }
    for words in [
        &["log"][..],
        &["log", "--json"],
        &["--lab", "lab", "list"],
        &["--lab", "lab", "scan", "--scan-only"],
        &["--lab", "lab", "scan", "--scan-only", "--json"],
    ] {
        bench.checked(words);
    }
    // What the journal says of an action is what its backups are held against.
    bench.checked(&["undo", "--confirm", "vault"]);
    let told = bench.checked(&["log", "--json"]);
    assert!(told.contains("\"operation\":\"undo\""), "{told}");
}

#[test]
fn what_a_journal_says_is_escaped_and_what_cannot_be_read_is_counted() {
    let bench = Bench::new();
    bench.vault();
    let corrupt = bench.run("corrupt spare.img --copy 1 --confirm vault");
    assert_eq!(corrupt.status, 0, "{}", corrupt.stderr);
    let path = bench.path("state/dmremap/journal/journal.jsonl");
    let lines = std::fs::read_to_string(&path).unwrap();
    for attack in ATTACKS {
        let attack = String::from_utf8_lossy(attack).into_owned();
        let mut out = String::new();
        for line in lines.lines() {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            for part in ["begin", "end"] {
                for key in ["operation", "title", "command", "name", "device", "summary"] {
                    if let Some(text) = line[part].get_mut(key) {
                        *text = attack.clone().into();
                    }
                }
            }
            out += &format!("{line}\n");
        }
        std::fs::write(&path, out).unwrap();
        for words in [
            "log",
            "log --json",
            "undo",
            "undo 2",
            "undo 2 --json",
            "undo --dry-run",
        ] {
            bench.checked(&line(words, OsStr::new("")));
        }
    }
    let newer = "{\"version\":9,\"id\":1}\n{\"version\":2,\"begin\":{\"title\":\"\\u001b[2J\"}}\n";
    std::fs::write(&path, format!("{lines}{newer}\x1b[2J\n[")).unwrap();
    let told = bench.checked(&["log"]);
    assert!(
        told.contains("2 lines written by a newer version are not shown"),
        "{told}"
    );
    assert!(
        told.contains("2 lines of the journal cannot be read"),
        "{told}"
    );
    let log = bench.run("log --json").json("log");
    assert_eq!(
        (&log["newer_lines"], &log["damaged_lines"]),
        (&2.into(), &2.into())
    );
    assert_eq!(log["actions"].as_array().unwrap().len(), 2);
    // Which action was the last one is not known here; one that is named is.
    let undo = bench.run("undo --confirm vault");
    assert_eq!(undo.status, 5, "{}", undo.stderr);
    assert_eq!(bench.run("undo 2 --confirm vault").status, 0);
}

#[test]
fn what_stands_on_disks_and_in_files_comes_out_escaped() {
    let bench = Bench::new();
    bench.in_lab("list");
    for attack in ATTACKS {
        let mut field = [0; 128];
        field[..attack.len()].copy_from_slice(attack);
        let mut uuid = [b' '; 37];
        uuid[..36].copy_from_slice(b"00000000-0000-0000-0000-000000000000");
        let superblock = Superblock {
            sequence: Sequence::new(u64::MAX),
            timestamp: Timestamp::new(u64::MAX),
            main_uuid: Text::from_field(uuid),
            spare_uuid: Text::from_field(uuid),
            main_sectors: Sectors::new(1 << 16),
            spare_sectors: Sectors::new(1 << 14),
            sector_size: BlockSize::B512,
            entry_size: 512,
            capacity: 2048,
            main_path: Text::from_field(field),
            spare_path: Text::from_field(field),
            extension: None,
        };
        let image = bench.image("hostile.img", 1 << 14);
        for (slot, sector) in Slot::ALL.into_iter().zip(SECTORS) {
            put(&image, sector, &superblock.encode(slot));
        }
        std::fs::copy(&image, bench.path("lab/disks/hostile.img")).unwrap();
        let shown = as_json(attack);
        for words in [
            "inspect hostile.img",
            "inspect hostile.img --verbose",
            "scan --scan-only --device hostile.img --verbose",
            "migrate hostile.img --dry-run",
            "reassemble hostile.img",
            "repair hostile.img --dry-run",
            "--lab lab list",
            "--lab lab scan --scan-only --verbose",
            "--lab lab reassemble hostile",
            "--lab lab migrate hostile --confirm hostile --dry-run",
            "udev-probe hostile.img",
        ] {
            bench.checked(&line(words, OsStr::new("")));
            let told = bench.checked(&line(&format!("{words} --json"), OsStr::new("")));
            // A path that is no text makes no copy.
            if words == "inspect hostile.img" && !told.contains("is not text") {
                assert!(told.contains(shown.trim_matches('"')), "{told}");
            }
        }
        std::fs::remove_file(bench.path("lab/disks/hostile.img")).unwrap();

        // Settings, the list, and a lab's own files.
        let text = String::from_utf8_lossy(attack).into_owned();
        let value = serde_json::Value::from(text.as_str()).to_string();
        for settings in [
            format!("{value} = 1\n"),
            format!("lab = {value}\n"),
            format!("sort = {value}\n"),
            format!("theme = {value}\n"),
            format!("keys = {{ {value} = \"x\" }}\n"),
            format!("keys = {{ scrub = {value} }}\n"),
            format!("themes = {{ {value} = {{ accent = {value} }} }}\n"),
            format!("themes = {{ x = {{ {value} = \"red\", base = {value} }} }}\n"),
            text.clone(),
        ] {
            std::fs::write(bench.path("c.toml"), settings).unwrap();
            for words in ["--config c.toml config", "--config c.toml list --json"] {
                bench.checked(&line(words, OsStr::new("")));
            }
        }
        for policy in [
            format!("{value} = 1\n"),
            format!("[[assembly.allow]]\nname = {value}\n"),
            format!("[[assembly.allow]]\nuuid = {value}\n"),
            format!("[assembly]\npolicy = {value}\n"),
            text.clone(),
        ] {
            std::fs::write(bench.path("p.toml"), policy).unwrap();
            for words in ["--policy p.toml allow", "--policy p.toml allow --json"] {
                bench.checked(&line(words, OsStr::new("")));
            }
        }
        for (name, bytes) in [
            ("lab.json", format!("{{{value}:1}}")),
            ("lab.json", format!("{{\"schema\":{value},\"disks\":[],\"mapped\":[]}}")),
            ("state/attic.json", format!("{{{value}:1}}")),
            (
                "events.jsonl",
                format!("{{\"id\":1,\"time_unix_seconds\":18446744073709551615,\"device\":{value},\"event\":\"deactivated\"}}\n"),
            ),
            ("events.jsonl", format!("{{\"id\":1,\"event\":{value}}}\n")),
        ] {
            let path = bench.path("lab").join(name);
            let was = std::fs::read(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
            for words in ["list", "status", "log", "log --json"] {
                bench.checked(&line(&format!("--lab lab {words}"), OsStr::new("")));
            }
            std::fs::write(&path, was).unwrap();
        }
    }
}

#[test]
fn the_name_of_a_process_that_holds_a_disk_is_escaped() {
    let bench = Bench::new();
    let spare = bench.vault();
    // At most fifteen bytes, and the whole process's.
    let comm = Path::new("/proc/self/comm");
    let was = std::fs::read(comm).unwrap();
    let held = std::fs::File::open(&spare).unwrap();
    held.lock().unwrap();
    for name in [&b"\x1b[2J\x07\\x1b"[..], b"a\xe2\x80\xaeb\xff"] {
        std::fs::write(comm, name).unwrap();
        let told = bench.checked(&["corrupt", "spare.img", "--copy", "1", "--confirm", "vault"]);
        assert!(told.contains(escape(name).as_ref()), "{told}");
    }
    std::fs::write(comm, was).unwrap();
}

#[test]
fn counters_and_numbers_at_their_end_neither_wrap_nor_stop_anything() {
    let bench = Bench::new();
    assert_eq!(bench.in_lab("scrub attic").status, 0);
    let state = bench.path("lab/state/attic.json");
    let mut record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
    let status = record["status"].as_str().unwrap().to_owned();
    let mut words: Vec<&str> = status.split(' ').collect();
    let most = u64::MAX.to_string();
    for word in &mut words[8..14] {
        *word = &most;
    }
    record["status"] = words.join(" ").into();
    for key in ["last_scrub_unix_seconds", "last_repair_unix_seconds"] {
        record[key] = u64::MAX.into();
    }
    std::fs::write(&state, record.to_string()).unwrap();
    for words in ["corrupt attic --copy 1 --confirm attic", "scrub attic"] {
        let ran = bench.in_lab(words);
        assert_eq!(ran.status, 0, "{words}: {}", ran.stderr);
    }
    let told = bench.in_lab("status attic --json").json("status");
    for key in [
        "write_errors",
        "scrubs",
        "corruption_detected",
        "repairs_completed",
    ] {
        assert_eq!(told[key], u64::MAX, "{key}");
    }
    // Due times, and the count of actions.
    for key in ["next_scrub_at_millis", "tried_sequence"] {
        let mut record: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
        record[key] = u64::MAX.into();
        std::fs::write(&state, record.to_string()).unwrap();
        for words in ["status", "status attic --json", "list", "log"] {
            bench.checked(&line(&format!("--lab lab {words}"), OsStr::new("")));
        }
    }
    std::fs::write(bench.path("lab/lock"), format!("{} clean\n", u64::MAX)).unwrap();
    assert_eq!(bench.in_lab("scrub attic").status, 0);
    assert_eq!(bench.in_lab("list").status, 0);
    // No event can follow one of the highest number.
    let events = bench.path("lab/events.jsonl");
    let last = format!(
        "{{\"id\":{},\"time_unix_seconds\":1,\"device\":\"attic\",\"event\":\"deactivated\"}}\n",
        u64::MAX
    );
    std::fs::write(&events, &last).unwrap();
    let ran = bench.in_lab("scrub attic");
    assert_eq!(ran.status, 5, "{}", ran.stdout);
    assert!(ran.stderr.contains("events.jsonl"), "{}", ran.stderr);
    assert_eq!(std::fs::read_to_string(&events).unwrap(), last);
}

#[test]
fn no_write_follows_the_highest_sequence() {
    let bench = Bench::new();
    bench.vault();
    let image = std::fs::read(bench.path("spare.img")).unwrap();
    for (slot, sector) in Slot::ALL.into_iter().zip(SECTORS) {
        let at = sector as usize * 512;
        let raw: [u8; 512] = image[at..at + 512].try_into().unwrap();
        let mut superblock = match dmremap::remap_core::superblock::read_copy(&raw, slot) {
            dmremap::remap_core::superblock::Content::Checksummed(superblock) => superblock,
            other => panic!("{other:?}"),
        };
        superblock.sequence = Sequence::new(u64::MAX);
        superblock.timestamp = Timestamp::new(u64::MAX);
        put(&bench.path("spare.img"), sector, &superblock.encode(slot));
    }
    put(&bench.path("spare.img"), SECTORS[2], &[0; 512]);
    let before = bench.bytes("spare.img");
    let seen = bench.run("inspect spare.img --json").json("inspect");
    assert_eq!(seen["working_sequence"], u64::MAX);
    for words in [
        "repair spare.img --confirm vault",
        "write-metadata --main main.img --spare spare.img --name vault --replace --confirm vault",
        "corrupt spare.img --copy 1 --kind ahead --confirm vault",
        "corrupt spare.img --copy 1 --kind rival --confirm vault",
        "corrupt spare.img --copy 1 --kind stale --confirm vault",
    ] {
        bench.checked(&line(words, OsStr::new("")));
        std::fs::write(bench.path("spare.img"), &before).unwrap();
    }
    // In a lab the target itself would have to write.
    bench.in_lab("list");
    for name in ["main.img", "spare.img"] {
        std::fs::copy(bench.path(name), bench.path("lab/disks").join(name)).unwrap();
    }
    for words in [
        "reassemble spare",
        "scrub vault",
        "repair vault",
        "write-metadata vault",
        "status",
    ] {
        bench.checked(&line(&format!("--lab lab {words}"), OsStr::new("")));
    }
    let seen = bench.in_lab("inspect spare --json").json("inspect");
    assert_eq!(
        seen["working_sequence"],
        u64::MAX,
        "nothing wrapped: {seen}"
    );
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let bench = Bench::new();
    bench.vault();
    bench.run("corrupt spare.img --copy 1 --confirm vault");
    bench.in_lab("list");
    bench.in_lab("corrupt attic --copy 1 --confirm attic");
    let fifo = |path: &PathBuf| {
        std::fs::remove_file(path).ok();
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    };
    let folder = |path: &PathBuf| {
        std::fs::remove_file(path).ok();
        std::fs::create_dir(path).unwrap();
    };
    type Make = fn(&PathBuf);
    let make: [(&str, Make); 2] = [("FIFO", fifo), ("directory", folder)];
    for (kind, make) in make {
        for (name, words) in [
            ("state/dmremap/journal/2.bin", "undo 2 --confirm vault"),
            (
                "state/dmremap/journal/2.after.bin",
                "undo 2 --confirm vault",
            ),
            (
                "state/dmremap/journal/lock",
                "corrupt spare.img --copy 2 --confirm vault",
            ),
            ("state/dmremap/journal/journal.jsonl", "log"),
            ("x.toml", "--config x.toml config"),
            ("x.toml", "--policy x.toml allow"),
            ("x.img", "inspect x.img"),
            (
                "x.img",
                "create x --main main.img --spare x.img --confirm x",
            ),
            (
                "x.txt",
                "--lab lab exercise attic --seed 1 --blocks 4 --steps 4 --verify x.txt",
            ),
            ("lab/dmremap.toml", "--lab lab allow"),
            ("lab/events.jsonl", "--lab lab log"),
            ("lab/lock", "--lab lab list"),
            ("lab/state/attic.json", "--lab lab status"),
            ("lab/journal/1.bin", "--lab lab undo 1 --confirm attic"),
            ("lab/disks/disk-d.img", "--lab lab scrub attic"),
            ("lab/lab.json", "--lab lab list"),
        ] {
            let path = bench.path(name);
            let was = std::fs::read(&path).ok();
            make(&path);
            let mut command = bench.command(&[]);
            command.args(words.split(' '));
            let mut child = command
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
            while child.try_wait().unwrap().is_none() {
                if std::time::Instant::now() > end {
                    child.kill().unwrap();
                    panic!("{kind} at {name}: {words} hangs");
                }
                std::thread::yield_now();
            }
            let output = child.wait_with_output().unwrap();
            let what = format!("{kind} at {name}: {words}");
            checked(&output, &what);
            assert_ne!(output.status.code(), Some(0), "{what}");
            std::fs::remove_file(&path)
                .or_else(|_| std::fs::remove_dir(&path))
                .unwrap();
            if let Some(was) = was {
                std::fs::write(&path, was).unwrap();
            }
        }
    }
}
