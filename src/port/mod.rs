//! The walls: what the rest of the program may ask of devices, targets and time.
//!
//! The lab answers on image files, `sys` on real devices; nothing else does I/O.

pub mod block;
pub mod device_mapper;
pub mod history;
pub mod identity;
pub mod journal;
pub mod kernel_log;
pub mod layers;
pub mod slots;
pub mod table;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::port::block::{DeviceNumber, Instance, Partition, SharedProperties, Signature};
use crate::remap_core::event::{Event, Severity};
use crate::remap_core::message::Message;
pub use crate::remap_core::message::RemapLine as RemapRow;
use crate::remap_core::params::Options;
use crate::remap_core::status::Status;
use crate::remap_core::units::{
    BlockSize, Errno, IdentityDigest, Millis, Sector, Sectors, Timestamp,
};
use crate::text::escape_path;
use crate::zone::Zone;

/// A failed read, write or flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoError {
    /// The operating system's error number.
    pub errno: Errno,
    /// Where the request began.
    pub at: Sector,
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = std::io::Error::from_raw_os_error(self.errno.get());
        write!(f, "at sector {}: {text}", self.at)
    }
}

impl std::error::Error for IoError {}

/// One opened block device or image file.
pub trait BlockStore: Send {
    /// Its size; a partial sector at the end of an image does not count.
    fn size(&self) -> Sectors;

    /// The smallest unit that can be written.
    fn logical_block(&self) -> BlockSize;

    /// The unit in which the disk itself keeps its data, in bytes: its logical block, where it
    /// tells of no other.
    fn physical_block_bytes(&self) -> u32 {
        self.logical_block().bytes()
    }

    /// What is stable about the device itself, or [`IdentityDigest::NONE`].
    fn identity(&self) -> IdentityDigest;

    /// Whether it takes no writes.
    fn is_read_only(&self) -> bool {
        false
    }

    /// What others wrote on it to know it again; reads all over the device. Nothing
    /// where the program was built without the means to look.
    ///
    /// # Errors
    ///
    /// [`IoError`] if the device could not be looked over.
    fn signatures(&self) -> Result<Vec<Signature>, IoError> {
        Ok(Vec::new())
    }

    /// Lets go of what the machine remembers of its content: a target writes to the disk beside
    /// that, and whoever reads through it would see what lay there before. Nothing is lost where it
    /// cannot be.
    fn forget_cached(&self) {}

    /// Every place by which others know it: also those that they would look at only once
    /// the others are gone, such as mirrors and tables at its end. In the order of the disk.
    ///
    /// # Errors
    ///
    /// [`IoError`] if the device could not be looked over.
    fn signature_places(&self) -> Result<Vec<Signature>, IoError> {
        self.signatures()
    }

    /// The partitions in its table, in the order of their numbers; extended ones, which only
    /// hold others, are left out. Nothing where the program was built without the means to
    /// look.
    ///
    /// # Errors
    ///
    /// [`IoError`] if the table could not be read.
    fn partitions(&self) -> Result<Vec<Partition>, IoError> {
        Ok(Vec::new())
    }

    /// What others wrote on a partition of it.
    ///
    /// # Errors
    ///
    /// [`IoError`] if it could not be looked over.
    fn signatures_in(&self, partition: &Partition) -> Result<Vec<Signature>, IoError> {
        let _ = partition;
        Ok(Vec::new())
    }

    /// How the kernel numbers it, if it is one of its block devices: what was opened can
    /// be named so to the kernel, whatever became of the path meanwhile.
    fn number(&self) -> Option<DeviceNumber> {
        None
    }

    /// Which device or file was opened; nothing where that cannot be told.
    fn instance(&self) -> Option<Instance> {
        None
    }

    /// Reads whole sectors from `at` on.
    ///
    /// # Errors
    ///
    /// [`IoError`]; the buffer's content is unspecified then.
    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError>;

    /// Writes whole sectors from `at` on. Durable only after [`BlockStore::flush`].
    ///
    /// # Errors
    ///
    /// [`IoError`]; what lies there is unknown then.
    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError>;

    /// Makes every write so far durable.
    ///
    /// # Errors
    ///
    /// [`IoError`]; nothing may be taken for durable then.
    fn flush(&mut self) -> Result<(), IoError>;
}

/// How a device is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading; nothing can be written through it.
    Read,
    /// For writing, with nobody else holding it: O_EXCL and a lock.
    Exclusive,
    /// For reading, with the lock that keeps udev and other runs of this program away
    /// until a target has taken the device over.
    HandOver,
    /// For writing, although a target may hold it: simulated damage asks for this, and
    /// nothing else may.
    Damage,
}

/// Why a host could not do what was asked.
#[derive(Debug)]
pub enum HostError {
    /// No such device, image or mapped device.
    NotFound(String),
    /// What was named is no block device and no image file, or one that cannot be used.
    NotADevice(String),
    /// Somebody else holds it; the text says who, as far as can be known.
    Busy {
        /// The device.
        what: String,
        /// By whom.
        by: String,
    },
    /// A path leads to another device than the one that was looked at; the text says which.
    Changed(String),
    /// The request makes no sense here; the text says why and what to do.
    Refused(String),
    /// Not permitted; the text says what would be needed.
    NotPermitted(String),
    /// The operating system gave an error.
    Io {
        /// On what.
        what: String,
        /// Which.
        source: std::io::Error,
    },
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(what) => write!(f, "{what}: not found"),
            Self::Busy { what, by } => write!(f, "{what} is in use by {by}"),
            Self::Changed(what) => write!(
                f,
                "{what} is another device by now than the one that was looked at"
            ),
            Self::NotADevice(why) | Self::Refused(why) | Self::NotPermitted(why) => {
                f.write_str(why)
            }
            Self::Io { what, source } => write!(f, "{what}: {source}"),
        }
    }
}

impl std::error::Error for HostError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What a device is used for, apart from us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Nothing.
    Free,
    /// Part of a mapped device of ours.
    Mapped {
        /// That device's name.
        name: String,
        /// Which part.
        part: Part,
    },
    /// Held or mounted by others; the text says by whom.
    InUse(String),
}

/// Which part a device plays in a mapped device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The ageing disk.
    Main,
    /// The disk that replaces its bad blocks.
    Spare,
}

/// A block device or image file, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Where to open it.
    pub path: PathBuf,
    /// Its short name.
    pub name: String,
    /// Its size.
    pub size: Sectors,
    /// The smallest unit that can be written; the largest that a target takes, where it is
    /// larger: see [`DeviceInfo::logical_block_bytes`].
    pub logical_block: BlockSize,
    /// Whether it takes no writes.
    pub read_only: bool,
    /// What it is used for.
    pub usage: Usage,
    /// Blocks that are made to fail, in the lab.
    pub faults: u64,
    /// What else the machine knows of a block device; none of an image.
    pub properties: SharedProperties,
}

impl DeviceInfo {
    /// Bytes of the smallest unit that can be written, also where a target takes no such.
    pub fn logical_block_bytes(&self) -> u32 {
        let properties = self.properties.as_deref();
        let large = properties.and_then(|known| known.large_block_bytes);
        large.unwrap_or_else(|| self.logical_block.bytes())
    }
}

/// A block device that the kernel names by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockDevice {
    /// Where to open it: the path by which it is listed.
    pub path: PathBuf,
    /// The smallest unit that can be written.
    pub logical_block: BlockSize,
    /// The UUID that it has in a partition table, in lower case.
    pub partition_uuid: Option<String>,
    /// The label that it has in a GUID partition table, as udev writes it in links.
    pub partition_label: Option<String>,
}

/// A mapped device that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Its name.
    pub name: String,
    /// Main.
    pub main: PathBuf,
    /// The spare.
    pub spare: PathBuf,
    /// Its size.
    pub size: Sectors,
    /// Its remap unit.
    pub block_size: BlockSize,
    /// The optional part of its table line.
    pub options: Options,
    /// What its target says.
    pub status: Status,
}

/// What is needed to bring up a mapped device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// The name it gets.
    pub name: String,
    /// Main.
    pub main: PathBuf,
    /// The spare.
    pub spare: PathBuf,
    /// The optional part of the table line.
    pub options: Options,
    /// Which devices are meant; whatever else the paths lead to by then is left alone.
    pub meant: Meant,
}

impl Activation {
    /// Refuses what was opened if it is not what is meant.
    ///
    /// # Errors
    ///
    /// [`HostError::Changed`] names the device.
    pub fn require_meant(
        &self,
        main: &dyn BlockStore,
        spare: &dyn BlockStore,
    ) -> Result<(), HostError> {
        let opened = [
            (main, self.meant.main, &self.main),
            (spare, self.meant.spare, &self.spare),
        ];
        let mut changed = opened
            .into_iter()
            .filter(|(store, meant, _)| meant.is_some() && store.instance() != *meant);
        match changed.next() {
            None => Ok(()),
            Some((.., path)) => Err(HostError::Changed(escape_path(path).into_owned())),
        }
    }
}

/// Which devices were looked at under the paths of main and the spare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meant {
    /// Main; nothing where it was not looked at, or cannot be told.
    pub main: Option<Instance>,
    /// The spare; the same.
    pub spare: Option<Instance>,
}

/// A logged event of one mapped device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Counts up over the host's whole life.
    pub id: u64,
    /// When it happened; shown, never compared.
    pub time: Timestamp,
    /// The mapped device.
    pub device: String,
    /// What happened.
    pub event: Event,
}

/// Who told of what a log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teller {
    /// A target that lives in a lab.
    Lab,
    /// The kernel's log.
    KernelLog,
    /// This program, which compared what the target said of itself with what it said before.
    Comparison,
}

impl Teller {
    /// Its name, as reports spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::KernelLog => "kernel-log",
            Self::Comparison => "comparison",
        }
    }
}

/// What one line of a log tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// What happened.
    Event(Event),
    /// What was refused or went wrong, in words that are not fit to be shown as they are.
    Words(Severity, String),
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Counts up within the log.
    pub id: u64,
    /// When it happened; shown, never compared.
    pub time: Timestamp,
    /// The mapped device: its name, where that is known, else its number; none where the
    /// line tells of none.
    pub device: Option<String>,
    /// Who told of it.
    pub teller: Teller,
    /// What it tells.
    pub told: Told,
}

/// Everything that is known of what targets did.
#[derive(Debug, Default)]
pub struct TargetLog {
    /// What happened, oldest first.
    pub entries: Vec<LogEntry>,
    /// Whether older entries were overwritten.
    pub overwritten: bool,
    /// Why the kernel's log cannot be read, where that is where it would stand.
    pub unread: Option<HostError>,
}

/// What a message brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was done, with nothing to tell.
    Done,
    /// Remaps, for [`Message::Remaps`]; at most so many that a next message may go on
    /// behind the last one.
    Remaps(Vec<RemapRow>),
}

/// A machine or a lab: whoever has devices and can run targets.
pub trait Host: Send {
    /// The directory of a lab; `None` on a real machine.
    fn lab_directory(&self) -> Option<&Path>;

    /// Another handle to the same devices, for a thread that looks while others work. It waits
    /// for no work of theirs: as long as that goes on it may tell what was there before.
    ///
    /// # Errors
    ///
    /// [`HostError`] if there can be no other.
    fn beside(&self) -> Result<Box<dyn Host>, HostError>;

    /// Whether the last answer told what was there before work that goes on: nothing may
    /// tell of the end of that work, so this is to be asked again.
    fn is_behind(&self) -> bool {
        false
    }

    /// Every device there is, sorted by name.
    ///
    /// # Errors
    ///
    /// [`HostError`] if not even a list can be had.
    fn devices(&mut self) -> Result<Vec<DeviceInfo>, HostError>;

    /// Opens one device or image. An image need not be in [`Host::devices`].
    ///
    /// # Errors
    ///
    /// [`HostError::Busy`] if exclusive access was asked and somebody holds it.
    fn open(&mut self, path: &Path, access: Access) -> Result<Box<dyn BlockStore>, HostError>;

    /// What `path` is used for.
    ///
    /// # Errors
    ///
    /// [`HostError::NotFound`] if there is no such device.
    fn usage(&mut self, path: &Path) -> Result<Usage, HostError>;

    /// Every mapped device that is up, sorted by name.
    ///
    /// # Errors
    ///
    /// [`HostError`] if they cannot be known.
    fn mapped(&mut self) -> Result<Vec<Mapped>, HostError>;

    /// Whether a mapped device of these `devices` can be brought up here at all.
    ///
    /// # Errors
    ///
    /// Why it cannot, and what it would take.
    fn can_activate(&self, devices: &[&Path]) -> Result<(), String> {
        let _ = devices;
        Ok(())
    }

    /// Whether a mapped device of this name is up, ours or another's.
    ///
    /// # Errors
    ///
    /// [`HostError`] if that cannot be known.
    fn is_name_taken(&mut self, name: &str) -> Result<bool, HostError> {
        Ok(self.mapped()?.iter().any(|device| device.name == name))
    }

    /// Brings up a mapped device: its metadata and table are read before the first
    /// read or write is admitted.
    ///
    /// # Errors
    ///
    /// [`HostError`]; nothing is left behind then.
    fn activate(&mut self, activation: &Activation) -> Result<(), HostError>;

    /// Takes a mapped device down. Its metadata stays.
    ///
    /// # Errors
    ///
    /// [`HostError::Busy`] if it is held open.
    fn deactivate(&mut self, name: &str) -> Result<(), HostError>;

    /// Sends a message to the target of a mapped device.
    ///
    /// # Errors
    ///
    /// [`HostError`] if there is no such device or it could not do what was asked.
    fn message(&mut self, name: &str, message: &Message) -> Result<Reply, HostError>;

    /// Events logged after number `after`, oldest first.
    ///
    /// # Errors
    ///
    /// [`HostError`] if the log cannot be read.
    fn events(&mut self, after: u64) -> Result<Vec<LoggedEvent>, HostError>;

    /// Everything that is still known of what targets did and refused.
    ///
    /// # Errors
    ///
    /// [`HostError`] if there is a log and it cannot be read.
    fn target_log(&mut self) -> Result<TargetLog, HostError> {
        let entry = |logged: LoggedEvent| LogEntry {
            id: logged.id,
            time: logged.time,
            device: Some(logged.device),
            teller: Teller::Lab,
            told: Told::Event(logged.event),
        };
        Ok(TargetLog {
            entries: self.events(0)?.into_iter().map(entry).collect(),
            ..TargetLog::default()
        })
    }

    /// Lets targets that live in this process do what is due (a kernel's do so by
    /// themselves), and says in how many milliseconds something is due next.
    ///
    /// # Errors
    ///
    /// [`HostError`] if what was due could not be done.
    fn run_due(&mut self) -> Result<Option<u64>, HostError>;

    /// A file descriptor-like wait: blocks until something about the host may have
    /// changed or `millis` have passed, `None` for without limit. Called on a thread
    /// of its own, through a handle of its own.
    ///
    /// # Errors
    ///
    /// [`HostError`] if changes cannot be watched.
    fn watcher(&mut self) -> Result<Box<dyn Watcher>, HostError>;
}

/// Waits for changes of a host, without polling.
pub trait Watcher: Send {
    /// Returns when something may have changed.
    ///
    /// # Errors
    ///
    /// Whatever the operating system says; waiting again is useless then.
    fn wait(&mut self) -> std::io::Result<()>;
}

/// What time it is, for stamps that are shown and never compared.
pub trait Clock {
    /// Seconds since the Unix epoch.
    fn now(&self) -> Timestamp;

    /// The time zone that the operator lives in. Reads files: to be asked for once, and
    /// only by those that show times.
    fn zone(&self) -> Zone {
        Zone::UNKNOWN
    }
}

/// How long the machine has been up, for everything that is due some time after
/// something else.
pub trait Uptime {
    /// Milliseconds since the machine started, the same for every process.
    fn uptime(&self) -> Millis;

    /// Names this start of the machine; uptimes of different starts do not compare.
    fn boot_id(&self) -> String;
}

/// What a host is built on: devices and images, changes of directories, time, chance.
pub trait Platform: Clock + Uptime + Send + Sync {
    /// The histories that are kept in a directory; `None` where none are kept.
    fn history(&self, _directory: &Path) -> Option<Box<dyn history::History>> {
        None
    }

    /// The kernel's log from its oldest record on.
    ///
    /// # Errors
    ///
    /// [`HostError`] says why it cannot be read.
    fn kernel_log(&self) -> Result<Box<dyn kernel_log::KernelLog>, HostError> {
        Err(HostError::NotFound("the kernel's log".to_owned()))
    }

    /// Opens a block device or an image file.
    ///
    /// # Errors
    ///
    /// [`HostError::Busy`] if exclusive access was asked and somebody holds it.
    fn open(&self, path: &Path, access: Access) -> Result<Box<dyn BlockStore>, HostError>;

    /// Every block device of the machine, sorted by name.
    ///
    /// # Errors
    ///
    /// [`HostError`] if not even a list can be had.
    fn block_devices(&self) -> Result<Vec<DeviceInfo>, HostError>;

    /// What the block device or image file at `path` is used for.
    ///
    /// # Errors
    ///
    /// [`HostError::NotFound`] if there is no such device.
    fn usage(&self, path: &Path) -> Result<Usage, HostError>;

    /// The block device of this number; none if there is none.
    fn block_device(&self, number: DeviceNumber) -> Option<BlockDevice> {
        let _ = number;
        None
    }

    /// Has the kernel forget the partitions of the disk at `path`, except for those that are in
    /// use. Nothing on the disk changes.
    ///
    /// # Errors
    ///
    /// [`HostError`] if the kernel does not let them go, or `path` is no block device.
    fn forget_partitions(&self, path: &Path) -> Result<(), HostError> {
        let _ = path;
        Ok(())
    }

    /// Watches directories in which files are `replaced` as wholes, and directories
    /// whose files are `written` in place.
    ///
    /// # Errors
    ///
    /// [`HostError`] if they cannot be watched.
    fn watch(
        &self,
        replaced: &[PathBuf],
        written: &[PathBuf],
    ) -> Result<Box<dyn Watcher>, HostError>;

    /// Watches for devices that come, go or change, and for mounts.
    ///
    /// # Errors
    ///
    /// [`HostError`] if they cannot be watched.
    fn watch_devices(&self) -> Result<Box<dyn Watcher>, HostError> {
        self.watch(&["/dev".into()], &[])
    }

    /// The tables that say which disks are mounted, opened and assembled at start: each with
    /// its bytes. What cannot be read is left out.
    fn start_tables(&self) -> Vec<(PathBuf, Vec<u8>)> {
        Vec::new()
    }

    /// Waits until udev is through with the events that it knows of, but no longer than
    /// `limit`: what is there is known then by all its names.
    fn settle(&self, limit: std::time::Duration) {
        let _ = limit;
    }

    /// Fills `bytes` by chance, fit to name something for good.
    ///
    /// # Errors
    ///
    /// [`HostError::Io`] if the system gives none.
    fn random(&self, bytes: &mut [u8]) -> Result<(), HostError>;
}
