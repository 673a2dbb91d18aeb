//! What was not seen and what was not done: told, and counted in the status.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Bench, Ran};

/// Somebody who owns nothing.
const NOBODY: u32 = 65_534;

impl Bench {
    /// Runs a command line as a user who may read nothing that is not everybody's.
    fn run_as_nobody(&self, words: &str) -> Ran {
        let program = self.path("program");
        if !program.exists() {
            // By another process: while this one has it open for writing, a child that another
            // test starts could keep it busy.
            let built = Path::new(env!("CARGO_BIN_EXE_dmremap-tui"));
            let copied = Command::new("cp").arg(built).arg(&program).status();
            assert!(copied.unwrap().success());
            let everybody = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(self.path("."), everybody).unwrap();
        }
        let mut command = Command::new(&program);
        command
            .args(words.split_whitespace())
            .current_dir(self.path("."))
            .stdin(Stdio::null())
            .env_clear();
        if nix::unistd::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        Ran::from(command.output().unwrap())
    }

    fn close(&self, name: &str) {
        let nobody = std::fs::Permissions::from_mode(0o000);
        std::fs::set_permissions(self.path(name), nobody).unwrap();
    }
}

#[test]
fn an_image_that_may_not_be_read_is_a_row_and_the_status_whatever_is_shown() {
    let bench = Bench::new();
    bench.vault();
    std::fs::create_dir(bench.path("d")).unwrap();
    std::fs::copy(bench.path("spare.img"), bench.path("d/ours.img")).unwrap();
    std::fs::copy(bench.path("spare.img"), bench.path("d/closed.img")).unwrap();
    bench.image("d/blank.img", 16_384);
    bench.close("d/closed.img");
    for options in ["", "--verbose"] {
        let ran = bench.run_as_nobody(&format!("scan --scan-only {options} --device d"));
        assert_eq!(ran.status, 1, "{options}: {}", ran.stderr);
        assert!(ran.stdout.contains("closed.img"), "{}", ran.stdout);
        assert!(ran.stdout.contains("healthy"), "{}", ran.stdout);
        let json = bench.run_as_nobody(&format!("scan --scan-only {options} --device d --json"));
        assert_eq!(json.status, 1, "{options}");
        let json = json.json("scan");
        let devices = json["devices"].as_array().unwrap();
        let closed = devices.iter().find(|it| it["device"] == "d/closed.img");
        let said = closed.unwrap()["error"].as_str().unwrap();
        assert!(said.contains("permission denied"), "{said}");
    }
    bench.close("d");
    let ran = bench.run_as_nobody("scan --scan-only --device d");
    assert_eq!(ran.status, 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("d: "), "{}", ran.stdout);
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bench.path("d"), open).unwrap();
}

#[test]
fn the_worst_is_told_by_what_it_means() {
    let bench = Bench::new();
    assert_eq!(bench.in_lab("remove attic").status, 0);
    std::fs::write(bench.path("blank.img"), [0; 65_536]).unwrap();
    let disk = |name: &str| format!("--device lab/disks/{name}.img");
    let (healthy, degraded) = (disk("disk-d"), disk("disk-b"));
    for (devices, status) in [
        (healthy.clone(), 0),
        (format!("{healthy} {degraded}"), 3),
        (format!("{degraded} --device blank.img {healthy}"), 4),
        (format!("--device nope {degraded} --device blank.img"), 1),
        (format!("{degraded} --device nope"), 1),
    ] {
        let ran = bench.run(&format!("--lab lab scan --scan-only {devices}"));
        assert_eq!(
            ran.status, status,
            "{devices}: {}{}",
            ran.stdout, ran.stderr
        );
    }
    for (targets, status) in [("attic nope vault", 1), ("vault", 0)] {
        let ran = bench.run(&format!("--lab lab reassemble {targets}"));
        assert_eq!(
            ran.status, status,
            "{targets}: {}{}",
            ran.stdout, ran.stderr
        );
    }
}

#[test]
fn what_a_scan_refused_is_in_its_status() {
    let bench = Bench::new();
    assert_eq!(bench.in_lab("remove attic").status, 0);
    let disks = bench.path("lab/disks");
    std::fs::copy(disks.join("disk-d.img"), disks.join("clone.img")).unwrap();
    for name in ["disk-b.img", "usb-e.img"] {
        std::fs::remove_file(disks.join(name)).unwrap();
    }
    for json in ["", "--json"] {
        let ran = bench.run(&format!("--lab lab scan {json}"));
        assert_eq!(ran.status, 4, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("refused"), "{}", ran.stdout);
        assert_eq!(bench.run("--lab lab scan --scan-only").status, 0);
    }
    // An image takes a lab, or a block device made of it.
    bench.vault();
    let ran = bench.run("scan --device spare.img");
    assert_eq!(ran.status, 5, "{}{}", ran.stdout, ran.stderr);
}

/// Runs a command line where nothing is mounted on `place`.
fn without(bench: &Bench, place: &str, words: &str) -> Ran {
    let program = env!("CARGO_BIN_EXE_dmremap-tui");
    let script = format!("mount -t tmpfs none {place} && exec '{program}' {words}");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script]);
    command
        .current_dir(bench.path("."))
        .env("XDG_STATE_HOME", bench.path("state"));
    Ran::from(command.output().unwrap())
}

#[test]
fn what_is_not_mounted_is_named() {
    let unshare = Command::new("unshare").args(["-m", "true"]).status();
    let can = nix::unistd::geteuid().is_root() && unshare.is_ok_and(|it| it.success());
    assert!(
        can || std::env::var_os("CI").is_none(),
        "no mount namespaces"
    );
    if !can {
        eprintln!("left out: this takes root and mount namespaces");
        return;
    }
    let bench = Bench::new();
    bench.vault();
    for words in ["list", "status", "scan --scan-only", "list --json"] {
        let ran = without(&bench, "/sys", words);
        assert_eq!(ran.status, 1, "{words}: {}", ran.stdout);
        assert!(ran.stderr.contains("/sys"), "{words}: {}", ran.stderr);
    }
    let table = "/proc/self/mountinfo";
    for (place, named) in [("/sys", "sysfs"), ("/proc", table)] {
        let ran = without(&bench, place, "doctor");
        let lines = ran.stdout.lines();
        let said: Vec<&str> = lines.filter(|line| line.contains(named)).collect();
        assert!(!said.is_empty(), "{place}: {}", ran.stdout);
    }
    let ran = without(&bench, "/proc", "list");
    let has_devices = ran.stdout.lines().count() > 1;
    assert_eq!(ran.status, i32::from(has_devices), "{}", ran.stdout);
    assert_eq!(ran.stdout.contains(table), has_devices, "{}", ran.stdout);
    let before = bench.bytes("spare.img");
    let words = "corrupt spare.img --copy 1 --confirm vault";
    let ran = without(&bench, "/proc", words);
    assert_eq!(ran.status, 1, "{}", ran.stdout);
    assert!(ran.stderr.contains(table), "{}", ran.stderr);
    assert_eq!(bench.bytes("spare.img"), before);
    let looked = without(&bench, "/proc", "inspect spare.img");
    assert_eq!(looked.status, 0, "{}", looked.stderr);
}
