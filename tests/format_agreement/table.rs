//! Region headers and table blocks, read and written twice.

use dmremap::format::table::{self as declared, BlockFront, HeaderFront, TableBlock};
use dmremap::format::FormatError;
use dmremap::remap_core::bytes::Text;
use dmremap::remap_core::layout::Region;
use dmremap::remap_core::remap_table::{
    block_checksum, check_block, entry, put_entry, seal_block, BlockFlaw, BlockPlace, Entry,
    EntryState, RawBlock, RegionHeader, NAME_LIMIT,
};
use dmremap::remap_core::superblock::{read_copy, Content, Superblock};
use dmremap::remap_core::units::{ArrayUuid, Generation, MainBlock, Slot};
use proptest::prelude::*;

use crate::sample;

fn region() -> impl Strategy<Value = Region> {
    proptest::sample::select(Region::ALL.to_vec())
}

fn place() -> impl Strategy<Value = BlockPlace> {
    let index = prop_oneof![Just(0), Just(1), any::<u32>()];
    (region(), proptest::array::uniform16(any::<u8>()), index).prop_map(|(region, array, index)| {
        BlockPlace {
            array: ArrayUuid::new(array),
            region,
            index,
        }
    })
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let state = proptest::sample::select(EntryState::ALL.to_vec());
    (state, sample::number(), any::<u16>()).prop_map(|(state, main, moves)| Entry {
        state,
        main: MainBlock::new(main),
        moves,
    })
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    proptest::collection::vec(any_entry(), declared::ENTRIES)
}

/// A table block as the rules write it.
fn written(place: &BlockPlace, generation: Generation, entries: &[Entry]) -> RawBlock {
    let mut raw = [0; 4096];
    for (at, entry) in entries.iter().enumerate() {
        assert!(put_entry(&mut raw, at as u32, entry));
    }
    seal_block(&mut raw, place, generation);
    raw
}

/// The same block as declared.
fn declared_block(place: &BlockPlace, generation: Generation, entries: &[Entry]) -> TableBlock {
    let entry = |at: usize| declared::Entry {
        main_block: entries[at].main.get(),
        state: match entries[at].state {
            EntryState::Free => 0,
            EntryState::Pending => 1,
            EntryState::Active => 2,
            EntryState::ReplacementBad => 3,
            EntryState::Retired => 4,
        },
        reserved_9: [0],
        moves: entries[at].moves,
        reserved_12: [0; 4],
    };
    let block = TableBlock {
        front: BlockFront {
            magic: declared::BLOCK_MAGIC,
            version: declared::TABLE_VERSION,
            region: u8::from(place.region == Region::B),
            reserved_7: [0],
            checksum: 0,
            entry_count: 252,
            array_uuid: *place.array.bytes(),
            block_index: place.index.into(),
            generation: generation.get(),
            reserved_48: [0; 16],
        },
        entries: std::array::from_fn(entry),
    };
    block.sealed()
}

/// Holds the rules' answer on a table block against every reason there is.
fn agree_on_block(raw: &RawBlock, place: &BlockPlace) {
    let block = TableBlock::fields_of(raw);
    assert_eq!(block.encode(), *raw);
    let front = &block.front;
    let computed = block_checksum(raw);
    assert_eq!(declared::checksum(raw), computed);
    let magic = front.magic == declared::BLOCK_MAGIC;
    let mut reasons = Vec::new();
    let mut against = |holds: bool, reason: BlockFlaw| {
        if holds {
            reasons.push(reason);
        }
    };
    against(*raw == [0; 4096], BlockFlaw::Blank);
    against(!magic && *raw != [0; 4096], BlockFlaw::Magic);
    let stored = front.checksum;
    against(stored != computed, BlockFlaw::Checksum { stored, computed });
    let stored = front.version;
    against(stored != 1, BlockFlaw::Version { stored });
    let array = ArrayUuid::new(front.array_uuid);
    against(array != place.array, BlockFlaw::Array(array));
    let elsewhere = front.region != u8::from(place.region == Region::B)
        || front.block_index != u64::from(place.index);
    against(elsewhere, BlockFlaw::Place);
    let stored = front.entry_count;
    against(stored != 252, BlockFlaw::EntryCount { stored });
    for (at, entry) in block.entries.iter().enumerate() {
        let (place, stored) = (at as u32, entry.state);
        against(stored > 4, BlockFlaw::EntryState { place, stored });
    }
    match check_block(raw, place) {
        Ok(generation) => {
            assert_eq!(reasons, []);
            assert_eq!(generation.get(), front.generation);
            assert_eq!(TableBlock::decode(raw), Ok(block));
            for (at, declared) in block.entries.iter().enumerate() {
                let entry = entry(raw, at as u32).unwrap();
                assert_eq!(entry.main.get(), declared.main_block);
                assert_eq!(entry.moves, declared.moves);
                assert_eq!(
                    entry.state.name(),
                    declared::STATES[usize::from(declared.state)]
                );
            }
        }
        Err(flaw) => assert!(reasons.contains(&flaw), "{flaw:?}, not in {reasons:?}"),
    }
    let form = reasons
        .iter()
        .any(|flaw| !matches!(flaw, BlockFlaw::Array(_) | BlockFlaw::Place))
        || front.region > 1;
    assert_eq!(TableBlock::decode(raw).is_err(), form, "{reasons:?}");
}

fn name() -> impl Strategy<Value = Text<NAME_LIMIT>> {
    proptest::collection::vec(1..=u8::MAX, 0..=NAME_LIMIT)
        .prop_map(|name| Text::new(&name).unwrap())
}

fn written_header(header: &RegionHeader) -> RawBlock {
    let mut raw = [0xee; 4096];
    header.write(&mut raw);
    raw
}

fn declared_header(region: Region, name: &[u8], superblock: &Superblock) -> RawBlock {
    let mut field = [0; 128];
    field[..name.len()].copy_from_slice(name);
    let raw = superblock.encode(Slot::S0);
    let header = declared::RegionHeader {
        front: HeaderFront {
            magic: declared::HEADER_MAGIC,
            version: declared::TABLE_VERSION,
            region: u8::from(region == Region::B),
            name_length: name.len() as u8,
            checksum: 0,
            reserved_12: [0; 4],
            array_uuid: *superblock.array_uuid().unwrap().bytes(),
            name: field,
            reserved_160: [0; 352],
        },
        superblock: dmremap::format::superblock::SuperblockCopy::fields_of(&raw),
        rest: [0; 3072],
    };
    header.sealed().encode()
}

/// Holds the rules' answer on a header block against the declaration's.
fn agree_on_header(raw: &RawBlock, region: Region) {
    let header = declared::RegionHeader::fields_of(raw);
    assert_eq!(header.encode(), *raw);
    let front = &header.front;
    let copy = header.superblock.encode();
    let superblock = match read_copy(&copy, Slot::S0) {
        Content::Checksummed(superblock) => Some(superblock),
        _ => None,
    };
    let name = front.name.get(..usize::from(front.name_length));
    let name = name.filter(|name| name.len() <= 127 && !name.contains(&0));
    let form = declared::RegionHeader::decode(raw);
    let computed = declared::checksum(raw);
    let sound = front.magic == declared::HEADER_MAGIC
        && front.checksum == computed
        && front.version == 1
        && front.region == u8::from(region == Region::B)
        && name.is_some()
        && superblock.is_some_and(|superblock| {
            superblock.array_uuid().map(|of| *of.bytes()) == Some(front.array_uuid)
        });
    let read = RegionHeader::read(raw, region);
    assert_eq!(read.is_ok(), sound, "{read:?} {form:?}");
    if let Ok(read) = read {
        assert_eq!(form, Ok(header));
        assert_eq!(Some(read.superblock), superblock);
        assert_eq!(read.name, Text::new(name.unwrap()).unwrap());
        assert_eq!(read.region, region);
    }
    if form.is_err() {
        assert!(read.is_err());
    }
}

fn resealed(mut raw: RawBlock) -> RawBlock {
    let checksum = declared::checksum(&raw);
    raw[8..12].copy_from_slice(&checksum.to_le_bytes());
    raw
}

#[test]
fn states_have_the_same_numbers_and_names() {
    let names = EntryState::ALL.map(EntryState::name);
    assert_eq!(names, declared::STATES);
}

#[test]
fn every_value_of_every_byte_of_a_block_s_front_reads_the_same() {
    let place = BlockPlace {
        array: ArrayUuid::new([5; 16]),
        region: Region::B,
        index: 258,
    };
    let raw = written(&place, Generation::new(9), &[]);
    // The first two entries stand for all: the rest is laid out like them.
    for at in 0..BlockFront::BYTES + 2 * declared::Entry::BYTES {
        for value in 0..=u8::MAX {
            let spoiled = sample::spoil(raw, &[(at, value)]);
            agree_on_block(&spoiled, &place);
            agree_on_block(&resealed(spoiled), &place);
        }
    }
}

#[test]
fn every_state_in_every_place_is_taken_or_left_alike() {
    let place = BlockPlace {
        array: ArrayUuid::new([5; 16]),
        region: Region::A,
        index: 0,
    };
    let raw = written(&place, Generation::new(1), &[]);
    for at in 0..declared::ENTRIES {
        for state in [0, 1, 2, 3, 4, 5, 0x80, 0xff] {
            let offset = BlockFront::BYTES + at * declared::Entry::BYTES + 8;
            agree_on_block(&resealed(sample::spoil(raw, &[(offset, state)])), &place);
        }
    }
}

#[test]
fn errors_name_the_field() {
    let mut raw = declared_block(
        &BlockPlace {
            array: ArrayUuid::default(),
            region: Region::A,
            index: 0,
        },
        Generation::new(1),
        &[Entry::default(); 252],
    )
    .encode();
    raw[12] = 253;
    let error = TableBlock::decode(&resealed(raw)).unwrap_err();
    assert_eq!(
        error,
        FormatError::Constant {
            field: "entry_count",
            stored: 253,
            expected: 252
        }
    );
    assert_eq!(error.to_string(), "entry_count is 0xfd, not 0xfc");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn blocks_are_written_and_read_the_same(
        place in place(),
        generation in sample::number(),
        entries in entries(),
    ) {
        let generation = Generation::new(generation);
        let raw = written(&place, generation, &entries);
        prop_assert_eq!(declared_block(&place, generation, &entries).encode(), raw);
        prop_assert_eq!(check_block(&raw, &place), Ok(generation));
        agree_on_block(&raw, &place);
    }

    #[test]
    fn spoiled_blocks_are_taken_or_left_alike(
        own in place(),
        other in place(),
        entries in entries(),
        changes in sample::changes(4096),
        near_front in sample::changes(64),
    ) {
        let raw = written(&own, Generation::new(3), &entries);
        let raw = sample::spoil(sample::spoil(raw, &changes), &near_front);
        for place in [&own, &other, &BlockPlace { region: own.region.other(), ..own }] {
            agree_on_block(&raw, place);
            agree_on_block(&resealed(raw), place);
        }
    }

    #[test]
    fn headers_are_written_and_read_the_same(
        region in region(),
        name in name(),
        superblock in sample::sound_with_extension(),
    ) {
        let raw = written_header(&RegionHeader { region, name, superblock });
        let end = name.field().iter().position(|byte| *byte == 0).unwrap_or(NAME_LIMIT);
        prop_assert_eq!(declared_header(region, &name.field()[..end], &superblock), raw);
        prop_assert_eq!(
            RegionHeader::read(&raw, region),
            Ok(RegionHeader { region, name, superblock })
        );
        agree_on_header(&raw, region);
        agree_on_header(&raw, region.other());
    }

    #[test]
    fn spoiled_headers_are_taken_or_left_alike(
        region in region(),
        name in name(),
        superblock in sample::any_superblock(),
        changes in sample::changes(4096),
        near_front in sample::changes(200),
        seal_copy in any::<bool>(),
    ) {
        let raw = written_header(&RegionHeader { region, name, superblock });
        let mut raw = sample::spoil(sample::spoil(raw, &changes), &near_front);
        agree_on_header(&raw, region);
        if seal_copy {
            let copy = raw[512..1024].first_chunk().unwrap();
            let copy = dmremap::format::superblock::SuperblockCopy::fields_of(copy).sealed();
            raw[512..1024].copy_from_slice(&copy.encode());
        }
        agree_on_header(&resealed(raw), region);
    }

    #[test]
    fn any_blocks_are_taken_or_left_alike(
        bytes in proptest::collection::vec(any::<u8>(), 4096),
        place in place(),
        header in any::<bool>(),
    ) {
        let mut raw: RawBlock = bytes.try_into().unwrap();
        agree_on_block(&raw, &place);
        agree_on_header(&raw, place.region);
        raw[..6].copy_from_slice(if header { b"DRTH\x01\0" } else { b"DRTB\x01\0" });
        agree_on_block(&resealed(raw), &place);
        agree_on_header(&resealed(raw), place.region);
    }
}
