// SPDX-License-Identifier: GPL-2.0-or-later
//! Looking for damage, and mending it: the copies, the region headers, the table
//! blocks of both regions.
//!
//! The engine's lock is taken for each step and given up in between, so that bios which
//! need it get on. Whoever scrubs, repairs or writes the copies holds the target's
//! maintenance lock all the while.

use core::fmt;

use kernel::alloc::flags::{__GFP_NOWARN, GFP_NOWAIT};
use kernel::alloc::AllocError;
use kernel::error::Result;
use kernel::prelude::*;

use crate::dm::clock;
use crate::dm::device::{Buffer, Chunk};
use crate::engine::{Engine, Metadata};
use crate::log;
use crate::remap_core::account::Judged;
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

/// Table blocks that are read at once, where there is memory for it: disks that turn read
/// neighbours far faster than one here and one there.
const BLOCKS_A_STEP: usize = 16;

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

    /// Notes a damaged table block, once. What finds no room is found by the next look.
    fn note(&mut self, number: u32) {
        if let Err(place) = self.blocks.binary_search(&number) {
            let _ = self.blocks.insert_within_capacity(place, number);
        }
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

impl From<Error> for WriteFailure {
    /// What fails with the kernel's own errors here is allocating.
    fn from(_: Error) -> Self {
        Self::Memory
    }
}

impl From<AllocError> for WriteFailure {
    fn from(_: AllocError) -> Self {
        Self::Memory
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
    /// Looks at everything, writes nothing. `None` where there is no metadata.
    fn look(&self) -> Result<Option<Findings>, WriteFailure> {
        let (surveyed, blocks) = {
            let engine = self.engine().lock();
            if engine.superblock().is_none() {
                return Ok(None);
            }
            let spare = Spare::new(self.spare(), &engine.faults);
            let surveyed = store::survey(&spare)?;
            let blocks = engine.table().map(|table| table.layout().table_blocks());
            (surveyed, blocks.unwrap_or(0))
        };
        let mut findings = Findings {
            surveyed,
            headers: KVec::new(),
            blocks: KVec::with_capacity(MOST_BLOCKS, GFP_KERNEL)?,
            table_damage: 0,
            contradiction: false,
        };
        findings.contradiction = self.is_another(&findings);
        self.look_at_headers(&mut findings)?;
        let chunk = Chunk::new(BLOCKS_A_STEP, GFP_NOWAIT | __GFP_NOWARN);
        let mut chunk = chunk.or_else(|_| Chunk::new(1, GFP_KERNEL))?;
        for region in Region::ALL {
            for from in (0..blocks).step_by(chunk.len()) {
                self.look_at_blocks(&mut findings, (region, from), &mut chunk)?;
            }
        }
        Ok(Some(findings))
    }

    fn look_at_headers(&self, findings: &mut Findings) -> Result<(), WriteFailure> {
        let mut buffer = Buffer::new(GFP_KERNEL)?;
        let engine = self.engine().lock();
        let Some(table) = engine.table() else {
            return Ok(());
        };
        let spare = Spare::new(self.spare(), &engine.faults);
        for region in Region::ALL {
            let (layout, array) = (table.layout(), table.array());
            if store::header_name(&spare, layout, array, region, &mut buffer).is_none() {
                findings.headers.push(region, GFP_KERNEL)?;
                findings.table_damage += 1;
            }
        }
        Ok(())
    }

    fn look_at_blocks(
        &self,
        findings: &mut Findings,
        from: (Region, u32),
        chunk: &mut Chunk,
    ) -> Result<(), WriteFailure> {
        let mut engine = self.engine().lock();
        if !engine.running || self.is_leaving() {
            return Err(WriteFailure::Suspended);
        }
        let Engine {
            metadata, faults, ..
        } = &mut *engine;
        let Metadata::Full(full) = metadata else {
            return Ok(());
        };
        let spare = Spare::new(self.spare(), faults);
        let table = &mut full.table;
        table.compare_run(&spare, self.index(), from, chunk, |number, held| {
            findings.contradiction |= held == OnDisk::Contradicts;
            if held == OnDisk::Damaged {
                findings.table_damage += 1;
                findings.note(number);
            }
        });
        Ok(())
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
    ///
    /// # Errors
    ///
    /// [`WriteFailure`] says why nothing could be looked at.
    pub fn scrub(&self) -> Result<(), WriteFailure> {
        let found = self.look();
        if matches!(found, Err(WriteFailure::Suspended)) {
            // It stays due.
            return Err(WriteFailure::Suspended);
        }
        let mut engine = self.engine().lock();
        let interval = u64::from(self.options().scrub_interval);
        engine.schedule.next_scrub = (interval > 0 && engine.superblock().is_some())
            .then(|| clock::uptime().after(interval.saturating_mul(1000)));
        let Some(found) = found? else {
            return Ok(());
        };
        engine.take_findings(self, &found);
        engine.counters.scrubs += 1;
        engine.schedule.last_scrub = Some(clock::uptime());
        if found.is_intact() {
            if !engine.spare_fails {
                engine.schedule.backoff.found_intact();
            }
            engine.raise(self.number(), Event::ScrubClean);
            return Ok(());
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
        Ok(())
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
            if !engine.running || matches!(found, Err(WriteFailure::Suspended)) {
                return Err(WriteFailure::Suspended);
            }
            match &found {
                Ok(None) => {
                    engine.schedule.backoff.found_intact();
                    return Ok(());
                }
                Ok(Some(found)) if found.is_intact() && !engine.spare_fails => {
                    engine.judged = Judged::from(&*found.surveyed.judgement);
                    engine.schedule.backoff.found_intact();
                    return Ok(());
                }
                Ok(Some(found)) if found.contradiction => engine.contradicted(self.number()),
                Ok(Some(_)) | Err(_) => {}
            }
            engine.counters.repair_attempts += 1;
            match engine.schedule.backoff.phase() {
                Phase::Waiting { attempt, .. } => attempt,
                Phase::Idle | Phase::GaveUp => 1,
            }
        };
        let mut outcome = match &found {
            Ok(Some(found)) => self.mend(found, authority),
            Ok(None) => Ok(()),
            Err(why) => Err(*why),
        };
        let after = self.look();
        let mut engine = self.engine().lock();
        match &after {
            Ok(Some(after)) => {
                engine.take_findings(self, after);
                if outcome.is_ok() && !after.is_intact() {
                    outcome = Err(WriteFailure::StillDamaged);
                }
            }
            Ok(None) => {}
            Err(why) => outcome = outcome.and(Err(*why)),
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
        blocks.extend_from_slice(&found.blocks, GFP_KERNEL)?;
        {
            let engine = self.engine().lock();
            if engine.needs_check || engine.table().is_none() {
                // A contradiction is for a person to look at, not to be written over.
                return Ok(());
            }
            if engine.spare_fails && blocks.is_empty() {
                // A spare that failed is put to the test, even where all is intact.
                blocks.push(0, GFP_KERNEL)?;
            }
        }
        for number in blocks.iter() {
            self.mend_block(*number)?;
        }
        let mut buffer = Buffer::new(GFP_KERNEL)?;
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
            store::survey(&spare)?
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
        let mut slots = Slots::new(&spare)?;
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
        let warn = |what: &str, done: Result<(), WriteFailure>| match done {
            // What was cut short by a suspend is due again when that ends.
            Ok(()) | Err(WriteFailure::Suspended) => {}
            Err(why) => log::warn(format_args!("{}: {what}: {why}", self.number())),
        };
        if scrub {
            warn("scrub", self.scrub());
        }
        if repair {
            warn("repair", self.repair(Authority::Automatic));
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
