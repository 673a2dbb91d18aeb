//! A device as it would be after some writes, to judge before writing.

use std::path::Path;

use crate::format::backup::{Content, SavedRange};
use crate::inspect::{look, Depth, Inspection, Mains};
use crate::port::block::{Instance, Signature};
use crate::port::slots::judged_survey;
use crate::port::{BlockStore, Host, IoError};
use crate::remap_core::quorum::{Judgement, Verdict};
use crate::remap_core::units::{BlockSize, Errno, IdentityDigest, Sector, Sectors, SECTOR_BYTES};

/// A device seen through writes that were not made.
pub struct Overlay {
    under: Box<dyn BlockStore>,
    patches: Vec<SavedRange>,
}

impl Overlay {
    /// `under` as it would be with `patches` written over it.
    pub fn new(under: Box<dyn BlockStore>, patches: Vec<SavedRange>) -> Self {
        Self { under, patches }
    }

    /// What the copies would be judged.
    pub fn judge(&self) -> Judgement {
        judged_survey(self).1
    }

    /// The verdict that the device would get.
    pub fn verdict(&self, host: &mut dyn Host, path: &Path) -> Verdict {
        self.look(host, path).verdict()
    }

    /// What would be seen of the device, with its main if that is among the host's devices.
    pub fn look(&self, host: &mut dyn Host, path: &Path) -> Inspection {
        let mut seen = look(self, path, Depth::Scan);
        Mains::default().note(host, &mut seen);
        seen
    }

    /// Puts the patches into what was read from `at` on; returns how many bytes of
    /// `buffer` they cover.
    fn patch(&self, at: Sector, buffer: &mut [u8]) -> usize {
        let mut covered = 0;
        let end = at.get() + Sectors::from_bytes(buffer.len() as u64).get();
        for patch in &self.patches {
            let from = patch.at.get().max(at.get());
            let to = (patch.at.get() + patch.sectors().get()).min(end);
            if from >= to {
                continue;
            }
            let bytes = |sectors: u64| sectors as usize * SECTOR_BYTES;
            let target = &mut buffer[bytes(from - at.get())..bytes(to - at.get())];
            match &patch.content {
                Content::Raw(raw) => {
                    let skip = bytes(from - patch.at.get());
                    target.copy_from_slice(&raw[skip..skip + target.len()]);
                }
                Content::Zeros(_) => target.fill(0),
            }
            covered += target.len();
        }
        covered
    }
}

impl BlockStore for Overlay {
    fn size(&self) -> Sectors {
        self.under.size()
    }

    fn logical_block(&self) -> BlockSize {
        self.under.logical_block()
    }

    fn identity(&self) -> IdentityDigest {
        self.under.identity()
    }

    fn is_read_only(&self) -> bool {
        self.under.is_read_only()
    }

    fn instance(&self) -> Option<Instance> {
        self.under.instance()
    }

    fn signatures(&self) -> Result<Vec<Signature>, IoError> {
        self.under.signatures()
    }

    fn signature_places(&self) -> Result<Vec<Signature>, IoError> {
        let mut places = self.under.signature_places()?;
        let is_covered = |at| {
            let mut sector = [0; SECTOR_BYTES];
            self.patch(at, &mut sector) > 0
        };
        places.retain(|place| !place.at.is_some_and(is_covered));
        Ok(places)
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        let read = self.under.read_at(at, buffer);
        // What is written anew can be read, whatever was there before.
        let covered = self.patch(at, buffer);
        if covered == buffer.len() {
            return Ok(());
        }
        read
    }

    fn write_at(&mut self, at: Sector, _data: &[u8]) -> Result<(), IoError> {
        // Nothing is ever written through it.
        Err(IoError {
            errno: Errno::new(30),
            at,
        })
    }

    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }
}
