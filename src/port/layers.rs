//! Which bytes a device or a file consists of: what shares them is one store by two names.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::block::{DeviceNumber, Instance};

/// A device or a file, by what no path can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A block device.
    Device(DeviceNumber),
    /// A file.
    File {
        /// The file system that it lies on.
        on: DeviceNumber,
        /// Its number there.
        inode: u64,
    },
}

impl From<Instance> for Place {
    fn from(instance: Instance) -> Self {
        match instance {
            Instance::Device { number, .. } => Self::Device(number),
            Instance::File { on, inode } => Self::File { on, inode },
        }
    }
}

/// A stretch of a device that lies elsewhere, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first of its bytes in the device.
    pub at: u64,
    /// Where they lie.
    pub on: Place,
    /// Which bytes they are there; nothing where they may be any.
    pub bytes: Option<Range<u64>>,
}

/// What each device consists of, as far as that is known.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    devices: HashMap<DeviceNumber, Layer>,
}

#[derive(Clone, Debug, Default)]
struct Layer {
    extents: Vec<Extent>,
    /// Devices that it makes something else of.
    below: Vec<DeviceNumber>,
}

/// Layers that are gone through at most: what is stacked higher stands in a circle.
const DEEPEST: usize = 32;

/// A stretch of what nothing else is known to lie under.
pub type Ground = (Place, Range<u64>);

impl Layers {
    /// Takes up a device: the stretches that it consists of, or the devices that it makes
    /// something else of.
    pub fn add(&mut self, number: DeviceNumber, extents: Vec<Extent>, below: Vec<DeviceNumber>) {
        self.devices.insert(number, Layer { extents, below });
    }

    /// Whether two have bytes in common.
    pub fn share(&self, one: Place, other: Place) -> bool {
        let other = self.grounds(other);
        self.grounds(one).iter().any(|ground| meets(&other, ground))
    }

    /// Whether two have bytes in common, or one lies on the other, through whatever lies
    /// between them.
    pub fn overlap(&self, one: Place, other: Place) -> bool {
        self.share(one, other) || self.lies_on(one, other) || self.lies_on(other, one)
    }

    fn lies_on(&self, upper: Place, lower: Place) -> bool {
        let lower = self.grounds(lower);
        let mut met = HashSet::new();
        let mut waiting = vec![upper];
        while let Some(place) = waiting.pop() {
            for ground in self.grounds(place) {
                if meets(&lower, &ground) {
                    return true;
                }
                if let (Place::Device(number), _) = ground {
                    let below = self.devices.get(&number).map(|layer| &layer.below);
                    if met.insert(number) {
                        waiting.extend(below.into_iter().flatten().copied().map(Place::Device));
                    }
                }
            }
        }
        false
    }

    /// Where all the bytes of a device or a file lie in the end.
    pub fn grounds(&self, place: Place) -> Vec<Ground> {
        let mut grounds = Vec::new();
        self.descend((place, 0..u64::MAX), DEEPEST, &mut grounds);
        grounds
    }

    fn descend(&self, (place, bytes): Ground, depth: usize, grounds: &mut Vec<Ground>) {
        let layer = match place {
            Place::Device(number) => self.devices.get(&number),
            Place::File { .. } => None,
        };
        let extents = layer.map_or(&[][..], |layer| &layer.extents);
        if extents.is_empty() || depth == 0 {
            grounds.push((place, bytes));
            return;
        }
        for extent in extents {
            let below = match &extent.bytes {
                None => Some(0..u64::MAX),
                Some(there) => {
                    // What is asked for of this extent, counted from its beginning.
                    let from = bytes.start.saturating_sub(extent.at);
                    let to = bytes.end.saturating_sub(extent.at);
                    let start = there.start.saturating_add(from);
                    let end = there.start.saturating_add(to).min(there.end);
                    (start < end).then_some(start..end)
                }
            };
            if let Some(below) = below {
                self.descend((extent.on, below), depth - 1, grounds);
            }
        }
    }
}

/// Whether a stretch has bytes in common with any of these.
pub fn meets(grounds: &[Ground], (place, bytes): &Ground) -> bool {
    let mut there = grounds.iter().filter(|(other, _)| other == place);
    there.any(|(_, other)| other.start < bytes.end && bytes.start < other.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn number(minor: u64) -> DeviceNumber {
        DeviceNumber { major: 8, minor }
    }

    const fn device(minor: u64) -> Place {
        Place::Device(number(minor))
    }

    const fn file(inode: u64) -> Place {
        Place::File {
            on: number(0),
            inode,
        }
    }

    fn on(place: Place, bytes: Range<u64>) -> Extent {
        Extent {
            at: 0,
            on: place,
            bytes: Some(bytes),
        }
    }

    /// Every pair of `places`, and whether it is told to be in `pairs`, either way round.
    fn check(layers: &Layers, ask: impl Fn(Place, Place) -> bool, pairs: &[(Place, Place)]) {
        let mut places: Vec<Place> = layers.devices.keys().copied().map(Place::Device).collect();
        places.extend([file(1), file(2), device(99)]);
        for one in &places {
            for other in &places {
                let is_pair =
                    |pair: &(Place, Place)| [(*one, *other), (*other, *one)].contains(pair);
                let expected = one == other || pairs.iter().any(is_pair);
                assert_eq!(ask(*one, *other), expected, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn windows_of_one_file_share_what_they_have_in_common() {
        let mut layers = Layers::default();
        // The whole file; its first half; its second half; the middle; a loop over a loop;
        // the same window of another file.
        layers.add(number(1), vec![on(file(1), 0..1000)], vec![]);
        layers.add(number(2), vec![on(file(1), 0..500)], vec![]);
        layers.add(number(3), vec![on(file(1), 500..1000)], vec![]);
        layers.add(number(4), vec![on(file(1), 499..501)], vec![]);
        layers.add(number(5), vec![on(device(3), 400..500)], vec![]);
        layers.add(number(6), vec![on(file(2), 0..500)], vec![]);
        let pairs = [
            (file(1), device(1)),
            (file(1), device(2)),
            (file(1), device(3)),
            (file(1), device(4)),
            (file(1), device(5)),
            (file(2), device(6)),
            (device(1), device(2)),
            (device(1), device(3)),
            (device(1), device(4)),
            (device(1), device(5)),
            (device(2), device(4)),
            (device(3), device(4)),
            (device(3), device(5)),
        ];
        check(&layers, |one, other| layers.share(one, other), &pairs);
        check(&layers, |one, other| layers.overlap(one, other), &pairs);
    }

    #[test]
    fn what_is_made_of_a_device_overlaps_it_and_shares_no_bytes_with_it() {
        let mut layers = Layers::default();
        layers.add(number(1), vec![], vec![]);
        layers.add(number(2), vec![on(device(1), 0..100)], vec![]);
        layers.add(number(3), vec![on(device(1), 100..200)], vec![]);
        // An array over a partition, a loop over that, and a volume over it.
        layers.add(number(4), vec![], vec![number(2)]);
        layers.add(number(5), vec![on(device(4), 0..50)], vec![]);
        layers.add(number(6), vec![], vec![number(2)]);
        let shares = [
            (device(1), device(2)),
            (device(1), device(3)),
            (device(4), device(5)),
        ];
        check(&layers, |one, other| layers.share(one, other), &shares);
        let mut overlaps = shares.to_vec();
        for upper in [4, 5, 6] {
            overlaps.extend([(device(upper), device(1)), (device(upper), device(2))]);
        }
        check(&layers, |one, other| layers.overlap(one, other), &overlaps);
    }

    #[test]
    fn a_device_of_several_stretches_lies_where_each_of_them_does() {
        let mut layers = Layers::default();
        let second = Extent {
            at: 100,
            ..on(file(2), 300..400)
        };
        layers.add(number(1), vec![on(file(1), 700..800), second], vec![]);
        layers.add(number(2), vec![on(device(1), 0..100)], vec![]);
        layers.add(number(3), vec![on(device(1), 100..200)], vec![]);
        layers.add(number(4), vec![on(file(2), 0..300)], vec![]);
        let anywhere = Extent {
            bytes: None,
            ..on(file(2), 0..0)
        };
        layers.add(number(5), vec![anywhere], vec![]);
        let pairs = [
            (device(1), file(1)),
            (device(1), file(2)),
            (device(1), device(2)),
            (device(1), device(3)),
            (device(2), file(1)),
            (device(3), file(2)),
            (device(4), file(2)),
            (device(5), file(2)),
            (device(5), device(1)),
            (device(5), device(3)),
            (device(5), device(4)),
        ];
        check(&layers, |one, other| layers.share(one, other), &pairs);
    }

    #[test]
    fn a_circle_ends() {
        let mut layers = Layers::default();
        layers.add(number(1), vec![on(device(2), 0..10)], vec![number(2)]);
        layers.add(number(2), vec![on(device(1), 0..10)], vec![number(1)]);
        assert!(!layers.overlap(device(1), file(1)));
        layers.add(number(3), vec![], vec![number(4)]);
        layers.add(number(4), vec![], vec![number(3)]);
        assert!(layers.overlap(device(3), device(4)));
        assert!(!layers.overlap(device(3), file(1)));
    }
}
