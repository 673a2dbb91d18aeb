//! What targets say of themselves.

use std::fmt::Write as _;

use serde_json::{json, Value};

use super::inspection::push_findings;
use super::seen::findings_json;
use super::style::Style;
use super::{path_text, size_text};
use crate::inspect::Finding;
use crate::port::{LoggedEvent, Mapped, RemapRow};
use crate::remap_core::status::{RepairStatus, Status};
use crate::table_line::TableLine;
use crate::text::escape_str;

/// A mapped device that is up, as a program reads it.
pub fn mapped_json(device: &Mapped, findings: &[Finding]) -> Value {
    let status = &device.status;
    json!({
        "name": escape_str(&device.name),
        "active": true,
        "main": path_text(&device.main),
        "spare": path_text(&device.spare),
        "size_sectors": device.size.get(),
        "block_size_bytes": device.block_size.bytes(),
        "mode": status.mode.word(),
        "verdict": status.verdict.name(),
        "copies": status.copies.iter().map(|(_, letter)| letter).collect::<String>(),
        "working_sequence": status.sequence.get(),
        "remaps_active": status.active.get(),
        "remaps_pending": status.pending.get(),
        "spare_used_blocks": status.used.get(),
        "spare_total_blocks": status.total.get(),
        "write_errors": status.write_errors,
        "read_errors": status.read_errors,
        "scrubs": status.scrubs,
        "corruption_detected": status.corruption_detected,
        "repairs_completed": status.repairs_completed,
        "repair_attempts": status.repair_attempts,
        "repair": repair_json(status),
        "last_scrub_seconds": status.last_scrub,
        "next_scrub_seconds": status.next_scrub,
        "last_repair_seconds": status.last_repair,
        "needs_check": status.needs_check,
        "main_suspect": status.main_suspect,
        "spare_failing": status.spare_failing,
        "table_line": table_line(device),
        "status_line": status.to_string(),
        "findings": findings_json(findings),
    })
}

fn repair_json(status: &Status) -> Value {
    match status.repair {
        RepairStatus::Idle => json!({ "phase": "idle" }),
        RepairStatus::GaveUp => json!({ "phase": "gave-up" }),
        RepairStatus::Waiting { attempt, in_millis } => {
            json!({ "phase": "waiting", "attempt": attempt, "due_milliseconds": in_millis })
        }
    }
}

/// The device's table line, as device-mapper prints it.
fn table_line(device: &Mapped) -> String {
    let (main, spare) = (path_text(&device.main), path_text(&device.spare));
    let line = TableLine {
        length: device.size,
        options: device.options,
    };
    line.text(&main, &spare)
}

/// One remap, as a program reads it.
pub(super) fn remap_json(row: &RemapRow) -> Value {
    json!({
        "block": row.block.get(),
        "replacement": row.replacement.get(),
        "state": if row.active { "active" } else { "pending" },
        "moves": row.moves,
    })
}

/// A mapped device that is up, for a person.
pub fn mapped_text(device: &Mapped, findings: &[Finding], style: Style) -> String {
    let status = &device.status;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let mut line = |what: &str, text: String| {
        let _ = writeln!(out, "  {what:<9} {text}");
    };
    let copies: String = status.copies.iter().map(|(_, letter)| letter).collect();
    let verdict = style.verdict(status.verdict, 0);
    line(
        "copies",
        format!("{copies}  {verdict}  sequence {}", status.sequence),
    );
    line("main", path_text(&device.main));
    line("spare", path_text(&device.spare));
    line(
        "remaps",
        format!(
            "{} active, {} pending; {} of {} replacement blocks used",
            status.active, status.pending, status.used, status.total
        ),
    );
    line(
        "errors",
        format!(
            "{} on write, {} on read",
            status.write_errors, status.read_errors
        ),
    );
    line(
        "scrub",
        format!(
            "{} done, {} found damage; last {}, next {}",
            status.scrubs,
            status.corruption_detected,
            status
                .last_scrub
                .map_or("never".to_owned(), |s| format!("{s} s ago")),
            status
                .next_scrub
                .map_or("never".to_owned(), |s| format!("in {s} s")),
        ),
    );
    let phase = match status.repair {
        RepairStatus::Idle => "nothing due".to_owned(),
        RepairStatus::GaveUp => "gave up until the next scrub".to_owned(),
        RepairStatus::Waiting { attempt, in_millis } => {
            format!("attempt {attempt} in {:.1} s", in_millis as f64 / 1000.0)
        }
    };
    line(
        "repair",
        format!(
            "{} of {} attempts completed; {phase}",
            status.repairs_completed, status.repair_attempts
        ),
    );
    let title = format!(
        "{}  {}  {}\n",
        style.strong(escape_str(&device.name)),
        size_text(device.size),
        status.mode.word()
    );
    push_findings(&mut out, findings, style);
    title + &out
}

/// A logged event, as a program reads it.
pub fn event_json(logged: &LoggedEvent) -> Value {
    json!({
        "id": logged.id,
        "time_seconds": logged.time.get(),
        "device": escape_str(&logged.device),
        "event": logged.event.name(),
        "severity": logged.event.severity().name(),
        "text": logged.event.to_string(),
    })
}
