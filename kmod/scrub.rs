// SPDX-License-Identifier: GPL-2.0-or-later
//! Looking for damage, and mending it: the copies, the region headers, the table
//! blocks of both regions.
//!
//! The engine's lock is taken for each step and given up in between, so that bios which
//! need it get on. Whoever scrubs, repairs or writes the copies holds the target's
//! maintenance lock all the while.

use core::fmt;

use kernel::error::Result;
use kernel::prelude::*;

use crate::dm::clock;
use crate::dm::device::Buffer;
use crate::engine::{Engine, Judged, Metadata};
use crate::log;
use crate::remap_core::commit::{self, Authority, Intent, NotBegun, Prepared, Refusal};
use crate::remap_core::event::Event;
use crate::remap_core::layout::Region;
use crate::remap_core::quorum::{Healing, Verdict};
use crate::remap_core::repair::{Next, Phase};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{Errno, Sequence, Slot};
use crate::store::{self, Slots, Spare, Surveyed};
use crate::table::OnDisk;
use crate::target::Joined;

/// The most damaged table blocks that one repair mends; the next attempt mends the rest.
const MOST_BLOCKS: usize = 1024;

/// Table blocks that are looked at before bios that wait for the worker are let through.
const BLOCKS_A_STEP: u32 = 16;

/// What a look at the spare found.
struct Findings {
    surveyed: Surveyed,
    /// Regions whose header block is not as it must be.
    headers: KVec<Region>,
    /// Table blocks that are damaged in at least one region.
    blocks: KVec<u32>,
    /// How many blocks of the table are damaged, headers and both regions counted.
    table_damage: u32,
    /// Whether somebody else wrote what is intact and not ours.
    contradiction: bool,
}

impl Findings {
    fn verdict(&self) -> Verdict {
        self.surveyed.judgement.verdict
    }

    fn damaged_copies(&self) -> u8 {
        (Slot::COUNT - self.surveyed.judgement.winner_count()) as u8
    }

    fn is_intact(&self) -> bool {
        self.verdict() == Verdict::Healthy && self.table_damage == 0
    }
}

/// Why the metadata was not mended or not written.
#[derive(Clone, Copy)]
pub enum WriteFailure {
    /// The rules do not allow it.
    Refused(Refusal),
    /// The slots changed while they were looked at.
    Stale,
    /// The spare gave an error.
    Spare(Errno),
    /// Everything was written, and not everything is intact.
    StillDamaged,
    /// Fewer copies than needed are durable.
    TooFew {
        /// How many are.
        durable: usize,
    },
    /// There is no memory.
    Memory,
    /// The device is suspended.
    Suspended,
}

impl fmt::Display for WriteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => fmt::Display::fmt(refusal, f),
            Self::Stale => f.write_str("the copies changed while they were looked at"),
            Self::Spare(errno) => write!(f, "the spare failed, {errno}"),
            Self::StillDamaged => f.write_str("damage is still there"),
            Self::TooFew { durable } => write!(f, "only {durable} of 5 copies are durable"),
            Self::Memory => f.write_str("out of memory"),
            Self::Suspended => f.write_str("the device is suspended"),
        }
    }
}

impl WriteFailure {
    /// What a message that fails so gives.
    pub fn error(self) -> Error {
        match self {
            Self::Refused(_) => EPERM,
            Self::Stale => ESTALE,
            Self::Spare(_) | Self::StillDamaged | Self::TooFew { .. } => EIO,
            Self::Memory => ENOMEM,
            Self::Suspended => EAGAIN,
        }
    }
}

impl Joined<'_> {
    /// Looks at everything, writes nothing. `None` where there is no metadata, or no
    /// memory to look with.
    fn look(&self) -> Option<Findings> {
        let mut buffer = Buffer::new(GFP_KERNEL).ok()?;
        let (surveyed, blocks) = {
            let engine = self.engine().lock();
            engine.superblock()?;
            let spare = Spare::new(self.spare(), &engine.faults);
            let surveyed = store::survey(&spare).ok()?;
            let layout = engine.table().map(|table| table.layout().table_blocks());
            (surveyed, layout)
        };
        let mut findings = Findings {
            surveyed,
            headers: KVec::new(),
            blocks: KVec::new(),
            table_damage: 0,
            contradiction: false,
        };
        findings.contradiction = self.is_another(&findings);
        self.look_at_headers(&mut findings, &mut buffer)?;
        let mut from = 0;
        while from < blocks.unwrap_or(0) {
            let until = blocks.unwrap_or(0).min(from + BLOCKS_A_STEP);
            if !self.look_at_blocks(&mut findings, from, until) {
                return None;
            }
            from = until;
        }
        Some(findings)
    }

    fn look_at_headers(&self, findings: &mut Findings, buffer: &mut Buffer) -> Option<()> {
        let engine = self.engine().lock();
        let Some(table) = engine.table() else {
            return Some(());
        };
        let spare = Spare::new(self.spare(), &engine.faults);
        for region in Region::ALL {
            let (layout, array) = (table.layout(), table.array());
            if store::header_name(&spare, layout, array, region, buffer).is_none() {
                findings.headers.push(region, GFP_KERNEL).ok()?;
                findings.table_damage += 1;
            }
        }
        Some(())
    }

    /// Looks at table blocks; returns whether to go on.
    fn look_at_blocks(&self, findings: &mut Findings, from: u32, until: u32) -> bool {
        let mut engine = self.engine().lock();
        if !engine.running {
            return false;
        }
        let Engine {
            metadata, faults, ..
        } = &mut *engine;
        let Metadata::Full(full) = metadata else {
            return false;
        };
        let spare = Spare::new(self.spare(), faults);
        for number in from..until {
            let held = full.table.compare(&spare, self.index(), number);
            let damaged = held.iter().filter(|held| **held == OnDisk::Damaged).count();
            findings.table_damage += damaged as u32;
            if damaged > 0 && findings.blocks.len() < MOST_BLOCKS {
                // What is not noted is found by the next look.
                let _ = findings.blocks.push(number, GFP_KERNEL);
            }
            findings.contradiction |= held.contains(&OnDisk::Contradicts);
        }
        true
    }

    /// Whether the copies that win are not those of the device that is up.
    fn is_another(&self, findings: &Findings) -> bool {
        let engine = self.engine().lock();
        match (findings.surveyed.superblock(), engine.superblock()) {
            (Some(found), Some(ours)) => {
                found.array_uuid() != ours.array_uuid() || found.layout() != ours.layout()
            }
            _ => false,
        }
    }

    /// Scrubs: looks at everything, tells of damage and schedules its repair. Under the
    /// maintenance lock.
    pub fn scrub(&self) {
        let found = self.look();
        let mut engine = self.engine().lock();
        let interval = u64::from(self.options().scrub_interval);
        engine.schedule.next_scrub = (interval > 0 && engine.superblock().is_some())
            .then(|| clock::uptime().after(interval.saturating_mul(1000)));
        let Some(found) = found else {
            return;
        };
        engine.take_findings(self, &found);
        engine.counters.scrubs += 1;
        engine.schedule.last_scrub = Some(clock::uptime());
        if found.is_intact() {
            if !engine.spare_fails {
                engine.schedule.backoff.found_intact();
            }
            engine.raise(self.number(), Event::ScrubClean);
            return;
        }
        engine.counters.corruption_detected += 1;
        let event = Event::CorruptionDetected {
            copies: found.damaged_copies(),
            table_blocks: found.table_damage,
        };
        engine.raise(self.number(), event);
        let copies = matches!(
            found.verdict().healing(),
            Healing::AfterBackup | Healing::RollForward
        );
        if copies || found.table_damage > 0 {
            engine.schedule_repair(self.number());
        }
    }

    /// Tries to mend everything: table and headers first, for the copies refer to them.
    /// An attempt is counted only where there is something to mend. Under the
    /// maintenance lock.
    ///
    /// # Errors
    ///
    /// [`WriteFailure`] says what stands against it; the back-off goes on.
    pub fn repair(&self, authority: Authority) -> Result<(), WriteFailure> {
        let found = self.look();
        let attempt = {
            let mut engine = self.engine().lock();
            if !engine.running {
                return Err(WriteFailure::Suspended);
            }
            let Some(found) = &found else {
                engine.schedule.backoff.found_intact();
                return Ok(());
            };
            if found.is_intact() && !engine.spare_fails {
                engine.judged = Judged::from(&*found.surveyed.judgement);
                engine.schedule.backoff.found_intact();
                return Ok(());
            }
            if found.contradiction {
                engine.contradicted(self.number());
            }
            engine.counters.repair_attempts += 1;
            match engine.schedule.backoff.phase() {
                Phase::Waiting { attempt, .. } => attempt,
                Phase::Idle | Phase::GaveUp => 1,
            }
        };
        let mut outcome = match &found {
            Some(found) => self.mend(found, authority),
            None => Err(WriteFailure::Memory),
        };
        let after = self.look();
        let mut engine = self.engine().lock();
        match &after {
            Some(after) => {
                engine.take_findings(self, after);
                if outcome.is_ok() && !after.is_intact() {
                    outcome = Err(WriteFailure::StillDamaged);
                }
            }
            None => outcome = outcome.and(Err(WriteFailure::Memory)),
        }
        engine.attempt_ended(self.number(), attempt, &outcome);
        outcome
    }

    fn mend(&self, found: &Findings, authority: Authority) -> Result<(), WriteFailure> {
        let prepared = self.prepare_healing(found, authority);
        self.mend_table(found)?;
        let prepared = prepared.map_err(WriteFailure::Refused)?;
        self.execute(&prepared, &found.surveyed)
    }

    /// The winners' content to every slot; where every copy is lost and a person asks,
    /// what the target itself knows.
    #[inline(never)]
    fn prepare_healing(
        &self,
        found: &Findings,
        authority: Authority,
    ) -> Result<KBox<Prepared>, Refusal> {
        let mut engine = self.engine().lock();
        let known = engine.superblock().map(|known| Superblock {
            sequence: engine.tried,
            ..*known
        });
        let intent = match (found.verdict(), &known) {
            (Verdict::Lost, Some(known)) if authority > Authority::Automatic => {
                Intent::Rebuild(known)
            }
            _ => Intent::Heal,
        };
        engine.prepare(&found.surveyed, intent, authority)
    }

    fn mend_table(&self, found: &Findings) -> Result<(), WriteFailure> {
        let mut blocks = KVec::new();
        let noted = blocks.extend_from_slice(&found.blocks, GFP_KERNEL);
        noted.map_err(|_| WriteFailure::Memory)?;
        {
            let engine = self.engine().lock();
            if engine.needs_check || engine.table().is_none() {
                // A contradiction is for a person to look at, not to be written over.
                return Ok(());
            }
            if engine.spare_fails && blocks.is_empty() {
                // A spare that failed is put to the test, even where all is intact.
                blocks.push(0, GFP_KERNEL).map_err(|_| WriteFailure::Memory)?;
            }
        }
        for number in blocks.iter() {
            self.mend_block(*number)?;
        }
        let mut buffer = Buffer::new(GFP_KERNEL).map_err(|_| WriteFailure::Memory)?;
        let mut engine = self.engine().lock();
        for region in found.headers.iter() {
            engine.write_header(self, *region, &mut buffer)?;
        }
        engine.spare_fails = false;
        Ok(())
    }

    fn mend_block(&self, number: u32) -> Result<(), WriteFailure> {
        let mut engine = self.engine().lock();
        if !engine.running {
            return Err(WriteFailure::Suspended);
        }
        let Engine {
            metadata, faults, ..
        } = &mut *engine;
        let Metadata::Full(full) = metadata else {
            return Ok(());
        };
        let spare = Spare::new(self.spare(), faults);
        let mended = full.table.mend(&spare, self.index(), number);
        mended.map_err(|failed| match failed.error {
            Some(errno) => WriteFailure::Spare(errno),
            None => WriteFailure::Refused(Refusal::SequenceExhausted),
        })
    }

    /// Writes the copies anew, at the next sequence. Under the maintenance lock.
    ///
    /// # Errors
    ///
    /// [`WriteFailure`] says what stands against it.
    pub fn advance(&self) -> Result<(), WriteFailure> {
        let surveyed = {
            let engine = self.engine().lock();
            let spare = Spare::new(self.spare(), &engine.faults);
            store::survey(&spare).map_err(|_| WriteFailure::Memory)?
        };
        let prepared = self
            .prepare_advance(surveyed)
            .map_err(WriteFailure::Refused)?;
        let (prepared, surveyed) = prepared;
        let outcome = self.execute(&prepared, &surveyed);
        let mut engine = self.engine().lock();
        engine.look_at_copies(self);
        outcome?;
        let sequence = prepared.sequence();
        engine.work_by_sequence(sequence);
        engine.raise(self.number(), Event::MetadataWritten { sequence });
        Ok(())
    }

    #[inline(never)]
    fn prepare_advance(
        &self,
        mut surveyed: Surveyed,
    ) -> Result<(KBox<Prepared>, Surveyed), Refusal> {
        let mut engine = self.engine().lock();
        let superblock = engine.superblock().map(|known| Superblock {
            sequence: engine.tried,
            timestamp: clock::now(),
            ..*known
        });
        let superblock = superblock.ok_or(Refusal::Mismatch)?;
        let intent = match surveyed.judgement.verdict {
            Verdict::Lost => Intent::Rebuild(&superblock),
            _ => {
                let judgement = &mut *surveyed.judgement;
                judgement.highest = judgement.highest.max(Some(engine.tried));
                Intent::Advance(&superblock)
            }
        };
        let prepared = engine.prepare(&surveyed, intent, Authority::Typed)?;
        Ok((prepared, surveyed))
    }

    /// Carries out a prepared write of the copies.
    ///
    /// # Errors
    ///
    /// [`WriteFailure`], if fewer copies than needed are durable.
    pub fn execute(&self, prepared: &Prepared, expected: &Surveyed) -> Result<(), WriteFailure> {
        let engine = self.engine().lock();
        if !engine.running {
            return Err(WriteFailure::Suspended);
        }
        let spare = Spare::new(self.spare(), &engine.faults);
        let mut slots = Slots::new(&spare).map_err(|_| WriteFailure::Memory)?;
        let committed = commit::execute(&mut slots, prepared, &expected.survey);
        let committed = committed.map_err(|error| match error {
            NotBegun::Stale => WriteFailure::Stale,
            NotBegun::Flush(errno) => WriteFailure::Spare(errno),
        })?;
        match (committed.is_acknowledged(), committed.error) {
            (true, _) => Ok(()),
            (false, Some(errno)) => Err(WriteFailure::Spare(errno)),
            (false, None) => Err(WriteFailure::TooFew {
                durable: committed.durable.count(|durable| *durable),
            }),
        }
    }

    /// Scrubs and repairs that are due, and what the worker was asked for.
    pub fn run_due(&self) {
        let (scrub, repair) = {
            let engine = self.engine().lock();
            if !engine.running {
                return;
            }
            let now = clock::uptime();
            let scrub = engine.schedule.next_scrub.is_some_and(|due| due <= now);
            (scrub, engine.schedule.backoff.is_due(now))
        };
        if scrub {
            self.scrub();
        }
        if repair {
            if let Err(why) = self.repair(Authority::Automatic) {
                log::warn(format_args!("{}: repair: {why}", self.number()));
            }
        }
    }
}

impl Engine {
    #[inline(never)]
    fn prepare(
        &mut self,
        surveyed: &Surveyed,
        intent: Intent<'_>,
        authority: Authority,
    ) -> Result<KBox<Prepared>, Refusal> {
        let prepared = commit::prepare(&surveyed.judgement, &surveyed.survey, intent, authority)?;
        self.tried = self.tried.max(prepared.sequence());
        // Without memory for it nothing is written.
        KBox::new(prepared, GFP_KERNEL).map_err(|_| Refusal::Malformed)
    }

    /// Goes on with what a look found: what the copies were judged, and the copies as
    /// they are now, for a person may have written them anew at a later sequence.
    fn take_findings(&mut self, of: &Joined<'_>, found: &Findings) {
        self.judged = Judged::from(&*found.surveyed.judgement);
        let believed = matches!(
            found.verdict(),
            Verdict::Healthy | Verdict::Degraded | Verdict::Interrupted
        );
        if found.contradiction {
            self.contradicted(of.number());
        } else if believed {
            self.adopt(&found.surveyed);
        }
    }

    #[inline(never)]
    fn adopt(&mut self, surveyed: &Surveyed) {
        if let Some(found) = surveyed.superblock() {
            self.work_by(found);
        }
    }

    #[inline(never)]
    fn work_by(&mut self, superblock: Superblock) {
        self.tried = self.tried.max(superblock.sequence);
        match &mut self.metadata {
            Metadata::None => {}
            Metadata::Plain(kept) => **kept = superblock,
            Metadata::Full(full) => full.superblock = superblock,
        }
    }

    fn work_by_sequence(&mut self, sequence: Sequence) {
        self.tried = self.tried.max(sequence);
        if let Metadata::Full(full) = &mut self.metadata {
            full.superblock.sequence = sequence;
            full.superblock.timestamp = clock::now();
        }
    }

    /// Judges the copies anew.
    pub fn look_at_copies(&mut self, of: &Joined<'_>) {
        let spare = Spare::new(of.spare(), &self.faults);
        if let Ok(surveyed) = store::survey(&spare) {
            self.judged = Judged::from(&*surveyed.judgement);
        }
    }

    fn write_header(
        &mut self,
        of: &Joined<'_>,
        region: Region,
        buffer: &mut Buffer,
    ) -> Result<(), WriteFailure> {
        let Metadata::Full(full) = &self.metadata else {
            return Ok(());
        };
        let spare = Spare::new(of.spare(), &self.faults);
        store::write_header(&spare, region, full.name, &full.superblock, buffer)
            .map_err(WriteFailure::Spare)
    }

    fn attempt_ended(&mut self, device: &str, attempt: u8, outcome: &Result<(), WriteFailure>) {
        let now = clock::uptime();
        match self.schedule.backoff.attempt_ended(outcome.is_ok(), now) {
            Next::Done => {
                self.counters.repairs_completed += 1;
                self.schedule.last_repair = Some(now);
                self.raise(device, Event::RepairCompleted);
            }
            Next::Retry { .. } => {
                self.raise(device, Event::RepairFailed { attempt });
                self.raise_attempt_due(device);
            }
            Next::GaveUp => {
                self.raise(device, Event::RepairFailed { attempt });
                self.raise(device, Event::RepairGaveUp);
            }
        }
    }
}
