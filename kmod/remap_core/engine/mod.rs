// SPDX-License-Identifier: GPL-2.0-or-later
//! The procedures of a target: serving what failed, moving blocks, reading the table, scrubs
//! and repairs. One engine for every host.
//!
//! # Invariants
//!
//! - The copies and the table are read before the first request is admitted.
//! - A write is acknowledged when its data lies where the next read will look for it, and
//!   what tells the next read so is durable.
//! - A lost block is an error, never zeros and never other data.
//! - A list that is full is an error before anything was changed.
//! - Long work is a stepper: between two steps its owner may do anything else.

pub mod copies;
mod cover;
pub mod host;
mod labels;
mod load;
mod message;
mod piece;
mod readings;
mod relocate;
mod repair;
mod scrub;
mod serve;
mod table;
mod uncover;

pub use crate::remap_core::engine::cover::Cover;
pub use crate::remap_core::engine::load::{Kept, LoadError};
pub use crate::remap_core::engine::message::{Creation, Remaps, RequestError};
pub use crate::remap_core::engine::repair::{Repair, WriteFailure};
pub use crate::remap_core::engine::scrub::Scrub;
pub use crate::remap_core::engine::uncover::Uncover;

use crate::remap_core::account::{Account, Counters, Judged, TableUse, Times};
use crate::remap_core::bytes::Text;
use crate::remap_core::engine::host::{Full, Host, Now, Room};
use crate::remap_core::engine::relocate::Moving;
use crate::remap_core::engine::table::Table;
use crate::remap_core::event::Event;
use crate::remap_core::label::{DataArea, MainForm};
use crate::remap_core::params::FIRST_SCRUB_MILLIS;
use crate::remap_core::policy::{Failure, Health};
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::repair::{Backoff, Phase};
use crate::remap_core::status::{Mode, RepairStatus, Status};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{BlockSize, Blocks, Errno, Millis, Sector, Sectors, Sequence};

/// Whether a stepper has more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It has.
    More,
    /// It has ended.
    Done,
}

/// The settings of a target, fixed when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The remap unit.
    pub unit: BlockSize,
    /// The size of main in remap units.
    pub size: Blocks,
    /// Whether nothing is written.
    pub read_only: bool,
    /// Seconds between two scrubs; 0 for never.
    pub scrub_interval: u32,
}

/// The content of the spare, as far as the target works by it.
enum Metadata<R: Room> {
    /// Nothing: everything goes to main, and nothing is remapped.
    None,
    /// Plain v4: five copies to look after, and no table.
    Plain(R::Boxed<Superblock>),
    /// Copies and a table.
    Full(R::Boxed<Joined<R>>),
}

impl<R: Room> Metadata<R> {
    fn superblock(&self) -> Option<&Superblock> {
        match self {
            Self::None => None,
            Self::Plain(superblock) => Some(superblock),
            Self::Full(joined) => Some(&joined.superblock),
        }
    }
}

/// Metadata with a table.
struct Joined<R: Room> {
    superblock: Superblock,
    /// The name that the region headers bear.
    name: Text<NAME_LIMIT>,
    table: Table<R>,
}

/// Everything that is due, and what was done last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// When the next scrub is due.
    pub next_scrub: Option<Millis>,
    /// The state of the repair.
    pub backoff: Backoff,
    /// When the last scrub ended.
    pub last_scrub: Option<Now>,
    /// When the last repair completed.
    pub last_repair: Option<Now>,
}

impl Schedule {
    /// When something is due next.
    pub fn due(&self) -> Option<Millis> {
        match (self.next_scrub, self.backoff.due()) {
            (Some(scrub), Some(repair)) => Some(scrub.min(repair)),
            (scrub, repair) => scrub.or(repair),
        }
    }
}

/// The state of one target that is not on the path of every request.
pub struct Engine<R: Room> {
    settings: Settings,
    metadata: Metadata<R>,
    /// Unknown features allow no writing.
    must_not_write: bool,
    /// The table contradicted itself.
    needs_check: bool,
    /// The spare did not take a write, and nothing is moved.
    spare_fails: bool,
    /// A block of the table did not take a write; others are used in its place.
    table_fails: bool,
    health: Health,
    counters: Counters,
    schedule: Schedule,
    /// The judgement on the copies when they were last looked at.
    judged: Judged,
    /// The highest sequence of which a copy may have been written. Copies that cannot be read
    /// now may hold it, and must never meet other content that bears it too.
    tried: Sequence,
    /// The superblock of a write of the copies that failed half-way, if that was the last: it
    /// is written again as it is, so that copies never are two sequences apart.
    unfinished: Option<R::Boxed<Superblock>>,
    moving: Moving<R>,
    scratch: R::Page,
}

impl<R: Room> Engine<R> {
    /// The state before anything was read.
    ///
    /// # Errors
    ///
    /// [`Full`]: there is no memory.
    pub fn new(settings: Settings) -> Result<Self, Full> {
        Ok(Self {
            settings,
            metadata: Metadata::None,
            must_not_write: false,
            needs_check: false,
            spare_fails: false,
            table_fails: false,
            health: Health::default(),
            counters: Counters::default(),
            schedule: Schedule::default(),
            judged: Judged::NOTHING,
            tried: Sequence::new(0),
            unfinished: None,
            moving: Moving::new()?,
            scratch: R::page()?,
        })
    }

    /// Its settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether nothing is written: by request, by features that are not known, or because the
    /// table contradicts itself.
    pub const fn is_read_only(&self) -> bool {
        self.settings.read_only || self.must_not_write || self.needs_check
    }

    /// Whether there is a table, so that something can be done about bad blocks.
    pub const fn has_table(&self) -> bool {
        matches!(self.metadata, Metadata::Full(_))
    }

    /// The requests that it lets through.
    pub const fn mode(&self) -> Mode {
        Mode::of(self.is_read_only(), self.has_table())
    }

    /// The superblock that it works by, where there is metadata.
    pub fn superblock(&self) -> Option<&Superblock> {
        self.metadata.superblock()
    }

    /// The name that the region headers bear, where there are any.
    pub fn stored_name(&self) -> Option<Text<NAME_LIMIT>> {
        match &self.metadata {
            Metadata::Full(joined) => Some(joined.name),
            Metadata::None | Metadata::Plain(_) => None,
        }
    }

    /// Everything that is due.
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The highest sequence of which a copy may have been written.
    pub const fn tried(&self) -> Sequence {
        self.tried
    }

    fn table(&self) -> Option<&Table<R>> {
        match &self.metadata {
            Metadata::Full(joined) => Some(&joined.table),
            Metadata::None | Metadata::Plain(_) => None,
        }
    }

    fn table_mut(&mut self) -> Option<&mut Table<R>> {
        match &mut self.metadata {
            Metadata::Full(joined) => Some(&mut joined.table),
            Metadata::None | Metadata::Plain(_) => None,
        }
    }

    /// Everything that the target tells of itself.
    pub fn shown(&self) -> Shown {
        Shown {
            account: Account {
                mode: self.mode(),
                judged: self.judged,
                sequence: self.superblock().map(|superblock| superblock.sequence),
                table: self.table().map(Table::usage).unwrap_or_default(),
                counters: self.counters,
                needs_check: self.needs_check,
                main_suspect: self.health.is_suspect(),
                spare_failing: self.spare_fails || self.table_fails,
            },
            schedule: self.schedule,
        }
    }

    /// The spare did not take a write.
    pub fn spare_failed<H: Host<Room = R>>(&mut self, host: &mut H) {
        let known = self.table_fails;
        if !core::mem::replace(&mut self.spare_fails, true) && !known {
            host.raise(Event::SpareFails);
        }
        self.schedule_repair(host);
    }

    /// The spare gave an error for a block of its table. Others are used in its place, unless
    /// the spare fails as a whole.
    fn table_failed<H: Host<Room = R>>(&mut self, host: &mut H, errno: Errno) {
        let stuck = self.table().is_none_or(Table::is_stuck);
        if stuck || !Failure::from_errno(errno).is_of_blocks() {
            return self.spare_failed(host);
        }
        let known = self.spare_fails;
        if !core::mem::replace(&mut self.table_fails, true) && !known {
            host.raise(Event::SpareFails);
        }
        self.schedule_repair(host);
    }

    /// Damage was found that may be repaired without a person.
    fn schedule_repair<H: Host<Room = R>>(&mut self, host: &mut H) {
        let now = host.now().uptime;
        if !self.is_read_only() && self.schedule.backoff.damage_found(now) {
            self.raise_attempt_due(host);
        }
    }

    /// Tells when the next attempt to repair is due.
    fn raise_attempt_due<H: Host<Room = R>>(&self, host: &mut H) {
        if let Phase::Waiting { attempt, due } = self.schedule.backoff.phase() {
            let in_millis = due.get().saturating_sub(host.now().uptime.get());
            host.raise(Event::RepairScheduled { attempt, in_millis });
        }
    }

    /// The table contradicted itself, or what lies on the spare is somebody else's.
    fn contradicted<H: Host<Room = R>>(&mut self, host: &mut H) {
        if !core::mem::replace(&mut self.needs_check, true) {
            host.raise(Event::NeedsCheck);
        }
    }

    /// When the first scrub is due.
    fn first_scrub(&self, now: Now) -> Option<Millis> {
        let wanted = self.settings.scrub_interval > 0 && self.superblock().is_some();
        wanted.then(|| now.uptime.after(FIRST_SCRUB_MILLIS))
    }

    /// The part of main that the device is made of; what of it is no whole remap unit is not
    /// part of the device.
    pub fn data_area(&self) -> DataArea {
        let shift = self.settings.unit.sector_shift();
        let whole = DataArea {
            start: Sector::new(0),
            sectors: Sectors::new(self.settings.size.get().wrapping_shl(shift)),
        };
        match self
            .superblock()
            .map(|superblock| (superblock.main_form(), superblock.data_area()))
        {
            Some((MainForm::Labelled, area)) => area,
            _ => whole,
        }
    }
}

/// Everything that a target told last, for whoever must not wait for the engine: it may be
/// waiting for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    account: Account,
    schedule: Schedule,
}

impl Shown {
    /// The status as of `now`. `ago` counts the seconds since a time that has passed, on the
    /// clock that the host trusts for that.
    pub fn status(&self, now: Now, ago: impl Fn(Now) -> u64) -> Status {
        let ahead = |due: Millis| {
            due.get()
                .saturating_sub(now.uptime.get())
                .wrapping_div(1000)
        };
        let times = Times {
            last_scrub: self.schedule.last_scrub.map(&ago),
            next_scrub: self.schedule.next_scrub.map(ahead),
            last_repair: self.schedule.last_repair.map(&ago),
        };
        let repair = RepairStatus::of(self.schedule.backoff.phase(), now.uptime);
        self.account.status(repair, times)
    }
}

impl<R: Room> Table<R> {
    fn usage(&self) -> TableUse {
        TableUse {
            active: self.active(),
            pending: self.pending(),
            used: self.used(),
            total: self.total(),
        }
    }
}
