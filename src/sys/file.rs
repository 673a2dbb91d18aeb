//! A block store over an image file or a block device.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

use super::block::{self, Roots};
use super::{host_error, lock_owner};
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

/// An opened image file or block device.
#[derive(Debug)]
pub(super) struct BlockFile {
    file: File,
    size: Sectors,
    logical_block: BlockSize,
    identity: IdentityDigest,
    read_only: bool,
    locked: bool,
}

impl BlockFile {
    /// Opens `path`. [`Access::Exclusive`] takes O_EXCL where it is a block device and a
    /// lock in any case.
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
        let mut flags = OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        if access == Access::Exclusive && kind.is_block_device() {
            flags |= OFlag::O_EXCL;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(access != Access::Read)
            .custom_flags(flags.bits())
            .open(path)
            .map_err(|source| match source.kind() {
                io::ErrorKind::ResourceBusy => HostError::Busy {
                    what: escape_path(path).into_owned(),
                    by: "the kernel: it is mounted, or part of another device".to_owned(),
                },
                _ => host_error(path, source),
            })?;
        if access == Access::Exclusive {
            lock(&file, path)?;
        }
        let bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
        // An image has nothing that a copy of it would not have as well.
        let (logical_block, identity, read_only) = if kind.is_block_device() {
            let number = block::number_of(metadata.rdev());
            (
                block_device_unit(&file, path)?,
                block::identity(roots, number),
                ask_read_only(&file, path)?,
            )
        } else {
            (
                BlockSize::B512,
                IdentityDigest::NONE,
                metadata.permissions().readonly(),
            )
        };
        Ok(Self {
            file,
            size: Sectors::from_bytes(bytes),
            logical_block,
            identity,
            read_only,
            locked: access == Access::Exclusive,
        })
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

impl Drop for BlockFile {
    fn drop(&mut self) {
        if self.locked {
            // Closing alone would leave the lock to a process that is being forked at
            // this moment, until it runs its own program.
            let _ = self.file.unlock();
        }
    }
}

fn lock(file: &File, path: &Path) -> Result<(), HostError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(HostError::Busy {
            what: escape_path(path).into_owned(),
            by: match file.metadata() {
                Ok(metadata) => lock_owner::describe(&metadata),
                Err(_) => "another process".to_owned(),
            },
        }),
        Err(TryLockError::Error(source)) => Err(host_error(path, source)),
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

    #[cfg(feature = "blkid")]
    fn signatures(&self) -> Result<Vec<crate::port::block::Signature>, IoError> {
        super::signature::find(&self.file)
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        let offset = self.offset(at, buffer.len())?;
        self.file
            .read_exact_at(buffer, offset)
            .map_err(io_error(at))
    }

    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError> {
        let offset = self.offset(at, data.len())?;
        self.file.write_all_at(data, offset).map_err(io_error(at))
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.file.sync_data().map_err(io_error(Sector::default()))
    }
}
