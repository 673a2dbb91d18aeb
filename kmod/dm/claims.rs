// SPDX-License-Identifier: GPL-2.0-or-later
//! Which devices belong to which target.
//!
//! Device-mapper lets any number of mapped devices hold one disk at the same time. Two
//! targets that write to one spare would overwrite each other's remap table, and what one
//! relocated would be the other one's data.

use kernel::error::Result;
use kernel::prelude::*;

use super::device::Device;
use super::target::Owner;

kernel::sync::global_lock! {
    // SAFETY: initialised before the target is registered, and so before the first claim.
    unsafe(uninit) static CLAIMS: Mutex<KVec<Entry>> = KVec::new();
}

/// Makes claims possible.
///
/// # Safety
///
/// It must be called once, before the first claim.
pub(super) unsafe fn initialise() {
    // SAFETY: as the caller promises.
    unsafe { CLAIMS.init() };
}

/// What a device is claimed for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Others may use it in the same way.
    Shared,
    /// Nobody else may use it.
    Alone,
}

/// Who claims what, by the addresses of things that stay while the claim does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    device: usize,
    how: Use,
    of: Claimant,
}

/// A target, the table that it is in, and the mapped device whose table that is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Claimant {
    /// The target.
    pub(super) target: usize,
    /// Its table.
    pub(super) table: usize,
    /// Its mapped device.
    pub(super) mapped: usize,
}

impl Claimant {
    /// Whether the other one is in an earlier or later table of the same mapped device. No
    /// two of those are in use at the same time.
    fn takes_turns_with(self, other: Self) -> bool {
        self.mapped == other.mapped && self.table != other.table
    }
}

/// A device that a target uses, for as long as this exists.
///
/// # Invariants
///
/// `CLAIMS` has an entry for it.
pub struct Claim(Entry);

impl Claim {
    /// Claims `device` for the target that `owner` is of.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is claimed for a target that may be in use at the same time, or
    /// `ENOMEM`.
    pub fn new(owner: &Owner<'_>, device: &Device<'_>, how: Use) -> Result<Self> {
        let entry = Entry {
            device: device.bdev() as usize,
            how,
            of: owner.claimant(),
        };
        let mut claims = CLAIMS.lock();
        let stands_against = |other: &Entry| {
            other.device == entry.device
                && (other.how == Use::Alone || entry.how == Use::Alone)
                && other.of.target != entry.of.target
                && !other.of.takes_turns_with(entry.of)
        };
        if claims.iter().any(stands_against) {
            return Err(EBUSY);
        }
        claims.push(entry, GFP_KERNEL)?;
        // INVARIANT: the entry was put there just now.
        Ok(Self(entry))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claims = CLAIMS.lock();
        if let Some(at) = claims.iter().position(|entry| *entry == self.0) {
            // What there is does not fail to be removed.
            let _ = claims.remove(at);
        }
        if claims.is_empty() {
            // Nothing of it stays behind when the module is unloaded.
            *claims = KVec::new();
        }
    }
}

/// Whether a target of another table of the same mapped device claims anything.
pub(super) fn has_other_table(of: Claimant) -> bool {
    let claims = CLAIMS.lock();
    claims.iter().any(|entry| entry.of.takes_turns_with(of))
}
