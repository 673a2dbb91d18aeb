//! Devices that can become main or a spare, and what stands against the others.
//!
//! One rule for the menu, which goes by what is known already, and for the plan, which
//! looks again. Nothing here looks at a device.

use std::collections::HashMap;

use crate::inspect::Inspection;
use crate::port::block::{describe_signatures, Properties, Signature};
use crate::port::layers::Layers;
use crate::port::{DeviceInfo, Part, Usage};
use crate::remap_core::layout::{Layout, LayoutError};
use crate::remap_core::quorum::{CopyState, Foreign, Verdict};
use crate::remap_core::units::{BlockSize, IdentityDigest, Sectors, Slot};
use crate::text::{escape_str, guard};

/// Facts of a device that could become main or a spare.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its size.
    pub size: Sectors,
    /// The smallest unit that can be written.
    pub logical_block: BlockSize,
    /// Bytes of a logical block, where they are more than a target takes.
    pub large_block_bytes: Option<u32>,
    /// It takes no writes.
    pub read_only: bool,
    /// Its use.
    pub usage: &'a Usage,
    /// Digest of what is stable about it.
    pub identity: IdentityDigest,
    /// Inspection, where it could be looked at.
    pub seen: Option<&'a Inspection>,
    /// Why it could not be looked at.
    pub unread: Option<&'a str>,
    /// Signatures of others, where they are known.
    pub signatures: &'a [Signature],
    /// The mapped device, not up, that has it as main.
    pub main_of: Option<&'a str>,
}

impl<'a> Facts<'a> {
    /// Facts of a device as a host lists it, with its inspection.
    pub fn new(info: &'a DeviceInfo, seen: Option<&'a Inspection>) -> Self {
        let properties = info.properties.as_deref();
        let looked = seen.and_then(|seen| seen.signatures.as_deref());
        let known = || properties?.signatures.as_deref();
        Self {
            size: info.size,
            logical_block: info.logical_block,
            large_block_bytes: properties.and_then(|known| known.large_block_bytes),
            read_only: info.read_only,
            usage: &info.usage,
            identity: seen.map_or_else(
                || properties.map(|known| known.identity).unwrap_or_default(),
                |seen| seen.identity,
            ),
            seen,
            unread: None,
            signatures: looked.or_else(known).unwrap_or_default(),
            main_of: None,
        }
    }
}

/// How a device would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fitness {
    /// Well.
    Fit,
    /// Well, but what it holds is lost.
    Occupied,
    /// Not at all.
    Unfit,
}

/// Reason against a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Somebody uses it: it is mounted, held by another device, swapped to. The text says
    /// by whom.
    InUse(String),
    /// It is part of a mapped device that is up.
    Mapped {
        /// That device.
        name: String,
        /// The part that it plays.
        part: Part,
    },
    /// It takes no writes.
    ReadOnly,
    /// It writes no less than so many bytes, more than a target takes.
    LargeBlocks(u32),
    /// It could not be looked at; the text says why.
    Unread(String),
    /// It has no sectors.
    NoSectors,
    /// It was to become main and is a spare; of which device, where that is known.
    IsSpare(Option<String>),
    /// It has the identity of main: it is a clone of it, or another way to it.
    SameIdentity,
    /// It lies on main, or main on it.
    Overlaps,
    /// It has no room for the metadata.
    TooSmall {
        /// With so much it would have.
        needs: Sectors,
    },
    /// There is no layout for a spare like it.
    NoLayout(LayoutError),
    /// It holds metadata of ours.
    Ours {
        /// The name in it.
        name: Option<String>,
        /// Its verdict.
        verdict: Verdict,
    },
    /// It bears the label of the main of another device.
    Labelled(String),
    /// It is main of a device that is not up.
    MainOf(String),
    /// Others wrote on it to know it again.
    Signature(String),
    /// It is not blank where something would be written.
    Data,
}

impl Obstacle {
    /// Fitness of a device against which this stands.
    pub const fn fitness(&self) -> Fitness {
        match self {
            Self::Ours { .. } | Self::MainOf(_) | Self::Signature(_) | Self::Data => {
                Fitness::Occupied
            }
            _ => Fitness::Unfit,
        }
    }

    /// In a few words, for a menu.
    pub fn remark(&self) -> String {
        match self {
            Self::InUse(by) => format!("in use: {}", guard(by)),
            Self::Mapped {
                name,
                part: Part::Main,
            } => format!("main of {}", escape_str(name)),
            Self::Mapped {
                name,
                part: Part::Spare,
            } => format!("spare of {}", escape_str(name)),
            Self::ReadOnly => "read-only".to_owned(),
            Self::LargeBlocks(bytes) => format!("blocks of {bytes} bytes: no more than 4096"),
            Self::Unread(why) => format!("not looked at: {}", guard(why)),
            Self::NoSectors => "it has no sectors".to_owned(),
            Self::IsSpare(_) => "it is a spare itself".to_owned(),
            Self::SameIdentity => "the same disk as main, or a clone of it".to_owned(),
            Self::Overlaps => "it lies on main, or main on it".to_owned(),
            Self::TooSmall { needs } => format!("needs at least {needs} sectors"),
            Self::NoLayout(error) => error.to_string(),
            Self::Labelled(name) => format!("it is labelled as main of {}", escape_str(name)),
            Self::MainOf(_) => "another device needs it".to_owned(),
            Self::Ours { .. } | Self::Signature(_) | Self::Data => {
                format!("it holds {}", self.contents().unwrap_or_default())
            }
        }
    }

    /// Contents that would be lost, if it is that what stands against the device.
    pub fn contents(&self) -> Option<String> {
        Some(match self {
            Self::Ours {
                name: Some(name),
                verdict,
            } => format!("the metadata of {name}, judged {verdict}"),
            Self::Ours {
                name: None,
                verdict,
            } => format!("metadata of ours, judged {verdict}"),
            Self::MainOf(name) => format!("the data of {}, whose main it is", escape_str(name)),
            Self::Signature(what) => format!("a signature of {what}"),
            Self::Data => "data".to_owned(),
            _ => return None,
        })
    }
}

/// Obstacles to a device as main, the most serious first. What it holds does not:
/// that is to be protected.
pub fn against_main(main: &Facts<'_>) -> Vec<Obstacle> {
    let mut obstacles = against_use(main);
    if let Some(seen) = main.seen.filter(|seen| seen.is_ours()) {
        obstacles.push(Obstacle::IsSpare(seen.name.clone()));
    }
    if main.size.get() == 0 {
        obstacles.push(Obstacle::NoSectors);
    }
    // What lies on it begins behind its label.
    obstacles.extend(labelled_as(main).map(|name| Obstacle::Labelled(name.to_owned())));
    obstacles.extend(main.main_of.map(|name| Obstacle::MainOf(name.to_owned())));
    obstacles
}

/// Obstacles to a device as the spare of `main` with remap units of `unit`, the
/// most serious first.
pub fn against_spare(spare: &Facts<'_>, main: &Facts<'_>, unit: BlockSize) -> Vec<Obstacle> {
    let mut obstacles = against_use(spare);
    // A maker who gives every disk one number does not make them one disk.
    let alike = main.identity == spare.identity && main.size == spare.size;
    if alike && !main.identity.is_none() {
        obstacles.push(Obstacle::SameIdentity);
    }
    obstacles.extend(match Layout::for_spare(spare.size, unit) {
        Ok(_) => None,
        Err(LayoutError::TooSmall { needs, .. }) => Some(Obstacle::TooSmall { needs }),
        Err(error) => Some(Obstacle::NoLayout(error)),
    });
    obstacles.extend(held(spare));
    obstacles
}

/// How a device does against which these stand.
pub fn fitness(obstacles: &[Obstacle]) -> Fitness {
    let worst = obstacles.iter().map(Obstacle::fitness).max();
    worst.unwrap_or(Fitness::Fit)
}

fn against_use(device: &Facts<'_>) -> Vec<Obstacle> {
    let used = match device.usage {
        Usage::Free => None,
        Usage::InUse(by) => Some(Obstacle::InUse(by.clone())),
        Usage::Mapped { name, part } => Some(Obstacle::Mapped {
            name: name.clone(),
            part: *part,
        }),
    };
    let read_only = device.read_only.then_some(Obstacle::ReadOnly);
    let large = device.large_block_bytes.map(Obstacle::LargeBlocks);
    let unread = device.unread.map(|why| Obstacle::Unread(why.to_owned()));
    let obstacles = [used, read_only, large, unread];
    obstacles.into_iter().flatten().collect()
}

/// The device that a disk is main of by its label, whether its spare is here or not.
fn labelled_as<'a>(device: &Facts<'a>) -> Option<&'a str> {
    let seen = device.seen.filter(|seen| seen.label().is_some())?;
    Some(seen.known_name().unwrap_or("another device"))
}

/// Obstacle of what a device holds and would lose.
fn held(device: &Facts<'_>) -> Option<Obstacle> {
    if let Some(seen) = device.seen.filter(|seen| seen.is_ours()) {
        return Some(Obstacle::Ours {
            name: seen.name.clone(),
            verdict: seen.verdict(),
        });
    }
    if let Some(name) = device.main_of.or_else(|| labelled_as(device)) {
        return Some(Obstacle::MainOf(name.to_owned()));
    }
    if !device.signatures.is_empty() {
        return Some(Obstacle::Signature(describe_signatures(device.signatures)));
    }
    let states = &device.seen?.judgement.states;
    let in_slot = states.iter().find_map(|(_, state)| match state {
        CopyState::Foreign(Foreign::Signature(signature)) => Some(signature.to_string()),
        _ => None,
    });
    let blank = states.count(|state| *state == CopyState::Missing);
    match in_slot {
        Some(signature) => Some(Obstacle::Signature(signature)),
        None if blank < Slot::COUNT => Some(Obstacle::Data),
        None => None,
    }
}

/// Layers of which these devices consist.
pub fn layers<'a>(devices: impl IntoIterator<Item = &'a DeviceInfo>) -> Layers {
    let known = devices
        .into_iter()
        .filter_map(|device| Some((device.name.as_str(), device.properties.as_deref()?)));
    let known: HashMap<&str, &Properties> = known.collect();
    let mut layers = Layers::default();
    for properties in known.values() {
        let parents = properties.parents.iter();
        let below = parents.filter_map(|name| Some(known.get(name.as_str())?.number));
        layers.add(
            properties.number,
            properties.extents.clone(),
            below.collect(),
        );
    }
    layers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::look;
    use crate::inspect::Depth;
    use crate::lab::ram::RamDisk;
    use crate::port::block::{DeviceNumber, Properties, SignatureUse};
    use crate::port::layers::{Extent, Place};
    use crate::port::BlockStore as _;
    use crate::remap_core::units::Sector;
    use std::path::Path;
    use std::sync::Arc;

    const ROOM: Sectors = Sectors::new(1 << 17);

    fn facts(usage: &Usage) -> Facts<'_> {
        Facts {
            size: ROOM,
            logical_block: BlockSize::B512,
            large_block_bytes: None,
            read_only: false,
            usage,
            identity: IdentityDigest::NONE,
            seen: None,
            unread: None,
            signatures: &[],
            main_of: None,
        }
    }

    fn seen(disk: &RamDisk) -> Inspection {
        look(disk, Path::new("/dev/x"), Depth::Scan)
    }

    fn spare(spare: &Facts<'_>) -> Vec<Obstacle> {
        against_spare(spare, &facts(&Usage::Free), BlockSize::B512)
    }

    #[test]
    fn a_blank_device_that_nobody_uses_does_well_as_either() {
        let blank = seen(&RamDisk::new(ROOM));
        let blank = Facts {
            seen: Some(&blank),
            ..facts(&Usage::Free)
        };
        assert_eq!(spare(&blank), []);
        assert_eq!(against_main(&blank), []);
        assert_eq!(fitness(&[]), Fitness::Fit);
    }

    #[test]
    fn whoever_uses_a_device_keeps_it_from_being_either_part() {
        let mounted = Usage::InUse("a mount on /srv".to_owned());
        let mapped = Usage::Mapped {
            name: "vault".to_owned(),
            part: Part::Spare,
        };
        for (usage, remark) in [
            (&mounted, "in use: a mount on /srv"),
            (&mapped, "spare of vault"),
        ] {
            for obstacles in [spare(&facts(usage)), against_main(&facts(usage))] {
                assert_eq!(obstacles[0].remark(), remark);
                assert_eq!(fitness(&obstacles), Fitness::Unfit);
            }
        }
        let denied = Facts {
            unread: Some("permission denied"),
            ..facts(&Usage::Free)
        };
        assert_eq!(fitness(&spare(&denied)), Fitness::Unfit);
        assert_eq!(fitness(&against_main(&denied)), Fitness::Unfit);
        let fixed = Facts {
            read_only: true,
            ..facts(&Usage::Free)
        };
        assert_eq!(spare(&fixed), [Obstacle::ReadOnly]);
        assert_eq!(against_main(&fixed), [Obstacle::ReadOnly]);
    }

    #[test]
    fn what_is_too_small_or_writes_too_much_is_told_with_what_it_needs() {
        let needs = Layout::smallest_spare(BlockSize::B512);
        for (size, obstacles) in [
            (needs, vec![]),
            (
                Sectors::new(needs.get() - 1),
                vec![Obstacle::TooSmall { needs }],
            ),
        ] {
            let small = Facts {
                size,
                ..facts(&Usage::Free)
            };
            assert_eq!(spare(&small), obstacles, "{size}");
        }
        let large = Facts {
            large_block_bytes: Some(16_384),
            ..facts(&Usage::Free)
        };
        for obstacles in [spare(&large), against_main(&large)] {
            assert_eq!(obstacles, [Obstacle::LargeBlocks(16_384)]);
            assert!(obstacles[0].remark().contains("16384 bytes"));
            assert_eq!(fitness(&obstacles), Fitness::Unfit);
        }
        let none = Facts {
            size: Sectors::new(0),
            ..facts(&Usage::Free)
        };
        assert_eq!(against_main(&none), [Obstacle::NoSectors]);
    }

    #[test]
    fn a_signature_is_named_and_does_no_harm_on_main() {
        let found = [Signature {
            kind: "crypto_LUKS".to_owned(),
            used_for: SignatureUse::Crypto,
            uuid: None,
            label: None,
            at: None,
        }];
        let encrypted = Facts {
            signatures: &found,
            ..facts(&Usage::Free)
        };
        let obstacles = spare(&encrypted);
        assert_eq!(obstacles, [Obstacle::Signature("crypto_LUKS".to_owned())]);
        assert_eq!(fitness(&obstacles), Fitness::Occupied);
        assert_eq!(against_main(&encrypted), []);
    }

    #[test]
    fn a_device_that_is_not_blank_holds_something() {
        let mut disk = RamDisk::new(ROOM);
        disk.write_at(Sector::new(1024), &[0x5a; 512]).unwrap();
        let written = seen(&disk);
        let written = Facts {
            seen: Some(&written),
            ..facts(&Usage::Free)
        };
        assert_eq!(spare(&written), [Obstacle::Data]);
    }

    #[test]
    fn the_main_of_another_device_is_not_taken_for_blank() {
        let needed = Facts {
            main_of: Some("vault"),
            ..facts(&Usage::Free)
        };
        assert_eq!(spare(&needed), [Obstacle::MainOf("vault".to_owned())]);
        assert_eq!(fitness(&against_main(&needed)), Fitness::Occupied);
    }

    #[test]
    fn two_ways_to_one_disk_are_not_main_and_spare() {
        let disk = Facts {
            identity: IdentityDigest::new([7; 16]),
            ..facts(&Usage::Free)
        };
        let obstacles = against_spare(&disk, &disk, BlockSize::B512);
        assert_eq!(obstacles, [Obstacle::SameIdentity]);
        assert_eq!(spare(&disk), [], "main has none");
        let larger = Facts {
            size: Sectors::new(ROOM.get() * 2),
            ..disk
        };
        assert_eq!(against_spare(&larger, &disk, BlockSize::B512), []);
    }

    /// A device of this number, which is as well its place in the list.
    fn device(minor: u64, name: &str, parents: &[&str], extents: &[Extent]) -> DeviceInfo {
        let properties = Properties {
            number: DeviceNumber { major: 8, minor },
            parents: parents.iter().map(|name| (*name).to_owned()).collect(),
            extents: extents.to_vec(),
            ..Properties::default()
        };
        DeviceInfo {
            path: Path::new("/dev").join(name),
            name: name.to_owned(),
            size: ROOM,
            logical_block: BlockSize::B512,
            read_only: false,
            usage: Usage::Free,
            faults: 0,
            properties: Some(Arc::new(properties)),
        }
    }

    #[test]
    fn a_part_of_a_disk_and_what_lies_on_it_overlap_the_disk() {
        let on = |place, bytes| Extent {
            at: 0,
            on: place,
            bytes: Some(bytes),
        };
        let number = |minor| Place::Device(DeviceNumber { major: 8, minor });
        let image = Place::File {
            on: DeviceNumber { major: 8, minor: 2 },
            inode: 7,
        };
        let devices = [
            device(0, "sda", &[], &[]),
            device(1, "sda1", &["sda"], &[on(number(0), 0..100)]),
            device(2, "sda2", &["sda"], &[on(number(0), 100..200)]),
            device(3, "dm-0", &["sda1", "sdb"], &[]),
            device(4, "sdb", &[], &[]),
            device(5, "a", &["b"], &[]),
            device(6, "b", &["a"], &[]),
            device(7, "loop0", &[], &[on(image, 0..500)]),
            device(8, "loop1", &[], &[on(image, 400..900)]),
            device(9, "loop2", &[], &[on(image, 500..900)]),
            device(10, "loop3", &[], &[on(number(1), 50..100)]),
        ];
        let layers = layers(&devices);
        let place = |name: &str| match devices.iter().position(|device| device.name == name) {
            Some(minor) => number(minor as u64),
            None => image,
        };
        for (one, other, expected) in [
            ("sda", "sda1", true),
            ("sda1", "sda", true),
            ("dm-0", "sda", true),
            ("sdb", "dm-0", true),
            ("sda1", "sda2", false),
            ("sda2", "dm-0", false),
            ("a", "sda", false),
            ("loop0", "loop1", true),
            ("loop0", "loop2", false),
            ("loop2", "image", true),
            ("image", "sda", false),
            ("loop3", "sda", true),
            ("loop3", "dm-0", true),
            ("loop3", "sda2", false),
        ] {
            let overlap = layers.overlap(place(one), place(other));
            assert_eq!(overlap, expected, "{one} {other}");
        }
    }
}
