//! What is told of a change where its report can go nowhere.

use std::os::fd::OwnedFd;
use std::process::Stdio;

use crate::{Bench, Ran};

/// A pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    OwnedFd::from(writer).into()
}

fn full() -> Stdio {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    full.unwrap().into()
}

/// Changes, each with the status that tells of it.
const CHANGES: [(&str, i32); 13] = [
    ("create v --main main.img --spare spare.img --confirm v", 0),
    ("corrupt spare.img --copy 1 --confirm v", 0),
    ("repair spare.img --confirm v", 0),
    ("undo --confirm v", 0),
    (
        "write-metadata v --main main.img --spare spare.img --confirm v",
        0,
    ),
    ("--lab lab reassemble attic", 0),
    ("--lab lab scrub attic --no-wait", 0),
    ("--lab lab fault attic main --on read --from 1", 0),
    ("--lab lab remove attic", 0),
    ("--lab lab scan", 5),
    ("--lab lab allow attic", 0),
    ("--lab lab allow --remove attic", 0),
    ("--lab fresh lab", 0),
];

#[test]
fn a_change_that_cannot_be_told_has_the_status_of_the_change() {
    for place in ["full", "unread"] {
        for json in ["", "--json"] {
            let bench = Bench::new();
            bench.image("main.img", 65_536);
            bench.image("spare.img", 16_384);
            std::fs::write(bench.path("policy.toml"), "").unwrap();
            let made = bench.in_lab("remove attic");
            assert_eq!(made.status, 0, "{}", made.stderr);
            for (line, status) in CHANGES {
                let line = format!("--policy policy.toml {line} {json}");
                let words: Vec<&str> = line.split_whitespace().collect();
                let mut command = bench.command(&words);
                let stdout = match place {
                    "full" => full(),
                    _ => unread(),
                };
                let ran = Ran::from(command.stdout(stdout).output().unwrap());
                assert_eq!(ran.status, status, "{place} {line}: {}", ran.stderr);
                let told = ran.stderr.contains("the report could not be written");
                assert!(told, "{place} {line}: {:?}", ran.stderr);
                assert_eq!(ran.stderr.starts_with('{'), !json.is_empty(), "{line}");
            }
        }
    }
}

#[test]
fn a_report_alone_that_cannot_be_written_is_a_failure() {
    let bench = Bench::new();
    bench.vault();
    for line in [
        "inspect spare.img",
        "list --json",
        "status --json",
        "log",
        "doctor --json",
        "config",
        "--dry-run corrupt spare.img --copy 1",
        "repair spare.img --confirm vault",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ran = bench.command(&words).stdout(full()).output().unwrap();
        let ran = Ran::from(ran);
        assert_eq!(ran.status, 1, "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains("stdout: "), "{line}: {}", ran.stderr);
    }
}
