//! The lints on what is known of what targets did.

use super::Finding;
use crate::port::TargetLog;

/// Where to look for what the log does not tell any more.
const ELSEWHERE: &str =
    "What a system's journal kept of it: journalctl _TRANSPORT=kernel --grep=dm_remap_v4";

/// Everything worth saying of how much a log can tell.
pub fn log_findings(log: &TargetLog) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(why) = &log.unread {
        found.push(Finding::warning(
            "kernel-log-unread",
            format!("What targets did is not known: {why}."),
            format!("Run it as root. {ELSEWHERE}"),
        ));
    }
    if log.overwritten {
        found.push(Finding::info(
            "kernel-log-overwritten",
            "The kernel's log does not go back to the start of the machine.",
            ELSEWHERE,
        ));
    }
    found
}
