//! The program under the names of the tools that scripts may know already.

use std::process::{Command, Stdio};

use crate::{Bench, Ran};

impl Bench {
    /// Runs a tool, which is a link to the program.
    fn tool(&self, line: &str) -> Ran {
        let mut words = line.split_whitespace();
        let link = self.path(words.next().unwrap());
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_dmremap-tui"), &link).unwrap();
        }
        let output = Command::new(link)
            .args(words)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .env_clear()
            .env("HOME", self.path("home"))
            .output();
        Ran::from(output.unwrap())
    }
}

#[test]
fn the_scan_takes_its_options_and_exits_by_what_it_met() {
    let bench = Bench::new();
    bench.vault();
    for (line, command) in [
        (
            "--scan-only --device spare.img",
            "scan --scan-only --device spare.img",
        ),
        (
            "--device spare.img --scan-only --verbose",
            "scan --device spare.img --scan-only --verbose",
        ),
        (
            "--scan-only --device main.img",
            "scan --scan-only --device main.img",
        ),
        (
            "--scan-only --device missing.img",
            "scan --scan-only --device missing.img",
        ),
        (
            "--scan-only --device spare.img --json",
            "scan --scan-only --device spare.img --json",
        ),
    ] {
        let tool = bench.tool(&format!("dm-remap-scan {line}"));
        let own = bench.run(command);
        assert_eq!(
            (tool.status, tool.stdout, tool.stderr),
            (own.status, own.stdout, own.stderr),
            "{line}"
        );
    }
    let healthy = bench.tool("dm-remap-scan --scan-only --device spare.img");
    assert_eq!(healthy.status, 0);
    assert!(healthy.stdout.contains("vault"), "{}", healthy.stdout);
    let nothing = bench.tool("dm-remap-scan --scan-only --device main.img");
    assert_eq!(nothing.status, 4);
    let wrong = bench.tool("dm-remap-scan --scan-onl");
    assert_eq!(wrong.status, 2);
    assert!(
        wrong.stderr.contains("Usage: dm-remap-scan"),
        "{}",
        wrong.stderr
    );
    let help = bench.tool("dm-remap-scan --help");
    assert_eq!(help.status, 0);
    for option in ["--scan-only", "--verbose", "--device", "--help"] {
        assert!(help.stdout.contains(option), "{}", help.stdout);
    }
}

#[test]
fn metadata_is_written_by_the_name_of_a_device_that_is_up() {
    let bench = Bench::new();
    let before = bench.in_lab("inspect attic --json").json("inspect");
    let written = bench.tool("dm-remap-write-metadata attic --lab lab");
    assert_eq!(written.status, 0, "{}", written.stderr);
    let after = bench.run("--lab lab inspect attic --json").json("inspect");
    let sequence = |seen: &serde_json::Value| seen["working_sequence"].as_u64().unwrap();
    assert_eq!(sequence(&after), sequence(&before) + 1);
    assert_eq!(after["verdict"], "healthy");
    for (line, status) in [
        ("dm-remap-write-metadata nobody --lab lab", 1),
        ("dm-remap-write-metadata", 2),
        ("dm-remap-write-metadata attic vault --lab lab", 2),
    ] {
        assert_eq!(bench.tool(line).status, status, "{line}");
    }
}

#[test]
fn the_tools_have_pages_and_completions_of_their_own() {
    let bench = Bench::new();
    for name in ["dm-remap-scan", "dm-remap-write-metadata"] {
        let page = bench.run(&format!("man {name}"));
        assert_eq!(page.status, 0);
        assert!(
            page.stdout.contains(&format!(".TH {name} 1")),
            "{}",
            page.stdout
        );
        let script = bench.run(&format!("completions bash --of {name}"));
        assert_eq!(script.status, 0);
        let registered = script.stdout.lines().filter(|line| {
            line.trim_start().starts_with("complete ") && line.ends_with(&format!(" {name}"))
        });
        assert!(registered.count() > 0, "{}", script.stdout);
    }
    assert_eq!(bench.run("completions bash --of other").status, 2);
}
