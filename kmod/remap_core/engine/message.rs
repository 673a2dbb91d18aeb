// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests of an operator to an active target.

use core::fmt;

use crate::remap_core::account::Counters;
use crate::remap_core::bytes::Text;
use crate::remap_core::commit::{self, Authority, Intent, Prepared};
use crate::remap_core::engine::copies::{survey, write_header, Surveyed};
use crate::remap_core::engine::host::{
    largest_chunk, list_of, Full, Host, Index, List, Patience, Payload, Room,
};
use crate::remap_core::engine::readings::MOST;
use crate::remap_core::engine::relocate::Job;
use crate::remap_core::engine::repair::WriteFailure;
use crate::remap_core::engine::table::Table;
use crate::remap_core::engine::{Engine, Joined, Metadata, Progress};
use crate::remap_core::event::Event;
use crate::remap_core::label::MainForm;
use crate::remap_core::layout::{Layout, LayoutError, Region};
use crate::remap_core::message::{Device, RemapLine, REMAPS_AT_ONCE};
use crate::remap_core::policy::Failure;
use crate::remap_core::relocation::Origin;
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::superblock::{Extension, Features, Superblock, ENTRY_BYTES};
use crate::remap_core::units::{
    ArrayUuid, Blocks, Errno, IdentityDigest, MainBlock, Replacement, Sector, Sequence,
};

/// Why a target did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// There is no metadata.
    NoMetadata,
    /// There is metadata already.
    HasMetadata,
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
    /// Main bears labels already.
    HasLabels(MainForm),
    /// Main is too small for labels at both ends.
    MainTooSmall,
    /// The spare has not so many replacement blocks left.
    NoRoom {
        /// How many it takes.
        needs: Blocks,
    },
    /// A block of main takes no write, and what it holds can still be read.
    NotErased(MainBlock),
    /// Nothing of main's ends is on the spare.
    NotCovered,
    /// The spare does not suit.
    Layout(LayoutError),
    /// The metadata was not written, or not all of it.
    NotWritten(WriteFailure),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMetadata => f.write_str("there is no metadata; write it first"),
            Self::HasMetadata => f.write_str("there is metadata already"),
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
            Self::HasLabels(form) => write!(f, "main is {form} already"),
            Self::MainTooSmall => f.write_str("main is too small for labels at both of its ends"),
            Self::NoRoom { needs } => write!(
                f,
                "the ends of main take {needs} replacement blocks, and the spare has not so many left"
            ),
            Self::NotErased(block) => write!(
                f,
                "block {block} of main takes no write, and what it holds can still be read: main is \
                 not covered"
            ),
            Self::NotCovered => f.write_str("nothing of the ends of main is on the spare"),
            Self::Layout(error) => fmt::Display::fmt(error, f),
            Self::NotWritten(why) => fmt::Display::fmt(why, f),
        }
    }
}

impl From<WriteFailure> for RequestError {
    fn from(failure: WriteFailure) -> Self {
        Self::NotWritten(failure)
    }
}

impl From<Full> for RequestError {
    fn from(full: Full) -> Self {
        Self::NotWritten(full.into())
    }
}

impl From<Errno> for RequestError {
    fn from(errno: Errno) -> Self {
        Self::NotWritten(WriteFailure::Spare(errno))
    }
}

/// Live blocks in the order of main.
pub type Remaps<R> = <R as Room>::List<RemapLine>;

/// One block in a page, as something to be moved.
struct Copied<'a, R: Room> {
    block: MainBlock,
    bytes: u32,
    page: &'a mut R::Page,
}

impl<H: Host> Payload<H> for Copied<'_, H::Room> {
    fn first(&self) -> MainBlock {
        self.block
    }

    fn count(&self) -> Blocks {
        Blocks::new(1)
    }

    fn is_write(&self) -> bool {
        true
    }

    fn transfer(
        &mut self,
        host: &mut H,
        _block: MainBlock,
        _count: Blocks,
        (device, at): (Device, Sector),
        _durably: bool,
    ) -> Result<(), Errno> {
        host.write(device, at, self.page, self.bytes)
    }
}

impl<R: Room> Engine<R> {
    /// Sets the counters of errors, scrubs and repairs to zero.
    pub fn clear_counters(&mut self) {
        self.counters = Counters::default();
    }

    /// Whether anything may be written that an operator asks for.
    ///
    /// # Errors
    ///
    /// [`RequestError::ReadOnly`].
    pub fn check_writable(&self) -> Result<(), RequestError> {
        match self.is_read_only() {
            true => Err(RequestError::ReadOnly {
                needs_check: self.needs_check,
            }),
            false => Ok(()),
        }
    }

    /// Whether an operator may have the metadata repaired: also where the table contradicts
    /// itself, which nothing else ends.
    ///
    /// # Errors
    ///
    /// [`RequestError::ReadOnly`].
    pub fn check_repairable(&self) -> Result<(), RequestError> {
        match self.settings.read_only || self.must_not_write {
            true => Err(RequestError::ReadOnly { needs_check: false }),
            false => Ok(()),
        }
    }

    /// Whether there is anything to scrub.
    ///
    /// # Errors
    ///
    /// [`RequestError::NoMetadata`].
    pub fn check_metadata(&self) -> Result<(), RequestError> {
        match self.metadata {
            Metadata::None => Err(RequestError::NoMetadata),
            Metadata::Plain(_) | Metadata::Full(_) => Ok(()),
        }
    }

    /// Whether there is a table to move blocks by.
    ///
    /// # Errors
    ///
    /// [`RequestError`] says what is there in its place.
    pub fn check_table(&self) -> Result<(), RequestError> {
        match self.metadata {
            Metadata::None => Err(RequestError::NoMetadata),
            Metadata::Plain(_) => Err(RequestError::PlainMetadata),
            Metadata::Full(_) => Ok(()),
        }
    }

    /// Moves a block that works to the spare, data and all. One that cannot be read is
    /// recorded as lost, so that its next write moves it.
    ///
    /// # Errors
    ///
    /// [`RequestError`] says why it was not moved.
    pub fn remap<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        block: MainBlock,
    ) -> Result<(), RequestError> {
        self.check_writable()?;
        self.check_table()?;
        let at = self.settings.unit.first_sector(block);
        let within = block.get() < self.settings.size.get();
        let Some(at) = at.filter(|_| within) else {
            return Err(RequestError::PastEnd(block));
        };
        let mut page = R::page()?;
        // Writes that come from now on wait, and those that came before have reached main:
        // what is copied is the last word.
        host.alone(|host| self.copy(host, block, at, &mut page))
    }

    fn copy<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        block: MainBlock,
        at: Sector,
        page: &mut R::Page,
    ) -> Result<(), RequestError> {
        if host.index().get(block).is_some_and(|live| live.active) {
            return Err(RequestError::AlreadyMoved(block));
        }
        if !self.settle_under(host, block, Blocks::new(1)) {
            return Err(RequestError::NotMoved(block));
        }
        let bytes = self.settings.unit.bytes();
        if let Err(errno) = host.read(Device::Main, at, page, bytes) {
            self.counters.read_errors = self.counters.read_errors.saturating_add(1);
            let _ = self.moving.lost.push((block, errno));
            self.mark_pending(host);
            return Err(RequestError::Unreadable(block));
        }
        let _ = self.moving.jobs.push(Job {
            block,
            failure: Failure::Medium,
            origin: Origin::Request,
        });
        let mut data = Copied::<R> { block, bytes, page };
        self.relocate(host, &mut data)
            .map_err(|_| RequestError::NotMoved(block))
    }

    /// Live blocks from `from` on, in the order of main; up to [`REMAPS_AT_ONCE`] of them. Costs
    /// by what it returns and by the index's search for it, not by the size of the table.
    ///
    /// # Errors
    ///
    /// [`Full`]: there is no memory for them.
    pub fn remaps<H: Host<Room = R>>(&self, host: &H, from: MainBlock) -> Result<Remaps<R>, Full> {
        let mut lines = list_of::<R, RemapLine>(REMAPS_AT_ONCE)?;
        let (index, end) = (host.index(), self.settings.size.get());
        let few = REMAPS_AT_ONCE as u64;
        let (mut at, mut window) = (from.get(), few);
        // The window limits how far a run is followed, which may be the whole table; it grows
        // where nothing is found.
        while at < end && lines.len() < REMAPS_AT_ONCE {
            let count = Blocks::new(window.min(end.saturating_sub(at)));
            let Some(found) = index.first(MainBlock::new(at), count, false) else {
                at = at.saturating_add(window);
                window = window.saturating_mul(2);
                continue;
            };
            let room = REMAPS_AT_ONCE.saturating_sub(lines.len()) as u64;
            for ahead in 0..found.run.get().min(room) {
                let replacement = Replacement::new(found.replacement.get().saturating_add(ahead));
                // There is room: it was made for as many.
                let _ = lines.push(RemapLine {
                    block: MainBlock::new(found.block.get().saturating_add(ahead)),
                    replacement,
                    active: found.active,
                    moves: index.entry(replacement).moves,
                });
            }
            at = found.block.get().saturating_add(found.run.get());
            window = few;
        }
        Ok(lines)
    }
}

/// The making of a device that remaps out of a pass-through, under way: the table first,
/// then the headers, then the copies.
pub struct Creation<R: Room> {
    superblock: R::Boxed<Superblock>,
    prepared: R::Boxed<Prepared>,
    surveyed: Surveyed<R>,
    table: Option<Table<R>>,
    name: Text<NAME_LIMIT>,
    chunk: R::Chunk,
    next: (Region, u32),
}

impl<R: Room> Creation<R> {
    /// Begins one. `superblock` is what the copies are to say, as
    /// [`Engine::first_superblock`] makes it.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; nothing was written.
    pub fn begin<H: Host<Room = R>>(
        engine: &mut Engine<R>,
        host: &mut H,
        superblock: R::Boxed<Superblock>,
    ) -> Result<Self, RequestError> {
        engine.check_writable()?;
        if engine.superblock().is_some() {
            return Err(RequestError::HasMetadata);
        }
        let surveyed = survey(host, &mut engine.scratch)?;
        let layout = *superblock.layout().ok_or(RequestError::NoMetadata)?;
        let array = superblock.array_uuid().ok_or(RequestError::NoMetadata)?;
        let mut creation = Self {
            prepared: prepare_creation::<R>(&surveyed, &superblock)?,
            superblock,
            surveyed,
            table: Some(Table::new(array, layout)?),
            name: host.name(),
            chunk: largest_chunk::<R>((layout.table_blocks() as usize).min(MOST))?,
            next: (Region::A, 0),
        };
        creation.superblock.sequence = creation.prepared.sequence();
        Ok(creation)
    }

    /// Goes a step on.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: the device stays a pass-through.
    pub fn step<H: Host<Room = R>>(
        &mut self,
        engine: &mut Engine<R>,
        host: &mut H,
    ) -> Result<Progress, RequestError> {
        let Some(table) = &mut self.table else {
            return Ok(Progress::Done);
        };
        let (region, number) = self.next;
        let blocks = table.layout().table_blocks();
        if number < blocks {
            let end = table.lay_out_run(host, &mut self.chunk, region, number)?;
            self.next = (region, end);
            return Ok(Progress::More);
        }
        if region == Region::A {
            self.next = (Region::B, 0);
            return Ok(Progress::More);
        }
        for region in Region::ALL {
            let page = &mut engine.scratch;
            write_header(host, region, self.name, &self.superblock, page)?;
        }
        engine.write_copies(host, &self.prepared, &self.surveyed)?;
        table.make_room(host.index_mut(), Patience::Waits)?;
        self.finish(engine, host)?;
        Ok(Progress::Done)
    }

    #[inline(never)]
    fn finish<H: Host<Room = R>>(
        &mut self,
        engine: &mut Engine<R>,
        host: &mut H,
    ) -> Result<(), RequestError> {
        let Some(table) = self.table.take() else {
            return Ok(());
        };
        let layout = *table.layout();
        let sequence = self.superblock.sequence;
        engine.metadata = Metadata::Full(R::boxed(Joined {
            superblock: *self.superblock,
            name: self.name,
            table,
        })?);
        engine.tried = engine.tried.max(sequence);
        engine.look_at_copies(host);
        host.raise(Event::MetadataWritten { sequence });
        engine.schedule.next_scrub = engine.first_scrub(host.now());
        host.found_table(&layout);
        Ok(())
    }
}

#[inline(never)]
fn prepare_creation<R: Room>(
    surveyed: &Surveyed<R>,
    superblock: &Superblock,
) -> Result<R::Boxed<Prepared>, RequestError> {
    let intent = Intent::Create(superblock);
    let (judgement, survey) = (&surveyed.judgement, &surveyed.survey);
    let prepared = commit::prepare(judgement, survey, intent, Authority::Operator)
        .map_err(WriteFailure::Refused)?;
    Ok(R::boxed(prepared)?)
}

impl<R: Room> Engine<R> {
    /// The superblock of a new device. Only user space knows what tells disks apart for good:
    /// the identities are left to the host.
    ///
    /// # Errors
    ///
    /// [`RequestError::Layout`]: the spare does not suit.
    #[inline(never)]
    pub fn first_superblock<H: Host<Room = R>>(
        &self,
        host: &mut H,
        array: ArrayUuid,
        paths: [Text<128>; 2],
    ) -> Result<R::Boxed<Superblock>, RequestError> {
        let unit = self.settings.unit;
        let spare_sectors = host.size(Device::Spare);
        let layout = Layout::for_spare(spare_sectors, unit).map_err(RequestError::Layout)?;
        let [main_path, spare_path] = paths;
        Ok(R::boxed(Superblock {
            sequence: Sequence::new(1),
            timestamp: host.now().stamp,
            main_uuid: Text::EMPTY,
            spare_uuid: Text::EMPTY,
            main_sectors: host.size(Device::Main),
            spare_sectors,
            sector_size: host.logical_block(Device::Spare),
            entry_size: ENTRY_BYTES,
            capacity: u32::try_from(layout.replacement_blocks.get()).unwrap_or(u32::MAX),
            main_path,
            spare_path,
            extension: Some(Extension {
                features: Features::default(),
                array_uuid: array,
                main_epoch: 0,
                main_identity: IdentityDigest::NONE,
                spare_identity: IdentityDigest::NONE,
                needs_check: false,
                layout,
            }),
        })?)
    }
}
