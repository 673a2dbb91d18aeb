//! The two regions of the remap table, seen as bytes to be written.

use std::path::Path;

use super::plan::PlannedWrite;
use super::progress::{Progress, Work};
use super::Refusal;
use crate::error::Error;
use crate::format::backup::MAX_FILE_BYTES;
use crate::port::{BlockStore, IoError};
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::units::{Sector, Sectors, SECTOR_BYTES};

/// Sectors read at once where much is read.
const CHUNK_SECTORS: u64 = 2048;

/// What one fresh table block costs in a backup: its first sector and two records.
const KEPT_PER_BLOCK: u64 = SECTOR_BYTES as u64 + 2 * 24;

/// What a backup can hold besides copies, headers and the path, in bytes.
const BACKUP_ROOM: u64 = MAX_FILE_BYTES as u64 - (1 << 20);

/// The writes that lay out both regions.
pub fn planned_writes(path: &Path, layout: &Layout) -> Vec<PlannedWrite> {
    let write = |region| PlannedWrite {
        device: path.to_owned(),
        at: layout.region_start(region),
        sectors: layout.region_sectors(),
        what: format!(
            "region {region}: header and {} free table blocks",
            layout.table_blocks()
        ),
    };
    Region::ALL.map(write).to_vec()
}

/// Whether a backup can hold a new table.
pub fn fits_backup(layout: &Layout) -> bool {
    let blocks = u64::from(layout.region_blocks).saturating_mul(2);
    blocks.saturating_mul(KEPT_PER_BLOCK) <= BACKUP_ROOM
}

/// Whether a backup can hold whatever lies where both regions will be.
pub fn fits_backup_whole(layout: &Layout) -> bool {
    let bytes = layout.region_sectors().bytes().unwrap_or(u64::MAX);
    bytes.saturating_mul(2) <= BACKUP_ROOM
}

/// Runs of `sectors` sectors from `at` on, none longer than what is read at once.
pub fn chunks(at: Sector, sectors: Sectors) -> impl Iterator<Item = (Sector, usize)> {
    let end = at.get().saturating_add(sectors.get());
    let mut next = at.get();
    std::iter::from_fn(move || {
        let length = CHUNK_SECTORS.min(end.saturating_sub(next));
        let chunk = (Sector::new(next), length as usize * SECTOR_BYTES);
        next += length;
        (length > 0).then_some(chunk)
    })
}

/// The first sector of the regions that is not all zeros.
pub fn first_non_zero(
    store: &dyn BlockStore,
    layout: &Layout,
    progress: &Progress,
) -> Result<Option<Sector>, Refusal> {
    let both = Sectors::new(layout.region_sectors().get().saturating_mul(2));
    let mut tally = progress.begin(Work::Looking, both);
    let mut buffer = vec![0; CHUNK_SECTORS as usize * SECTOR_BYTES];
    for region in Region::ALL {
        for (at, length) in chunks(layout.region_start(region), layout.region_sectors()) {
            let bytes = &mut buffer[..length];
            store.read_at(at, bytes).map_err(unreadable)?;
            if let Some(position) = bytes.iter().position(|byte| *byte != 0) {
                let sectors = (position / SECTOR_BYTES) as u64;
                return Ok(at.checked_add(Sectors::new(sectors)));
            }
            tally
                .advance(Sectors::from_bytes(length as u64))
                .map_err(|_| given_up())?;
        }
    }
    Ok(None)
}

/// The refusal of a plan that nobody waits for any more.
fn given_up() -> Refusal {
    let message = "The plan was given up before it was made; nothing was changed.";
    Refusal::new("interrupted", message, "Ask for it again.")
}

/// The refusal of a spare that cannot be read.
pub fn unreadable(error: IoError) -> Refusal {
    Refusal::from(
        Error::failed("io", format!("The spare cannot be read {error}."))
            .advise("A spare that fails is none: name another one."),
    )
}
