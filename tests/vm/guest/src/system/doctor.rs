//! What `doctor` says of a machine with all of it installed.

use serde_json::Value;

use crate::machine::{json, run, tried};

/// The checks, each of which must have been made.
fn checks() -> Vec<Value> {
    let output = tried("dmremap-tui doctor --json");
    assert_eq!(
        output.status.code(),
        Some(0),
        "to find something is no failure"
    );
    let report = json("doctor");
    report["checks"].as_array().expect("checks").clone()
}

/// What it says of one thing, which must be right.
fn good<'a>(checks: &'a [Value], id: &str) -> &'a str {
    let check = find(checks, id);
    assert_eq!(check["ok"], true, "{check:#}");
    check["summary"].as_str().expect("a summary")
}

fn find<'a>(checks: &'a [Value], id: &str) -> &'a Value {
    let check = checks.iter().find(|check| check["id"] == id);
    check.unwrap_or_else(|| panic!("no check {id}: {checks:#?}"))
}

/// What is right at both starts.
fn check_installed(checks: &[Value]) {
    assert!(good(checks, "root").contains("this is root"));
    assert!(good(checks, "device-mapper").contains("can be asked"));
    assert!(good(checks, "rule").ends_with("/usr/lib/udev/rules.d/63-z-dmremap.rules"));
    assert!(good(checks, "unit").ends_with("/usr/lib/systemd/system/dmremap-assemble@.service"));
    assert_eq!(good(checks, "udev"), "udev is running");
    let release = run("uname -r");
    assert_eq!(good(checks, "kernel"), format!("Linux {}", release.trim()));
    good(checks, "signatures");
}

/// Freshly installed: nothing is listed, and the module waits to be used.
pub fn of_a_new_machine() {
    let checks = checks();
    check_installed(&checks);
    assert!(good(&checks, "target").contains("is installed; the kernel loads it"));
    assert!(good(&checks, "policy").contains("no device is listed"));
    assert_eq!(good(&checks, "listed"), "no device is waited for");
    let bad: Vec<&Value> = checks.iter().filter(|check| check["ok"] == false).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

/// With devices up, and one of those listed that is not here, and only that is amiss.
pub fn of_a_machine_that_lacks_a_spare() {
    let checks = checks();
    check_installed(&checks);
    assert!(good(&checks, "target").contains("is loaded"));
    let list = json("allow");
    let listed = list["allowed"].as_array().expect("a list").len();
    assert_eq!(listed, 7);
    assert_eq!(
        good(&checks, "policy"),
        format!("{listed} devices may come up without a person")
    );
    let check = find(&checks, "listed");
    assert_eq!(check["ok"], false, "{check:#}");
    let summary = check["summary"].as_str().expect("a summary");
    assert!(summary.starts_with("listed, and not here: "), "{summary}");
    assert!(summary.contains("gone"), "{summary}");
    for here in ["vault", "worn", "frail", "later", "twin", "store"] {
        assert!(!summary.contains(here), "{summary}");
    }
    let advice = check["advice"].as_str().expect("advice");
    assert!(advice.contains("dmremap-tui allow --remove"), "{advice}");
    let bad = checks.iter().filter(|check| check["ok"] == false);
    assert_eq!(bad.count(), 1, "{checks:#?}");
}
