// SPDX-License-Identifier: GPL-2.0-or-later
//! What a target keeps account of, and how its status is made from that.

use crate::remap_core::quorum::{Judgement, Verdict};
use crate::remap_core::repair::Phase;
use crate::remap_core::status::{Mode, RepairStatus, Status};
use crate::remap_core::units::{Blocks, Millis, PerSlot, Sequence, Slot};

/// What a target counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Blocks of main that failed to be written.
    pub write_errors: u64,
    /// Blocks of main that failed to be read.
    pub read_errors: u64,
    /// Scrubs that ended.
    pub scrubs: u64,
    /// Scrubs that found damage.
    pub corruption_detected: u64,
    /// Repairs after which everything was intact.
    pub repairs_completed: u64,
    /// Repairs tried.
    pub repair_attempts: u64,
}

/// What the copies were judged when they were last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What they say together.
    pub verdict: Verdict,
    /// What each is worth.
    pub copies: PerSlot<char>,
}

impl Judged {
    /// Before anybody looked.
    pub const NOTHING: Self = Self {
        verdict: Verdict::None,
        copies: PerSlot::new(['-'; Slot::COUNT]),
    };
}

impl From<&Judgement> for Judged {
    fn from(judgement: &Judgement) -> Self {
        Self {
            verdict: judgement.verdict,
            copies: judgement.states.map(|_, state| state.letter()),
        }
    }
}

/// How many blocks the remap table holds of each kind; none where there is no table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableUse {
    /// Blocks served from the spare.
    pub active: Blocks,
    /// Blocks that the next write moves to the spare.
    pub pending: Blocks,
    /// Replacement blocks that are not free.
    pub used: Blocks,
    /// Replacement blocks in all.
    pub total: Blocks,
}

/// How long ago or ahead something is, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Since the last scrub ended.
    pub last_scrub: Option<u64>,
    /// Until the next scrub.
    pub next_scrub: Option<u64>,
    /// Since the last repair completed.
    pub last_repair: Option<u64>,
}

/// Everything that a status tells, but for what follows from the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// What the target lets through.
    pub mode: Mode,
    /// What the copies were judged.
    pub judged: Judged,
    /// The sequence of the copies; none without metadata.
    pub sequence: Option<Sequence>,
    /// What the remap table holds.
    pub table: TableUse,
    /// What was counted.
    pub counters: Counters,
    /// The table contradicted itself.
    pub needs_check: bool,
    /// Main fails as a whole.
    pub main_suspect: bool,
    /// The spare fails.
    pub spare_failing: bool,
}

impl Account {
    /// The status as of now.
    pub fn status(&self, repair: RepairStatus, times: Times) -> Status {
        let Self {
            judged,
            table,
            counters,
            ..
        } = self;
        Status {
            mode: self.mode,
            verdict: judged.verdict,
            copies: judged.copies,
            sequence: self.sequence.unwrap_or_default(),
            active: table.active,
            pending: table.pending,
            used: table.used,
            total: table.total,
            write_errors: counters.write_errors,
            read_errors: counters.read_errors,
            scrubs: counters.scrubs,
            corruption_detected: counters.corruption_detected,
            repairs_completed: counters.repairs_completed,
            repair_attempts: counters.repair_attempts,
            repair,
            last_scrub: times.last_scrub,
            next_scrub: times.next_scrub,
            last_repair: times.last_repair,
            needs_check: self.needs_check,
            main_suspect: self.main_suspect,
            spare_failing: self.spare_failing,
        }
    }
}

impl Mode {
    /// What a target lets through: what is read-only stays so, and without a table
    /// nothing can be remapped.
    pub const fn of(is_read_only: bool, has_table: bool) -> Self {
        match (is_read_only, has_table) {
            (true, _) => Self::ReadOnly,
            (false, true) => Self::ReadWrite,
            (false, false) => Self::PassThrough,
        }
    }
}

impl RepairStatus {
    /// Where the repair stands, at an uptime of `now`.
    pub const fn of(phase: Phase, now: Millis) -> Self {
        match phase {
            Phase::Idle => Self::Idle,
            Phase::Waiting { attempt, due } => Self::Waiting {
                attempt,
                in_millis: due.get().saturating_sub(now.get()),
            },
            Phase::GaveUp => Self::GaveUp,
        }
    }
}
