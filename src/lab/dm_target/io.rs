//! Reads and writes, split between main and the spare.

use std::fmt;

use super::relocate::Job;
use super::{Disks, Now, Target};
use crate::port::BlockStore;
use crate::remap_core::event::Event;
use crate::remap_core::policy::{Failure, PassUp, Probing};
use crate::remap_core::relocation::Origin;
use crate::remap_core::units::{BlockSize, Errno, MainBlock, Sector};

/// A block that could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedBlock {
    /// Which, in remap units.
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

/// A part of a request that one disk serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// Main serves these blocks.
    Main { first: MainBlock, count: u64 },
    /// The spare serves this one, from this sector on.
    Spare { block: MainBlock, at: Sector },
    /// Main has this one, and could not read it before.
    Pending { block: MainBlock },
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
        let (first, count) = self.request(at, buffer.len())?;
        let (mut lost, mut lost_on_spare) = (Vec::new(), Vec::new());
        for piece in self.pieces(first, count) {
            match piece {
                Piece::Spare { block, at } => {
                    let bytes = self.part_of(buffer, first, block, 1);
                    if let Err(errno) = read_whole(disks.spare, at, bytes) {
                        self.counters.read_errors = self.counters.read_errors.saturating_add(1);
                        lost_on_spare.push(FailedBlock { block, errno });
                    }
                }
                Piece::Main {
                    first: from,
                    count: blocks,
                } => {
                    let bytes = self.part_of(buffer, first, from, blocks);
                    self.read_main(disks, from, bytes, &mut lost);
                }
                Piece::Pending { block } => {
                    let bytes = self.part_of(buffer, first, block, 1);
                    self.read_main(disks, block, bytes, &mut lost);
                }
            }
        }
        let of_blocks = |failed: &&FailedBlock| Failure::from_errno(failed.errno).is_of_blocks();
        let failures = lost.iter().filter(of_blocks).count();
        self.test_main_if_suspect(disks, first, count, failures);
        self.mark_pending(disks, now, &lost);
        lost.append(&mut lost_on_spare);
        if lost.is_empty() {
            return Ok(());
        }
        lost.sort_by_key(|failed| failed.block);
        Err(RequestError::Blocks(lost))
    }

    /// Reads a run of blocks from main, narrowing a failure to the blocks that are lost.
    fn read_main(
        &mut self,
        disks: &Disks<'_>,
        first: MainBlock,
        bytes: &mut [u8],
        lost: &mut Vec<FailedBlock>,
    ) {
        let unit = self.unit.bytes() as usize;
        let blocks = (first.get()..).zip(bytes.chunks(unit)).count();
        let Some(at) = self.unit.first_sector(first) else {
            return;
        };
        let errno = match read_whole(disks.main, at, bytes) {
            Ok(()) => {
                self.health.succeeded();
                return;
            }
            Err(errno) => errno,
        };
        let narrow = Failure::from_errno(errno).is_of_blocks() && blocks > 1;
        for (block, bytes) in (first.get()..)
            .map(MainBlock::new)
            .zip(bytes.chunks_mut(unit))
        {
            let at = self.unit.first_sector(block).filter(|_| narrow);
            let outcome = at.map_or(Err(errno), |at| read_whole(disks.main, at, bytes));
            match outcome {
                Ok(()) => self.health.succeeded(),
                Err(errno) => {
                    self.counters.read_errors = self.counters.read_errors.saturating_add(1);
                    lost.push(FailedBlock { block, errno });
                }
            }
        }
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
        let (first, count) = self.request(at, data.len())?;
        if self.is_read_only() {
            return Err(RequestError::ReadOnly);
        }
        self.settle_under(disks, now, first, count)?;
        let mut jobs = Vec::new();
        let mut failed = Vec::new();
        for piece in self.pieces(first, count) {
            match piece {
                Piece::Main {
                    first: from,
                    count: blocks,
                } => {
                    let bytes = part(data, self.unit, first, from, blocks);
                    self.write_main(disks, from, bytes, &mut jobs, &mut failed);
                }
                Piece::Pending { block } => jobs.push(Job {
                    block,
                    data: part(data, self.unit, first, block, 1),
                    failure: Failure::Medium,
                    origin: Origin::Pending,
                }),
                Piece::Spare { block, at } => {
                    let bytes = part(data, self.unit, first, block, 1);
                    if let Err(error) = disks.spare.write_at(at, bytes) {
                        jobs.push(Job {
                            block,
                            data: bytes,
                            failure: Failure::from_errno(error.errno),
                            origin: Origin::Spare,
                        });
                    }
                }
            }
        }
        let failures = jobs.iter().filter(|job| job.origin == Origin::Main).count();
        self.test_main_if_suspect(disks, first, count, failures);
        failed.extend(self.relocate(disks, now, &jobs));
        if failed.is_empty() {
            return Ok(());
        }
        failed.sort_by_key(|failed| failed.block);
        Err(RequestError::Blocks(failed))
    }

    /// Writes a run of blocks to main, narrowing a failure to the blocks that are bad.
    fn write_main<'d>(
        &mut self,
        disks: &mut Disks<'_>,
        first: MainBlock,
        bytes: &'d [u8],
        jobs: &mut Vec<Job<'d>>,
        failed: &mut Vec<FailedBlock>,
    ) {
        let unit = self.unit.bytes() as usize;
        let Some(at) = self.unit.first_sector(first) else {
            return;
        };
        let errno = match disks.main.write_at(at, bytes) {
            Ok(()) => {
                self.health.succeeded();
                return;
            }
            Err(error) => error.errno,
        };
        let blocks = (first.get()..).map(MainBlock::new).zip(bytes.chunks(unit));
        let failure = Failure::from_errno(errno);
        if !failure.is_of_blocks() {
            self.raise(Event::NotRelocated {
                block: first,
                why: PassUp::NotOfBlocks(failure),
            });
            failed.extend(blocks.map(|(block, _)| FailedBlock { block, errno }));
            let failed = (bytes.len() / unit) as u64;
            self.counters.write_errors = self.counters.write_errors.saturating_add(failed);
            return;
        }
        let narrow = bytes.len() > unit;
        for (block, data) in blocks {
            let at = self.unit.first_sector(block).filter(|_| narrow);
            let outcome = at.map_or(Err(errno), |at| {
                disks.main.write_at(at, data).map_err(|error| error.errno)
            });
            match outcome {
                Ok(()) => self.health.succeeded(),
                Err(errno) => {
                    self.counters.write_errors = self.counters.write_errors.saturating_add(1);
                    jobs.push(Job {
                        block,
                        data,
                        failure: Failure::from_errno(errno),
                        origin: Origin::Main,
                    });
                }
            }
        }
    }

    /// Makes every write so far durable, on both disks.
    ///
    /// # Errors
    ///
    /// The first error; nothing may be taken for durable then.
    pub fn flush(&mut self, disks: &mut Disks<'_>, now: Now) -> Result<(), Errno> {
        let main = disks.main.flush();
        let spare = match self.metadata {
            super::Metadata::Full(_) => disks.spare.flush(),
            super::Metadata::None | super::Metadata::Plain(_) => Ok(()),
        };
        if spare.is_err() {
            self.spare_failed(now);
        }
        main.and(spare).map_err(|error| error.errno)
    }

    /// The remap units of a request.
    fn request(&self, at: Sector, length: usize) -> Result<(MainBlock, u64), RequestError> {
        let unit = self.unit;
        let bytes = unit.bytes() as usize;
        let first = unit.block_of(at);
        if unit.first_sector(first) != Some(at) || !length.is_multiple_of(bytes) {
            return Err(RequestError::Misaligned { unit });
        }
        let count = (length / bytes) as u64;
        match first.get().checked_add(count) {
            Some(end) if end <= self.size.get() => Ok((first, count)),
            _ => Err(RequestError::PastEnd),
        }
    }

    /// Splits a request so that exactly the remapped blocks go to the spare.
    fn pieces(&self, first: MainBlock, count: u64) -> Vec<Piece> {
        let end = MainBlock::new(first.get() + count);
        let mut pieces = Vec::new();
        let mut from = first;
        while from < end {
            let live = self.map().and_then(|map| map.first_live(from, end));
            let until = live.map_or(end, |(block, _)| block);
            if until > from {
                pieces.push(Piece::Main {
                    first: from,
                    count: until.get() - from.get(),
                });
            }
            if let Some((block, live)) = live {
                let at = self
                    .map()
                    .and_then(|map| map.layout().replacement_sector(live.replacement));
                pieces.push(match at {
                    Some(at) if live.active => Piece::Spare { block, at },
                    _ => Piece::Pending { block },
                });
            }
            from = live.map_or(end, |(block, _)| Self::after(block));
        }
        pieces
    }

    /// The bytes of `count` blocks from `block` on, in a request that begins at `first`.
    fn part_of<'b>(
        &self,
        buffer: &'b mut [u8],
        first: MainBlock,
        block: MainBlock,
        count: u64,
    ) -> &'b mut [u8] {
        let range = range_of(self.unit, first, block, count);
        &mut buffer[range]
    }

    /// Counts blocks of main that failed and, where main may be failing as a whole,
    /// puts it to the test: blocks outside of the request are read.
    fn test_main_if_suspect(
        &mut self,
        disks: &Disks<'_>,
        first: MainBlock,
        count: u64,
        failures: usize,
    ) {
        if let Some(probing) = self.health.failed(failures) {
            self.test_main(disks, first, count, probing);
        }
    }

    fn test_main(&mut self, disks: &Disks<'_>, first: MainBlock, count: u64, probing: Probing) {
        let mut tried = 0;
        let mut bytes = vec![0; self.unit.bytes() as usize];
        for block in probing.places(self.size) {
            let in_request = block >= first && block.get() - first.get() < count;
            let known = self.map().is_some_and(|map| map.get(block).is_some());
            let Some(at) = self.unit.first_sector(block) else {
                continue;
            };
            if in_request || known {
                continue;
            }
            if disks.main.read_at(at, &mut bytes).is_ok() {
                self.health.succeeded();
                return;
            }
            tried += 1;
            if tried == probing.most {
                break;
            }
        }
        if tried > 0 && self.health.failed_test() {
            self.raise(Event::MainSuspect);
        }
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

fn range_of(
    unit: BlockSize,
    first: MainBlock,
    block: MainBlock,
    count: u64,
) -> std::ops::Range<usize> {
    let bytes = unit.bytes() as usize;
    // Both lie within a request that fits in memory.
    let start = (block.get() - first.get()) as usize * bytes;
    start..start + count as usize * bytes
}

fn part(data: &[u8], unit: BlockSize, first: MainBlock, block: MainBlock, count: u64) -> &[u8] {
    &data[range_of(unit, first, block, count)]
}
