//! The journal, and what targets did.

use serde_json::{json, Value};

use super::inspection::push_findings;
use super::seen::findings_json;
use super::style::Style;
use super::time_text;
use crate::inspect::Finding;
use crate::port::journal::{ActionRecord, UnreadLines};
use crate::port::{LogEntry, TargetLog, Told};
use crate::remap_core::event::Severity;
use crate::remap_core::units::Timestamp;
use crate::text::{escape_str, guard};

/// Actions and events as a program reads them.
pub fn log_json(
    actions: &[ActionRecord],
    unread: UnreadLines,
    log: &TargetLog,
    findings: &[Finding],
) -> Value {
    json!({
        "actions": actions.iter().map(action_json).collect::<Vec<_>>(),
        "newer_lines": unread.newer,
        "damaged_lines": unread.damaged,
        "events": log.entries.iter().map(entry_json).collect::<Vec<_>>(),
        "findings": findings_json(findings),
    })
}

/// Actions and events by their time, oldest first.
pub fn log_text(
    actions: &[ActionRecord],
    log: &TargetLog,
    findings: &[Finding],
    style: Style,
) -> String {
    let of_actions = actions
        .iter()
        .map(|action| (action.time, action_line(action)));
    let of_targets = log
        .entries
        .iter()
        .map(|entry| (entry.time, entry_line(entry, style)));
    let mut lines: Vec<(Timestamp, String)> = of_actions.chain(of_targets).collect();
    // An action stands before what came of it within the same second.
    lines.sort_by_key(|(time, _)| *time);
    let mut text: String = lines.into_iter().map(|(_, line)| line).collect();
    push_findings(&mut text, findings, style);
    text
}

fn action_line(action: &ActionRecord) -> String {
    format!(
        "{:>4}  {}  {:<12}  {}\n",
        action.id.to_string(),
        time_text(action.time),
        action_state(action),
        guard(&action.begun.title)
    )
}

fn entry_line(entry: &LogEntry, style: Style) -> String {
    let device = entry
        .device
        .as_deref()
        .map_or_else(String::new, |device| format!("{}: ", escape_str(device)));
    format!(
        "   {}  {}  {:<12}  {device}{}\n",
        style.severity(severity(&entry.told)),
        time_text(entry.time),
        entry.teller.name(),
        text_of(&entry.told)
    )
}

fn entry_json(entry: &LogEntry) -> Value {
    json!({
        "id": entry.id,
        "time_seconds": entry.time.get(),
        "device": entry.device.as_deref().map(escape_str),
        "event": match &entry.told {
            Told::Event(event) => event.name(),
            Told::Words(..) => "words",
        },
        "severity": severity(&entry.told).name(),
        "text": text_of(&entry.told),
        "source": entry.teller.name(),
    })
}

fn severity(told: &Told) -> Severity {
    match told {
        Told::Event(event) => event.severity(),
        Told::Words(severity, _) => *severity,
    }
}

fn text_of(told: &Told) -> String {
    match told {
        Told::Event(event) => event.to_string(),
        Told::Words(_, words) => escape_str(words).into_owned(),
    }
}

fn action_state(action: &ActionRecord) -> &'static str {
    match (&action.ended, action.undone_by) {
        (_, Some(_)) => "undone",
        (None, None) => "interrupted",
        (Some(ended), None) if ended.done => "done",
        (Some(ended), None) if ended.rolled_back => "rolled back",
        (Some(_), None) => "failed",
    }
}

fn action_json(action: &ActionRecord) -> Value {
    let begun = &action.begun;
    json!({
        "id": action.id.get(),
        "time_seconds": action.time.get(),
        "operation": guard(&begun.operation),
        "title": guard(&begun.title),
        "command": guard(&begun.command),
        "name": begun.name.as_deref().map(escape_str),
        "device": begun.device.as_deref().map(guard),
        "state": action_state(action),
        "summary": action.ended.as_ref().map(|ended| guard(&ended.summary)),
        "undoable": action.has_backup && action.undone_by.is_none(),
        "undoes": begun.undoes.map(|id| id.get()),
        "undone_by": action.undone_by.map(|id| id.get()),
    })
}
