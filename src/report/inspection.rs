//! What was seen of one device.

use std::fmt::Write as _;

use serde_json::{json, Map, Value};

use super::seen::{copy_sequence, format_name, label_reason};
use super::style::Style;
use super::{path_text, size_text};
use crate::format::field_map;
use crate::inspect::{Finding, Inspection, TableInspection};
use crate::remap_core::label::End;
use crate::remap_core::quorum::Reading;
use crate::remap_core::superblock::stored_checksum;
use crate::remap_core::units::Slot;
use crate::text::escape;

/// What the remap table holds.
pub fn table_json(table: &TableInspection) -> Value {
    let remaps: Vec<Value> = table.remaps.iter().map(super::status::remap_json).collect();
    json!({
        "blocks": table.blocks,
        "active": table.counts.active,
        "pending": table.counts.pending,
        "free": table.counts.free,
        "replacement_bad": table.counts.replacement_bad,
        "retired": table.counts.retired,
        "damaged_a": table.damaged_a,
        "damaged_b": table.damaged_b,
        "contradictions": table.contradictions,
        "lost": table.lost,
        "strays": table.strays,
        "remaps": remaps,
    })
}

/// What was seen of one device, for a person. With `verbose`, all that its winning copy
/// says.
pub fn inspection_text(seen: &Inspection, style: Style, verbose: bool) -> String {
    let mut out = String::new();
    push_headline(&mut out, seen, style);
    match seen.label() {
        Some(_) => push_labels(&mut out, seen),
        None => push_copies(&mut out, seen, style),
    }
    push_summary(&mut out, seen);
    if verbose {
        push_fields(&mut out, seen);
    }
    push_findings(&mut out, &seen.findings, style);
    out
}

// Writing to a string cannot fail, so the results below carry no information.

fn push_headline(out: &mut String, seen: &Inspection, style: Style) {
    let verdict = style.verdict(seen.verdict(), 0);
    let _ = write!(out, "{}  {verdict}", style.strong(path_text(&seen.path)));
    if let Some(name) = &seen.name {
        let _ = write!(out, "  {name}");
    }
    if let Some(sequence) = seen.judgement.sequence {
        let _ = write!(out, "  sequence {sequence}");
    }
    if let Some(format) = format_name(seen) {
        let _ = write!(out, "  {format}");
    }
    let _ = writeln!(out, "  {}", size_text(seen.size));
}

fn push_copies(out: &mut String, seen: &Inspection, style: Style) {
    let _ = writeln!(out, "  COPY  SECTOR  STATE        SEQUENCE  CHECKSUM  WHY");
    for slot in Slot::ALL {
        let state = seen.judgement.states.get(slot);
        let sequence =
            copy_sequence(seen, slot).map_or("-".to_owned(), |number| number.to_string());
        let checksum = match seen.survey.slots.get(slot) {
            Reading::Read { raw, .. } => format!("{:08x}", stored_checksum(raw)),
            Reading::Unreadable(_) => "-".to_owned(),
        };
        let line = format!(
            "  {} {slot}   {:>6}  {}  {sequence:>8}  {checksum:<8}  {}",
            style.copy(state),
            slot.sector(),
            style.copy_word(state, 11),
            seen.reason(slot).unwrap_or_default(),
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// Both ends of a disk that bears a label of main at either.
fn push_labels(out: &mut String, seen: &Inspection) {
    let _ = writeln!(out, "  LABEL  SECTOR      STATE        FORM      MAIN OF");
    for (end, reading) in End::ALL
        .into_iter()
        .zip(seen.labels.iter().flat_map(|it| it.iter()))
    {
        let sector = end.label_sector(seen.size).map_or(0, |sector| sector.get());
        let told = match reading.label() {
            Some(label) => {
                let name = escape(label.name.trimmed());
                format!("{:<9} {name}, {}", label.form, label.array)
            }
            None => label_reason(reading).unwrap_or_default(),
        };
        let line = format!("  {end:<5}  {sector:<10}  {:<11}  {told}", reading.name());
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn push_summary(out: &mut String, seen: &Inspection) {
    for signature in seen.signatures.iter().flatten() {
        let _ = write!(out, "  holds  {signature}");
        if let Some(uuid) = &signature.uuid {
            let _ = write!(out, "  {}", escape(uuid.as_bytes()));
        }
        if let Some(label) = &signature.label {
            let _ = write!(out, "  {}", escape(label.as_bytes()));
        }
        out.push('\n');
    }
    let Some(superblock) = &seen.superblock else {
        return;
    };
    let mut device = |what: &str, path: &[u8], sectors| {
        let path = escape(path);
        let _ = writeln!(out, "  {what:<6} {path}  {}", size_text(sectors));
    };
    device(
        "main",
        superblock.main_path.trimmed(),
        superblock.main_sectors,
    );
    device(
        "spare",
        superblock.spare_path.trimmed(),
        superblock.spare_sectors,
    );
    if let Some(layout) = superblock.layout() {
        let _ = writeln!(
            out,
            "  remaps up to {} blocks of {} bytes",
            layout.replacement_blocks, layout.block_size
        );
    }
    if let Some(array) = superblock.array_uuid() {
        let _ = writeln!(out, "  array  {array}");
    }
}

fn push_fields(out: &mut String, seen: &Inspection) {
    let Some(raw) = seen.judgement.winning_copy(&seen.survey) else {
        return;
    };
    let _ = writeln!(out, "  BYTES     FIELD");
    for field in field_map::of_copy(raw) {
        let range = field.range();
        let place = format!("{}..{}", range.start, range.end);
        let _ = writeln!(out, "  {place:<8}  {:<24} {}", field.name, field.value);
    }
}

/// The findings, most urgent first, each with what to do.
pub(super) fn push_findings(out: &mut String, findings: &[Finding], style: Style) {
    for finding in findings {
        let mark = style.severity(finding.severity);
        let _ = writeln!(out, "  {mark} {}: {}", finding.id, finding.summary);
        if !finding.advice.is_empty() {
            let _ = writeln!(out, "    {}", finding.advice);
        }
    }
}

/// Adds the fields of `more` to those of `object`.
pub fn merge(object: Value, more: Value) -> Value {
    let mut merged = Map::new();
    for part in [object, more] {
        if let Value::Object(fields) = part {
            merged.extend(fields);
        }
    }
    Value::Object(merged)
}
