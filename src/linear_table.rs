//! A device as lines of `linear` and `error`, targets that every kernel with device-mapper has.

use crate::port::RemapRow;
use crate::remap_core::label::DataArea;
use crate::remap_core::layout::Layout;
use crate::remap_core::units::{Sector, Sectors};

/// Where a run of sectors lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On main, from this sector on.
    Main(Sector),
    /// On the spare, from this sector on.
    Spare(Sector),
    /// Nowhere: its content was lost, and it waits for its next write.
    Lost,
}

impl Place {
    /// The place of what lies `by` sectors further on.
    fn behind(self, by: Sectors) -> Self {
        let further = |at: Sector| Sector::new(at.get() + by.get());
        match self {
            Self::Main(at) => Self::Main(further(at)),
            Self::Spare(at) => Self::Spare(further(at)),
            Self::Lost => Self::Lost,
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where it begins on the mapped device.
    pub start: Sector,
    /// How much of it this is.
    pub length: Sectors,
    /// Where that lies.
    pub place: Place,
}

/// Runs of the mapped device that is `area` of main, in order and without a gap. `remaps` are in the
/// order of main; each run is as long as may be.
pub fn runs(area: DataArea, layout: &Layout, remaps: &[RemapRow]) -> Vec<Run> {
    let unit = layout.block_size.sectors();
    let shift = layout.block_size.sector_shift();
    // What lies behind the last whole remap unit is not part of the device.
    let end = area.start.get() + area.sectors.get() / unit.get() * unit.get();
    let mut runs = Runs {
        begin: area.start.get(),
        runs: Vec::new(),
    };
    let mut at = area.start.get();
    for remap in remaps {
        let block = remap.block.get() << shift;
        if block < at || block >= end {
            continue;
        }
        runs.add(at, block, Place::Main(Sector::new(at)));
        let there = layout.replacement_sector(remap.replacement);
        let place = match there.filter(|_| remap.active) {
            Some(there) => Place::Spare(there),
            None => Place::Lost,
        };
        at = block + unit.get();
        runs.add(block, at, place);
    }
    runs.add(at, end, Place::Main(Sector::new(at)));
    runs.runs
}

/// Runs that are put together, and where on main the device begins.
struct Runs {
    begin: u64,
    runs: Vec<Run>,
}

impl Runs {
    /// Adds the sectors of main from `from` up to `to`, which is where the last run ended.
    fn add(&mut self, from: u64, to: u64, place: Place) {
        if from >= to {
            return;
        }
        let length = Sectors::new(to - from);
        if let Some(last) = self.runs.last_mut() {
            if last.place.behind(last.length) == place {
                last.length = Sectors::new(last.length.get() + length.get());
                return;
            }
        }
        self.runs.push(Run {
            start: Sector::new(from - self.begin),
            length,
            place,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remap_core::units::{BlockSize, MainBlock, Replacement};

    fn layout(unit: BlockSize) -> Layout {
        Layout::for_spare(Sectors::new(65_536), unit).expect("a spare of 32 MiB is large enough")
    }

    fn remap(block: u64, replacement: u64, active: bool) -> RemapRow {
        RemapRow {
            block: MainBlock::new(block),
            replacement: Replacement::new(replacement),
            active,
            moves: 1,
        }
    }

    /// Where a sector of the device lies, asked of the remaps one by one.
    fn place_of(sector: u64, area: DataArea, layout: &Layout, remaps: &[RemapRow]) -> Place {
        let shift = layout.block_size.sector_shift();
        let on_main = area.start.get() + sector;
        let rest = on_main & ((1 << shift) - 1);
        match remaps.iter().find(|it| it.block.get() == on_main >> shift) {
            None => Place::Main(Sector::new(on_main)),
            Some(remap) if remap.active => Place::Spare(Sector::new(
                layout.replacement.get() + (remap.replacement.get() << shift) + rest,
            )),
            Some(_) => Place::Lost,
        }
    }

    #[test]
    fn every_sector_lies_where_the_target_reads_it() {
        let remaps = [
            remap(0, 7, true),
            remap(1, 8, true),
            remap(2, 3, true),
            remap(9, 0, false),
            remap(10, 1, false),
            remap(11, 2, true),
            remap(299, 4, true),
            remap(5000, 5, true),
        ];
        for unit in BlockSize::ALL {
            for (start, sectors) in [(0, 2403), (16, 2387), (8, 0), (0, 8)] {
                let area = DataArea {
                    start: Sector::new(start),
                    sectors: Sectors::new(sectors),
                };
                let layout = layout(unit);
                let runs = runs(area, &layout, &remaps);
                let mut next = 0;
                for run in &runs {
                    assert_eq!(run.start.get(), next, "without a gap");
                    for by in 0..run.length.get() {
                        let place = run.place.behind(Sectors::new(by));
                        assert_eq!(place, place_of(next + by, area, &layout, &remaps));
                    }
                    next += run.length.get();
                }
                assert_eq!(next, sectors - sectors % unit.sectors().get());
                let joined = runs
                    .windows(2)
                    .all(|two| two[0].place.behind(two[0].length) != two[1].place);
                assert!(joined, "two runs could be one: {runs:?}");
            }
        }
    }
}
