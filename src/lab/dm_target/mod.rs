//! An active device of the lab: an engine, and two disks that whoever calls it brings along
//! for the length of one action, so that nothing stays locked in between.

mod activate;
mod host;
mod message;
mod record;
mod request;
mod room;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

pub use crate::remap_core::engine::host::Now;
pub use activate::ActivateError;
pub use message::{MessageError, MetadataSeed, Refused};
pub(super) use record::Record;
pub use request::{FailedBlock, RequestError};

use crate::format::backup::SavedRange;
use crate::port::BlockStore;
use crate::remap_core::engine::Engine;
use crate::remap_core::event::Event;
use crate::remap_core::params::Options;
use crate::remap_core::status::{Mode, Status};
use crate::remap_core::units::{BlockSize, Blocks, Sectors};
use host::LabHost;
use room::{Heap, Index};

/// The two disks, for the length of one action.
pub struct Disks<'a> {
    /// The ageing one.
    pub main: &'a mut dyn BlockStore,
    /// The healthy one.
    pub spare: &'a mut dyn BlockStore,
}

/// Keeps what a repair is about to overwrite on the spare; the repair goes on only
/// when that is durable.
pub type KeepBackup<'a> = dyn FnMut(Vec<SavedRange>) -> std::io::Result<()> + 'a;

/// The arguments of a target, apart from its disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The name of the mapped device.
    pub name: String,
    /// The path of main.
    pub main_path: PathBuf,
    /// The path of the spare.
    pub spare_path: PathBuf,
    /// The optional part of the table line.
    pub options: Options,
}

/// One active device.
pub struct Target {
    arguments: Arguments,
    engine: Engine<Heap>,
    index: Index,
    events: Vec<Event>,
}

impl Target {
    /// The remap unit, and the smallest thing that can be read or written.
    pub const fn block_size(&self) -> BlockSize {
        self.engine.settings().unit
    }

    /// The size in remap units.
    pub fn blocks(&self) -> Blocks {
        Blocks::new(self.size().get() >> self.block_size().sector_shift())
    }

    /// The size; what of main is no whole remap unit is not part of it.
    pub fn size(&self) -> Sectors {
        self.engine.data_area().sectors
    }

    /// The requests that it lets through.
    pub const fn mode(&self) -> Mode {
        self.engine.mode()
    }

    /// The events since this was last called, oldest first.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Everything that the target tells of itself.
    pub fn status(&self, now: Now) -> Status {
        let ago = |then: Now| now.stamp.get().saturating_sub(then.stamp.get());
        self.engine.shown().status(now, ago)
    }

    /// The engine, and the ground that it stands on for one action.
    fn parts<'a, 'd: 'a>(
        &'a mut self,
        disks: &'a mut Disks<'d>,
        now: Now,
        keep: Option<&'a mut KeepBackup<'a>>,
    ) -> (&'a mut Engine<Heap>, LabHost<'a>) {
        let host = LabHost {
            main: &mut *disks.main,
            spare: &mut *disks.spare,
            index: &mut self.index,
            events: &mut self.events,
            name: &self.arguments.name,
            now,
            keep,
            not_kept: None,
        };
        (&mut self.engine, host)
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
