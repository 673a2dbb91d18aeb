//! Everything that lies on disks, to be told afterwards whether it changed.

use crate::block::{Buffer, Device, SECTOR};
use crate::disk::Disk;

/// What lay on some disks.
pub struct Witness<'a>(Vec<(&'a Disk, Vec<u8>)>);

impl<'a> Witness<'a> {
    /// Takes down what lies on each of them.
    pub fn of(disks: &[&'a Disk]) -> Self {
        Self(disks.iter().map(|disk| (*disk, image(disk))).collect())
    }

    /// Checks that every byte is what it was.
    pub fn check(&self, after: &str) {
        for (disk, before) in &self.0 {
            let now = image(disk);
            let sectors = before.chunks(SECTOR).zip(now.chunks(SECTOR));
            let changed = sectors.into_iter().position(|(before, now)| before != now);
            assert_eq!(
                changed,
                None,
                "{after}: a sector of {} changed",
                disk.word()
            );
            assert_eq!(now.len(), before.len(), "{after}: {}", disk.word());
        }
    }
}

/// Every byte of a disk.
pub fn image(disk: &Disk) -> Vec<u8> {
    const AT_ONCE: u64 = 2048;
    let device = Device::open_read_only(disk.path());
    let mut image = Vec::with_capacity(device.sectors() as usize * SECTOR);
    let mut at = 0;
    while at < device.sectors() {
        let mut buffer = Buffer::sectors(AT_ONCE.min(device.sectors() - at));
        device
            .read(at, &mut buffer)
            .unwrap_or_else(|error| panic!("{} at {at}: {error}", disk.word()));
        image.extend_from_slice(buffer.bytes());
        at += AT_ONCE;
    }
    image
}

/// Writes bytes from a sector of a disk on; what is missing of the last sector is zeros.
pub fn put(disk: &Disk, at: u64, bytes: &[u8]) {
    let mut buffer = Buffer::sectors((bytes.len() as u64).div_ceil(SECTOR as u64));
    buffer.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
    Device::open(disk.path())
        .write(at, &buffer)
        .unwrap_or_else(|error| panic!("{} at {at}: {error}", disk.word()));
}
