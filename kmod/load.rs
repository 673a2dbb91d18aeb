// SPDX-License-Identifier: GPL-2.0-or-later
//! Bringing a target up: what the spare says is read, judged and held against the
//! devices that were given, before the first bio is admitted.

use kernel::error::Result;
use kernel::prelude::*;

use crate::dm::claims::Claim;
use crate::dm::clock;
use crate::dm::device::{Buffer, Device};
use crate::engine::{tell, Engine, Full, Metadata};
use crate::log;
use crate::remap_core::account::Judged;
use crate::remap_core::bytes::Text;
use crate::remap_core::event::Event;
use crate::remap_core::layout::Region;
use crate::remap_core::log_line::{LogLine, Told};
use crate::remap_core::params::FIRST_SCRUB_MILLIS;
use crate::remap_core::quorum::{Refusal, Verdict};
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::superblock::{Extension, Superblock};
use crate::remap_core::units::{Millis, Sequence};
use crate::store::{self, Spare, Surveyed};
use crate::table::{Loaded, Table};
use crate::target::Joined;

impl Joined<'_> {
    /// Reads the metadata, or makes sure that it is still what was read before.
    ///
    /// # Errors
    ///
    /// The kernel log says why the device does not come up.
    pub fn load(&self) -> Result {
        let mut engine = self.engine().lock();
        if !engine.loaded {
            self.tell_name();
        }
        let claims = [self.claim(self.main())?, self.claim(self.spare())?];
        let surveyed = store::survey(&Spare::new(self.spare(), &engine.faults))?;
        if engine.loaded {
            engine.check_unchanged(self, &surveyed)?;
        } else {
            self.take_up(&mut engine, &surveyed)?;
        }
        engine.claims = Some(claims);
        Ok(())
    }

    /// Goes by what was read of the copies, if it may.
    fn take_up(&self, engine: &mut Engine, surveyed: &Surveyed) -> Result {
        engine.judged = Judged::from(&*surveyed.judgement);
        if let Err(refusal) = surveyed.judgement.admit(self.options().read_only) {
            let (number, spare) = (self.number(), self.spare().name());
            log::error(format_args!("{number}: {spare}: {refusal}"));
            return Err(match refusal {
                Refusal::Unreadable(_) => EIO,
                Refusal::Verdict(_) => EUCLEAN,
            });
        }
        if surveyed.judgement.verdict != Verdict::None {
            engine.take_metadata(self, surveyed)?;
        }
        let verdict = surveyed.judgement.verdict;
        match engine.metadata {
            Metadata::None => log::warn(format_args!(
                "{}: {}: no metadata here; everything goes to {} and nothing is remapped",
                self.number(),
                self.spare().name(),
                self.main().name()
            )),
            Metadata::Plain(_) => log::warn(format_args!(
                "{}: {}: metadata in plain v4, which has no remap table; nothing is remapped",
                self.number(),
                self.spare().name()
            )),
            Metadata::Full(_) => {}
        }
        engine.schedule.next_scrub = self.first_scrub(engine);
        engine.loaded = true;
        engine.raise(self.number(), Event::Activated { verdict });
        if engine.needs_check {
            engine.raise(self.number(), Event::NeedsCheck);
        }
        self.mind_read_only(engine);
        Ok(())
    }

    fn claim(&self, device: &Device<'_>) -> Result<Claim> {
        Claim::new(self.owner(), device).inspect_err(|_| {
            log::error(format_args!(
                "{}: {} is part of another device that is up",
                self.number(),
                device.name()
            ));
        })
    }

    /// Tells that the device is gone, unless it goes on with another table.
    pub fn tell_gone(&self) {
        if self.engine().lock().loaded && !self.owner().has_other_table() {
            tell(self.number(), Event::Deactivated);
        }
    }

    /// Says in the kernel log which name the number stands for that its lines begin with.
    fn tell_name(&self) {
        self.owner().with_name(|name| {
            if let Ok(name) = core::str::from_utf8(name) {
                let line = LogLine {
                    device: Some(self.number()),
                    told: Told::Named(name),
                };
                log::info(format_args!("{line}"));
            }
        });
    }

    /// When the first scrub is due.
    pub fn first_scrub(&self, engine: &Engine) -> Option<Millis> {
        let wanted = self.options().scrub_interval > 0 && engine.superblock().is_some();
        wanted.then(|| clock::uptime().after(FIRST_SCRUB_MILLIS))
    }
}

impl Engine {
    #[inline(never)]
    fn take_metadata(&mut self, of: &Joined<'_>, surveyed: &Surveyed) -> Result {
        let superblock = surveyed.superblock().ok_or(EUCLEAN)?;
        check_devices(of, &superblock)?;
        self.tried = superblock.sequence;
        let Some(extension) = superblock.extension else {
            self.metadata = Metadata::Plain(KBox::new(superblock, GFP_KERNEL)?);
            return Ok(());
        };
        self.must_not_write = extension.features.unknown_ro_compat() != 0;
        let spare = Spare::new(of.spare(), &self.faults);
        let (table, loaded) = load_table(of, &spare, &extension)?;
        if loaded.lost > 0 {
            // Read-only would not do either: main's own blocks would be served in place of
            // those that moved.
            log::error(format_args!(
                "{}: {} blocks of the remap table are lost in both regions, and which blocks \
                 they moved cannot be known: the device does not come up",
                of.number(),
                loaded.lost
            ));
            return Err(EUCLEAN);
        }
        self.needs_check = loaded.contradiction || extension.needs_check;
        let name = name_of(of, &spare, &extension)?;
        let full = Full {
            superblock,
            name,
            table,
        };
        self.metadata = Metadata::Full(KBox::new(full, GFP_KERNEL)?);
        of.found_table(&extension.layout);
        Ok(())
    }

    /// Before the device is used again: nobody may have changed the metadata meanwhile.
    fn check_unchanged(&mut self, of: &Joined<'_>, surveyed: &Surveyed) -> Result {
        let found = surveyed.judgement.sequence.unwrap_or(Sequence::new(0));
        let known = self
            .superblock()
            .map_or(Sequence::new(0), |known| known.sequence);
        let Self {
            metadata, faults, ..
        } = self;
        let same_table = match metadata {
            Metadata::Full(full) => full.table.is_unchanged(&Spare::new(of.spare(), faults)),
            Metadata::None | Metadata::Plain(_) => true,
        };
        // Copies that are older or gone are damage, for a scrub to find.
        if found <= known.max(self.tried) && same_table {
            return Ok(());
        }
        log::error(format_args!(
            "{}: {}: the metadata was changed while the device was suspended; load its table anew",
            of.number(),
            of.spare().name()
        ));
        Err(ESTALE)
    }
}

/// The devices must be those that the metadata was written for, as far as the kernel
/// can tell.
fn check_devices(of: &Joined<'_>, superblock: &Superblock) -> Result {
    let sizes = [
        (of.main(), superblock.main_sectors),
        (of.spare(), superblock.spare_sectors),
    ];
    for (device, says) in sizes {
        let has = device.size();
        if has != says {
            log::error(format_args!(
                "{}: {} has {has} sectors and the metadata says {says}: it is another disk",
                of.number(),
                device.name()
            ));
            return Err(ENXIO);
        }
    }
    let Some(layout) = superblock.layout() else {
        return Ok(());
    };
    if layout.block_size != of.unit() {
        log::error(format_args!(
            "{}: the metadata has a remap unit of {} bytes and the table line gives {}: \
             block_size {} must be in it",
            of.number(),
            layout.block_size,
            of.unit(),
            layout.block_size
        ));
        return Err(EINVAL);
    }
    Ok(())
}

fn load_table(
    of: &Joined<'_>,
    spare: &Spare<'_>,
    extension: &Extension,
) -> Result<(Table, Loaded)> {
    let (array, layout) = (extension.array_uuid, extension.layout);
    Table::load(array, layout, spare, of.blocks(), of.index())
}

/// The name in a region's header; that of the mapped device, where the headers are lost.
#[inline(never)]
fn name_of(of: &Joined<'_>, spare: &Spare<'_>, extension: &Extension) -> Result<Text<NAME_LIMIT>> {
    let mut buffer = Buffer::new(GFP_KERNEL)?;
    for region in Region::ALL {
        let (layout, array) = (&extension.layout, extension.array_uuid);
        if let Some(name) = store::header_name(spare, layout, array, region, &mut buffer) {
            return Ok(name);
        }
    }
    Ok(of
        .owner()
        .with_name(|name| Text::new(name).unwrap_or_default()))
}
