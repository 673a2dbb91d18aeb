//! Bringing a target up: the identities of the disks are held against the metadata here,
//! everything else is the engine's.

use std::fmt;

use super::record::Record;
use super::room::{Heap, Index};
use super::{Arguments, Disks, Now, Target};
use crate::port::identity;
use crate::port::slots::survey;
use crate::port::BlockStore;
use crate::remap_core::engine::{Engine, LoadError, Settings};
use crate::remap_core::message::Device;
use crate::remap_core::quorum::judge;
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{BlockSize, Blocks, IdentityDigest};

/// Why a target does not come up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivateError {
    /// The engine refuses it.
    Load(LoadError),
    /// A disk is not the one that the metadata was written for.
    Identity {
        /// The disk.
        disk: Device,
        /// Its identity.
        is: IdentityDigest,
        /// The identity that the metadata says.
        says: IdentityDigest,
    },
    /// A disk cannot write as little as one remap unit.
    Unit {
        /// The disk.
        disk: Device,
        /// The least that it can write.
        block: BlockSize,
        /// The remap unit.
        unit: BlockSize,
    },
    /// Main has not even one remap unit.
    TooSmall,
}

impl From<LoadError> for ActivateError {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

impl fmt::Display for ActivateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(error) => error.fmt(f),
            Self::Identity { disk, is, says } if is.is_none() => write!(
                f,
                "{disk} offers nothing to tell it by and the metadata says {says}: it may be \
                 a copy or another disk"
            ),
            Self::Identity { disk, is, says } => {
                write!(
                    f,
                    "{disk} is {is} and the metadata says {says}: it is another disk"
                )
            }
            Self::Unit { disk, block, unit } => write!(
                f,
                "{disk} writes no less than {block} bytes, more than the remap unit of {unit}"
            ),
            Self::TooSmall => f.write_str("main has not even one remap unit"),
        }
    }
}

impl std::error::Error for ActivateError {}

impl Target {
    /// Brings a target up on `disks`: reads the copies and the table, judges them and
    /// holds them against the disks. Writes nothing.
    ///
    /// # Errors
    ///
    /// [`ActivateError`] says why it does not come up.
    pub fn activate(
        arguments: Arguments,
        disks: &mut Disks<'_>,
        now: Now,
    ) -> Result<Self, ActivateError> {
        let found = survey(disks.spare);
        let superblock = judge(&found).superblock(&found);
        let mut target = Self::new(arguments, disks, superblock.as_ref())?;
        let (engine, mut host) = target.parts(disks, now, None);
        engine.load(&mut host)?;
        check_identities(disks, superblock.as_ref())?;
        Ok(target)
    }

    /// Goes on where a target stood that is up already: only the table is read. What
    /// became of the copies meanwhile is for the next scrub to find.
    ///
    /// # Errors
    ///
    /// [`ActivateError`] if the disks are no longer those it came up on.
    pub(in crate::lab) fn resume(
        arguments: Arguments,
        disks: &mut Disks<'_>,
        record: &Record,
        now: Now,
        boot_id: &str,
    ) -> Result<Self, ActivateError> {
        let kept = record.kept(now, boot_id);
        let mut target = Self::new(arguments, disks, kept.superblock.as_ref())?;
        let (engine, mut host) = target.parts(disks, now, None);
        engine.go_on(&mut host, &kept)?;
        check_identities(disks, kept.superblock.as_ref())?;
        Ok(target)
    }

    fn new(
        arguments: Arguments,
        disks: &Disks<'_>,
        superblock: Option<&Superblock>,
    ) -> Result<Self, ActivateError> {
        let options = arguments.options;
        let smallest = disks.main.logical_block().max(disks.spare.logical_block());
        let unit = match superblock.and_then(Superblock::layout) {
            Some(layout) => layout.block_size,
            None => options.block_size.unwrap_or(smallest),
        };
        for (disk, store) in stores(disks) {
            let block = store.logical_block();
            if block > unit {
                return Err(ActivateError::Unit { disk, block, unit });
            }
        }
        let size = Blocks::new(disks.main.size().get() >> unit.sector_shift());
        if size.get() == 0 {
            return Err(ActivateError::TooSmall);
        }
        let settings = Settings {
            unit,
            size,
            read_only: options.read_only,
            scrub_interval: options.scrub_interval,
        };
        let engine = Engine::<Heap>::new(settings);
        Ok(Self {
            arguments,
            engine: engine.map_err(LoadError::from)?,
            index: Index::default(),
            events: Vec::new(),
        })
    }
}

fn stores<'a>(disks: &'a Disks<'_>) -> [(Device, &'a dyn BlockStore); 2] {
    [(Device::Main, disks.main), (Device::Spare, disks.spare)]
}

fn check_identities(
    disks: &Disks<'_>,
    superblock: Option<&Superblock>,
) -> Result<(), ActivateError> {
    let Some(extension) = superblock.and_then(|superblock| superblock.extension) else {
        return Ok(());
    };
    let said = [extension.main_identity, extension.spare_identity];
    let is_labelled = extension.features.main_form().has_labels();
    for ((disk, store), says) in stores(disks).into_iter().zip(said) {
        // A main that bears labels is told by them, whatever bridge it lies behind.
        if disk == Device::Main && is_labelled {
            continue;
        }
        let is = store.identity();
        // Whoever brings a device up has looked for the file system; a target knows none.
        if !says.is_none() && is != says && !identity::is_of_contents(&says) {
            return Err(ActivateError::Identity { disk, is, says });
        }
    }
    Ok(())
}
