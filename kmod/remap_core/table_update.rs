// SPDX-License-Identifier: GPL-2.0-or-later
//! Which of two readings of a table block counts, and how both are brought to the same.
//!
//! # Invariants
//!
//! - The region that is worth more is whole until the other one is.
//! - New entries are used only when both regions hold them.

use crate::remap_core::layout::Region;
use crate::remap_core::remap_table::{
    seal_block, BlockFlaw, BlockPlace, RawBlock, FIRST_GENERATION, TABLE_HEADER_BYTES,
};
use crate::remap_core::units::{ArrayUuid, Generation, BLOCK_4K_BYTES};

/// What the two readings of one table block say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Both say the same.
    Agreed {
        /// At this generation.
        generation: Generation,
    },
    /// One is to be used, and to be written over the other.
    Use {
        /// The one to be used.
        region: Region,
        /// Its generation.
        generation: Generation,
        /// What is wrong with the other; `None` if it is merely older.
        other: Option<BlockFlaw>,
    },
    /// The same generation with different entries.
    Contradiction {
        /// At this generation.
        generation: Generation,
    },
    /// Neither can be believed.
    Lost,
}

/// Chooses between the checked readings of one block from regions A and B.
/// `same_entries` says whether their entries are equal, as [`same_entries`] finds.
pub fn choose(
    a: Result<Generation, BlockFlaw>,
    b: Result<Generation, BlockFlaw>,
    same_entries: bool,
) -> Choice {
    let only = |region, generation, other| Choice::Use {
        region,
        generation,
        other,
    };
    match (a, b) {
        (Ok(a), Ok(b)) if a > b => only(Region::A, a, None),
        (Ok(a), Ok(b)) if a < b => only(Region::B, b, None),
        (Ok(generation), Ok(_)) if same_entries => Choice::Agreed { generation },
        (Ok(generation), Ok(_)) => Choice::Contradiction { generation },
        (Ok(generation), Err(flaw)) => only(Region::A, generation, Some(flaw)),
        (Err(flaw), Ok(generation)) => only(Region::B, generation, Some(flaw)),
        (Err(_), Err(_)) => Choice::Lost,
    }
}

impl Choice {
    /// Whether the block was never changed since it was laid out, as both regions say.
    pub fn is_untouched(&self) -> bool {
        matches!(self, Self::Agreed { generation } if *generation == FIRST_GENERATION)
    }

    /// Whether either region says, and can be believed, that the block was never changed: no
    /// update of it was ever acknowledged.
    ///
    /// Replacements are handed out lowest first, and a change of several table blocks ends
    /// at the first one that is not updated. So nothing lies behind such a block, and
    /// whoever reads a table may stop there: the regions of a large spare are gigabytes.
    pub fn ends_table(&self) -> bool {
        matches!(
            self,
            Self::Agreed { generation } | Self::Use { generation, .. }
                if *generation == FIRST_GENERATION
        )
    }
}

/// Whether two blocks hold the same entries.
pub fn same_entries(one: &RawBlock, other: &RawBlock) -> bool {
    one.get(TABLE_HEADER_BYTES..) == other.get(TABLE_HEADER_BYTES..)
}

impl Choice {
    /// The order in which the regions are written: the one that is worth less first,
    /// so that the better one is whole until the other is.
    pub const fn write_order(&self) -> [Region; 2] {
        match self {
            Self::Use {
                region: Region::A, ..
            } => [Region::B, Region::A],
            _ => [Region::A, Region::B],
        }
    }
}

/// The table blocks of one spare.
pub trait TableStore {
    /// What goes wrong.
    type Error;

    /// Writes one table block and returns when it is durable.
    ///
    /// # Errors
    ///
    /// The block's content in that region is unknown then.
    fn write_block(
        &mut self,
        region: Region,
        index: u32,
        raw: &RawBlock,
    ) -> Result<(), Self::Error>;
}

/// What destroys a damaged block for good: no sector of it occurs in a valid one.
static DESTROYED: RawBlock = [0xff; BLOCK_4K_BYTES];

/// Brings the region that is worth less to what the other one holds: `raw`, at the
/// generation that was chosen. Every block is repaired like this after it was loaded and
/// before it is updated.
///
/// Damage is destroyed first. It may be the rest of an update that a crash tore; written
/// over at once, and torn again, the sectors that the two writes have in common could
/// complete it, and an update that was given up would be back.
///
/// # Errors
///
/// Whatever writing gives. The region that was chosen is never written to.
pub fn repair_block<S: TableStore>(
    store: &mut S,
    raw: &mut RawBlock,
    array: ArrayUuid,
    index: u32,
    choice: &Choice,
) -> Result<(), S::Error> {
    let Choice::Use {
        region: chosen,
        generation,
        other,
    } = choice
    else {
        return Ok(());
    };
    let region = chosen.other();
    if other.is_some() {
        store.write_block(region, index, &DESTROYED)?;
    }
    let place = BlockPlace {
        array,
        region,
        index,
    };
    seal_block(raw, &place, *generation);
    store.write_block(region, index, raw)
}

/// Why a table block was not updated in both regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateError<E> {
    /// There is no generation after the one found.
    GenerationExhausted,
    /// The first write failed: the other region still holds the old block.
    First(E),
    /// The second write failed: the first region holds the new block, this one is
    /// unknown.
    Second(E),
}

impl<E> UpdateError<E> {
    /// The generation and the order to give to the next update of the block, where this
    /// one was made with `generation` and `order`. It must exceed what was tried, whole
    /// or not, and must not first overwrite the only region that is known to be good.
    pub const fn settle(
        &self,
        generation: Generation,
        order: [Region; 2],
    ) -> (Generation, [Region; 2]) {
        let [first, second] = order;
        match (self, generation.next()) {
            (Self::First(_), Some(tried)) => (tried, order),
            (Self::Second(_), Some(tried)) => (tried, [second, first]),
            (_, _) => (generation, order),
        }
    }
}

/// Writes the entries in `raw` as the next generation of table block `index`, to the
/// region that is worth less first. The block must have been repaired since it was
/// loaded, and everything the entries refer to must be durable. The new entries may be
/// used only when this has returned without an error.
///
/// Returns the new generation, which the next update must be given.
///
/// # Errors
///
/// [`UpdateError`]; the caller goes on with the old entries, and makes its next update
/// as [`UpdateError::settle`] says. Until one succeeds a crash may bring up the entries
/// that failed: what they refer to must stay as it is, and no write to a block of main
/// that they name may be acknowledged.
pub fn update_block<S: TableStore>(
    store: &mut S,
    raw: &mut RawBlock,
    array: ArrayUuid,
    index: u32,
    generation: Generation,
    order: [Region; 2],
) -> Result<Generation, UpdateError<S::Error>> {
    let next = generation.next().ok_or(UpdateError::GenerationExhausted)?;
    let [first, second] = order;
    seal_block(
        raw,
        &BlockPlace {
            array,
            region: first,
            index,
        },
        next,
    );
    store
        .write_block(first, index, raw)
        .map_err(UpdateError::First)?;
    seal_block(
        raw,
        &BlockPlace {
            array,
            region: second,
            index,
        },
        next,
    );
    store
        .write_block(second, index, raw)
        .map_err(UpdateError::Second)?;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_between_regions_is_this_table() {
        let g = Generation::new;
        let bad = BlockFlaw::Blank;
        let only = |region, generation, other| Choice::Use {
            region,
            generation,
            other,
        };
        let table = [
            (
                Ok(g(2)),
                Ok(g(2)),
                true,
                Choice::Agreed { generation: g(2) },
            ),
            (
                Ok(g(2)),
                Ok(g(2)),
                false,
                Choice::Contradiction { generation: g(2) },
            ),
            (Ok(g(3)), Ok(g(2)), false, only(Region::A, g(3), None)),
            (Ok(g(3)), Ok(g(2)), true, only(Region::A, g(3), None)),
            (Ok(g(2)), Ok(g(3)), false, only(Region::B, g(3), None)),
            (Ok(g(2)), Err(bad), false, only(Region::A, g(2), Some(bad))),
            (Err(bad), Ok(g(2)), false, only(Region::B, g(2), Some(bad))),
            (Err(bad), Err(bad), false, Choice::Lost),
            (Err(bad), Err(bad), true, Choice::Lost),
        ];
        for (a, b, same, expected) in table {
            assert_eq!(choose(a, b, same), expected, "{a:?} {b:?} {same}");
        }
        assert_eq!(
            only(Region::A, g(1), None).write_order(),
            [Region::B, Region::A]
        );
        assert_eq!(
            only(Region::B, g(1), None).write_order(),
            [Region::A, Region::B]
        );
    }
}
