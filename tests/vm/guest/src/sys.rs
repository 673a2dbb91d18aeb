//! What an init owes its kernel, and the calls that need `unsafe`.
#![expect(unsafe_code, reason = "ioctls are made here and nowhere else")]

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::libc;
use nix::mount::{mount, MsFlags};
use nix::sys::reboot::{reboot, RebootMode};

/// Mounts one of the kernel's own file systems.
///
/// # Errors
///
/// What the kernel says.
pub fn mount_kernel_file_system(kind: &str, at: &str) -> io::Result<()> {
    fs::create_dir_all(at)?;
    Ok(mount(
        Some(kind),
        at,
        Some(kind),
        MsFlags::empty(),
        None::<&str>,
    )?)
}

/// Makes a serial port this program's standard output.
///
/// # Errors
///
/// What the kernel says.
pub fn speak_on(port: &str) -> io::Result<()> {
    let port = OpenOptions::new().write(true).open(port)?;
    Ok(nix::unistd::dup2_stdout(port)?)
}

/// What the kernel's command line says after `name=`; empty if it says nothing.
pub fn argument(name: &str) -> String {
    word(&command_line(), name)
}

/// The kernel's command line.
pub fn command_line() -> String {
    fs::read_to_string("/proc/cmdline").unwrap_or_default()
}

/// What a line says after `name=`; empty if it says nothing.
pub fn word(line: &str, name: &str) -> String {
    let said = |word: &str| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned());
    line.split_whitespace().find_map(said).unwrap_or_default()
}

/// Powers the guest off.
pub fn power_off() -> ! {
    nix::unistd::sync();
    let refused = reboot(RebootMode::RB_POWER_OFF);
    panic!("the guest cannot be powered off: {refused:?}");
}

/// Resets the guest at once: nothing is synced, nothing is taken down.
pub fn reset() -> ! {
    let triggered = fs::write("/proc/sysrq-trigger", "b");
    panic!("the guest cannot be reset: {triggered:?}");
}

/// Has the kernel swap to a device that begins as swap space does.
///
/// # Errors
///
/// What the kernel says.
pub fn swap_on(device: &Path) -> io::Result<()> {
    let device = CString::new(device.as_os_str().as_bytes())?;
    // SAFETY: swapon reads a string that ends in a zero.
    let result = unsafe { libc::swapon(device.as_ptr(), 0) };
    nix::errno::Errno::result(result)
        .map(drop)
        .map_err(io::Error::from)
}

/// Has the kernel swap there no longer.
///
/// # Errors
///
/// What the kernel says.
pub fn swap_off(device: &Path) -> io::Result<()> {
    let device = CString::new(device.as_os_str().as_bytes())?;
    // SAFETY: swapoff reads a string that ends in a zero.
    let result = unsafe { libc::swapoff(device.as_ptr()) };
    nix::errno::Errno::result(result)
        .map(drop)
        .map_err(io::Error::from)
}

/// A device-mapper ioctl on `/dev/mapper/control`. `buffer` begins with the header, which
/// states the buffer's length.
///
/// # Errors
///
/// What the kernel says.
pub fn dm_ioctl(control: &File, command: u8, buffer: &mut [u64]) -> io::Result<()> {
    const HEADER_BYTES: usize = 312;
    assert!(buffer.len() * 8 >= HEADER_BYTES, "shorter than its header");
    let code = nix::request_code_readwrite!(0xfd, command, HEADER_BYTES);
    // SAFETY: the kernel reads and writes as many bytes as the header says, and
    // `dm::Request` states the length of this very buffer.
    let result = unsafe { libc::ioctl(control.as_raw_fd(), code, buffer.as_mut_ptr()) };
    nix::errno::Errno::result(result)
        .map(drop)
        .map_err(io::Error::from)
}

/// Makes a block device refuse or take writes again.
///
/// # Errors
///
/// What the kernel says.
pub fn set_read_only(device: &File, read_only: bool) -> io::Result<()> {
    let value = libc::c_int::from(read_only);
    let code = nix::request_code_none!(0x12, 93);
    // SAFETY: BLKROSET reads one int.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), code, &value) };
    nix::errno::Errno::result(result)
        .map(drop)
        .map_err(io::Error::from)
}

/// Makes the kernel read a block device's partition table again.
///
/// # Errors
///
/// What the kernel says.
pub fn reread_partitions(device: &File) -> io::Result<()> {
    let code = nix::request_code_none!(0x12, 95);
    // SAFETY: BLKRRPART takes no argument.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), code) };
    nix::errno::Errno::result(result)
        .map(drop)
        .map_err(io::Error::from)
}

/// Where on its device the first block of a file lies, by a file system with blocks of
/// 4096 bytes: the first sector.
///
/// # Errors
///
/// What the kernel says; `ENODATA` for a file that lies nowhere.
pub fn first_sector_of(file: &File) -> io::Result<u64> {
    let mut block: libc::c_int = 0;
    let code = nix::request_code_none!(0, 1);
    // SAFETY: FIBMAP reads one int, a block of the file, and writes there one of the device.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), code, &mut block) };
    nix::errno::Errno::result(result)?;
    match u64::try_from(block) {
        Ok(block) if block > 0 => Ok(block * 8),
        _ => Err(nix::errno::Errno::ENODATA.into()),
    }
}

/// Says that bytes of a block device are not needed any more.
///
/// # Errors
///
/// What the device gives.
pub fn discard(device: &File, from: u64, length: u64) -> io::Result<()> {
    let code = nix::request_code_none!(0x12, 119);
    let range = [from, length];
    // SAFETY: BLKDISCARD reads two numbers.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), code, range.as_ptr()) };
    nix::errno::Errno::result(result)
        .map(drop)
        .map_err(io::Error::from)
}
