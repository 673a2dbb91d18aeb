//! What things cost, by the count of reads and writes: by what is used, never by what is there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::rig::{arguments, disks, made_on, SEED, START};
use crate::lab::dm_target::{Disks, Target};
use crate::lab::fault::{FaultRange, Faulty};
use crate::lab::ram::RamDisk;
use crate::port::{BlockStore, IoError, Reply};
use crate::remap_core::bytes::Text;
use crate::remap_core::commit::Authority;
use crate::remap_core::engine::{Progress, Repair, Scrub};
use crate::remap_core::event::Event;
use crate::remap_core::layout::{Layout, Region, ENTRIES_PER_BLOCK};
use crate::remap_core::message::{Direction, Message};
use crate::remap_core::params::Options;
use crate::remap_core::remap_table::{
    format_block, put_entry, seal_block, BlockPlace, Entry, EntryState, RawBlock, RegionHeader,
};
use crate::remap_core::superblock::{Extension, Features, Superblock, ENTRY_BYTES};
use crate::remap_core::units::{
    BlockSize, Errno, Generation, IdentityDigest, MainBlock, Sector, Sectors, Sequence, Slot,
    Timestamp, BLOCK_4K_BYTES, BLOCK_4K_SECTORS,
};

/// A disk that counts what it is asked for.
struct Counted<S> {
    inner: S,
    physical: u32,
    reads: AtomicU64,
    writes: u64,
    flushes: u64,
}

impl<S: BlockStore> Counted<S> {
    fn new(inner: S) -> Self {
        let physical = inner.logical_block().bytes();
        Self {
            inner,
            physical,
            reads: AtomicU64::new(0),
            writes: 0,
            flushes: 0,
        }
    }

    /// Reads, writes and flushes since this was last asked.
    fn take(&mut self) -> (u64, u64, u64) {
        let reads = self.reads.swap(0, Ordering::Relaxed);
        let (writes, flushes) = (self.writes, self.flushes);
        (self.writes, self.flushes) = (0, 0);
        (reads, writes, flushes)
    }
}

impl<S: BlockStore> BlockStore for Counted<S> {
    fn size(&self) -> Sectors {
        self.inner.size()
    }

    fn logical_block(&self) -> BlockSize {
        self.inner.logical_block()
    }

    fn physical_block_bytes(&self) -> u32 {
        self.physical
    }

    fn identity(&self) -> IdentityDigest {
        self.inner.identity()
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.read_at(at, buffer)
    }

    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError> {
        self.writes += 1;
        self.inner.write_at(at, data)
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.flushes += 1;
        self.inner.flush()
    }
}

type Disk = Counted<Faulty<RamDisk>>;

/// A device on disks that count.
struct Rig {
    main: Disk,
    spare: Disk,
    target: Target,
}

impl Rig {
    fn new() -> Self {
        let (main, spare) = disks(BlockSize::B512, 2100);
        let counted = |disk| Counted::new(Faulty::new(disk, Vec::new()));
        let (mut main, mut spare) = (counted(main), counted(spare));
        let mut disks = Disks {
            main: &mut main,
            spare: &mut spare,
        };
        let mut target = made_on(&mut disks);
        target.take_events();
        let mut rig = Self {
            main,
            spare,
            target,
        };
        rig.main.take();
        rig.spare.take();
        rig
    }

    fn write(&mut self, first: u64, count: usize) -> bool {
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let data = vec![0x5a; count * 512];
        let at = Sector::new(first);
        self.target.write(&mut disks, START, at, &data).is_ok()
    }

    fn read(&mut self, first: u64, count: usize) -> bool {
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let mut data = vec![0; count * 512];
        let at = Sector::new(first);
        self.target.read(&mut disks, START, at, &mut data).is_ok()
    }

    fn message(&mut self, message: &Message) -> bool {
        let mut disks = Disks {
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let target = &mut self.target;
        let done = target.message(&mut disks, START, message, SEED, &mut |_| Ok(()));
        done.is_ok()
    }

    fn break_main(&mut self, direction: Direction, first: u64, count: u64) {
        let fault = FaultRange::bad(direction, Sector::new(first), Sectors::new(count));
        self.main.inner.faults().push(fault);
    }

    fn break_spare(&mut self, direction: Direction, at: Sector, count: u64) {
        let fault = FaultRange::bad(direction, at, Sectors::new(count));
        self.spare.inner.faults().push(fault);
    }

    fn layout(&self) -> Layout {
        Layout::for_spare(self.spare.size(), BlockSize::B512).unwrap()
    }

    fn moved(&self) -> u64 {
        self.target.status(START).used.get()
    }
}

#[test]
fn a_main_that_is_gone_answers_a_large_write_after_four_requests() {
    for direction in [Direction::Both, Direction::Write] {
        let mut rig = Rig::new();
        rig.break_main(direction, 0, 1 << 40);
        assert!(!rig.write(1024, 1024));
        let (reads, writes, _) = rig.main.take();
        let most = match direction {
            Direction::Both => 4,
            // One that can be read is written to at three places as well.
            _ => 7,
        };
        assert!(reads + writes <= most, "{reads} reads, {writes} writes");
        let events = rig.target.take_events();
        let told = events.iter().filter(|event| **event == Event::MainSuspect);
        assert_eq!(told.count(), 1, "{events:?}");
        assert_eq!(rig.moved(), 0, "nothing of the spare is used up for it");
        // Nor by one write after the other.
        for block in 0..100 {
            assert!(!rig.write(block * 8, 8));
        }
        assert_eq!(rig.moved(), 0);
        assert!(rig.target.status(START).main_suspect);
        // What can be read is read.
        assert_eq!(rig.read(4, 4), direction == Direction::Write);
    }
}

#[test]
fn a_main_that_takes_writes_again_moves_its_bad_blocks_again() {
    let mut rig = Rig::new();
    rig.break_main(Direction::Write, 0, 1 << 40);
    assert!(!rig.write(100, 8));
    rig.main.inner.faults().clear();
    rig.break_main(Direction::Write, 102, 1);
    assert!(rig.write(100, 8));
    assert_eq!(rig.moved(), 1);
    assert!(!rig.target.status(START).main_suspect);
}

#[test]
fn a_dead_sector_of_the_disk_is_narrowed_once_for_all_its_blocks() {
    let mut rig = Rig::new();
    rig.main.physical = 4096;
    rig.break_main(Direction::Both, 64, 8);
    assert!(rig.write(64, 8));
    assert_eq!(rig.moved(), 8);
    let (reads, writes, _) = rig.main.take();
    // The request itself, and main asked whether it lives: one block read and written.
    assert_eq!((reads, writes), (1, 2));
    let (_, writes, _) = rig.spare.take();
    assert_eq!(writes, 3, "the data in one piece, and both regions");
    // In the middle of a large request, by halves.
    rig.break_main(Direction::Both, 1024 + 512, 8);
    assert!(rig.write(1024, 1024));
    assert_eq!(rig.moved(), 16);
    let (_, writes, _) = rig.main.take();
    assert!(writes <= 2 + 2 * 7, "{writes} writes");
}

#[test]
fn nothing_goes_to_the_spare_at_a_flush_as_long_as_nothing_is_on_it() {
    let mut rig = Rig::new();
    let flush = |rig: &mut Rig| {
        let mut disks = Disks {
            main: &mut rig.main,
            spare: &mut rig.spare,
        };
        rig.target.flush(&mut disks, START)
    };
    rig.break_spare(Direction::Both, Sector::new(0), 1 << 40);
    assert!(rig.write(0, 8));
    assert_eq!(flush(&mut rig), Ok(()));
    assert_eq!(rig.spare.take(), (0, 0, 0));
    rig.spare.inner.faults().clear();
    rig.break_main(Direction::Write, 3, 1);
    assert!(rig.write(0, 8));
    rig.spare.take();
    assert_eq!(flush(&mut rig), Ok(()));
    assert_eq!(rig.spare.take(), (0, 0, 1));
}

#[test]
fn neighbours_that_fail_are_moved_in_one_piece() {
    let mut rig = Rig::new();
    rig.break_main(Direction::Write, 512, 128);
    assert!(rig.write(512, 128));
    assert_eq!(rig.moved(), 128);
    let (_, writes, _) = rig.spare.take();
    assert_eq!(writes, 3, "the data in one piece, and both regions");
    // Around a replacement that fails.
    let at = rig.layout().replacement.get() + 130;
    rig.break_spare(Direction::Write, Sector::new(at), 1);
    rig.break_main(Direction::Write, 1512, 16);
    assert!(rig.write(1512, 16));
    assert!(rig.read(1512, 16));
    assert_eq!(rig.moved(), 128 + 17);
}

#[test]
fn a_table_block_that_takes_no_write_is_tried_once_and_not_for_every_move() {
    for region in Region::ALL {
        let mut rig = Rig::new();
        let at = rig.layout().table_block(region, 0).unwrap();
        rig.break_spare(Direction::Write, Sector::new(at.get() + 3), 1);
        rig.break_main(Direction::Write, 8, 4);
        assert!(rig.write(8, 1));
        // The data, both regions, a header and a block without entries, so that reading goes
        // on behind it; then the data and both regions of the next one.
        let (_, writes, _) = rig.spare.take();
        assert!(writes <= 8, "{writes} writes");
        for block in 9..12 {
            assert!(rig.write(block, 1));
            let (_, writes, _) = rig.spare.take();
            assert_eq!(writes, 3, "the data, and both regions of another block");
        }
        // Writes that the block does not touch go straight to main.
        assert!(!rig.target.index.holds_writes);
        rig.main.take();
        assert!(rig.write(100, 8));
        assert_eq!((rig.main.take().1, rig.spare.take().1), (1, 0));
    }
}

#[test]
fn a_lost_block_that_the_spare_does_not_take_is_written_to_main() {
    let mut rig = Rig::new();
    rig.break_main(Direction::Read, 40, 1);
    assert!(!rig.read(40, 1));
    assert_eq!(rig.target.status(START).pending.get(), 1);
    rig.main.inner.faults().clear();
    let replacements = rig.layout().replacement;
    rig.break_spare(Direction::Write, replacements, 1 << 40);
    assert!(rig.write(40, 1), "main would take it");
    assert!(rig.read(40, 1));
    rig.spare.inner.faults().clear();
    assert!(rig.message(&Message::Repair));
    assert!(rig.write(40, 1));
    assert_eq!(rig.target.status(START).active.get(), 1, "moved at last");
}

#[test]
fn a_region_that_only_could_not_be_read_is_not_written_over_without_the_other() {
    for direction in [Direction::Read, Direction::Both] {
        let mut rig = Rig::new();
        rig.break_main(Direction::Write, 5, 1);
        assert!(rig.write(5, 1));
        let layout = rig.layout();
        let place = |region| layout.table_block(region, 0).unwrap();
        let before = Region::ALL.map(|region| sectors(&rig.spare.inner, place(region)));
        // B cannot be read, and A cannot be read when the repair looks at it.
        for region in Region::ALL {
            rig.break_spare(direction, place(region), 8);
        }
        rig.spare.take();
        assert!(!rig.message(&Message::Repair));
        assert_eq!(rig.spare.take().1, 0, "nothing is written over");
        rig.spare.inner.faults().clear();
        assert!(rig.message(&Message::Repair));
        // One alone is written anew, the other being intact.
        rig.break_spare(Direction::Read, place(Region::B), 8);
        assert!(!rig.message(&Message::Repair), "it still cannot be read");
        rig.spare.inner.faults().clear();
        assert!(rig.message(&Message::Repair));
        let after = Region::ALL.map(|region| sectors(&rig.spare.inner, place(region)));
        assert_eq!(before, after);
    }
}

/// 4 KiB as they lie on a disk.
fn sectors<S: BlockStore>(disk: &S, at: Sector) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK_4K_BYTES];
    // Faults are for the target alone.
    let _ = disk.read_at(at, &mut bytes);
    bytes
}

#[test]
fn a_repair_writes_no_block_that_was_never_used() {
    let mut rig = Rig::new();
    let layout = rig.layout();
    // The spare was away for a write, and nothing on it is damaged.
    rig.break_main(Direction::Write, 5, 1);
    let away = FaultRange {
        errno: Errno::new(19),
        ..FaultRange::bad(Direction::Both, Sector::new(0), Sectors::new(1 << 40))
    };
    rig.spare.inner.faults().push(away);
    assert!(!rig.write(5, 1));
    assert!(rig.target.status(START).spare_failing);
    rig.spare.inner.faults().clear();
    rig.spare.take();
    assert!(rig.message(&Message::Repair));
    assert!(
        !rig.target.status(START).spare_failing,
        "it was put to the test"
    );
    for region in Region::ALL {
        for number in 0..layout.table_blocks() {
            let at = layout.table_block(region, number).unwrap();
            let mut fresh: Box<RawBlock> = Box::new([0; BLOCK_4K_BYTES]);
            let place = BlockPlace {
                array: SEED.array,
                region,
                index: number,
            };
            format_block(&mut fresh, &place);
            assert!(
                sectors(&rig.spare.inner, at) == fresh[..],
                "{region:?} {number}"
            );
        }
    }
}

#[test]
fn a_load_that_failed_leaves_no_remaps_behind() {
    let mut rig = Rig::new();
    rig.break_main(Direction::Write, 5, 1);
    assert!(rig.write(5, 1));
    assert!(rig.read(5, 1));
    for slot in Slot::ALL {
        let zeros = [0; BLOCK_4K_BYTES];
        rig.spare.write_at(slot.sector(), &zeros).unwrap();
    }
    for region in Region::ALL {
        let at = rig.layout().region_start(region);
        rig.spare.write_at(at, &[0; BLOCK_4K_BYTES]).unwrap();
    }
    let mut disks = Disks {
        main: &mut rig.main,
        spare: &mut rig.spare,
    };
    let (engine, mut host) = rig.target.parts(&mut disks, START, None);
    engine.load(&mut host).unwrap();
    assert!(!engine.has_table());
    // The block is main's again, which takes no writes there; nothing goes anywhere else.
    rig.spare.take();
    assert!(!rig.write(5, 1));
    assert_eq!(rig.spare.take(), (0, 0, 0));
}

#[test]
fn every_step_of_a_scrub_and_of_a_repair_is_short() {
    let mut rig = Rig::new();
    rig.break_main(Direction::Write, 5, 1);
    assert!(rig.write(5, 1));
    rig.spare.take();
    let mut disks = Disks {
        main: &mut rig.main,
        spare: &mut rig.spare,
    };
    let (engine, mut host) = rig.target.parts(&mut disks, START, None);
    let mut scrub = Scrub::begin(engine, &mut host).unwrap();
    drop(host);
    let (reads, writes, _) = rig.spare.take();
    // The copies and the headers.
    assert!(reads <= 7 && writes == 0, "{reads} reads, {writes} writes");
    loop {
        let mut disks = Disks {
            main: &mut rig.main,
            spare: &mut rig.spare,
        };
        let (engine, mut host) = rig.target.parts(&mut disks, START, None);
        let progress = scrub.step(engine, &mut host);
        drop(host);
        let (reads, writes, _) = rig.spare.take();
        assert!(reads <= 2 && writes == 0, "{reads} reads, {writes} writes");
        if progress == Progress::Done {
            break;
        }
    }
    // A region that was overwritten.
    let layout = rig.layout();
    let start = layout.region_start(Region::A);
    let length = layout.region_sectors().bytes().unwrap() as usize;
    rig.spare.write_at(start, &vec![0x11; length]).unwrap();
    rig.spare.take();
    let mut disks = Disks {
        main: &mut rig.main,
        spare: &mut rig.spare,
    };
    let (engine, mut host) = rig.target.parts(&mut disks, START, None);
    let mut repair = Repair::begin(engine, &mut host, Authority::Automatic);
    drop(host);
    let mut total = rig.spare.take().1;
    loop {
        let mut disks = Disks {
            main: &mut rig.main,
            spare: &mut rig.spare,
        };
        let (engine, mut host) = rig.target.parts(&mut disks, START, None);
        let progress = repair.step(engine, &mut host);
        drop(host);
        let (reads, writes, _) = rig.spare.take();
        assert!(reads + writes <= 24, "{reads} reads, {writes} writes");
        total += writes;
        if progress == Progress::Done {
            break;
        }
    }
    assert_eq!(repair.outcome(), Ok(()));
    assert!(total <= 12, "{total} writes for a whole region");
}

/// A spare of 100 GiB whose regions are as they were laid out, but for what was written since.
struct Vast {
    size: Sectors,
    layout: Layout,
    /// The region that is blank.
    lost: Option<Region>,
    written: BTreeMap<u64, Vec<u8>>,
}

impl Vast {
    fn new(size: Sectors, main: Sectors, lost: Option<Region>) -> Self {
        let layout = Layout::for_spare(size, BlockSize::B512).unwrap();
        let superblock = Superblock {
            sequence: Sequence::new(1),
            timestamp: Timestamp::new(1),
            main_uuid: Text::EMPTY,
            spare_uuid: Text::EMPTY,
            main_sectors: main,
            spare_sectors: size,
            sector_size: BlockSize::B512,
            entry_size: ENTRY_BYTES,
            capacity: u32::MAX,
            main_path: Text::EMPTY,
            spare_path: Text::EMPTY,
            extension: Some(Extension {
                features: Features::default(),
                array_uuid: SEED.array,
                main_epoch: 0,
                main_identity: IdentityDigest::NONE,
                spare_identity: IdentityDigest::NONE,
                needs_check: false,
                layout,
            }),
        };
        let mut vast = Self {
            size,
            layout,
            lost,
            written: BTreeMap::new(),
        };
        for slot in Slot::ALL {
            let raw = superblock.encode(slot);
            vast.write_at(slot.sector(), &raw).unwrap();
        }
        for region in Region::ALL.into_iter().filter(|at| Some(*at) != lost) {
            let mut raw: Box<RawBlock> = Box::new([0; BLOCK_4K_BYTES]);
            let header = RegionHeader {
                region,
                name: Text::new(b"vault").unwrap(),
                superblock,
            };
            header.write(&mut raw);
            vast.write_at(layout.region_start(region), &raw[..])
                .unwrap();
        }
        vast
    }

    fn block(&self, region: Region, index: u32) -> Box<RawBlock> {
        let mut raw: Box<RawBlock> = Box::new([0; BLOCK_4K_BYTES]);
        if self.lost != Some(region) {
            let place = BlockPlace {
                array: SEED.array,
                region,
                index,
            };
            format_block(&mut raw, &place);
        }
        raw
    }

    /// The 4 KiB that lie at a sector, which is a multiple of 8.
    fn four_kib(&self, at: u64) -> Vec<u8> {
        let mut bytes = vec![0; BLOCK_4K_BYTES];
        for region in Region::ALL {
            let first = self.layout.table_block(region, 0).unwrap().get();
            let index = at
                .checked_sub(first)
                .map(|behind| behind / BLOCK_4K_SECTORS);
            let index = index.filter(|index| *index < u64::from(self.layout.table_blocks()));
            if let Some(index) = index {
                bytes = self.block(region, index as u32).to_vec();
            }
        }
        for (sector, part) in (at..).zip(bytes.chunks_mut(512)) {
            if let Some(written) = self.written.get(&sector) {
                part.copy_from_slice(written);
            }
        }
        bytes
    }
}

impl BlockStore for Vast {
    fn size(&self) -> Sectors {
        self.size
    }

    fn logical_block(&self) -> BlockSize {
        BlockSize::B512
    }

    fn identity(&self) -> IdentityDigest {
        IdentityDigest::NONE
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        let mut done = 0;
        while done < buffer.len() {
            let sector = at.get() + (done / 512) as u64;
            let start = (sector % BLOCK_4K_SECTORS) as usize * 512;
            let whole = self.four_kib(sector - sector % BLOCK_4K_SECTORS);
            let count = (BLOCK_4K_BYTES - start).min(buffer.len() - done);
            buffer[done..done + count].copy_from_slice(&whole[start..start + count]);
            done += count;
        }
        Ok(())
    }

    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError> {
        for (sector, part) in (at.get()..).zip(data.chunks(512)) {
            self.written.insert(sector, part.to_vec());
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }
}

const GIB: u64 = 1 << 21;

#[test]
fn a_lost_region_of_a_vast_spare_costs_nothing_where_nothing_was_moved() {
    for lost in [None, Some(Region::A), Some(Region::B)] {
        let main_size = Sectors::new(4096);
        let vast = Vast::new(Sectors::new(100 * GIB), main_size, lost);
        let mut main = Counted::new(RamDisk::new(main_size));
        let mut spare = Counted::new(vast);
        let mut disks = Disks {
            main: &mut main,
            spare: &mut spare,
        };
        let mut target =
            Target::activate(arguments(Options::default()), &mut disks, START).unwrap();
        let room = target.index.room_bytes();
        assert!(room <= 1 << 20, "{room} bytes of room");
        let (reads, writes, _) = spare.take();
        // Copies are read twice here, by the host and by the engine.
        assert!(reads <= 16 && writes == 0, "{reads} reads, {writes} writes");
        main.take();
        let mut disks = Disks {
            main: &mut main,
            spare: &mut spare,
        };
        let at = Sector::new(8);
        target.write(&mut disks, START, at, &[1; 4096]).unwrap();
        let requests = main.take().1 + spare.take().1;
        assert!(requests <= 3, "{requests} before the first write ended");
    }
}

#[test]
fn a_million_remaps_are_read_in_few_pieces() {
    let main_size = Sectors::new(1 << 22);
    let mut vast = Vast::new(Sectors::new(2 * GIB), main_size, None);
    let layout = vast.layout;
    let count = 1_000_000u64;
    for number in 0..count.div_ceil(ENTRIES_PER_BLOCK) {
        for region in Region::ALL {
            let mut raw: Box<RawBlock> = Box::new([0; BLOCK_4K_BYTES]);
            for place in 0..ENTRIES_PER_BLOCK {
                let entry = Entry {
                    state: EntryState::Active,
                    main: MainBlock::new(2 * (number * ENTRIES_PER_BLOCK + place)),
                    moves: 1,
                };
                put_entry(&mut raw, place as u32, &entry);
            }
            let place = BlockPlace {
                array: SEED.array,
                region,
                index: number as u32,
            };
            seal_block(&mut raw, &place, Generation::new(2));
            let at = layout.table_block(region, number as u32).unwrap();
            vast.write_at(at, &raw[..]).unwrap();
        }
    }
    let mut main = RamDisk::new(main_size);
    let mut spare = Counted::new(vast);
    let mut disks = Disks {
        main: &mut main,
        spare: &mut spare,
    };
    let mut target = Target::activate(arguments(Options::default()), &mut disks, START).unwrap();
    assert!(target.status(START).active.get() >= count);
    let (reads, _, _) = spare.take();
    assert!(reads <= 64, "{reads} reads");

    // A list of some of them looks at few more than it gives, at either end.
    for from in [0, count, 2 * count - 2 * 256] {
        let mut disks = Disks {
            main: &mut main,
            spare: &mut spare,
        };
        target.index.take_looked();
        let message = Message::Remaps(MainBlock::new(from));
        let reply = target.message(&mut disks, START, &message, SEED, &mut |_| Ok(()));
        let Ok(Reply::Remaps(rows)) = reply else {
            panic!("a list of remaps");
        };
        let expected = (0..256).map(|row| from + 2 * row);
        assert!(rows.iter().map(|row| row.block.get()).eq(expected));
        let looked = target.index.take_looked();
        assert!(looked <= 4 * 256, "{looked} entries looked at");
    }
}

#[test]
fn a_list_of_neighbours_follows_their_run_no_further_than_it_gives() {
    let mut rig = Rig::new();
    rig.break_main(Direction::Write, 0, 2000);
    for first in (0..2000).step_by(200) {
        assert!(rig.write(first, 200));
        assert!(rig.write(3000, 1));
    }
    assert_eq!(rig.moved(), 2000);
    rig.target.index.take_looked();
    for from in [0, 1000, 1900, 2000] {
        assert!(rig.message(&Message::Remaps(MainBlock::new(from))));
        let looked = rig.target.index.take_looked();
        assert!(looked <= 4 * 256, "{looked} entries looked at");
    }
}

#[test]
fn covering_main_takes_few_requests_however_many_blocks_are_moved() {
    let (_, spare) = disks(BlockSize::B512, 9000);
    let counted = |disk| Counted::new(Faulty::new(disk, Vec::new()));
    let (mut main, mut spare) = (counted(RamDisk::new(Sectors::new(8192))), counted(spare));
    let mut disks = Disks {
        main: &mut main,
        spare: &mut spare,
    };
    let target = made_on(&mut disks);
    let mut rig = Rig {
        main,
        spare,
        target,
    };
    for message in [Message::Cover, Message::Uncover] {
        rig.main.take();
        rig.spare.take();
        assert!(rig.message(&message));
        let of_main = rig.main.take();
        let of_spare = rig.spare.take();
        let all = of_main.0 + of_main.1 + of_spare.0 + of_spare.1;
        println!("{message}: main {of_main:?}, spare {of_spare:?}");
        assert!(all <= 64, "{message}: {all} reads and writes");
    }
}
