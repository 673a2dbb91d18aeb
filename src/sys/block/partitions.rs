//! Partitions in the kernel's memory, which are no longer to be had beside the device that
//! they are part of.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use nix::errno::Errno;
use nix::libc::{c_int, c_void};

use super::{block_number, Roots};
use crate::port::HostError;
use crate::sys::host_error;

/// The request of `BLKPG`, as `linux/blkpg.h` has it.
#[repr(C)]
struct Request {
    operation: c_int,
    flags: c_int,
    data_length: c_int,
    data: *mut c_void,
}

/// The partition that a request is for.
#[repr(C)]
struct Subject {
    start: i64,
    length: i64,
    number: c_int,
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

const DELETE: c_int = 2;

nix::ioctl_write_ptr_bad!(
    partition_request,
    nix::request_code_none!(0x12, 105),
    Request
);

/// Has the kernel forget the partitions of the disk at `path`. Partitions that are in use stay,
/// and a device that has none, as a partition itself, is left alone.
///
/// # Errors
///
/// [`HostError`] if `path` is no block device, or the kernel refuses for another reason than
/// that a partition is in use.
pub(in crate::sys) fn forget(roots: &Roots, path: &Path) -> Result<(), HostError> {
    let Some(number) = block_number(path)? else {
        return Ok(());
    };
    let Some(directory) = roots.directory(number) else {
        return Ok(());
    };
    let entries = std::fs::read_dir(&directory).into_iter().flatten();
    let numbers = entries.filter_map(|entry| {
        let text = std::fs::read_to_string(entry.ok()?.path().join("partition")).ok()?;
        text.trim().parse().ok()
    });
    let numbers: Vec<c_int> = numbers.collect();
    if numbers.is_empty() {
        return Ok(());
    }
    let opened = File::open(path).map_err(|error| host_error(path, error))?;
    for number in numbers {
        match delete(&opened, number) {
            // In use, or gone meanwhile.
            Ok(()) | Err(Errno::EBUSY | Errno::ENXIO) => {}
            Err(errno) => return Err(host_error(path, errno.into())),
        }
    }
    Ok(())
}

fn delete(disk: &File, number: c_int) -> Result<(), Errno> {
    let mut subject = Subject {
        start: 0,
        length: 0,
        number,
        device_name: [0; 64],
        volume_name: [0; 64],
    };
    let request = Request {
        operation: DELETE,
        flags: 0,
        data_length: size_of::<Subject>() as c_int,
        data: (&raw mut subject).cast(),
    };
    // SAFETY: the descriptor is open for the whole call. BLKPG reads one request, which is a
    // live local of its layout, and behind its pointer one subject, which is so too.
    #[expect(unsafe_code, reason = "an ioctl takes a raw pointer")]
    let deleted = unsafe { partition_request(disk.as_raw_fd(), &raw const request) };
    deleted.map(drop)
}
