//! What the detail is about.

use std::path::Path;

use super::listing::Active;
use super::rows::{self, RowKey};
use super::state::{Examined, State};
use crate::inspect::{standing, Disk, HeldMain, Inspection, Matter};
use crate::port::DeviceInfo;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::units::{Millis, PerSlot};

/// What is known of a disk that was looked at so.
pub(super) fn disk_of(examined: Option<&Examined>) -> Disk {
    match examined {
        None => Disk::Unseen,
        Some(Err(_)) => Disk::Unreadable,
        Some(Ok(seen)) => Disk::of(seen),
    }
}

/// What the detail is about: a mapped device that is up, or one device alone.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The mapped device, if the chosen row is one or part of one.
    pub active: Option<&'a Active>,
    /// The device on the chosen row; for a mapped device its spare.
    pub device: Option<&'a DeviceInfo>,
    /// Where the copies are: the spare, or the device itself.
    pub store: &'a Path,
    /// What was found there so far.
    pub examined: Option<&'a Examined>,
    /// Who uses it past the mapped device whose main it is, if anybody does.
    pub held: Option<&'a HeldMain>,
}

impl<'a> Subject<'a> {
    /// A mapped device that is up.
    pub fn of_active(state: &'a State, active: &'a Active) -> Self {
        let store = active.mapped.spare.as_path();
        Self {
            active: Some(active),
            device: state.device(store),
            store,
            examined: state.examined.get(store),
            held: None,
        }
    }

    /// What a row of the list is about.
    pub(super) fn of(state: &'a State, key: &'a RowKey) -> Option<Self> {
        let path = match key {
            RowKey::Mapped(name) => return Some(Self::of_active(state, state.active(name)?)),
            RowKey::Device(path) => path.as_path(),
        };
        let device = state.device(path)?;
        if let Some(active) = rows::mapped_name(device).and_then(|name| state.active(name)) {
            return Some(Self {
                device: Some(device),
                ..Self::of_active(state, active)
            });
        }
        Some(Self {
            active: None,
            device: Some(device),
            store: path,
            examined: state.examined.get(path),
            held: state.held.get(path),
        })
    }

    /// What was found on it, if it could be read.
    pub fn inspection(&self) -> Option<&'a Inspection> {
        self.examined?.as_deref().ok()
    }

    /// What its copies are now, by letter, and what they come to: as they were last read
    /// on the device, or else as its target last scrubbed them.
    pub fn copies(&self) -> Option<(PerSlot<char>, Verdict)> {
        let of_target = self.active.map(|active| {
            let status = &active.mapped.status;
            (status.copies, status.verdict)
        });
        self.inspection()
            .filter(|inspection| inspection.is_ours())
            .map(|inspection| {
                let judgement = &inspection.judgement;
                (
                    judgement.states.map(|_, state| state.letter()),
                    judgement.verdict,
                )
            })
            .or(of_target)
    }

    /// Everything that is amiss with it, the worst first, at `now`; nothing where it is safe.
    pub fn standing(&self, now: Millis) -> Vec<Matter> {
        let disk = disk_of(self.examined);
        let status = self.active.map(|active| active.status(now));
        standing(status.as_ref(), disk, self.held.is_some())
    }

    /// The name of the mapped device: that is up, or that the metadata tells.
    pub fn name(&self) -> Option<&'a str> {
        match self.active {
            Some(active) => Some(&active.mapped.name),
            None => self.inspection()?.name.as_deref(),
        }
    }
}
