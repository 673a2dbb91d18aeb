//! What a scan met.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::device::strip;
use super::inspection::inspection_text;
use super::path_text;
use super::seen::Seen;
use super::style::Style;
use crate::error::Error;
use crate::inspect::Inspection;
use crate::remap_core::quorum::Verdict;

/// Which report is made of a scan.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// For a program.
    Json,
    /// For a person: a line for each device, or with `verbose` every copy of it.
    Text {
        /// How it is drawn.
        style: Style,
        /// Every copy of every device.
        verbose: bool,
    },
}

/// A device that a scan met. Of what was seen on it only what the report needs is kept:
/// a scan may meet thousands.
#[derive(Debug)]
pub struct ScanRow {
    /// Where it is.
    pub path: PathBuf,
    /// What its copies say together, or why nothing could be seen.
    pub verdict: Result<Verdict, Error>,
    /// What was done about it, in one word: `scan-only`, `assembled`, `already-active`,
    /// `refused` or `not-ours`.
    pub outcome: &'static str,
    /// Why, where it was not assembled.
    pub reason: Option<String>,
    /// What to do about that.
    pub advice: Option<String>,
    told: Told,
}

#[derive(Debug)]
enum Told {
    Json(Option<Box<Seen>>),
    Text(String),
}

impl ScanRow {
    /// The row of a device about which nothing was done.
    pub fn new(path: PathBuf, seen: &Result<Inspection, Error>, form: Form) -> Self {
        let told = match (form, seen) {
            (Form::Json, Ok(seen)) => Told::Json(Some(Box::new(Seen::new(seen)))),
            (Form::Json, Err(_)) => Told::Json(None),
            (Form::Text { style, verbose }, Ok(seen)) if verbose => {
                Told::Text(inspection_text(seen, style, false))
            }
            (Form::Text { style, .. }, Ok(seen)) => {
                let strip = strip(seen, style);
                let verdict = style.verdict(seen.verdict(), 19);
                let name = seen.name.as_deref().unwrap_or("-");
                let path = path_text(&seen.path);
                Told::Text(format!("{strip}  {verdict}  {name}  {path}\n"))
            }
            (Form::Text { .. }, Err(error)) => {
                Told::Text(format!("?????  {:<19}  -  {}\n", "error", error.message))
            }
        };
        Self {
            path,
            verdict: match seen {
                Ok(seen) => Ok(seen.verdict()),
                Err(error) => Err(error.clone()),
            },
            outcome: "scan-only",
            reason: None,
            advice: None,
            told,
        }
    }

    /// Whether anything on it says that it is ours.
    pub fn is_ours(&self) -> bool {
        matches!(self.verdict, Ok(verdict) if verdict != Verdict::None)
    }
}

/// A row whose device could be looked at.
#[derive(Serialize)]
struct SeenRow<'a> {
    #[serde(flatten)]
    seen: &'a Seen,
    name: Option<&'a str>,
    array_uuid: Option<&'a str>,
    error: Option<&'a str>,
    outcome: &'a str,
    reason: Option<&'a str>,
    advice: Option<&'a str>,
}

/// A row whose device could not.
#[derive(Serialize)]
struct UnseenRow<'a> {
    device: String,
    verdict: Option<&'a str>,
    error: Option<&'a str>,
    outcome: &'a str,
    reason: Option<&'a str>,
    advice: Option<&'a str>,
}

impl Serialize for ScanRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (outcome, reason) = (self.outcome, self.reason.as_deref());
        let advice = self.advice.as_deref();
        let error = self.verdict.as_ref().err();
        let error = error.map(|error| error.message.as_str());
        match &self.told {
            Told::Json(Some(seen)) => SeenRow {
                seen,
                name: seen.fields.name.as_deref(),
                array_uuid: seen.fields.array_uuid.as_deref(),
                error,
                outcome,
                reason,
                advice,
            }
            .serialize(serializer),
            Told::Json(None) | Told::Text(_) => UnseenRow {
                device: path_text(&self.path),
                verdict: self.verdict.as_ref().ok().map(|verdict| verdict.name()),
                error,
                outcome,
                reason,
                advice,
            }
            .serialize(serializer),
        }
    }
}

/// What a scan met, as a program reads it.
#[derive(Debug, Serialize)]
pub struct ScanReport<'a> {
    scanned: usize,
    found: usize,
    devices: &'a [ScanRow],
}

impl<'a> ScanReport<'a> {
    /// The report of rows that were made in [`Form::Json`].
    pub fn new(rows: &'a [ScanRow]) -> Self {
        Self {
            scanned: rows.len(),
            found: rows.iter().filter(|row| row.is_ours()).count(),
            devices: rows,
        }
    }
}

/// What a scan met, for a person, of rows that were made in [`Form::Text`].
pub fn scan_text(rows: &[ScanRow]) -> String {
    let mut out = String::new();
    for row in rows {
        if let Told::Text(text) = &row.told {
            out.push_str(text);
        }
        // Writing to a string cannot fail.
        let _ = match &row.reason {
            Some(reason) => writeln!(out, "       {}: {reason}", row.outcome),
            None if matches!(row.outcome, "assembled" | "already-active") => {
                writeln!(out, "       {}", row.outcome)
            }
            None => Ok(()),
        };
    }
    out
}
