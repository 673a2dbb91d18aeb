//! A target, as far as bios on their way use it.

use crate::dm::device::Device;
use crate::dm::gate::Gate;
use crate::dm::worker::Worker;
use crate::index::Index;
use crate::remap_core::units::{BlockSize, Sector, Sectors};

/// Sectors of main.
pub const MAIN: Sectors = Sectors::new(256);

/// One target.
pub struct Joined<'t> {
    main: Device<'t>,
    spare: Device<'t>,
    index: Index,
    gate: Gate,
    worker: Worker,
}

impl<'t> Joined<'t> {
    /// A target in which nothing is remapped.
    pub fn new() -> Self {
        Self {
            main: Device::new(0),
            spare: Device::new(1),
            index: Index::new(MAIN, BlockSize::B512).expect("memory"),
            gate: Gate::new().expect("memory"),
            worker: Worker::new().expect("memory"),
        }
    }

    pub fn has_covered_ends(&self) -> bool {
        false
    }

    pub fn on_main(&self, sector: Sector) -> Sector {
        sector
    }

    pub fn main(&self) -> &Device<'t> {
        &self.main
    }

    pub fn spare(&self) -> &Device<'t> {
        &self.spare
    }

    pub fn unit(&self) -> BlockSize {
        BlockSize::B512
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    pub fn replacement_area(&self) -> Sector {
        Sector::new(0)
    }

    pub fn note_failed_flush(&self) {
        self.worker.kick();
    }
}
