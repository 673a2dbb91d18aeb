//! Many devices at once: which are ours, and which belong together.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{look, Depth, Inspection};
use crate::error::Error;
use crate::port::identity;
use crate::port::{Access, BlockStore, DeviceInfo, Host, HostError, Part, Usage};
use crate::remap_core::units::{ArrayUuid, IdentityDigest, Sectors};

/// One device that was looked at.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// What the host says of it.
    pub info: DeviceInfo,
    /// What was seen, or why nothing could be.
    pub seen: Result<Inspection, Error>,
}

impl Scanned {
    /// What was seen, if it is ours.
    pub fn ours(&self) -> Option<&Inspection> {
        self.seen.as_ref().ok().filter(|seen| seen.is_ours())
    }

    /// Everything that it is known as.
    fn known_as(&self) -> impl Iterator<Item = IdentityDigest> {
        let seen = self.seen.as_ref().ok();
        let told = || Some(self.info.properties.as_deref()?.identity);
        let stable = seen.map(|seen| seen.identity).or_else(told);
        let contents = seen.and_then(|seen| seen.signatures.as_deref());
        let contents = contents.map(identity::of_contents);
        let contents = contents.filter(move |contents| Some(*contents) != stable);
        stable.into_iter().chain(contents)
    }

    /// Whether it has this identity, or what lies on it does.
    pub(super) fn is_known_as(&self, identity: IdentityDigest) -> bool {
        !identity.is_none() && self.known_as().any(|known| known == identity)
    }

    /// Whether it lies upon `lower`.
    fn holds(&self, lower: &Self) -> bool {
        let properties = lower.info.properties.as_deref();
        properties.is_some_and(|known| known.holders.contains(&self.info.name))
    }

    /// The identity of main that the metadata on it tells.
    fn main_identity(&self) -> IdentityDigest {
        let extension = self.ours().and_then(|seen| seen.superblock?.extension);
        extension.map_or(IdentityDigest::NONE, |extension| extension.main_identity)
    }
}

/// The devices that are spares of ours, each by the uppermost device that shows it.
fn spares(devices: &[Scanned]) -> impl Iterator<Item = &Scanned> {
    let ours = || devices.iter().filter(|device| device.ours().is_some());
    ours().filter(move |lower| {
        let array = |device: &Scanned| device.ours().map(Inspection::array_uuid);
        !ours().any(|upper| upper.holds(lower) && array(upper) == array(lower))
    })
}

/// Where main of an array is.
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

/// The spares of one array, and its main.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// Its UUID; plain v4 has none.
    pub uuid: Option<ArrayUuid>,
    /// The name in its metadata.
    pub name: Option<String>,
    /// Its spares: one, or clones of each other.
    pub spares: Vec<PathBuf>,
    /// Its main.
    pub main: MainMatch,
    /// The mapped device that it is up as.
    pub active_as: Option<String>,
}

impl Array {
    /// Whether several spares claim to be of this array.
    pub fn is_cloned(&self) -> bool {
        self.spares.len() > 1
    }
}

/// What a scan found.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Every device, in the order in which it was given.
    pub devices: Vec<Scanned>,
    /// Every array of which a spare was found, in the order of the spares.
    pub arrays: Vec<Array>,
}

impl Scan {
    /// The scan of devices that were looked at already.
    pub fn of(devices: Vec<Scanned>) -> Self {
        let arrays = group(&devices);
        Self { devices, arrays }
    }

    /// The devices that are spares of ours. One that shows through another, as a disk
    /// does through its multipath device, is not counted twice.
    pub fn spares(&self) -> impl Iterator<Item = &Inspection> {
        spares(&self.devices).filter_map(Scanned::ours)
    }

    /// The devices of this size on which something with this UUID lies, each by the
    /// uppermost device that shows it. Only devices of that size are opened.
    ///
    /// # Errors
    ///
    /// [`HostError`] if one of them cannot be opened: it might be the one.
    pub fn holding(
        &self,
        host: &mut dyn Host,
        size: Sectors,
        uuid: &str,
    ) -> Result<Vec<PathBuf>, HostError> {
        let mut holding: Vec<&Scanned> = Vec::new();
        for device in self
            .devices
            .iter()
            .filter(|device| device.info.size == size)
        {
            let Ok(seen) = &device.seen else { continue };
            let store = host.open(&device.info.path, Access::Read)?;
            let mut seen = seen.clone();
            seen.look_for_signatures(&*store);
            if seen.holds(uuid) {
                holding.push(device);
            }
        }
        let uppermost = |lower: &&&Scanned| !holding.iter().any(|upper| upper.holds(lower));
        let uppermost = holding.iter().filter(uppermost);
        Ok(uppermost.map(|device| device.info.path.clone()).collect())
    }
}

/// Looks at every device of the host.
///
/// # Errors
///
/// [`HostError`] if there is no list to be had. A device that cannot be opened is part
/// of what was found.
pub fn scan_all(host: &mut dyn Host) -> Result<Scan, HostError> {
    let devices = host.devices()?;
    Ok(scan(host, devices))
}

fn scan(host: &mut dyn Host, devices: Vec<DeviceInfo>) -> Scan {
    let paths: Vec<&Path> = devices.iter().map(|info| info.path.as_path()).collect();
    let seen = look_at_each(host, &paths, |_, seen| seen);
    let scanned = devices.into_iter().zip(seen).map(|(mut info, seen)| {
        if let Ok(seen) = &seen {
            info.size = seen.size;
            info.logical_block = seen.logical_block;
        }
        Scanned { info, seen }
    });
    let mut scanned: Vec<Scanned> = scanned.collect();
    look_for_contents(host, &mut scanned);
    Scan::of(scanned)
}

/// Looks for file systems where that alone can tell a main from others: it takes longer
/// than the scan.
fn look_for_contents(host: &mut dyn Host, devices: &mut [Scanned]) {
    let mut wanted = devices.iter().map(Scanned::main_identity);
    if !wanted.any(|main| identity::is_of_contents(&main)) {
        return;
    }
    for device in devices {
        let Ok(seen) = &mut device.seen else { continue };
        if seen.is_ours() || !seen.identity.is_none() {
            continue;
        }
        if let Ok(store) = host.open(&device.info.path, Access::Read) {
            seen.look_for_signatures(&*store);
        }
    }
}

/// So many devices are opened at once: one thread opens while others read, and no more
/// files are open than there are threads times this.
const BATCH: usize = 8;

/// For fewer devices than this another thread costs more than it saves.
const WORTH_A_THREAD: usize = 32;

/// Looks at every device as closely as a scan needs, and keeps of each what `keep` makes
/// of it, in the order of `paths`. With many devices, several threads look and keep.
pub fn look_at_each<P, T>(
    host: &mut dyn Host,
    paths: &[P],
    keep: impl Fn(&Path, Result<Inspection, Error>) -> T + Sync,
) -> Vec<T>
where
    P: AsRef<Path> + Sync,
    T: Send,
{
    open_each(host, paths, |_, path, store| {
        let seen = store.map(|store| look(&*store, path, Depth::Scan));
        keep(path, seen.map_err(Error::from))
    })
}

/// Opens every device for reading, and keeps of each what `keep` makes of it and of its
/// place, in the order of `paths`. With many devices, several threads do so.
pub fn open_each<P, T>(
    host: &mut dyn Host,
    paths: &[P],
    keep: impl Fn(usize, &Path, Result<Box<dyn BlockStore>, HostError>) -> T + Sync,
) -> Vec<T>
where
    P: AsRef<Path> + Sync,
    T: Send,
{
    let threads = match paths.len() / WORTH_A_THREAD {
        0 | 1 => 1,
        worth => thread::available_parallelism()
            .map_or(1, NonZero::get)
            .min(worth),
    };
    let queue = Mutex::new((host, 0));
    let work = || {
        let mut kept = Vec::new();
        let mut opened = Vec::with_capacity(BATCH);
        loop {
            let mut next = queue.lock().unwrap_or_else(PoisonError::into_inner);
            let (host, first) = &mut *next;
            let rest = paths.get(*first..).unwrap_or_default();
            for (index, path) in (*first..).zip(rest.iter().take(BATCH)) {
                let path = path.as_ref();
                opened.push((index, path, host.open(path, Access::Read)));
            }
            *first += opened.len();
            drop(next);
            if opened.is_empty() {
                return kept;
            }
            for (index, path, store) in opened.drain(..) {
                kept.push((index, keep(index, path, store)));
            }
        }
    };
    let mut kept = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut kept = work();
        for other in others {
            match other.join() {
                Ok(more) => kept.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        kept
    });
    kept.sort_unstable_by_key(|(index, _)| *index);
    kept.into_iter().map(|(_, kept)| kept).collect()
}

/// Puts spares of one array together. Spares of plain v4 have nothing that would bind
/// them: each is on its own.
fn group(devices: &[Scanned]) -> Vec<Array> {
    let mut by_identity = ByIdentity::new();
    for device in devices {
        for known in device.known_as() {
            by_identity.entry(known).or_default().push(device);
        }
    }
    let mut by_uuid: BTreeMap<ArrayUuid, usize> = BTreeMap::new();
    let mut arrays: Vec<Array> = Vec::new();
    for device in spares(devices) {
        let Some(seen) = device.ours() else { continue };
        let uuid = seen.array_uuid();
        let active_as = match &device.info.usage {
            Usage::Mapped {
                name,
                part: Part::Spare,
            } => Some(name.clone()),
            _ => None,
        };
        let known = uuid.map(|uuid| *by_uuid.entry(uuid).or_insert(arrays.len()));
        match known.and_then(|index| arrays.get_mut(index)) {
            Some(array) => {
                array.spares.push(seen.path.clone());
                array.active_as = array.active_as.take().or(active_as);
            }
            None => arrays.push(Array {
                uuid,
                name: seen.name.clone(),
                spares: vec![seen.path.clone()],
                main: find_main(seen, &by_identity),
                active_as,
            }),
        }
    }
    arrays
}

type ByIdentity<'a> = BTreeMap<IdentityDigest, Vec<&'a Scanned>>;

/// Finds main by what is stable about it. A path in the metadata is never looked at.
fn find_main(spare: &Inspection, devices: &ByIdentity<'_>) -> MainMatch {
    let Some(superblock) = &spare.superblock else {
        return MainMatch::Unknown;
    };
    let main = match &superblock.extension {
        Some(extension) if !extension.main_identity.is_none() => extension.main_identity,
        _ => return MainMatch::Unknown,
    };
    let matching = devices.get(&main).map_or(&[][..], Vec::as_slice);
    // A file system shows through every layer of the device that it lies on.
    let mut uppermost = matching.to_vec();
    uppermost.retain(|lower| !matching.iter().any(|upper| upper.holds(lower)));
    let matching = uppermost.as_slice();
    match matching {
        // Another file system may have been made on it since.
        [] if identity::is_of_contents(&main) => MainMatch::Unknown,
        [] => MainMatch::NotFound,
        [only] if only.info.size == superblock.main_sectors => {
            MainMatch::Found(only.info.path.clone())
        }
        [only] => MainMatch::OtherSize {
            path: only.info.path.clone(),
            size: only.info.size,
        },
        _ => MainMatch::Ambiguous(
            matching
                .iter()
                .map(|device| device.info.path.clone())
                .collect(),
        ),
    }
}
