//! Looking for damage, and mending it: the copies, the region headers, the table
//! blocks of both regions.

use std::collections::BTreeSet;

use super::activate::intact_header;
use super::map::OnDisk;
use super::{Disks, Judged, KeepBackup, Metadata, Now, Target};
use crate::format::backup::{Content, SavedRange};
use crate::port::slots::{find_headers, survey, SpareSlots};
use crate::port::{BlockStore, IoError};
use crate::remap_core::commit::{self, Authority, Intent, NotBegun, Prepared, Refusal};
use crate::remap_core::event::Event;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::quorum::{judge, Healing, Judgement, Survey, Verdict};
use crate::remap_core::remap_table::RegionHeader;
use crate::remap_core::repair::{Next, Phase};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{
    Millis, PerSlot, Sector, Sectors, Slot, BLOCK_4K_BYTES, BLOCK_4K_SECTORS,
};

/// What a look at the spare found.
struct Findings {
    survey: Survey,
    judgement: Judgement,
    /// Regions whose header block is not as it must be.
    headers: Vec<Region>,
    /// Table blocks that are damaged in at least one region.
    blocks: BTreeSet<u32>,
    /// How many blocks of the table are damaged, headers and both regions counted.
    table_damage: u32,
    /// Whether somebody else wrote what is intact and not ours.
    contradiction: bool,
}

impl Findings {
    fn damaged_copies(&self) -> u8 {
        (Slot::COUNT - self.judgement.winner_count()) as u8
    }

    fn is_intact(&self) -> bool {
        self.judgement.verdict == Verdict::Healthy && self.table_damage == 0
    }
}

/// Why the metadata was not mended or not written.
#[derive(Debug)]
pub(super) enum WriteFailure {
    /// The rules do not allow it.
    Refused(Refusal),
    /// The slots changed while they were looked at.
    Stale,
    /// The backup could not be kept.
    Backup(std::io::Error),
    /// The spare gave an error.
    Spare(IoError),
    /// Everything was written, and not everything is intact.
    StillDamaged,
    /// Fewer copies than needed are durable.
    TooFew {
        /// How many are.
        durable: usize,
    },
}

impl std::fmt::Display for WriteFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refusal) => std::fmt::Display::fmt(refusal, f),
            Self::Stale => f.write_str("the copies changed while they were looked at"),
            Self::Backup(error) => write!(
                f,
                "what would be overwritten could not be kept: {error}; nothing was written"
            ),
            Self::Spare(error) => write!(f, "the spare failed {error}"),
            Self::StillDamaged => f.write_str("damage is still there"),
            Self::TooFew { durable } => write!(f, "only {durable} of 5 copies are durable"),
        }
    }
}

impl Target {
    /// Looks at everything, writes nothing. `None` where there is no metadata.
    fn look(&self, spare: &dyn BlockStore) -> Option<Findings> {
        self.superblock()?;
        let survey = survey(spare);
        let judgement = judge(&survey);
        let mut findings = Findings {
            contradiction: self.is_another(&judgement, &survey),
            survey,
            judgement,
            headers: Vec::new(),
            blocks: BTreeSet::new(),
            table_damage: 0,
        };
        if let Some(joined) = self.joined() {
            let (layout, array) = (joined.map.layout(), joined.superblock.array_uuid()?);
            for region in Region::ALL {
                if intact_header(spare, layout, array, region).is_none() {
                    findings.headers.push(region);
                    findings.table_damage += 1;
                }
                for (index, on_disk) in joined.map.compare(spare, region) {
                    match on_disk {
                        OnDisk::Intact => {}
                        OnDisk::Damaged => {
                            findings.blocks.insert(index);
                            findings.table_damage += 1;
                        }
                        OnDisk::Contradicts => findings.contradiction = true,
                    }
                }
            }
        }
        Some(findings)
    }

    /// Whether the copies that win are not those of the device that is up.
    fn is_another(&self, judgement: &Judgement, survey: &Survey) -> bool {
        match (judgement.superblock(survey), self.superblock()) {
            (Some(found), Some(ours)) => {
                found.array_uuid() != ours.array_uuid() || found.layout() != ours.layout()
            }
            _ => false,
        }
    }

    /// Scrubs: looks at everything, tells of damage and schedules its repair.
    pub fn scrub(&mut self, disks: &mut Disks<'_>, now: Now) {
        let interval = u64::from(self.arguments.options.scrub_interval);
        self.schedule.next_scrub =
            (interval > 0).then(|| now.uptime.after(interval.saturating_mul(1000)));
        let Some(findings) = self.look(disks.spare) else {
            self.schedule.next_scrub = None;
            return;
        };
        self.counters.scrubs = self.counters.scrubs.saturating_add(1);
        self.schedule.last_scrub = Some(now.stamp);
        self.judged = Judged::from(&findings.judgement);
        self.adopt(&findings);
        if findings.contradiction {
            self.contradicted();
        }
        if findings.is_intact() {
            if !self.spare_fails {
                self.schedule.backoff.found_intact();
            }
            self.raise(Event::ScrubClean);
            return;
        }
        self.counters.corruption_detected = self.counters.corruption_detected.saturating_add(1);
        self.raise(Event::CorruptionDetected {
            copies: findings.damaged_copies(),
            table_blocks: findings.table_damage,
        });
        if self.heals_by_itself(&findings) {
            self.schedule_repair(now);
        }
    }

    /// Goes on with the copies as they are now: a person may have written them anew, at
    /// a later sequence.
    fn adopt(&mut self, findings: &Findings) {
        let found = findings.judgement.superblock(&findings.survey);
        let believed = matches!(
            findings.judgement.verdict,
            Verdict::Healthy | Verdict::Degraded | Verdict::Interrupted
        );
        let Some(found) = found.filter(|_| believed && !findings.contradiction) else {
            return;
        };
        self.work_by(found);
    }

    fn work_by(&mut self, superblock: Superblock) {
        self.tried = self.tried.max(superblock.sequence);
        match &mut self.metadata {
            Metadata::None => {}
            Metadata::Plain(kept) => **kept = superblock,
            Metadata::Full(joined) => joined.superblock = superblock,
        }
    }

    fn heals_by_itself(&self, findings: &Findings) -> bool {
        let copies = matches!(
            findings.judgement.verdict.healing(),
            Healing::AfterBackup | Healing::RollForward
        );
        !self.is_read_only() && (copies || findings.table_damage > 0)
    }

    /// Does what is due: a scrub, an attempt to repair. Returns whether anything was.
    pub fn run_due(&mut self, disks: &mut Disks<'_>, now: Now, keep: &mut KeepBackup<'_>) -> bool {
        let scrub = self
            .schedule
            .next_scrub
            .is_some_and(|due| due <= now.uptime);
        let repair = self.schedule.backoff.is_due(now.uptime);
        if scrub {
            self.scrub(disks, now);
        }
        if repair {
            // Its outcome is in the counters and the events.
            let _ = self.repair(disks, now, Authority::Automatic, keep);
        }
        scrub || repair
    }

    /// When something is due next.
    pub fn due(&self) -> Option<Millis> {
        [self.schedule.next_scrub, self.schedule.backoff.due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Tries to mend everything: table and headers first, for the copies refer to them.
    /// An attempt is counted only where there is something to mend.
    ///
    /// # Errors
    ///
    /// [`WriteFailure`] says what stands against it; the back-off goes on.
    pub(super) fn repair(
        &mut self,
        disks: &mut Disks<'_>,
        now: Now,
        authority: Authority,
        keep: &mut KeepBackup<'_>,
    ) -> Result<(), WriteFailure> {
        let Some(findings) = self.look(disks.spare) else {
            self.schedule.backoff.found_intact();
            return Ok(());
        };
        if findings.is_intact() && !self.spare_fails {
            self.judged = Judged::from(&findings.judgement);
            self.schedule.backoff.found_intact();
            return Ok(());
        }
        if findings.contradiction {
            self.contradicted();
        }
        self.counters.repair_attempts = self.counters.repair_attempts.saturating_add(1);
        let attempt = match self.schedule.backoff.phase() {
            Phase::Waiting { attempt, .. } => attempt,
            _ => 1,
        };
        let mut outcome = self.mend(disks, &findings, authority, keep);
        if let Some(after) = self.look(disks.spare) {
            self.judged = Judged::from(&after.judgement);
            self.adopt(&after);
            if outcome.is_ok() && !after.is_intact() {
                outcome = Err(WriteFailure::StillDamaged);
            }
        }
        match self
            .schedule
            .backoff
            .attempt_ended(outcome.is_ok(), now.uptime)
        {
            Next::Done => {
                self.counters.repairs_completed = self.counters.repairs_completed.saturating_add(1);
                self.schedule.last_repair = Some(now.stamp);
                self.raise(Event::RepairCompleted);
            }
            Next::Retry { .. } => {
                self.raise(Event::RepairFailed { attempt });
                self.raise_attempt_due(now);
            }
            Next::GaveUp => {
                self.raise(Event::RepairFailed { attempt });
                self.raise(Event::RepairGaveUp);
            }
        }
        outcome
    }

    fn mend(
        &mut self,
        disks: &mut Disks<'_>,
        findings: &Findings,
        authority: Authority,
        keep: &mut KeepBackup<'_>,
    ) -> Result<(), WriteFailure> {
        let prepared = self.prepare_healing(findings, authority);
        let copies = prepared.as_ref().ok();
        let mut backup = self.ranges_of_table(findings);
        backup.extend(copies.iter().flat_map(|prepared| {
            let block = disks.spare.logical_block().sectors();
            prepared.slots().map(move |slot| (slot.sector(), block))
        }));
        keep(read_ranges(disks.spare, backup)).map_err(WriteFailure::Backup)?;
        self.mend_table(disks, findings)?;
        match prepared {
            Ok(prepared) => execute(disks.spare, &prepared, &findings.survey),
            Err(refusal) => Err(WriteFailure::Refused(refusal)),
        }
    }

    /// The winners' content to every slot; where every copy is lost and a person asks,
    /// what the target itself knows.
    fn prepare_healing(
        &mut self,
        findings: &Findings,
        authority: Authority,
    ) -> Result<Prepared, Refusal> {
        let known = self.superblock().map(|known| Superblock {
            sequence: self.tried,
            ..*known
        });
        let intent = match (findings.judgement.verdict, &known) {
            (Verdict::Lost, Some(known)) if authority > Authority::Automatic => {
                Intent::Rebuild(known)
            }
            _ => Intent::Heal,
        };
        let prepared = commit::prepare(&findings.judgement, &findings.survey, intent, authority)?;
        self.tried = self.tried.max(prepared.sequence());
        Ok(prepared)
    }

    fn ranges_of_table(&self, findings: &Findings) -> Vec<(Sector, Sectors)> {
        let Some(map) = self.map() else {
            return Vec::new();
        };
        let layout = *map.layout();
        let headers = findings
            .headers
            .iter()
            .map(move |region| layout.region_start(*region));
        let blocks = self.blocks_to_settle(findings);
        let blocks = blocks.iter().flat_map(|index| {
            Region::ALL
                .into_iter()
                .filter_map(|region| layout.table_block(region, *index))
        });
        let size = Sectors::new(BLOCK_4K_SECTORS);
        headers.chain(blocks).map(|at| (at, size)).collect()
    }

    /// Table blocks to be written anew. A spare that failed is put to the test with one,
    /// even where all are intact.
    fn blocks_to_settle(&self, findings: &Findings) -> BTreeSet<u32> {
        let mut blocks = findings.blocks.clone();
        if self.spare_fails && blocks.is_empty() {
            blocks.insert(0);
        }
        blocks
    }

    fn mend_table(
        &mut self,
        disks: &mut Disks<'_>,
        findings: &Findings,
    ) -> Result<(), WriteFailure> {
        let blocks = self.blocks_to_settle(findings);
        if self.needs_check {
            // A contradiction is for a person to look at, not to be written over.
            return Ok(());
        }
        let Some(joined) = self.joined_mut() else {
            return Ok(());
        };
        for index in blocks {
            joined
                .map
                .mend(disks.spare, index)
                .map_err(|failed| failed.error.map_or(no_generation(), WriteFailure::Spare))?;
        }
        let (layout, superblock, name) = (*joined.map.layout(), joined.superblock, joined.name);
        for region in &findings.headers {
            let header = RegionHeader {
                region: *region,
                name,
                superblock,
            };
            write_header(disks.spare, &layout, &header).map_err(WriteFailure::Spare)?;
        }
        self.spare_fails = false;
        Ok(())
    }

    /// Writes the copies anew, at the next sequence.
    ///
    /// # Errors
    ///
    /// [`WriteFailure`] says what stands against it.
    pub(super) fn advance(
        &mut self,
        disks: &mut Disks<'_>,
        superblock: Superblock,
        keep: &mut KeepBackup<'_>,
    ) -> Result<(), WriteFailure> {
        let mut found = survey(disks.spare);
        found.header = found.header || find_headers(disks.spare).next().is_some();
        let mut judgement = judge(&found);
        let superblock = Superblock {
            sequence: self.tried,
            ..superblock
        };
        let intent = match judgement.verdict {
            Verdict::Lost => Intent::Rebuild(&superblock),
            _ => {
                judgement.highest = judgement.highest.max(Some(self.tried));
                Intent::Advance(&superblock)
            }
        };
        let prepared = commit::prepare(&judgement, &found, intent, Authority::Typed)
            .map_err(WriteFailure::Refused)?;
        let block = disks.spare.logical_block().sectors();
        let slots = prepared
            .slots()
            .map(|slot| (slot.sector(), block))
            .collect();
        keep(read_ranges(disks.spare, slots)).map_err(WriteFailure::Backup)?;
        self.tried = self.tried.max(prepared.sequence());
        let outcome = execute(disks.spare, &prepared, &found);
        let after = judge(&survey(disks.spare));
        self.judged = Judged::from(&after);
        outcome?;
        let written = Superblock {
            sequence: prepared.sequence(),
            ..superblock
        };
        self.work_by(written);
        self.raise(Event::MetadataWritten {
            sequence: prepared.sequence(),
        });
        Ok(())
    }
}

const fn no_generation() -> WriteFailure {
    WriteFailure::Refused(Refusal::SequenceExhausted)
}

fn write_header(
    spare: &mut dyn BlockStore,
    layout: &Layout,
    header: &RegionHeader,
) -> Result<(), IoError> {
    let mut raw = Box::new([0; BLOCK_4K_BYTES]);
    header.write(&mut raw);
    spare.write_at(layout.region_start(header.region), &*raw)?;
    spare.flush()
}

/// Carries out a prepared write of the copies.
pub(super) fn execute(
    spare: &mut dyn BlockStore,
    prepared: &Prepared,
    expected: &Survey,
) -> Result<(), WriteFailure> {
    let mut slots = SpareSlots::new(spare);
    let committed =
        commit::execute(&mut slots, prepared, expected).map_err(|error| match error {
            NotBegun::Stale => WriteFailure::Stale,
            NotBegun::Flush(error) => WriteFailure::Spare(error),
        })?;
    let durable: &PerSlot<bool> = &committed.durable;
    match (committed.is_acknowledged(), committed.error) {
        (true, _) => Ok(()),
        (false, Some(error)) => Err(WriteFailure::Spare(error)),
        (false, None) => Err(WriteFailure::TooFew {
            durable: durable.count(|durable| *durable),
        }),
    }
}

/// What lies in these ranges now, in the order of the disk. What cannot be read cannot
/// be kept.
fn read_ranges(spare: &dyn BlockStore, mut ranges: Vec<(Sector, Sectors)>) -> Vec<SavedRange> {
    ranges.sort();
    ranges
        .into_iter()
        .filter_map(|(at, length)| {
            let mut bytes = vec![0; usize::try_from(length.bytes()?).ok()?];
            spare.read_at(at, &mut bytes).ok()?;
            Some(SavedRange {
                at,
                content: Content::of(bytes),
            })
        })
        .collect()
}
