//! Disks in memory: one that only works, and a pair that loses its power.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::port::{BlockStore, IoError};
use crate::remap_core::units::{
    BlockSize, Errno, IdentityDigest, Sector, Sectors, BLOCK_4K_BYTES, BLOCK_4K_SECTORS,
    SECTOR_BYTES,
};

/// A disk in memory. Blocks that were never written take no room and read as zeros.
#[derive(Clone, Debug)]
pub struct RamDisk {
    size: Sectors,
    logical_block: BlockSize,
    identity: IdentityDigest,
    blocks: BTreeMap<u64, Box<[u8; BLOCK_4K_BYTES]>>,
}

impl RamDisk {
    /// A blank disk of 512-byte blocks that offers nothing stable to tell it by.
    pub fn new(size: Sectors) -> Self {
        Self {
            size,
            logical_block: BlockSize::B512,
            identity: IdentityDigest::NONE,
            blocks: BTreeMap::new(),
        }
    }

    /// The same disk with other logical blocks.
    #[must_use]
    pub fn with_logical_block(mut self, logical_block: BlockSize) -> Self {
        self.logical_block = logical_block;
        self
    }

    /// The same disk with this identity.
    #[must_use]
    pub fn with_identity(mut self, identity: IdentityDigest) -> Self {
        self.identity = identity;
        self
    }

    /// Every 4 KiB block that was written, in the order of the disk. A disk whose size
    /// is no multiple of 4 KiB ends within the last one.
    pub fn written(&self) -> impl Iterator<Item = (Sector, &[u8])> {
        self.blocks.iter().map(|(index, block)| {
            let at = Sector::new(index.saturating_mul(BLOCK_4K_SECTORS));
            let rest = Sectors::new(self.size.get().saturating_sub(at.get()));
            let there = rest.bytes().unwrap_or(u64::MAX);
            let length = usize::try_from(there).map_or(BLOCK_4K_BYTES, |l| l.min(BLOCK_4K_BYTES));
            (at, &block[..length])
        })
    }

    fn check(&self, at: Sector, length: usize) -> Result<(), IoError> {
        let refuse = |number| IoError {
            errno: Errno::new(number),
            at,
        };
        let unit = self.logical_block.sectors().get();
        let sectors = Sectors::from_bytes(length as u64);
        if !length.is_multiple_of(SECTOR_BYTES)
            || !sectors.get().is_multiple_of(unit)
            || !at.get().is_multiple_of(unit)
        {
            return Err(refuse(nix::libc::EINVAL));
        }
        match at.checked_add(sectors) {
            Some(end) if end.get() <= self.size.get() => Ok(()),
            _ => Err(refuse(nix::libc::ENOSPC)),
        }
    }
}

/// Where a sector lies in its 4 KiB block.
fn place(sector: u64) -> (u64, std::ops::Range<usize>) {
    let start = (sector % BLOCK_4K_SECTORS) as usize * SECTOR_BYTES;
    (sector / BLOCK_4K_SECTORS, start..start + SECTOR_BYTES)
}

impl BlockStore for RamDisk {
    fn size(&self) -> Sectors {
        self.size
    }

    fn logical_block(&self) -> BlockSize {
        self.logical_block
    }

    fn identity(&self) -> IdentityDigest {
        self.identity
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        self.check(at, buffer.len())?;
        for (sector, bytes) in (at.get()..).zip(buffer.chunks_mut(SECTOR_BYTES)) {
            let (block, range) = place(sector);
            match self.blocks.get(&block) {
                Some(block) => bytes.copy_from_slice(&block[range]),
                None => bytes.fill(0),
            }
        }
        Ok(())
    }

    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError> {
        self.check(at, data.len())?;
        for (sector, bytes) in (at.get()..).zip(data.chunks(SECTOR_BYTES)) {
            let (block, range) = place(sector);
            let block = self
                .blocks
                .entry(block)
                .or_insert_with(|| Box::new([0; BLOCK_4K_BYTES]));
            block[range].copy_from_slice(bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }
}

/// What becomes of writes that were not flushed when the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unflushed {
    /// None of them reaches the medium.
    Lost,
    /// All of them reach it.
    Kept,
    /// Each of their sectors reaches it or does not, as this seed decides.
    Mixed(u64),
}

/// The power of a machine, which fails at a chosen write.
#[derive(Clone, Debug)]
pub struct Power(Arc<Mutex<PowerState>>);

#[derive(Debug)]
struct PowerState {
    /// Writes and flushes still to come before it fails.
    left: u64,
    /// Writes and flushes so far.
    done: u64,
    failed: bool,
}

impl Power {
    /// Power that fails during write or flush number `after`, counted from 0 over all
    /// disks of the machine.
    pub fn failing_after(after: u64) -> Self {
        Self(Arc::new(Mutex::new(PowerState {
            left: after,
            done: 0,
            failed: false,
        })))
    }

    /// Writes and flushes so far.
    pub fn done(&self) -> u64 {
        self.state(|state| state.done)
    }

    /// Whether it has failed.
    pub fn has_failed(&self) -> bool {
        self.state(|state| state.failed)
    }

    fn state<T>(&self, look: impl FnOnce(&mut PowerState) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts one write or flush; says how it fares.
    fn spend(&self) -> Spent {
        self.state(|state| {
            if state.failed {
                return Spent::Off;
            }
            state.done += 1;
            if state.left == 0 {
                state.failed = true;
                return Spent::Fails;
            }
            state.left -= 1;
            Spent::Works
        })
    }
}

enum Spent {
    Works,
    Fails,
    Off,
}

/// A disk with a volatile cache: what is written can be read at once and is on the
/// medium only when it was flushed.
pub struct CachedDisk {
    power: Power,
    live: RamDisk,
    medium: RamDisk,
    unflushed: Vec<(Sector, Vec<u8>)>,
}

impl CachedDisk {
    /// A disk that holds what `medium` holds.
    pub fn new(medium: RamDisk, power: &Power) -> Self {
        Self {
            power: power.clone(),
            live: medium.clone(),
            medium,
            unflushed: Vec::new(),
        }
    }

    /// What is found on the medium when the power is back.
    pub fn after_power_failure(mut self, unflushed: Unflushed) -> RamDisk {
        let mut seed = match unflushed {
            Unflushed::Lost => return self.medium,
            Unflushed::Kept => None,
            Unflushed::Mixed(seed) => Some(seed),
        };
        for (at, data) in self.unflushed {
            for (sector, bytes) in (at.get()..).zip(data.chunks(SECTOR_BYTES)) {
                let kept = seed.as_mut().is_none_or(|seed| next_random(seed) & 1 == 0);
                if kept {
                    // It was within the disk when it was written.
                    let (block, range) = place(sector);
                    let block = self.medium.blocks.entry(block);
                    let block = block.or_insert_with(|| Box::new([0; BLOCK_4K_BYTES]));
                    block[range].copy_from_slice(bytes);
                }
            }
        }
        self.medium
    }
}

/// The next number of a sequence that only its seed decides (splitmix64).
pub(in crate::lab) fn next_random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const GONE: Errno = Errno::new(nix::libc::ENXIO);

impl BlockStore for CachedDisk {
    fn size(&self) -> Sectors {
        self.live.size()
    }

    fn logical_block(&self) -> BlockSize {
        self.live.logical_block()
    }

    fn identity(&self) -> IdentityDigest {
        self.live.identity()
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        if self.power.has_failed() {
            return Err(IoError { errno: GONE, at });
        }
        self.live.read_at(at, buffer)
    }

    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError> {
        let spent = self.power.spend();
        if matches!(spent, Spent::Off) {
            return Err(IoError { errno: GONE, at });
        }
        self.live.write_at(at, data)?;
        self.unflushed.push((at, data.to_vec()));
        match spent {
            Spent::Works => Ok(()),
            Spent::Fails | Spent::Off => Err(IoError { errno: GONE, at }),
        }
    }

    fn flush(&mut self) -> Result<(), IoError> {
        match self.power.spend() {
            Spent::Works => {
                for (at, data) in self.unflushed.drain(..) {
                    self.medium.write_at(at, &data)?;
                }
                Ok(())
            }
            Spent::Fails | Spent::Off => Err(IoError {
                errno: GONE,
                at: Sector::default(),
            }),
        }
    }
}
