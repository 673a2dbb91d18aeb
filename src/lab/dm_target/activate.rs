//! Bringing a target up: what the spare says is read, judged and held against the
//! disks that were given.

use std::fmt;

use super::map::{Loaded, Map};
use super::record::Record;
use super::{Arguments, Counters, Disks, Joined, Judged, Metadata, Now, Schedule, Target};
use crate::port::identity;
use crate::port::slots::{read_header, survey};
use crate::port::BlockStore;
use crate::remap_core::bytes::Text;
use crate::remap_core::event::Event;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::params::FIRST_SCRUB_MILLIS;
use crate::remap_core::policy::Health;
use crate::remap_core::quorum::{judge, Judgement, Refusal, Survey, Verdict};
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{
    ArrayUuid, BlockSize, Blocks, IdentityDigest, Millis, Sectors, Sequence,
};

/// Which of the two disks an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// The ageing one.
    Main,
    /// The healthy one.
    Spare,
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "main",
            Self::Spare => "the spare",
        })
    }
}

/// Why a target does not come up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivateError {
    /// The copies do not allow it.
    Copies(Refusal),
    /// A disk has another size than the metadata says.
    Size {
        /// Which disk.
        disk: Disk,
        /// What it has.
        has: Sectors,
        /// What the metadata says.
        says: Sectors,
    },
    /// A disk is not the one that the metadata was written for.
    Identity {
        /// Which disk.
        disk: Disk,
        /// What it is.
        is: IdentityDigest,
        /// What the metadata says.
        says: IdentityDigest,
    },
    /// A disk cannot write as little as one remap unit.
    Unit {
        /// Which disk.
        disk: Disk,
        /// The least that it can write.
        block: BlockSize,
        /// The remap unit.
        unit: BlockSize,
    },
    /// Main has not even one remap unit.
    TooSmall,
    /// Table blocks are lost in both regions: which blocks they moved cannot be known.
    TableLost {
        /// How many.
        blocks: u32,
    },
}

impl fmt::Display for ActivateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copies(refusal) => refusal.fmt(f),
            Self::Size { disk, has, says } => write!(
                f,
                "{disk} has {has} sectors and the metadata says {says}: it is another disk"
            ),
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
            Self::TableLost { blocks } => write!(
                f,
                "{blocks} blocks of the remap table are lost in both regions, and which blocks \
                 they moved cannot be known: the device does not come up"
            ),
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
        disks: &Disks<'_>,
        now: Now,
    ) -> Result<Self, ActivateError> {
        let found = survey(disks.spare);
        let judgement = judge(&found);
        let superblock = admit(&arguments, &judgement, &found)?;
        let name = superblock.and_then(|superblock| header_name(disks.spare, &superblock));
        let mut target = Self::assemble(arguments, disks, superblock, name)?;
        target.judged = Judged::from(&judgement);
        target.schedule.next_scrub = target.first_scrub(now);
        target.raise(Event::Activated {
            verdict: judgement.verdict,
        });
        if target.needs_check {
            target.raise(Event::NeedsCheck);
        }
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
        disks: &Disks<'_>,
        record: &Record,
        now: Now,
        boot_id: &str,
    ) -> Result<Self, ActivateError> {
        let mut target = Self::assemble(arguments, disks, record.superblock(), record.name())?;
        record.restore(&mut target, now, boot_id);
        Ok(target)
    }

    fn assemble(
        arguments: Arguments,
        disks: &Disks<'_>,
        superblock: Option<Superblock>,
        name: Option<Text<NAME_LIMIT>>,
    ) -> Result<Self, ActivateError> {
        let unit = remap_unit(&arguments, disks, superblock.as_ref());
        check_disks(disks, superblock.as_ref(), unit)?;
        let size = Blocks::new(disks.main.size().get() >> unit.sector_shift());
        if size.get() == 0 {
            return Err(ActivateError::TooSmall);
        }
        let (metadata, loaded) = match superblock {
            None => (Metadata::None, Loaded::default()),
            Some(superblock) => match superblock.extension {
                None => (Metadata::Plain(Box::new(superblock)), Loaded::default()),
                Some(extension) => {
                    let (array, layout) = (extension.array_uuid, extension.layout);
                    let (map, loaded) = Map::load(disks.spare, array, layout, size);
                    let name = name.unwrap_or_else(|| {
                        // The headers are lost, and with them the name.
                        Text::new(arguments.name.as_bytes()).unwrap_or_default()
                    });
                    let joined = Joined {
                        superblock,
                        name,
                        map,
                    };
                    (Metadata::Full(Box::new(joined)), loaded)
                }
            },
        };
        // Read-only would not do either: main's own blocks would be served in place of those
        // that moved.
        if loaded.lost > 0 {
            return Err(ActivateError::TableLost {
                blocks: loaded.lost,
            });
        }
        let extension = superblock.and_then(|superblock| superblock.extension);
        Ok(Self {
            arguments,
            unit,
            size,
            metadata,
            must_not_write: extension
                .is_some_and(|extension| extension.features.unknown_ro_compat() != 0),
            needs_check: loaded.contradiction
                || extension.is_some_and(|extension| extension.needs_check),
            spare_fails: false,
            health: Health::default(),
            counters: Counters::default(),
            schedule: Schedule::default(),
            judged: Judged::NOTHING,
            tried: superblock.map_or(Sequence::default(), |superblock| superblock.sequence),
            events: Vec::new(),
        })
    }

    pub(super) fn first_scrub(&self, now: Now) -> Option<Millis> {
        let wanted = self.arguments.options.scrub_interval > 0 && self.superblock().is_some();
        wanted.then(|| now.uptime.after(FIRST_SCRUB_MILLIS))
    }
}

/// What the copies say, if they may be worked by; `None` for a spare that is nobody's.
fn admit(
    arguments: &Arguments,
    judgement: &Judgement,
    found: &Survey,
) -> Result<Option<Superblock>, ActivateError> {
    let admitted = judgement.admit(arguments.options.read_only);
    admitted.map_err(ActivateError::Copies)?;
    if judgement.verdict == Verdict::None {
        return Ok(None);
    }
    let winner = judgement.superblock(found);
    let without = ActivateError::Copies(Refusal::Verdict(judgement.verdict));
    winner.map(Some).ok_or(without)
}

fn remap_unit(
    arguments: &Arguments,
    disks: &Disks<'_>,
    superblock: Option<&Superblock>,
) -> BlockSize {
    let smallest = disks.main.logical_block().max(disks.spare.logical_block());
    match superblock.and_then(Superblock::layout) {
        Some(layout) => layout.block_size,
        None => arguments.options.block_size.unwrap_or(smallest),
    }
}

fn check_disks(
    disks: &Disks<'_>,
    superblock: Option<&Superblock>,
    unit: BlockSize,
) -> Result<(), ActivateError> {
    let stores: [(Disk, &dyn BlockStore); 2] =
        [(Disk::Main, disks.main), (Disk::Spare, disks.spare)];
    for (disk, store) in stores {
        let block = store.logical_block();
        if block > unit {
            return Err(ActivateError::Unit { disk, block, unit });
        }
    }
    let Some(superblock) = superblock else {
        return Ok(());
    };
    let said = [superblock.main_sectors, superblock.spare_sectors];
    for ((disk, store), says) in stores.into_iter().zip(said) {
        let has = store.size();
        if has != says {
            return Err(ActivateError::Size { disk, has, says });
        }
    }
    let Some(extension) = superblock.extension else {
        return Ok(());
    };
    let said = [extension.main_identity, extension.spare_identity];
    for ((disk, store), says) in stores.into_iter().zip(said) {
        let is = store.identity();
        // Whoever brings a device up has looked for the file system; a target knows none.
        if !says.is_none() && is != says && !identity::is_of_contents(&says) {
            return Err(ActivateError::Identity { disk, is, says });
        }
    }
    Ok(())
}

/// The name in a header of the same array, wherever one can be read.
pub(super) fn header_name(
    spare: &dyn BlockStore,
    superblock: &Superblock,
) -> Option<Text<NAME_LIMIT>> {
    let (layout, array) = (superblock.layout()?, superblock.array_uuid()?);
    Region::ALL
        .into_iter()
        .filter_map(|region| intact_header(spare, layout, array, region))
        .next()
}

/// The name that a region's header bears, if the header is intact and of this array.
pub(super) fn intact_header(
    spare: &dyn BlockStore,
    layout: &Layout,
    array: ArrayUuid,
    region: Region,
) -> Option<Text<NAME_LIMIT>> {
    let header = read_header(spare, region, layout.region_start(region)).ok()?;
    let same = header.array() == Some(array) && header.superblock.layout() == Some(layout);
    same.then_some(header.name)
}
