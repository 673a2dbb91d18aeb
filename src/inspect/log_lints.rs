//! The lints on what is known of what targets did.

use super::Finding;
use crate::port::journal::UnreadLines;
use crate::port::TargetLog;

/// Place to look for what the log does not tell any more.
const ELSEWHERE: &str =
    "What a system's journal kept of it: journalctl _TRANSPORT=kernel --grep=dm_remap_v4";

/// Finding of lines that a journal does not show, if there is anything.
pub fn journal_finding(unread: UnreadLines) -> Option<Finding> {
    let lines = |count: u64| match count {
        1 => "1 line".to_owned(),
        count => format!("{count} lines"),
    };
    let advice = "The journal's file keeps them. See it with the version that wrote it.";
    let UnreadLines { newer, damaged } = unread;
    let summary = match (newer, damaged) {
        (0, 0) => return None,
        (newer, 0) => format!("{} written by a newer version are not shown.", lines(newer)),
        (0, damaged) => format!("{} of the journal cannot be read.", lines(damaged)),
        (newer, damaged) => format!(
            "{} written by a newer version are not shown, and {} of the journal cannot be read.",
            lines(newer),
            lines(damaged)
        ),
    };
    let advice = match newer {
        0 => "A crash cut them short, or somebody changed the file.",
        _ => advice,
    };
    Some(Finding::warning("journal-unread", summary, advice))
}

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
