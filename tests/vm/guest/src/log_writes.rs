//! The log that the kernel's `log-writes` target keeps of what reaches a disk.
//!
//! The target holds a write back from the log until a flush, or the write's own FUA, has
//! made it durable. So each beginning of the log is what a disk with a cache could hold
//! that lost everything it was not told to keep.

use std::io;
use std::path::{Path, PathBuf};

use crate::block::{Buffer, Device, SECTOR};
use crate::disk::{Disk, MIB};
use crate::dm::{Line, Mapped};
use crate::remap_core::units::{Sector, Sectors};

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;

const FUA: u64 = 1 << 1;
const DISCARD: u64 = 1 << 2;
const MARK: u64 = 1 << 3;

/// The mark that the target leaves when it is taken down.
const END: &str = "dm-log-writes-end";

/// One thing that happened to the disk.
#[derive(Debug)]
pub enum Event {
    /// Data became durable.
    Write {
        /// From which sector on.
        at: Sector,
        /// Whole sectors.
        data: Vec<u8>,
        /// Whether the write was to be durable by itself.
        fua: bool,
    },
    /// Everything written before is durable.
    Flush,
    /// The test left a mark.
    Mark(String),
}

/// A disk whose writes are logged.
pub struct Logged {
    mapped: Mapped,
    log: Disk,
}

impl Logged {
    /// Logs what is written to `disk` from now on; the log has room for `room` of data.
    pub fn new(disk: &Disk, room: Sectors) -> Self {
        Self::named("logged", disk, room)
    }

    /// The same, as a mapped device of that name: several disks can be logged then.
    pub fn named(name: &str, disk: &Disk, room: Sectors) -> Self {
        let log = Disk::of_mib(room.get().div_ceil(MIB));
        let line = Line {
            start: 0,
            length: Device::open_read_only(disk.path()).sectors(),
            target: "log-writes",
            words: format!("{} {}", disk.word(), log.word()),
        };
        let mapped = Mapped::create(name, &[line]).expect("log-writes comes up");
        Self { mapped, log }
    }

    /// The node to write through.
    pub fn path(&self) -> PathBuf {
        self.mapped.path()
    }

    /// Leaves a mark after everything that is durable by now.
    pub fn mark(&self, text: &str) {
        let sent = self.mapped.message(0, &format!("mark {text}"));
        sent.expect("log-writes takes a mark");
    }

    /// Stops logging and returns what was logged.
    pub fn finish(self) -> Vec<Event> {
        self.mapped.remove().expect("nobody uses the logged disk");
        read(self.log.path()).expect("the log can be read")
    }
}

fn read(path: &Path) -> io::Result<Vec<Event>> {
    let log = Device::open_read_only(path);
    let mut head = Buffer::sectors(1);
    log.read(0, &mut head)?;
    assert_eq!(u64_at(head.bytes(), 0), MAGIC, "the log has another magic");
    assert_eq!(u64_at(head.bytes(), 8), VERSION);
    let count = u64_at(head.bytes(), 16);
    let sector_bytes = u32::from_le_bytes(head.bytes()[24..28].try_into().unwrap());
    assert_eq!(sector_bytes as usize, SECTOR, "the log counts in sectors");
    let mut events = Vec::new();
    let mut at = 1;
    for _ in 0..count {
        log.read(at, &mut head)?;
        let [sector, sectors, flags, inline] = [0, 8, 16, 24].map(|at| u64_at(head.bytes(), at));
        at += 1;
        if flags & MARK != 0 {
            let text = &head.bytes()[32..32 + inline as usize];
            let text = String::from_utf8_lossy(text)
                .trim_end_matches('\0')
                .to_owned();
            if text != END {
                events.push(Event::Mark(text));
            }
            continue;
        }
        assert_eq!(flags & DISCARD, 0, "nothing here discards");
        if sectors == 0 {
            events.push(Event::Flush);
            continue;
        }
        let mut data = Buffer::sectors(sectors);
        log.read(at, &mut data)?;
        at += sectors;
        events.push(Event::Write {
            at: Sector::new(sector),
            data: data.bytes().to_vec(),
            fua: flags & FUA != 0,
        });
    }
    Ok(events)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
