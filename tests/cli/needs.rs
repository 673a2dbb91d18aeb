//! What looking and changing need: no settings and no journal for the one, both for the other.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::{Bench, Ran};

/// Commands that only look, on a bench with `vault`, each with its status.
const LOOKS: [(&str, i32); 15] = [
    ("inspect spare.img", 0),
    ("inspect spare.img --json", 0),
    ("--lab lab list", 0),
    ("--lab lab list --json", 0),
    ("scan --scan-only --device spare.img", 0),
    ("status", 0),
    ("log", 0),
    ("log --json", 0),
    ("doctor", 0),
    ("doctor --json", 0),
    ("udev-probe spare.img", 0),
    ("completions bash", 0),
    ("man", 0),
    ("config --template", 0),
    ("--dry-run create x --main main.img --spare blank.img", 0),
];

impl Bench {
    fn run_in(&self, words: &str, environment: &[(&str, &OsStr)]) -> Ran {
        let words: Vec<&str> = words.split_whitespace().collect();
        let mut command = self.command(&words);
        command.env_clear().envs(environment.iter().copied());
        Ran::from(command.output().unwrap())
    }
}

#[test]
fn whoever_looks_needs_no_home_and_whoever_changes_is_told_before_it_begins() {
    let bench = Bench::new();
    bench.vault();
    bench.image("blank.img", 16_384);
    std::fs::write(bench.path("file"), "").unwrap();
    let file = bench.path("file");
    let before = (bench.bytes("spare.img"), bench.bytes("blank.img"));
    let homes: [&[(&str, &OsStr)]; 8] = [
        &[],
        &[("HOME", OsStr::new(""))],
        &[("HOME", OsStr::new("relative"))],
        &[("HOME", OsStr::new("/dev/null"))],
        &[("HOME", file.as_os_str())],
        &[("HOME", OsStr::from_bytes(b"\xff/x"))],
        &[
            ("XDG_STATE_HOME", OsStr::new("state")),
            ("XDG_CONFIG_HOME", OsStr::new("")),
        ],
        &[
            ("XDG_STATE_HOME", file.as_os_str()),
            ("XDG_CONFIG_HOME", OsStr::new("/dev/null")),
            ("XDG_DATA_HOME", OsStr::new("/dev/null")),
        ],
    ];
    for home in homes {
        for (words, status) in LOOKS {
            let ran = bench.run_in(words, home);
            assert_eq!(ran.status, status, "{home:?} {words}: {}", ran.stderr);
            assert!(ran.stderr.is_empty(), "{home:?} {words}: {}", ran.stderr);
        }
        let config = bench.run_in("config --json", home).json("config");
        assert_eq!(config["settings"], serde_json::Value::Null, "{home:?}");
        let log = bench.run_in("log --json", home).json("log");
        assert_eq!(log["actions"].as_array().map(Vec::len), Some(0));
        let doctor = bench.run_in("doctor", home).stdout;
        assert!(doctor.contains("changes cannot be logged"), "{doctor}");
        assert!(!doctor.contains("will be made in"), "{doctor}");
        for words in [
            "create x --main main.img --spare blank.img --confirm x",
            "corrupt spare.img --copy 1 --confirm vault",
            "repair spare.img --confirm vault",
        ] {
            let ran = bench.run_in(&format!("{words} --json"), home);
            assert_eq!(ran.status, 5, "{home:?} {words}: {}", ran.stderr);
            assert_eq!(ran.error()["code"], "no-journal", "{home:?} {words}");
        }
    }
    let after = (bench.bytes("spare.img"), bench.bytes("blank.img"));
    assert!(before == after, "something was written");
    for made in ["relative", "state/dmremap/lab", "state/log"] {
        assert!(!bench.path(made).exists(), "{made} was made by looking");
    }
}

#[test]
fn settings_that_cannot_be_used_keep_nobody_from_looking_and_everybody_from_changing() {
    let bench = Bench::new();
    bench.vault();
    bench.image("blank.img", 16_384);
    let file = bench.path("home/.config/dmremap/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let fifo = |path: &std::path::Path| {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    };
    type Make<'a> = &'a dyn Fn(&std::path::Path);
    let flaws: [(Make<'_>, &str); 5] = [
        (
            &|path| std::fs::write(path, "them = 1\n").unwrap(),
            "line 1",
        ),
        (&|path| std::fs::write(path, b"\xff\xfe").unwrap(), "UTF-8"),
        (&|path| std::fs::create_dir(path).unwrap(), "a directory"),
        (&fifo, "a FIFO"),
        (
            &|path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
            "a character device",
        ),
    ];
    for (make, why) in flaws {
        make(&file);
        for (words, status) in LOOKS {
            let ran = bench.run(words);
            assert_eq!(ran.status, status, "{why} {words}: {}", ran.stderr);
            let reads_none = [
                "udev-probe",
                "completions",
                "man",
                "doctor",
                "config --template",
            ];
            let is_warned = !reads_none.iter().any(|it| words.starts_with(it));
            let is_said = ran.stderr.contains("config.toml") && ran.stderr.contains(why);
            assert_eq!(is_said, is_warned, "{why} {words}: {}", ran.stderr);
            if words.ends_with("--json") {
                let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
                assert!(json["schema"].is_string(), "{why} {words}");
            }
        }
        let doctor = bench.run("doctor").stdout;
        assert!(
            doctor.contains("config.toml") && doctor.contains(why),
            "{doctor}"
        );
        let ran = bench.run("config");
        assert_eq!(ran.status, 2, "{why}");
        assert!(ran.stdout.contains("theme") && ran.stderr.contains(why));
        let line = "create x --main main.img --spare blank.img --confirm x --json";
        let (changed, ran) = bench.is_changed_by("blank.img", line);
        assert_eq!((changed, ran.status), (false, 2), "{why}: {}", ran.stderr);
        assert_eq!(ran.error()["code"], "settings");
        let again = bench.run("--config /dev/null config");
        assert_eq!(
            again.status, 0,
            "the null device is no settings: {}",
            again.stderr
        );
        match file.is_dir() {
            true => std::fs::remove_dir(&file).unwrap(),
            false => std::fs::remove_file(&file).unwrap(),
        }
    }
}

#[test]
fn a_journal_that_is_no_file_is_said_and_not_waited_for() {
    let bench = Bench::new();
    bench.vault();
    let journal = bench.path("state/dmremap/journal");
    for name in ["lock", "journal.jsonl"] {
        let path = journal.join(name);
        let kept = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let line = "corrupt spare.img --copy 1 --confirm vault --json";
        let (changed, ran) = bench.is_changed_by("spare.img", line);
        assert_eq!((changed, ran.status), (false, 5), "{name}: {}", ran.stderr);
        let said = ran.error()["message"].as_str().unwrap().to_owned();
        assert!(said.contains(name) && said.contains("a FIFO"), "{said}");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, kept).unwrap();
    }
    let backup = journal.join("1.bin");
    std::fs::remove_file(&backup).unwrap();
    nix::unistd::mkfifo(&backup, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (changed, ran) = bench.is_changed_by("spare.img", "undo 1 --confirm vault");
    assert!(!changed && ran.status != 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("a FIFO"), "{}", ran.stderr);
}
