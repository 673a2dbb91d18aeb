//! The target in userspace: a main disk and its spare, joined by the shared rules.
//!
//! A [`Target`] is what a kernel would keep in memory. It holds no disk: whoever calls
//! it brings both along for the length of one action, so that nothing stays locked in
//! between.
//!
//! # Invariants
//!
//! - The copies and the table are read before the first read or write is admitted.
//! - A write is acknowledged when its data lies where the next read will look for it,
//!   and what tells the next read so is durable.
//! - A lost block is an error, never zeros and never other data.

mod activate;
mod io;
mod map;
mod message;
mod record;
mod relocate;
mod scrub;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

pub use activate::ActivateError;
pub use io::{FailedBlock, RequestError};
pub use message::{MessageError, MetadataSeed};
pub(super) use record::Record;

use crate::port::BlockStore;
use crate::remap_core::account::{Account, Counters, Judged, TableUse, Times};
use crate::remap_core::bytes::Text;
use crate::remap_core::event::Event;
use crate::remap_core::params::Options;
use crate::remap_core::policy::Health;
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::repair::{Backoff, Phase};
use crate::remap_core::status::{Mode, RepairStatus, Status};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{
    BlockSize, Blocks, MainBlock, Millis, Sectors, Sequence, Timestamp,
};

use crate::format::backup::SavedRange;
use map::Map;

/// The two disks, for the length of one action.
pub struct Disks<'a> {
    /// The ageing one.
    pub main: &'a mut dyn BlockStore,
    /// The healthy one.
    pub spare: &'a mut dyn BlockStore,
}

/// What time it is, for one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// On the clock that everything due is due by.
    pub uptime: Millis,
    /// On the wall, to show.
    pub stamp: Timestamp,
}

/// Keeps what a repair is about to overwrite on the spare; the repair goes on only
/// when that is durable.
pub type KeepBackup<'a> = dyn FnMut(Vec<SavedRange>) -> std::io::Result<()> + 'a;

/// What is given to bring a target up, apart from the disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The name of the mapped device.
    pub name: String,
    /// Where main was found.
    pub main_path: PathBuf,
    /// Where the spare was found.
    pub spare_path: PathBuf,
    /// The optional part of the table line.
    pub options: Options,
}

/// What the spare says of itself, as far as the target works by it.
enum Metadata {
    /// Nothing: writes go to main, and nothing is remapped.
    None,
    /// Plain v4: five copies to look after, and no table.
    Plain(Box<Superblock>),
    /// Copies and a table.
    Full(Box<Joined>),
}

struct Joined {
    superblock: Superblock,
    /// The name that the region headers bear.
    name: Text<NAME_LIMIT>,
    map: Map,
}

/// What is due when, and what was done last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Schedule {
    next_scrub: Option<Millis>,
    backoff: Backoff,
    last_scrub: Option<Timestamp>,
    last_repair: Option<Timestamp>,
}

/// One active device.
pub struct Target {
    arguments: Arguments,
    unit: BlockSize,
    size: Blocks,
    metadata: Metadata,
    /// Unknown features allow no writing.
    must_not_write: bool,
    needs_check: bool,
    spare_fails: bool,
    health: Health,
    counters: Counters,
    schedule: Schedule,
    judged: Judged,
    /// The highest sequence that was ever tried. Copies that cannot be read now may hold
    /// it, and must never meet other content that bears it too.
    tried: Sequence,
    events: Vec<Event>,
}

impl Target {
    /// The mapped device's name.
    pub fn name(&self) -> &str {
        &self.arguments.name
    }

    /// The remap unit, and the smallest thing that can be read or written.
    pub const fn block_size(&self) -> BlockSize {
        self.unit
    }

    /// The size in remap units.
    pub const fn blocks(&self) -> Blocks {
        self.size
    }

    /// The size; what of main is no whole remap unit is not part of it.
    pub fn size(&self) -> Sectors {
        Sectors::new(self.size.get() << self.unit.sector_shift())
    }

    /// What it lets through.
    pub const fn mode(&self) -> Mode {
        Mode::of(
            self.is_read_only(),
            matches!(self.metadata, Metadata::Full(_)),
        )
    }

    const fn is_read_only(&self) -> bool {
        self.arguments.options.read_only || self.must_not_write || self.needs_check
    }

    /// The events since this was last called, oldest first.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Everything that the target tells of itself.
    pub fn status(&self, now: Now) -> Status {
        let map = self.joined().map(|joined| &joined.map);
        let blocks = |count: fn(&Map) -> Blocks| map.map(count).unwrap_or_default();
        let ago = |stamp: Timestamp| now.stamp.get().saturating_sub(stamp.get());
        let ahead = |due: Millis| due.get().saturating_sub(now.uptime.get()) / 1000;
        let account = Account {
            mode: self.mode(),
            judged: self.judged,
            sequence: self.superblock().map(|superblock| superblock.sequence),
            table: TableUse {
                active: blocks(Map::active),
                pending: blocks(Map::pending),
                used: blocks(Map::used),
                total: blocks(Map::total),
            },
            counters: self.counters,
            needs_check: self.needs_check,
            main_suspect: self.health.is_suspect(),
            spare_failing: self.spare_fails,
        };
        let times = Times {
            last_scrub: self.schedule.last_scrub.map(ago),
            next_scrub: self.schedule.next_scrub.map(ahead),
            last_repair: self.schedule.last_repair.map(ago),
        };
        let repair = RepairStatus::of(self.schedule.backoff.phase(), now.uptime);
        account.status(repair, times)
    }

    const fn superblock(&self) -> Option<&Superblock> {
        match &self.metadata {
            Metadata::None => None,
            Metadata::Plain(superblock) => Some(superblock),
            Metadata::Full(joined) => Some(&joined.superblock),
        }
    }

    const fn joined(&self) -> Option<&Joined> {
        match &self.metadata {
            Metadata::Full(joined) => Some(joined),
            Metadata::None | Metadata::Plain(_) => None,
        }
    }

    fn joined_mut(&mut self) -> Option<&mut Joined> {
        match &mut self.metadata {
            Metadata::Full(joined) => Some(joined),
            Metadata::None | Metadata::Plain(_) => None,
        }
    }

    fn map(&self) -> Option<&Map> {
        self.joined().map(|joined| &joined.map)
    }

    fn raise(&mut self, event: Event) {
        self.events.push(event);
    }

    /// The spare did not take a write.
    fn spare_failed(&mut self, now: Now) {
        if !std::mem::replace(&mut self.spare_fails, true) {
            self.raise(Event::SpareFails);
        }
        self.schedule_repair(now);
    }

    /// Damage was found that may be repaired without a person.
    fn schedule_repair(&mut self, now: Now) {
        if self.schedule.backoff.damage_found(now.uptime) {
            self.raise_attempt_due(now);
        }
    }

    fn raise_attempt_due(&mut self, now: Now) {
        if let Phase::Waiting { attempt, due } = self.schedule.backoff.phase() {
            self.raise(Event::RepairScheduled {
                attempt,
                in_millis: due.get().saturating_sub(now.uptime.get()),
            });
        }
    }

    fn contradicted(&mut self) {
        if !std::mem::replace(&mut self.needs_check, true) {
            self.raise(Event::NeedsCheck);
        }
    }

    /// The block after `block`.
    const fn after(block: MainBlock) -> MainBlock {
        MainBlock::new(block.get().saturating_add(1))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("arguments", &self.arguments)
            .field("mode", &self.mode())
            .finish_non_exhaustive()
    }
}
