//! Reading, writing and keeping ranges of sectors.

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

/// Writes what was saved back to where it was.
pub fn write_ranges(store: &mut dyn BlockStore, ranges: &[SavedRange]) -> Result<(), IoError> {
    for (at, sectors) in extents(ranges) {
        for (at, length) in super::region::chunks(at, sectors) {
            write(store, at, &slice(ranges, at, length))?;
        }
    }
    Ok(())
}

/// The first sector that does not hold what `ranges` say, if any.
pub fn first_difference(
    store: &dyn BlockStore,
    ranges: &[SavedRange],
) -> Result<Option<Sector>, IoError> {
    for (at, sectors) in extents(ranges) {
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
        }
    }
    Ok(None)
}

/// Bytes as they are kept: runs of sectors, those of zeros apart.
pub fn keep(at: Sector, bytes: &[u8], ranges: &mut Vec<SavedRange>) {
    let is_zero = |sector: &[u8]| sector.iter().all(|byte| *byte == 0);
    let mut next = at.get();
    let sectors: Vec<&[u8]> = bytes.chunks(SECTOR_BYTES).collect();
    for run in sectors.chunk_by(|one, other| is_zero(one) == is_zero(other)) {
        let content = match run.first() {
            Some(first) if is_zero(first) => Content::Zeros(Sectors::new(run.len() as u64)),
            _ => Content::Raw(run.concat()),
        };
        ranges.push(SavedRange {
            at: Sector::new(next),
            content,
        });
        next += run.len() as u64;
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

/// What `ranges` say of `bytes` bytes from `at` on; zeros where they say nothing.
pub fn slice(ranges: &[SavedRange], at: Sector, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    let end = at.get() + Sectors::from_bytes(bytes as u64).get();
    let first = ranges.partition_point(|range| range.at.get() + range.sectors().get() <= at.get());
    for range in &ranges[first..] {
        let from = range.at.get().max(at.get());
        let to = (range.at.get() + range.sectors().get()).min(end);
        if from >= to {
            break;
        }
        if let Content::Raw(raw) = &range.content {
            let target = length(from - at.get())..length(to - at.get());
            let source = length(from - range.at.get())..length(to - range.at.get());
            out[target].copy_from_slice(&raw[source]);
        }
    }
    out
}
