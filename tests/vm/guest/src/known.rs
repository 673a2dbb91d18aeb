//! Disks that can be told from each other, as those with a serial number can: each is a
//! linear device with a UUID over a disk of memory, which has nothing of the kind.

use std::path::PathBuf;

use crate::block::Device;
use crate::disk::Disk;
use crate::dm::{Line, Mapped};
use crate::witness::{image, put};

/// A disk with an identity.
pub struct Known {
    /// What it lies on.
    pub disk: Disk,
    mapped: Mapped,
}

impl Known {
    /// A disk of so many MiB, known as `uuid`.
    pub fn of_mib(uuid: &str, mib: u64) -> Self {
        Self::over(uuid, Disk::of_mib(mib))
    }

    /// A disk that shows everything on another.
    pub fn over(uuid: &str, disk: Disk) -> Self {
        let sectors = Device::open_read_only(disk.path()).sectors();
        Self::beginning_of(uuid, disk, sectors)
    }

    /// A disk that shows the first `sectors` of another.
    pub fn beginning_of(uuid: &str, disk: Disk, sectors: u64) -> Self {
        let table = [linear(&disk, sectors)];
        let mapped = Mapped::create_known(uuid, uuid, &table);
        let mapped = mapped.unwrap_or_else(|error| panic!("{uuid}: {error}"));
        Self { disk, mapped }
    }

    /// The node to open it by.
    pub fn path(&self) -> PathBuf {
        self.mapped.path()
    }

    /// The same as text.
    pub fn word(&self) -> String {
        self.path().display().to_string()
    }

    /// Its number, as device-mapper lists what a table holds.
    pub fn device(&self) -> u64 {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(self.path())
            .expect("the node is there")
            .rdev()
    }

    /// Has it end after so many sectors.
    pub fn resize(&self, sectors: u64) {
        let table = [linear(&self.disk, sectors)];
        let resized = self.mapped.load(&table);
        let resized = resized.and_then(|()| self.mapped.suspend());
        let resized = resized.and_then(|()| self.mapped.resume());
        resized.unwrap_or_else(|error| panic!("{sectors} sectors: {error}"));
    }

    /// Makes it hold every byte of an image, as a copy from disk to disk does.
    pub fn copy(&self, image: &[u8]) {
        put(&self.disk, 0, image);
    }

    /// Every byte of what it lies on.
    pub fn image(&self) -> Vec<u8> {
        image(&self.disk)
    }

    /// Takes it away. What it lies on stays, and holds zeros.
    pub fn unplug(self) -> Disk {
        self.mapped.remove().expect("nobody uses it");
        let sectors = Device::open_read_only(self.disk.path()).sectors();
        put(&self.disk, 0, &vec![0; sectors as usize * 512]);
        self.disk
    }
}

fn linear(disk: &Disk, sectors: u64) -> Line {
    Line {
        start: 0,
        length: sectors,
        target: "linear",
        words: format!("{} 0", disk.word()),
    }
}
