//! Disks with sectors that fail.

use serde::{Deserialize, Serialize};

use crate::port::block::{Instance, Signature};
use crate::port::{BlockStore, IoError};
use crate::remap_core::message::Direction;
use crate::remap_core::units::{BlockSize, Errno, IdentityDigest, Sector, Sectors, SECTOR_BYTES};

/// Sectors that fail, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultRange {
    /// Which I/O fails.
    pub direction: Direction,
    /// From which sector on.
    pub from: Sector,
    /// How many sectors.
    pub count: Sectors,
    /// With which error.
    pub errno: Errno,
}

impl FaultRange {
    /// These sectors, failing like a bad medium does.
    pub const fn bad(direction: Direction, from: Sector, count: Sectors) -> Self {
        Self {
            direction,
            from,
            count,
            errno: Errno::EIO,
        }
    }

    fn hits(&self, sector: Sector) -> bool {
        sector >= self.from && sector.get() - self.from.get() < self.count.get()
    }

    const fn reads(&self) -> bool {
        self.direction.hits(false)
    }

    const fn writes(&self) -> bool {
        self.direction.hits(true)
    }

    /// The first of `sectors` sectors from `at` on that it hits.
    fn first_hit(&self, at: Sector, sectors: u64) -> Option<Sector> {
        let start = at.get().max(self.from.get());
        let end = at.get().saturating_add(sectors);
        let candidate = Sector::new(start);
        (start < end && self.hits(candidate)).then_some(candidate)
    }
}

/// A store some sectors of which fail.
///
/// A write that meets a bad sector still reaches the others, as far as a caller of a
/// real disk could tell: nothing may be assumed about what a failed write left behind.
pub struct Faulty<S> {
    inner: S,
    faults: Vec<FaultRange>,
}

impl<S> Faulty<S> {
    /// `inner`, failing as `faults` say.
    pub fn new(inner: S, faults: Vec<FaultRange>) -> Self {
        Self { inner, faults }
    }

    /// The faults, to change.
    pub fn faults(&mut self) -> &mut Vec<FaultRange> {
        &mut self.faults
    }

    /// The store behind the faults.
    pub fn inner(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The store and the faults, apart.
    pub fn into_parts(self) -> (S, Vec<FaultRange>) {
        (self.inner, self.faults)
    }

    fn first_fault(
        &self,
        at: Sector,
        sectors: u64,
        concerns: fn(&FaultRange) -> bool,
    ) -> Option<(Sector, Errno)> {
        self.faults
            .iter()
            .filter(|fault| concerns(fault))
            .filter_map(|fault| Some((fault.first_hit(at, sectors)?, fault.errno)))
            .min_by_key(|(sector, _)| *sector)
    }
}

impl<S: BlockStore> Faulty<S> {
    fn write_the_good_sectors(&mut self, at: Sector, data: &[u8]) {
        for (index, sector) in data.chunks(SECTOR_BYTES).enumerate() {
            let Some(at) = at.checked_add(Sectors::new(index as u64)) else {
                return;
            };
            if self.first_fault(at, 1, FaultRange::writes).is_none() {
                // The request fails in any event.
                let _ = self.inner.write_at(at, sector);
            }
        }
    }
}

impl<S: BlockStore> BlockStore for Faulty<S> {
    fn size(&self) -> Sectors {
        self.inner.size()
    }

    fn logical_block(&self) -> BlockSize {
        self.inner.logical_block()
    }

    fn physical_block_bytes(&self) -> u32 {
        self.inner.physical_block_bytes()
    }

    fn identity(&self) -> IdentityDigest {
        self.inner.identity()
    }

    fn is_read_only(&self) -> bool {
        self.inner.is_read_only()
    }

    fn instance(&self) -> Option<Instance> {
        self.inner.instance()
    }

    fn signature_places(&self) -> Result<Vec<Signature>, IoError> {
        self.inner.signature_places()
    }

    fn signatures(&self) -> Result<Vec<Signature>, IoError> {
        self.inner.signatures()
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        let sectors = Sectors::from_bytes(buffer.len() as u64).get();
        match self.first_fault(at, sectors, FaultRange::reads) {
            Some((_, errno)) => Err(IoError { errno, at }),
            None => self.inner.read_at(at, buffer),
        }
    }

    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError> {
        let sectors = Sectors::from_bytes(data.len() as u64).get();
        match self.first_fault(at, sectors, FaultRange::writes) {
            Some((_, errno)) => {
                self.write_the_good_sectors(at, data);
                Err(IoError { errno, at })
            }
            None => self.inner.write_at(at, data),
        }
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.inner.flush()
    }
}

/// A fault as the lab's registry keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultRecord {
    direction: DirectionWord,
    from_sector: u64,
    count_sectors: u64,
    errno: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DirectionWord {
    Read,
    Write,
    Both,
}

impl From<&FaultRange> for FaultRecord {
    fn from(fault: &FaultRange) -> Self {
        Self {
            direction: match fault.direction {
                Direction::Read => DirectionWord::Read,
                Direction::Write => DirectionWord::Write,
                Direction::Both => DirectionWord::Both,
            },
            from_sector: fault.from.get(),
            count_sectors: fault.count.get(),
            errno: fault.errno.get(),
        }
    }
}

impl From<&FaultRecord> for FaultRange {
    fn from(record: &FaultRecord) -> Self {
        Self {
            direction: match record.direction {
                DirectionWord::Read => Direction::Read,
                DirectionWord::Write => Direction::Write,
                DirectionWord::Both => Direction::Both,
            },
            from: Sector::new(record.from_sector),
            count: Sectors::new(record.count_sectors),
            errno: Errno::new(record.errno),
        }
    }
}
