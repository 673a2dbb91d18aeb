//! What the host lists: its devices, found by their paths, and the mapped devices that are
//! up, found by their names. Both are asked for many times in every frame.

use std::path::Path;

use crate::port::{DeviceInfo, Mapped};
use crate::remap_core::status::{RepairStatus, Status};
use crate::remap_core::units::Millis;

/// A mapped device that is up, and when its status was read.
#[derive(Clone, Debug)]
pub struct Active {
    /// What the host says.
    pub mapped: Mapped,
    /// When it said so.
    pub seen: Millis,
}

impl Active {
    /// Its status as it must be by `now`: what was read, with its times gone on.
    pub fn status(&self, now: Millis) -> Status {
        let passed = now.get().saturating_sub(self.seen.get());
        let read = &self.mapped.status;
        let repair = match read.repair {
            RepairStatus::Waiting { attempt, in_millis } => RepairStatus::Waiting {
                attempt,
                in_millis: in_millis.saturating_sub(passed),
            },
            standing @ (RepairStatus::Idle | RepairStatus::GaveUp) => standing,
        };
        let later = |ago: u64| ago.saturating_add(passed / 1000);
        Status {
            repair,
            last_scrub: read.last_scrub.map(later),
            next_scrub: read
                .next_scrub
                .map(|ahead| ahead.saturating_sub(passed / 1000)),
            last_repair: read.last_repair.map(later),
            ..*read
        }
    }

    /// The mapped device as it must be by `now`.
    pub fn mapped_by(&self, now: Millis) -> Mapped {
        Mapped {
            status: self.status(now),
            ..self.mapped.clone()
        }
    }
}

/// What the host lists.
#[derive(Debug, Default)]
pub struct Listing {
    /// In the order in which the host tells them.
    devices: Vec<DeviceInfo>,
    /// Their places, by path.
    by_path: Vec<usize>,
    /// By name.
    active: Vec<Active>,
}

impl Listing {
    /// What the host told at `now`.
    pub fn new(devices: Vec<DeviceInfo>, mapped: Vec<Mapped>, now: Millis) -> Self {
        let mut by_path: Vec<usize> = (0..devices.len()).collect();
        by_path.sort_by_key(|at| devices[*at].path.as_os_str());
        let seen = |mapped| Active { mapped, seen: now };
        let mut active: Vec<Active> = mapped.into_iter().map(seen).collect();
        active.sort_by(|one, other| one.mapped.name.cmp(&other.mapped.name));
        Self {
            devices,
            by_path,
            active,
        }
    }

    /// Every device.
    pub fn devices(&self) -> &[DeviceInfo] {
        &self.devices
    }

    /// Every mapped device that is up, by name.
    pub fn active(&self) -> &[Active] {
        &self.active
    }

    /// The device at `path`, spelled as the host spells it.
    pub fn device(&self, path: &Path) -> Option<&DeviceInfo> {
        // Compared as bytes: as paths it takes ten times as long.
        let wanted = path.as_os_str();
        let found = self
            .by_path
            .binary_search_by_key(&wanted, |at| self.devices[*at].path.as_os_str());
        found.ok().map(|at| &self.devices[self.by_path[at]])
    }

    /// The place of the mapped device of this name.
    pub fn place_of(&self, name: &str) -> Option<usize> {
        let by_name = |active: &Active| active.mapped.name.as_str().cmp(name);
        self.active.binary_search_by(by_name).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::sample::{devices, mapped, path, well};

    #[test]
    fn what_is_listed_is_found_in_whatever_order_it_was_told() {
        let mut told = devices();
        told.reverse();
        let up = ["vault", "attic"].map(|name| mapped(name, "disk-a", "disk-b", well()));
        let listing = Listing::new(told, up.to_vec(), Millis::new(0));
        for device in devices() {
            assert_eq!(listing.device(&device.path), Some(&device));
        }
        assert_eq!(listing.device(&path("disk-")), None);
        for name in ["vault", "attic"] {
            let at = listing.place_of(name).unwrap();
            assert_eq!(listing.active()[at].mapped.name, name);
        }
        assert_eq!(listing.place_of("cellar"), None);
    }
}
