//! What was seen of one device, as a program reads it.
//!
//! Each structure is one JSON object, its fields in the order in which they are written.

use serde::Serialize;
use serde_json::Value;

use super::device::signatures_json;
use super::path_text;
use crate::inspect::{guide, Finding, HeaderReading, Inspection};
use crate::remap_core::label::{End, LabelReading};
use crate::remap_core::main_verdict::MainVerdict;
use crate::remap_core::quorum::Reading;
use crate::remap_core::superblock::{
    computed_checksum, read_copy, stored_checksum, Content, Superblock,
};
use crate::remap_core::units::Slot;
use crate::text::escape;

/// Everything that `inspect` and `scan` tell of one device, schema excluded.
#[derive(Debug, Serialize)]
pub struct Seen {
    device: String,
    size_sectors: u64,
    size_bytes: Option<u64>,
    logical_block_bytes: u32,
    verdict: &'static str,
    /// That of the copies alone.
    copies_verdict: &'static str,
    format: Option<&'static str>,
    working_sequence: Option<u64>,
    winners: usize,
    token: String,
    identity: Option<String>,
    signatures: Option<Value>,
    copies: [SeenCopy; Slot::COUNT],
    pub(super) fields: Fields,
    headers: Vec<SeenHeader>,
    labels: Vec<SeenLabel>,
    findings: Vec<SeenFinding>,
}

#[derive(Debug, Serialize)]
struct SeenCopy {
    slot: u32,
    sector: u64,
    state: &'static str,
    winner: bool,
    sequence: Option<u64>,
    checksum_stored: Option<u32>,
    checksum_computed: Option<u32>,
    bytes_off: Option<usize>,
    errno: Option<i32>,
    reason: Option<String>,
}

/// Every field there can be, so that a program finds each key; null where nothing is
/// known.
#[derive(Debug, Serialize)]
pub(super) struct Fields {
    pub(super) name: Option<String>,
    pub(super) array_uuid: Option<String>,
    timestamp_seconds: Option<u64>,
    main_path: Option<String>,
    main_uuid: Option<String>,
    main_sectors: Option<u64>,
    main_identity: Option<String>,
    spare_path: Option<String>,
    spare_uuid: Option<String>,
    spare_sectors: Option<u64>,
    spare_identity: Option<String>,
    sector_size_bytes: Option<u32>,
    entry_size_bytes: Option<u32>,
    capacity: Option<u32>,
    block_size_bytes: Option<u32>,
    region_a_sector: Option<u64>,
    region_b_sector: Option<u64>,
    region_sectors: Option<u64>,
    replacement_sector: Option<u64>,
    replacement_blocks: Option<u64>,
    needs_check: Option<bool>,
    features_compat: Option<u32>,
    features_ro_compat: Option<u32>,
    features_incompat: Option<u32>,
    main_form: Option<&'static str>,
    main_epoch: Option<u32>,
    main_verdict: Option<&'static str>,
}

/// A label of main, as a program reads it.
#[derive(Debug, Serialize)]
struct SeenLabel {
    end: &'static str,
    state: &'static str,
    reason: Option<String>,
    array_uuid: Option<String>,
    name: Option<String>,
    form: Option<&'static str>,
    main_epoch: Option<u32>,
    sealed: Option<bool>,
    identity: Option<String>,
}

#[derive(Debug, Serialize)]
struct SeenHeader {
    region: String,
    sector: u64,
    state: &'static str,
    reason: Option<String>,
}

/// A finding as a program reads it.
#[derive(Debug, Serialize)]
pub(super) struct SeenFinding {
    id: &'static str,
    severity: &'static str,
    /// How sure it is: `certain` or `likely`.
    certainty: Option<&'static str>,
    summary: String,
    meaning: Option<&'static str>,
    advice: String,
}

impl Seen {
    /// What `seen` tells a program.
    pub fn new(seen: &Inspection) -> Self {
        Self {
            device: path_text(&seen.path),
            size_sectors: seen.size.get(),
            size_bytes: seen.size.bytes(),
            logical_block_bytes: seen.logical_block.bytes(),
            verdict: seen.verdict().name(),
            copies_verdict: seen.judgement.verdict.name(),
            format: format_name(seen),
            working_sequence: seen.judgement.sequence.map(|sequence| sequence.get()),
            winners: seen.judgement.winner_count(),
            token: seen.token(),
            identity: (!seen.identity.is_none()).then(|| seen.identity.to_string()),
            signatures: seen.signatures.as_deref().map(signatures_json),
            copies: Slot::ALL.map(|slot| SeenCopy::new(seen, slot)),
            fields: Fields::new(seen),
            headers: seen.headers.iter().map(SeenHeader::new).collect(),
            labels: labels(seen),
            findings: findings_json(&seen.findings),
        }
    }
}

impl SeenCopy {
    fn new(seen: &Inspection, slot: Slot) -> Self {
        let (raw, errno) = match seen.survey.slots.get(slot) {
            Reading::Read { raw, .. } => (Some(raw), None),
            Reading::Unreadable(errno) => (None, Some(errno.get())),
        };
        Self {
            slot: slot.index(),
            sector: slot.sector().get(),
            state: seen.judgement.states.get(slot).name(),
            winner: *seen.judgement.winners.get(slot),
            sequence: copy_sequence(seen, slot),
            checksum_stored: raw.map(stored_checksum),
            checksum_computed: raw.map(computed_checksum),
            bytes_off: seen.bytes_off(slot),
            errno,
            reason: seen.reason(slot),
        }
    }
}

impl Fields {
    fn new(seen: &Inspection) -> Self {
        let superblock = seen.superblock.as_ref();
        let extension = superblock.and_then(|superblock| superblock.extension.as_ref());
        let layout = extension.map(|extension| &extension.layout);
        let text =
            |field: fn(&Superblock) -> &[u8]| superblock.map(|s| escape(field(s)).into_owned());
        Self {
            name: seen.name.clone(),
            array_uuid: seen.array_uuid().map(|uuid| uuid.to_string()),
            timestamp_seconds: superblock.map(|s| s.timestamp.get()),
            main_path: text(|s| s.main_path.trimmed()),
            main_uuid: text(|s| s.main_uuid.trimmed()),
            main_sectors: superblock.map(|s| s.main_sectors.get()),
            main_identity: extension.map(|e| e.main_identity.to_string()),
            spare_path: text(|s| s.spare_path.trimmed()),
            spare_uuid: text(|s| s.spare_uuid.trimmed()),
            spare_sectors: superblock.map(|s| s.spare_sectors.get()),
            spare_identity: extension.map(|e| e.spare_identity.to_string()),
            sector_size_bytes: superblock.map(|s| s.sector_size.bytes()),
            entry_size_bytes: superblock.map(|s| s.entry_size),
            capacity: superblock.map(|s| s.capacity),
            block_size_bytes: layout.map(|l| l.block_size.bytes()),
            region_a_sector: layout.map(|l| l.region_a.get()),
            region_b_sector: layout.map(|l| l.region_b.get()),
            region_sectors: layout.map(|l| l.region_sectors().get()),
            replacement_sector: layout.map(|l| l.replacement.get()),
            replacement_blocks: layout.map(|l| l.replacement_blocks.get()),
            needs_check: extension.map(|e| e.needs_check),
            features_compat: extension.map(|e| e.features.compat),
            features_ro_compat: extension.map(|e| e.features.ro_compat),
            features_incompat: extension.map(|e| e.features.incompat),
            main_form: superblock.map(|s| s.main_form().name()),
            main_epoch: extension.map(|e| e.main_epoch),
            main_verdict: seen.main_verdict().map(MainVerdict::name),
        }
    }
}

/// The two ends of a disk that says at either of them that it is a main.
fn labels(seen: &Inspection) -> Vec<SeenLabel> {
    let both = seen.labels.as_deref().filter(|_| seen.label().is_some());
    let both = both.into_iter().flatten();
    both.zip(End::ALL)
        .map(|(reading, end)| SeenLabel::new(reading, end))
        .collect()
}

/// Why one end of main shows no label to be believed.
pub(super) fn label_reason(reading: &LabelReading) -> Option<String> {
    match reading {
        LabelReading::Label(_) | LabelReading::Blank | LabelReading::Unsupported => None,
        LabelReading::Foreign(signature) => Some(signature.to_string()),
        LabelReading::Flawed(flaw) => Some(flaw.to_string()),
        LabelReading::Unreadable(errno) => Some(errno.to_string()),
    }
}

impl SeenLabel {
    fn new(reading: &LabelReading, end: End) -> Self {
        let label = reading.label();
        Self {
            end: end.name(),
            state: reading.name(),
            reason: label_reason(reading),
            array_uuid: label.map(|label| label.array.to_string()),
            name: label.map(|label| escape(label.name.trimmed()).into_owned()),
            form: label.map(|label| label.form.name()),
            main_epoch: label.map(|label| label.epoch),
            sealed: label.map(|label| label.sealed),
            identity: label
                .filter(|label| !label.identity.is_none())
                .map(|label| label.identity.to_string()),
        }
    }
}

impl SeenHeader {
    fn new(read: &HeaderReading) -> Self {
        Self {
            region: read.region.to_string(),
            sector: read.at.get(),
            state: if read.header.is_ok() {
                "valid"
            } else {
                "corrupt"
            },
            reason: read.header.as_ref().err().map(ToString::to_string),
        }
    }
}

/// Findings as a program reads them.
pub(super) fn findings_json(findings: &[Finding]) -> Vec<SeenFinding> {
    findings.iter().map(SeenFinding::new).collect()
}

impl SeenFinding {
    fn new(finding: &Finding) -> Self {
        let guide = guide(finding.id);
        Self {
            id: finding.id,
            severity: finding.severity.name(),
            certainty: guide.map(|guide| guide.certainty.name()),
            summary: finding.summary.clone(),
            meaning: guide.map(|guide| guide.meaning),
            advice: finding.advice.clone(),
        }
    }
}

/// Which of the two formats the winning copy is in.
pub fn format_name(seen: &Inspection) -> Option<&'static str> {
    let superblock = seen.superblock.as_ref()?;
    Some(if superblock.extension.is_some() {
        "checksummed"
    } else {
        "plain"
    })
}

/// The sequence of a copy that can be believed.
pub(super) fn copy_sequence(seen: &Inspection, slot: Slot) -> Option<u64> {
    if *seen.judgement.winners.get(slot) {
        // Winners are of one sequence; there is no need to read one again for it.
        return seen.judgement.sequence.map(|sequence| sequence.get());
    }
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
