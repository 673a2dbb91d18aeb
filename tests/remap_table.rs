//! The remap table under crashes and damage: whatever a power cut leaves of an update
//! loads as the entries before it or the entries after it, and as nothing else.
#![cfg(test)]

mod common;

use common::{checksummed, text, Noise, ARRAY, OTHER_ARRAY};
use dmremap::remap_core::bytes::Text;
use dmremap::remap_core::layout::{Region, ENTRIES_PER_BLOCK};
use dmremap::remap_core::remap_table::{
    block_checksum, check_block, entry, format_block, put_entry, seal_block, BlockFlaw, BlockPlace,
    Entry, EntryState, RawBlock, RegionHeader, NAME_LIMIT, TABLE_HEADER_BYTES,
};
use dmremap::remap_core::table_update::{
    choose, repair_block, same_entries, update_block, Choice, TableStore, UpdateError,
};
use dmremap::remap_core::units::{
    Errno, Generation, MainBlock, Slot, BLOCK_4K_BYTES, SECTOR_BYTES,
};

/// Sectors in one table block; a power cut may leave any of them old or new.
const SECTORS: usize = BLOCK_4K_BYTES / SECTOR_BYTES;

/// The index of the sample block.
const INDEX: u32 = 3;

const fn place(region: Region) -> BlockPlace {
    BlockPlace {
        array: ARRAY,
        region,
        index: INDEX,
    }
}

/// What the two regions hold of one block; `None` where the device gives an error.
#[derive(Clone, PartialEq, Eq)]
struct Disk {
    a: Option<RawBlock>,
    b: Option<RawBlock>,
}

impl Disk {
    fn region(&self, region: Region) -> &Option<RawBlock> {
        match region {
            Region::A => &self.a,
            Region::B => &self.b,
        }
    }

    fn set(&mut self, region: Region, block: Option<RawBlock>) {
        match region {
            Region::A => self.a = block,
            Region::B => self.b = block,
        }
    }

    fn check(&self, region: Region) -> Result<Generation, BlockFlaw> {
        match self.region(region) {
            Some(raw) => check_block(raw, &place(region)),
            None => Err(BlockFlaw::Unreadable),
        }
    }

    fn choice(&self) -> Choice {
        let same = match (&self.a, &self.b) {
            (Some(a), Some(b)) => same_entries(a, b),
            _ => false,
        };
        choose(self.check(Region::A), self.check(Region::B), same)
    }

    /// What loading gives: the block to be used, its generation, where to write next.
    fn load(&self) -> Option<(RawBlock, Generation, [Region; 2])> {
        let choice = self.choice();
        let (region, generation) = match choice {
            Choice::Agreed { generation } => (Region::A, generation),
            Choice::Use {
                region, generation, ..
            } => (region, generation),
            Choice::Contradiction { .. } | Choice::Lost => return None,
        };
        let raw = self.region(region).unwrap();
        Some((raw, generation, choice.write_order()))
    }
}

/// A block at `generation` in which the entries at `places` are remaps number `remap`.
fn block(region: Region, generation: u64, remap: u64, places: &[u32]) -> RawBlock {
    let mut raw = [0; BLOCK_4K_BYTES];
    format_block(&mut raw, &place(region));
    change(&mut raw, remap, places);
    seal_block(&mut raw, &place(region), Generation::new(generation));
    raw
}

/// One place in each of the eight sectors of a block.
const IN_EACH_SECTOR: [u32; SECTORS] = [3, 40, 70, 100, 130, 170, 200, 251];

/// One place in three of them, for what is enumerated twice over.
const IN_THREE_SECTORS: [u32; 3] = [3, 130, 251];

/// The block that holds, sector by sector, what bit by bit `mask` takes from `new`.
fn mixed(old: &RawBlock, new: &RawBlock, mask: usize) -> RawBlock {
    let mut raw = *old;
    for sector in (0..SECTORS).filter(|sector| mask >> sector & 1 == 1) {
        let bytes = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
        raw[bytes.clone()].copy_from_slice(&new[bytes]);
    }
    raw
}

/// A store that writes to a disk and keeps every write that it was given.
struct Recorder {
    disk: Disk,
    writes: Vec<(Region, RawBlock)>,
    /// The write that fails, counted from 0.
    fails_at: Option<usize>,
}

impl Recorder {
    fn on(disk: &Disk) -> Self {
        Self {
            disk: disk.clone(),
            writes: Vec::new(),
            fails_at: None,
        }
    }
}

impl TableStore for Recorder {
    type Error = Errno;

    fn write_block(&mut self, region: Region, index: u32, raw: &RawBlock) -> Result<(), Errno> {
        assert_eq!(index, INDEX);
        self.writes.push((region, *raw));
        if self.fails_at == Some(self.writes.len() - 1) {
            return Err(Errno::EIO);
        }
        self.disk.set(region, Some(*raw));
        Ok(())
    }
}

/// Every disk that a crash can leave of an update: before it, with each subset of the
/// sectors of the block in flight written, and after it.
fn crashes(before: &Disk, writes: &[(Region, RawBlock)]) -> Vec<Disk> {
    let mut disk = before.clone();
    let mut left = vec![disk.clone()];
    for (region, new) in writes {
        // What could not be read may be anything; zeros are what differs the most.
        let old = disk.region(*region).unwrap_or([0; BLOCK_4K_BYTES]);
        let same = (0..SECTORS).filter(|sector| mixed(&old, new, 1 << sector) == old);
        let same = same.fold(0, |mask, sector| mask | 1 << sector);
        for mask in (1..1 << SECTORS).filter(|mask| mask & same == 0) {
            disk.set(*region, Some(mixed(&old, new, mask)));
            left.push(disk.clone());
        }
        disk.set(*region, Some(*new));
    }
    left
}

/// Makes the entries at `places` remaps number `remap`.
fn change(raw: &mut RawBlock, remap: u64, places: &[u32]) {
    for at in places {
        let entry = Entry {
            state: EntryState::Active,
            main: MainBlock::new(remap * 1000 + u64::from(*at)),
            moves: remap as u16,
        };
        assert!(put_entry(raw, *at, &entry));
    }
}

/// Changes entries on `disk` as a target does that has just loaded it.
fn update(disk: &Disk, remap: u64, places: &[u32]) -> Recorder {
    let (mut raw, generation, order) = disk.load().unwrap();
    change(&mut raw, remap, places);
    let mut store = Recorder::on(disk);
    let written = update_block(&mut store, &mut raw, ARRAY, INDEX, generation, order);
    assert_eq!(written, Ok(generation.next().unwrap()));
    assert_eq!(store.writes.len(), 2);
    let generation = written.unwrap();
    assert_eq!(store.disk.choice(), Choice::Agreed { generation });
    store
}

/// What a table block may be found as before an update: both regions agreed, one a
/// generation behind, one damaged in one of several ways.
fn starts() -> Vec<(&'static str, Disk)> {
    let of = |region, generation, remap| Some(block(region, generation, remap, &IN_EACH_SECTOR));
    let mut torn = block(Region::A, 7, 1, &IN_EACH_SECTOR);
    torn[3000] ^= 1;
    let foreign = |region| {
        let mut raw = block(region, 9, 5, &IN_EACH_SECTOR);
        let elsewhere = BlockPlace {
            array: OTHER_ARRAY,
            ..place(region)
        };
        seal_block(&mut raw, &elsewhere, Generation::new(9));
        Some(raw)
    };
    let (a, b) = (of(Region::A, 7, 1), of(Region::B, 7, 1));
    let blank = Some([0; BLOCK_4K_BYTES]);
    vec![
        ("agreed", Disk { a, b }),
        (
            "B is behind",
            Disk {
                a,
                b: of(Region::B, 6, 0),
            },
        ),
        (
            "A is behind",
            Disk {
                a: of(Region::A, 6, 0),
                b,
            },
        ),
        ("A is torn", Disk { a: Some(torn), b }),
        ("B is blank", Disk { a, b: blank }),
        ("A is blank", Disk { a: blank, b }),
        ("B is unreadable", Disk { a, b: None }),
        ("A is unreadable", Disk { a: None, b }),
        (
            "A is another array's",
            Disk {
                a: foreign(Region::A),
                b,
            },
        ),
        (
            "B is another array's",
            Disk {
                a,
                b: foreign(Region::B),
            },
        ),
        ("B holds A's block", Disk { a, b: a }),
    ]
}

#[test]
fn each_torn_update_loads_as_the_old_or_the_new_entries() {
    let mut seen = 0;
    let changes = IN_EACH_SECTOR.map(|at| vec![at]);
    for (what, start) in starts() {
        for places in changes.iter().chain([&IN_EACH_SECTOR.to_vec()]) {
            let (old, _, order) = start.load().unwrap();
            let done = update(&start, 2, places);
            let (new, ..) = done.disk.load().unwrap();
            assert_eq!(done.writes[0].0, order[0], "{what}");
            assert!(!same_entries(&old, &new), "{what}");
            for torn in crashes(&start, &done.writes) {
                let loaded = torn.load();
                let (loaded, ..) = loaded.unwrap_or_else(|| panic!("{what}: {:?}", torn.choice()));
                assert!(
                    same_entries(&loaded, &old) || same_entries(&loaded, &new),
                    "{what}: neither old nor new"
                );
                seen += 1;
            }
        }
    }
    println!("{seen} torn states loaded");
}

#[test]
fn the_better_region_first_would_lose_the_block() {
    let mut lost = 0;
    for (what, start) in starts() {
        let (mut raw, generation, [worse, better]) = start.load().unwrap();
        change(&mut raw, 2, &IN_EACH_SECTOR);
        let mut store = Recorder::on(&start);
        let wrong = [better, worse];
        update_block(&mut store, &mut raw, ARRAY, INDEX, generation, wrong).unwrap();
        let crashes = crashes(&start, &store.writes);
        let gone = crashes.iter().filter(|torn| torn.load().is_none()).count();
        let whole = start.check(worse).is_ok();
        assert_eq!(gone == 0, whole, "{what}: {gone} of {}", crashes.len());
        lost += gone;
    }
    assert_eq!(lost, 2032);
}

#[test]
fn once_an_update_is_done_damage_in_one_region_does_not_undo_it() {
    for (what, start) in starts() {
        let done = update(&start, 2, &IN_EACH_SECTOR).disk;
        let (new, ..) = done.load().unwrap();
        for region in Region::ALL {
            for damaged in [
                None,
                Some([0; BLOCK_4K_BYTES]),
                Some([0xa5; BLOCK_4K_BYTES]),
            ] {
                let mut disk = done.clone();
                disk.set(region, damaged);
                let (loaded, ..) = disk.load().unwrap();
                assert!(same_entries(&loaded, &new), "{what}, {region} damaged");
            }
        }
    }
}

/// Repairs the block as a target does that has just loaded it.
fn repair(disk: &Disk) -> Recorder {
    let (mut raw, ..) = disk.load().unwrap();
    let mut store = Recorder::on(disk);
    let repaired = repair_block(&mut store, &mut raw, ARRAY, INDEX, &disk.choice());
    assert_eq!(repaired, Ok(()));
    assert!(matches!(store.disk.choice(), Choice::Agreed { .. }));
    store
}

/// What two crashes leave: one during an update, one during `follow`, which begins on
/// the disk that `settle` makes of what the first one left. Returns how many states were
/// loaded, and how many of them held neither what was found after the first crash nor
/// what was written then.
fn crash_twice(
    settle: impl Fn(&Disk) -> Disk,
    follow: impl Fn(&Disk) -> Recorder,
) -> (usize, usize) {
    let (mut seen, mut revenants) = (0, 0);
    let starts = starts();
    let chosen = ["agreed", "B is behind", "A is torn", "A is blank"];
    for (_, start) in starts.iter().filter(|(what, _)| chosen.contains(what)) {
        let first = update(start, 2, &IN_THREE_SECTORS);
        for crashed in crashes(start, &first.writes) {
            let (found, ..) = crashed.load().unwrap();
            let settled = settle(&crashed);
            let second = follow(&settled);
            let (new, ..) = second.disk.load().unwrap();
            for torn in crashes(&settled, &second.writes) {
                let (loaded, ..) = torn.load().unwrap();
                seen += 1;
                let known = same_entries(&loaded, &found) || same_entries(&loaded, &new);
                revenants += usize::from(!known);
            }
        }
    }
    (seen, revenants)
}

#[test]
fn a_crash_of_the_repair_after_a_crash_changes_nothing_that_was_found() {
    let (seen, revenants) = crash_twice(Disk::clone, repair);
    println!("{seen} states loaded after a crash of a repair");
    assert_eq!(revenants, 0);
}

#[test]
fn an_update_after_a_crash_and_a_repair_is_as_safe_as_the_one_before() {
    let (seen, revenants) = crash_twice(
        |crashed| repair(crashed).disk,
        |repaired| update(repaired, 3, &IN_THREE_SECTORS),
    );
    println!("{seen} states loaded after an update that followed a crash");
    assert_eq!(revenants, 0);
}

/// Why damage is destroyed before anything is written over it.
#[test]
fn writing_straight_over_a_torn_block_would_bring_back_an_update_that_was_given_up() {
    let (_, revenants) = crash_twice(Disk::clone, |crashed| update(crashed, 3, &IN_THREE_SECTORS));
    assert_eq!(revenants, 63);
}

/// A write that fails may have reached the disk in part or whole. The target goes on
/// with the entries that it had, and its next update must settle what is there.
#[test]
fn after_a_failed_write_the_next_update_settles_what_it_left() {
    let start = starts()[0].1.clone();
    let (old, generation, order) = start.load().unwrap();
    let mut tried = old;
    change(&mut tried, 2, &IN_EACH_SECTOR);
    let mut seen = 0;
    for fails_at in [0, 1] {
        let mut failing = Recorder::on(&start);
        failing.fails_at = Some(fails_at);
        let failed = update_block(&mut failing, &mut tried, ARRAY, INDEX, generation, order);
        let error = failed.unwrap_err();
        let expected = match fails_at {
            0 => UpdateError::First(Errno::EIO),
            _ => UpdateError::Second(Errno::EIO),
        };
        assert_eq!(error, expected);
        let (generation, order) = error.settle(generation, order);
        for left in crashes(&failing.disk, &failing.writes[fails_at..]) {
            let mut raw = old;
            change(&mut raw, 3, &IN_THREE_SECTORS);
            let mut store = Recorder::on(&left);
            let settled = update_block(&mut store, &mut raw, ARRAY, INDEX, generation, order);
            assert_eq!(settled, Ok(generation.next().unwrap()));
            for torn in crashes(&left, &store.writes) {
                let (loaded, ..) = torn.load().unwrap();
                let known = [&old, &tried, &raw];
                assert!(known.iter().any(|entries| same_entries(&loaded, entries)));
                seen += 1;
            }
            assert!(same_entries(&store.disk.load().unwrap().0, &raw));
        }
    }
    println!("{seen} states loaded after a failed update");
}

#[test]
fn a_generation_that_cannot_be_exceeded_is_not_written() {
    let start = starts()[0].1.clone();
    let mut store = Recorder::on(&start);
    let mut raw = block(Region::A, 1, 2, &IN_EACH_SECTOR);
    let last = Generation::new(u64::MAX);
    let refused = update_block(&mut store, &mut raw, ARRAY, INDEX, last, Region::ALL);
    assert_eq!(refused, Err(UpdateError::GenerationExhausted));
    assert!(store.writes.is_empty());
}

#[test]
fn the_same_generation_with_different_entries_is_a_contradiction_at_every_byte() {
    let a = block(Region::A, 7, 1, &IN_EACH_SECTOR);
    for at in TABLE_HEADER_BYTES..BLOCK_4K_BYTES {
        // The lowest bit of a state gives a known state, of other bytes another value.
        let mut b = block(Region::B, 7, 1, &IN_EACH_SECTOR);
        b[at] ^= 1;
        seal_block(&mut b, &place(Region::B), Generation::new(7));
        let disk = Disk {
            a: Some(a),
            b: Some(b),
        };
        let generation = Generation::new(7);
        let expected = Choice::Contradiction { generation };
        assert_eq!(disk.choice(), expected, "byte {at}");
    }
}

#[test]
fn every_pair_of_flaws_leaves_nothing_and_either_alone_leaves_the_other_region() {
    let good = |region| block(region, 7, 1, &IN_EACH_SECTOR);
    let flawed = |region: Region| {
        let sealed = |elsewhere: BlockPlace| {
            let mut raw = good(region);
            seal_block(&mut raw, &elsewhere, Generation::new(99));
            Some(raw)
        };
        let patched = |at: usize, value: u8| {
            let mut raw = good(region);
            raw[at] = value;
            reseal(&mut raw);
            Some(raw)
        };
        let mut bit = good(region);
        bit[2222] ^= 4;
        vec![
            ("unreadable", None),
            ("blank", Some([0; BLOCK_4K_BYTES])),
            ("noise", Some([0x5a; BLOCK_4K_BYTES])),
            ("one bit", Some(bit)),
            (
                "another array",
                sealed(BlockPlace {
                    array: OTHER_ARRAY,
                    ..place(region)
                }),
            ),
            (
                "another index",
                sealed(BlockPlace {
                    index: INDEX + 1,
                    ..place(region)
                }),
            ),
            ("the other region", sealed(place(region.other()))),
            ("another version", patched(4, 2)),
            ("fewer entries", patched(12, 251)),
            ("more entries", patched(12, 253)),
            ("an unknown state", patched(TABLE_HEADER_BYTES + 8, 5)),
        ]
    };
    for (what_a, a) in flawed(Region::A) {
        let disk = Disk {
            a,
            b: Some(good(Region::B)),
        };
        let Choice::Use {
            region,
            generation,
            other,
        } = disk.choice()
        else {
            panic!("A: {what_a}: {:?}", disk.choice());
        };
        assert_eq!((region, generation.get()), (Region::B, 7), "A: {what_a}");
        assert!(other.is_some(), "A: {what_a}");
        assert_eq!(disk.choice().write_order(), [Region::A, Region::B]);
        for (what_b, b) in flawed(Region::B) {
            let disk = Disk { a, b };
            assert_eq!(disk.choice(), Choice::Lost, "A: {what_a}, B: {what_b}");
        }
    }
    for (what, b) in flawed(Region::B) {
        let disk = Disk {
            a: Some(good(Region::A)),
            b,
        };
        let Choice::Use {
            region,
            generation,
            other,
        } = disk.choice()
        else {
            panic!("B: {what}: {:?}", disk.choice());
        };
        assert_eq!((region, generation.get()), (Region::A, 7), "B: {what}");
        assert!(other.is_some(), "B: {what}");
        assert_eq!(disk.choice().write_order(), [Region::B, Region::A]);
    }
}

/// Renews the checksum, so that what lies behind it is reached.
fn reseal(raw: &mut RawBlock) {
    let checksum = block_checksum(raw);
    raw[8..12].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn hostile_blocks_with_a_fitting_checksum_are_refused_or_hold_known_entries() {
    let mut accepted = 0;
    for seed in 0..3000 {
        let mut noise = Noise::new(seed);
        let mut raw = block(Region::A, 7, 1, &IN_EACH_SECTOR);
        for _ in 0..1 + seed % 4 {
            let at = noise.word() as usize % BLOCK_4K_BYTES;
            raw[at] = [0, 1, 0x7f, 0x80, 0xff, noise.word() as u8][noise.word() as usize % 6];
        }
        reseal(&mut raw);
        if check_block(&raw, &place(Region::A)).is_err() {
            continue;
        }
        accepted += 1;
        for at in 0..ENTRIES_PER_BLOCK as u32 {
            assert!(entry(&raw, at).is_some(), "seed {seed}, entry {at}");
        }
        assert_eq!(entry(&raw, ENTRIES_PER_BLOCK as u32), None);
    }
    assert!((1000..3000).contains(&accepted), "{accepted} accepted");
}

fn header(region: Region, name: &str, sequence: u64) -> RegionHeader {
    RegionHeader {
        region,
        name: text(name),
        superblock: checksummed(ARRAY, sequence),
    }
}

fn written(header: &RegionHeader) -> RawBlock {
    let mut raw = [0xcc; BLOCK_4K_BYTES];
    header.write(&mut raw);
    raw
}

#[test]
fn a_header_gives_back_every_name_and_superblock() {
    for region in Region::ALL {
        for length in 0..=NAME_LIMIT {
            let header = header(region, &"n".repeat(length), 7);
            let raw = written(&header);
            assert_eq!(RegionHeader::read(&raw, region), Ok(header), "{length}");
            assert_eq!(
                RegionHeader::read(&raw, region.other()),
                Err(BlockFlaw::Place)
            );
        }
    }
}

#[test]
fn a_torn_header_reads_as_the_old_one_the_new_one_or_not_at_all() {
    let old = header(Region::A, "my-storage", 7);
    let new = header(Region::A, "your-storage", 8);
    let [first, last] = [&old, &new].map(written);
    let mut whole = 0;
    for mask in 0..1 << SECTORS {
        match RegionHeader::read(&mixed(&first, &last, mask), Region::A) {
            Ok(read) => {
                assert!(read == old || read == new, "{mask:08b}: {read:?}");
                whole += 1;
            }
            Err(flaw) => assert!(matches!(flaw, BlockFlaw::Checksum { .. }), "{mask:08b}"),
        }
    }
    // Only the first two sectors differ, so that half the masks tear nothing.
    assert_eq!(whole, 128);
}

#[test]
fn hostile_headers_with_a_fitting_checksum_are_refused() {
    let good = written(&header(Region::A, "my-storage", 7));
    let refused = |what: &str, spoil: &dyn Fn(&mut RawBlock)| {
        let mut raw = good;
        spoil(&mut raw);
        reseal(&mut raw);
        assert!(RegionHeader::read(&raw, Region::A).is_err(), "{what}");
    };
    for length in 128..=255 {
        refused("a name longer than its field", &|raw| raw[7] = length);
    }
    refused("a name with a NUL in it", &|raw| raw[7] = 11);
    refused("a name of 128 bytes", &|raw| {
        raw[7] = 128;
        raw[32..160].fill(b'n');
    });
    refused("another magic", &|raw| raw[0] ^= 1);
    refused("another version", &|raw| raw[4] = 2);
    refused("another region", &|raw| raw[6] = 1);
    refused("another array than its superblock", &|raw| raw[16] ^= 1);
    refused("a damaged superblock", &|raw| raw[512 + 300] ^= 1);
    refused("no superblock", &|raw| raw[512..1024].fill(0));
    refused("a superblock of another slot", &|raw| {
        let copy = checksummed(ARRAY, 7).encode(Slot::S1);
        raw[512..1024].copy_from_slice(&copy);
    });
    refused("a plain superblock", &|raw| {
        let copy = common::plain(1, "/dev/sdb").encode(Slot::S0);
        raw[512..1024].copy_from_slice(&copy);
    });
    let empty = RegionHeader {
        name: Text::EMPTY,
        ..header(Region::A, "", 7)
    };
    assert_eq!(RegionHeader::read(&written(&empty), Region::A), Ok(empty));
}
