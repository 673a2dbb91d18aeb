// SPDX-License-Identifier: GPL-2.0-or-later
//! A block device that a target holds.

use core::marker::PhantomData;
use core::ptr::NonNull;

use kernel::alloc::Flags;
use kernel::error::to_result;
use kernel::prelude::*;

use super::ffi;
use crate::remap_core::units::{Errno, Sector, Sectors, BLOCK_4K_BYTES};

/// A block device, held from the constructor of a target to its destructor.
///
/// # Invariants
///
/// - `dev` was opened for `ti` and was not put.
/// - `ti` is a target whose destructor has not returned: nothing that lives for `'t`
///   outlives it.
/// - `bdev` is its block device.
pub struct Device<'t> {
    ti: NonNull<ffi::dm_target>,
    dev: NonNull<ffi::dm_dev>,
    bdev: NonNull<ffi::block_device>,
    lives: PhantomData<&'t ()>,
}

// SAFETY: device-mapper hands out `dm_dev` for use from any context; what is read of it
// here does not change while it is held.
unsafe impl Send for Device<'_> {}
// SAFETY: as above; nothing is changed through a shared reference.
unsafe impl Sync for Device<'_> {}

impl<'t> Device<'t> {
    /// Opens the device that the table line names `path`, with the table's mode.
    ///
    /// # Errors
    ///
    /// Whatever opening it gives, such as `ENODEV`, `EBUSY` or `EACCES`.
    ///
    /// # Safety
    ///
    /// `ti` must be a target that is being constructed, and what lives for `'t` must not
    /// outlive its destructor.
    pub(super) unsafe fn open(ti: NonNull<ffi::dm_target>, path: &CStr) -> Result<Self> {
        let mut dev = core::ptr::null_mut();
        // SAFETY: `ti` is being constructed, so its table is valid; `path` is a string that
        // the call only reads; `dev` is written on success only.
        to_result(unsafe { ffi::dm_remap_device_open(ti.as_ptr(), path.as_char_ptr(), &mut dev) })?;
        // SAFETY: the device was opened just now.
        let bdev = unsafe { ffi::dm_remap_device_bdev(dev) };
        // INVARIANT: as above, for this target.
        Ok(Self {
            ti,
            dev: NonNull::new(dev).ok_or(ENODEV)?,
            bdev: NonNull::new(bdev).ok_or(ENODEV)?,
            lives: PhantomData,
        })
    }

    /// The kernel's handle of the device.
    pub(super) fn dm_dev(&self) -> *mut ffi::dm_dev {
        self.dev.as_ptr()
    }

    /// The block device itself.
    #[inline]
    pub(super) fn bdev(&self) -> *mut ffi::block_device {
        self.bdev.as_ptr()
    }

    /// The name it is listed under: `major:minor`.
    pub fn name(&self) -> &str {
        // SAFETY: `name` is a string with a NUL in it, written once when the device was
        // opened.
        let name = unsafe { CStr::from_char_ptr(ffi::dm_remap_device_name(self.dev.as_ptr())) };
        name.to_str().unwrap_or("?")
    }

    /// Its size.
    pub fn size(&self) -> Sectors {
        // SAFETY: the block device is open.
        Sectors::new(unsafe { ffi::dm_remap_bdev_sectors(self.bdev()) })
    }

    /// The smallest unit it can be written in, in bytes.
    pub fn logical_block_bytes(&self) -> u32 {
        // SAFETY: the block device is open.
        unsafe { ffi::dm_remap_bdev_logical_block_size(self.bdev()) }
    }

    /// The unit in which it keeps its data, in bytes.
    pub fn physical_block_bytes(&self) -> u32 {
        // SAFETY: the block device is open.
        unsafe { ffi::dm_remap_bdev_physical_block_size(self.bdev()) }
    }

    /// Whether it takes discards.
    pub fn takes_discards(&self) -> bool {
        // SAFETY: the block device is open.
        unsafe { ffi::dm_remap_bdev_takes_discards(self.bdev()) }
    }

    /// Whether it takes no writes.
    pub fn is_read_only(&self) -> bool {
        // SAFETY: the block device is open.
        unsafe { ffi::dm_remap_bdev_read_only(self.bdev()) }
    }

    /// Whether both are the same block device.
    pub fn is_same(&self, other: &Device<'_>) -> bool {
        self.bdev() == other.bdev()
    }

    /// Reads the first `length` bytes of `buffer` from `at` on, and waits for it.
    /// Allocates nothing.
    ///
    /// # Errors
    ///
    /// What the device gave; those bytes are unspecified then.
    pub fn read_part(&self, at: Sector, buffer: &mut Buffer, length: u32) -> Result<(), Errno> {
        let length = buffer.0.len().min(length as usize);
        self.transfer(at, buffer.0.as_mut_ptr(), length, ffi::DM_REMAP_READ)
    }

    /// Reads into `blocks` blocks of `chunk`, from its block `first` on, and waits for it.
    ///
    /// # Errors
    ///
    /// What the device gave; what is in those blocks is unspecified then. `EINVAL` if the chunk
    /// has not so many.
    pub fn read_chunk(
        &self,
        at: Sector,
        chunk: &mut Chunk,
        first: usize,
        blocks: usize,
    ) -> Result<(), Errno> {
        let data = chunk.0.get_mut(bytes_of(first, blocks));
        let data = data.ok_or(errno_of(EINVAL.to_errno()))?;
        let op = ffi::DM_REMAP_READ;
        self.transfer(at, data.as_mut_ptr(), data.len(), op)
    }

    /// Writes `blocks` blocks of `chunk`, from its block `first` on, and returns when they are
    /// on the medium.
    ///
    /// # Errors
    ///
    /// What the device gave; what lies there is unknown then. `EINVAL` if the chunk has not so
    /// many.
    pub fn write_chunk(
        &self,
        at: Sector,
        chunk: &Chunk,
        first: usize,
        blocks: usize,
    ) -> Result<(), Errno> {
        let data = chunk.0.get(bytes_of(first, blocks));
        let data = data.ok_or(errno_of(EINVAL.to_errno()))?;
        let op = ffi::DM_REMAP_WRITE_DURABLY;
        // The pointer is only read through: the operation is a write.
        self.transfer(at, data.as_ptr().cast_mut(), data.len(), op)
    }

    /// Writes the first `length` bytes of `buffer` from `at` on, and returns when they are
    /// on the medium. Allocates nothing.
    ///
    /// # Errors
    ///
    /// What the device gave; what lies there is unknown then.
    pub fn write_durably(&self, at: Sector, buffer: &Buffer, length: u32) -> Result<(), Errno> {
        let length = buffer.0.len().min(length as usize);
        let op = ffi::DM_REMAP_WRITE_DURABLY;
        // The pointer is only read through: the operation is a write.
        self.transfer(at, buffer.0.as_ptr().cast_mut(), length, op)
    }

    /// Brings everything that was written to the medium.
    ///
    /// # Errors
    ///
    /// What the device gave; nothing may be taken for durable then.
    pub fn flush(&self) -> Result<(), Errno> {
        // SAFETY: the block device is open.
        let result = to_result(unsafe { ffi::dm_remap_bdev_flush(self.bdev()) });
        result.map_err(|error| errno_of(error.to_errno()))
    }

    fn transfer(&self, at: Sector, data: *mut u8, length: usize, op: u32) -> Result<(), Errno> {
        // SAFETY: the block device is open; `data` is `length` bytes from a `Buffer` or a
        // `Chunk` that is borrowed until the call returns, and so in the kernel's direct
        // mapping.
        let result = to_result(unsafe {
            ffi::dm_remap_bdev_rw(self.bdev(), at.get(), data.cast(), length, op)
        });
        result.map_err(|error| errno_of(error.to_errno()))
    }
}

/// An error number of the kernel's, which is negative, as the shared rules have it.
pub(super) fn errno_of(error: i32) -> Errno {
    Errno::new(error.saturating_neg())
}

/// 4 KiB for reading and writing a device, aligned for it.
///
/// # Invariants
///
/// It has so many bytes.
pub struct Buffer(KVec<u8>);

impl Buffer {
    /// Allocates a buffer of zeros.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(flags: Flags) -> Result<Self> {
        // A whole page: kmalloc aligns a power of two to itself.
        // INVARIANT: so many were asked for.
        Ok(Self(KVec::from_elem(0, BLOCK_4K_BYTES, flags)?))
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8; BLOCK_4K_BYTES] {
        // SAFETY: by the invariants.
        unsafe { &*self.0.as_ptr().cast() }
    }

    /// What is in it, to change.
    pub fn bytes_mut(&mut self) -> &mut [u8; BLOCK_4K_BYTES] {
        // SAFETY: by the invariants.
        unsafe { &mut *self.0.as_mut_ptr().cast() }
    }
}

/// Several pages in one piece, for reading much at once.
pub struct Chunk(KVec<u8>);

impl Chunk {
    /// Allocates `blocks` times 4 KiB in one piece.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: so much in one piece may well be missing.
    pub fn new(blocks: usize, flags: Flags) -> Result<Self> {
        // kmalloc aligns a power of two to itself.
        let bytes = blocks.next_power_of_two() * BLOCK_4K_BYTES;
        Ok(Self(KVec::from_elem(0, bytes, flags)?))
    }

    /// How many blocks of 4 KiB it has.
    pub fn blocks(&self) -> usize {
        self.0.len() / BLOCK_4K_BYTES
    }

    /// Block `at`.
    pub fn get(&self, at: usize) -> Option<&[u8; BLOCK_4K_BYTES]> {
        self.0.get(bytes_of(at, 1))?.first_chunk()
    }

    /// Block `at`, to change.
    pub fn get_mut(&mut self, at: usize) -> Option<&mut [u8; BLOCK_4K_BYTES]> {
        self.0.get_mut(bytes_of(at, 1))?.first_chunk_mut()
    }
}

/// Where `blocks` blocks from block `first` on are in a chunk.
fn bytes_of(first: usize, blocks: usize) -> core::ops::Range<usize> {
    let start = first.saturating_mul(BLOCK_4K_BYTES);
    start..start.saturating_add(blocks.saturating_mul(BLOCK_4K_BYTES))
}

impl Drop for Device<'_> {
    fn drop(&mut self) {
        // SAFETY: by the invariants the target's destructor has not returned, and the
        // device was not put.
        unsafe { ffi::dm_remap_device_put(self.ti.as_ptr(), self.dev.as_ptr()) };
    }
}
