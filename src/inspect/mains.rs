//! Mains: the device that a spare's metadata tells of, found by what is stable about it. A path
//! in the metadata is never looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::scan::look_for_contents;
use super::{look_at_each, Inspection, MainSeen, Scanned};
use crate::error::Error;
use crate::port::{identity, DeviceInfo, Host, Part, Usage};
use crate::remap_core::main_verdict::MainVerdict;
use crate::remap_core::units::{ArrayUuid, IdentityDigest, Sectors};

/// Place of an array's main.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MainMatch {
    /// There: its identity and its size are as the metadata says.
    Found(PathBuf),
    /// A device of that identity has another size.
    OtherSize {
        /// The device.
        path: PathBuf,
        /// Its size.
        size: Sectors,
    },
    /// Several devices have that identity.
    Ambiguous(Vec<PathBuf>),
    /// No device has it.
    NotFound,
    /// The metadata knows nothing stable of main: only an operator can tell it.
    Unknown,
}

/// The places of devices in a list, by what they are known as: what is stable about them, and
/// for a main that bears labels the array that they name.
#[derive(Debug, Default)]
pub(super) struct ByIdentity {
    known: BTreeMap<IdentityDigest, Vec<usize>>,
    labelled: BTreeMap<ArrayUuid, Vec<usize>>,
}

impl ByIdentity {
    pub(super) fn of(devices: &[Scanned]) -> Self {
        let mut found = Self::default();
        for (place, device) in devices.iter().enumerate() {
            for known in device.known_as() {
                found.known.entry(known).or_default().push(place);
            }
            let label = device.seen.as_ref().ok().and_then(|seen| seen.label());
            if let Some(label) = label {
                found.labelled.entry(label.array).or_default().push(place);
            }
        }
        found
    }

    /// The devices that are main of a spare by their labels. Copies of main say so too: the
    /// disk that the labels were written to is the one, if it is known.
    fn by_label<'a>(&self, spare: &Inspection, devices: &'a [Scanned]) -> Vec<&'a Scanned> {
        let superblock = spare.superblock.as_ref();
        let superblock = superblock.filter(|it| it.main_form().has_labels());
        let Some((superblock, array)) = superblock.zip(spare.array_uuid()) else {
            return Vec::new();
        };
        let places = self.labelled.get(&array).map_or(&[][..], Vec::as_slice);
        let places = places.iter().filter_map(|place| devices.get(*place));
        let is_main = |device: &&Scanned| {
            let seen = device.seen.as_ref().ok();
            let labels = seen.and_then(|it| it.labels.as_deref());
            labels.is_some_and(|labels| MainVerdict::of_readings(labels, superblock).is_main())
        };
        let found = uppermost(places.filter(is_main).collect());
        let is_original = |device: &&Scanned| {
            let seen = device.seen.as_ref().ok();
            let label = seen.and_then(|seen| Some((seen, seen.label()?)));
            label.is_some_and(|(seen, label)| {
                !label.identity.is_none() && seen.is_known_as(&label.identity)
            })
        };
        let mut originals = found.iter().copied().filter(is_original);
        match (originals.next(), originals.next()) {
            (Some(only), None) => vec![only],
            _ => found,
        }
    }

    /// The devices that are main of a spare: by label, where it bears any, else by identity.
    fn candidates<'a>(&self, spare: &Inspection, devices: &'a [Scanned]) -> Vec<&'a Scanned> {
        let labelled = self.by_label(spare, devices);
        match labelled.is_empty() {
            true => self.by_identity(&spare.main_identity(), devices),
            false => labelled,
        }
    }

    /// Main of a spare, among the `devices` that this was made of.
    pub(super) fn main_of(&self, spare: &Inspection, devices: &[Scanned]) -> MainMatch {
        let main = spare.main_identity();
        let Some(stated) = spare.superblock else {
            return MainMatch::Unknown;
        };
        let is_labelled = stated.main_form().has_labels();
        match self.candidates(spare, devices).as_slice() {
            [] if main.is_none() && !is_labelled => MainMatch::Unknown,
            // Another file system may have been made on it since.
            [] if identity::is_of_contents(&main) => MainMatch::Unknown,
            [] => MainMatch::NotFound,
            [only] if only.info.size == stated.main_sectors => {
                MainMatch::Found(only.info.path.clone())
            }
            [only] => MainMatch::OtherSize {
                path: only.info.path.clone(),
                size: only.info.size,
            },
            several => {
                let paths = several.iter().map(|device| device.info.path.clone());
                MainMatch::Ambiguous(paths.collect())
            }
        }
    }

    /// Size and blocks of a spare's main, if it is there.
    fn seen_of(&self, spare: &Inspection, devices: &[Scanned]) -> Option<MainSeen> {
        match self.candidates(spare, devices).as_slice() {
            [only] => Some(MainSeen {
                size: only.info.size,
                block_bytes: only.info.logical_block_bytes(),
                labels: only.seen.as_ref().ok().and_then(|seen| seen.labels.clone()),
            }),
            _ => None,
        }
    }

    /// The devices that are known as `main`, without those that show through others.
    fn by_identity<'a>(&self, main: &IdentityDigest, devices: &'a [Scanned]) -> Vec<&'a Scanned> {
        let places = match main.is_none() {
            true => None,
            false => self.known.get(main),
        };
        let places = places.map_or(&[][..], Vec::as_slice).iter();
        uppermost(places.filter_map(|place| devices.get(*place)).collect())
    }

    /// Has every spare among `devices` judged with its main, if that is among them too.
    pub(super) fn note_each(&self, devices: &mut [Scanned]) {
        let measured = devices.iter().map(|device| {
            let seen = device.ours()?;
            Some(self.seen_of(seen, devices))
        });
        let measured: Vec<_> = measured.collect();
        for (device, main) in devices.iter_mut().zip(measured) {
            if let (Ok(seen), Some(main)) = (&mut device.seen, main) {
                if seen.main != main {
                    Arc::make_mut(seen).judge_with_main(main);
                }
            }
        }
    }
}

/// Those of `matching` that do not show through others of them.
fn uppermost(matching: Vec<&Scanned>) -> Vec<&Scanned> {
    let is_active_main = |device: &&Scanned| {
        let usage = &device.info.usage;
        matches!(usage, Usage::Mapped { part, .. } if *part == Part::Main)
    };
    // What lies on main shows through the mapped device as well.
    let mut active = matching.iter().copied().filter(is_active_main);
    if let (Some(only), None) = (active.next(), active.next()) {
        return vec![only];
    }
    let is_below = |lower: &Scanned| matching.iter().any(|upper| upper.holds(lower));
    let uppermost = matching.iter().copied().filter(|it| !is_below(it));
    uppermost.collect()
}

/// The devices of a host among which mains are looked for, listed when the first is.
#[derive(Debug, Default)]
pub struct Mains {
    devices: Option<Vec<Scanned>>,
    by_identity: ByIdentity,
    /// File systems were looked for on those that nothing else is known of.
    with_contents: bool,
    /// Labels were looked for on all of them.
    with_labels: bool,
}

impl Mains {
    /// Devices by what the machine tells of them: none is ever opened.
    pub fn listed(devices: Vec<DeviceInfo>) -> Self {
        let devices: Vec<Scanned> = devices.into_iter().map(unseen).collect();
        Self {
            by_identity: ByIdentity::of(&devices),
            devices: Some(devices),
            with_contents: true,
            with_labels: true,
        }
    }

    /// Has a spare judged with its main, if that is here. What the machine tells of its devices
    /// does; only those of which it tells nothing stable are opened, or all for a main that is
    /// known by its labels.
    pub fn note(&mut self, host: &mut dyn Host, seen: &mut Inspection) {
        let main = seen.main_identity();
        let superblock = seen.superblock.as_ref();
        let is_labelled = superblock.is_some_and(|it| it.main_form().has_labels());
        if main.is_none() && !is_labelled {
            return;
        }
        if self.devices.is_none() {
            // Without a list no main is found, as where main is not here.
            let listed = host.devices().unwrap_or_default();
            let mut devices: Vec<Scanned> = listed.into_iter().map(unseen).collect();
            look_at(host, &mut devices, |info| info.properties.is_none());
            self.by_identity = ByIdentity::of(&devices);
            self.devices = Some(devices);
        }
        let devices = self.devices.get_or_insert_default();
        if is_labelled && !std::mem::replace(&mut self.with_labels, true) {
            look_at(host, devices, |info| info.properties.is_some());
            self.by_identity = ByIdentity::of(devices);
        }
        if identity::is_of_contents(&main) && !std::mem::replace(&mut self.with_contents, true) {
            look_at(host, devices, |info| {
                let told = info.properties.as_deref();
                told.is_some_and(|told| told.identity.is_none())
            });
            look_for_contents(host, devices);
            self.by_identity = ByIdentity::of(devices);
        }
        self.note_known(seen);
    }

    /// Has a spare judged with its main, if that is among the devices that are known.
    pub fn note_known(&self, seen: &mut Inspection) {
        let devices = self.devices.as_deref().unwrap_or_default();
        let main = self.by_identity.seen_of(seen, devices);
        if seen.main != main {
            seen.judge_with_main(main);
        }
    }
}

fn unseen(info: DeviceInfo) -> Scanned {
    let seen = Err(Error::failed("unseen", "not looked at"));
    Scanned { info, seen }
}

/// Looks at those of `devices` that are `wanted`.
fn look_at(host: &mut dyn Host, devices: &mut [Scanned], wanted: impl Fn(&DeviceInfo) -> bool) {
    let wanted: Vec<&mut Scanned> = devices.iter_mut().filter(|it| wanted(&it.info)).collect();
    let paths: Vec<PathBuf> = wanted.iter().map(|it| it.info.path.clone()).collect();
    let seen = look_at_each(host, &paths, |_: &Path, seen| seen);
    for (device, seen) in wanted.into_iter().zip(seen) {
        device.seen = seen.map(Arc::new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{inspect, Scan};
    use crate::port::block::Properties;
    use crate::remap_core::quorum::Verdict;
    use crate::remap_core::units::BlockSize;
    use crate::tui::sample;

    /// A device with this identity as a machine lists it.
    fn told(name: &str, identity: u8, size: Sectors, block: BlockSize, usage: Usage) -> Scanned {
        let properties = Properties {
            identity: IdentityDigest::new([identity; 16]),
            ..Properties::default()
        };
        unseen(DeviceInfo {
            logical_block: block,
            properties: Some(Arc::new(properties)),
            ..sample::device(name, size, usage)
        })
    }

    /// A spare whose main is to have the identity 6.
    fn spare() -> Scanned {
        let superblock = sample::superblock(7, "disk-a", "disk-b");
        let store = sample::spare(superblock, "vault");
        let seen = inspect(&store, &sample::path("disk-b"));
        let info = sample::device("disk-b", superblock.spare_sectors, Usage::Free);
        let seen = Ok(Arc::new(seen));
        Scanned { info, seen }
    }

    fn main(change: i64, block: BlockSize) -> Scanned {
        let size = sample::MAIN.get().checked_add_signed(change).unwrap();
        told("disk-a", 6, Sectors::new(size), block, Usage::Free)
    }

    /// The verdict and the findings that a spare gets among these others.
    fn judged(others: &[Scanned]) -> (Verdict, Vec<&'static str>) {
        let devices: Vec<Scanned> = others.iter().cloned().chain([spare()]).collect();
        let scan = Scan::of(devices);
        let seen = scan.spares().next().unwrap();
        let ids = seen.findings.iter().map(|finding| finding.id);
        // One by one, they are judged the same.
        let infos = others.iter().map(|it| it.info.clone());
        let mut alone = Arc::unwrap_or_clone(spare().seen.unwrap());
        Mains::listed(infos.collect()).note_known(&mut alone);
        assert_eq!(alone, *seen);
        (seen.verdict(), ids.collect())
    }

    #[test]
    fn a_spare_is_judged_with_the_main_that_is_here() {
        use BlockSize::{B4096, B512};
        use Verdict::{Healthy, Unsupported};
        let other = told("disk-c", 9, Sectors::new(8), B4096, Usage::Free);
        let clone = || told("disk-c", 6, sample::MAIN, B512, Usage::Free);
        let table: [(&[Scanned], Verdict, &[&str]); 8] = [
            (&[], Healthy, &[]),
            (&[other], Healthy, &[]),
            (&[main(0, B512)], Healthy, &[]),
            (&[main(0, B4096)], Unsupported, &["block-size"]),
            (&[main(-1, B512)], Unsupported, &["main-size"]),
            (&[main(1, B512)], Unsupported, &["main-size"]),
            (&[main(8, B4096)], Unsupported, &["main-size", "block-size"]),
            // There is no telling which of them it is.
            (&[main(8, B512), clone()], Healthy, &[]),
        ];
        for (others, verdict, ids) in table {
            let (found, mut told) = judged(others);
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            told.sort_unstable();
            assert_eq!((found, told), (verdict, ids), "{others:?}");
        }
    }

    #[test]
    fn a_main_that_went_away_counts_no_more() {
        let scan = Scan::of(vec![main(8, BlockSize::B512), spare()]);
        let spare = scan.devices.into_iter().nth(1).unwrap();
        assert_eq!(spare.ours().unwrap().verdict(), Verdict::Unsupported);
        let scan = Scan::of(vec![spare]);
        assert_eq!(scan.spares().next().unwrap().verdict(), Verdict::Healthy);
    }

    #[test]
    fn the_mapped_device_does_not_stand_for_main() {
        let (name, part) = ("vault".to_owned(), Part::Main);
        let active = Usage::Mapped { name, part };
        let mut below = told("disk-a", 6, sample::MAIN, BlockSize::B512, active);
        let known = below.info.properties.as_deref().unwrap();
        let properties = Properties {
            holders: vec!["vault".to_owned()],
            ..known.clone()
        };
        below.info.properties = Some(Arc::new(properties));
        let size = Sectors::new(sample::MAIN.get() - 7);
        let above = told("vault", 6, size, BlockSize::B512, Usage::Free);
        assert_eq!(
            judged(&[below.clone(), above.clone()]),
            (Verdict::Healthy, vec![])
        );
        // A device of others, as one of several paths, does.
        below.info.usage = Usage::InUse("vault".to_owned());
        let (verdict, _) = judged(&[below, above]);
        assert_eq!(verdict, Verdict::Unsupported);
    }
}
