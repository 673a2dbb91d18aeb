//! Disks made of the guest's memory, with blocks that can be made bad.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

const FOLDER: &str = "/sys/kernel/config/nullb";

/// Sectors in a MiB.
pub const MIB: u64 = 2048;

/// One disk; it is removed when the test that made it has ended.
pub struct Disk {
    folder: PathBuf,
    node: PathBuf,
}

/// What a disk is made like.
pub struct Shape {
    /// Its size in MiB.
    pub mib: u64,
    /// Its logical block, in bytes.
    pub block: u32,
    /// Whether it has a write cache, and so takes flushes.
    pub cached: bool,
    /// Whether one with a write cache takes writes that are durable by themselves.
    pub fua: bool,
    /// Whether it turns.
    pub rotational: bool,
    /// Whether it takes discards.
    pub discards: bool,
    /// Whether it keeps what is written. One that does not costs no memory.
    pub kept: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            mib: 16,
            block: 512,
            cached: false,
            fua: true,
            rotational: false,
            discards: false,
            kept: true,
        }
    }
}

impl Disk {
    /// Makes a disk of zeros.
    pub fn new(shape: &Shape) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("disk{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(FOLDER).join(&name);
        fs::create_dir(&folder).expect("null_blk takes another disk");
        let set = |key: &str, value: &str| {
            fs::write(folder.join(key), value).unwrap_or_else(|e| panic!("{key}={value}: {e}"));
        };
        set("size", &shape.mib.to_string());
        set("blocksize", &shape.block.to_string());
        set("memory_backed", if shape.kept { "1" } else { "0" });
        set("irqmode", "0");
        if shape.rotational {
            set("rotational", "1");
        }
        if shape.discards {
            set("discard", "1");
        }
        if shape.cached {
            set("cache_size", "4");
            set("fua", if shape.fua { "1" } else { "0" });
        }
        set("power", "1");
        let node = Path::new("/dev").join(&name);
        assert!(node.exists(), "{name} has no node");
        Self { folder, node }
    }

    /// A disk of so many MiB, with blocks of 512 bytes.
    pub fn of_mib(mib: u64) -> Self {
        Self::new(&Shape {
            mib,
            ..Shape::default()
        })
    }

    /// The node to open it by.
    pub fn path(&self) -> &Path {
        &self.node
    }

    /// The same as text, for a table line.
    pub fn word(&self) -> &str {
        self.node.to_str().expect("a node's path is text")
    }

    /// `major:minor`, as a table line prints it.
    pub fn number(&self) -> String {
        let name = self.node.file_name().expect("a node has a name");
        let path = Path::new("/sys/block").join(name).join("dev");
        fs::read_to_string(path)
            .expect("sysfs numbers it")
            .trim()
            .to_owned()
    }

    /// The device's number, as device-mapper lists what a table holds.
    pub fn device(&self) -> u64 {
        fs::metadata(&self.node).expect("the node is there").rdev()
    }

    /// Makes sectors `from..from + count` fail, reading and writing.
    pub fn spoil(&self, from: u64, count: u64) {
        let range = format!("+{from}-{}", from + count - 1);
        fs::write(self.folder.join("badblocks"), range).expect("null_blk takes bad blocks");
    }

    /// Removes it before its test ends, for tests that make many.
    pub fn remove(self) {
        remove(&self.folder).expect("nobody uses the disk");
    }

    /// Makes sectors `from..from + count` work again.
    pub fn heal(&self, from: u64, count: u64) {
        let range = format!("-{from}-{}", from + count - 1);
        fs::write(self.folder.join("badblocks"), range).expect("null_blk forgets bad blocks");
    }

    /// Flushes that reached it so far.
    pub fn flushes(&self) -> u64 {
        self.statistic(15)
    }

    /// Reads and writes that it has done so far.
    pub fn accesses(&self) -> u64 {
        self.statistic(0) + self.statistic(4)
    }

    fn statistic(&self, word: usize) -> u64 {
        let name = self.node.file_name().expect("a node has a name");
        let path = Path::new("/sys/block").join(name).join("stat");
        let text = fs::read_to_string(path).expect("sysfs counts its I/O");
        let word = text
            .split_whitespace()
            .nth(word)
            .expect("there is such a count");
        word.parse().expect("a count is a number")
    }
}

/// The number in a file.
pub fn number_in(path: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("{path} holds {text:?}"))
}

/// Removes every disk.
pub fn remove_all() {
    let entries = fs::read_dir(FOLDER).expect("null_blk lists its disks");
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        if let Err(error) = remove(&entry.path()) {
            println!(
                "vm: log {} cannot be removed: {error}",
                entry.path().display()
            );
        }
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    fs::write(folder.join("power"), "0")?;
    fs::remove_dir(folder)
}
