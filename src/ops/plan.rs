//! A plan: what would be done, decided from what was read, and not begun.

use std::path::{Path, PathBuf};

use super::look::shown;
use super::refusal::Refusal;
use super::step::{Basis, Step};
use super::{command, Operation};
use crate::format::backup::SavedRange;
use crate::inspect::Inspection;
use crate::port::journal::ActionId;
use crate::port::{Activation, Host};
use crate::remap_core::layout::Layout;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::superblock::COPY_BYTES;
use crate::remap_core::units::{BlockSize, Sector, Sectors, Slot};
use crate::table_line::TableLine;

/// Bytes that a plan writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedWrite {
    /// On which device.
    pub device: PathBuf,
    /// From where on.
    pub at: Sector,
    /// How much.
    pub sectors: Sectors,
    /// What is written there, in a few words.
    pub what: String,
}

impl PlannedWrite {
    /// The first byte, and the byte behind the last one.
    pub fn bytes(&self) -> std::ops::Range<u64> {
        let start = self.at.byte_offset().unwrap_or(u64::MAX);
        start..start.saturating_add(self.sectors.bytes().unwrap_or(u64::MAX))
    }
}

/// The two disks of a mapped device that a plan brings up, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Main.
    pub main: PathBuf,
    /// The spare.
    pub spare: PathBuf,
    /// The table line, with the disks as they are named here.
    pub table: String,
}

/// What would be done. Made without opening anything for writing.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What was asked for.
    pub operation: Operation,
    /// What it comes to, in a few words.
    pub title: String,
    /// The device that is written, if any is.
    pub device: Option<PathBuf>,
    /// The mapped device, where its name is known.
    pub name: Option<String>,
    /// What must be typed first; none where nothing is at stake.
    pub token: Option<String>,
    /// What may be typed in its place: a new device has no name yet but the one it is
    /// to get, and whoever looks at the disk knows it by its own.
    pub token_aliases: Vec<String>,
    /// Whether the device is in use by an active target while it is written.
    pub live: bool,
    /// The mapped device that is brought up, if one is.
    pub joined: Option<Joined>,
    /// How the spare is divided from now on, where that is decided here.
    pub layout: Option<Layout>,
    /// Every byte that is written, in the order of the disk.
    pub writes: Vec<PlannedWrite>,
    /// What the copies were judged before.
    pub before: Option<Verdict>,
    /// What they will be judged afterwards.
    pub predicted: Option<Verdict>,
    /// What else an operator should know before saying yes.
    pub notes: Vec<String>,
    /// What is not certain, where the operator's word must do.
    pub doubts: Vec<String>,
    /// Whether the journal will hold what takes it back.
    pub undoable: bool,
    /// What a target will overwrite, kept before it is asked to.
    pub(super) kept: Option<Box<Kept>>,
    /// The action that is taken back by asking a target.
    pub(super) undoes: Option<ActionId>,
    /// The command line that does the same.
    pub command: String,
    /// What is done, in order. Nothing, where everything is as it was asked already.
    pub(super) steps: Vec<Step>,
}

impl Plan {
    /// Whether there is anything to be done.
    pub fn is_needed(&self) -> bool {
        !self.steps.is_empty()
    }

    /// How many bytes are written in all.
    pub fn bytes_written(&self) -> u64 {
        let lengths = self.writes.iter().map(|write| write.bytes());
        lengths.fold(0, |sum, range| sum.saturating_add(range.end - range.start))
    }

    /// Whether this plan writes to the device at `path`.
    pub fn writes_to(&self, path: &Path) -> bool {
        self.device.as_deref() == Some(path)
    }

    /// Takes the operator's word. `typed` is what was typed, if anything was asked.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if something must be typed and this is not it.
    pub fn confirm(self, typed: Option<&str>) -> Result<Confirmed, Refusal> {
        let mut tokens = self.token.iter().chain(&self.token_aliases);
        let mut is_right = |typed: &str| tokens.any(|token| token == typed);
        match (&self.token, typed) {
            (Some(token), Some(typed)) if !is_right(typed) => {
                Err(Refusal::wrong_token(token, typed))
            }
            (Some(token), None) => Err(Refusal::not_confirmed(token, &self.doubts)),
            _ => Ok(Confirmed(self)),
        }
    }
}

/// Ranges of a device that a target will overwrite, and what it will leave there.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// The device.
    pub(super) path: PathBuf,
    /// What the plan was made from.
    pub(super) basis: Basis,
    /// What will lie there.
    pub(super) after: Vec<SavedRange>,
}

/// A plan in the making.
#[derive(Debug)]
pub(super) struct Draft(Plan);

impl Draft {
    /// A plan that does nothing yet.
    pub(super) fn new(operation: &Operation, title: impl Into<String>) -> Self {
        Self(Plan {
            operation: operation.clone(),
            title: title.into(),
            device: None,
            name: None,
            token: None,
            token_aliases: Vec::new(),
            live: false,
            joined: None,
            layout: None,
            writes: Vec::new(),
            before: None,
            predicted: None,
            notes: Vec::new(),
            doubts: Vec::new(),
            undoable: false,
            kept: None,
            undoes: None,
            command: String::new(),
            steps: Vec::new(),
        })
    }

    /// Takes over what was seen of the spare that the plan is about.
    pub(super) fn seen(&mut self, inspection: &Inspection) {
        self.0.device = Some(inspection.path.clone());
        self.0.name = inspection.name.clone();
        self.0.before = Some(inspection.verdict());
    }

    /// Brings up a mapped device of `main`, whose size and logical block are these.
    pub(super) fn activate(
        &mut self,
        activation: Activation,
        (size, larger): (Sectors, BlockSize),
        stored: Option<BlockSize>,
    ) {
        let line = TableLine::settle(size, larger, stored, &activation.options);
        let (main, spare) = (shown(&activation.main), shown(&activation.spare));
        self.0.joined = Some(Joined {
            table: line.text(&main, &spare),
            main: activation.main.clone(),
            spare: activation.spare.clone(),
        });
        self.0.steps.push(Step::Activate(activation));
    }

    /// The plan, with the command line that does the same on this host.
    pub(super) fn finish(self, host: &dyn Host) -> Plan {
        let mut plan = self.0;
        plan.command = command::line_of(&plan.operation, host.lab_directory());
        plan.writes
            .sort_by(|one, other| (&one.device, one.at).cmp(&(&other.device, other.at)));
        plan.notes.extend(plan.doubts.iter().cloned());
        plan
    }
}

impl std::ops::Deref for Draft {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.0
    }
}

impl std::ops::DerefMut for Draft {
    fn deref_mut(&mut self) -> &mut Plan {
        &mut self.0
    }
}

/// The planned writes of whole copies.
pub(super) fn copy_writes(
    path: &Path,
    slots: &[Slot],
    what: impl Fn(Slot) -> String,
) -> Vec<PlannedWrite> {
    let write = |slot: &Slot| PlannedWrite {
        device: path.to_owned(),
        at: slot.sector(),
        sectors: Sectors::from_bytes(COPY_BYTES as u64),
        what: what(*slot),
    };
    slots.iter().map(write).collect()
}

/// A plan that the operator said yes to.
#[derive(Clone, Debug)]
pub struct Confirmed(pub(super) Plan);

impl Confirmed {
    /// What was said yes to.
    pub fn plan(&self) -> &Plan {
        &self.0
    }
}

/// What came of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its number in the journal; none where nothing was done.
    pub action: Option<ActionId>,
    /// What came of it, in a few words.
    pub summary: String,
    /// What else is worth saying.
    pub details: Vec<String>,
    /// The mapped device.
    pub name: Option<String>,
    /// What the copies were judged afterwards.
    pub verdict: Option<Verdict>,
    /// Whether anything changed.
    pub changed: bool,
}
