//! The layout as the specification states it, in plain arithmetic.

use dmremap::remap_core::layout::Layout;
use dmremap::remap_core::units::{BlockSize, Sectors};

const SLOTS_END: u128 = 8200;
const BLOCK: u128 = 8;

/// Sectors of one region for so many replacement blocks.
pub fn region_sectors(replacement_blocks: u128) -> u128 {
    (1 + replacement_blocks.div_ceil(252)) * BLOCK
}

/// Whether a layout can be, by the specification's conditions.
pub fn fits(layout: &Layout, spare: Sectors) -> bool {
    let wide = u128::from;
    let blocks = wide(layout.replacement_blocks.get());
    let (a, b) = (wide(layout.region_a.get()), wide(layout.region_b.get()));
    let replacement = wide(layout.replacement.get());
    let region = wide(layout.region_blocks.into()) * BLOCK;
    blocks > 0
        && region == region_sectors(blocks)
        && [a, b, replacement].iter().all(|start| start % BLOCK == 0)
        && a >= SLOTS_END
        && a + region <= replacement
        && replacement + blocks * wide((layout.block_size.bytes() / 512).into()) <= b
        && b + region <= wide(spare.get())
}

/// Sectors that so many replacement blocks need, with slots and both regions.
fn needed(replacement_blocks: u128, unit: u128) -> u128 {
    SLOTS_END + 2 * region_sectors(replacement_blocks) + replacement_blocks * unit
}

#[test]
fn a_spare_gets_as_many_replacement_blocks_as_fit() {
    for block_size in BlockSize::ALL {
        let unit = u128::from(block_size.bytes() / 512);
        let smallest = Layout::smallest_spare(block_size).get();
        assert_eq!(u128::from(smallest), needed(64, unit));
        let large = [1 << 20, (1 << 27) + 7, (1 << 36) - 1, 1 << 38];
        for sectors in (smallest..smallest + 20_000).chain(large) {
            let spare = Sectors::new(sectors);
            let layout = Layout::for_spare(spare, block_size).unwrap();
            let blocks = u128::from(layout.replacement_blocks.get());
            let end = u128::from(sectors) / BLOCK * BLOCK;
            assert!(needed(blocks, unit) <= end, "{sectors} {block_size}");
            assert!(needed(blocks + 1, unit) > end, "{sectors} {block_size}");
            let region = region_sectors(blocks);
            assert_eq!(u128::from(layout.region_blocks) * BLOCK, region);
            assert_eq!(u128::from(layout.region_a.get()), SLOTS_END);
            assert_eq!(u128::from(layout.replacement.get()), SLOTS_END + region);
            assert_eq!(u128::from(layout.region_b.get()), end - region);
            assert!(fits(&layout, spare));
        }
    }
}

#[test]
fn a_spare_too_small_or_too_large_gets_none() {
    for block_size in BlockSize::ALL {
        let smallest = Layout::smallest_spare(block_size).get();
        for sectors in [0, 1, 8199, 8200, smallest - 1] {
            assert!(Layout::for_spare(Sectors::new(sectors), block_size).is_err());
        }
    }
    // A region of 2^32 blocks cannot be stated.
    let endless = Sectors::new(u64::MAX);
    assert!(Layout::for_spare(endless, BlockSize::B512).is_err());
}
