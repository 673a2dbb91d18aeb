// SPDX-License-Identifier: GPL-2.0-or-later
//! Mending what a look found damaged, a step at a time: table and headers first, for the
//! copies refer to them. And writing the copies anew.

use core::fmt;

use crate::remap_core::account::Judged;
use crate::remap_core::commit::{self, Authority, Intent, NotBegun, Prepared, Refusal};
use crate::remap_core::engine::copies::{survey, write_header, Slots, Surveyed};
use crate::remap_core::engine::host::{Full, Host, Room};
use crate::remap_core::engine::readings::{Readings, MOST};
use crate::remap_core::engine::scrub::Look;
use crate::remap_core::engine::table::NotUpdated;
use crate::remap_core::engine::{Engine, Metadata, Progress};
use crate::remap_core::event::Event;
use crate::remap_core::label::MainForm;
use crate::remap_core::layout::Region;
use crate::remap_core::message::Device;
use crate::remap_core::policy::Failure;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::repair::{Next, Phase};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{Errno, Sector, Sectors, Sequence, Slot, BLOCK_4K_SECTORS};

/// Why the metadata was not mended or not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFailure {
    /// The rules do not allow it.
    Refused(Refusal),
    /// The slots changed while they were looked at.
    Stale,
    /// The backup of the blocks to be overwritten could not be kept.
    NotKept,
    /// The spare gave an error.
    Spare(Errno),
    /// Main did not take a label.
    Main(Errno),
    /// Something on the spare is intact and not this device's.
    Contradiction,
    /// Everything was written, and not everything is intact.
    StillDamaged,
    /// Fewer copies than needed are durable.
    TooFew {
        /// How many are.
        durable: usize,
    },
    /// A table block has no generation left.
    NoGeneration,
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
            Self::NotKept => {
                f.write_str("what would be overwritten could not be kept; nothing was written")
            }
            Self::Spare(errno) => write!(f, "the spare failed, {errno}"),
            Self::Main(errno) => write!(f, "main failed, {errno}"),
            Self::Contradiction => {
                f.write_str("the spare holds what is intact and not of this device")
            }
            Self::StillDamaged => f.write_str("damage is still there"),
            Self::TooFew { durable } => write!(f, "only {durable} of 5 copies are durable"),
            Self::NoGeneration => f.write_str("a table block has no generation left"),
            Self::Memory => f.write_str("out of memory"),
            Self::Suspended => f.write_str("the device is suspended"),
        }
    }
}

impl WriteFailure {
    /// Whether single blocks of the spare failed, so that others may still be mended.
    pub(super) fn is_of_blocks(&self) -> bool {
        matches!(self, Self::Spare(errno) if Failure::from_errno(*errno).is_of_blocks())
    }
}

impl From<Full> for WriteFailure {
    fn from(_: Full) -> Self {
        Self::Memory
    }
}

impl From<NotUpdated> for WriteFailure {
    fn from(failed: NotUpdated) -> Self {
        match failed.error {
            Some(errno) => Self::Spare(errno),
            None => Self::NoGeneration,
        }
    }
}

/// What the copies are to say anew.
#[derive(Clone, Copy)]
pub(super) enum Amendment {
    /// Nothing but a later sequence.
    None,
    /// Whether the table needs a check.
    Check(bool),
    /// The form of main. A disk that comes to bear labels becomes main once more.
    Main(MainForm),
}

impl Amendment {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// [`Refusal::SequenceExhausted`], if no disk can become main any more.
    pub(super) fn make(self, superblock: &mut Superblock) -> Result<(), WriteFailure> {
        let Some(extension) = &mut superblock.extension else {
            return Ok(());
        };
        match self {
            Self::None => {}
            Self::Check(needed) => extension.needs_check = needed,
            Self::Main(form) => {
                extension.features = extension.features.with_main(form);
                if form.has_labels() {
                    let next = extension.main_epoch.checked_add(1);
                    let exhausted = WriteFailure::Refused(Refusal::SequenceExhausted);
                    extension.main_epoch = next.ok_or(exhausted)?;
                }
            }
        }
        Ok(())
    }
}

/// The stages of a repair.
enum Stage<R: Room> {
    /// It looks at everything.
    Looking(Look<R>),
    /// It mends table blocks, from this number on.
    Table(Look<R>, Readings<R>, u32),
    /// It retires entries that contradict others, from this table block on.
    Entries(Look<R>, u32),
    /// It mends the headers.
    Headers(Look<R>),
    /// It mends the copies.
    Copies(Look<R>),
    /// It looks whether everything is intact now.
    LookingAgain(Look<R>),
    /// It has ended.
    Ended,
}

/// A repair under way. An attempt is counted only where there is something to mend.
pub struct Repair<R: Room> {
    authority: Authority,
    attempt: u8,
    stage: Stage<R>,
    outcome: Result<(), WriteFailure>,
}

impl<R: Room> Repair<R> {
    /// Begins one, on somebody's word.
    pub fn begin<H: Host<Room = R>>(
        engine: &mut Engine<R>,
        host: &mut H,
        authority: Authority,
    ) -> Self {
        let mut repair = Self {
            authority,
            attempt: 0,
            stage: Stage::Ended,
            outcome: Ok(()),
        };
        match Look::begin(engine, host) {
            Ok(Some(look)) => repair.stage = Stage::Looking(look),
            Ok(None) => engine.schedule.backoff.found_intact(),
            Err(why) => {
                repair.count(engine);
                repair.end(engine, host, Err(why));
            }
        }
        repair
    }

    /// Its outcome, once it has ended.
    ///
    /// # Errors
    ///
    /// [`WriteFailure`] says what stands against it; the back-off goes on.
    pub fn outcome(&self) -> Result<(), WriteFailure> {
        self.outcome
    }

    /// Goes a step on.
    pub fn step<H: Host<Room = R>>(&mut self, engine: &mut Engine<R>, host: &mut H) -> Progress {
        let stage = core::mem::replace(&mut self.stage, Stage::Ended);
        match self.next(engine, host, stage) {
            Ok(Stage::Ended) => Progress::Done,
            Ok(stage) => {
                self.stage = stage;
                Progress::More
            }
            Err(why) => {
                self.outcome = Err(why);
                match Look::begin(engine, host) {
                    Ok(Some(look)) => {
                        self.stage = Stage::LookingAgain(look);
                        Progress::More
                    }
                    _ => {
                        self.end(engine, host, Err(why));
                        Progress::Done
                    }
                }
            }
        }
    }

    fn next<H: Host<Room = R>>(
        &mut self,
        engine: &mut Engine<R>,
        host: &mut H,
        stage: Stage<R>,
    ) -> Result<Stage<R>, WriteFailure> {
        match stage {
            Stage::Looking(mut look) => match look.step(engine, host) {
                Progress::More => Ok(Stage::Looking(look)),
                Progress::Done => self.begin_mending(engine, host, look),
            },
            Stage::Table(look, mut readings, from) => {
                let Some(end) = look.damaged.map(|(_, end)| end).filter(|end| from < *end) else {
                    return Ok(Stage::Entries(look, 0));
                };
                let Metadata::Full(joined) = &mut engine.metadata else {
                    return Ok(Stage::Entries(look, 0));
                };
                let layout = *joined.table.layout();
                readings.read(host, &layout, from);
                // A block that takes no write is tried again by the next repair.
                match joined.table.mend(host, &mut readings) {
                    Err(why) if !why.is_of_blocks() => return Err(why),
                    mended => self.outcome = self.outcome.and(mended),
                }
                match readings.numbers().end {
                    next if next >= end || next == from => Ok(Stage::Entries(look, 0)),
                    next => Ok(Stage::Table(look, readings, next)),
                }
            }
            Stage::Entries(look, from) => match engine.settle_entries(host, from)? {
                Some(next) => Ok(Stage::Entries(look, next)),
                None => Ok(Stage::Headers(look)),
            },
            Stage::Headers(look) => {
                engine.mend_labels(host, &look)?;
                engine.mend_headers(host, &look, self.outcome.is_ok())?;
                Ok(Stage::Copies(look))
            }
            Stage::Copies(look) => {
                let prepared = engine
                    .prepare_healing(&look, self.authority)
                    .map_err(WriteFailure::Refused)?;
                let prepared = prepared?;
                keep_slots(host, &prepared)?;
                engine.write_copies(host, &prepared, &look.surveyed)?;
                let again = Look::begin(engine, host)?;
                Ok(again.map_or(Stage::Ended, Stage::LookingAgain))
            }
            Stage::LookingAgain(mut look) => {
                if look.step(engine, host) == Progress::More {
                    return Ok(Stage::LookingAgain(look));
                }
                engine.take_findings(host, &look);
                let outcome = match self.outcome {
                    Ok(()) if !look.is_intact() => Err(WriteFailure::StillDamaged),
                    Ok(()) => engine.checked(host),
                    outcome => outcome,
                };
                self.end(engine, host, outcome);
                Ok(Stage::Ended)
            }
            Stage::Ended => Ok(Stage::Ended),
        }
    }

    fn begin_mending<H: Host<Room = R>>(
        &mut self,
        engine: &mut Engine<R>,
        host: &mut H,
        look: Look<R>,
    ) -> Result<Stage<R>, WriteFailure> {
        let asked = !engine.spare_fails && !engine.table_fails && !engine.needs_check;
        if look.is_intact() && asked {
            engine.judged = Judged::from(&*look.surveyed.judgement);
            engine.schedule.backoff.found_intact();
            return Ok(Stage::Ended);
        }
        self.count(engine);
        if look.contradiction || engine.needs_check && self.authority == Authority::Automatic {
            // That is for a person to look at, not to be written over.
            engine.contradicted(host);
            return Err(WriteFailure::Contradiction);
        }
        let (first, end) = look.damaged.unwrap_or_default();
        let blocks = end.saturating_sub(first).max(1) as usize;
        Ok(Stage::Table(look, Readings::new(blocks.min(MOST))?, first))
    }

    fn count(&mut self, engine: &mut Engine<R>) {
        engine.counters.repair_attempts = engine.counters.repair_attempts.saturating_add(1);
        self.attempt = match engine.schedule.backoff.phase() {
            Phase::Waiting { attempt, .. } => attempt,
            Phase::Idle | Phase::GaveUp => 1,
        };
    }

    fn end<H: Host<Room = R>>(
        &mut self,
        engine: &mut Engine<R>,
        host: &mut H,
        outcome: Result<(), WriteFailure>,
    ) {
        self.outcome = outcome;
        engine.attempt_ended(host, self.attempt, outcome.is_ok());
    }
}

impl<R: Room> Engine<R> {
    /// Where the table contradicts itself, retires the entries that are not gone by, a step at
    /// a time. Returns the table block to go on with, or `None` at the end.
    fn settle_entries<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        from: u32,
    ) -> Result<Option<u32>, WriteFailure> {
        let main = self.settings.size;
        let Metadata::Full(joined) = &mut self.metadata else {
            return Ok(None);
        };
        let used = joined.table.blocks_in_use();
        let end = from.saturating_add(MOST as u32).min(used);
        if !self.needs_check || from >= end {
            return Ok(None);
        }
        for number in from..end {
            let changes = self.moving.changes_mut();
            joined.table.settle(host, number, main, changes)?;
        }
        Ok(Some(end))
    }

    /// Both regions agree, as a person asked for: the device may be written again, when the
    /// copies say so.
    fn checked<H: Host<Room = R>>(&mut self, host: &mut H) -> Result<(), WriteFailure> {
        if self.needs_check {
            self.write_check(host, false)?;
            self.needs_check = false;
        }
        Ok(())
    }

    /// Notes in the copies that the table contradicts itself, so that a device which is taken
    /// down and up again comes up read-only, whatever it reads then. Nothing is written where
    /// the copies are in doubt, or may be somebody else's. What fails is tried again by the
    /// next scrub.
    #[inline(never)]
    pub(super) fn note_check<H: Host<Room = R>>(&mut self, host: &mut H, found: &Look<R>) {
        let surveyed = &found.surveyed;
        let wanted = self.needs_check && !self.settings.read_only && !self.must_not_write;
        let ours = surveyed.believed()
            && !self.is_another(surveyed)
            && surveyed.judgement.sequence <= Some(self.tried);
        if wanted && ours {
            let _ = self.write_check(host, true);
        }
    }

    /// Writes the copies so that they say whether the table needs a check, if they do not.
    fn write_check<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        wanted: bool,
    ) -> Result<(), WriteFailure> {
        // A write that did not end is ended first, as it was.
        for _ in 0..2 {
            let extension = self.superblock().and_then(|known| known.extension);
            if extension.is_none_or(|extension| extension.needs_check == wanted) {
                break;
            }
            self.advance_with(host, Amendment::Check(wanted))?;
        }
        Ok(())
    }

    /// Writes the headers that are damaged. A spare that failed is put to the test with one
    /// that is not, unless `proved` by the table: no block that was never used may be written
    /// for that.
    fn mend_headers<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        found: &Look<R>,
        proved: bool,
    ) -> Result<(), WriteFailure> {
        let Self {
            metadata: Metadata::Full(joined),
            scratch,
            spare_fails,
            ..
        } = self
        else {
            return Ok(());
        };
        let [a, b] = found.headers;
        let proved = proved && found.damaged.is_some() || a || b;
        let test = *spare_fails && !proved;
        let layout = *joined.table.layout();
        for (region, wanted) in Region::ALL.into_iter().zip([a, b || test]) {
            if wanted {
                let at = layout.region_start(region);
                let length = Sectors::new(BLOCK_4K_SECTORS);
                host.keep(&[(at, length)])
                    .map_err(|Full| WriteFailure::NotKept)?;
                write_header(host, region, joined.name, &joined.superblock, scratch)
                    .map_err(WriteFailure::Spare)?;
            }
        }
        *spare_fails = false;
        Ok(())
    }

    /// The winners' content to every slot; where every copy is lost and a person asks,
    /// what the target itself knows.
    #[inline(never)]
    fn prepare_healing(
        &self,
        found: &Look<R>,
        authority: Authority,
    ) -> Result<Result<R::Boxed<Prepared>, WriteFailure>, Refusal> {
        let known = self.superblock().map(|known| Superblock {
            sequence: self.tried,
            ..*known
        });
        let intent = match (found.verdict(), &known) {
            (Verdict::Lost, Some(known)) if authority > Authority::Automatic => {
                Intent::Rebuild(known)
            }
            _ => Intent::Heal,
        };
        let surveyed = &found.surveyed;
        let prepared = commit::prepare(&surveyed.judgement, &surveyed.survey, intent, authority)?;
        Ok(R::boxed(prepared).map_err(WriteFailure::from))
    }

    /// Carries out a prepared write of the copies.
    ///
    /// # Errors
    ///
    /// [`WriteFailure`], if fewer copies than needed are durable.
    pub(super) fn write_copies<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        prepared: &Prepared,
        expected: &Surveyed<R>,
    ) -> Result<(), WriteFailure> {
        let mut slots = Slots {
            host,
            page: &mut self.scratch,
            written: false,
        };
        let committed = commit::execute(&mut slots, prepared, &expected.survey);
        // A sequence of which no copy can have been written is still free.
        if slots.written {
            self.tried = self.tried.max(prepared.sequence());
        }
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

    fn attempt_ended<H: Host<Room = R>>(&mut self, host: &mut H, attempt: u8, well: bool) {
        let now = host.now();
        match self.schedule.backoff.attempt_ended(well, now.uptime) {
            Next::Done => {
                let completed = self.counters.repairs_completed;
                self.counters.repairs_completed = completed.saturating_add(1);
                self.schedule.last_repair = Some(now);
                self.spare_fails = false;
                self.table_fails = false;
                if let Some(table) = self.table_mut() {
                    table.try_all_again();
                }
                host.raise(Event::RepairCompleted);
            }
            Next::Retry { .. } => {
                host.raise(Event::RepairFailed { attempt });
                self.raise_attempt_due(host);
            }
            Next::GaveUp => {
                host.raise(Event::RepairFailed { attempt });
                host.raise(Event::RepairGaveUp);
            }
        }
    }

    /// Writes the copies anew, at the next sequence.
    ///
    /// # Errors
    ///
    /// [`WriteFailure`] says what stands against it.
    pub fn advance<H: Host<Room = R>>(&mut self, host: &mut H) -> Result<(), WriteFailure> {
        self.advance_with(host, Amendment::None)
    }

    pub(super) fn advance_with<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        amendment: Amendment,
    ) -> Result<(), WriteFailure> {
        let mut surveyed = survey(host, &mut self.scratch)?;
        let mut superblock = self.next_superblock(host, &surveyed, amendment)?;
        let prepared = prepare_advance(&mut surveyed, &mut superblock)?;
        keep_slots(host, &prepared)?;
        let outcome = self.write_copies(host, &prepared, &surveyed);
        self.look_at_copies(host);
        let sequence = prepared.sequence();
        if outcome.is_err() {
            self.unfinished = (self.tried == sequence).then_some(superblock);
            return outcome;
        }
        self.unfinished = None;
        match &mut self.metadata {
            Metadata::None => {}
            Metadata::Plain(known) => **known = *superblock,
            Metadata::Full(joined) => joined.superblock = *superblock,
        }
        host.raise(Event::MetadataWritten { sequence });
        Ok(())
    }

    /// The next superblock, at the sequence before the one that it is to be written with. A
    /// write that failed, and of which no copy can be seen, is made once more as it was; else
    /// it is amended.
    #[inline(never)]
    fn next_superblock<H: Host<Room = R>>(
        &mut self,
        host: &H,
        found: &Surveyed<R>,
        amendment: Amendment,
    ) -> Result<R::Boxed<Superblock>, WriteFailure> {
        let highest = found.judgement.highest;
        let unseen = |unfinished: &R::Boxed<Superblock>| Some(unfinished.sequence) > highest;
        if let Some(mut unfinished) = self.unfinished.take().filter(unseen) {
            let before = unfinished.sequence.get().saturating_sub(1);
            unfinished.sequence = Sequence::new(before);
            return Ok(unfinished);
        }
        let known = self.superblock();
        let known = known.ok_or(WriteFailure::Refused(Refusal::Mismatch))?;
        // Where all slots hold one content, nothing is left of what was tried: the only copy
        // of a later sequence may have been damaged, and healed with the one before.
        let tried = match found.judgement.winner_count() {
            Slot::COUNT => highest.unwrap_or(self.tried),
            _ => self.tried,
        };
        let mut next = R::boxed(Superblock {
            sequence: tried,
            timestamp: host.now().stamp,
            ..*known
        })?;
        amendment.make(&mut next)?;
        Ok(next)
    }

    /// Judges the copies anew.
    pub(super) fn look_at_copies<H: Host<Room = R>>(&mut self, host: &mut H) {
        if let Ok(surveyed) = survey(host, &mut self.scratch) {
            self.judged = Judged::from(&*surveyed.judgement);
        }
    }
}

/// Prepares the writing of a superblock at the sequence after its own, and gives it that.
#[inline(never)]
fn prepare_advance<R: Room>(
    surveyed: &mut Surveyed<R>,
    superblock: &mut R::Boxed<Superblock>,
) -> Result<R::Boxed<Prepared>, WriteFailure> {
    let judgement = &mut *surveyed.judgement;
    let intent = match judgement.verdict {
        Verdict::Lost => Intent::Rebuild(superblock),
        _ => {
            judgement.highest = judgement.highest.max(Some(superblock.sequence));
            Intent::Advance(superblock)
        }
    };
    let prepared = commit::prepare(judgement, &surveyed.survey, intent, Authority::Typed)
        .map_err(WriteFailure::Refused)?;
    superblock.sequence = prepared.sequence();
    Ok(R::boxed(prepared)?)
}

/// Has the host keep what lies in the slots that will be written.
fn keep_slots<H: Host>(host: &mut H, prepared: &Prepared) -> Result<(), WriteFailure> {
    let length = host.logical_block(Device::Spare).sectors();
    let mut ranges = [(Sector::new(0), length); Slot::COUNT];
    let mut count = 0usize;
    for (range, slot) in ranges.iter_mut().zip(prepared.slots()) {
        *range = (slot.sector(), length);
        count = count.saturating_add(1);
    }
    let ranges = ranges.get(..count).unwrap_or_default();
    host.keep(ranges).map_err(|Full| WriteFailure::NotKept)
}
