//! One block device as its directory in sysfs shows it.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::udev;
use crate::port::block::{DeviceNumber, Kind};
use crate::port::identity::Stable;
use crate::remap_core::units::{BlockSize, IdentityDigest, Sectors};
use crate::text::{escape, escape_str, guard, guard_bytes};

/// An attribute is a page at most, and a file of udev's database a few; what is longer is
/// cut off.
const LONGEST: usize = 64 * 1024;

/// A page: what sysfs has of an attribute it gives in one piece.
const PIECE: usize = 4096;

/// Reads a file of sysfs or of udev's database. A piece that is not full is the last: most
/// files are read with a single call, of which there are many.
fn read_all(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    let mut piece = [0; PIECE];
    while bytes.len() < LONGEST {
        match file.read(&mut piece) {
            Ok(length) => {
                bytes.extend_from_slice(&piece[..length]);
                if length < PIECE {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// A directory of sysfs, and what could not be read in it.
pub(super) struct Directory {
    path: PathBuf,
    unread: RefCell<Vec<String>>,
}

impl Directory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            unread: RefCell::new(Vec::new()),
        }
    }

    /// The bytes of a file in it, without blanks around them; none where there is no such
    /// file, nor where it cannot be read, which is noted.
    fn bytes(&self, file: &str) -> Option<Vec<u8>> {
        match read_all(&self.path.join(file)) {
            Ok(bytes) => Some(bytes.trim_ascii().to_vec()),
            Err(error) => {
                // A disk that is going away has its files, and nothing in them.
                let absent = [ErrorKind::NotFound, ErrorKind::NotADirectory];
                if !absent.contains(&error.kind()) {
                    self.unread.borrow_mut().push(file.to_owned());
                }
                None
            }
        }
    }

    /// The text of a file in it; none where it is empty, too.
    fn text(&self, file: &str) -> Option<Said> {
        let bytes = self.bytes(file)?;
        Said::new(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
    }

    fn number<T: std::str::FromStr>(&self, file: &str) -> Option<T> {
        str::from_utf8(&self.bytes(file)?).ok()?.parse().ok()
    }

    /// The names in a directory of it, sorted.
    fn names(&self, directory: &str) -> Vec<OsString> {
        let Ok(entries) = std::fs::read_dir(self.path.join(directory)) else {
            return Vec::new();
        };
        let mut names: Vec<OsString> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name()))
            .collect();
        names.sort();
        names
    }
}

/// What a device says of itself.
#[derive(Debug)]
struct Said {
    /// Fit to be shown.
    shown: String,
    /// As identities are made from it: with backslashes as they are, for an identity that was
    /// written down once must stay.
    told: String,
}

impl Said {
    fn new(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.trim_ascii();
        (!bytes.is_empty()).then(|| Self {
            shown: escape(bytes).into_owned(),
            told: guard_bytes(bytes).into_owned(),
        })
    }
}

/// What a device's directory tells, as far as it does not take other devices to know.
#[derive(Debug)]
pub(super) struct Node {
    /// The kernel's name, as its directory has it.
    pub(super) name: OsString,
    /// For a partition, the name of its disk.
    pub(super) disk: Option<OsString>,
    /// Where it is below `/dev`.
    pub(super) device_name: OsString,
    pub(super) number: DeviceNumber,
    pub(super) kind: Kind,
    pub(super) size: Sectors,
    /// For a partition, where it begins on its disk.
    pub(super) start: Option<Sectors>,
    pub(super) read_only: bool,
    pub(super) slaves: Vec<OsString>,
    pub(super) holders: Vec<OsString>,
    pub(super) label: Option<String>,
    pub(super) model: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) wwid: Option<String>,
    pub(super) partition_uuid: Option<String>,
    pub(super) logical_block: Option<BlockSize>,
    /// Bytes of a logical block that is larger than any of those.
    pub(super) large_block_bytes: Option<u32>,
    pub(super) physical_block_bytes: Option<u32>,
    pub(super) rotational: Option<bool>,
    pub(super) identity: IdentityDigest,
    pub(super) udev: udev::Entry,
    pub(super) unread: Vec<String>,
}

impl Node {
    /// Reads the directory of a device; none where there is no number or size in it.
    pub(super) fn read(directory: &Path, udev_data: &Path) -> Option<Self> {
        let files = Directory::new(directory.to_owned());
        let name = directory.file_name()?.to_owned();
        let number = DeviceNumber::parse(&files.text("dev")?.told)?;
        let uevent = Uevent::parse(&files.bytes("uevent").unwrap_or_default());
        let is_partition = uevent.is_partition || directory.join("partition").exists();
        let database = Directory::new(udev_data.to_owned());
        let udev = database.bytes(&format!("b{number}"));
        let udev = udev::Entry::parse(&udev.unwrap_or_default()).and_of_event(number);
        let disk = is_partition
            .then(|| Some(directory.parent()?.file_name()?.to_owned()))
            .flatten();
        let mut node = Self {
            device_name: uevent.device_name.unwrap_or_else(|| slashes(&name)),
            disk,
            number,
            kind: Kind::Disk,
            size: Sectors::new(files.number("size")?),
            start: None,
            read_only: files.number::<u8>("ro") == Some(1),
            slaves: files.names("slaves"),
            holders: files.names("holders"),
            label: None,
            model: None,
            serial: None,
            wwid: None,
            partition_uuid: None,
            logical_block: None,
            large_block_bytes: None,
            physical_block_bytes: None,
            rotational: None,
            identity: IdentityDigest::NONE,
            udev,
            unread: Vec::new(),
            name,
        };
        if is_partition {
            node.start = files.number("start").map(Sectors::new);
            node.read_partition(uevent.partition_uuid);
        } else {
            node.read_disk(&files);
        }
        node.unread = files.unread.into_inner();
        node.unread.extend(database.unread.into_inner());
        Some(node)
    }

    /// A partition has no queue of its own: what is its disk's is filled in later.
    fn read_partition(&mut self, uuid: Option<String>) {
        self.kind = Kind::Partition;
        let uuid = uuid.or_else(|| {
            let uuid = self.udev.first(&["ID_PART_ENTRY_UUID"])?;
            Some(guard(uuid).into_owned())
        });
        self.partition_uuid = uuid.map(|uuid| uuid.to_ascii_lowercase());
        if let Some(uuid) = &self.partition_uuid {
            self.identity = Stable::Partition(uuid).digest();
        }
    }

    /// The smallest unit that can be written, as far as a target takes such.
    pub(super) fn unit(&self) -> BlockSize {
        match (self.logical_block, self.large_block_bytes) {
            (Some(block), _) => block,
            (None, Some(_)) => BlockSize::B4096,
            (None, None) => BlockSize::B512,
        }
    }

    fn read_disk(&mut self, files: &Directory) {
        let logical: Option<u32> = files.number("queue/logical_block_size");
        self.logical_block = logical.and_then(BlockSize::from_bytes);
        let largest = BlockSize::B4096.bytes();
        let is_large = |bytes: &u32| bytes.is_power_of_two() && *bytes > largest;
        self.large_block_bytes = logical.filter(is_large);
        self.physical_block_bytes = files.number("queue/physical_block_size");
        self.rotational = files
            .number::<u8>("queue/rotational")
            .map(|turns| turns == 1);
        let driver = self.name.as_bytes();
        if driver.starts_with(b"dm-") {
            self.read_mapped(files);
        } else if driver.starts_with(b"md") {
            self.read_array(files);
        } else if driver.starts_with(b"loop") {
            self.kind = Kind::Loop;
            self.label = files.text("loop/backing_file").map(|file| file.shown);
        } else {
            self.read_hardware(files);
        }
    }

    fn read_mapped(&mut self, files: &Directory) {
        self.label = files.text("dm/name").map(|name| name.shown);
        let uuid = files.text("dm/uuid").map(|uuid| uuid.told);
        let prefix = uuid.as_deref().and_then(|uuid| uuid.split_once('-'));
        let kind = match prefix.map(|(prefix, _)| prefix) {
            Some("LVM") => "lvm",
            Some("CRYPT") => "crypt",
            Some("mpath") => "mpath",
            Some(part) if part.starts_with("part") => "part",
            _ => "dm",
        };
        self.kind = Kind::Mapped(kind.to_owned());
        if let Some(uuid) = uuid {
            self.identity = Stable::Mapped(&uuid).digest();
        }
    }

    fn read_array(&mut self, files: &Directory) {
        let level = files.text("md/level").map(|level| level.told);
        let is_word = |text: &String| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let level = level.filter(is_word).unwrap_or_else(|| "md".to_owned());
        self.kind = Kind::Array(level);
        let label = self.udev.first_encoded(&["MD_DEVNAME", "MD_NAME"]);
        self.label = label.map(|label| escape_str(&label).into_owned());
        if let Some(uuid) = self.udev.first(&["MD_UUID"]) {
            self.identity = Stable::Array(uuid).digest();
        }
    }

    fn read_hardware(&mut self, files: &Directory) {
        // SCSI's number for optical drives.
        let is_rom =
            self.name.as_bytes().starts_with(b"sr") || files.number::<u8>("device/type") == Some(5);
        if is_rom {
            self.kind = Kind::Rom;
        }
        let model = files
            .text("device/model")
            .or_else(|| files.text("device/name"));
        let wwid = files.text("wwid").or_else(|| files.text("device/wwid"));
        let serial = files
            .text("serial")
            .or_else(|| files.text("device/serial"))
            .or_else(|| product_page(&files.bytes("device/vpd_pg80")?));
        fn told(said: &Option<Said>) -> Option<&str> {
            said.as_ref().map(|said| said.told.as_str())
        }
        self.identity = identity_of_disk(told(&wwid), told(&model), told(&serial), &self.udev);
        let shown = |said: Option<Said>, names: &[&str]| {
            let udev = || Said::new(self.udev.first_encoded(names)?.as_bytes());
            said.or_else(udev).map(|said| said.shown)
        };
        self.model = shown(model, &["ID_MODEL_ENC", "ID_MODEL"]);
        self.wwid = shown(wwid, &["ID_WWN_WITH_EXTENSION", "ID_WWN"]);
        self.serial = shown(serial, &["ID_SCSI_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"]);
    }
}

/// What the kernel tells of a disk comes before what udev does: it is there without udev,
/// too, and an identity that depends on who looks is none.
fn identity_of_disk(
    wwid: Option<&str>,
    model: Option<&str>,
    serial: Option<&str>,
    udev: &udev::Entry,
) -> IdentityDigest {
    let model = model.unwrap_or_default();
    let of_udev = |serial| Stable::Serial { model: "", serial };
    let stable = [
        wwid.map(Stable::Wwid),
        serial.map(|serial| Stable::Serial { model, serial }),
        udev.first(&["ID_WWN_WITH_EXTENSION", "ID_WWN"])
            .map(Stable::Wwid),
        udev.first(&["ID_SERIAL"]).map(of_udev),
    ];
    let digests = stable.into_iter().flatten().map(Stable::digest);
    let mut told = digests.filter(|digest| !digest.is_none());
    told.next().unwrap_or_default()
}

/// The serial number on a SCSI disk's product page: four bytes of heading, the last two
/// of them its length.
fn product_page(page: &[u8]) -> Option<Said> {
    let length = u16::from_be_bytes([*page.get(2)?, *page.get(3)?]);
    let serial = page.get(4..)?;
    let serial = serial.get(..usize::from(length)).unwrap_or(serial);
    Said::new(serial)
}

/// The kernel writes `!` where a device's name below `/dev` has a slash.
pub(super) fn slashes(name: &OsStr) -> OsString {
    let bytes = name.as_bytes().iter();
    let bytes: Vec<u8> = bytes
        .map(|byte| if *byte == b'!' { b'/' } else { *byte })
        .collect();
    OsStr::from_bytes(&bytes).to_owned()
}

/// What the file `uevent` of a device says.
#[derive(Debug, Default)]
struct Uevent {
    device_name: Option<OsString>,
    is_partition: bool,
    partition_uuid: Option<String>,
}

impl Uevent {
    fn parse(text: &[u8]) -> Self {
        let mut uevent = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            if let Some(name) = line.strip_prefix(b"DEVNAME=") {
                // A name that leads out of its directory names nothing.
                let name = OsStr::from_bytes(name);
                let inside = |part| matches!(part, std::path::Component::Normal(_));
                if !name.is_empty() && Path::new(name).components().all(inside) {
                    uevent.device_name = Some(name.to_owned());
                }
            } else if line == b"DEVTYPE=partition" {
                uevent.is_partition = true;
            } else if let Some(uuid) = line.strip_prefix(b"PARTUUID=") {
                let uuid = guard_bytes(uuid).into_owned();
                uevent.partition_uuid = (!uuid.is_empty()).then_some(uuid);
            }
        }
        uevent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_page_is_read_as_far_as_it_goes() {
        let read = |page| product_page(page).map(|said| (said.shown, said.told));
        let both = |shown: &str, told: &str| Some((shown.to_owned(), told.to_owned()));
        assert_eq!(read(b"\0\x80\0\x04WD-1xx"), both("WD-1", "WD-1"));
        assert_eq!(read(b"\0\x80\0\xffAB  "), both("AB", "AB"));
        assert_eq!(
            read(b"\0\x80\0\x06A\\\x1bB  "),
            both("A\\\\\\x1bB", "A\\\\x1bB")
        );
        assert_eq!(read(b"\0\x80\0\x02  "), None);
        assert_eq!(read(b"\0\x80"), None);
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_not_believed() {
        let name = |text: &[u8]| Uevent::parse(text).device_name;
        assert_eq!(name(b"DEVNAME=sda\n"), Some("sda".into()));
        assert_eq!(name(b"DEVNAME=cciss/c0d0\n"), Some("cciss/c0d0".into()));
        for bad in [
            &b"DEVNAME=../etc/passwd"[..],
            b"DEVNAME=/etc/x",
            b"DEVNAME=",
        ] {
            assert_eq!(name(bad), None);
        }
        assert_eq!(slashes(OsStr::new("cciss!c0d0")), "cciss/c0d0");
    }
}
