//! Many devices at once: which are ours, and which belong together.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::mains::{ByIdentity, MainMatch};
use super::{look, Depth, Inspection};
use crate::error::Error;
use crate::port::identity;
use crate::port::{Access, BlockStore, DeviceInfo, Host, HostError, Part, Usage};
use crate::remap_core::units::{ArrayUuid, IdentityDigest, Sectors};

/// One device that was looked at.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// The host's description of it.
    pub info: DeviceInfo,
    /// Inspection, or the reason why there is none.
    pub seen: Result<Arc<Inspection>, Error>,
}

impl Scanned {
    /// Inspection of a device that is ours.
    pub fn ours(&self) -> Option<&Inspection> {
        self.seen.as_deref().ok().filter(|seen| seen.is_ours())
    }

    /// Everything that it is known as.
    pub(super) fn known_as(&self) -> impl Iterator<Item = IdentityDigest> {
        let seen = self.seen.as_ref().ok();
        let told = || Some(self.info.properties.as_deref()?.identity);
        let stable = seen.map(|seen| seen.identity).or_else(told);
        let contents = seen.and_then(|seen| seen.signatures.as_deref());
        let contents = contents.map(identity::of_contents);
        let contents = contents.filter(move |contents| Some(*contents) != stable);
        stable.into_iter().chain(contents)
    }

    /// Tells whether it has this identity, or what lies on it does.
    pub(super) fn is_known_as(&self, identity: IdentityDigest) -> bool {
        !identity.is_none() && self.known_as().any(|known| known == identity)
    }

    /// Tells whether it lies upon `lower`.
    pub(super) fn holds(&self, lower: &Self) -> bool {
        let properties = lower.info.properties.as_deref();
        properties.is_some_and(|known| known.holders.contains(&self.info.name))
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
    /// Tells whether several spares claim to be of this array.
    pub fn is_cloned(&self) -> bool {
        self.spares.len() > 1
    }
}

/// Devices and arrays that a scan found.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Every device, in the order in which it was given.
    pub devices: Vec<Scanned>,
    /// Every array of which a spare was found, in the order of the spares.
    pub arrays: Vec<Array>,
}

impl Scan {
    /// The scan of devices that were looked at already. Each spare is judged with its main.
    pub fn of(mut devices: Vec<Scanned>) -> Self {
        let by_identity = ByIdentity::of(&devices);
        by_identity.note_each(&mut devices);
        let arrays = group(&devices, &by_identity);
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
            let mut seen = Inspection::clone(seen);
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
        let seen = seen.map(Arc::new);
        Scanned { info, seen }
    });
    let mut scanned: Vec<Scanned> = scanned.collect();
    let mut mains = scanned.iter().filter_map(Scanned::ours);
    if mains.any(|seen| identity::is_of_contents(&seen.main_identity())) {
        look_for_contents(host, &mut scanned);
    }
    Scan::of(scanned)
}

/// Looks for file systems on what has nothing else to be known by: it takes longer than the
/// scan.
pub(super) fn look_for_contents(host: &mut dyn Host, devices: &mut [Scanned]) {
    for device in devices {
        let Ok(seen) = &mut device.seen else { continue };
        if seen.is_ours() || !seen.identity.is_none() {
            continue;
        }
        if let Ok(store) = host.open(&device.info.path, Access::Read) {
            Arc::make_mut(seen).look_for_signatures(&*store);
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
fn group(devices: &[Scanned], by_identity: &ByIdentity) -> Vec<Array> {
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
                main: by_identity.main_of(seen, devices),
                active_as,
            }),
        }
    }
    arrays
}
