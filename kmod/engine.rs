// SPDX-License-Identifier: GPL-2.0-or-later
//! What a target knows of its metadata, and what it counts: all that changes outside of
//! the path of every bio, under one lock.

use kernel::error::Result;
use kernel::prelude::*;

use crate::dm::claims::Claim;
use crate::dm::clock;
use crate::dm::device::Buffer;
use crate::log;
use crate::relocate::Moving;
use crate::remap_core::account::{Account, Counters, Judged, TableUse, Times};
use crate::remap_core::bytes::Text;
use crate::remap_core::event::{Event, Severity};
use crate::remap_core::log_line::{LogLine, Told};
use crate::remap_core::policy::Health;
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::repair::{Backoff, Phase};
use crate::remap_core::status::{Mode, RepairStatus, Status};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{BlockSize, Blocks, Millis, Sequence};
use crate::store::Faults;
use crate::table::Table;

/// What the spare says of itself, as far as the target works by it.
pub enum Metadata {
    /// Nothing: everything goes to main, and nothing is remapped.
    None,
    /// Plain v4: five copies to look after, and no table.
    Plain(KBox<Superblock>),
    /// Copies and a table.
    Full(KBox<Full>),
}

/// Metadata with a table.
pub struct Full {
    /// What the copies say.
    pub superblock: Superblock,
    /// The name that the region headers bear.
    pub name: Text<NAME_LIMIT>,
    /// The remap table.
    pub table: Table,
}

/// What is due when, and what was done last.
#[derive(Clone, Copy, Default)]
pub struct Schedule {
    /// When the next scrub is due.
    pub next_scrub: Option<Millis>,
    /// Where the repair stands.
    pub backoff: Backoff,
    /// When the last scrub ended.
    pub last_scrub: Option<Millis>,
    /// When the last repair completed.
    pub last_repair: Option<Millis>,
}

/// Lines about single blocks that the kernel log takes in one second.
const LINES_A_SECOND: u32 = 20;

/// Keeps the kernel log from being flooded by what a bad disk gives rise to.
#[derive(Default)]
struct Limit {
    since: u64,
    lines: u32,
    left_out: u64,
}

/// The state of one target.
pub struct Engine {
    /// Whether the metadata were read.
    pub loaded: bool,
    /// Keeps the spare from being used by another target, while the device is up.
    pub claims: Option<[Claim; 2]>,
    /// Whether the table is in use: not suspended.
    pub running: bool,
    /// What the spare says.
    pub metadata: Metadata,
    /// Whether nothing is written, by request or because main or the spare take nothing.
    pub read_only: bool,
    /// Unknown features allow no writing.
    pub must_not_write: bool,
    /// The table contradicted itself.
    pub needs_check: bool,
    /// The spare did not take a write.
    pub spare_fails: bool,
    /// How main has been doing.
    pub health: Health,
    /// What is counted.
    pub counters: Counters,
    /// What is due.
    pub schedule: Schedule,
    /// What the copies were judged.
    pub judged: Judged,
    /// The highest sequence that was ever tried. Copies that cannot be read now may hold
    /// it, and must never meet other content that bears it too.
    pub tried: Sequence,
    /// Blocks that are made to fail.
    pub faults: Faults,
    /// What moving blocks needs: memory that is there when it is short.
    pub moving: Moving,
    /// For reading single blocks.
    pub scratch: Buffer,
    /// Whether something happened that nobody was woken for yet.
    raised: bool,
    limit: Limit,
}

impl Engine {
    /// The state before anything was read.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(read_only: bool, unit: BlockSize) -> Result<Self> {
        Ok(Self {
            loaded: false,
            claims: None,
            running: false,
            metadata: Metadata::None,
            read_only,
            must_not_write: false,
            needs_check: false,
            spare_fails: false,
            health: Health::default(),
            counters: Counters::default(),
            schedule: Schedule::default(),
            judged: Judged::NOTHING,
            tried: Sequence::new(0),
            faults: Faults::none(unit),
            moving: Moving::new()?,
            scratch: Buffer::new(GFP_KERNEL)?,
            raised: false,
            limit: Limit::default(),
        })
    }

    /// Whether nothing is written.
    pub fn is_read_only(&self) -> bool {
        self.read_only || self.must_not_write || self.needs_check
    }

    /// What it lets through.
    pub fn mode(&self) -> Mode {
        Mode::of(
            self.is_read_only(),
            matches!(self.metadata, Metadata::Full(_)),
        )
    }

    /// What the copies say, where there are any.
    pub fn superblock(&self) -> Option<&Superblock> {
        match &self.metadata {
            Metadata::None => None,
            Metadata::Plain(superblock) => Some(superblock),
            Metadata::Full(full) => Some(&full.superblock),
        }
    }

    /// The remap table, where there is one.
    pub fn table(&self) -> Option<&Table> {
        match &self.metadata {
            Metadata::Full(full) => Some(&full.table),
            Metadata::None | Metadata::Plain(_) => None,
        }
    }

    /// The remap table, to change.
    pub fn table_mut(&mut self) -> Option<&mut Table> {
        match &mut self.metadata {
            Metadata::Full(full) => Some(&mut full.table),
            Metadata::None | Metadata::Plain(_) => None,
        }
    }

    /// Tells of something, in the kernel log and to whoever waits for events.
    pub fn raise(&mut self, device: &str, event: Event) {
        self.raised = true;
        let single = matches!(
            event,
            Event::Remapped { .. }
                | Event::Pending { .. }
                | Event::ReplacementBad { .. }
                | Event::NotRelocated { .. }
        );
        if single && !self.limit.allows(device) {
            return;
        }
        tell(device, event);
    }

    /// Whether anything happened since this was last asked.
    pub fn take_raised(&mut self) -> bool {
        core::mem::take(&mut self.raised)
    }

    /// The spare did not take a write.
    pub fn spare_failed(&mut self, device: &str) {
        if !core::mem::replace(&mut self.spare_fails, true) {
            self.raise(device, Event::SpareFails);
        }
        self.schedule_repair(device);
    }

    /// Damage was found that may be repaired without a person.
    pub fn schedule_repair(&mut self, device: &str) {
        if !self.is_read_only() && self.schedule.backoff.damage_found(clock::uptime()) {
            self.raise_attempt_due(device);
        }
    }

    /// Tells when the next attempt to repair is due.
    pub fn raise_attempt_due(&mut self, device: &str) {
        if let Phase::Waiting { attempt, due } = self.schedule.backoff.phase() {
            let in_millis = due.get().saturating_sub(clock::uptime().get());
            self.raise(device, Event::RepairScheduled { attempt, in_millis });
        }
    }

    /// The table contradicted itself, or what lies on the spare is somebody else's.
    pub fn contradicted(&mut self, device: &str) {
        if !core::mem::replace(&mut self.needs_check, true) {
            self.raise(device, Event::NeedsCheck);
        }
    }

    /// When something is due next.
    pub fn due(&self) -> Option<Millis> {
        let repair = self.schedule.backoff.due();
        match (self.schedule.next_scrub, repair) {
            (Some(scrub), Some(repair)) => Some(scrub.min(repair)),
            (scrub, repair) => scrub.or(repair),
        }
    }

    /// Everything that the target tells of itself.
    pub fn shown(&self) -> Shown {
        let table = self.table();
        let blocks = |count: fn(&Table) -> Blocks| table.map(count).unwrap_or_default();
        Shown {
            account: Account {
                mode: self.mode(),
                judged: self.judged,
                sequence: self.superblock().map(|superblock| superblock.sequence),
                table: TableUse {
                    active: blocks(Table::active),
                    pending: blocks(Table::pending),
                    used: blocks(Table::used),
                    total: blocks(Table::total),
                },
                counters: self.counters,
                needs_check: self.needs_check,
                main_suspect: self.health.is_suspect(),
                spare_failing: self.spare_fails,
            },
            schedule: self.schedule,
        }
    }
}

/// What was told last, for whoever must not wait for the engine: it may be waiting for a
/// disk.
#[derive(Clone, Copy)]
pub struct Shown {
    account: Account,
    schedule: Schedule,
}

impl Shown {
    /// The status as of now.
    pub fn status(&self) -> Status {
        let (now, schedule) = (clock::uptime(), &self.schedule);
        let ago = |then: Millis| now.get().saturating_sub(then.get()) / 1000;
        let ahead = |due: Millis| due.get().saturating_sub(now.get()) / 1000;
        let times = Times {
            last_scrub: schedule.last_scrub.map(ago),
            next_scrub: schedule.next_scrub.map(ahead),
            last_repair: schedule.last_repair.map(ago),
        };
        let repair = RepairStatus::of(schedule.backoff.phase(), now);
        self.account.status(repair, times)
    }
}

/// Writes an event to the kernel log.
pub fn tell(device: &str, event: Event) {
    let line = LogLine {
        device: Some(device),
        told: Told::Event(event),
    };
    match event.severity() {
        Severity::Info => log::info(format_args!("{line}")),
        Severity::Warning => log::warn(format_args!("{line}")),
        Severity::Error => log::error(format_args!("{line}")),
    }
}

impl Limit {
    fn allows(&mut self, device: &str) -> bool {
        let second = clock::uptime().get() / 1000;
        if second != self.since {
            if self.left_out > 0 {
                let lines = self.left_out;
                tell(device, Event::LeftOut { lines });
            }
            *self = Self {
                since: second,
                ..Self::default()
            };
        }
        self.lines = self.lines.saturating_add(1);
        let allowed = self.lines <= LINES_A_SECOND;
        self.left_out += u64::from(!allowed);
        allowed
    }
}
