//! The list of devices.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde::Serialize;
use serde_json::{json, Value};

use super::seen::{findings_json, SeenFinding};
use super::style::Style;
use super::{path_text, size_text, tree};
use crate::error::Error;
use crate::inspect::{Finding, Inspection};
use crate::port::block::{describe_signatures, Properties, Signature};
use crate::port::{DeviceInfo, Part, Usage};
use crate::privilege;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::units::{IdentityDigest, Slot};
use crate::text::{escape_str, guard};

/// A device with what was seen on it.
pub struct ListRow {
    /// The device.
    pub info: DeviceInfo,
    /// What was seen on it; or why it could not be opened.
    pub seen: Result<Arc<Inspection>, Error>,
    /// What is to be said of it, if it is a main that was taken past its device.
    pub finding: Option<Finding>,
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
                Ok(seen) if seen.is_ours() => "spare",
                Ok(seen) if seen.label().is_some() => "main",
                Ok(_) => "free",
                Err(_) => "unknown",
            },
        }
    }

    /// The mapped device that it is part of, up or not.
    pub fn mapped_name(&self) -> Option<&str> {
        match &self.info.usage {
            Usage::Mapped { name, .. } => Some(name),
            _ => self.seen.as_ref().ok()?.known_name(),
        }
    }

    fn verdict(&self) -> Option<Verdict> {
        let seen = self.seen.as_ref().ok()?;
        seen.is_ours().then(|| seen.verdict())
    }

    /// Whether it could not be told who uses it: the tables of that could not be read.
    pub fn has_unread_use(&self) -> bool {
        self.unread_tables().next().is_some()
    }

    /// The tables that could not be read. Attributes of the device have no path.
    fn unread_tables(&self) -> impl Iterator<Item = &String> {
        let unread = self.properties().map(|known| known.unread.as_slice());
        let unread = unread.unwrap_or_default().iter();
        unread.filter(|file| file.starts_with('/'))
    }

    fn properties(&self) -> Option<&Properties> {
        self.info.properties.as_deref()
    }

    /// What others wrote on it: as was found by looking, or else as the machine knows.
    fn signatures(&self) -> Option<&[Signature]> {
        let looked = self.seen.as_ref().ok();
        let found = looked.and_then(|seen| seen.signatures.as_deref());
        found.or_else(|| self.properties()?.signatures.as_deref())
    }

    fn identity(&self) -> IdentityDigest {
        let known = self.properties().map(|known| known.identity);
        let seen = || Some(self.seen.as_ref().ok()?.identity);
        known.or_else(seen).unwrap_or_default()
    }

    /// What is to be said of a device that is not ours.
    fn remarks(&self) -> String {
        let mut remarks = Vec::new();
        remarks.extend(self.signatures().map(describe_signatures));
        if let Usage::InUse(by) = &self.info.usage {
            remarks.push(format!("in use by {}", guard(by)));
        }
        if self.info.read_only {
            remarks.push("read-only".to_owned());
        }
        if let Err(error) = &self.seen {
            remarks.push(format!("not looked at: {}", guard(&error.message)));
        }
        remarks.retain(|remark| !remark.is_empty());
        remarks.join("; ")
    }
}

/// Devices of one identity, for each identity that several have: a disk and its clone,
/// two ways to one disk, or disks whose maker gave them one number.
fn look_alikes(rows: &[ListRow]) -> Vec<Vec<&ListRow>> {
    let mut by_identity: BTreeMap<IdentityDigest, Vec<&ListRow>> = BTreeMap::new();
    for row in rows {
        by_identity.entry(row.identity()).or_default().push(row);
    }
    by_identity.remove(&IdentityDigest::NONE);
    let mut several: Vec<_> = by_identity.into_values().collect();
    several.retain(|alike| alike.len() > 1);
    several.sort_by(|one, other| one[0].info.name.cmp(&other[0].info.name));
    several
}

/// Devices, as a program reads them.
#[derive(Serialize)]
pub struct Listed<'a> {
    devices: Vec<ListedDevice<'a>>,
}

/// One device of a list, its fields in the order in which they are written.
#[derive(Serialize)]
struct ListedDevice<'a> {
    name: Cow<'a, str>,
    device: String,
    size_sectors: u64,
    size_bytes: Option<u64>,
    logical_block_bytes: u32,
    read_only: bool,
    part: &'static str,
    mapped: Option<Cow<'a, str>>,
    active: bool,
    in_use_by: Option<Cow<'a, str>>,
    verdict: Option<&'static str>,
    faults: u64,
    signatures: Option<Value>,
    identity: Option<String>,
    same_identity_as: Vec<String>,
    error: Option<Cow<'a, str>>,
    // What the machine knows of a block device; an image has every key as well.
    kind: &'a str,
    number: Option<String>,
    parents: Vec<Cow<'a, str>>,
    holders: Vec<Cow<'a, str>>,
    label: Option<Cow<'a, str>>,
    model: Option<Cow<'a, str>>,
    serial: Option<Cow<'a, str>>,
    wwid: Option<Cow<'a, str>>,
    partition_uuid: Option<Cow<'a, str>>,
    physical_block_bytes: Option<u32>,
    rotational: Option<bool>,
    mounts: Vec<Cow<'a, str>>,
    swap: bool,
    unread: Vec<Cow<'a, str>>,
    findings: Vec<SeenFinding>,
}

/// Devices, as a program reads them.
pub fn list_json(rows: &[ListRow]) -> Listed<'_> {
    let mut same: HashMap<&Path, Vec<String>> = HashMap::new();
    for alike in look_alikes(rows) {
        for row in &alike {
            let others = alike.iter().filter(|other| !std::ptr::eq(**other, *row));
            let names = others.map(|other| guard(&other.info.name).into_owned());
            same.insert(&row.info.path, names.collect());
        }
    }
    let devices = rows.iter().map(|row| {
        let alike = same.remove(row.info.path.as_path());
        ListedDevice::new(row, alike.unwrap_or_default())
    });
    Listed {
        devices: devices.collect(),
    }
}

impl<'a> ListedDevice<'a> {
    fn new(row: &'a ListRow, same_identity_as: Vec<String>) -> Self {
        static NONE: LazyLock<Properties> = LazyLock::new(Properties::default);
        let identity = row.identity();
        let known = row.properties();
        let of = known.unwrap_or(&NONE);
        let texts = |texts: &'a [String]| texts.iter().map(|text| guard(text)).collect();
        Self {
            name: guard(&row.info.name),
            device: path_text(&row.info.path),
            size_sectors: row.info.size.get(),
            size_bytes: row.info.size.bytes(),
            logical_block_bytes: row.info.logical_block_bytes(),
            read_only: row.info.read_only,
            part: row.part(),
            mapped: row.mapped_name().map(escape_str),
            active: matches!(row.info.usage, Usage::Mapped { .. }),
            in_use_by: match &row.info.usage {
                Usage::InUse(by) => Some(guard(by)),
                _ => None,
            },
            verdict: row.verdict().map(Verdict::name),
            faults: row.info.faults,
            signatures: row.signatures().map(signatures_json),
            identity: (!identity.is_none()).then(|| identity.to_string()),
            same_identity_as,
            error: row.seen.as_ref().err().map(|error| guard(&error.message)),
            kind: known.map_or("image", |known| known.kind.name()),
            number: known.map(|known| known.number.to_string()),
            parents: texts(&of.parents),
            holders: texts(&of.holders),
            label: of.label.as_deref().map(guard),
            model: of.model.as_deref().map(guard),
            serial: of.serial.as_deref().map(guard),
            wwid: of.wwid.as_deref().map(guard),
            partition_uuid: of.partition_uuid.as_deref().map(guard),
            physical_block_bytes: of.physical_block_bytes,
            rotational: of.rotational,
            mounts: texts(&of.mounts),
            swap: of.is_swap,
            unread: texts(&of.unread),
            findings: findings_json(row.finding.as_slice()),
        }
    }
}

/// What others wrote on a device, as a program reads it.
pub(super) fn signatures_json(signatures: &[Signature]) -> Value {
    let signatures = signatures.iter().map(|signature| {
        json!({
            "type": escape_str(&signature.kind),
            "usage": signature.used_for.name(),
            "uuid": signature.uuid.as_deref().map(escape_str),
            "label": signature.label.as_deref().map(escape_str),
        })
    });
    signatures.collect()
}

/// Devices, for a person: block devices as a tree of what lies on what.
pub fn list_text(rows: &[ListRow], style: Style) -> String {
    let devices: Vec<&DeviceInfo> = rows.iter().map(|row| &row.info).collect();
    let up = devices.iter().filter_map(|device| match &device.usage {
        Usage::Mapped { name, .. } => Some(name.as_str()),
        _ => None,
    });
    let ours: HashSet<&str> = up.collect();
    let lines: Vec<(String, &ListRow)> = tree::arrange(&devices)
        .iter()
        .map(|place| {
            let row = &rows[place.index];
            // What is ours goes by its own name, not by the kernel's.
            let own = tree::mapped_name(&row.info).filter(|name| ours.contains(name));
            let name = guard(own.unwrap_or(&row.info.name));
            (format!("{}{name}", tree::branch(place, style.ascii)), row)
        })
        .collect();
    let mapped_name = |row: &ListRow| escape_str(row.mapped_name().unwrap_or("-")).into_owned();
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0).max(6);
    let names = width(&mut lines.iter().map(|(name, _)| name.chars().count()));
    let mapped = width(&mut rows.iter().map(|row| mapped_name(row).chars().count()));
    // Images have no kind that would be worth a column.
    let has_kinds = rows.iter().any(|row| row.properties().is_some());
    let kind = |name: &str| match has_kinds {
        true => format!("{name:<7}  "),
        false => String::new(),
    };
    let mut out = format!(
        "{:<names$}  {:>9}  {}{:<7}  {:<mapped$}  {:<8}  STATE\n",
        "NAME",
        "SIZE",
        kind("TYPE"),
        "PART",
        "MAPPED",
        "ACTIVE"
    );
    for (name, row) in &lines {
        let active = matches!(row.info.usage, Usage::Mapped { .. });
        let state = match row.seen.as_ref().ok().filter(|seen| seen.is_ours()) {
            Some(seen) => {
                format!(
                    "{}  {}",
                    strip(seen, style),
                    style.verdict(seen.verdict(), 0)
                )
            }
            None => row.remarks(),
        };
        let line = format!(
            "{name:<names$}  {:>9}  {}{:<7}  {:<mapped$}  {:<8}  {state}",
            size_text(row.info.size),
            kind(row.properties().map_or("image", |known| known.kind.name())),
            row.part(),
            mapped_name(row),
            if active { "active" } else { "-" },
        );
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", line.trim_end());
    }
    push_notes(&mut out, rows);
    out
}

/// What is to be said of several devices together.
fn push_notes(out: &mut String, rows: &[ListRow]) {
    for alike in look_alikes(rows) {
        let names: Vec<_> = alike.iter().map(|row| guard(&row.info.name)).collect();
        let _ = writeln!(
            out,
            "{} have one identity: one may be a clone of the other, or another way to it.",
            names.join(" and ")
        );
    }
    for finding in rows.iter().filter_map(|row| row.finding.as_ref()) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}\n  {}", finding.summary, finding.advice);
    }
    let tables: BTreeSet<&String> = rows.iter().flat_map(ListRow::unread_tables).collect();
    for table in tables {
        let _ = writeln!(
            out,
            "{} could not be read: what is mounted is not known.",
            escape_str(table)
        );
    }
    let denied = rows.iter().filter(|row| {
        let error = row.seen.as_ref().err();
        error.is_some_and(|error| error.code == "not-permitted")
    });
    match denied.count() {
        0 => {}
        count => {
            let _ = writeln!(
                out,
                "{count} of {} could not be looked at. {}",
                rows.len(),
                privilege::advice()
            );
        }
    }
}

/// The five copies of a device, a glyph for each.
pub(super) fn strip(seen: &Inspection, style: Style) -> String {
    Slot::ALL
        .into_iter()
        .map(|slot| style.copy(seen.judgement.states.get(slot)))
        .collect()
}
