//! A block store over an image file or a block device.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

#[cfg(feature = "blkid")]
use nix::fcntl::{fcntl, FcntlArg};
use nix::fcntl::{posix_fadvise, OFlag, PosixFadviseAdvice};

use super::block::{self, Roots};
use super::{host_error, lock_owner};
use crate::port::block::{DeviceNumber, Instance};
use crate::port::{Access, BlockStore, HostError, IoError};
use crate::remap_core::units::{BlockSize, Errno, IdentityDigest, Sector, Sectors};
use crate::text::escape_path;

nix::ioctl_read_bad!(
    /// Asks a block device for its logical block size in bytes.
    logical_block_bytes,
    BLKSSZGET,
    nix::libc::c_int
);

/// `BLKSSZGET` of `linux/fs.h`.
const BLKSSZGET: u32 = 0x1268;

nix::ioctl_read_bad!(
    /// Asks a block device whether it takes no writes.
    read_only_flag,
    BLKROGET,
    nix::libc::c_int
);

/// `BLKROGET` of `linux/fs.h`.
const BLKROGET: u32 = 0x125e;

nix::ioctl_read!(
    /// Asks a block device which of all devices so far it is: `BLKGETDISKSEQ` of
    /// `linux/fs.h`.
    disk_sequence,
    0x12,
    128,
    u64
);

/// What direct I/O may ask of a buffer's address, in bytes.
const DIRECT_ALIGNMENT: usize = 4096;

/// How long udev may look at a disk before somebody else is taken to hold it.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// How long to wait before the lock is tried again.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// An opened image file or block device.
#[derive(Debug)]
pub(super) struct BlockFile {
    file: File,
    size: Sectors,
    logical_block: BlockSize,
    identity: IdentityDigest,
    read_only: bool,
    /// Its number, if it is a block device. I/O to one is direct: what a target writes
    /// beneath the page cache would else never be seen through it.
    number: Option<DeviceNumber>,
    instance: Instance,
    /// Held for as long as the device is open.
    _lock: Option<Lock>,
}

/// The lock that keeps udev and other runs of this program away. Of a partition it is
/// the whole disk's: udev looks there.
#[derive(Debug)]
struct Lock(File);

impl Lock {
    /// Takes the lock for `file`, which `path` led to. Of a partition it is that of its
    /// `disk`; where this process has it already, for another partition, there is none to
    /// be taken.
    fn take(file: &File, path: &Path, disk: Option<&Path>) -> Result<Option<Self>, HostError> {
        let locked = match disk {
            // Opened for reading: closing what was open for writing has udev look.
            Some(disk) => File::open(disk).map_err(|source| host_error(disk, source))?,
            None => file
                .try_clone()
                .map_err(|source| host_error(path, source))?,
        };
        let owned = match lock_patiently(&locked) {
            Ok(()) => return Ok(Some(Self(locked))),
            Err(TryLockError::WouldBlock) => locked.metadata(),
            Err(TryLockError::Error(source)) => return Err(host_error(path, source)),
        };
        match owned {
            Ok(metadata) if disk.is_some() && lock_owner::is_this_process(&metadata) => Ok(None),
            owned => Err(HostError::Busy {
                what: escape_path(path).into_owned(),
                by: match owned {
                    Ok(metadata) => lock_owner::describe(&metadata),
                    Err(_) => "another process".to_owned(),
                },
            }),
        }
    }
}

/// Takes the lock on a file. udev holds that of a disk for as long as it looks at it, and it
/// looks whenever one that wrote to the disk has closed it, this program included.
fn lock_patiently(file: &File) -> Result<(), TryLockError> {
    let metadata = file.metadata().map_err(TryLockError::Error)?;
    let mut left = match metadata.file_type().is_block_device() {
        true => LONGEST_LOOK,
        false => Duration::ZERO,
    };
    loop {
        let tried = file.try_lock();
        let is_held = matches!(tried, Err(TryLockError::WouldBlock));
        // What this process holds it does not give back by waiting.
        if !is_held || left.is_zero() || lock_owner::is_this_process(&metadata) {
            return tried;
        }
        std::thread::sleep(BETWEEN_TRIES);
        left = left.saturating_sub(BETWEEN_TRIES);
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave the lock to a process that is being forked at this
        // moment, until it runs its own program.
        let _ = self.0.unlock();
    }
}

impl BlockFile {
    /// Opens `path`. [`Access::Exclusive`] takes O_EXCL where it is a block device, and
    /// the lock in any case; [`Access::HandOver`] takes the lock alone.
    ///
    /// # Errors
    ///
    /// [`HostError::Busy`] names who holds it, as far as can be known.
    pub(super) fn open(path: &Path, access: Access, roots: &Roots) -> Result<Self, HostError> {
        let failed = |source| host_error(path, source);
        let metadata = std::fs::metadata(path).map_err(failed)?;
        let kind = metadata.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(HostError::NotADevice(format!(
                "{} is neither a block device nor an image file",
                escape_path(path)
            )));
        }
        let is_device = kind.is_block_device();
        let mut flags = OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        if is_device {
            flags |= OFlag::O_DIRECT;
        }
        if access == Access::Exclusive && is_device {
            flags |= OFlag::O_EXCL;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(matches!(access, Access::Exclusive | Access::Damage))
            .custom_flags(flags.bits())
            .open(path)
            .map_err(|source| match source.kind() {
                io::ErrorKind::ResourceBusy => HostError::Busy {
                    what: escape_path(path).into_owned(),
                    by: "the kernel: it is mounted, or part of another device".to_owned(),
                },
                _ => host_error(path, source),
            })?;
        // Of what was opened: the path may have come to mean another device meanwhile.
        let opened = file.metadata().map_err(failed)?;
        let number = is_device.then(|| block::number_of(opened.rdev()));
        let lock = match access {
            Access::Exclusive | Access::HandOver => {
                let disk = number.and_then(|number| block::whole_disk(roots, number));
                Lock::take(&file, path, disk.as_deref())?
            }
            Access::Read | Access::Damage => None,
        };
        let bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
        // An image has nothing that a copy of it would not have as well.
        let (logical_block, identity, read_only) = match number {
            Some(number) => (
                block_device_unit(&file, path)?,
                block::identity(roots, number),
                ask_read_only(&file, path)?,
            ),
            None => (
                BlockSize::B512,
                IdentityDigest::NONE,
                metadata.permissions().readonly(),
            ),
        };
        Ok(Self {
            size: Sectors::from_bytes(bytes),
            logical_block,
            identity,
            read_only,
            number,
            instance: match number {
                Some(number) => Instance::Device {
                    number,
                    sequence: ask_sequence(&file),
                },
                None => Instance::File {
                    on: block::number_of(opened.dev()),
                    inode: opened.ino(),
                },
            },
            file,
            _lock: lock,
        })
    }

    /// Has libblkid look at the file: its own buffers are not made for direct I/O.
    #[cfg(feature = "blkid")]
    fn through_cache<T>(
        &self,
        look: impl FnOnce(&File) -> Result<T, IoError>,
    ) -> Result<T, IoError> {
        if self.number.is_none() {
            return look(&self.file);
        }
        let set = |flags: OFlag| {
            let result = fcntl(&self.file, FcntlArg::F_SETFL(flags));
            result.map_err(|errno| io_error(Sector::default())(errno.into()))
        };
        set(OFlag::O_NONBLOCK)?;
        let found = look(&self.file);
        set(OFlag::O_NONBLOCK | OFlag::O_DIRECT)?;
        found
    }

    /// The byte at which a request begins, if it lies within the device.
    fn offset(&self, at: Sector, length: usize) -> Result<u64, IoError> {
        let refuse = |number| IoError {
            errno: Errno::new(number),
            at,
        };
        let unit = self.logical_block.bytes() as usize;
        let start = at.byte_offset().ok_or(refuse(nix::libc::EINVAL))?;
        if !length.is_multiple_of(unit) || !start.is_multiple_of(unit as u64) {
            return Err(refuse(nix::libc::EINVAL));
        }
        let end = start.checked_add(length as u64);
        let size = self.size.bytes().unwrap_or(u64::MAX);
        match end {
            Some(end) if end <= size => Ok(start),
            _ => Err(refuse(nix::libc::ENOSPC)),
        }
    }
}

fn block_device_unit(file: &File, path: &Path) -> Result<BlockSize, HostError> {
    let mut bytes = 0;
    // SAFETY: the descriptor is open for the whole call, and BLKSSZGET writes one int
    // to where the pointer says, which is a live local of that type.
    #[expect(unsafe_code, reason = "an ioctl takes a raw pointer")]
    let asked = unsafe { logical_block_bytes(file.as_raw_fd(), &mut bytes) };
    asked.map_err(|errno| host_error(path, errno.into()))?;
    u32::try_from(bytes)
        .ok()
        .and_then(BlockSize::from_bytes)
        .ok_or_else(|| {
            HostError::NotADevice(format!(
                "{} has logical blocks of {bytes} bytes, and 512 to 4096 can be used",
                escape_path(path)
            ))
        })
}

fn ask_read_only(file: &File, path: &Path) -> Result<bool, HostError> {
    let mut flag = 0;
    // SAFETY: the descriptor is open for the whole call, and BLKROGET writes one int to
    // where the pointer says, which is a live local of that type.
    #[expect(unsafe_code, reason = "an ioctl takes a raw pointer")]
    let asked = unsafe { read_only_flag(file.as_raw_fd(), &mut flag) };
    asked.map_err(|errno| host_error(path, errno.into()))?;
    Ok(flag != 0)
}

/// Nothing from kernels before 5.15, which do not count them.
fn ask_sequence(file: &File) -> Option<u64> {
    let mut sequence = 0;
    // SAFETY: the descriptor is open for the whole call, and BLKGETDISKSEQ writes one u64
    // to where the pointer says, which is a live local of that type.
    #[expect(unsafe_code, reason = "an ioctl takes a raw pointer")]
    let asked = unsafe { disk_sequence(file.as_raw_fd(), &mut sequence) };
    asked.ok().map(|_| sequence)
}

/// Room for one request, at an address that direct I/O takes.
struct DirectBuffer {
    room: Vec<u8>,
    start: usize,
    length: usize,
}

impl DirectBuffer {
    fn new(length: usize) -> Self {
        let room = vec![0; length + DIRECT_ALIGNMENT];
        let start = room.as_ptr().align_offset(DIRECT_ALIGNMENT);
        Self {
            room,
            start,
            length,
        }
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.room[self.start..][..self.length]
    }
}

fn io_error(at: Sector) -> impl Fn(io::Error) -> IoError {
    move |error| IoError {
        errno: error.raw_os_error().map_or(Errno::EIO, Errno::new),
        at,
    }
}

impl BlockStore for BlockFile {
    fn size(&self) -> Sectors {
        self.size
    }

    fn logical_block(&self) -> BlockSize {
        self.logical_block
    }

    fn identity(&self) -> IdentityDigest {
        self.identity
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn number(&self) -> Option<DeviceNumber> {
        self.number
    }

    fn instance(&self) -> Option<Instance> {
        Some(self.instance)
    }

    #[cfg(feature = "blkid")]
    fn signatures(&self) -> Result<Vec<crate::port::block::Signature>, IoError> {
        self.through_cache(super::signature::find)
    }

    fn forget_cached(&self) {
        let advice = PosixFadviseAdvice::POSIX_FADV_DONTNEED;
        let _ = posix_fadvise(&self.file, 0, 0, advice);
    }

    #[cfg(feature = "blkid")]
    fn partitions(&self) -> Result<Vec<crate::port::block::Partition>, IoError> {
        self.through_cache(super::signature::partitions)
    }

    #[cfg(feature = "blkid")]
    fn signatures_in(
        &self,
        partition: &crate::port::block::Partition,
    ) -> Result<Vec<crate::port::block::Signature>, IoError> {
        self.through_cache(|file| super::signature::find_in(file, partition))
    }

    #[cfg(feature = "blkid")]
    fn signature_places(&self) -> Result<Vec<crate::port::block::Signature>, IoError> {
        let hidden = self.through_cache(super::signature::places)?;
        super::signature::with_the_rest(self, hidden)
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        let offset = self.offset(at, buffer.len())?;
        if self.number.is_none() {
            let read = self.file.read_exact_at(buffer, offset);
            return read.map_err(io_error(at));
        }
        let mut direct = DirectBuffer::new(buffer.len());
        let read = self.file.read_exact_at(direct.bytes(), offset);
        read.map_err(io_error(at))?;
        buffer.copy_from_slice(direct.bytes());
        Ok(())
    }

    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError> {
        let offset = self.offset(at, data.len())?;
        if self.number.is_none() {
            return self.file.write_all_at(data, offset).map_err(io_error(at));
        }
        let mut direct = DirectBuffer::new(data.len());
        direct.bytes().copy_from_slice(data);
        let written = self.file.write_all_at(direct.bytes(), offset);
        written.map_err(io_error(at))
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.file.sync_data().map_err(io_error(Sector::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_buffer_is_aligned_and_of_the_length_asked_for() {
        for length in [0, 512, 4096, 12_800] {
            let mut buffer = DirectBuffer::new(length);
            let bytes = buffer.bytes();
            assert_eq!(bytes.len(), length);
            assert_eq!(bytes.as_ptr() as usize % DIRECT_ALIGNMENT, 0);
        }
    }

    #[test]
    fn what_is_handed_over_is_locked_and_not_written() {
        let roots = Roots::default();
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(8192).unwrap();
        let open = |access| BlockFile::open(file.path(), access, &roots);
        let mut handed = open(Access::HandOver).unwrap();
        for access in [Access::Exclusive, Access::HandOver] {
            let second = open(access);
            assert!(matches!(second, Err(HostError::Busy { .. })), "{access:?}");
        }
        assert!(open(Access::Read).is_ok());
        assert!(handed.write_at(Sector::new(0), &[1; 512]).is_err());
        drop(handed);
        assert!(open(Access::Exclusive).is_ok());
    }
}
