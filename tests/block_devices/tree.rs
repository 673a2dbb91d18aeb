//! A machine that was made up: sysfs, udev's database and the mount tables as files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use dmremap::sys::Roots;

/// A made-up machine in a directory of its own.
pub struct Tree {
    pub directory: tempfile::TempDir,
    next_minor: u64,
    /// Where the next partition begins.
    next_start: u64,
    mountinfo: String,
    swaps: String,
}

/// A device of it, to be given attributes.
pub struct Device<'a> {
    pub tree: &'a Tree,
    pub directory: PathBuf,
    pub number: String,
}

impl Tree {
    pub fn new() -> Self {
        let tree = Self {
            directory: tempfile::tempdir().unwrap(),
            next_minor: 0,
            next_start: 0,
            mountinfo: String::new(),
            swaps: "Filename\tType\tSize\tUsed\tPriority\n".to_owned(),
        };
        for folder in [
            "sys/class/block",
            "sys/dev/block",
            "run/udev/data",
            "proc/self",
            "dev",
        ] {
            fs::create_dir_all(tree.path(folder)).unwrap();
        }
        fs::write(tree.path("proc/self/mountinfo"), "").unwrap();
        tree
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    pub fn roots(&self) -> Roots {
        Roots {
            sys: self.path("sys"),
            proc: self.path("proc"),
            udev: self.path("run/udev"),
            dev: self.path("dev"),
        }
    }

    /// A whole disk of so many sectors.
    pub fn disk(&mut self, name: &str, sectors: u64) -> Device<'_> {
        let directory = self.path("sys/devices/block").join(name);
        let device = self.add(directory, "disk", sectors);
        device
            .set("queue/logical_block_size", "512\n")
            .set("queue/physical_block_size", "4096\n")
            .set("queue/rotational", "0\n")
            .folder("slaves")
    }

    /// A partition of a disk that is there.
    pub fn partition(&mut self, disk: &str, name: &str, sectors: u64) -> Device<'_> {
        let directory = self.path("sys/devices/block").join(disk).join(name);
        let start = self.next_start;
        self.next_start += sectors;
        self.add(directory, "partition", sectors)
            .set("partition", "1\n")
            .set("start", format!("{start}\n"))
    }

    fn add(&mut self, directory: PathBuf, kind: &str, sectors: u64) -> Device<'_> {
        self.next_minor += 1;
        let number = format!("8:{}", self.next_minor);
        let name = directory.file_name().unwrap().to_owned();
        fs::create_dir_all(&directory).unwrap();
        symlink(&directory, self.path("sys/class/block").join(&name)).unwrap();
        symlink(&directory, self.path("sys/dev/block").join(&number)).unwrap();
        let device = Device {
            tree: self,
            directory,
            number: number.clone(),
        };
        let name = name.to_str().unwrap().replace('!', "/");
        device
            .set("dev", format!("{number}\n"))
            .set("size", format!("{sectors}\n"))
            .set("ro", "0\n")
            .set(
                "uevent",
                format!("MAJOR=8\nDEVNAME={name}\nDEVTYPE={kind}\n"),
            )
            .folder("holders")
    }

    /// Lets `holder` lie on `held`.
    pub fn hold(&self, held: &str, holder: &str) {
        let of = |name: &str| fs::canonicalize(self.path("sys/class/block").join(name)).unwrap();
        symlink(of(holder), of(held).join("holders").join(holder)).unwrap();
        symlink(of(held), of(holder).join("slaves").join(held)).unwrap();
    }

    pub fn mount(&mut self, number: &str, source: &str, place: &str) {
        self.mountinfo += &format!("26 1 {number} / {place} rw shared:1 - ext4 {source} rw\n");
        fs::write(self.path("proc/self/mountinfo"), &self.mountinfo).unwrap();
    }

    pub fn swap_to(&mut self, source: &str) {
        self.swaps += &format!("{source}   partition\t8388604\t0\t-2\n");
        fs::write(self.path("proc/swaps"), &self.swaps).unwrap();
    }
}

impl Device<'_> {
    /// Writes one of its attributes.
    pub fn set(self, attribute: &str, value: impl AsRef<[u8]>) -> Self {
        put(&self.directory.join(attribute), value.as_ref());
        self
    }

    /// Makes one of its folders.
    pub fn folder(self, name: &str) -> Self {
        fs::create_dir_all(self.directory.join(name)).unwrap();
        self
    }

    /// Writes its file in udev's database.
    pub fn udev(self, lines: impl AsRef<[u8]>) -> Self {
        let file = self
            .tree
            .path("run/udev/data")
            .join(format!("b{}", self.number));
        put(&file, lines.as_ref());
        self
    }
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
