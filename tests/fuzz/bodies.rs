//! What is asked of each decoder about any bytes at all: that it returns, that what it
//! takes it can write again, and that nothing it shows does anything to a terminal.
//!
//! The fuzz targets call these, and so does `tests/decoders` on a stable toolchain.
#![allow(
    dead_code,
    reason = "every fuzz target compiles this module and uses one function of it"
)]

use std::fmt::Display;

use dmremap::format::backup::Backup;
use dmremap::format::field_map::{of_copy, of_label, of_region_header, Field};
use dmremap::format::label::MainLabel;
use dmremap::format::superblock::SuperblockCopy;
use dmremap::format::table::{self as declared, TableBlock};
use dmremap::remap_core::checksum::Crc32c;
use dmremap::remap_core::commit::{
    execute, prepare, survey as read_slots, Authority, Intent, SlotStore,
};
use dmremap::remap_core::label::{End, LabelReading};
use dmremap::remap_core::layout::Region;
use dmremap::remap_core::message::Message;
use dmremap::remap_core::params::TargetArgs;
use dmremap::remap_core::quorum::{judge, Assembly, CopyState, Reading, Survey, Verdict};
use dmremap::remap_core::remap_table::{
    check_block, entry, BlockPlace, Entry, RawBlock, RegionHeader,
};
use dmremap::remap_core::signature::detect;
use dmremap::remap_core::status::Status;
use dmremap::remap_core::superblock::{
    read_copy, readdress, same_body, Content, RawCopy, Superblock,
};
use dmremap::remap_core::table_update::{
    choose, repair_block, same_entries, update_block, Choice, TableStore,
};
use dmremap::remap_core::units::{ArrayUuid, Errno, PerSlot, Sectors, Slot};
use dmremap::text;

/// The first bytes of `data`, followed by zeros where it is shorter.
fn filled<const N: usize>(data: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let length = data.len().min(N);
    bytes[..length].copy_from_slice(&data[..length]);
    bytes
}

fn shows_harmlessly(fields: &[Field]) {
    for field in fields {
        assert!(text::shows_as_is(&field.value), "{field:?}");
        assert!(text::shows_as_is(&field.name), "{field:?}");
    }
}

/// A message of the rules: it may quote what it was given.
fn says_harmlessly(message: &dyn Display) {
    let message = message.to_string();
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    assert!(!message.chars().any(acts), "{message:?}");
}

/// One copy of the superblock, as it is and with a checksum that fits.
pub fn superblock_copy(data: &[u8]) {
    let raw: RawCopy = filled(data);
    let sealed = SuperblockCopy::fields_of(&raw).sealed().encode();
    for raw in [raw, sealed] {
        shows_harmlessly(&of_copy(&raw));
        let copy = SuperblockCopy::fields_of(&raw);
        assert_eq!(copy.encode(), raw);
        for slot in Slot::ALL {
            match read_copy(&raw, slot) {
                Content::Checksummed(superblock) | Content::Plain(superblock) => {
                    assert_eq!(SuperblockCopy::decode(&raw), Ok(copy));
                    writes_again(&superblock, &raw, slot);
                }
                Content::Flawed(flaw) => says_harmlessly(&flaw),
                Content::Unsupported { why, .. } => says_harmlessly(&why),
                Content::Blank | Content::NotOurs => {}
            }
        }
    }
}

/// What was read of `slot` is read again, there and in any other slot.
fn writes_again(superblock: &Superblock, raw: &RawCopy, slot: Slot) {
    for to in Slot::ALL {
        assert_eq!(believed(&readdress(raw, to), to), Some(*superblock));
        assert_eq!(believed(&superblock.encode(to), to), Some(*superblock));
        assert!(same_body(&readdress(raw, to), raw));
    }
    assert_eq!(readdress(raw, slot), *raw);
}

fn believed(raw: &RawCopy, slot: Slot) -> Option<Superblock> {
    match read_copy(raw, slot) {
        Content::Checksummed(superblock) | Content::Plain(superblock) => Some(superblock),
        _ => None,
    }
}

/// Five slots in memory.
#[derive(Clone)]
struct Slots(PerSlot<Reading>);

impl SlotStore for Slots {
    type Error = ();

    fn read_slot(&mut self, slot: Slot) -> Reading {
        *self.0.get(slot)
    }

    fn write_slot(&mut self, slot: Slot, raw: &RawCopy) -> Result<(), ()> {
        *self.0.get_mut(slot) = Reading::Read {
            raw: *raw,
            signature: None,
        };
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ()> {
        Ok(())
    }
}

/// How a slot of a made-up survey comes about; the first byte of its part chooses.
fn reading(kind: u8, data: &[u8], slot: Slot, before: Option<&RawCopy>) -> Reading {
    let raw: RawCopy = filled(data);
    let fields = |change: fn(&mut SuperblockCopy)| {
        let mut copy = SuperblockCopy::fields_of(before.unwrap_or(&raw));
        change(&mut copy);
        readdress(&copy.sealed().encode(), slot)
    };
    let raw = match kind % 8 {
        0 => raw,
        1 => SuperblockCopy::fields_of(&raw).sealed().encode(),
        2 => fields(|_| {}),
        3 => fields(|copy| copy.common.sequence = copy.common.sequence.wrapping_add(1)),
        4 => fields(|copy| copy.common.sequence = copy.common.sequence.wrapping_sub(1)),
        5 => fields(|copy| copy.common.timestamp ^= 1),
        6 => [0; 512],
        _ => return Reading::Unreadable(Errno::EIO),
    };
    Reading::Read {
        raw,
        signature: detect(&raw),
    }
}

/// Bytes of one slot in the input of [`survey`]: how it comes about, then a copy.
pub const SLOT_INPUT: usize = 1 + 512;

/// The survey that some bytes describe.
pub fn made_up_survey(data: &[u8]) -> Survey {
    let mut before: Option<RawCopy> = None;
    let slots = PerSlot::from_fn(|slot| {
        let at = slot.index() as usize * SLOT_INPUT;
        let part = data.get(at..).unwrap_or_default();
        let (kind, part) = part.split_first().unwrap_or((&6, &[]));
        let reading = reading(*kind, part, slot, before.as_ref());
        if let Reading::Read { raw, .. } = &reading {
            before = Some(*raw);
        }
        reading
    });
    let header = data.len().is_multiple_of(2);
    Survey { slots, header }
}

/// Five slots: judged, and written on every authority and for every intent.
pub fn survey(data: &[u8]) {
    let survey = made_up_survey(data);
    let judgement = judge(&survey);
    let winners = judgement.winners;
    assert_eq!(judgement.winner_count(), winners.count(|wins| *wins));
    let first = winners
        .iter()
        .find(|(_, wins)| **wins)
        .map(|(slot, _)| slot);
    assert_eq!(judgement.winner, first);
    for (slot, _) in winners.iter().filter(|(_, wins)| **wins) {
        let state = judgement.states.get(slot);
        assert!(
            matches!(state, CopyState::Valid | CopyState::Plain),
            "{state:?}"
        );
    }
    let superblock = judgement.superblock(&survey);
    assert_eq!(superblock.is_some(), first.is_some());
    if judgement.verdict.assembly() != Assembly::No {
        assert!(superblock.is_some(), "{:?}", judgement.verdict);
    }
    if judgement.verdict == Verdict::Healthy {
        assert_eq!(judgement.winner_count(), 5);
    }
    let superblock = superblock.or_else(|| sample(&survey));
    let adopted = Slot::ALL.map(Intent::Adopt);
    let written = superblock.iter().flat_map(|superblock| {
        [
            Intent::Advance(superblock),
            Intent::Create(superblock),
            Intent::Migrate(superblock),
            Intent::Rebuild(superblock),
        ]
    });
    for intent in adopted.into_iter().chain(written).chain([Intent::Heal]) {
        for authority in [Authority::Automatic, Authority::Operator, Authority::Typed] {
            writes(&survey, intent, authority);
        }
    }
}

/// Any superblock that can be believed, if there is one.
fn sample(survey: &Survey) -> Option<Superblock> {
    survey
        .slots
        .iter()
        .find_map(|(slot, reading)| match reading {
            Reading::Read { raw, .. } => believed(raw, slot),
            Reading::Unreadable(_) => None,
        })
}

/// A write that is allowed leaves five slots that say the same.
fn writes(survey: &Survey, intent: Intent<'_>, authority: Authority) {
    let judgement = judge(survey);
    let prepared = match prepare(&judgement, survey, intent, authority) {
        Ok(prepared) => prepared,
        Err(refusal) => return says_harmlessly(&refusal),
    };
    let mut store = Slots(survey.slots);
    let Ok(committed) = execute(&mut store, &prepared, survey) else {
        panic!("nothing changed, and yet it did not begin");
    };
    assert!(committed.is_complete() && committed.error.is_none());
    let after = judge(&read_slots(&mut store, false));
    assert_eq!(after.verdict, Verdict::Healthy);
    assert_eq!(after.sequence, Some(prepared.sequence()));
    if !matches!(intent, Intent::Heal) {
        assert!(after.highest > judgement.highest);
    }
}

/// The header block of a region, as it is and with checksums that fit.
pub fn region_header(data: &[u8]) {
    let raw: RawBlock = filled(data);
    let mut header = declared::RegionHeader::fields_of(&raw);
    assert_eq!(header.encode(), raw);
    header.superblock = header.superblock.sealed();
    for raw in [raw, header.sealed().encode()] {
        shows_harmlessly(&of_region_header(&raw));
        for region in Region::ALL {
            match RegionHeader::read(&raw, region) {
                Ok(read) => {
                    assert!(declared::RegionHeader::decode(&raw).is_ok());
                    let mut written = [0xff; 4096];
                    read.write(&mut written);
                    assert_eq!(RegionHeader::read(&written, region), Ok(read));
                }
                Err(flaw) => says_harmlessly(&flaw),
            }
        }
    }
}

/// A label of main, as it is and with a checksum that fits.
pub fn main_label(data: &[u8]) {
    let raw: RawBlock = filled(data);
    let label = MainLabel::fields_of(&raw);
    assert_eq!(label.encode(), raw);
    for raw in [raw, label.with_checksum().encode()] {
        shows_harmlessly(&of_label(&raw));
        for end in End::ALL {
            let size = Sectors::new(MainLabel::fields_of(&raw).main_sectors);
            match LabelReading::of(&raw, end, size) {
                LabelReading::Label(read) => {
                    assert!(MainLabel::decode(&raw).is_ok());
                    let mut written = [0xff; 4096];
                    read.write(&mut written);
                    let again = LabelReading::of(&written, end, size);
                    assert_eq!(again, LabelReading::Label(read));
                }
                LabelReading::Flawed(flaw) => says_harmlessly(&flaw),
                _ => {}
            }
        }
    }
}

/// Two regions in memory that hold one table block each.
struct Blocks([RawBlock; 2]);

impl TableStore for Blocks {
    type Error = ();

    fn write_block(&mut self, region: Region, _index: u32, raw: &RawBlock) -> Result<(), ()> {
        self.0[usize::from(region.index())] = *raw;
        Ok(())
    }
}

/// Both readings of one table block, as they are and with checksums that fit. Showing
/// their 1260 fields would take most of the time; `tests/hostile_metadata.rs` does that.
pub fn table_blocks(data: &[u8]) {
    let (a, b) = data.split_at(data.len().min(4096));
    let raw: [RawBlock; 2] = [filled(a), filled(b)];
    let sealed = raw.map(|raw| TableBlock::fields_of(&raw).sealed().encode());
    for raw in [raw, sealed] {
        let front = TableBlock::fields_of(&raw[0]).front;
        let place = |region| BlockPlace {
            array: ArrayUuid::new(front.array_uuid),
            region,
            index: front.block_index as u32,
        };
        let [a, b] = [Region::A, Region::B].map(|region| {
            let raw = &raw[usize::from(region.index())];
            let checked = check_block(raw, &place(region));
            match &checked {
                Ok(_) => assert_eq!(
                    TableBlock::decode(raw).map(|block| block.encode()),
                    Ok(*raw)
                ),
                Err(flaw) => says_harmlessly(flaw),
            }
            checked
        });
        let same = same_entries(&raw[0], &raw[1]);
        let choice = choose(a, b, same);
        let (best, generation) = match choice {
            Choice::Agreed { generation } => (raw[0], generation),
            Choice::Use {
                region, generation, ..
            } => (raw[usize::from(region.index())], generation),
            Choice::Contradiction { .. } => {
                assert!(a == b && !same);
                continue;
            }
            Choice::Lost => {
                assert!(a.is_err() && b.is_err());
                continue;
            }
        };
        let entries: Vec<Entry> = (0..252).filter_map(|at| entry(&best, at)).collect();
        assert_eq!(entries.len(), 252);
        let mut store = Blocks(raw);
        let mut next = best;
        let place = place(Region::A);
        let repaired = repair_block(&mut store, &mut next, place.array, place.index, &choice);
        assert_eq!(repaired, Ok(()));
        for region in Region::ALL {
            let raw = &store.0[usize::from(region.index())];
            let checked = check_block(raw, &BlockPlace { region, ..place });
            assert_eq!(checked, Ok(generation));
        }
        let order = choice.write_order();
        let updated = update_block(
            &mut store,
            &mut next,
            place.array,
            place.index,
            generation,
            order,
        );
        let Ok(updated) = updated else {
            assert_eq!(generation.get(), u64::MAX);
            continue;
        };
        assert!(updated > generation);
        assert!(same_entries(&store.0[0], &store.0[1]) && same_entries(&best, &store.0[0]));
        for region in Region::ALL {
            let raw = &store.0[usize::from(region.index())];
            assert_eq!(
                check_block(raw, &BlockPlace { region, ..place }),
                Ok(updated)
            );
        }
    }
}

/// Calls `parse` with the words of `data`, if it is text.
fn words(data: &[u8], parse: impl Fn(&[&str])) {
    if let Ok(line) = str::from_utf8(data) {
        parse(&line.split_ascii_whitespace().collect::<Vec<_>>());
    }
}

/// The arguments of a table line.
pub fn params_line(data: &[u8]) {
    words(data, |words| match TargetArgs::parse(words) {
        Ok(args) => {
            let line = args.to_string();
            let again: Vec<&str> = line.split_ascii_whitespace().collect();
            assert_eq!(TargetArgs::parse(&again), Ok(args));
        }
        Err(error) => says_harmlessly(&error),
    });
}

/// A status line.
pub fn status_line(data: &[u8]) {
    let Ok(line) = str::from_utf8(data) else {
        return;
    };
    match line.parse::<Status>() {
        Ok(status) => {
            says_harmlessly(&status);
            assert_eq!(status.to_string().parse(), Ok(status));
        }
        Err(error) => says_harmlessly(&error),
    }
}

/// A message to the target.
pub fn message(data: &[u8]) {
    words(data, |words| match Message::parse(words) {
        Ok(message) => {
            let line = message.to_string();
            let again: Vec<&str> = line.split_ascii_whitespace().collect();
            assert_eq!(Message::parse(&again), Ok(message));
        }
        Err(error) => says_harmlessly(&error),
    });
}

/// A backup file, as it is and with a length and a checksum that fit.
pub fn backup_file(data: &[u8]) {
    let mut sealed = data.to_vec();
    if sealed.len() >= 64 {
        let length = sealed.len() as u64;
        sealed[8..16].copy_from_slice(&length.to_le_bytes());
        sealed[16..20].fill(0);
        let checksum = Crc32c::new().update(&sealed).finish();
        sealed[16..20].copy_from_slice(&checksum.to_le_bytes());
    }
    for file in [data, &sealed] {
        match Backup::decode(file) {
            Ok(backup) => assert_eq!(backup.encode().as_deref(), Ok(file)),
            Err(error) => says_harmlessly(&error),
        }
    }
}
