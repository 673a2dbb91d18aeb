//! A write of the copies by the engine after one that failed, from every state of the disk and
//! cut short at every write: what was tried must leave no gap between two sequences.

use std::collections::BTreeSet;
use std::path::PathBuf;

use dmremap::lab::dm_target::{Arguments, Disks, MetadataSeed, Now, Target};
use dmremap::lab::ram::RamDisk;
use dmremap::port::{BlockStore, IoError};
use dmremap::remap_core::layout::Region;
use dmremap::remap_core::message::Message;
use dmremap::remap_core::params::Options;
use dmremap::remap_core::quorum::{Reading, Verdict};
use dmremap::remap_core::remap_table::{format_block, BlockPlace};
use dmremap::remap_core::units::{
    BlockSize, Errno, IdentityDigest, Sector, Sectors, Slot, BLOCK_4K_BYTES,
};

use crate::book::{Book, Disk};
use crate::checks::{assembles, torn_disks};
use crate::common::{checksummed, Kind, ARRAY, NEWEST, SPARE};
use crate::explore::{disks, kinds};
use crate::noise;
use crate::store::{OnWrite, Write};

/// A spare that remembers every write to its slots, and takes no others.
struct Spare<'a> {
    book: &'a mut Book,
    rest: RamDisk,
    disk: Disk,
    on_write: [OnWrite; Slot::COUNT],
    writes: Vec<Write>,
}

impl BlockStore for Spare<'_> {
    fn size(&self) -> Sectors {
        self.rest.size()
    }

    fn logical_block(&self) -> BlockSize {
        BlockSize::B512
    }

    fn identity(&self) -> IdentityDigest {
        self.rest.identity()
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        self.rest.read_at(at, buffer)?;
        let Some(slot) = Slot::ALL.into_iter().find(|slot| slot.sector() == at) else {
            return Ok(());
        };
        match self.book.reading(self.disk[slot.index() as usize]) {
            Reading::Read { raw, .. } => buffer[..raw.len()].copy_from_slice(&raw),
            Reading::Unreadable(errno) => return Err(IoError { errno, at }),
        }
        Ok(())
    }

    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError> {
        let slot = Slot::ALL.into_iter().find(|slot| slot.sector() == at);
        let slot = slot.expect("only copies are written");
        let raw = data.try_into().unwrap();
        let (number, before) = (slot.index() as usize, self.disk);
        self.disk[number] = match self.on_write[number] {
            OnWrite::Takes => self.book.written(before[number], &raw),
            OnWrite::Refuses => before[number],
            OnWrite::Spoils(id) | OnWrite::Misleads(id) => id,
        };
        let failed = self.on_write[number] != OnWrite::Takes;
        self.writes.push(Write {
            slot,
            body: self.book.body(&raw),
            before,
            after: self.disk,
            failed,
        });
        match failed {
            true => Err(IoError {
                errno: Errno::EIO,
                at,
            }),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }
}

/// Everything on the spare but the copies: a table without entries.
fn rest() -> RamDisk {
    let mut rest = RamDisk::new(SPARE).with_identity(IdentityDigest::new([0x22; 16]));
    let superblock = checksummed(ARRAY, NEWEST);
    let layout = superblock.layout().unwrap();
    for region in Region::ALL {
        let mut raw = [0; BLOCK_4K_BYTES];
        let place = BlockPlace {
            array: ARRAY,
            region,
            index: 0,
        };
        format_block(&mut raw, &place);
        let at = layout.table_block(region, 0).unwrap();
        rest.write_at(at, &raw).unwrap();
    }
    rest
}

fn write_copies(target: &mut Target, main: &mut RamDisk, spare: &mut Spare<'_>) -> bool {
    let mut disks = Disks { main, spare };
    let seed = MetadataSeed { array: ARRAY };
    let message = Message::WriteMetadata;
    let mut keep = |_| Ok(());
    let written = target.message(&mut disks, Now::default(), &message, seed, &mut keep);
    written.is_ok()
}

/// The sequences of the copies on a disk that can be believed.
fn sequences(book: &Book, disk: &Disk) -> BTreeSet<u64> {
    let found = Slot::ALL.into_iter();
    let found = found.filter_map(|slot| book.superblock(disk, slot));
    found.map(|superblock| superblock.sequence.get()).collect()
}

#[test]
fn a_write_after_one_that_failed_leaves_no_gap_from_3125_states() {
    let mut book = Book::default();
    let letters = [
        Kind::Newest,
        Kind::OneOlder,
        Kind::MoreOlder,
        Kind::Corrupt,
        Kind::Unreadable,
    ];
    let starts = disks(&mut book, &kinds(&letters));
    let spoils = OnWrite::Spoils(noise(&mut book));
    let rest = rest();
    let (mut up, mut failed, mut weak, mut crashes) = (0, 0, 0, 0);
    for start in &starts {
        if !assembles(book.facts(start).verdict) {
            continue;
        }
        up += 1;
        let masks = (1..32u32).flat_map(|mask| [(mask, OnWrite::Refuses), (mask, spoils)]);
        for (mask, fails) in masks {
            let mut main = RamDisk::new(Sectors::new(1 << 21));
            main = main.with_identity(IdentityDigest::new([0x11; 16]));
            let mut spare = Spare {
                book: &mut book,
                rest: rest.clone(),
                disk: *start,
                on_write: Slot::ALL.map(|slot| match mask >> slot.index() & 1 {
                    0 => OnWrite::Takes,
                    _ => fails,
                }),
                writes: Vec::new(),
            };
            let arguments = Arguments {
                name: "vault".to_owned(),
                main_path: PathBuf::from("/dev/main"),
                spare_path: PathBuf::from("/dev/spare"),
                options: Options::default(),
            };
            let mut disks = Disks {
                main: &mut main,
                spare: &mut spare,
            };
            let mut target = Target::activate(arguments, &mut disks, Now::default()).unwrap();
            if write_copies(&mut target, &mut main, &mut spare) {
                continue;
            }
            failed += 1;
            let between = spare.disk;
            spare.writes.clear();
            spare.on_write = [OnWrite::Takes; Slot::COUNT];
            let again = write_copies(&mut target, &mut main, &mut spare);
            let (end, writes) = (spare.disk, spare.writes);
            let case = || format!("{start:?}, slots {mask:05b} {fails:?}");
            let before = book.facts(&between);
            // With too few copies that were not spoiled a person is asked, and of nothing else.
            let before = before.verdict;
            assert!(
                assembles(before) || before == Verdict::Weak,
                "{}: {before} {:?}",
                case(),
                sequences(&book, &between)
            );
            weak += usize::from(before == Verdict::Weak);
            assert!(again, "{}", case());
            assert_eq!(book.facts(&end).verdict, Verdict::Healthy, "{}", case());
            let newest = sequences(&book, &between).last().copied().unwrap();
            for write in &writes {
                for disk in torn_disks(&mut book, write) {
                    crashes += 1;
                    let verdict = book.facts(&disk).verdict;
                    let well = assembles(verdict) || before == verdict;
                    assert!(well, "{}: {verdict}", case());
                    let highest = sequences(&book, &disk).last().copied().unwrap();
                    assert!(highest <= newest + 1, "{}: a gap", case());
                }
            }
        }
    }
    println!("{up} states, {failed} writes failed, {weak} weak, {crashes} crash states");
    assert_eq!(
        (up, failed, weak, crashes),
        (1043, 42_636, 12_200, 1_513_812)
    );
}
