//! What was seen of one device.

use std::fmt::Write as _;

use serde_json::{json, Map, Value};

use super::style::Style;
use super::{path_text, size_text};
use crate::format::field_map;
use crate::inspect::{Finding, Inspection, TableInspection};
use crate::remap_core::quorum::Reading;
use crate::remap_core::superblock::{computed_checksum, stored_checksum, Superblock};
use crate::remap_core::units::Slot;
use crate::text::escape;

/// Everything that `inspect` and `scan` tell a program of one device, schema excluded.
pub fn inspection_json(seen: &Inspection) -> Value {
    let copies: Vec<Value> = Slot::ALL
        .into_iter()
        .map(|slot| copy_json(seen, slot))
        .collect();
    json!({
        "device": path_text(&seen.path),
        "size_sectors": seen.size.get(),
        "size_bytes": seen.size.bytes(),
        "logical_block_bytes": seen.logical_block.bytes(),
        "verdict": seen.verdict().name(),
        "format": format_name(seen),
        "working_sequence": seen.judgement.sequence.map(|sequence| sequence.get()),
        "winners": seen.judgement.winner_count(),
        "token": seen.token(),
        "identity": (!seen.identity.is_none()).then(|| seen.identity.to_string()),
        "signatures": seen.signatures.as_deref().map(super::device::signatures_json),
        "copies": copies,
        "fields": fields_json(seen),
        "headers": headers_json(seen),
        "findings": seen.findings.iter().map(finding_json).collect::<Vec<_>>(),
    })
}

fn format_name(seen: &Inspection) -> Option<&'static str> {
    let superblock = seen.superblock.as_ref()?;
    Some(if superblock.extension.is_some() {
        "checksummed"
    } else {
        "plain"
    })
}

fn copy_json(seen: &Inspection, slot: Slot) -> Value {
    let (raw, errno) = match seen.survey.slots.get(slot) {
        Reading::Read { raw, .. } => (Some(raw), None),
        Reading::Unreadable(errno) => (None, Some(errno.get())),
    };
    json!({
        "slot": slot.index(),
        "sector": slot.sector().get(),
        "state": seen.judgement.states.get(slot).name(),
        "winner": seen.judgement.winners.get(slot),
        "sequence": copy_sequence(seen, slot),
        "checksum_stored": raw.map(stored_checksum),
        "checksum_computed": raw.map(computed_checksum),
        "bytes_off": seen.bytes_off(slot),
        "errno": errno,
        "reason": seen.reason(slot),
    })
}

/// The sequence of a copy that can be believed.
fn copy_sequence(seen: &Inspection, slot: Slot) -> Option<u64> {
    use crate::remap_core::superblock::{read_copy, Content};
    let Reading::Read { raw, .. } = seen.survey.slots.get(slot) else {
        return None;
    };
    match read_copy(raw, slot) {
        Content::Checksummed(superblock) | Content::Plain(superblock) => {
            Some(superblock.sequence.get())
        }
        _ => None,
    }
}

/// Every field there can be, so that a program finds each key; null where nothing is
/// known.
fn fields_json(seen: &Inspection) -> Value {
    let superblock = seen.superblock.as_ref();
    let extension = superblock.and_then(|superblock| superblock.extension.as_ref());
    let layout = extension.map(|extension| &extension.layout);
    let text = |field: fn(&Superblock) -> &[u8]| superblock.map(|s| escape(field(s)).into_owned());
    json!({
        "name": seen.name,
        "array_uuid": seen.array_uuid().map(|uuid| uuid.to_string()),
        "timestamp_seconds": superblock.map(|s| s.timestamp.get()),
        "main_path": text(|s| s.main_path.trimmed()),
        "main_uuid": text(|s| s.main_uuid.trimmed()),
        "main_sectors": superblock.map(|s| s.main_sectors.get()),
        "main_identity": extension.map(|e| e.main_identity.to_string()),
        "spare_path": text(|s| s.spare_path.trimmed()),
        "spare_uuid": text(|s| s.spare_uuid.trimmed()),
        "spare_sectors": superblock.map(|s| s.spare_sectors.get()),
        "spare_identity": extension.map(|e| e.spare_identity.to_string()),
        "sector_size_bytes": superblock.map(|s| s.sector_size.bytes()),
        "entry_size_bytes": superblock.map(|s| s.entry_size),
        "capacity": superblock.map(|s| s.capacity),
        "block_size_bytes": layout.map(|l| l.block_size.bytes()),
        "region_a_sector": layout.map(|l| l.region_a.get()),
        "region_b_sector": layout.map(|l| l.region_b.get()),
        "region_sectors": layout.map(|l| l.region_sectors().get()),
        "replacement_sector": layout.map(|l| l.replacement.get()),
        "replacement_blocks": layout.map(|l| l.replacement_blocks.get()),
        "needs_check": extension.map(|e| e.needs_check),
        "features_compat": extension.map(|e| e.features.compat),
        "features_ro_compat": extension.map(|e| e.features.ro_compat),
        "features_incompat": extension.map(|e| e.features.incompat),
    })
}

fn headers_json(seen: &Inspection) -> Value {
    let headers = seen.headers.iter().map(|read| {
        json!({
            "region": read.region.to_string(),
            "sector": read.at.get(),
            "state": if read.header.is_ok() { "valid" } else { "corrupt" },
            "reason": read.header.as_ref().err().map(ToString::to_string),
        })
    });
    headers.collect()
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "id": finding.id,
        "severity": finding.severity.name(),
        "summary": finding.summary,
        "advice": finding.advice,
    })
}

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
    push_copies(&mut out, seen, style);
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

/// Findings as a program reads them.
pub(super) fn findings_json(findings: &[Finding]) -> Value {
    findings.iter().map(finding_json).collect()
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
