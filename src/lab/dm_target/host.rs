//! The lab's two disks, clock and events, as an engine asks for them.

use std::io;

use super::room::{Chunk, Heap, Index, Page};
use super::{KeepBackup, Now};
use crate::format::backup::{Content, SavedRange};
use crate::port::{BlockStore, IoError};
use crate::remap_core::bytes::Text;
use crate::remap_core::engine::host::{Full, Host, Page as _};
use crate::remap_core::event::Event;
use crate::remap_core::layout::Layout;
use crate::remap_core::message::Device;
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::units::{BlockSize, Errno, Sector, Sectors};

/// Everything that an engine needs for one action.
pub(super) struct LabHost<'a> {
    pub(super) main: &'a mut dyn BlockStore,
    pub(super) spare: &'a mut dyn BlockStore,
    pub(super) index: &'a mut Index,
    pub(super) events: &'a mut Vec<Event>,
    pub(super) name: &'a str,
    pub(super) now: Now,
    pub(super) keep: Option<&'a mut KeepBackup<'a>>,
    /// Why the last backup could not be kept.
    pub(super) not_kept: Option<io::Error>,
}

impl LabHost<'_> {
    pub(super) fn disk(&mut self, device: Device) -> &mut dyn BlockStore {
        match device {
            Device::Main => self.main,
            Device::Spare => self.spare,
        }
    }

    fn disk_ref(&self, device: Device) -> &dyn BlockStore {
        match device {
            Device::Main => self.main,
            Device::Spare => self.spare,
        }
    }

    fn write_durably(&mut self, device: Device, at: Sector, bytes: &[u8]) -> Result<(), Errno> {
        let disk = self.disk(device);
        let written = disk.write_at(at, bytes).and_then(|()| disk.flush());
        written.map_err(errno)
    }
}

fn errno(error: IoError) -> Errno {
    error.errno
}

impl Host for LabHost<'_> {
    type Room = Heap;
    type Index = Index;

    fn index(&self) -> &Index {
        self.index
    }

    fn index_mut(&mut self) -> &mut Index {
        self.index
    }

    fn size(&self, device: Device) -> Sectors {
        self.disk_ref(device).size()
    }

    fn logical_block(&self, device: Device) -> BlockSize {
        self.disk_ref(device).logical_block()
    }

    fn physical_block_of_main(&self) -> u32 {
        self.main.physical_block_bytes()
    }

    fn read(
        &mut self,
        device: Device,
        at: Sector,
        page: &mut Page,
        bytes: u32,
    ) -> Result<(), Errno> {
        let bytes = &mut page.raw_mut()[..bytes as usize];
        self.disk(device).read_at(at, bytes).map_err(errno)
    }

    fn read_chunk(
        &mut self,
        (device, at): (Device, Sector),
        chunk: &mut Chunk,
        first: usize,
        blocks: usize,
    ) -> Result<(), Errno> {
        let bytes = chunk.bytes_mut(first, blocks);
        self.disk(device).read_at(at, bytes).map_err(errno)
    }

    fn write(&mut self, device: Device, at: Sector, page: &Page, bytes: u32) -> Result<(), Errno> {
        self.write_durably(device, at, &page.raw()[..bytes as usize])
    }

    fn write_chunk(
        &mut self,
        (device, at): (Device, Sector),
        chunk: &Chunk,
        first: usize,
        blocks: usize,
    ) -> Result<(), Errno> {
        self.write_durably(device, at, chunk.bytes(first, blocks))
    }

    fn flush(&mut self) -> Result<(), Errno> {
        self.spare.flush().map_err(errno)
    }

    fn now(&self) -> Now {
        self.now
    }

    fn name(&self) -> Text<NAME_LIMIT> {
        Text::new(self.name.as_bytes()).unwrap_or_default()
    }

    fn raise(&mut self, event: Event) {
        self.events.push(event);
    }

    fn found_table(&mut self, _layout: &Layout) {}

    // Requests are placed by what the engine says.
    fn data_begins(&mut self, _at: Sector) {}

    // Nothing is discarded in a lab.
    fn covers_ends(&mut self, _on: bool) {}

    fn alone<T>(&mut self, inner: impl FnOnce(&mut Self) -> T) -> T {
        // One action at a time holds the disks.
        inner(self)
    }

    fn keep(&mut self, ranges: &[(Sector, Sectors)]) -> Result<(), Full> {
        let Some(keep) = &mut self.keep else {
            return Ok(());
        };
        let kept = keep(read_ranges(self.spare, ranges));
        kept.map_err(|error| {
            self.not_kept = Some(error);
            Full
        })
    }
}

/// The content of these ranges now, in the order of the disk; without those that cannot be
/// read.
fn read_ranges(spare: &dyn BlockStore, ranges: &[(Sector, Sectors)]) -> Vec<SavedRange> {
    let mut ranges = ranges.to_vec();
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
