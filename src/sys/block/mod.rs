//! The machine's block devices, from sysfs, udev's database and the mount tables.
//!
//! Every path begins at [`Roots`], so that a tree that was made up serves as well as the
//! machine's own.

mod backing;
mod mounts;
mod node;
mod partitions;
mod udev;

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backing::{place_of, shows_another};
use mounts::{on_mounts, Mounts};
use node::Node;

pub(super) use partitions::forget as forget_partitions;

use super::host_error;
use crate::port::block::{DeviceNumber, Kind, Properties};
use crate::port::device_mapper::Line;
use crate::port::layers::{meets, Extent, Ground, Layers, Place};
use crate::port::{BlockDevice, DeviceInfo, HostError, Usage};
use crate::remap_core::units::IdentityDigest;
use crate::text::{escape_os, escape_path};

/// Where the kernel and udev tell of block devices.
#[derive(Clone, Debug)]
pub struct Roots {
    /// sysfs.
    pub sys: PathBuf,
    /// procfs.
    pub proc: PathBuf,
    /// udev's directory.
    pub udev: PathBuf,
    /// The device nodes.
    pub dev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            sys: "/sys".into(),
            proc: "/proc".into(),
            udev: "/run/udev".into(),
            dev: "/dev".into(),
        }
    }
}

impl Roots {
    fn udev_data(&self) -> PathBuf {
        self.udev.join("data")
    }

    /// The directory of a device, by its number.
    fn directory(&self, number: DeviceNumber) -> Option<PathBuf> {
        let link = self.sys.join(format!("dev/block/{number}"));
        std::fs::canonicalize(link).ok()
    }

    fn mountinfo(&self) -> PathBuf {
        self.proc.join("self/mountinfo")
    }

    /// What is mounted; where that cannot be read, why.
    fn mounts(&self) -> Result<Mounts, std::io::Error> {
        let mountinfo = std::fs::read(self.mountinfo())?;
        // A kernel without swap has no table of it.
        let swaps = std::fs::read(self.proc.join("swaps")).unwrap_or_default();
        Ok(Mounts::parse(&mountinfo, &swaps))
    }

    /// File systems over several devices that are mounted, by the kernel's name of each
    /// of their devices.
    fn pools(&self) -> BTreeMap<OsString, String> {
        let mut pools = BTreeMap::new();
        let names = |path: &Path| {
            let entries = std::fs::read_dir(path).into_iter().flatten();
            entries.filter_map(|entry| Some(entry.ok()?.file_name()))
        };
        let btrfs = self.sys.join("fs/btrfs");
        for uuid in names(&btrfs) {
            for device in names(&btrfs.join(&uuid).join("devices")) {
                let pool = format!("the btrfs file system {}", escape_os(&uuid));
                pools.insert(device, pool);
            }
        }
        pools
    }
}

/// Asks for the table of a mapped device by its name in device-mapper; nothing of one that
/// cannot be asked.
pub type Tables<'a> = &'a dyn Fn(&str) -> Vec<Line>;

/// Every block device that has a size, sorted by name; where mapped devices lie is not asked.
///
/// # Errors
///
/// As those of [`list_with`].
pub fn list(roots: &Roots) -> Result<Vec<DeviceInfo>, HostError> {
    list_with(roots, &|_| Vec::new())
}

/// Every block device that has a size, sorted by name.
///
/// # Errors
///
/// [`HostError`] if the list cannot be read. What cannot be read of one device is told
/// with it.
pub fn list_with(roots: &Roots, tables: Tables<'_>) -> Result<Vec<DeviceInfo>, HostError> {
    let class = roots.sys.join("class/block");
    let entries = match std::fs::read_dir(&class) {
        Ok(entries) => entries,
        // A container without block devices may have no such directory.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return require_sysfs(&roots.sys).map(|()| Vec::new());
        }
        Err(error) => return Err(host_error(&class, error)),
    };
    let udev_data = roots.udev_data();
    let nodes = entries.filter_map(|entry| {
        let link = entry.ok()?.path();
        // The link leads to where the device hangs; a made-up tree may do without.
        let directory = std::fs::read_link(&link).map_or(link, |to| class.join(to));
        let node = Node::read(&directory, &udev_data)?;
        (node.size.get() > 0).then(|| (node.name.clone(), node))
    });
    let mounts = roots.mounts();
    let unread = mounts
        .is_err()
        .then(|| escape_path(&roots.mountinfo()).into_owned());
    let mut tree = Tree::new(roots, mounts.unwrap_or_default());
    tree.nodes = nodes.collect();
    for node in tree.nodes.values_mut() {
        node.unread.extend(unread.clone());
    }
    tree.link(roots, tables);
    let mut devices: Vec<DeviceInfo> = tree
        .nodes
        .values()
        .map(|node| tree.describe(node, roots))
        .collect();
    devices.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(devices)
}

/// Refuses to take it for a machine without devices where sysfs is not there.
pub(super) fn require_sysfs(sys: &Path) -> Result<(), HostError> {
    match sys.join("class").exists() {
        true => Ok(()),
        false => Err(HostError::Io {
            what: format!(
                "no sysfs is mounted on {}, so no device can be seen",
                escape_path(sys)
            ),
            source: std::io::ErrorKind::NotFound.into(),
        }),
    }
}

/// What the block device or image file at `path` is used for: by itself, through what lies
/// over it, and through what it lies on.
///
/// # Errors
///
/// [`HostError`] if there is nothing at `path`, or it cannot be looked at.
pub fn usage(roots: &Roots, tables: Tables<'_>, path: &Path) -> Result<Usage, HostError> {
    let found = std::fs::metadata(path).map_err(|error| host_error(path, error))?;
    let place = place_of(&found);
    let mounts = roots.mounts().map_err(|source| HostError::Io {
        what: format!(
            "{}: what is mounted cannot be told",
            escape_path(&roots.mountinfo())
        ),
        source,
    })?;
    let mut tree = Tree::new(roots, mounts);
    if let Place::Device(number) = place {
        tree.take_with_kin(roots, roots.directory(number));
    }
    tree.take_shown(roots);
    // Twice: of a mapping it bears on its use what else holds the disks under it.
    tree.take_holders(roots);
    tree.take_holders(roots);
    tree.link(roots, tables);
    Ok(tree.usage(place))
}

/// What is stable about the block device of this number.
pub(super) fn identity(roots: &Roots, number: DeviceNumber) -> IdentityDigest {
    roots
        .directory(number)
        .and_then(|directory| Node::read(&directory, &roots.udev_data()))
        .map_or(IdentityDigest::NONE, |node| node.identity)
}

/// The block device of this number, if there is one.
pub(super) fn find(roots: &Roots, number: DeviceNumber) -> Option<BlockDevice> {
    let directory = roots.directory(number)?;
    let node = Node::read(&directory, &roots.udev_data())?;
    let disk = match node.disk {
        Some(_) => Node::read(directory.parent()?, &roots.udev_data()),
        None => None,
    };
    let disk = disk.as_ref().unwrap_or(&node);
    Some(BlockDevice {
        path: roots.dev.join(&node.device_name),
        logical_block: disk.unit(),
        partition_label: node.udev.partition_label().map(str::to_owned),
        partition_uuid: node.partition_uuid,
    })
}

/// The node of the disk that the device of this number is a partition of; none where it
/// is no partition.
pub(super) fn whole_disk(roots: &Roots, number: DeviceNumber) -> Option<PathBuf> {
    let directory = roots.directory(number)?;
    let udev_data = roots.udev_data();
    Node::read(&directory, &udev_data)?.disk?;
    let disk = Node::read(directory.parent()?, &udev_data)?;
    Some(roots.dev.join(disk.device_name))
}

/// The number of the block device at `path`; none for anything else.
fn block_number(path: &Path) -> Result<Option<DeviceNumber>, HostError> {
    let found = std::fs::metadata(path).map_err(|error| host_error(path, error))?;
    Ok(match place_of(&found) {
        Place::Device(number) => Some(number),
        Place::File { .. } => None,
    })
}

/// A device number as the system has it, taken apart.
pub(super) fn number_of(device: u64) -> DeviceNumber {
    DeviceNumber {
        major: nix::sys::stat::major(device),
        minor: nix::sys::stat::minor(device),
    }
}

/// Devices by the kernel's names, and what they are used for.
struct Tree {
    nodes: BTreeMap<OsString, Node>,
    mounts: Mounts,
    pools: BTreeMap<OsString, String>,
    names: HashMap<DeviceNumber, OsString>,
    layers: Layers,
    extents: BTreeMap<OsString, Vec<Extent>>,
    /// The devices that lie in each place in the end, with the bytes that are theirs there.
    sharing: HashMap<Place, Vec<(OsString, Range<u64>)>>,
}

impl Tree {
    fn new(roots: &Roots, mounts: Mounts) -> Self {
        Self {
            nodes: BTreeMap::new(),
            mounts,
            pools: roots.pools(),
            names: HashMap::new(),
            layers: Layers::default(),
            extents: BTreeMap::new(),
            sharing: HashMap::new(),
        }
    }

    /// Takes up the device in this directory of sysfs with its disk and all its partitions.
    fn take_with_kin(&mut self, roots: &Roots, directory: Option<PathBuf>) {
        let udev_data = roots.udev_data();
        let Some(directory) = directory else {
            return;
        };
        let disk = match directory.parent() {
            Some(disk) if directory.join("partition").exists() => disk.to_owned(),
            _ => directory,
        };
        let entries = std::fs::read_dir(&disk).into_iter().flatten();
        let below = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let partitions = below.filter(|path| path.join("partition").exists());
        for directory in partitions.chain([disk.clone()]) {
            if let Some(node) = Node::read(&directory, &udev_data) {
                self.nodes.insert(node.name.clone(), node);
            }
        }
    }

    /// Takes up every device that shows a file or another device, and what it shows.
    fn take_shown(&mut self, roots: &Roots) {
        let class = roots.sys.join("class/block");
        let entries = std::fs::read_dir(&class).into_iter().flatten();
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        for name in names.filter(|name| shows_another(name.as_bytes())) {
            let directory = class.join(&name);
            if directory.join("loop").exists() || directory.join("pid").exists() {
                self.take_with_kin(roots, std::fs::canonicalize(directory).ok());
            }
        }
        let shown = self.nodes.values();
        let shown = shown.flat_map(|node| backing::extents(roots, node, None, &[]));
        let shown: Vec<Place> = shown.map(|extent| extent.on).collect();
        for place in shown {
            if let Place::Device(number) = place {
                self.take_with_kin(roots, roots.directory(number));
            }
        }
    }

    /// Takes up whoever holds one of them, to be told by its own name, and what they lie on.
    fn take_holders(&mut self, roots: &Roots) {
        let nodes = self.nodes.values();
        let kin = nodes.flat_map(|node| node.holders.iter().chain(&node.slaves));
        let kin: Vec<OsString> = kin.cloned().collect();
        for name in kin {
            if !self.nodes.contains_key(&name) {
                let link = roots.sys.join("class/block").join(&name);
                self.take_with_kin(roots, std::fs::canonicalize(link).ok());
            }
        }
    }

    /// Finds out where the bytes of every device lie.
    fn link(&mut self, roots: &Roots, tables: Tables<'_>) {
        let number_of = |name: &OsString| Some(self.nodes.get(name)?.number);
        for node in self.nodes.values() {
            let lines = match (&node.kind, &node.label) {
                (Kind::Mapped(_), Some(name)) => tables(name),
                _ => Vec::new(),
            };
            let disk = node.disk.as_ref().and_then(number_of);
            let extents = backing::extents(roots, node, disk, &lines);
            let below = node.slaves.iter().filter_map(number_of).collect();
            self.layers.add(node.number, extents.clone(), below);
            self.extents.insert(node.name.clone(), extents);
        }
        for node in self.nodes.values() {
            self.names.insert(node.number, node.name.clone());
            for (place, bytes) in self.layers.grounds(Place::Device(node.number)) {
                let there = self.sharing.entry(place).or_default();
                there.push((node.name.clone(), bytes));
            }
        }
    }

    fn disk_of(&self, node: &Node) -> Option<&Node> {
        self.nodes.get(node.disk.as_ref()?)
    }

    fn describe(&self, node: &Node, roots: &Roots) -> DeviceInfo {
        let disk = self.disk_of(node).unwrap_or(node);
        let mut parents: Vec<OsString> = node.slaves.clone();
        parents.extend(node.disk.clone());
        parents.sort();
        let shown = |names: &[OsString]| -> Vec<String> {
            let names = names.iter();
            names
                .map(|name| escape_os(&node::slashes(name)).into_owned())
                .collect()
        };
        let mut unread = node.unread.clone();
        if disk.logical_block.is_none() && disk.large_block_bytes.is_none() {
            unread.push("queue/logical_block_size".to_owned());
        }
        unread.sort();
        unread.dedup();
        let properties = Properties {
            number: node.number,
            kind: node.kind.clone(),
            parents: shown(&parents),
            extents: self.extents.get(&node.name).cloned().unwrap_or_default(),
            holders: shown(&node.holders),
            label: node.label.clone(),
            model: disk.model.clone(),
            serial: disk.serial.clone(),
            wwid: disk.wwid.clone(),
            partition_uuid: node.partition_uuid.clone(),
            large_block_bytes: disk.large_block_bytes,
            physical_block_bytes: disk.physical_block_bytes,
            rotational: disk.rotational,
            mounts: self.places(node),
            is_swap: self.is_swap(node),
            signatures: node.udev.signatures(),
            identity: node.identity,
            unread,
        };
        DeviceInfo {
            path: roots.dev.join(&node.device_name),
            name: escape_os(&node.device_name).into_owned(),
            size: node.size,
            logical_block: disk.unit(),
            read_only: node.read_only,
            usage: self.usage(Place::Device(node.number)),
            faults: 0,
            properties: Some(Arc::new(properties)),
        }
    }

    /// What a device or a file is used for: by itself, or through a device that has bytes in
    /// common with it.
    fn usage(&self, place: Place) -> Usage {
        let grounds = self.layers.grounds(place);
        let name = |node: &Node| escape_os(&node.name).into_owned();
        let own = match place {
            Place::Device(number) => {
                let name = self.names.get(&number);
                let node = name.and_then(|name| self.nodes.get(name));
                node.and_then(|node| self.use_of(node, place, &grounds))
            }
            Place::File { .. } => self.mounts.use_of_file(place),
        };
        let through = || {
            let mut kin = self.kin(place, &grounds).into_values();
            kin.find_map(|it| {
                Some(format!(
                    "{} on {}",
                    self.use_of(it, place, &grounds)?,
                    name(it)
                ))
            })
        };
        // A file that lies under a device may itself be the swap.
        let below = || {
            let mut below = grounds.iter().map(|(place, _)| *place);
            below.find_map(|below| self.mounts.use_of_file(below).filter(|_| below != place))
        };
        match own.or_else(through).or_else(below) {
            Some(by) => Usage::InUse(by),
            None => Usage::Free,
        }
    }

    /// The devices, by name, that have bytes in common with what lies on these grounds.
    fn kin(&self, place: Place, grounds: &[Ground]) -> BTreeMap<&OsString, &Node> {
        let there = grounds.iter().flat_map(|ground| {
            let there = self.sharing.get(&ground.0).into_iter().flatten();
            there.filter(move |(_, bytes)| meets(grounds, &(ground.0, bytes.clone())))
        });
        let nodes = there.filter_map(|(name, _)| self.nodes.get_key_value(name));
        nodes
            .filter(|(_, node)| Place::Device(node.number) != place)
            .collect()
    }

    /// Who uses the device `node` so that it bears on the use of `place`, which lies on these
    /// `grounds`.
    fn use_of(&self, node: &Node, place: Place, grounds: &[Ground]) -> Option<String> {
        let places = self.places(node);
        if !places.is_empty() {
            return Some(on_mounts(&places));
        }
        if self.is_swap(node) {
            return Some("the machine's swap".to_owned());
        }
        // A mapping holds the whole of what it is a stretch of: what it is used for itself, and
        // whether it is another stretch, is seen by its bytes.
        let bears = |holder: &&OsString| {
            let Some(holder) = self.nodes.get(*holder) else {
                return true;
            };
            let is_stretch = self
                .extents
                .get(&holder.name)
                .is_some_and(|it| !it.is_empty());
            let is_node = Place::Device(node.number) == place;
            let is_itself = Place::Device(holder.number) == place;
            let mut own = self
                .layers
                .grounds(Place::Device(holder.number))
                .into_iter();
            is_node || !is_stretch || (!is_itself && own.any(|it| meets(grounds, &it)))
        };
        let holders = node.holders.iter().filter(bears);
        let holders: Vec<String> = holders.map(|holder| self.holder(holder)).collect();
        if !holders.is_empty() {
            return Some(holders.join(", "));
        }
        self.pools.get(&node.name).cloned()
    }

    /// A holder by the kernel's name, and by its own where it has one.
    fn holder(&self, name: &OsStr) -> String {
        let label = self.nodes.get(name).and_then(|node| node.label.as_ref());
        match label {
            Some(label) => format!("{} ({label})", escape_os(name)),
            None => escape_os(name).into_owned(),
        }
    }

    fn places(&self, node: &Node) -> Vec<String> {
        self.with_names(node, |names| self.mounts.places(node.number, names))
    }

    fn is_swap(&self, node: &Node) -> bool {
        self.with_names(node, |names| self.mounts.is_swap(names))
    }

    /// The names by which the mount tables may call a device.
    fn with_names<T>(&self, node: &Node, ask: impl FnOnce(&[&[u8]]) -> T) -> T {
        let below_dev = |name: &OsStr| [b"/dev/", name.as_bytes()].concat();
        let mut names = vec![below_dev(&node.device_name)];
        if let (Kind::Mapped(_), Some(label)) = (&node.kind, &node.label) {
            names.push(below_dev(OsStr::new(&format!("mapper/{label}"))));
        }
        let links = node.udev.links.iter();
        names.extend(links.map(|link| below_dev(OsStr::new(link))));
        let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        ask(&names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names_sizes_and_places_below_dev() {
        for device in list(&Roots::default()).unwrap() {
            assert_eq!(device.path, Path::new("/dev").join(&device.name));
            assert!(device.size.get() > 0, "{device:?}");
        }
    }

    #[test]
    fn an_image_file_is_free_and_a_missing_one_is_not_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let roots = Roots::default();
        assert_eq!(
            usage(&roots, &|_| Vec::new(), file.path()).unwrap(),
            Usage::Free
        );
        let missing = usage(&roots, &|_| Vec::new(), Path::new("/nonexistent/disk"));
        assert!(matches!(missing, Err(HostError::NotFound(_))));
    }
}
