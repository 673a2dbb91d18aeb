//! What a new lab has: a healthy device, a damaged one, one of an older format, and
//! blank disks to make another of.
//!
//! The disks are made in memory, by the same target that works on them later, and then
//! written out. The registry comes last: before it is there, there is no lab.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::dm_target::{Arguments, Disks, MetadataSeed, Now, Record, Target};
use super::fault::{FaultRange, FaultRecord, Faulty};
use super::files::{host_error, sync_parent, unusable};
use super::log::EventLog;
use super::ram::RamDisk;
use super::registry::{Disk, MappedDevice, Registry};
use super::{Contents, DIRECTORIES, DISKS, EVENTS, LOCK, REGISTRY, STATE};
use crate::port::{BlockStore as _, HostError, Platform};
use crate::remap_core::bytes::Text;
use crate::remap_core::event::Event;
use crate::remap_core::message::{Direction, Message};
use crate::remap_core::params::Options;
use crate::remap_core::superblock::{Superblock, COPY_BYTES};
use crate::remap_core::units::{
    ArrayUuid, BlockSize, MainBlock, Sector, Sectors, Sequence, Slot, Timestamp,
};

/// Says that a lab is being made here.
pub(super) const MAKING: &str = "making";

/// The text of that file. Nothing is made before it is durable.
const MARK: &[u8] = b"dmremap: a lab is being made here\n";

const MIB: u64 = 1 << 20;

const MAIN_BYTES: u64 = 256 * MIB;
const SPARE_BYTES: u64 = 16 * MIB;
const BLANK_SPARE_BYTES: u64 = 24 * MIB;

/// When the metadata of the older format was written.
const PLAIN_TIMESTAMP: Timestamp = Timestamp::new(1_761_264_000);

/// Refuses a directory in which something else than a lab lies.
pub(super) fn check_room(directory: &Path) -> Result<(), HostError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(host_error(directory, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(
            entry
                .map_err(|source| host_error(directory, source))?
                .file_name(),
        );
    }
    // A crash may have come between the making of a lab and its end.
    let marked = super::files::read(&directory.join(MAKING), "remove it")?.unwrap_or_default();
    // Images that somebody made beforehand are no reason against a lab beside them.
    let is_image = |name: &OsString| Path::new(name).extension().is_some_and(|it| it == "img");
    let is_ours = |name: &OsString| name == LOCK || name == MAKING && marked.is_empty();
    if marked == MARK || names.iter().all(|name| is_ours(name) || is_image(name)) {
        return Ok(());
    }
    Err(unusable(
        directory,
        "it holds other things than images, and no lab",
        "name another directory: a lab is made only where nothing else is",
    ))
}

/// Makes a lab in `directory`, whose lock the caller holds.
pub(super) fn create(
    directory: &Path,
    platform: &dyn Platform,
    contents: Contents,
) -> Result<(), HostError> {
    let making = directory.join(MAKING);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| host_error(&path, source)
    };
    fs::write(&making, MARK)
        .and_then(|()| File::open(&making)?.sync_all())
        .map_err(failed(&making))?;
    sync_parent(&making)?;
    for name in DIRECTORIES {
        let path = directory.join(name);
        // What an earlier attempt left behind is not worth completing.
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(host_error(&path, error));
            }
            _ => fs::create_dir(&path).map_err(failed(&path))?,
        }
    }
    let events = directory.join(EVENTS);
    match fs::remove_file(&events) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(host_error(&events, error));
        }
        _ => {}
    }
    let mut making_of = Making {
        directory,
        platform,
        now: Now {
            uptime: platform.uptime(),
            stamp: platform.now(),
        },
        registry: Registry::empty(),
        log: EventLog::new(events),
    };
    if contents == Contents::Training {
        making_of.attic()?;
        making_of.vault()?;
        making_of.plain()?;
        making_of.blank("disk-g", MAIN_BYTES)?;
        making_of.blank("disk-h", BLANK_SPARE_BYTES)?;
    }
    sync_parent(&directory.join(DISKS).join("-"))?;
    making_of.registry.save(&directory.join(REGISTRY))?;
    finish(directory)
}

/// The last step of making a lab: it has a registry, so it is whole.
pub(super) fn finish(directory: &Path) -> Result<(), HostError> {
    let making = directory.join(MAKING);
    // Where nothing can be written, to remove what is not there is an error, too.
    if !making.exists() {
        return Ok(());
    }
    match fs::remove_file(&making) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(host_error(&making, error))
        }
        _ => Ok(()),
    }
}

/// A device that is being made.
struct Made {
    main: Faulty<RamDisk>,
    spare: Faulty<RamDisk>,
    target: Target,
}

/// Text of one remap unit that says where it belongs.
fn content(device: &str, block: u64) -> [u8; 512] {
    let line = format!("{device}: this is block {block}.\n");
    let mut bytes = [b' '; 512];
    for (to, from) in bytes.iter_mut().zip(line.bytes().cycle()) {
        *to = from;
    }
    bytes
}

/// Blocks of each main that hold data.
const WRITTEN_BLOCKS: u64 = 256;

struct Making<'a> {
    directory: &'a Path,
    platform: &'a dyn Platform,
    now: Now,
    registry: Registry,
    log: EventLog,
}

impl Making<'_> {
    /// A healthy device that is up, with two bad blocks moved already.
    fn attic(&mut self) -> Result<(), HostError> {
        let made = self.device("attic", "disk-c", "disk-d", &[(40, 1), (41, 1)], &[])?;
        let (main, spare) = (image_path("disk-c"), image_path("disk-d"));
        let record = Record::of(&made.target, self.now, &self.platform.boot_id());
        let path = self.directory.join(STATE).join("attic.json");
        super::files::replace_json(&path, &record)?;
        let options = Options::default();
        let mapped = MappedDevice::new("attic", main, spare, &options);
        self.registry.mapped.push(mapped);
        self.write_out(made, "disk-c", "disk-d")
    }

    /// A device with a dozen moved blocks, three that cannot be read, and two damaged
    /// copies. It is not up: nothing heals it before somebody has seen it.
    fn vault(&mut self) -> Result<(), HostError> {
        let bad_to_write = [(17, 1), (64, 8), (130, 2), (200, 1)];
        let bad_to_read = [(90, 2), (151, 1)];
        let mut made = self.device("vault", "disk-a", "disk-b", &bad_to_write, &bad_to_read)?;
        let stamp = self.now.stamp;
        self.log.append("vault", stamp, &[Event::Deactivated])?;
        let spare = made.spare.inner();
        let mut copy = [0; COPY_BYTES];
        // One bit flipped in the size of main; one write that only half arrived.
        damage(spare, Slot::S1, &mut copy, |copy| copy[116] ^= 0x10);
        damage(spare, Slot::S4, &mut copy, |copy| copy[256..].fill(0));
        self.write_out(made, "disk-a", "disk-b")
    }

    /// A spare as existing tools wrote it: no checksum, texts padded with spaces.
    fn plain(&mut self) -> Result<(), HostError> {
        let sectors = |bytes| Sectors::from_bytes(bytes);
        let uuid = spaces(b"00000000-0000-0000-0000-000000000000");
        let superblock = Superblock {
            sequence: Sequence::new(1),
            timestamp: PLAIN_TIMESTAMP,
            main_uuid: Text::from_field(uuid),
            spare_uuid: Text::from_field(uuid),
            main_sectors: sectors(MAIN_BYTES),
            spare_sectors: sectors(SPARE_BYTES),
            sector_size: BlockSize::B512,
            entry_size: 512,
            capacity: 2048,
            main_path: Text::from_field(spaces(b"/dev/disk-f")),
            spare_path: Text::from_field(spaces(b"/dev/usb-e")),
            extension: None,
        };
        let mut spare = RamDisk::new(sectors(SPARE_BYTES));
        for slot in Slot::ALL {
            spare
                .write_at(slot.sector(), &superblock.encode(slot))
                .map_err(|error| in_memory("usb-e", &error))?;
        }
        let mut main = RamDisk::new(sectors(MAIN_BYTES));
        for block in 0..WRITTEN_BLOCKS {
            main.write_at(Sector::new(block), &content("usb-e", block))
                .map_err(|error| in_memory("disk-f", &error))?;
        }
        self.disk("disk-f", &main, Vec::new())?;
        self.disk("usb-e", &spare, Vec::new())
    }

    fn blank(&mut self, name: &str, bytes: u64) -> Result<(), HostError> {
        self.disk(name, &RamDisk::new(Sectors::from_bytes(bytes)), Vec::new())
    }

    /// Joins two new disks, fills the first blocks, and lets some of them fail: those
    /// that cannot be written are written once more, and so moved; those that cannot be
    /// read are read.
    fn device(
        &mut self,
        name: &str,
        main: &str,
        spare: &str,
        bad_to_write: &[(u64, u64)],
        bad_to_read: &[(u64, u64)],
    ) -> Result<Made, HostError> {
        let mut main_disk = self.new_disk(main, MAIN_BYTES)?;
        let mut spare_disk = self.new_disk(spare, SPARE_BYTES)?;
        let mut disks = Disks {
            main: &mut main_disk,
            spare: &mut spare_disk,
        };
        let mut target = self.joined(name, main, spare, &mut disks)?;
        let failed = |error: &dyn std::fmt::Display| in_memory(name, error);
        let now = self.now;
        let fill = |target: &mut Target, disks: &mut Disks<'_>, from: u64, count: u64| {
            let data: Vec<u8> = (from..from + count)
                .flat_map(|block| content(name, block))
                .collect();
            target.write(disks, now, Sector::new(from), &data)
        };
        fill(&mut target, &mut disks, 0, WRITTEN_BLOCKS).map_err(|error| failed(&error))?;
        main_disk.faults().extend(
            faults(Direction::Write, bad_to_write).chain(faults(Direction::Both, bad_to_read)),
        );
        let mut disks = Disks {
            main: &mut main_disk,
            spare: &mut spare_disk,
        };
        for (from, count) in bad_to_write {
            fill(&mut target, &mut disks, *from, *count).map_err(|error| failed(&error))?;
        }
        for (from, count) in bad_to_read {
            let mut lost = vec![0; *count as usize * 512];
            let outcome = target.read(&mut disks, now, Sector::new(*from), &mut lost);
            if outcome.is_ok() {
                return Err(failed(&"a bad block was read"));
            }
        }
        let events = target.take_events();
        self.log.append(name, now.stamp, &events)?;
        Ok(Made {
            main: main_disk,
            spare: spare_disk,
            target,
        })
    }

    /// A blank disk in memory, registered with a serial.
    fn new_disk(&mut self, name: &str, bytes: u64) -> Result<Faulty<RamDisk>, HostError> {
        let disk = Disk::new(image_path(name), Some(serial(self.platform, name)?));
        let ram = RamDisk::new(Sectors::from_bytes(bytes)).with_identity(disk.identity());
        self.registry.disks.push(disk);
        Ok(Faulty::new(ram, Vec::new()))
    }

    /// Two blank disks, joined and up.
    fn joined(
        &self,
        name: &str,
        main: &str,
        spare: &str,
        disks: &mut Disks<'_>,
    ) -> Result<Target, HostError> {
        let arguments = Arguments {
            name: name.to_owned(),
            main_path: self.directory.join(image_path(main)),
            spare_path: self.directory.join(image_path(spare)),
            options: Options::default(),
        };
        let mut target = Target::activate(arguments, disks, self.now)
            .map_err(|error| in_memory(name, &error))?;
        let mut array = [0; 16];
        self.platform.random(&mut array)?;
        let array = uuid::Builder::from_random_bytes(array).into_uuid();
        let seed = MetadataSeed {
            array: ArrayUuid::new(*array.as_bytes()),
        };
        let message = Message::WriteMetadata;
        target
            .message(disks, self.now, &message, seed, &mut |_| Ok(()))
            .map_err(|error| in_memory(name, &error))?;
        Ok(target)
    }

    fn write_out(&mut self, made: Made, main: &str, spare: &str) -> Result<(), HostError> {
        for (name, disk) in [(main, made.main), (spare, made.spare)] {
            let (ram, faults) = disk.into_parts();
            let path = image_path(name);
            let kept = self
                .registry
                .disks
                .iter_mut()
                .find(|disk| disk.path == path);
            if let Some(kept) = kept {
                kept.faults = faults.iter().map(FaultRecord::from).collect();
            }
            self.image(name, &ram)?;
        }
        Ok(())
    }

    /// Registers a disk and writes its image.
    fn disk(
        &mut self,
        name: &str,
        ram: &RamDisk,
        faults: Vec<FaultRecord>,
    ) -> Result<(), HostError> {
        let serial = serial(self.platform, name)?;
        self.registry.disks.push(Disk {
            faults,
            ..Disk::new(image_path(name), Some(serial))
        });
        self.image(name, ram)
    }

    /// Writes an image, with holes where nothing was ever written.
    fn image(&self, name: &str, ram: &RamDisk) -> Result<(), HostError> {
        let path = self.directory.join(image_path(name));
        let failed = |source| host_error(&path, source);
        let file = File::create_new(&path).map_err(failed)?;
        let bytes = ram.size().bytes().unwrap_or_default();
        file.set_len(bytes).map_err(failed)?;
        for (at, block) in ram.written() {
            if block.iter().any(|byte| *byte != 0) {
                let offset = at.byte_offset().unwrap_or_default();
                file.write_all_at(block, offset).map_err(failed)?;
            }
        }
        file.sync_all().map_err(failed)
    }
}

fn image_path(name: &str) -> PathBuf {
    Path::new(DISKS).join(format!("{name}.img"))
}

/// A serial as a disk gets one from its maker: like no other's.
fn serial(platform: &dyn Platform, name: &str) -> Result<String, HostError> {
    let mut bytes = [0; 8];
    platform.random(&mut bytes)?;
    let number = u64::from_le_bytes(bytes);
    Ok(format!("LAB-{}-{number:016X}", name.to_ascii_uppercase()))
}

fn faults(direction: Direction, ranges: &[(u64, u64)]) -> impl Iterator<Item = FaultRange> + '_ {
    ranges.iter().filter_map(move |(from, count)| {
        let from = BlockSize::B512.first_sector(MainBlock::new(*from))?;
        Some(FaultRange::bad(direction, from, Sectors::new(*count)))
    })
}

fn damage(
    spare: &mut RamDisk,
    slot: Slot,
    copy: &mut [u8; COPY_BYTES],
    how: impl FnOnce(&mut [u8; COPY_BYTES]),
) {
    // A disk in memory neither fails nor is it too small here.
    let _ = spare.read_at(slot.sector(), copy);
    how(copy);
    let _ = spare.write_at(slot.sector(), copy);
}

/// A text field as older tools filled it.
fn spaces<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut field = [b' '; N];
    for (to, from) in field.iter_mut().zip(text) {
        *to = *from;
    }
    field
}

fn in_memory(name: &str, error: &dyn std::fmt::Display) -> HostError {
    HostError::Refused(format!("{name} could not be made: {error}"))
}
