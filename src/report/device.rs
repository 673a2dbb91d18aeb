//! Lists of devices.

use std::fmt::Write as _;

use serde_json::{json, Value};

use super::inspection::{inspection_json, inspection_text, merge};
use super::style::Style;
use super::{path_text, size_text};
use crate::error::Error;
use crate::inspect::Inspection;
use crate::port::{DeviceInfo, Part, Usage};
use crate::remap_core::quorum::Verdict;
use crate::remap_core::units::Slot;
use crate::text::escape_str;

/// A device with what was seen on it.
pub struct ListRow {
    /// The device.
    pub info: DeviceInfo,
    /// What was seen on it; none where it could not be opened.
    pub seen: Option<Inspection>,
}

impl ListRow {
    /// The part that the device plays, in one word.
    pub fn part(&self) -> &'static str {
        match &self.info.usage {
            Usage::Mapped {
                part: Part::Main, ..
            } => "main",
            Usage::Mapped {
                part: Part::Spare, ..
            } => "spare",
            Usage::InUse(_) => "in use",
            Usage::Free => match &self.seen {
                Some(seen) if seen.is_ours() => "spare",
                Some(_) => "free",
                None => "unknown",
            },
        }
    }

    /// The mapped device that it is part of, up or not.
    pub fn mapped_name(&self) -> Option<&str> {
        match &self.info.usage {
            Usage::Mapped { name, .. } => Some(name),
            _ => self.seen.as_ref()?.name.as_deref(),
        }
    }

    fn verdict(&self) -> Option<Verdict> {
        let seen = self.seen.as_ref()?;
        seen.is_ours().then(|| seen.verdict())
    }
}

/// Devices, as a program reads them.
pub fn list_json(rows: &[ListRow]) -> Value {
    let devices = rows.iter().map(|row| {
        json!({
            "name": escape_str(&row.info.name),
            "device": path_text(&row.info.path),
            "size_sectors": row.info.size.get(),
            "size_bytes": row.info.size.bytes(),
            "logical_block_bytes": row.info.logical_block.bytes(),
            "read_only": row.info.read_only,
            "part": row.part(),
            "mapped": row.mapped_name().map(escape_str),
            "active": matches!(row.info.usage, Usage::Mapped { .. }),
            "in_use_by": match &row.info.usage {
                Usage::InUse(by) => Some(escape_str(by)),
                _ => None,
            },
            "verdict": row.verdict().map(Verdict::name),
            "faults": row.info.faults,
        })
    });
    json!({ "devices": devices.collect::<Vec<_>>() })
}

/// Devices, for a person.
pub fn list_text(rows: &[ListRow], style: Style) -> String {
    let name = |row: &ListRow| escape_str(&row.info.name).into_owned();
    let mapped_name = |row: &ListRow| escape_str(row.mapped_name().unwrap_or("-")).into_owned();
    let width = |text: &dyn Fn(&ListRow) -> String| {
        let widths = rows.iter().map(|row| text(row).chars().count());
        widths.max().unwrap_or(0).max(6)
    };
    let names = width(&name);
    let mapped = width(&mapped_name);
    let mut out = format!(
        "{:<names$}  {:>9}  {:<7}  {:<mapped$}  {:<8}  STATE\n",
        "NAME", "SIZE", "PART", "MAPPED", "ACTIVE"
    );
    for row in rows {
        let active = matches!(row.info.usage, Usage::Mapped { .. });
        let state = match row.verdict() {
            Some(verdict) => format!("{}  {}", strip(row, style), style.verdict(verdict, 0)),
            None => String::new(),
        };
        let line = format!(
            "{:<names$}  {:>9}  {:<7}  {:<mapped$}  {:<8}  {state}",
            name(row),
            size_text(row.info.size),
            row.part(),
            mapped_name(row),
            if active { "active" } else { "-" },
        );
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

fn strip(row: &ListRow, style: Style) -> String {
    let Some(seen) = &row.seen else {
        return String::new();
    };
    Slot::ALL
        .into_iter()
        .map(|slot| style.copy(seen.judgement.states.get(slot)))
        .collect()
}

/// A device that a scan met.
pub struct ScanRow {
    /// Where it is.
    pub path: std::path::PathBuf,
    /// What was seen on it, or why nothing was.
    pub seen: Result<Inspection, Error>,
    /// What was done about it, in one word: `scan-only`, `assembled`, `already-active`,
    /// `refused` or `not-ours`.
    pub outcome: &'static str,
    /// Why, where it was not assembled.
    pub reason: Option<String>,
}

/// What a scan met, as a program reads it.
pub fn scan_json(rows: &[ScanRow]) -> Value {
    let ours = |row: &&ScanRow| row.seen.as_ref().is_ok_and(Inspection::is_ours);
    let devices = rows.iter().map(|row| {
        let seen = match &row.seen {
            Ok(seen) => merge(
                inspection_json(seen),
                json!({
                    "name": seen.name,
                    "array_uuid": seen.array_uuid().map(|uuid| uuid.to_string()),
                    "error": null,
                }),
            ),
            Err(error) => json!({
                "device": path_text(&row.path),
                "verdict": null,
                "error": error.message,
            }),
        };
        merge(
            seen,
            json!({ "outcome": row.outcome, "reason": row.reason }),
        )
    });
    json!({
        "scanned": rows.len(),
        "found": rows.iter().filter(ours).count(),
        "devices": devices.collect::<Vec<_>>(),
    })
}

/// What a scan met, for a person. With `verbose`, every copy of every device.
pub fn scan_text(rows: &[ScanRow], style: Style, verbose: bool) -> String {
    let mut out = String::new();
    for row in rows {
        // Writing to a string cannot fail.
        let _ = match &row.seen {
            Ok(seen) if verbose => write!(out, "{}", inspection_text(seen, style, false)),
            Ok(seen) => {
                let strip: String = Slot::ALL
                    .into_iter()
                    .map(|slot| style.copy(seen.judgement.states.get(slot)))
                    .collect();
                let verdict = style.verdict(seen.verdict(), 19);
                let name = seen.name.as_deref().unwrap_or("-");
                writeln!(out, "{strip}  {verdict}  {name}  {}", path_text(&seen.path))
            }
            Err(error) => writeln!(out, "?????  {:<19}  -  {}", "error", error.message),
        };
        if let Some(reason) = &row.reason {
            let _ = writeln!(out, "       {}: {reason}", row.outcome);
        } else if matches!(row.outcome, "assembled" | "already-active") {
            let _ = writeln!(out, "       {}", row.outcome);
        }
    }
    out
}
