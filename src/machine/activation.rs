//! Bringing up a mapped device from the very devices that are looked at here.

use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use super::partitions::{self, Whole};
use crate::inspect::{inspect, Inspection};
use crate::ops::is_same_device;
use crate::port::block::DeviceNumber;
use crate::port::device_mapper::{DeviceMapper, Line, Listed, NewDevice, UUID_PREFIX};
use crate::port::identity::is_of_contents;
use crate::port::{Access, Activation, BlockStore, HostError, Platform};
use crate::remap_core::params::{check_name, TargetArgs, TARGET_NAME};
use crate::remap_core::units::{Sector, Sectors};
use crate::table_line::TableLine;
use crate::text::{escape_path, escape_str};

/// How much of a name fits into a lasting name of device-mapper's, which has 128 bytes.
const LONGEST_NAME: usize = 128 - UUID_PREFIX.len();

/// Refuses image files: the kernel's targets take block devices.
pub(super) fn require_block_devices(devices: &[&Path]) -> Result<(), String> {
    let is_image = |path: &&&Path| {
        let metadata = std::fs::metadata(path);
        metadata.is_ok_and(|metadata| !metadata.file_type().is_block_device())
    };
    match devices.iter().find(is_image) {
        None => Ok(()),
        Some(path) => Err(format!(
            "{} is an image file; name a lab with --lab DIR, or make a block device of it with losetup",
            escape_path(path)
        )),
    }
}

/// Brings up a mapped device. From the look at its devices to the loaded table, udev and
/// other runs of this program are kept away from them by a lock, and the table names
/// them as they were opened, whatever becomes of their paths meanwhile.
///
/// # Errors
///
/// [`HostError`]; nothing is left behind then.
pub(super) fn bring_up(
    platform: &dyn Platform,
    device_mapper: &dyn DeviceMapper,
    activation: &Activation,
) -> Result<(), HostError> {
    let name = &activation.name;
    check_name(name.as_bytes())
        .map_err(|error| HostError::Refused(format!("{}: {error}", escape_str(name))))?;
    if is_same_device(&activation.main, &activation.spare) {
        return Err(HostError::Refused(format!(
            "{} cannot be main and its spare at once",
            escape_path(&activation.main)
        )));
    }
    let main = platform.open(&activation.main, Access::HandOver)?;
    let spare = platform.open(&activation.spare, Access::HandOver)?;
    activation.require_meant(&*main, &*spare)?;
    let (main_number, spare_number) = (
        number(&*main, &activation.main)?,
        number(&*spare, &activation.spare)?,
    );
    let seen = inspect(&*spare, &activation.spare);
    require_pair(&*main, &activation.main, &seen)?;
    let larger = main.logical_block().max(spare.logical_block());
    let area = seen.superblock.map(|superblock| superblock.data_area());
    let size = area.map_or(main.size(), |area| area.sectors);
    let line = TableLine::settle(size, larger, seen.remap_unit(), &activation.options);
    let device = NewDevice {
        name: name.clone(),
        uuid: match seen.array_uuid() {
            Some(array) => format!("{UUID_PREFIX}{array}"),
            // It may be a little longer than a name; names are ASCII.
            None => format!("{UUID_PREFIX}{name:.LONGEST_NAME$}"),
        },
        line: Line {
            start: Sector::new(0),
            length: line.length,
            target: TARGET_NAME.to_owned(),
            text: line.arguments(&main_number.to_string(), &spare_number.to_string()),
        },
        read_only: activation.options.read_only,
    };
    clear_left_over(device_mapper, &device)?;
    let number = device_mapper.create(&device)?;
    partitions::forget_below(platform, [&activation.main, &activation.spare]);
    let whole = Whole {
        name,
        uuid: &device.uuid,
        number,
        size: device.line.length,
        read_only: device.read_only,
    };
    let made = partitions::make(platform, device_mapper, &whole);
    if made.is_err() {
        // What kept them from being made is what is told.
        let _ = device_mapper.remove(name);
    }
    made
}

/// Makes the devices of the partitions that a mapped device which is up lacks.
///
/// # Errors
///
/// [`HostError`] of the first that cannot be made.
pub(super) fn bring_up_partitions(
    platform: &dyn Platform,
    device_mapper: &dyn DeviceMapper,
    name: &str,
) -> Result<(), HostError> {
    let listed = find(device_mapper, name)?;
    let lines = device_mapper.table(name)?;
    let line = lines.first();
    let arguments = line.map(|line| line.text.split_whitespace().collect::<Vec<_>>());
    let options = arguments.and_then(|words| Some(TargetArgs::parse(&words).ok()?.options));
    let whole = Whole {
        name,
        uuid: &listed.uuid,
        number: listed.number,
        size: line.map_or(Sectors::new(0), |line| line.length),
        read_only: options.is_some_and(|options| options.read_only),
    };
    partitions::make(platform, device_mapper, &whole)
}

/// Takes a mapped device down, its partitions first.
///
/// # Errors
///
/// [`HostError::Busy`] if one of them is in use; partitions may be gone all the same then.
pub(super) fn take_down(device_mapper: &dyn DeviceMapper, name: &str) -> Result<(), HostError> {
    let listed = find(device_mapper, name)?;
    partitions::remove(device_mapper, &listed.uuid)?;
    device_mapper.remove(name)
}

/// The mapped device of this name.
fn find(device_mapper: &dyn DeviceMapper, name: &str) -> Result<Listed, HostError> {
    let mut listed = device_mapper.list()?.into_iter();
    let named = listed.find(|device| device.name == name);
    named.ok_or_else(|| HostError::NotFound(format!("mapped device {}", escape_str(name))))
}

/// Whether a mapped device is what a run of this program left that was killed before it
/// had resumed it: ours, and without a table.
pub(super) fn is_left_over(device_mapper: &dyn DeviceMapper, listed: &Listed) -> bool {
    let is_empty = || {
        device_mapper
            .table(&listed.name)
            .map(|lines| lines.is_empty())
    };
    listed.uuid.starts_with(UUID_PREFIX) && is_empty().unwrap_or(false)
}

/// Removes what such a run left of the same name or of the same array.
fn clear_left_over(device_mapper: &dyn DeviceMapper, device: &NewDevice) -> Result<(), HostError> {
    for listed in device_mapper.list()? {
        let is_same = listed.name == device.name || listed.uuid == device.uuid;
        if is_same && is_left_over(device_mapper, &listed) {
            device_mapper.remove(&listed.name)?;
        }
    }
    Ok(())
}

fn number(store: &dyn BlockStore, path: &Path) -> Result<DeviceNumber, HostError> {
    store.number().ok_or_else(|| {
        HostError::NotADevice(format!(
            "{} is no block device: the kernel's target takes no other",
            escape_path(path)
        ))
    })
}

/// Refuses a main that the spare's metadata contradicts.
fn require_pair(main: &dyn BlockStore, path: &Path, spare: &Inspection) -> Result<(), HostError> {
    let Some(superblock) = &spare.superblock else {
        return Ok(());
    };
    let path = escape_path(path);
    let refuse = |why: String| Err(HostError::Refused(why));
    if superblock.main_sectors != main.size() {
        return refuse(format!(
            "{path} has {} sectors; the metadata says that main has {}",
            main.size(),
            superblock.main_sectors
        ));
    }
    let stated = superblock.extension.map(|it| it.main_identity);
    match stated {
        Some(stated) if stated.is_none() || stated == main.identity() => Ok(()),
        // The target goes by its labels, whatever bridge the disk lies behind.
        Some(_) if superblock.main_form().has_labels() => Ok(()),
        // It was known by a file system, which says no more than whoever chose it knew.
        Some(stated) if is_of_contents(&stated) && main.identity().is_none() => Ok(()),
        Some(_) => refuse(format!(
            "{path} is another disk than the one that the metadata names"
        )),
        None => Ok(()),
    }
}
