//! A main whose blocks are bad: where they are, and a file that lies on them.

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::machine::{argument, run};

const SECTOR: u64 = 512;
/// What is written at once: a block of the file system.
const BLOCK: u64 = 4096;
/// Most of the room that a file system of 16 MiB with a journal leaves.
const LENGTH: &str = "9M";

/// The places on main, in sectors, that take no writes. The emulator refuses them, at every
/// start of the machine.
pub fn bad_places() -> Vec<Range<u64>> {
    let told = argument("dmremap.bad");
    let places = told.split(',').map(|place| {
        let (start, count) = place.split_once('+').expect("a start and a count");
        let start: u64 = start.parse().expect("a sector");
        let count: u64 = count.parse().expect("a number of sectors");
        start..start + count
    });
    places.collect()
}

/// How many sectors take no writes.
pub fn bad_sectors() -> u64 {
    bad_places()
        .iter()
        .map(|place| place.end - place.start)
        .sum()
}

/// A run of a file's sectors that lies together on its device.
struct Extent {
    logical: u64,
    physical: Range<u64>,
}

/// A file that lies on all that its file system had to give, bad places among it.
pub struct Ledger {
    path: PathBuf,
    file: File,
    extents: Vec<Extent>,
}

impl Ledger {
    /// Has the file system give a new file its room; nothing is written to that yet.
    pub fn reserve(directory: &str) -> Self {
        let path = Path::new(directory).join("ledger");
        run(&format!("fallocate -l {LENGTH} {}", path.display()));
        run(&format!("sync -f {}", path.display()));
        Self::open(directory)
    }

    /// The file as it is there.
    pub fn open(directory: &str) -> Self {
        let path = Path::new(directory).join("ledger");
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(&path);
        let told = run(&format!("filefrag -b512 -v {}", path.display()));
        Self {
            file: file.expect("the ledger opens"),
            extents: told.lines().filter_map(extent).collect(),
            path,
        }
    }

    /// The blocks of the file, as bytes from its begin, that lie on a place of main.
    fn blocks_on(&self, place: &Range<u64>) -> Vec<u64> {
        let mut blocks: Vec<u64> = place.clone().map(|sector| self.block_on(sector)).collect();
        blocks.dedup();
        blocks
    }

    fn block_on(&self, sector: u64) -> u64 {
        let mut extents = self.extents.iter();
        let extent = extents.find(|extent| extent.physical.contains(&sector));
        let extent = extent.unwrap_or_else(|| {
            let told = run(&format!("filefrag -b512 -v {}", self.path.display()));
            panic!("the ledger does not lie on sector {sector}:\n{told}")
        });
        let at = (extent.logical + sector - extent.physical.start) * SECTOR;
        at / BLOCK * BLOCK
    }

    /// Writes where a bad place of main is, and makes it durable.
    pub fn write(&self, place: &Range<u64>, round: u8) {
        for block in self.blocks_on(place) {
            let written = self.file.write_all_at(&page(block, round), block);
            written.expect("the file takes it");
        }
        let synced = self.file.sync_all();
        synced.expect("the spare takes what main does not");
    }

    /// Checks what was written there last.
    pub fn check(&self, place: &Range<u64>, round: u8) {
        for block in self.blocks_on(place) {
            let mut holds = [0; BLOCK as usize];
            let read = self.file.read_exact_at(&mut holds, block);
            read.expect("the file reads");
            assert!(holds == page(block, round), "byte {block} of the ledger");
        }
    }
}

/// Checks that main itself has nothing of what was written to a bad place: that came from the
/// spare, and from nowhere else.
pub fn check_main_is_old(main: &str, place: &Range<u64>, round: u8) {
    let main = File::open(main).expect("main opens for reading");
    let mut holds = [0; SECTOR as usize];
    for sector in place.clone() {
        let read = main.read_exact_at(&mut holds, sector * SECTOR);
        read.expect("what is bad for writes alone reads");
        assert!(!holds.contains(&mark(round)), "sector {sector} of main");
    }
}

/// A byte that tells a round, and that nothing else is made of.
fn mark(round: u8) -> u8 {
    0xa0 | round
}

/// What is written to a block in a round. Every sector of it holds the round's mark.
fn page(block: u64, round: u8) -> [u8; BLOCK as usize] {
    let mut page = [mark(round); BLOCK as usize];
    for sector in page.chunks_mut(SECTOR as usize) {
        sector[..8].copy_from_slice(&block.to_le_bytes());
    }
    page
}

/// What a line of `filefrag -v` says: an extent's number, where it lies in the file and on the
/// device, both with their ends, and its length.
fn extent(line: &str) -> Option<Extent> {
    let mut fields = line.split(':');
    let _: u64 = fields.next()?.trim().parse().ok()?;
    let logical = range(fields.next()?)?;
    let physical = range(fields.next()?)?;
    Some(Extent {
        logical: logical.start,
        physical,
    })
}

/// `FIRST.. LAST`
fn range(field: &str) -> Option<Range<u64>> {
    let (first, last) = field.split_once("..")?;
    let last: u64 = last.trim().parse().ok()?;
    Some(first.trim().parse().ok()?..last + 1)
}
