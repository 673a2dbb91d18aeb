//! Where the bytes of a device lie: of a partition, a loop device, an nbd or a linear mapping.

use std::fs::{self, File, Metadata};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::node::Node;
use super::{number_of, Roots};
use crate::port::block::{DeviceNumber, Kind};
use crate::port::device_mapper::Line;
use crate::port::layers::{Extent, Place};
use crate::remap_core::units::SECTOR_BYTES;

/// `struct loop_info64` of `linux/loop.h`, in words of eight bytes.
type LoopInfo = [u64; 29];

nix::ioctl_read_bad!(
    /// Asks a loop device what lies under it.
    loop_status,
    LOOP_GET_STATUS64,
    LoopInfo
);

/// `LOOP_GET_STATUS64` of `linux/loop.h`.
const LOOP_GET_STATUS64: u32 = 0x4c05;

/// A stretch of bytes from `start` on that is the whole of a device with `sectors`.
fn whole(on: Place, start: u64, sectors: u64) -> Extent {
    let length = sectors.saturating_mul(SECTOR_BYTES as u64);
    Extent {
        at: 0,
        on,
        bytes: Some(start..start.saturating_add(length)),
    }
}

/// The device or file that was looked at.
pub(super) fn place_of(found: &Metadata) -> Place {
    match found.file_type().is_block_device() {
        true => Place::Device(number_of(found.rdev())),
        false => Place::File {
            on: number_of(found.dev()),
            inode: found.ino(),
        },
    }
}

/// Whether a device of this name may show a file or another device.
pub(super) fn shows_another(name: &[u8]) -> bool {
    name.starts_with(b"loop") || name.starts_with(b"nbd")
}

/// Where the bytes of a device lie; nothing of one that is no other's stretch. `disk` is
/// the number of the disk that it is a partition of, and `lines` its table in device-mapper.
pub(super) fn extents(
    roots: &Roots,
    node: &Node,
    disk: Option<DeviceNumber>,
    lines: &[Line],
) -> Vec<Extent> {
    let sectors = node.size.get();
    let name = node.name.as_bytes();
    if let Some(disk) = disk {
        let disk = Place::Device(disk);
        let start = node.start.map(|start| start.bytes().unwrap_or(u64::MAX));
        return vec![match start {
            Some(start) => whole(disk, start, sectors),
            None => anywhere(disk),
        }];
    }
    match &node.kind {
        Kind::Loop => of_loop(roots, node).into_iter().collect(),
        Kind::Mapped(_) => of_lines(lines),
        _ if name.starts_with(b"nbd") => of_process(roots, node),
        _ => Vec::new(),
    }
}

fn anywhere(on: Place) -> Extent {
    Extent {
        at: 0,
        on,
        bytes: None,
    }
}

/// What the kernel says of a loop device. Who may not open it goes by the path in sysfs,
/// which is not always one, or not in this mount namespace.
fn of_loop(roots: &Roots, node: &Node) -> Option<Extent> {
    let sectors = node.size.get();
    let device = roots.dev.join(&node.device_name);
    if let Some([of_file_system, inode, device, offset, ..]) = ask(&device, node.number) {
        // Older kernels tell the file system's number once more of what is no device.
        let on = match device {
            device if device == 0 || device == of_file_system => Place::File {
                on: number_of(of_file_system),
                inode,
            },
            device => Place::Device(number_of(device)),
        };
        return Some(whole(on, offset, sectors));
    }
    let attributes = attributes(roots, node).join("loop");
    let path = fs::read(attributes.join("backing_file")).ok()?;
    let path = Path::new(std::ffi::OsStr::from_bytes(path.trim_ascii_end())).to_owned();
    let found = fs::metadata(path).ok()?;
    let offset = fs::read_to_string(attributes.join("offset")).ok();
    let offset = offset.and_then(|offset| offset.trim().parse().ok());
    Some(whole(place_of(&found), offset.unwrap_or(0), sectors))
}

fn attributes(roots: &Roots, node: &Node) -> PathBuf {
    roots.sys.join("class/block").join(&node.name)
}

fn ask(path: &Path, number: DeviceNumber) -> Option<LoopInfo> {
    // Looked at first: a path of a made-up machine leads to no device.
    let is_meant =
        |found: &Metadata| found.file_type().is_block_device() && number_of(found.rdev()) == number;
    fs::metadata(path).ok().filter(is_meant)?;
    let file = File::open(path).ok()?;
    file.metadata().ok().filter(is_meant)?;
    let mut info = [0; 29];
    // SAFETY: the descriptor is open for the whole call, and LOOP_GET_STATUS64 writes one
    // loop_info64, of 232 bytes, to where the pointer says: a live local of that size.
    #[expect(unsafe_code, reason = "an ioctl takes a raw pointer")]
    let asked = unsafe { loop_status(file.as_raw_fd(), &mut info) };
    asked.ok().map(|_| info)
}

/// The stretches of a mapping that is nothing but linear; any other makes something else of
/// what lies under it.
fn of_lines(lines: &[Line]) -> Vec<Extent> {
    let extent = |line: &Line| {
        let mut words = line.text.split_whitespace();
        let on = DeviceNumber::parse(words.next()?).filter(|_| line.target == "linear")?;
        let start: u64 = words.next()?.parse().ok()?;
        let start = start.saturating_mul(SECTOR_BYTES as u64);
        Some(Extent {
            at: line.start.byte_offset()?,
            ..whole(Place::Device(on), start, line.length.get())
        })
    };
    let extents: Option<Vec<Extent>> = lines.iter().map(extent).collect();
    extents.unwrap_or_default()
}

/// The files and devices that the process behind an nbd has open: it serves one of them, or a
/// part of it in a form of its own.
fn of_process(roots: &Roots, node: &Node) -> Vec<Extent> {
    let process = fs::read_to_string(attributes(roots, node).join("pid"));
    let Some(process) = process
        .ok()
        .and_then(|text| text.trim().parse::<u32>().ok())
    else {
        return Vec::new();
    };
    let open = fs::read_dir(roots.proc.join(format!("{process}/fd")));
    let files = open.into_iter().flatten().filter_map(|entry| {
        let found = fs::metadata(entry.ok()?.path()).ok()?;
        let kind = found.file_type();
        let is_store = kind.is_file() || kind.is_block_device();
        is_store.then(|| place_of(&found))
    });
    let mut places: Vec<Place> = files
        .filter(|place| *place != Place::Device(node.number))
        .collect();
    places.sort_unstable();
    places.dedup();
    places.into_iter().map(anywhere).collect()
}
