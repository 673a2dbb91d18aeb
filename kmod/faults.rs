// SPDX-License-Identifier: GPL-2.0-or-later
//! Faults for drills: blocks of main or the spare that are made to fail.

use kernel::error::Result;
use kernel::prelude::*;

use crate::remap_core::message::{Device, Fault};
use crate::remap_core::units::{BlockSize, Errno, Sector, Sectors};

/// The most faults that can be injected at once.
const MOST_FAULTS: usize = 16;

/// Blocks that are made to fail.
pub struct Faults {
    faults: KVec<Fault>,
    unit: BlockSize,
}

impl Faults {
    /// None.
    pub const fn none(unit: BlockSize) -> Self {
        Self {
            faults: KVec::new(),
            unit,
        }
    }

    /// Adds one.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there are too many, or `ENOMEM`.
    pub fn add(&mut self, fault: Fault) -> Result {
        if self.faults.len() >= MOST_FAULTS {
            return Err(ENOSPC);
        }
        Ok(self.faults.push(fault, GFP_KERNEL)?)
    }

    /// Takes all of them away.
    pub fn clear(&mut self) {
        self.faults.clear();
    }

    /// Lets `length` sectors from `at` on fail, if that is wanted.
    ///
    /// # Errors
    ///
    /// `EIO`, as a bad medium gives.
    pub fn check(
        &self,
        device: Device,
        write: bool,
        at: Sector,
        length: Sectors,
    ) -> Result<(), Errno> {
        let hits = |fault: &Fault| fault.hits(self.unit, device, write, at, length);
        match self.faults.iter().any(hits) {
            true => Err(Errno::EIO),
            false => Ok(()),
        }
    }
}
