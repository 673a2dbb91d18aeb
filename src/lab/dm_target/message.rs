//! What an operator asks of an active target.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::map::Map;
use super::relocate::Job;
use super::scrub::{execute, WriteFailure};
use super::{Disks, Joined, Judged, KeepBackup, Metadata, Now, Target};
use crate::port::slots::survey;
use crate::port::table::new_blocks;
use crate::port::{IoError, RemapRow, Reply};
use crate::remap_core::bytes::Text;
use crate::remap_core::commit::{self, Authority, Intent};
use crate::remap_core::event::Event;
use crate::remap_core::layout::{Layout, LayoutError};
use crate::remap_core::message::Message;
use crate::remap_core::policy::Failure;
use crate::remap_core::quorum::judge;
use crate::remap_core::relocation::Origin;
use crate::remap_core::status::Mode;
use crate::remap_core::superblock::{Extension, Features, Superblock, ENTRY_BYTES};
use crate::remap_core::units::{ArrayUuid, MainBlock, Sequence};

/// The most remaps that one answer lists.
pub const REMAPS_AT_ONCE: usize = 1024;

/// What it takes to make metadata where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataSeed {
    /// Names the new array for good.
    pub array: ArrayUuid,
}

/// Why a target did not do what it was asked.
#[derive(Debug)]
pub enum MessageError {
    /// There is no metadata.
    NoMetadata,
    /// The metadata is plain v4, which has no place for what was asked.
    PlainMetadata,
    /// The device is up read-only.
    ReadOnly {
        /// Whether the reason is that its table contradicts itself.
        needs_check: bool,
    },
    /// There is no such block.
    PastEnd(MainBlock),
    /// The block is on the spare already.
    AlreadyMoved(MainBlock),
    /// The block cannot be read; it is moved by the next write to it.
    Unreadable(MainBlock),
    /// The block could not be moved; the events say why.
    NotMoved(MainBlock),
    /// The spare does not suit.
    Layout(LayoutError),
    /// The spare gave an error.
    Spare(IoError),
    /// The metadata was not written, or not all of it.
    NotWritten(String),
    /// Faults are for whoever keeps the disks.
    NotForTheTarget,
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMetadata => f.write_str("there is no metadata; write it first"),
            Self::PlainMetadata => {
                f.write_str("the metadata is plain v4, which cannot do that; migrate it first")
            }
            Self::ReadOnly { needs_check: true } => {
                f.write_str("the device is read-only, because its remap table contradicts itself")
            }
            Self::ReadOnly { needs_check: false } => f.write_str("the device is read-only"),
            Self::PastEnd(block) => write!(f, "there is no block {block}"),
            Self::AlreadyMoved(block) => write!(f, "block {block} is on the spare already"),
            Self::Unreadable(block) => write!(
                f,
                "block {block} cannot be read; the next write to it moves it"
            ),
            Self::NotMoved(block) => write!(f, "block {block} could not be moved"),
            Self::Layout(error) => fmt::Display::fmt(error, f),
            Self::Spare(error) => write!(f, "the spare failed {error}"),
            Self::NotWritten(why) => f.write_str(why),
            Self::NotForTheTarget => f.write_str("a target does not let disks fail"),
        }
    }
}

impl std::error::Error for MessageError {}

impl From<WriteFailure> for MessageError {
    fn from(failure: WriteFailure) -> Self {
        Self::NotWritten(failure.to_string())
    }
}

impl Target {
    /// Does what a message asks. A message names the device, which is the typed word
    /// that some repairs need.
    ///
    /// # Errors
    ///
    /// [`MessageError`] says why not.
    pub fn message(
        &mut self,
        disks: &mut Disks<'_>,
        now: Now,
        message: &Message,
        seed: MetadataSeed,
        keep: &mut KeepBackup<'_>,
    ) -> Result<Reply, MessageError> {
        match message {
            Message::WriteMetadata => {
                self.check_writable()?;
                match &self.metadata {
                    Metadata::None => self.create_metadata(disks, now, seed)?,
                    Metadata::Plain(_) => return Err(MessageError::PlainMetadata),
                    Metadata::Full(joined) => {
                        let superblock = Superblock {
                            timestamp: now.stamp,
                            ..joined.superblock
                        };
                        self.advance(disks, superblock, keep)?;
                    }
                }
            }
            Message::Scrub => {
                self.superblock().ok_or(MessageError::NoMetadata)?;
                self.scrub(disks, now);
            }
            Message::Repair => {
                self.superblock().ok_or(MessageError::NoMetadata)?;
                self.check_writable()?;
                self.repair(disks, now, Authority::Typed, keep)?;
            }
            Message::Remap(block) => self.remap(disks, now, *block)?,
            Message::Remaps(from) => return Ok(Reply::Remaps(self.remaps(*from))),
            Message::ClearStats => self.counters = super::Counters::default(),
            Message::Fault(_) | Message::ClearFaults => return Err(MessageError::NotForTheTarget),
        }
        Ok(Reply::Done)
    }

    fn check_writable(&self) -> Result<(), MessageError> {
        match self.mode() {
            Mode::ReadOnly => Err(MessageError::ReadOnly {
                needs_check: self.needs_check,
            }),
            Mode::ReadWrite | Mode::PassThrough => Ok(()),
        }
    }

    fn remaps(&self, from: MainBlock) -> Vec<RemapRow> {
        let rows = self.map().into_iter().flat_map(|map| map.live_from(from));
        rows.take(REMAPS_AT_ONCE)
            .map(|(block, live)| RemapRow {
                block,
                replacement: live.replacement,
                active: live.active,
                moves: live.moves,
            })
            .collect()
    }

    /// Moves a block that works to the spare, data and all.
    fn remap(
        &mut self,
        disks: &mut Disks<'_>,
        now: Now,
        block: MainBlock,
    ) -> Result<(), MessageError> {
        self.check_writable()?;
        match &self.metadata {
            Metadata::None => return Err(MessageError::NoMetadata),
            Metadata::Plain(_) => return Err(MessageError::PlainMetadata),
            Metadata::Full(_) => {}
        }
        let at = self.unit.first_sector(block);
        let Some(at) = at.filter(|_| block.get() < self.size.get()) else {
            return Err(MessageError::PastEnd(block));
        };
        if self
            .map()
            .and_then(|map| map.get(block))
            .is_some_and(|live| live.active)
        {
            return Err(MessageError::AlreadyMoved(block));
        }
        self.settle_under(disks, now, block, 1)
            .map_err(|_| MessageError::NotMoved(block))?;
        let mut data = vec![0; self.unit.bytes() as usize];
        self.read(disks, now, at, &mut data)
            .map_err(|_| MessageError::Unreadable(block))?;
        let job = Job {
            block,
            data: &data,
            failure: Failure::Medium,
            origin: Origin::Request,
        };
        match self.relocate(disks, now, &[job])[..] {
            [] => Ok(()),
            _ => Err(MessageError::NotMoved(block)),
        }
    }

    /// Makes a pass-through a device that remaps: the table first, then the copies.
    fn create_metadata(
        &mut self,
        disks: &mut Disks<'_>,
        now: Now,
        seed: MetadataSeed,
    ) -> Result<(), MessageError> {
        let found = survey(disks.spare);
        let superblock = self.first_superblock(disks, now, seed)?;
        let layout = *superblock.layout().ok_or(MessageError::NoMetadata)?;
        let prepared = commit::prepare(
            &judge(&found),
            &found,
            Intent::Create(&superblock),
            Authority::Operator,
        )
        .map_err(WriteFailure::Refused)?;
        let superblock = Superblock {
            sequence: prepared.sequence(),
            ..superblock
        };
        let name = Text::new(self.name().as_bytes()).unwrap_or_default();
        for (at, raw) in new_blocks(superblock, name) {
            disks
                .spare
                .write_at(at, &*raw)
                .map_err(MessageError::Spare)?;
        }
        disks.spare.flush().map_err(MessageError::Spare)?;
        execute(disks.spare, &prepared, &found)?;
        let (map, _) = Map::load(disks.spare, seed.array, layout, self.size);
        self.judged = Judged::from(&judge(&survey(disks.spare)));
        self.metadata = Metadata::Full(Box::new(Joined {
            superblock,
            name,
            map,
        }));
        self.tried = self.tried.max(superblock.sequence);
        self.raise(Event::MetadataWritten {
            sequence: superblock.sequence,
        });
        self.schedule.next_scrub = self.first_scrub(now);
        Ok(())
    }

    fn first_superblock(
        &self,
        disks: &Disks<'_>,
        now: Now,
        seed: MetadataSeed,
    ) -> Result<Superblock, MessageError> {
        let layout =
            Layout::for_spare(disks.spare.size(), self.unit).map_err(MessageError::Layout)?;
        Ok(Superblock {
            sequence: Sequence::new(1),
            timestamp: now.stamp,
            main_uuid: Text::EMPTY,
            spare_uuid: Text::EMPTY,
            main_sectors: disks.main.size(),
            spare_sectors: disks.spare.size(),
            sector_size: disks.spare.logical_block(),
            entry_size: ENTRY_BYTES,
            capacity: u32::try_from(layout.replacement_blocks.get()).unwrap_or(u32::MAX),
            main_path: path_text(&self.arguments.main_path),
            spare_path: path_text(&self.arguments.spare_path),
            extension: Some(Extension {
                features: Features::default(),
                array_uuid: seed.array,
                main_identity: disks.main.identity(),
                spare_identity: disks.spare.identity(),
                needs_check: false,
                layout,
            }),
        })
    }
}

/// A path as a hint in the metadata. One that does not fit is left out: half of it would
/// name another device.
fn path_text(path: &Path) -> Text<128> {
    Text::new(path.as_os_str().as_bytes()).unwrap_or_default()
}
