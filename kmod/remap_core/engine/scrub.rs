// SPDX-License-Identifier: GPL-2.0-or-later
//! Looking for damage: the copies, the region headers, the table blocks of both regions. A
//! step at a time, so that whatever needs the engine meanwhile gets it.

use crate::remap_core::account::Judged;
use crate::remap_core::engine::copies::{header_name, survey, Surveyed};
use crate::remap_core::engine::host::{Host, Room};
use crate::remap_core::engine::labels::read_label;
use crate::remap_core::engine::readings::{Readings, MOST};
use crate::remap_core::engine::table::Held;
use crate::remap_core::engine::{Engine, Metadata, Progress, WriteFailure};
use crate::remap_core::event::Event;
use crate::remap_core::label::End;
use crate::remap_core::layout::Region;
use crate::remap_core::main_verdict::LabelState;
use crate::remap_core::quorum::{Healing, Verdict};
use crate::remap_core::units::Slot;

/// The findings of a look at the spare so far.
pub(super) struct Look<R: Room> {
    pub(super) surveyed: Surveyed<R>,
    /// Whether the header block of region A, of region B, is not as it must be.
    pub(super) headers: [bool; 2],
    /// The labels of main; valid where it bears none.
    pub(super) labels: [LabelState; 2],
    /// How many blocks of the table are damaged, headers and both regions counted.
    table_damage: u32,
    /// The first damaged block of the table, and the one behind the last.
    pub(super) damaged: Option<(u32, u32)>,
    /// Whether somebody else wrote what is intact and not ours.
    pub(super) contradiction: bool,
    readings: Readings<R>,
    next: u32,
}

impl<R: Room> Look<R> {
    /// Looks at the copies and the headers. `None` where there is no metadata.
    pub(super) fn begin<H: Host<Room = R>>(
        engine: &mut Engine<R>,
        host: &mut H,
    ) -> Result<Option<Self>, WriteFailure> {
        if engine.superblock().is_none() {
            return Ok(None);
        }
        let surveyed = survey(host, &mut engine.scratch)?;
        let blocks = engine.table().map(|table| table.layout().table_blocks());
        let mut look = Self {
            contradiction: engine.is_another(&surveyed),
            surveyed,
            headers: [false; 2],
            labels: [LabelState::Valid; 2],
            table_damage: 0,
            damaged: None,
            readings: Readings::new((blocks.unwrap_or(1) as usize).min(MOST))?,
            next: 0,
        };
        let Engine {
            metadata: Metadata::Full(joined),
            scratch,
            ..
        } = engine
        else {
            return Ok(Some(look));
        };
        let (layout, array) = (*joined.table.layout(), joined.table.array());
        for (region, damaged) in Region::ALL.into_iter().zip(&mut look.headers) {
            *damaged = header_name(host, &layout, array, region, scratch).is_none();
            look.table_damage = look.table_damage.saturating_add(u32::from(*damaged));
        }
        let superblock = &joined.superblock;
        if superblock.main_form().has_labels() {
            look.labels = End::ALL.map(|end| read_label(host, end, Some(superblock), scratch));
        }
        Ok(Some(look))
    }

    /// Looks at the next blocks of both regions.
    pub(super) fn step<H: Host<Room = R>>(&mut self, engine: &Engine<R>, host: &mut H) -> Progress {
        let Some(table) = engine.table() else {
            return Progress::Done;
        };
        self.readings.read(host, table.layout(), self.next);
        for number in self.readings.numbers() {
            for region in Region::ALL {
                match table.held(host.index(), &self.readings, region, number) {
                    Held::Intact => {}
                    Held::Damaged | Held::Unreadable => {
                        self.table_damage = self.table_damage.saturating_add(1);
                        let first = self.damaged.map_or(number, |(first, _)| first);
                        self.damaged = Some((first, number.saturating_add(1)));
                    }
                    Held::Contradicts => self.contradiction = true,
                }
            }
        }
        self.next = self.readings.numbers().end;
        match self.next < table.layout().table_blocks() && !self.readings.numbers().is_empty() {
            true => Progress::More,
            false => Progress::Done,
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.surveyed.verdict()
    }

    fn damaged_copies(&self) -> u8 {
        let intact = self.surveyed.judgement.winner_count();
        u8::try_from(Slot::COUNT.saturating_sub(intact)).unwrap_or(u8::MAX)
    }

    pub(super) fn has_table_damage(&self) -> bool {
        self.table_damage > 0
    }

    /// Whether a label is to be written anew. What others wrote over one is theirs.
    pub(super) fn has_label_damage(&self) -> bool {
        self.labels.iter().any(|state| state.is_mendable())
    }

    pub(super) fn is_intact(&self) -> bool {
        self.verdict() == Verdict::Healthy
            && self.table_damage == 0
            && !self.has_label_damage()
            && !self.contradiction
    }

    fn tell_labels<H: Host<Room = R>>(&self, host: &mut H) -> bool {
        let mut all_valid = true;
        for (end, state) in End::ALL.into_iter().zip(self.labels) {
            if state != LabelState::Valid {
                all_valid = false;
                host.raise(Event::MainLabel { end, state });
            }
        }
        all_valid
    }
}

/// A scrub under way: it looks at everything, tells of damage and schedules its repair. It
/// writes nothing but the copies, where the table contradicts itself and they do not say so.
pub struct Scrub<R: Room>(Option<Look<R>>);

impl<R: Room> Scrub<R> {
    /// Begins one.
    ///
    /// # Errors
    ///
    /// [`WriteFailure::Memory`]; the next scrub is due after the usual time.
    pub fn begin<H: Host<Room = R>>(
        engine: &mut Engine<R>,
        host: &mut H,
    ) -> Result<Self, WriteFailure> {
        engine.scrub_again_later(host);
        Ok(Self(Look::begin(engine, host)?))
    }

    /// Goes a step on.
    pub fn step<H: Host<Room = R>>(&mut self, engine: &mut Engine<R>, host: &mut H) -> Progress {
        let Some(look) = &mut self.0 else {
            return Progress::Done;
        };
        if look.step(engine, host) == Progress::More {
            return Progress::More;
        }
        engine.scrubbed(host, look);
        Progress::Done
    }
}

impl<R: Room> Engine<R> {
    fn scrub_again_later<H: Host<Room = R>>(&mut self, host: &H) {
        let interval = u64::from(self.settings.scrub_interval);
        let wanted = interval > 0 && self.superblock().is_some();
        let wait = interval.saturating_mul(1000);
        self.schedule.next_scrub = wanted.then(|| host.now().uptime.after(wait));
    }

    /// A scrub was cut short: it is due at once when it may run again.
    pub fn scrub_at_once<H: Host<Room = R>>(&mut self, host: &H) {
        if self.settings.scrub_interval > 0 {
            self.schedule.next_scrub = Some(host.now().uptime);
        }
    }

    fn scrubbed<H: Host<Room = R>>(&mut self, host: &mut H, found: &Look<R>) {
        self.counters.scrubs = self.counters.scrubs.saturating_add(1);
        self.schedule.last_scrub = Some(host.now());
        self.ask_main_again(host);
        self.take_findings(host, found);
        self.note_check(host, found);
        let labels_are_valid = found.tell_labels(host);
        if found.is_intact() {
            if !self.spare_fails && !self.table_fails {
                self.schedule.backoff.found_intact();
            }
            if labels_are_valid {
                host.raise(Event::ScrubClean);
            }
            return;
        }
        if found.has_table_damage() || found.verdict() != Verdict::Healthy {
            self.counters.corruption_detected = self.counters.corruption_detected.saturating_add(1);
            host.raise(Event::CorruptionDetected {
                copies: found.damaged_copies(),
                table_blocks: found.table_damage,
            });
        }
        let copies = matches!(
            found.verdict().healing(),
            Healing::AfterBackup | Healing::RollForward
        );
        if copies || found.has_table_damage() || found.has_label_damage() {
            self.schedule_repair(host);
        }
    }

    /// Goes on with what a look found: what the copies were judged, and the copies as
    /// they are now, for a person may have written them anew at a later sequence.
    pub(super) fn take_findings<H: Host<Room = R>>(&mut self, host: &mut H, found: &Look<R>) {
        self.judged = Judged::from(&*found.surveyed.judgement);
        if found.contradiction {
            self.contradicted(host);
        } else if found.surveyed.believed() {
            self.adopt(&found.surveyed);
        }
    }

    #[inline(never)]
    fn adopt(&mut self, surveyed: &Surveyed<R>) {
        let Some(found) = surveyed.superblock() else {
            return;
        };
        self.tried = self.tried.max(found.sequence);
        match &mut self.metadata {
            Metadata::None => {}
            Metadata::Plain(kept) => **kept = found,
            Metadata::Full(joined) => joined.superblock = found,
        }
    }
}
