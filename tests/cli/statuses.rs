//! Exit statuses, refusals, and that a refusal writes nothing.

use std::io::Write as _;
use std::process::Stdio;

use crate::images::put;
use crate::{Bench, Ran};

/// Damages a healthy spare and gives its verdict and the status of `inspect`.
#[test]
fn inspect_exits_by_the_verdict() {
    type Damage = fn(&Bench);
    let table: [(&str, Damage, &str, i32); 12] = [
        ("nothing", |_| {}, "healthy", 0),
        ("two zeroed", |b| corrupt(b, "1,4", "zero"), "degraded", 3),
        ("copy 0 lost", |b| corrupt(b, "0", "random"), "degraded", 3),
        (
            "two stale",
            |b| {
                let written = b.run(
                    "write-metadata --main main.img --spare spare.img --name vault --confirm vault",
                );
                assert_eq!(written.status, 0, "{}", written.stderr);
                corrupt(b, "0,1", "stale");
            },
            "interrupted",
            3,
        ),
        ("four torn", |b| corrupt(b, "0,1,2,3", "torn"), "weak", 3),
        ("one ahead", |b| corrupt(b, "2", "ahead"), "outlier", 4),
        (
            "one says something else",
            |b| corrupt(b, "3", "rival"),
            "split",
            4,
        ),
        (
            "mkfs over copy 0",
            |b| corrupt(b, "0", "foreign"),
            "foreign-overwritten",
            4,
        ),
        (
            "all five",
            |b| corrupt(b, "0,1,2,3,4", "bit-flip"),
            "lost",
            4,
        ),
        (
            "wiped",
            |b| {
                let length = b.bytes("spare.img").len();
                put(&b.path("spare.img"), 0, &vec![0; length]);
            },
            "none",
            4,
        ),
        (
            "the older module's layout",
            |b| b.other_layout("spare.img"),
            "unsupported",
            4,
        ),
        (
            "plain v4",
            |b| b.plain("spare.img", "sda-sdb"),
            "healthy",
            0,
        ),
    ];
    for (what, damage, verdict, status) in table {
        let bench = Bench::new();
        bench.vault();
        damage(&bench);
        let ran = bench.run("inspect spare.img --json");
        assert_eq!(ran.json("inspect")["verdict"], verdict, "{what}");
        assert_eq!(ran.status, status, "{what}");
        assert_eq!(
            bench.run("inspect spare.img").status,
            status,
            "{what}, as text"
        );
        let scanned = bench.run("scan --scan-only --device spare.img --json");
        assert_eq!(scanned.status, status, "{what}, scanned");
        assert_eq!(
            scanned.json("scan")["devices"][0]["verdict"],
            verdict,
            "{what}"
        );
    }
}

fn corrupt(bench: &Bench, copies: &str, kind: &str) {
    let ran = bench.run(&format!(
        "corrupt spare.img --copy {copies} --kind {kind} --seed 7 --confirm vault"
    ));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
}

/// Each of these is refused, says so on stderr alone, and leaves the spare as it was.
#[test]
fn every_refusal_writes_nothing() {
    let table: [(&str, i32); 21] = [
        ("corrupt spare.img --copy 1 --kind zero", 5),
        ("corrupt spare.img --copy 1 --kind zero --confirm Vault", 5),
        (
            "corrupt spare.img --copy 1 --kind zero --confirm spare.img",
            5,
        ),
        (
            "corrupt spare.img --copy 1 --kind zero --confirm vault --read-only",
            5,
        ),
        ("corrupt spare.img --copy 5 --kind zero --confirm vault", 2),
        (
            "corrupt spare.img --copy 1 --kind nonsense --confirm vault",
            2,
        ),
        ("corrupt spare.img --kind zero --confirm vault", 2),
        ("corrupt missing.img --copy 1 --confirm missing.img", 1),
        (
            "create other --main main.img --spare spare.img --confirm other",
            5,
        ),
        (
            "create other --main main.img --spare spare.img --replace --confirm other",
            5,
        ),
        (
            "create other --main main.img --spare small.img --confirm other",
            5,
        ),
        (
            "create other --main main.img --spare main.img --confirm other",
            5,
        ),
        (
            "create a/b --main main.img --spare blank.img --confirm a/b",
            5,
        ),
        ("create other --main main.img --spare blank.img", 5),
        (
            "create other --main main.img --spare blank.img --confirm vault",
            5,
        ),
        ("write-metadata vault", 1),
        ("write-metadata", 2),
        ("migrate spare.img --confirm vault", 5),
        ("undo 99", 1),
        ("remove vault", 1),
        ("reassemble spare.img", 5),
    ];
    let bench = Bench::new();
    bench.vault();
    bench.image("small.img", 8_000);
    bench.image("blank.img", 16_384);
    for (words, status) in table {
        let blank = bench.bytes("blank.img");
        let (changed, ran) = bench.is_changed_by("spare.img", words);
        assert_eq!(ran.status, status, "{words}: {}", ran.stderr);
        assert!(
            !changed && bench.bytes("blank.img") == blank,
            "{words} wrote"
        );
        assert!(ran.stdout.is_empty(), "{words}: {}", ran.stdout);
        assert!(!ran.stderr.is_empty(), "{words}");
        let (changed, ran) = bench.is_changed_by("spare.img", &format!("{words} --json"));
        assert_eq!(ran.error()["exit_status"], status, "{words}");
        assert!(!changed && ran.stdout.is_empty(), "{words} --json");
    }
}

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let bench = Bench::new();
    bench.vault();
    bench.image("blank.img", 16_384);
    bench.plain("plain.img", "sda-sdb");
    corrupt(&bench, "3", "zero");
    let commands = [
        (
            "corrupt",
            "spare.img",
            "corrupt spare.img --copy 1 --kind zero",
        ),
        ("repair", "spare.img", "repair spare.img"),
        (
            "create",
            "blank.img",
            "create new --main main.img --spare blank.img",
        ),
        ("migrate", "plain.img", "migrate plain.img"),
        ("undo", "spare.img", "undo"),
    ];
    for (command, image, words) in commands {
        let (changed, ran) = bench.is_changed_by(image, &format!("{words} --dry-run --json"));
        assert_eq!(ran.status, 0, "{words}: {}", ran.stderr);
        let plan = &ran.json(command)["plan"];
        assert!(
            !changed
                && plan["writes"]
                    .as_array()
                    .is_some_and(|writes| !writes.is_empty())
        );
        assert_eq!(ran.json(command)["dry_run"], true);
        assert!(
            plan["command"]
                .as_str()
                .unwrap()
                .starts_with("dmremap-tui "),
            "{plan}"
        );
    }
}

#[test]
fn what_a_person_types_at_a_closed_stdin_is_no_confirmation() {
    let bench = Bench::new();
    bench.vault();
    let before = bench.bytes("spare.img");
    let mut command = bench.command(&["corrupt", "spare.img", "--copy", "1"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It need not read what nobody at a terminal typed, so the pipe may be closed.
    let _ = child.stdin.take().unwrap().write_all(b"vault\n");
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.status, 5);
    assert_eq!(bench.bytes("spare.img"), before);
}

#[test]
fn corrupting_repairing_and_undoing_come_back_to_the_same_bytes() {
    let bench = Bench::new();
    bench.vault();
    let healthy = bench.bytes("spare.img");
    for kind in [
        "bit-flip",
        "random",
        "zero",
        "torn",
        "checksum",
        "swapped",
        "truncated-text",
    ] {
        corrupt(&bench, "0,2", kind);
        let damaged = bench.bytes("spare.img");
        assert_ne!(damaged, healthy, "{kind}");
        let repaired = bench.run("repair spare.img --confirm vault");
        assert_eq!(
            (repaired.status, bench.bytes("spare.img") == healthy),
            (0, true),
            "{kind}"
        );
        assert_eq!(bench.run("undo --confirm vault").status, 0, "{kind}");
        assert_eq!(
            bench.bytes("spare.img"),
            damaged,
            "{kind}: the repair is taken back"
        );
        assert_eq!(
            bench.run("repair spare.img --confirm vault").status,
            0,
            "{kind}"
        );
    }
}

#[test]
fn help_and_version_are_no_errors_and_nonsense_is_a_usage_error() {
    let bench = Bench::new();
    for (words, status) in [
        ("--help", 0),
        ("--version", 0),
        ("inspect --help", 0),
        ("completions bash", 0),
        ("man", 0),
        ("man inspect", 0),
        ("man nonsense", 2),
        ("nonsense", 2),
        ("inspect", 2),
        ("inspect a b", 2),
        ("inspect --config missing.toml a", 2),
    ] {
        let ran = bench.run(words);
        assert_eq!(ran.status, status, "{words}: {}", ran.stderr);
        assert_eq!(ran.stdout.is_empty(), status != 0, "{words}");
    }
    let ran = bench.run("nonsense --json");
    assert_eq!(
        (ran.error()["code"].as_str(), ran.status),
        (Some("usage"), 2)
    );
}

#[test]
fn what_is_no_device_is_an_error_that_says_so() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("directory")).unwrap();
    bench.image("empty.img", 0);
    for (words, status) in [
        ("inspect missing.img", 1),
        ("inspect directory", 1),
        ("inspect empty.img", 4),
        ("inspect /dev/null", 1),
    ] {
        let ran = bench.run(words);
        assert_eq!(ran.status, status, "{words}: {} {}", ran.stdout, ran.stderr);
    }
}

#[test]
fn what_cannot_be_printed_is_a_failure_and_no_panic() {
    let bench = Bench::new();
    bench.vault();
    let lines = [
        "inspect spare.img",
        "inspect spare.img --json",
        "scan --scan-only --device spare.img",
        "--help",
        "inspect --help",
        "--version",
        "man",
        "completions bash",
    ];
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let mut command = bench.command(&words);
        let ran = Ran::from(command.stdout(full.unwrap()).output().unwrap());
        assert_eq!(ran.status, 1, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains("stdout: "), "{line}: {}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{line}: {}", ran.stderr);
    }
}

#[test]
fn a_name_that_the_kernel_keeps_for_itself_is_refused_before_anything_is_written() {
    let bench = Bench::new();
    bench.image("main.img", 65_536);
    bench.image("spare.img", 16_384);
    let line = "create control --main main.img --spare spare.img --confirm control --json";
    let (changed, ran) = bench.is_changed_by("spare.img", line);
    assert_eq!((changed, ran.status), (false, 5), "{}", ran.stderr);
    assert_eq!(ran.error()["code"], "invalid-name");
}

#[test]
fn a_variable_that_asks_for_no_json_makes_no_json_of_errors_either() {
    let bench = Bench::new();
    for (value, is_json) in [
        ("no", false),
        ("Off", false),
        ("0", false),
        ("", false),
        ("yes", true),
        ("1", true),
    ] {
        for line in ["inspect nowhere.img", "inspect --unknown"] {
            let words: Vec<&str> = line.split_whitespace().collect();
            let output = bench.command(&words).env("DMREMAP_JSON", value).output();
            let ran = Ran::from(output.unwrap());
            let told = ran.stderr.starts_with('{');
            assert_eq!(told, is_json, "{value:?} {line}: {}", ran.stderr);
        }
    }
}
