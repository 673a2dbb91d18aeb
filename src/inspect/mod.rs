//! A device, its five copies, what they are worth and what that means: one value for
//! the screen, the reports and the plans.
//!
//! Looking never fails: what cannot be read is part of what was seen. Nothing here
//! writes, and nothing here decides what may be written.

mod finding;
mod former;
mod guide;
mod heal;
mod held_lints;
mod lints;
mod log_lints;
mod mains;
mod mentions;
mod scan;
mod standing;
#[cfg(test)]
pub(crate) mod standing_cases;
mod status_lints;
mod table;
mod why;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use crate::remap_core::params::{check_name, NameError};
pub use finding::{sort as sort_findings, Finding};
pub use guide::{guide, Certainty, Guide, GUIDES};
pub use heal::{healing, Healing, Rewrite};
pub use held_lints::{held_main, HeldMain, KnownMain};
pub(crate) use lints::{foreign_places, recoverable_in_words};
pub use lints::{idle_main, name_copies};
pub use log_lints::{journal_finding, log_findings};
pub use mains::{MainMatch, Mains};
pub use mentions::{mentions, Contents, DiskName, Leads, Mention};
pub use scan::{look_at_each, open_each, scan_all, Array, Scan, Scanned};
pub use standing::{standing, Disk, Loss, Matter, Repair};
pub use status_lints::status_findings;
use table::inspect_table_until;
pub use table::{inspect_table, EntryCounts, Extent, TableInspection};
pub use why::verdict_reason;

use crate::port::block::{Instance, Signature, SignatureUse};
use crate::port::slots::{find_headers, judged_survey, read_header, read_labels};
use crate::port::{identity, BlockStore};
use crate::remap_core::label::{Label, LabelReading};
use crate::remap_core::layout::Region;
use crate::remap_core::main_verdict::MainVerdict;
use crate::remap_core::quorum::{Judgement, Reading, Survey, Verdict};
use crate::remap_core::remap_table::{BlockFlaw, RegionHeader};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{ArrayUuid, BlockSize, IdentityDigest, Sector, Sectors, Slot};
use crate::remap_core::verdict::{Evidence, TableState};
use crate::stop::Stop;

/// How much is read of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Everything that the verdict rests on: of a device that is not ours, the five slots.
    Scan,
    /// Also what others wrote on a device that is not ours.
    Full,
}

/// Everything that was seen of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Path by which it was opened.
    pub path: PathBuf,
    /// Its size.
    pub size: Sectors,
    /// The smallest unit that can be written.
    pub logical_block: BlockSize,
    /// Digest of what is stable about it.
    pub identity: IdentityDigest,
    /// The device or file that was opened.
    pub instance: Option<Instance>,
    /// Signatures that others wrote on it; `None` where nobody looked for that, or
    /// it could not be looked over. Of a device that is ours each place is one, and what
    /// lies in a block of main's that was moved here is none.
    pub signatures: Option<Vec<Signature>>,
    /// The two ends where a main bears labels; none on a device that is ours otherwise.
    pub labels: Option<Box<[LabelReading; 2]>>,
    /// The five slots as they were read.
    pub survey: Box<Survey>,
    /// Judgement on the copies alone, by which they are written.
    pub judgement: Judgement,
    /// The winning copy.
    pub superblock: Option<Superblock>,
    /// The region headers that were read, or found where no copy says where they are.
    pub headers: Vec<HeaderReading>,
    /// The remap table, as far as a target reads it to come up; none where no copy wins, and
    /// in plain v4.
    pub table: Option<TableInspection>,
    /// Main, where it was found.
    pub main: Option<MainSeen>,
    /// The mapped device's name, as a valid header of the same array has it; only if
    /// it can be one.
    pub name: Option<String>,
    /// Findings, most urgent first.
    pub findings: Vec<Finding>,
}

/// Properties of a main by which a target takes or refuses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MainSeen {
    /// Its size.
    pub size: Sectors,
    /// Bytes of the smallest unit that it writes.
    pub block_bytes: u32,
    /// Its two ends, where they were looked at.
    pub labels: Option<Box<[LabelReading; 2]>>,
}

impl From<&dyn BlockStore> for MainSeen {
    fn from(store: &dyn BlockStore) -> Self {
        Self {
            size: store.size(),
            block_bytes: store.logical_block().bytes(),
            labels: Some(Box::new(read_labels(store))),
        }
    }
}

/// Reading of a region's header block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderReading {
    /// The region that it heads.
    pub region: Region,
    /// Sector from which it was read.
    pub at: Sector,
    /// The header, if it can be believed.
    pub header: Result<Box<RegionHeader>, BlockFlaw>,
}

/// Looks at an opened device as closely as can be without reading all of its remap table.
pub fn inspect(store: &dyn BlockStore, path: &Path) -> Inspection {
    look(store, path, Depth::Full)
}

/// Looks at an opened device.
pub fn look(store: &dyn BlockStore, path: &Path, depth: Depth) -> Inspection {
    look_until(store, path, depth, &Stop::default())
}

/// The same, up to where nobody waits for it any more: what was seen is not whole then.
pub fn look_until(store: &dyn BlockStore, path: &Path, depth: Depth, stop: &Stop) -> Inspection {
    let (survey, judgement) = judged_survey(store);
    let survey = Box::new(survey);
    let superblock = judgement.superblock(&survey);
    let headers = read_headers(store, &judgement, superblock.as_ref());
    let in_use = |superblock| inspect_table_until(store, superblock, Extent::InUse, stop);
    let mut inspection = Inspection {
        path: path.to_owned(),
        size: store.size(),
        logical_block: store.logical_block(),
        identity: store.identity(),
        instance: store.instance(),
        signatures: None,
        labels: None,
        table: superblock.as_ref().and_then(in_use),
        main: None,
        name: name_of(&headers),
        survey,
        judgement,
        superblock,
        headers,
        findings: Vec::new(),
    };
    if inspection.is_ours() {
        inspection.signatures = signatures_beside(store, &inspection);
    } else {
        inspection.labels = Some(Box::new(read_labels(store)));
        if depth == Depth::Full {
            inspection.look_for_signatures(store);
        }
    }
    inspection.judge_anew();
    inspection
}

/// Signatures of others on a device that is ours, place by place.
fn signatures_beside(store: &dyn BlockStore, seen: &Inspection) -> Option<Vec<Signature>> {
    let mut found = store.signature_places().ok()?;
    if *seen.judgement.winners.get(Slot::S0) {
        // Partition tables of other kinds begin where copy 0 lies.
        found.retain(|it| it.used_for != SignatureUse::PartitionTable || it.kind == "gpt");
    }
    if let (false, Some(superblock)) = (found.is_empty(), &seen.superblock) {
        let winners = &seen.judgement.winners;
        let is_ours = |at| table::is_of_ours(store, superblock, winners, at);
        found.retain(|signature| !signature.at.is_some_and(is_ours));
    }
    Some(found)
}

fn read_headers(
    store: &dyn BlockStore,
    judgement: &Judgement,
    superblock: Option<&Superblock>,
) -> Vec<HeaderReading> {
    let Some(superblock) = superblock else {
        if judgement.verdict == Verdict::None {
            return Vec::new();
        }
        let found = find_headers(store).filter_map(|header| {
            Some(HeaderReading {
                region: header.region,
                at: header.superblock.layout()?.region_start(header.region),
                header: Ok(Box::new(header)),
            })
        });
        return former::present(store, found.collect());
    };
    let Some((layout, array)) = superblock.layout().zip(superblock.array_uuid()) else {
        return Vec::new();
    };
    let read = |region| {
        let at = layout.region_start(region);
        let header = read_header(store, region, at).and_then(|header| belongs(header, array));
        HeaderReading { region, at, header }
    };
    Region::ALL.into_iter().map(read).collect()
}

fn belongs(header: RegionHeader, array: ArrayUuid) -> Result<Box<RegionHeader>, BlockFlaw> {
    match header.array() {
        Some(of) if of == array => Ok(Box::new(header)),
        of => Err(BlockFlaw::Array(of.unwrap_or_default())),
    }
}

fn name_of(headers: &[HeaderReading]) -> Option<String> {
    let newest = newest_header(headers, None)?;
    let name = newest.name.trimmed();
    check_name(name).ok()?;
    String::from_utf8(name.to_vec()).ok()
}

/// The valid header of the highest sequence, region A's among equals: of this array where one
/// is named, else of the only one there is.
fn newest_header(headers: &[HeaderReading], of: Option<ArrayUuid>) -> Option<&RegionHeader> {
    let valid = || {
        let valid = headers.iter();
        valid.filter_map(|read| read.header.as_deref().ok())
    };
    let of = match of {
        Some(of) => of,
        None => {
            let first = valid().next()?.array()?;
            valid()
                .all(|it| it.array() == Some(first))
                .then_some(first)?
        }
    };
    let valid = valid().filter(|header| header.array() == Some(of));
    valid.reduce(|best, next| {
        if next.superblock.sequence > best.superblock.sequence {
            next
        } else {
            best
        }
    })
}

impl Inspection {
    /// The verdict on the device. That of the copies alone, by which they are written, is
    /// in `judgement`.
    pub fn verdict(&self) -> Verdict {
        self.evidence().verdict()
    }

    /// Evidence for the verdict.
    pub fn evidence(&self) -> Evidence {
        Evidence {
            copies: self.judgement.verdict,
            table: self.table_state(),
            fits: self.fits(),
            foreign: self.is_ours() && self.signatures.iter().flatten().next().is_some(),
            main: self.main_verdict(),
        }
    }

    /// The verdict on main by its labels; none where it bears none, or was not looked at.
    pub fn main_verdict(&self) -> Option<MainVerdict> {
        self.main_verdict_of(self.main.as_ref()?)
    }

    /// The same of a disk that may be main.
    pub fn main_verdict_of(&self, main: &MainSeen) -> Option<MainVerdict> {
        let superblock = self.superblock.as_ref();
        let superblock = superblock.filter(|it| it.main_form().has_labels())?;
        Some(MainVerdict::of_readings(
            main.labels.as_deref()?,
            superblock,
        ))
    }

    /// The name of the mapped device that it is part of: of a spare its own, of a main that of
    /// its label.
    pub fn known_name(&self) -> Option<&str> {
        let of_label = || {
            let name = self.label()?.name.trimmed();
            check_name(name).ok()?;
            std::str::from_utf8(name).ok()
        };
        self.name.as_deref().or_else(of_label)
    }

    /// The label by which the device says that it is main of an array, if it bears one.
    pub fn label(&self) -> Option<&Label> {
        self.labels
            .iter()
            .flat_map(|both| both.iter())
            .find_map(LabelReading::label)
    }

    /// The state of the remap table with its headers.
    fn table_state(&self) -> TableState {
        let extension = self
            .superblock
            .as_ref()
            .and_then(|it| it.extension.as_ref());
        let header = match self.headers.iter().any(|read| read.header.is_err()) {
            true => TableState::Damaged,
            false => TableState::Intact,
        };
        let noted = match extension.is_some_and(|it| it.needs_check) {
            true => TableState::Contradicted,
            false => TableState::Intact,
        };
        let table = self.table.as_ref().map(TableInspection::state);
        table.unwrap_or_default().max(header).max(noted)
    }

    /// Tells whether the spare, and main where it was found, are what the metadata was written for.
    fn fits(&self) -> bool {
        self.spare_fits() && self.main_fits()
    }

    /// Tells whether the spare is what the metadata was written for.
    pub fn spare_fits(&self) -> bool {
        self.stated().is_none_or(|(superblock, unit)| {
            self.size == superblock.spare_sectors && self.logical_block <= unit
        })
    }

    /// Tells whether main, where it was found, is what the metadata was written for.
    pub fn main_fits(&self) -> bool {
        let stated = self.stated().zip(self.main.as_ref());
        stated.is_none_or(|((superblock, unit), main)| {
            main.size == superblock.main_sectors && main.block_bytes <= unit.bytes()
        })
    }

    /// The winning copy and its remap unit. Plain v4 has nothing that depends on what it says
    /// of the disks.
    fn stated(&self) -> Option<(&Superblock, BlockSize)> {
        let superblock = self.superblock.as_ref()?;
        Some((superblock, superblock.layout()?.block_size))
    }

    /// Makes the findings anew, after more of the device was seen.
    pub(crate) fn judge_anew(&mut self) {
        self.findings = lints::findings(self);
    }

    /// Judges the device with main as it was found.
    pub fn judge_with_main(&mut self, main: Option<MainSeen>) {
        self.main = main;
        self.judge_anew();
    }

    /// Tells whether anything here says that the device is ours.
    pub fn is_ours(&self) -> bool {
        self.judgement.verdict != Verdict::None
    }

    /// Looks for what others wrote on a device that is not ours. Of ours that was seen with
    /// the rest.
    pub fn look_for_signatures(&mut self, store: &dyn BlockStore) {
        if !self.is_ours() && self.signatures.is_none() {
            self.signatures = store.signatures().ok();
        }
    }

    /// Whether the device is the one that `known` was made from: by what is stable about
    /// it, or by the file system on it.
    pub fn is_known_as(&self, known: &IdentityDigest) -> bool {
        let of_contents = || self.signatures.as_deref().map(identity::of_contents);
        !known.is_none() && (self.identity == *known || of_contents() == Some(*known))
    }

    /// Whether the device may be the one that `known` was made from although it is not
    /// known as such: it was known by its file system alone, and another may have been
    /// made on it since.
    pub fn may_be_known_as(&self, known: &IdentityDigest) -> bool {
        identity::is_of_contents(known) && self.identity.is_none()
    }

    /// The identity of main that the winning copy tells.
    pub fn main_identity(&self) -> IdentityDigest {
        let extension = self.superblock.and_then(|superblock| superblock.extension);
        extension.map_or(IdentityDigest::NONE, |extension| extension.main_identity)
    }

    /// What the device is known by as a main: what is stable about it, or as a last
    /// resort the file system on it. A spare is not known by what it holds, which the
    /// metadata replaces.
    pub fn identity_as_main(&self) -> IdentityDigest {
        match (&self.signatures, self.identity.is_none()) {
            (Some(signatures), true) => identity::of_contents(signatures),
            _ => self.identity,
        }
    }

    /// Tells whether a signature on it has this UUID, as far as was looked.
    pub fn holds(&self, uuid: &str) -> bool {
        let mut signatures = self.signatures.iter().flatten();
        signatures.any(|signature| {
            let has = signature.uuid.as_deref();
            has.is_some_and(|has| has.eq_ignore_ascii_case(uuid))
        })
    }

    /// The array's UUID, from the winning copy or, without one, from a region header.
    pub fn array_uuid(&self) -> Option<ArrayUuid> {
        match &self.superblock {
            Some(superblock) => superblock.array_uuid(),
            None => self.recoverable()?.array(),
        }
    }

    /// The remap unit that the winning copy states; plain v4 states none.
    pub fn remap_unit(&self) -> Option<BlockSize> {
        Some(self.superblock.as_ref()?.layout()?.block_size)
    }

    /// Blocks of main that the remap table tells to be lost: unreadable, and not on the spare.
    pub fn lost_blocks(&self) -> u64 {
        self.table.as_ref().map_or(0, |table| table.counts.pending)
    }

    /// The region header from which lost copies could be rebuilt: the valid one of the
    /// highest sequence. `None` where headers of several arrays are left, and nothing tells
    /// which is the present one: see [`Inspection::recoverable_arrays`].
    pub fn recoverable(&self) -> Option<&RegionHeader> {
        newest_header(&self.headers, None)
    }

    /// The region header from which the copies of this array could be rebuilt.
    pub fn recoverable_as(&self, array: ArrayUuid) -> Option<&RegionHeader> {
        newest_header(&self.headers, Some(array))
    }

    /// Every array of which copies could be rebuilt.
    pub fn recoverable_arrays(&self) -> Vec<ArrayUuid> {
        let valid = self.headers.iter();
        let valid = valid.filter_map(|read| read.header.as_deref().ok()?.array());
        let arrays: BTreeSet<ArrayUuid> = valid.collect();
        arrays.into_iter().collect()
    }

    /// What must be typed before the device is changed: the mapped device's name where
    /// the metadata tells one, else the last component of the path.
    pub fn token(&self) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| last_component(&self.path))
    }

    /// Why the copy in `slot` is worth less than it could be; `None` for a good one.
    pub fn reason(&self, slot: Slot) -> Option<String> {
        lints::reason(self, slot)
    }

    /// How many of a copy's 512 bytes differ from the winning copy's, brought to the
    /// same slot; `None` where there is no winner or nothing could be read.
    pub fn bytes_off(&self, slot: Slot) -> Option<usize> {
        if *self.judgement.winners.get(slot) {
            return Some(0);
        }
        let winning = self.judgement.winning_copy(&self.survey)?;
        let expected = crate::remap_core::superblock::readdress(winning, slot);
        match self.survey.slots.get(slot) {
            Reading::Read { raw, .. } => {
                let differing = raw
                    .iter()
                    .zip(&expected)
                    .filter(|(is, should)| is != should);
                Some(differing.count())
            }
            Reading::Unreadable(_) => None,
        }
    }

    /// Tells whether `slot` begins past the end of the device.
    pub fn is_past_end(&self, slot: Slot) -> bool {
        slot.sector().get() >= self.size.get()
    }
}

/// The last component of a path, escaped so that it can be shown and typed.
pub fn last_component(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    crate::text::escape_os(name).into_owned()
}
