//! A target on two disks in memory.

use std::path::PathBuf;

use crate::format::backup::SavedRange;
use crate::lab::dm_target::{
    ActivateError, Arguments, Disks, FailedBlock, MessageError, MetadataSeed, Now, RequestError,
    Target,
};
use crate::lab::fault::{FaultRange, Faulty};
use crate::lab::ram::RamDisk;
use crate::port::slots::survey;
use crate::port::{BlockStore, Reply};
use crate::remap_core::event::Event;
use crate::remap_core::layout::Layout;
use crate::remap_core::message::{Direction, Message};
use crate::remap_core::params::Options;
use crate::remap_core::quorum::{judge, Verdict};
use crate::remap_core::status::Status;
use crate::remap_core::units::{
    ArrayUuid, BlockSize, Errno, IdentityDigest, MainBlock, Millis, Sector, Sectors, Timestamp,
};

pub(super) const SEED: MetadataSeed = MetadataSeed {
    array: ArrayUuid::new(*b"an array of ours"),
};

pub(super) const MAIN_SIZE: Sectors = Sectors::new(4096);

pub(super) struct Rig {
    pub(super) main: Faulty<RamDisk>,
    pub(super) spare: Faulty<RamDisk>,
    pub(super) target: Target,
    pub(super) now: Now,
    /// What was kept before anything was overwritten.
    pub(super) backups: Vec<Vec<SavedRange>>,
    /// Whether a backup can be kept.
    pub(super) backups_fail: bool,
    pub(super) events: Vec<Event>,
}

pub(super) fn arguments(options: Options) -> Arguments {
    Arguments {
        name: "vault".to_owned(),
        main_path: PathBuf::from("/dev/main"),
        spare_path: PathBuf::from("/dev/spare"),
        options,
    }
}

pub(super) fn disks(unit: BlockSize, replacement_blocks: u64) -> (RamDisk, RamDisk) {
    let extra = (replacement_blocks - 64) * unit.sectors().get();
    let tables = (replacement_blocks / 252) * 16;
    let spare = Layout::smallest_spare(unit).get() + extra + tables;
    let main = RamDisk::new(MAIN_SIZE)
        .with_logical_block(unit)
        .with_identity(IdentityDigest::new([1; 16]));
    let spare = RamDisk::new(Sectors::new(spare))
        .with_logical_block(unit)
        .with_identity(IdentityDigest::new([2; 16]));
    (main, spare)
}

pub(super) const START: Now = Now {
    uptime: Millis::new(1_000_000),
    stamp: Timestamp::new(1_700_000_000),
};

/// Makes a new device on two disks: the target that is up on them.
pub(super) fn made_on(disks: &mut Disks<'_>) -> Target {
    let mut target = Target::activate(arguments(Options::default()), disks, START).unwrap();
    let message = Message::WriteMetadata;
    target
        .message(disks, START, &message, SEED, &mut |_| Ok(()))
        .unwrap();
    target
}

impl Rig {
    /// A new device with so many replacement blocks, healthy and up, no event pending.
    pub(super) fn new(unit: BlockSize, replacement_blocks: u64) -> Self {
        let (main, spare) = disks(unit, replacement_blocks);
        let mut rig = Self::on(main, spare, Options::default()).unwrap();
        rig.message(&Message::WriteMetadata).unwrap();
        rig.events.clear();
        let total = rig.status().total.get();
        assert!(
            (replacement_blocks..replacement_blocks + 16).contains(&total),
            "{total}"
        );
        rig
    }

    pub(super) fn on(
        main: RamDisk,
        spare: RamDisk,
        options: Options,
    ) -> Result<Self, ActivateError> {
        let disk = |disk| Faulty::new(disk, Vec::new());
        Self::on_faulty(disk(main), disk(spare), options)
    }

    /// The same on disks parts of which fail.
    pub(super) fn on_faulty(
        mut main: Faulty<RamDisk>,
        mut spare: Faulty<RamDisk>,
        options: Options,
    ) -> Result<Self, ActivateError> {
        let mut disks = Disks {
            main: &mut main,
            spare: &mut spare,
        };
        let mut target = Target::activate(arguments(options), &mut disks, START)?;
        let events = target.take_events();
        Ok(Self {
            main,
            spare,
            target,
            now: START,
            backups: Vec::new(),
            backups_fail: false,
            events,
        })
    }

    /// Takes the device down and up again on the same disks, faults and all.
    pub(super) fn restart(&mut self, options: Options) -> Result<(), ActivateError> {
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        self.target = Target::activate(arguments(options), &mut disks, self.now)?;
        self.collect();
        Ok(())
    }

    fn collect(&mut self) {
        self.events.extend(self.target.take_events());
    }

    pub(super) fn write_at(&mut self, at: u64, data: &[u8]) -> Result<(), RequestError> {
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let unit = self.target.block_size().sectors().get();
        let outcome = self
            .target
            .write(&mut disks, self.now, Sector::new(at * unit), data);
        self.collect();
        outcome
    }

    pub(super) fn read_at(&mut self, at: u64, count: usize) -> (Vec<u8>, Result<(), RequestError>) {
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let unit = self.target.block_size();
        let mut buffer = vec![0xee; count * unit.bytes() as usize];
        let at = Sector::new(at * unit.sectors().get());
        let outcome = self.target.read(&mut disks, self.now, at, &mut buffer);
        self.collect();
        (buffer, outcome)
    }

    /// Blocks, each filled with its own number and `salt`.
    pub(super) fn pattern(&self, first: u64, count: u64, salt: u8) -> Vec<u8> {
        let unit = self.target.block_size().bytes() as usize;
        (first..first + count)
            .flat_map(|block| {
                let mut bytes = vec![salt; unit];
                bytes[..8].copy_from_slice(&block.to_le_bytes());
                bytes
            })
            .collect()
    }

    pub(super) fn write(&mut self, first: u64, count: u64, salt: u8) -> Result<(), RequestError> {
        let data = self.pattern(first, count, salt);
        self.write_at(first, &data)
    }

    /// Reads blocks and holds them against what [`Rig::write`] wrote.
    #[track_caller]
    pub(super) fn expect(&mut self, first: u64, count: u64, salt: u8) {
        let (found, outcome) = self.read_at(first, count as usize);
        assert_eq!(outcome, Ok(()));
        assert_eq!(found, self.pattern(first, count, salt));
    }

    pub(super) fn message(&mut self, message: &Message) -> Result<Reply, MessageError> {
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let (backups, fail) = (&mut self.backups, self.backups_fail);
        let mut keep = |ranges| keep(backups, fail, ranges);
        let reply = self
            .target
            .message(&mut disks, self.now, message, SEED, &mut keep);
        self.collect();
        reply
    }

    /// Lets so many milliseconds pass, then does what is due.
    pub(super) fn pass(&mut self, millis: u64) -> bool {
        self.now.uptime = self.now.uptime.after(millis);
        self.now.stamp = Timestamp::new(self.now.stamp.get() + millis / 1000);
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let (backups, fail) = (&mut self.backups, self.backups_fail);
        let mut keep = |ranges| keep(backups, fail, ranges);
        let done = self.target.run_due(&mut disks, self.now, &mut keep);
        self.collect();
        done
    }

    pub(super) fn status(&self) -> Status {
        self.target.status(self.now)
    }

    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub(super) fn verdict(&mut self) -> Verdict {
        judge(&survey(&self.spare)).verdict
    }

    pub(super) fn layout(&self) -> Layout {
        Layout::for_spare(self.spare.size(), self.target.block_size()).unwrap()
    }

    /// Lets blocks of main fail.
    pub(super) fn break_main(&mut self, direction: Direction, first: u64, count: u64) {
        let unit = self.target.block_size().sectors().get();
        self.main.faults().push(FaultRange::bad(
            direction,
            Sector::new(first * unit),
            Sectors::new(count * unit),
        ));
    }

    /// Lets replacement blocks fail.
    pub(super) fn break_replacements(&mut self, direction: Direction, first: u64, count: u64) {
        let unit = self.target.block_size().sectors().get();
        let start = self.layout().replacement.get() + first * unit;
        self.spare.faults().push(FaultRange::bad(
            direction,
            Sector::new(start),
            Sectors::new(count * unit),
        ));
    }

    pub(super) fn break_spare_at(&mut self, direction: Direction, at: Sector, sectors: u64) {
        let fault = FaultRange::bad(direction, at, Sectors::new(sectors));
        self.spare.faults().push(fault);
    }

    pub(super) fn heal_disks(&mut self) {
        self.main.faults().clear();
        self.spare.faults().clear();
    }

    /// Writes to the spare behind the target's back.
    pub(super) fn damage(&mut self, at: Sector, bytes: &[u8]) {
        self.spare.inner().write_at(at, bytes).unwrap();
    }
}

fn keep(
    backups: &mut Vec<Vec<SavedRange>>,
    fail: bool,
    ranges: Vec<SavedRange>,
) -> std::io::Result<()> {
    if fail {
        return Err(std::io::Error::other("no room"));
    }
    backups.push(ranges);
    Ok(())
}

pub(super) fn lost(blocks: impl IntoIterator<Item = u64>) -> Result<(), RequestError> {
    let failed = |block| FailedBlock {
        block: MainBlock::new(block),
        errno: Errno::EIO,
    };
    Err(RequestError::Blocks(
        blocks.into_iter().map(failed).collect(),
    ))
}
