//! The table line of a mapped device: how much of main it covers, and what it says.

use crate::remap_core::params::{Options, TargetArgs, TARGET_NAME};
use crate::remap_core::units::{BlockSize, Sectors};

/// What the line says besides the two disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLine {
    /// How much of main can be reached: what lies behind the last whole remap unit cannot.
    pub length: Sectors,
    /// The remap unit where the line must state it, and what else was asked for.
    pub options: Options,
}

impl TableLine {
    /// The line for a main of `size`, where `larger` is the larger logical block of both
    /// disks and `stored` the remap unit that the metadata states, if there is any.
    ///
    /// The kernel settles the unit before it reads any metadata: one that is larger than
    /// both disks' logical blocks must stand in the line.
    pub fn settle(
        size: Sectors,
        larger: BlockSize,
        stored: Option<BlockSize>,
        options: &Options,
    ) -> Self {
        let unit = stored.or(options.block_size).unwrap_or(larger);
        let stated = options.block_size.is_some() || unit != larger;
        Self {
            length: Sectors::new(size.get() - size.get() % unit.sectors().get()),
            options: Options {
                block_size: stated.then_some(unit),
                ..*options
            },
        }
    }

    /// What follows the target's name: the disks, as they are named here, and the options.
    pub fn arguments(&self, main: &str, spare: &str) -> String {
        let args = TargetArgs {
            main,
            spare,
            options: self.options,
        };
        args.to_string()
    }

    /// The whole line, as device-mapper prints it.
    pub fn text(&self, main: &str, spare: &str) -> String {
        let arguments = self.arguments(main, spare);
        format!("0 {} {TARGET_NAME} {arguments}", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_stands_in_the_line_where_the_kernel_could_not_know_it() {
        let (small, large) = (BlockSize::B512, BlockSize::B4096);
        let asked = |block_size| Options {
            block_size,
            ..Options::default()
        };
        #[rustfmt::skip]
        let table = [
            (small, None, None, "0 1003 dm-remap-v4 m s"),
            (small, Some(small), None, "0 1003 dm-remap-v4 m s"),
            (small, Some(large), None, "0 1000 dm-remap-v4 m s 2 block_size 4096"),
            (small, None, Some(large), "0 1000 dm-remap-v4 m s 2 block_size 4096"),
            (large, None, None, "0 1000 dm-remap-v4 m s"),
            (large, Some(large), None, "0 1000 dm-remap-v4 m s"),
            (large, Some(large), Some(large), "0 1000 dm-remap-v4 m s 2 block_size 4096"),
        ];
        for (larger, stored, options, text) in table {
            let line = TableLine::settle(Sectors::new(1003), larger, stored, &asked(options));
            assert_eq!(line.text("m", "s"), text);
        }
    }
}
