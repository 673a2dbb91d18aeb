//! The machine's block devices, from sysfs, udev's database and the mount tables.
//!
//! Every path begins at [`Roots`], so that a tree that was made up serves as well as the
//! machine's own.

mod mounts;
mod node;
mod partitions;
mod udev;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mounts::Mounts;
use node::Node;

pub(super) use partitions::forget as forget_partitions;

use super::host_error;
use crate::port::block::{DeviceNumber, Kind, Properties};
use crate::port::{BlockDevice, DeviceInfo, HostError, Usage};
use crate::remap_core::units::{BlockSize, IdentityDigest};
use crate::text::escape_os;

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

    fn mounts(&self) -> Mounts {
        let read = |file: &str| std::fs::read(self.proc.join(file)).unwrap_or_default();
        Mounts::parse(&read("self/mountinfo"), &read("swaps"))
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

/// Every block device that has a size, sorted by name.
///
/// # Errors
///
/// [`HostError`] if the list cannot be read. What cannot be read of one device is told
/// with it.
pub fn list(roots: &Roots) -> Result<Vec<DeviceInfo>, HostError> {
    let class = roots.sys.join("class/block");
    let entries = match std::fs::read_dir(&class) {
        Ok(entries) => entries,
        // A container without block devices may have no such directory.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
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
    let mut tree = Tree {
        nodes: nodes.collect(),
        mounts: roots.mounts(),
        pools: roots.pools(),
        partitions: BTreeMap::new(),
    };
    tree.link_partitions();
    let mut devices: Vec<DeviceInfo> = tree
        .nodes
        .values()
        .map(|node| tree.describe(node, roots))
        .collect();
    devices.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(devices)
}

/// What the block device or image file at `path` is used for.
pub(super) fn usage(roots: &Roots, path: &Path) -> Result<Usage, HostError> {
    let number = match block_number(path)? {
        Some(number) => number,
        None => return Ok(Usage::Free),
    };
    let Some(directory) = roots.directory(number) else {
        return Ok(Usage::Free);
    };
    let tree = Tree::around(roots, &directory);
    let node = directory.file_name().and_then(|name| tree.nodes.get(name));
    Ok(node.map_or(Usage::Free, |node| tree.usage(node)))
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
    let tree = Tree::around(roots, &directory);
    let disk = tree.disk_of(&node).unwrap_or(&node);
    Some(BlockDevice {
        path: roots.dev.join(&node.device_name),
        logical_block: disk.logical_block.unwrap_or(BlockSize::B512),
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
    let metadata = std::fs::metadata(path).map_err(|error| host_error(path, error))?;
    let is_device = metadata.file_type().is_block_device();
    Ok(is_device.then(|| number_of(metadata.rdev())))
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
    /// The partitions of each disk.
    partitions: BTreeMap<OsString, Vec<OsString>>,
}

impl Tree {
    /// A device with what bears on its use: its partitions, or its disk.
    fn around(roots: &Roots, directory: &Path) -> Self {
        let udev_data = roots.udev_data();
        let mut tree = Self {
            nodes: BTreeMap::new(),
            mounts: roots.mounts(),
            pools: roots.pools(),
            partitions: BTreeMap::new(),
        };
        let Some(node) = Node::read(directory, &udev_data) else {
            return tree;
        };
        let disk = match (&node.disk, directory.parent()) {
            (Some(_), Some(disk)) => Node::read(disk, &udev_data),
            _ => None,
        };
        if disk.is_none() {
            let entries = std::fs::read_dir(directory).into_iter().flatten();
            let below = entries.filter_map(|entry| Some(entry.ok()?.path()));
            let partitions = below.filter(|path| path.join("partition").exists());
            for partition in partitions.filter_map(|path| Node::read(&path, &udev_data)) {
                tree.nodes.insert(partition.name.clone(), partition);
            }
        }
        for node in disk.into_iter().chain([node]) {
            tree.nodes.insert(node.name.clone(), node);
        }
        // Whoever holds one of them is told by its own name.
        let holders = tree.nodes.values().flat_map(|node| node.holders.clone());
        let holders: Vec<OsString> = holders.collect();
        for holder in holders {
            let link = roots.sys.join("class/block").join(&holder);
            let holder = std::fs::canonicalize(link).ok();
            let holder = holder.and_then(|directory| Node::read(&directory, &udev_data));
            if let Some(holder) = holder {
                tree.nodes.entry(holder.name.clone()).or_insert(holder);
            }
        }
        tree.link_partitions();
        tree
    }

    fn link_partitions(&mut self) {
        for node in self.nodes.values() {
            if let Some(disk) = &node.disk {
                let partitions = self.partitions.entry(disk.clone()).or_default();
                partitions.push(node.name.clone());
            }
        }
    }

    fn disk_of(&self, node: &Node) -> Option<&Node> {
        self.nodes.get(node.disk.as_ref()?)
    }

    fn partitions_of<'a>(&'a self, node: &Node) -> impl Iterator<Item = &'a Node> {
        let partitions = self.partitions.get(&node.name).into_iter().flatten();
        partitions.filter_map(|name| self.nodes.get(name))
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
        if disk.logical_block.is_none() {
            unread.push("queue/logical_block_size".to_owned());
        }
        unread.sort();
        unread.dedup();
        let properties = Properties {
            number: node.number,
            kind: node.kind.clone(),
            parents: shown(&parents),
            holders: shown(&node.holders),
            label: node.label.clone(),
            model: disk.model.clone(),
            serial: disk.serial.clone(),
            wwid: disk.wwid.clone(),
            partition_uuid: node.partition_uuid.clone(),
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
            logical_block: disk.logical_block.unwrap_or(BlockSize::B512),
            read_only: node.read_only,
            usage: self.usage(node),
            faults: 0,
            properties: Some(Arc::new(properties)),
        }
    }

    /// What the device is used for: by itself, or through its disk or its partitions.
    fn usage(&self, node: &Node) -> Usage {
        let name = |node: &Node| escape_os(&node.name).into_owned();
        let own = self.own_use(node);
        let of_disk = || {
            let disk = self.disk_of(node)?;
            Some(format!("{} on {}", self.own_use(disk)?, name(disk)))
        };
        let of_partitions = || {
            let mut partitions = self.partitions_of(node);
            partitions.find_map(|part| Some(format!("{} on {}", self.own_use(part)?, name(part))))
        };
        match own.or_else(of_disk).or_else(of_partitions) {
            Some(by) => Usage::InUse(by),
            None => Usage::Free,
        }
    }

    /// Who uses the device itself.
    fn own_use(&self, node: &Node) -> Option<String> {
        let places = self.places(node);
        if !places.is_empty() {
            let mount = if places.len() == 1 {
                "a mount"
            } else {
                "mounts"
            };
            return Some(format!("{mount} on {}", places.join(", ")));
        }
        if self.is_swap(node) {
            return Some("the machine's swap".to_owned());
        }
        if !node.holders.is_empty() {
            let holders = node.holders.iter().map(|holder| self.holder(holder));
            return Some(holders.collect::<Vec<_>>().join(", "));
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
        assert_eq!(usage(&roots, file.path()).unwrap(), Usage::Free);
        let missing = usage(&roots, Path::new("/nonexistent/disk"));
        assert!(matches!(missing, Err(HostError::NotFound(_))));
    }
}
