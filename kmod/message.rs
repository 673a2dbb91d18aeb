// SPDX-License-Identifier: GPL-2.0-or-later
//! What an operator asks of an active target.

use core::fmt;

use kernel::error::Result;
use kernel::prelude::*;

use crate::dm::clock;
use crate::dm::target::Reply;
use crate::engine::{Engine, Full, Metadata};
use crate::index::Minding;
use crate::log;
use crate::relocate::{Data, Job};
use crate::remap_core::account::Counters;
use crate::remap_core::bytes::Text;
use crate::remap_core::commit::{Authority, Intent};
use crate::remap_core::event::Event;
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::message::{Device as Which, Message, RemapLine, REMAPS_AT_ONCE};
use crate::remap_core::policy::Failure;
use crate::remap_core::relocation::Origin;
use crate::remap_core::superblock::{Extension, Features, Superblock, ENTRY_BYTES};
use crate::remap_core::units::{
    ArrayUuid, BlockSize, Blocks, IdentityDigest, MainBlock, Replacement, Sequence,
};
use crate::scrub::WriteFailure;
use crate::store::{self, Spare, Surveyed};
use crate::table::Table;
use crate::target::Joined;

impl Joined<'_> {
    /// Does what a message asks. A message names the device, which is the typed word
    /// that some repairs need.
    ///
    /// # Errors
    ///
    /// The kernel log says why not.
    pub fn obey(&self, message: &Message, reply: &mut dyn fmt::Write) -> Result<Reply> {
        let done = match message {
            Message::Remaps(from) => {
                return self.print_remaps(*from, reply).map(|()| Reply::Text);
            }
            Message::ClearStats => {
                self.engine().lock().counters = Counters::default();
                Ok(())
            }
            Message::WriteMetadata => self.write_metadata(),
            Message::Scrub => self.maintain(|| {
                self.engine()
                    .lock()
                    .superblock()
                    .map(drop)
                    .ok_or("there is no metadata; write it first")
                    .map_err(|why| self.refuse(why, ENODATA))?;
                self.scrub().map_err(|why| self.explain(why))
            }),
            Message::Repair => self.maintain(|| {
                self.check_writable()?;
                self.repair(Authority::Typed)
                    .map_err(|why| self.explain(why))
            }),
            Message::Remap(block) => self.maintain(|| self.remap(*block)),
            Message::Fault(fault) => {
                let mut engine = self.engine().lock();
                engine.faults.add(*fault)?;
                self.index().mind(Minding::HOLD_ALL, true);
                Ok(())
            }
            Message::ClearFaults => {
                let mut engine = self.engine().lock();
                engine.faults.clear();
                self.index().mind(Minding::HOLD_ALL, false);
                Ok(())
            }
        };
        self.tell();
        done.map(|()| Reply::Done)
    }

    /// Runs `inner` under the maintenance lock, if the device is up.
    fn maintain(&self, inner: impl FnOnce() -> Result) -> Result {
        let _maintaining = self.maintenance().lock();
        if !self.engine().lock().running {
            return Err(self.refuse("the device is suspended", EAGAIN));
        }
        inner()
    }

    fn refuse(&self, why: &str, error: Error) -> Error {
        log::error(format_args!("{}: {why}", self.number()));
        error
    }

    fn explain(&self, why: WriteFailure) -> Error {
        log::error(format_args!("{}: {why}", self.number()));
        why.error()
    }

    fn check_writable(&self) -> Result {
        let engine = self.engine().lock();
        if engine.needs_check {
            let why = "the device is read-only, because its remap table contradicts itself";
            return Err(self.refuse(why, EROFS));
        }
        if engine.is_read_only() {
            return Err(self.refuse("the device is read-only", EROFS));
        }
        Ok(())
    }

    fn write_metadata(&self) -> Result {
        self.maintain(|| {
            self.check_writable()?;
            let kind = match &self.engine().lock().metadata {
                Metadata::None => None,
                Metadata::Plain(_) => Some(false),
                Metadata::Full(_) => Some(true),
            };
            match kind {
                None => self.create_metadata(),
                Some(false) => {
                    let why = "the metadata is plain v4, which cannot do that; migrate it first";
                    Err(self.refuse(why, EOPNOTSUPP))
                }
                Some(true) => self.advance().map_err(|why| self.explain(why)),
            }
        })
    }

    /// Makes a pass-through a device that remaps: the table first, then the copies.
    fn create_metadata(&self) -> Result {
        let surveyed = {
            let engine = self.engine().lock();
            store::survey(&Spare::new(self.spare(), &engine.faults))?
        };
        let (superblock, prepared) = self.prepare_creation(&surveyed)?;
        let extension = superblock.extension.ok_or(EINVAL)?;
        let mut table = Table::new(extension.array_uuid, extension.layout)?;
        {
            let _engine = self.engine().lock();
            table.make_room(self.index(), GFP_KERNEL)?;
        }
        let name = self
            .owner()
            .with_name(|name| Text::new(name).unwrap_or_default());
        self.lay_out(&mut table, name, &superblock)
            .map_err(|errno| self.explain(WriteFailure::Spare(errno)))?;
        self.execute(&prepared, &surveyed)
            .map_err(|why| self.explain(why))?;
        let full = Full {
            superblock: *superblock,
            name,
            table,
        };
        let full = KBox::new(full, GFP_KERNEL)?;
        let mut engine = self.engine().lock();
        let sequence = superblock.sequence;
        engine.metadata = Metadata::Full(full);
        engine.tried = engine.tried.max(sequence);
        engine.look_at_copies(self);
        engine.raise(self.number(), Event::MetadataWritten { sequence });
        engine.schedule.next_scrub = self.first_scrub(&engine);
        self.found_table(&extension.layout);
        Ok(())
    }

    fn lay_out(
        &self,
        table: &mut Table,
        name: Text<{ crate::remap_core::remap_table::NAME_LIMIT }>,
        superblock: &Superblock,
    ) -> Result<(), crate::remap_core::units::Errno> {
        let engine = self.engine().lock();
        let spare = Spare::new(self.spare(), &engine.faults);
        table.format(&spare)?;
        let buffer = table.scratch();
        for region in Region::ALL {
            store::write_header(&spare, region, name, superblock, buffer)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn prepare_creation(
        &self,
        surveyed: &Surveyed,
    ) -> Result<(KBox<Superblock>, KBox<crate::remap_core::commit::Prepared>)> {
        let mut superblock = KBox::new(self.first_superblock()?, GFP_KERNEL)?;
        let prepared = crate::remap_core::commit::prepare(
            &surveyed.judgement,
            &surveyed.survey,
            Intent::Create(&superblock),
            Authority::Operator,
        )
        .map_err(|refusal| self.explain(WriteFailure::Refused(refusal)))?;
        superblock.sequence = prepared.sequence();
        Ok((superblock, KBox::new(prepared, GFP_KERNEL)?))
    }

    #[inline(never)]
    fn first_superblock(&self) -> Result<Superblock> {
        let layout = Layout::for_spare(self.spare().size(), self.unit()).map_err(|error| {
            log::error(format_args!("{}: {error}", self.number()));
            ENOSPC
        })?;
        let sector_size = BlockSize::from_bytes(self.spare().logical_block_bytes());
        // Version 4 and variant 1, as random UUIDs have it.
        let mut uuid = clock::random();
        let [.., version, _, variant, _, _, _, _, _, _, _] = &mut uuid;
        *version = (*version & 0x0f) | 0x40;
        *variant = (*variant & 0x3f) | 0x80;
        Ok(Superblock {
            sequence: Sequence::new(1),
            timestamp: clock::now(),
            main_uuid: Text::EMPTY,
            spare_uuid: Text::EMPTY,
            main_sectors: self.main().size(),
            spare_sectors: self.spare().size(),
            sector_size: sector_size.ok_or(EINVAL)?,
            entry_size: ENTRY_BYTES,
            capacity: u32::try_from(layout.replacement_blocks.get()).unwrap_or(u32::MAX),
            main_path: path_text(self.main_path()),
            spare_path: path_text(self.spare_path()),
            extension: Some(Extension {
                features: Features::default(),
                array_uuid: ArrayUuid::new(uuid),
                // What tells disks apart for good is for user space to know.
                main_identity: IdentityDigest::NONE,
                spare_identity: IdentityDigest::NONE,
                needs_check: false,
                layout,
            }),
        })
    }

    /// Moves a block that works to the spare, data and all.
    fn remap(&self, block: MainBlock) -> Result {
        self.check_writable()?;
        if self.engine().lock().table().is_none() {
            return Err(self.refuse("there is no remap table; write the metadata first", ENODATA));
        }
        if block.get() >= self.blocks().get() {
            return Err(self.refuse("there is no such block", ERANGE));
        }
        // Writes that come from now on wait for the worker, and those that came before
        // have reached main when the gate is drained: what is copied is the last word.
        self.fence(true);
        self.gate().drain();
        let moved = self.engine().lock().copy(self, block);
        self.fence(false);
        moved
    }

    fn fence(&self, on: bool) {
        // The lock of whoever changes the index.
        let _engine = self.engine().lock();
        self.index().mind(Minding::FENCE, on);
    }

    fn print_remaps(&self, from: MainBlock, reply: &mut dyn fmt::Write) -> Result {
        let lines = self.engine().lock().remaps(self, from)?;
        // What finds no room is asked for again, with more of it.
        let _ = lines.iter().try_for_each(|line| writeln!(reply, "{line}"));
        Ok(())
    }
}

impl Engine {
    /// Moves one block, which nobody is writing to.
    fn copy(&mut self, of: &Joined<'_>, block: MainBlock) -> Result {
        if of.index().get(block).is_some_and(|live| live.active) {
            return Err(of.refuse("the block is on the spare already", EEXIST));
        }
        let one = Blocks::new(1);
        if !self.settle_under(of, block, one) {
            return Err(of.refuse("the remap table cannot be written", EIO));
        }
        let at = of.unit().first_sector(block).ok_or(ERANGE)?;
        let mut page = crate::dm::device::Buffer::new(GFP_KERNEL)?;
        let read = self
            .faults
            .check(Which::Main, false, at, of.unit().sectors())
            .and_then(|()| of.main().read_part(at, &mut page, of.unit().bytes()));
        if read.is_err() {
            return Err(of.refuse(
                "the block cannot be read; the next write to it moves it",
                EIO,
            ));
        }
        let job = Job {
            block,
            failure: Failure::Medium,
            origin: Origin::Request,
        };
        let _ = self.moving.jobs.push_within_capacity(job);
        self.relocate(of, &Data::Page(&page)).map_err(|_| EIO)
    }

    /// Live blocks from `from` on, in the order of main.
    fn remaps(&self, of: &Joined<'_>, from: MainBlock) -> Result<KVec<RemapLine>> {
        let mut lines: KVec<RemapLine> = KVec::with_capacity(REMAPS_AT_ONCE, GFP_KERNEL)?;
        for at in 0..of.index().room() as u64 {
            let replacement = Replacement::new(at);
            let entry = of.index().entry(replacement);
            if !entry.is_live() || entry.main < from {
                continue;
            }
            let full = lines.len() >= REMAPS_AT_ONCE;
            if full && lines.last().is_some_and(|last| last.block <= entry.main) {
                continue;
            }
            let Some(live) = of.index().get(entry.main) else {
                continue;
            };
            if live.replacement != replacement {
                continue;
            }
            if full {
                lines.pop();
            }
            let place = lines.partition_point(|line| line.block < entry.main);
            let line = RemapLine {
                block: entry.main,
                replacement,
                active: live.active,
                moves: live.moves,
            };
            // There is room: the last one made it.
            let _ = lines.insert_within_capacity(place, line);
        }
        Ok(lines)
    }
}

/// A path as a hint in the metadata. One that does not fit is left out: half of it would
/// name another device.
fn path_text(path: &str) -> Text<128> {
    Text::new(path.as_bytes()).unwrap_or_default()
}
