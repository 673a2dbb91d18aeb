//! A device as a table of plain targets.

use std::fmt::Write as _;

use serde_json::{json, Value};

use super::path_text;
use crate::ops::{LinearLine, LinearTable};
use crate::text::escape_str;

/// The table as JSON.
pub fn linear_json(table: &LinearTable) -> Value {
    let line = |line: &LinearLine| {
        json!({
            "start": line.run.start.get(),
            "length": line.run.length.get(),
            "target": line.target(),
            "device": line.device,
            "offset": line.offset().map(|at| at.get()),
        })
    };
    json!({
        "name": table.name,
        "main": path_text(&table.main),
        "spare": path_text(&table.spare),
        "doubts": table.doubts,
        "lines": table.lines.iter().map(line).collect::<Vec<_>>(),
    })
}

/// The table as dmsetup reads it, which passes over what begins with a #.
pub fn linear_text(table: &LinearTable) -> String {
    let mut text = String::new();
    let name = table.name.as_deref().unwrap_or("a device without a name");
    let _ = writeln!(
        text,
        "# {}, as it can be read without its target: dmsetup create --readonly",
        escape_str(name)
    );
    for doubt in &table.doubts {
        let _ = writeln!(text, "# {}", escape_str(doubt));
    }
    for line in &table.lines {
        let (start, length, target) = (line.run.start, line.run.length, line.target());
        let _ = match (&line.device, line.offset()) {
            (Some(device), Some(at)) => writeln!(text, "{start} {length} {target} {device} {at}"),
            _ => writeln!(text, "{start} {length} {target}"),
        };
    }
    text
}
