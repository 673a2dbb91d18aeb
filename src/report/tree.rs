//! Devices as a tree: each below what it lies on, as `lsblk` has them.

use std::collections::HashMap;

use crate::port::block::Kind;
use crate::port::{DeviceInfo, Part, Usage};

/// Where a device stands in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its index in the list that the tree was made from.
    pub(super) index: usize,
    /// For each level above it and for its own, whether it is the last there; none for a
    /// device that lies on no other.
    pub(super) last: Vec<bool>,
}

/// Puts devices in the order of a tree. A device that lies on several stands below each
/// of them, what lies on it below the first of these places alone. Every device has a
/// place, also where they lie on each other in a circle.
pub(super) fn arrange(devices: &[&DeviceInfo]) -> Vec<Place> {
    let by_name: HashMap<&str, usize> = devices
        .iter()
        .enumerate()
        .map(|(index, device)| (device.name.as_str(), index))
        .collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); devices.len()];
    let mut is_root = vec![true; devices.len()];
    for (index, device) in devices.iter().enumerate() {
        let properties = device.properties.as_deref();
        let parents = properties.into_iter().flat_map(|known| &known.parents);
        for parent in parents.filter_map(|name| by_name.get(name.as_str())) {
            if *parent != index && !is_spare_of(devices[*parent], device) {
                children[*parent].push(index);
                is_root[index] = false;
            }
        }
    }
    let mut tree = Tree {
        children,
        placed: vec![false; devices.len()],
        places: Vec::with_capacity(devices.len()),
    };
    let roots = is_root.iter().enumerate().filter(|(_, root)| **root);
    for (root, _) in roots {
        tree.grow(root);
    }
    // What is left lies on itself through others.
    for index in 0..devices.len() {
        if !tree.placed[index] {
            tree.grow(index);
        }
    }
    tree.places
}

/// Whether `device` is the mapped device that `parent` is the spare of: it stands below its
/// main, whose data it shows, and not once more below the spare.
fn is_spare_of(parent: &DeviceInfo, device: &DeviceInfo) -> bool {
    match &parent.usage {
        Usage::Mapped {
            name,
            part: Part::Spare,
        } => mapped_name(device) == Some(name),
        _ => false,
    }
}

/// The name of a mapped device, of any kind, beside the kernel's own.
pub(super) fn mapped_name(device: &DeviceInfo) -> Option<&str> {
    let known = device.properties.as_deref()?;
    match known.kind {
        Kind::Mapped(_) => known.label.as_deref(),
        _ => None,
    }
}

struct Tree {
    children: Vec<Vec<usize>>,
    placed: Vec<bool>,
    places: Vec<Place>,
}

impl Tree {
    /// Places a device and all below it. Without recursion: a chain may be long.
    fn grow(&mut self, root: usize) {
        let mut waiting = vec![Place {
            index: root,
            last: Vec::new(),
        }];
        while let Some(place) = waiting.pop() {
            let first_time = !std::mem::replace(&mut self.placed[place.index], true);
            if first_time {
                let children = &self.children[place.index];
                let below = children.iter().enumerate().rev().map(|(at, child)| Place {
                    index: *child,
                    last: [&place.last[..], &[at + 1 == children.len()]].concat(),
                });
                waiting.extend(below);
            }
            self.places.push(place);
        }
    }
}

/// The lines that lead to a place: one column of two characters for each level.
pub(super) fn branch(place: &Place, ascii: bool) -> String {
    let (through, fork, corner) = if ascii {
        ("| ", "|-", "`-")
    } else {
        ("│ ", "├─", "└─")
    };
    let Some((own, above)) = place.last.split_last() else {
        return String::new();
    };
    let mut lines = String::new();
    for last in above {
        lines.push_str(if *last { "  " } else { through });
    }
    lines.push_str(if *own { corner } else { fork });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::block::Properties;
    use crate::remap_core::units::{BlockSize, Sectors};
    use std::sync::Arc;

    fn device(name: &str, parents: &[&str]) -> DeviceInfo {
        let properties = Properties {
            parents: parents.iter().map(|name| (*name).to_owned()).collect(),
            ..Properties::default()
        };
        DeviceInfo {
            path: name.into(),
            name: name.to_owned(),
            size: Sectors::new(8),
            logical_block: BlockSize::B512,
            read_only: false,
            usage: Usage::Free,
            faults: 0,
            properties: Some(Arc::new(properties)),
        }
    }

    fn drawn(devices: &[DeviceInfo]) -> Vec<String> {
        let devices: Vec<&DeviceInfo> = devices.iter().collect();
        arrange(&devices)
            .iter()
            .map(|place| format!("{}{}", branch(place, true), devices[place.index].name))
            .collect()
    }

    #[test]
    fn what_lies_on_a_device_stands_below_it() {
        let devices = [
            device("dm-0", &["sda2"]),
            device("dm-1", &["sda2"]),
            device("md0", &["sda1", "sdb"]),
            device("sda", &[]),
            device("sda1", &["sda"]),
            device("sda2", &["sda"]),
            device("sdb", &[]),
        ];
        assert_eq!(
            drawn(&devices),
            ["sda", "|-sda1", "| `-md0", "`-sda2", "  |-dm-0", "  `-dm-1", "sdb", "`-md0"]
        );
    }

    #[test]
    fn a_mapped_device_of_ours_stands_below_its_main_alone() {
        let mut devices = [
            device("dm-0", &["sda", "sdb"]),
            device("sda", &[]),
            device("sdb", &[]),
        ];
        for (at, part) in [(1, Part::Main), (2, Part::Spare)] {
            let name = "vault".to_owned();
            devices[at].usage = Usage::Mapped { name, part };
        }
        devices[0].properties = Some(Arc::new(Properties {
            kind: Kind::Mapped("dm".to_owned()),
            label: Some("vault".to_owned()),
            parents: vec!["sda".to_owned(), "sdb".to_owned()],
            ..Properties::default()
        }));
        assert_eq!(drawn(&devices), ["sda", "`-dm-0", "sdb"]);
        // Where main is not to be seen, it stands for itself.
        assert_eq!(
            drawn(&[devices[0].clone(), devices[2].clone()]),
            ["dm-0", "sdb"]
        );
        // Another's device may share the name, and lies on both.
        devices[2].usage = Usage::Free;
        assert_eq!(drawn(&devices), ["sda", "`-dm-0", "sdb", "`-dm-0"]);
    }

    #[test]
    fn circles_strangers_and_selves_lose_no_device() {
        let devices = [
            device("a", &["c"]),
            device("b", &["a"]),
            device("c", &["b"]),
            device("d", &["gone"]),
            device("e", &["e"]),
        ];
        assert_eq!(drawn(&devices), ["d", "e", "a", "`-b", "  `-c", "    `-a"]);
    }

    #[test]
    fn many_ways_to_one_device_stay_as_many_lines_as_there_are_ways() {
        // Each of forty devices lies on both of the two before it.
        let names: Vec<String> = (0..40).map(|number| format!("dm-{number:02}")).collect();
        let devices: Vec<DeviceInfo> = (0..40)
            .map(|at: usize| {
                let parents: Vec<&str> = (at.saturating_sub(2)..at)
                    .map(|below| names[below].as_str())
                    .collect();
                device(&names[at], &parents)
            })
            .collect();
        assert_eq!(drawn(&devices).len(), 1 + 1 + 38 * 2);
    }

    #[test]
    fn a_chain_of_two_thousand_is_placed() {
        let devices: Vec<DeviceInfo> = (0..2_000)
            .map(|at: usize| match at {
                0 => device("0", &[]),
                _ => device(&at.to_string(), &[&(at - 1).to_string()]),
            })
            .collect();
        assert_eq!(drawn(&devices).len(), 2_000);
    }
}
