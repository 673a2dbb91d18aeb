// SPDX-License-Identifier: GPL-2.0-or-later
//! Bringing a target up: what the spare says is read, judged and held against the devices
//! that were given, before the first request is admitted.

use core::fmt;

use crate::remap_core::account::{Counters, Judged};
use crate::remap_core::bytes::Text;
use crate::remap_core::engine::copies::{header_name, survey, Surveyed};
use crate::remap_core::engine::host::{Full, Host, Index, Room};
use crate::remap_core::engine::labels::{check_labels, read_label};
use crate::remap_core::engine::table::{Loaded, Table};
use crate::remap_core::engine::{Engine, Joined, Metadata, Schedule};
use crate::remap_core::event::Event;
use crate::remap_core::label::{End, MainForm};
use crate::remap_core::layout::Region;
use crate::remap_core::main_verdict::{LabelState, MainVerdict};
use crate::remap_core::message::Device;
use crate::remap_core::policy::Health;
use crate::remap_core::quorum::{Refusal, Verdict};
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::superblock::{Extension, Superblock};
use crate::remap_core::units::{BlockSize, Blocks, Sectors, Sequence};

/// Why a target does not come up, or does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The copies do not allow it.
    Copies(Refusal),
    /// A device has another size than the metadata says.
    Size {
        /// The device.
        device: Device,
        /// Its size.
        has: Sectors,
        /// The size that the metadata says.
        says: Sectors,
    },
    /// Main is not the disk that the labels say, or labels on it forbid to take it as it is.
    Main(MainVerdict),
    /// The remap unit is not that of the metadata.
    Unit {
        /// The unit that was given.
        given: BlockSize,
        /// The unit that the metadata says.
        says: BlockSize,
    },
    /// Table blocks are lost in both regions: which blocks they moved cannot be known.
    TableLost {
        /// How many.
        blocks: u32,
    },
    /// Main is said to be covered, and no entries lead to blocks of its ends.
    NotCovered {
        /// How many.
        blocks: Blocks,
    },
    /// The metadata is no longer that with which the device was suspended.
    Changed,
    /// There is no memory.
    Memory,
}

impl From<Full> for LoadError {
    fn from(_: Full) -> Self {
        Self::Memory
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copies(refusal) => refusal.fmt(f),
            Self::Size { device, has, says } => write!(
                f,
                "{device} has {has} sectors and the metadata says {says}: it is another disk"
            ),
            Self::Main(verdict) => f.write_str(match verdict {
                MainVerdict::Labelled | MainVerdict::Damaged => "it is main",
                MainVerdict::Unlabelled => {
                    "it bears no label, and the metadata says that main does: it is another disk, \
                     or both labels are lost"
                }
                MainVerdict::Former => "it was main before another disk, and is so no more",
                MainVerdict::Newer => {
                    "its labels are newer than the metadata on the spare, which is an old copy"
                }
                MainVerdict::Other => "it bears the labels of another device's main",
                MainVerdict::Split => "its two labels do not say the same",
                MainVerdict::Overwritten => "the signature of others lies where its labels were",
            }),
            Self::Unit { given, says } => write!(
                f,
                "the metadata has a remap unit of {says} bytes and the table line gives {given}: \
                 block_size {says} must be in it"
            ),
            // Read-only would not do either: main's own blocks would be served in place of
            // those that moved.
            Self::TableLost { blocks } => write!(
                f,
                "{blocks} blocks of the remap table are lost in both regions, and which blocks \
                 they moved cannot be known: the device does not come up"
            ),
            Self::NotCovered { blocks } => write!(
                f,
                "main is covered, and the remap table does not say where {blocks} blocks of its ends \
                 are: the device does not come up"
            ),
            Self::Changed => f.write_str(
                "the metadata was changed while the device was suspended; load its table anew",
            ),
            Self::Memory => f.write_str("out of memory"),
        }
    }
}

/// The state of a target that a host kept while it did not run.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// The superblock that it worked by.
    pub superblock: Option<Superblock>,
    /// The name that its region headers bear.
    pub name: Option<Text<NAME_LIMIT>>,
    /// Its counters.
    pub counters: Counters,
    /// The last judgement on its copies.
    pub judged: Judged,
    /// Everything that was due.
    pub schedule: Schedule,
    /// The highest sequence of which a copy may have been written.
    pub tried: Sequence,
    /// Whether its table had contradicted itself.
    pub needs_check: bool,
    /// Whether its spare was failing.
    pub spare_fails: bool,
    /// Whether its main was failing as a whole.
    pub main_suspect: bool,
}

impl<R: Room> Engine<R> {
    /// Reads the metadata and goes by it, if it may. Writes nothing.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the target must not be used then; a later try begins anew.
    pub fn load<H: Host<Room = R>>(&mut self, host: &mut H) -> Result<(), LoadError> {
        self.forget(host);
        let surveyed = survey(host, &mut self.scratch)?;
        let verdict = surveyed.verdict();
        surveyed
            .judgement
            .admit(self.settings.read_only)
            .map_err(LoadError::Copies)?;
        if verdict != Verdict::None {
            let refused = LoadError::Copies(Refusal::Verdict(verdict));
            let superblock = surveyed.superblock().ok_or(refused)?;
            self.take_up(host, &superblock, None)?;
        } else {
            check_labels(host, None, self.settings.read_only, &mut self.scratch)?;
        }
        host.data_begins(self.data_area().start);
        self.judged = Judged::from(&*surveyed.judgement);
        self.schedule.next_scrub = self.first_scrub(host.now());
        host.raise(Event::Activated { verdict });
        if self.needs_check {
            host.raise(Event::NeedsCheck);
        }
        Ok(())
    }

    /// Goes on where a target stood that ran before: of the spare only the table is read. What
    /// became of the copies meanwhile is for the next scrub to find.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: the target must not be used then.
    pub fn go_on<H: Host<Room = R>>(&mut self, host: &mut H, kept: &Kept) -> Result<(), LoadError> {
        self.forget(host);
        if let Some(superblock) = &kept.superblock {
            self.take_up(host, superblock, kept.name)?;
        }
        host.data_begins(self.data_area().start);
        self.counters = kept.counters;
        self.judged = kept.judged;
        self.schedule = kept.schedule;
        self.tried = self.tried.max(kept.tried);
        self.needs_check |= kept.needs_check;
        // A spare that fails as a whole is found out by the next block that moves.
        self.table_fails = kept.spare_fails;
        if kept.main_suspect {
            self.health.failed_test(false);
        }
        Ok(())
    }

    /// Lets go of everything that an earlier try may have taken up.
    fn forget<H: Host<Room = R>>(&mut self, host: &mut H) {
        host.index_mut().clear();
        host.covers_ends(false);
        self.metadata = Metadata::None;
        self.must_not_write = false;
        self.needs_check = false;
        self.spare_fails = false;
        self.table_fails = false;
        self.health = Health::default();
        self.judged = Judged::NOTHING;
        self.tried = Sequence::new(0);
        self.unfinished = None;
        self.schedule = Schedule::default();
    }

    #[inline(never)]
    fn take_up<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        superblock: &Superblock,
        name: Option<Text<NAME_LIMIT>>,
    ) -> Result<(), LoadError> {
        self.check_devices(host, superblock)?;
        let read_only = self.settings.read_only;
        check_labels(host, Some(superblock), read_only, &mut self.scratch)?;
        self.tried = superblock.sequence;
        let Some(extension) = superblock.extension else {
            self.metadata = Metadata::Plain(R::boxed(*superblock)?);
            return Ok(());
        };
        let (array, layout) = (extension.array_uuid, extension.layout);
        let (table, loaded) = Table::load(array, layout, host, self.settings.size)?;
        if loaded.lost > 0 {
            host.index_mut().clear();
            let blocks = loaded.lost;
            return Err(LoadError::TableLost { blocks });
        }
        self.take_table(host, superblock, &extension, (table, loaded), name)?;
        self.check_ends(host)
    }

    /// The labels of main and the table must be of one time. What lies on a bare main is its
    /// owner's, and may be labels of another array. One of this array that is newer than the
    /// superblock is seen where main was about to be covered, and lies beneath what was moved; if
    /// that was not, the spare is an old copy, and its table lacks the ends of main.
    fn check_ends<H: Host<Room = R>>(&mut self, host: &mut H) -> Result<(), LoadError> {
        let form = self.superblock().map(Superblock::main_form);
        match form {
            Some(MainForm::Covered) => {
                host.covers_ends(true);
                match self.kept_of_ends(host) {
                    blocks if blocks.get() > 0 => Err(LoadError::NotCovered { blocks }),
                    _ => Ok(()),
                }
            }
            Some(MainForm::Bare) => {
                for end in End::ALL {
                    let Self {
                        metadata, scratch, ..
                    } = self;
                    let known = metadata.superblock();
                    let state = read_label(host, end, known, scratch);
                    if state == LabelState::Newer && !self.is_label_place_moved(host, end) {
                        return Err(LoadError::Main(MainVerdict::Newer));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    #[inline(never)]
    fn take_table<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        superblock: &Superblock,
        extension: &Extension,
        (table, loaded): (Table<R>, Loaded),
        name: Option<Text<NAME_LIMIT>>,
    ) -> Result<(), LoadError> {
        let name = name.unwrap_or_else(|| self.name_of(host, extension));
        self.must_not_write = extension.features.unknown_ro_compat() != 0;
        self.needs_check = loaded.contradiction || extension.needs_check;
        self.metadata = Metadata::Full(R::boxed(Joined {
            superblock: *superblock,
            name,
            table,
        })?);
        host.found_table(&extension.layout);
        Ok(())
    }

    /// The devices must be those that the metadata was written for, as far as their sizes
    /// tell.
    fn check_devices<H: Host<Room = R>>(
        &self,
        host: &H,
        superblock: &Superblock,
    ) -> Result<(), LoadError> {
        let sizes = [
            (Device::Main, superblock.main_sectors),
            (Device::Spare, superblock.spare_sectors),
        ];
        for (device, says) in sizes {
            let has = host.size(device);
            if has != says {
                return Err(LoadError::Size { device, has, says });
            }
        }
        let given = self.settings.unit;
        match superblock.layout().map(|layout| layout.block_size) {
            Some(says) if says != given => Err(LoadError::Unit { given, says }),
            _ => Ok(()),
        }
    }

    /// The name in a region's header; that of the mapped device, where the headers are lost.
    #[inline(never)]
    fn name_of<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        extension: &Extension,
    ) -> Text<NAME_LIMIT> {
        let (layout, array) = (&extension.layout, extension.array_uuid);
        let page = &mut self.scratch;
        let mut names = Region::ALL
            .into_iter()
            .filter_map(|region| header_name(host, layout, array, region, page));
        let found = names.next();
        drop(names);
        found.unwrap_or_else(|| host.name())
    }

    /// Before a suspended target is used again: the spare must still hold what it held.
    ///
    /// Copies that are older or gone are damage, for a scrub to find, as long as the table or
    /// its headers say that the spare is the same.
    ///
    /// # Errors
    ///
    /// [`LoadError::Changed`]: somebody wrote to it, or it is another one.
    pub fn check_unchanged<H: Host<Room = R>>(&mut self, host: &mut H) -> Result<(), LoadError> {
        if let Some(superblock) = self.superblock() {
            self.check_devices(host, superblock)?;
        }
        let known = self.metadata.superblock();
        check_labels(host, known, self.settings.read_only, &mut self.scratch)?;
        let surveyed = survey(host, &mut self.scratch)?;
        let found = surveyed.judgement.sequence.unwrap_or(Sequence::new(0));
        let known = self.superblock().map(|known| known.sequence);
        let newest = known.unwrap_or(Sequence::new(0)).max(self.tried);
        // A copy that could not be read when it was last looked at may be a later one.
        let was_seen = self.judged.copies.count(|letter| *letter == '?') == 0;
        if (found > newest && was_seen) || self.is_another(&surveyed) {
            return Err(LoadError::Changed);
        }
        if !self.is_still_there(host, &surveyed) {
            return Err(LoadError::Changed);
        }
        match self.table() {
            Some(table) if !table.is_unchanged(host)? => Err(LoadError::Changed),
            _ => Ok(()),
        }
    }

    /// Whether anything on the spare still says that it is the one.
    fn is_still_there<H: Host<Room = R>>(&mut self, host: &mut H, found: &Surveyed<R>) -> bool {
        let Some(known) = self.superblock() else {
            // A pass-through has nothing to find again, and must find nothing else.
            return found.verdict() == Verdict::None;
        };
        if found.judgement.winner.is_some() {
            return true;
        }
        let Some(extension) = known.extension else {
            return false;
        };
        let (layout, array) = (extension.layout, extension.array_uuid);
        let page = &mut self.scratch;
        Region::ALL
            .into_iter()
            .any(|region| header_name(host, &layout, array, region, page).is_some())
    }

    /// Whether the copies that win are not those of the device that is up.
    pub(super) fn is_another(&self, found: &Surveyed<R>) -> bool {
        match (found.superblock(), self.superblock()) {
            (Some(found), Some(ours)) => {
                found.array_uuid() != ours.array_uuid() || found.layout() != ours.layout()
            }
            _ => false,
        }
    }
}
