//! Reading, writing and keeping ranges of sectors.

use super::progress::{Cut, Progress, Work};
use crate::format::backup::{Content, SavedRange};
use crate::port::{BlockStore, IoError};
use crate::remap_core::units::{Sector, Sectors, SECTOR_BYTES};

/// The bytes of `sectors`, which fit in memory wherever this is used.
fn length(sectors: u64) -> usize {
    usize::try_from(sectors)
        .unwrap_or(usize::MAX)
        .saturating_mul(SECTOR_BYTES)
}

/// The whole blocks around some sectors: where they begin, how far into them the
/// sectors lie, and how long they are, in bytes.
fn blocks_around(store: &dyn BlockStore, at: Sector, bytes: usize) -> (Sector, usize, usize) {
    let unit = store.logical_block().sectors().get();
    let start = at.get() / unit * unit;
    let lead = length(at.get() - start);
    let whole = (lead + bytes).next_multiple_of(length(unit));
    (Sector::new(start), lead, whole)
}

/// Reads whole sectors, whatever the device's blocks are.
pub fn read(store: &dyn BlockStore, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
    let (start, lead, whole) = blocks_around(store, at, buffer.len());
    if whole == buffer.len() {
        return store.read_at(at, buffer);
    }
    let mut blocks = vec![0; whole];
    store.read_at(start, &mut blocks)?;
    buffer.copy_from_slice(&blocks[lead..lead + buffer.len()]);
    Ok(())
}

/// Writes whole sectors, whatever the device's blocks are: what lies beside them in the
/// same blocks stays.
pub fn write(store: &mut dyn BlockStore, at: Sector, data: &[u8]) -> Result<(), IoError> {
    let (start, lead, whole) = blocks_around(store, at, data.len());
    if whole == data.len() {
        return store.write_at(at, data);
    }
    let mut blocks = vec![0; whole];
    store.read_at(start, &mut blocks)?;
    blocks[lead..lead + data.len()].copy_from_slice(data);
    store.write_at(start, &blocks)
}

/// Writes ranges to where they belong.
pub fn write_ranges(
    store: &mut dyn BlockStore,
    ranges: &[SavedRange],
    work: Work,
    progress: &Progress,
) -> Result<(), Cut> {
    let extents = extents(ranges);
    let mut tally = progress.begin(work, total(&extents));
    for (at, sectors) in extents {
        for (at, length) in super::region::chunks(at, sectors) {
            write(store, at, &slice(ranges, at, length))?;
            tally.advance(Sectors::from_bytes(length as u64))?;
        }
    }
    Ok(())
}

/// The first sector that does not hold what `ranges` say, if any.
pub fn first_difference(
    store: &dyn BlockStore,
    ranges: &[SavedRange],
    progress: &Progress,
) -> Result<Option<Sector>, Cut> {
    let extents = extents(ranges);
    let mut tally = progress.begin(Work::Verifying, total(&extents));
    for (at, sectors) in extents {
        for (at, length) in super::region::chunks(at, sectors) {
            let mut now = vec![0; length];
            read(store, at, &mut now)?;
            let expected = slice(ranges, at, length);
            let differs = now
                .iter()
                .zip(&expected)
                .position(|(is, should)| is != should);
            if let Some(position) = differs {
                return Ok(at.checked_add(Sectors::from_bytes(position as u64)));
            }
            tally.advance(Sectors::from_bytes(length as u64))?;
        }
    }
    Ok(None)
}

/// Adds bytes as they are kept: runs of sectors, those of zeros apart and never two of
/// them in a row.
pub fn keep(at: Sector, bytes: &[u8], ranges: &mut Vec<SavedRange>) {
    let is_zero = |sector: &[u8]| sector.iter().all(|byte| *byte == 0);
    let mut next = at.get();
    let sectors: Vec<&[u8]> = bytes.chunks(SECTOR_BYTES).collect();
    for run in sectors.chunk_by(|one, other| is_zero(one) == is_zero(other)) {
        let at = Sector::new(next);
        let length = run.len() as u64;
        next += length;
        if !run.first().is_some_and(|first| is_zero(first)) {
            let content = Content::Raw(run.concat());
            ranges.push(SavedRange { at, content });
            continue;
        }
        match ranges.last_mut() {
            Some(SavedRange {
                at: before,
                content: Content::Zeros(sectors),
            }) if before.get() + sectors.get() == at.get() => {
                *sectors = Sectors::new(sectors.get() + length);
            }
            _ => ranges.push(SavedRange {
                at,
                content: Content::Zeros(Sectors::new(length)),
            }),
        }
    }
}

/// Where ranges lie, those that touch taken together.
pub fn extents(ranges: &[SavedRange]) -> Vec<(Sector, Sectors)> {
    let mut extents: Vec<(Sector, Sectors)> = Vec::new();
    for range in ranges {
        match extents.last_mut() {
            Some((at, sectors)) if at.get() + sectors.get() == range.at.get() => {
                *sectors = Sectors::new(sectors.get() + range.sectors().get());
            }
            _ => extents.push((range.at, range.sectors())),
        }
    }
    extents
}

/// As much of `ranges` as lies in `extents`.
pub fn within(ranges: &[SavedRange], extents: &[(Sector, Sectors)]) -> Vec<SavedRange> {
    let mut within = Vec::new();
    for (at, sectors) in extents {
        let (start, end) = (at.get(), at.get().saturating_add(sectors.get()));
        for range in &ranges[first_behind(ranges, *at)..] {
            let first = range.at.get();
            let from = first.max(start);
            let to = first.saturating_add(range.sectors().get()).min(end);
            if from >= to {
                break;
            }
            let content = match &range.content {
                Content::Zeros(_) => Content::Zeros(Sectors::new(to - from)),
                Content::Raw(raw) => {
                    Content::Raw(raw[length(from - first)..length(to - first)].to_vec())
                }
            };
            within.push(SavedRange {
                at: Sector::new(from),
                content,
            });
        }
    }
    within
}

/// All the sectors of these extents.
pub fn total(extents: &[(Sector, Sectors)]) -> Sectors {
    let sectors = extents.iter().map(|(_, sectors)| sectors.get());
    Sectors::new(sectors.fold(0, u64::saturating_add))
}

/// What `ranges` say of `bytes` bytes from `at` on; zeros where they say nothing.
pub fn slice(ranges: &[SavedRange], at: Sector, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    overlay(ranges, at, &mut out);
    out
}

/// Puts what `ranges` say into a buffer of what lies from `at` on.
pub fn overlay(ranges: &[SavedRange], at: Sector, buffer: &mut [u8]) {
    let end = at.get() + Sectors::from_bytes(buffer.len() as u64).get();
    for range in &ranges[first_behind(ranges, at)..] {
        let from = range.at.get().max(at.get());
        let to = (range.at.get() + range.sectors().get()).min(end);
        if from >= to {
            break;
        }
        let target = &mut buffer[length(from - at.get())..length(to - at.get())];
        match &range.content {
            Content::Raw(raw) => {
                let source = length(from - range.at.get())..length(to - range.at.get());
                target.copy_from_slice(&raw[source]);
            }
            Content::Zeros(_) => target.fill(0),
        }
    }
}

/// Whether `ranges` say anything of the sector at `at`.
pub fn covers(ranges: &[SavedRange], at: Sector) -> bool {
    let range = ranges.get(first_behind(ranges, at));
    range.is_some_and(|range| range.at <= at)
}

/// The first of `ranges` that does not end before `at`.
fn first_behind(ranges: &[SavedRange], at: Sector) -> usize {
    ranges.partition_point(|range| range.at.get() + range.sectors().get() <= at.get())
}
