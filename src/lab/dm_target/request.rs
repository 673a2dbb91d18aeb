//! Reads and writes of an active device.

use std::fmt;
use std::ops::Range;

use super::host::LabHost;
use super::{Disks, Now, Target};
use crate::port::BlockStore;
use crate::remap_core::engine::host::Payload;
use crate::remap_core::message::Device;
use crate::remap_core::units::{BlockSize, Blocks, Errno, MainBlock, Sector};

/// A block that could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedBlock {
    /// Its number, in remap units.
    pub block: MainBlock,
    /// Why.
    pub errno: Errno,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// It does not begin or end at a remap unit.
    Misaligned {
        /// The remap unit.
        unit: BlockSize,
    },
    /// It goes past the end of the device.
    PastEnd,
    /// The device is up read-only.
    ReadOnly,
    /// These blocks failed, in the order of main; all others were read or written.
    Blocks(Vec<FailedBlock>),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned { unit } => {
                write!(f, "the request is not made of whole blocks of {unit} bytes")
            }
            Self::PastEnd => f.write_str("the request goes past the end of the device"),
            Self::ReadOnly => f.write_str("the device is read-only"),
            Self::Blocks(failed) => {
                write!(f, "{} blocks failed", failed.len())?;
                match failed.first() {
                    Some(first) => write!(f, ", the first is block {}", first.block),
                    None => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for RequestError {}

/// The bytes of a request.
enum Bytes<'b> {
    Read(&'b mut [u8]),
    Write(&'b [u8]),
}

/// One request, and the blocks of it that failed.
struct Request<'b> {
    unit: BlockSize,
    first: MainBlock,
    count: Blocks,
    bytes: Bytes<'b>,
    failed: Vec<FailedBlock>,
}

impl Request<'_> {
    fn range(&self, block: MainBlock, count: Blocks) -> Range<usize> {
        let bytes = self.unit.bytes() as usize;
        // Both lie within a request that fits in memory.
        let start = (block.get() - self.first.get()) as usize * bytes;
        start..start + count.get() as usize * bytes
    }
}

impl Payload<LabHost<'_>> for Request<'_> {
    fn first(&self) -> MainBlock {
        self.first
    }

    fn count(&self) -> Blocks {
        self.count
    }

    fn is_write(&self) -> bool {
        matches!(self.bytes, Bytes::Write(_))
    }

    fn transfer(
        &mut self,
        host: &mut LabHost<'_>,
        block: MainBlock,
        count: Blocks,
        (device, at): (Device, Sector),
        durably: bool,
    ) -> Result<(), Errno> {
        let range = self.range(block, count);
        match &mut self.bytes {
            Bytes::Read(buffer) => read_whole(host.disk(device), at, &mut buffer[range]),
            Bytes::Write(data) => {
                let disk = host.disk(device);
                let written = disk.write_at(at, &data[range]);
                let durable = written.and_then(|()| if durably { disk.flush() } else { Ok(()) });
                durable.map_err(|error| error.errno)
            }
        }
    }

    fn failed(&mut self, block: MainBlock, count: Blocks, errno: Errno) {
        let blocks = block.get()..block.get() + count.get();
        let failed = |block| FailedBlock {
            block: MainBlock::new(block),
            errno,
        };
        self.failed.extend(blocks.map(failed));
    }
}

/// Reads all of `bytes`, or leaves them as they are.
fn read_whole(store: &dyn BlockStore, at: Sector, bytes: &mut [u8]) -> Result<(), Errno> {
    let before = bytes.to_vec();
    store.read_at(at, bytes).map_err(|error| {
        bytes.copy_from_slice(&before);
        error.errno
    })
}

impl Target {
    /// Reads whole remap units from `at` on.
    ///
    /// # Errors
    ///
    /// [`RequestError::Blocks`] names exactly the blocks that are lost. What `buffer`
    /// holds in their place is what it held before; every other block was read.
    pub fn read(
        &mut self,
        disks: &mut Disks<'_>,
        now: Now,
        at: Sector,
        buffer: &mut [u8],
    ) -> Result<(), RequestError> {
        let (first, count) = self.blocks_of(at, buffer.len())?;
        self.serve(disks, now, (first, count), Bytes::Read(buffer))
    }

    /// Writes whole remap units from `at` on. Blocks that main does not take are moved
    /// to the spare, durably, before this returns; everything else is durable after
    /// [`Target::flush`].
    ///
    /// # Errors
    ///
    /// [`RequestError::Blocks`] names the blocks whose content is unknown now; every
    /// other block was written.
    pub fn write(
        &mut self,
        disks: &mut Disks<'_>,
        now: Now,
        at: Sector,
        data: &[u8],
    ) -> Result<(), RequestError> {
        let (first, count) = self.blocks_of(at, data.len())?;
        if self.engine.is_read_only() {
            return Err(RequestError::ReadOnly);
        }
        self.serve(disks, now, (first, count), Bytes::Write(data))
    }

    fn serve(
        &mut self,
        disks: &mut Disks<'_>,
        now: Now,
        (first, count): (MainBlock, Blocks),
        bytes: Bytes<'_>,
    ) -> Result<(), RequestError> {
        let mut request = Request {
            unit: self.block_size(),
            first,
            count,
            bytes,
            failed: Vec::new(),
        };
        let (engine, mut host) = self.parts(disks, now, None);
        let served = engine.serve(&mut host, &mut request);
        let mut failed = request.failed;
        failed.sort_by_key(|failed| failed.block);
        failed.dedup_by_key(|failed| failed.block);
        debug_assert_eq!(served.is_ok(), failed.is_empty());
        match failed.is_empty() {
            true => Ok(()),
            false => Err(RequestError::Blocks(failed)),
        }
    }

    /// Makes every write so far durable, on both disks. A spare that nothing is on has nothing
    /// to make durable.
    ///
    /// # Errors
    ///
    /// The first error; nothing may be taken for durable then.
    pub fn flush(&mut self, disks: &mut Disks<'_>, now: Now) -> Result<(), Errno> {
        let main = disks.main.flush();
        let spare = match self.index.is_empty() {
            true => Ok(()),
            false => disks.spare.flush(),
        };
        if spare.is_err() {
            let (engine, mut host) = self.parts(disks, now, None);
            engine.spare_failed(&mut host);
        }
        main.and(spare).map_err(|error| error.errno)
    }

    /// The remap units of main that a request is about.
    fn blocks_of(&self, at: Sector, length: usize) -> Result<(MainBlock, Blocks), RequestError> {
        let unit = self.block_size();
        let bytes = unit.bytes() as usize;
        let first = unit.block_of(at);
        if unit.first_sector(first) != Some(at) || !length.is_multiple_of(bytes) {
            return Err(RequestError::Misaligned { unit });
        }
        let count = (length / bytes) as u64;
        let start = unit.block_of(self.engine.data_area().start);
        match first.get().checked_add(count) {
            Some(end) if end <= self.blocks().get() => {
                let first = MainBlock::new(start.get() + first.get());
                Ok((first, Blocks::new(count)))
            }
            _ => Err(RequestError::PastEnd),
        }
    }
}
