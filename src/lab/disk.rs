//! An image file as a disk of the lab: with a serial, blocks and faults of its own.

use super::fault::Faulty;
use super::registry::Disk;
use crate::port::block::{Instance, Signature};
use crate::port::{BlockStore, IoError};
use crate::remap_core::units::{BlockSize, Errno, IdentityDigest, Sector, Sectors};

/// A disk of the lab, opened.
pub(super) type LabDisk = Faulty<Described>;

/// An opened image with what the registry says of it.
pub(super) struct Described {
    image: Box<dyn BlockStore>,
    logical_block: BlockSize,
    identity: IdentityDigest,
}

/// Gives an opened image what the registry says of its disk; one that the registry does
/// not know stays as it is.
pub(super) fn describe(image: Box<dyn BlockStore>, disk: Option<&Disk>) -> LabDisk {
    let described = Described {
        logical_block: disk.map_or(image.logical_block(), Disk::logical_block),
        identity: disk.map_or(image.identity(), Disk::identity),
        image,
    };
    let faults = disk.into_iter().flat_map(|disk| &disk.faults);
    Faulty::new(described, faults.map(Into::into).collect())
}

impl Described {
    fn check_alignment(&self, at: Sector, length: usize) -> Result<(), IoError> {
        let unit = self.logical_block.sectors().get();
        let sectors = Sectors::from_bytes(length as u64).get();
        if at.get().is_multiple_of(unit) && sectors.is_multiple_of(unit) {
            return Ok(());
        }
        Err(IoError {
            errno: Errno::new(nix::libc::EINVAL),
            at,
        })
    }
}

impl BlockStore for Described {
    fn size(&self) -> Sectors {
        self.image.size()
    }

    fn logical_block(&self) -> BlockSize {
        self.logical_block
    }

    fn identity(&self) -> IdentityDigest {
        self.identity
    }

    fn is_read_only(&self) -> bool {
        self.image.is_read_only()
    }

    fn instance(&self) -> Option<Instance> {
        self.image.instance()
    }

    fn signature_places(&self) -> Result<Vec<Signature>, IoError> {
        self.image.signature_places()
    }

    fn signatures(&self) -> Result<Vec<Signature>, IoError> {
        self.image.signatures()
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        self.check_alignment(at, buffer.len())?;
        self.image.read_at(at, buffer)
    }

    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError> {
        self.check_alignment(at, data.len())?;
        self.image.write_at(at, data)
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.image.flush()
    }
}
