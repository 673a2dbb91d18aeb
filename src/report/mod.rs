//! Reports: what was seen and done, as text for people and as JSON for programs.
//!
//! Both are made from the same values as the screen. Text from a disk is escaped in
//! both; JSON goes to stdout alone.

mod change;
mod device;
mod inspection;
mod linear;
mod log;
mod scan;
mod seen;
mod status;
pub mod style;
mod tree;

use std::fmt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{json, Value};

pub use change::{outcome_json, outcome_text, plan_json, plan_text};
pub use device::{list_json, list_text, ListRow};
pub use inspection::{inspection_text, merge, table_json};
pub use linear::{linear_json, linear_text};
pub use log::{log_json, log_text};
pub use scan::{scan_text, Form, ScanReport, ScanRow};
pub use seen::{format_name, Seen};
pub use status::{event_json, mapped_json, mapped_text};

use crate::error::Error;
use crate::remap_core::units::{Sectors, Timestamp};
use crate::text::escape_path;

/// A JSON object that names the schema of a command's output first.
#[derive(Debug, Serialize)]
pub struct Object<T> {
    schema: String,
    #[serde(flatten)]
    fields: T,
}

/// The object that `command` prints; `fields` are a structure or a map.
pub fn object<T: Serialize>(command: &str, fields: T) -> Object<T> {
    Object {
        schema: format!("dmremap/{command}/1"),
        fields,
    }
}

impl<T: Serialize> fmt::Display for Object<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

/// An error as a program reads it.
pub fn error_json(error: &Error) -> Object<Value> {
    object(
        "error",
        json!({
            "code": error.code,
            "message": error.message,
            "advice": error.advice,
            "exit_status": error.exit.code(),
        }),
    )
}

/// What a program is warned of: nothing that kept a command from what was asked of it.
pub fn warning_json(warning: &Error) -> Object<Value> {
    object(
        "warning",
        json!({
            "code": warning.code,
            "message": warning.message,
            "advice": warning.advice,
        }),
    )
}

/// A path as text that is fit to be shown.
pub fn path_text(path: &Path) -> String {
    escape_path(path).into_owned()
}

/// A size with its unit, to three digits: `512 B`, `64.0 MiB`, `4.00 TiB`.
pub fn size_text(size: Sectors) -> String {
    let Some(bytes) = size.bytes() else {
        return "more than 16 EiB".to_owned();
    };
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // Rounding must not bring a fourth digit.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// A time stamp in UTC, as RFC 3339 has it; the end of the year 9999 for all beyond it.
pub fn time_text(time: Timestamp) -> String {
    const LAST: u64 = 253_402_300_799;
    let since = Duration::from_secs(time.get().min(LAST));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_and_a_unit() {
        for (sectors, text) in [
            (0, "0 B"),
            (1, "512 B"),
            (2, "1.00 KiB"),
            (1999, "0.98 MiB"),
            (2048, "1.00 MiB"),
            (131_072, "64.0 MiB"),
            (1 << 33, "4.00 TiB"),
            (u64::MAX / 512, "16.0 EiB"),
            (u64::MAX, "more than 16 EiB"),
        ] {
            assert_eq!(size_text(Sectors::new(sectors)), text, "{sectors}");
        }
    }

    #[test]
    fn time_stamps_are_utc_and_never_too_large() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_761_264_000, "2025-10-24T00:00:00Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(time_text(Timestamp::new(seconds)), text);
        }
    }

    #[test]
    fn the_schema_comes_first() {
        let text = object("list", json!({ "a": 1 })).to_string();
        assert_eq!(text, r#"{"schema":"dmremap/list/1","a":1}"#);
    }
}
