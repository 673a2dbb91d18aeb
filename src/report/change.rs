//! Plans and what came of them.

use std::fmt::Write as _;

use serde_json::{json, Value};

use super::path_text;
use super::style::Style;
use crate::ops::{Outcome, Plan};
use crate::remap_core::layout::Layout;
use crate::remap_core::quorum::Verdict;

/// A plan, as a program reads it.
pub fn plan_json(plan: &Plan) -> Value {
    let writes = plan.writes.iter().map(|write| {
        let bytes = write.bytes();
        json!({
            "device": path_text(&write.device),
            "sector": write.at.get(),
            "length_sectors": write.sectors.get(),
            "offset_bytes": bytes.start,
            "length_bytes": bytes.end.saturating_sub(bytes.start),
            "what": write.what,
        })
    });
    json!({
        "title": plan.title,
        "device": plan.device.as_deref().map(path_text),
        "name": plan.name,
        "token": plan.token,
        "live": plan.live,
        "needed": plan.is_needed(),
        "verdict_before": plan.before.map(Verdict::name),
        "verdict_predicted": plan.predicted.map(Verdict::name),
        "main": plan.joined.as_ref().map(|joined| path_text(&joined.main)),
        "spare": plan.joined.as_ref().map(|joined| path_text(&joined.spare)),
        "table": plan.joined.as_ref().map(|joined| &joined.table),
        "layout": plan.layout.as_ref().map(layout_json),
        "writes": writes.collect::<Vec<_>>(),
        "notes": plan.notes,
        "undoable": plan.undoable,
        "command": plan.command,
    })
}

/// How a spare is divided, as a program reads it.
fn layout_json(layout: &Layout) -> Value {
    json!({
        "block_size_bytes": layout.block_size.bytes(),
        "region_a_sector": layout.region_a.get(),
        "region_b_sector": layout.region_b.get(),
        "region_sectors": layout.region_sectors().get(),
        "replacement_sector": layout.replacement.get(),
        "replacement_blocks": layout.replacement_blocks.get(),
    })
}

/// A plan, for a person who is about to say yes or no.
pub fn plan_text(plan: &Plan, style: Style) -> String {
    let mut out = format!("{}\n", style.strong(&plan.title));
    // Writing to a string cannot fail.
    let mut line = |what: &str, text: &str| {
        let _ = writeln!(out, "  {what:<6} {text}");
    };
    if let Some(device) = &plan.device {
        line("device", &path_text(device));
    }
    if let Some(joined) = &plan.joined {
        line("table", &joined.table);
    }
    for write in &plan.writes {
        let bytes = write.bytes();
        line(
            "bytes",
            &format!("{}..{}  {}", bytes.start, bytes.end, write.what),
        );
    }
    let verdict = |verdict: Option<Verdict>| verdict.map(|v| style.verdict(v, 0));
    match (verdict(plan.before), verdict(plan.predicted)) {
        (Some(before), Some(after)) => line("then", &format!("{before} becomes {after}")),
        (None, Some(after)) => line("then", &after),
        (Some(before), None) => line("is", &before),
        (None, None) => {}
    }
    plan.notes.iter().for_each(|note| line("note", note));
    if !plan.writes.is_empty() {
        line(
            "undo",
            if plan.undoable {
                "a backup is kept"
            } else {
                "cannot be taken back"
            },
        );
    }
    line("same", &plan.command);
    out
}

/// What came of a plan, as a program reads it.
pub fn outcome_json(plan: &Plan, outcome: &Outcome) -> Value {
    json!({
        "changed": outcome.changed,
        "dry_run": false,
        "name": outcome.name.as_ref().or(plan.name.as_ref()),
        "device": plan.device.as_deref().map(path_text),
        "action": outcome.action.map(|id| id.get()),
        "verdict": outcome.verdict.map(Verdict::name),
        "summary": outcome.summary,
        "details": outcome.details,
        "plan": plan_json(plan),
    })
}

/// What came of a plan, for a person.
pub fn outcome_text(outcome: &Outcome, style: Style) -> String {
    let mut out = outcome.summary.clone();
    if let Some(verdict) = outcome.verdict {
        // Writing to a string cannot fail.
        let _ = write!(out, "  {}", style.verdict(verdict, 0));
    }
    out.push('\n');
    for detail in &outcome.details {
        let _ = writeln!(out, "  {detail}");
    }
    if let Some(id) = outcome.action {
        let _ = writeln!(out, "  action {id} in the journal");
    }
    out
}
