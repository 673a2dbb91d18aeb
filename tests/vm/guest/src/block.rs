//! Reading and writing a block device past the page cache, and data that tells where it
//! belongs.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::libc;

use crate::sys;

/// Bytes in a sector.
pub const SECTOR: usize = 512;

/// Memory that direct I/O takes, aligned to a page.
pub struct Buffer {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Buffer {
    /// So many sectors of zeros.
    pub fn sectors(count: u64) -> Self {
        const ALIGN: usize = 4096;
        let length = count as usize * SECTOR;
        let memory = vec![0; length + ALIGN];
        let start = memory.as_ptr().align_offset(ALIGN);
        Self {
            memory,
            start,
            length,
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.length]
    }

    /// The bytes, to change.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }

    /// Fills each sector with what belongs to sector `from` and on in write `round`.
    pub fn fill(&mut self, from: u64, round: u64) {
        for (sector, bytes) in (from..).zip(self.bytes_mut().chunks_exact_mut(SECTOR)) {
            pattern(sector, round, bytes);
        }
    }

    /// Checks that each sector holds what belongs to sector `from` and on in `round`.
    pub fn check(&self, from: u64, round: u64) {
        self.check_part(0, (self.length / SECTOR) as u64, from, round);
    }

    /// Checks that `count` of its sectors, `skip` behind the first, hold what belongs to
    /// sector `from` and on in `round`.
    pub fn check_part(&self, skip: u64, count: u64, from: u64, round: u64) {
        let mut expected = [0; SECTOR];
        let part = &self.bytes()[skip as usize * SECTOR..][..count as usize * SECTOR];
        for (sector, bytes) in (from..).zip(part.chunks_exact(SECTOR)) {
            pattern(sector, round, &mut expected);
            assert!(
                bytes == expected,
                "sector {sector} holds {:02x?}..., not round {round}: {:02x?}...",
                &bytes[..24],
                &expected[..24]
            );
        }
    }

    /// Whether every byte is zero.
    pub fn is_zero(&self) -> bool {
        self.bytes().iter().all(|byte| *byte == 0)
    }
}

/// What belongs into a sector: each of its eight-byte words differs from every other of
/// any sector and round, so that data in the wrong place are found, and whose they are.
fn pattern(sector: u64, round: u64, bytes: &mut [u8]) {
    for (at, word) in (0u64..).zip(bytes.chunks_exact_mut(8)) {
        // splitmix64: one to one, so distinct inputs stay distinct.
        let mut x = (round << 44 ^ sector << 6 ^ at).wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word.copy_from_slice(&(x ^ x >> 31).to_le_bytes());
    }
}

/// A block device, opened for direct I/O.
pub struct Device {
    file: File,
}

impl Device {
    /// Opens it for reading and writing.
    pub fn open(path: &Path) -> Self {
        Self::open_with(path, true, 0).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Opens it for reading.
    pub fn open_read_only(path: &Path) -> Self {
        Self::open_with(path, false, 0).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Opens it for writes that are durable when they return.
    pub fn open_durable(path: &Path) -> Self {
        Self::open_with(path, true, libc::O_DSYNC)
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Opens it with nobody else holding it.
    ///
    /// # Errors
    ///
    /// `EBUSY` if somebody does.
    pub fn open_exclusive(path: &Path) -> io::Result<Self> {
        Self::open_with(path, true, libc::O_EXCL)
    }

    fn open_with(path: &Path, write: bool, flags: i32) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(write)
            .custom_flags(libc::O_DIRECT | flags);
        Ok(Self {
            file: options.open(path)?,
        })
    }

    /// Opens it for reading through the page cache.
    pub fn open_cached(path: &Path) -> Self {
        let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { file }
    }

    /// The file behind it.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Has so many sectors read into the page cache ahead of whoever will need them.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn will_need(&self, at: u64, count: u64) -> io::Result<()> {
        let advice = nix::fcntl::PosixFadviseAdvice::POSIX_FADV_WILLNEED;
        let bytes = |sectors: u64| (sectors * SECTOR as u64).cast_signed();
        Ok(nix::fcntl::posix_fadvise(
            &self.file,
            bytes(at),
            bytes(count),
            advice,
        )?)
    }

    /// Its size, in sectors.
    pub fn sectors(&self) -> u64 {
        use std::io::{Seek, SeekFrom};
        let end = (&self.file)
            .seek(SeekFrom::End(0))
            .expect("a block device has an end");
        end / SECTOR as u64
    }

    /// Writes a buffer from sector `at` on.
    ///
    /// # Errors
    ///
    /// What the device gives.
    pub fn write(&self, at: u64, buffer: &Buffer) -> io::Result<()> {
        self.file.write_all_at(buffer.bytes(), at * SECTOR as u64)
    }

    /// Reads a buffer from sector `at` on.
    ///
    /// # Errors
    ///
    /// What the device gives.
    pub fn read(&self, at: u64, buffer: &mut Buffer) -> io::Result<()> {
        self.file
            .read_exact_at(buffer.bytes_mut(), at * SECTOR as u64)
    }

    /// Writes what belongs to sectors `at..at + count` in `round`.
    ///
    /// # Errors
    ///
    /// What the device gives.
    pub fn write_pattern(&self, at: u64, count: u64, round: u64) -> io::Result<()> {
        let mut buffer = Buffer::sectors(count);
        buffer.fill(at, round);
        self.write(at, &buffer)
    }

    /// Checks that sectors `at..at + count` hold what belongs to sectors `from` and on in
    /// `round`.
    pub fn check_pattern_of(&self, at: u64, count: u64, from: u64, round: u64) {
        let mut buffer = Buffer::sectors(count);
        self.read(at, &mut buffer)
            .unwrap_or_else(|error| panic!("sectors {at}+{count}: {error}"));
        buffer.check(from, round);
    }

    /// Checks that sectors `at..at + count` hold what belongs to them in `round`.
    pub fn check_pattern(&self, at: u64, count: u64, round: u64) {
        self.check_pattern_of(at, count, at, round);
    }

    /// Checks that sectors `at..at + count` are zero.
    pub fn check_zero(&self, at: u64, count: u64) {
        let mut buffer = Buffer::sectors(count);
        self.read(at, &mut buffer)
            .unwrap_or_else(|error| panic!("sectors {at}+{count}: {error}"));
        assert!(buffer.is_zero(), "sectors {at}+{count} are not zero");
    }

    /// Says that `count` sectors from `at` on are not needed any more.
    ///
    /// # Errors
    ///
    /// What the device gives.
    pub fn discard(&self, at: u64, count: u64) -> io::Result<()> {
        sys::discard(&self.file, at * 512, count * 512)
    }

    /// Makes everything written durable.
    ///
    /// # Errors
    ///
    /// What the device gives.
    pub fn flush(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
