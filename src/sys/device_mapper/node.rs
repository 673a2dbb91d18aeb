//! Nodes of mapped devices below /dev/mapper, where no udev makes them.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::port::block::DeviceNumber;
use crate::port::HostError;
use crate::sys::host_error;

const DIRECTORY: &str = "/dev/mapper";

fn is_ours_to_make() -> bool {
    !Path::new(super::UDEV).exists()
}

fn path_of(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

/// Makes the node of a mapped device that has come up, if nobody else does. What stands
/// in its place is of a device that is no more.
///
/// # Errors
///
/// [`HostError`] if it cannot be made.
pub(super) fn make(name: &str, number: DeviceNumber) -> Result<(), HostError> {
    if !is_ours_to_make() {
        return Ok(());
    }
    let path = path_of(name);
    remove_link(&path).map_err(|error| host_error(&path, error))?;
    let target = Path::new("..").join(format!("dm-{}", number.minor));
    symlink(target, &path).map_err(|error| host_error(&path, error))
}

/// Takes away the node of a mapped device that has gone.
pub(super) fn clear(name: &str) {
    if is_ours_to_make() {
        // The device is gone either way; a link that leads nowhere does no harm.
        let _ = remove_link(&path_of(name));
    }
}

/// Removes a link, and nothing else.
fn remove_link(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_symlink() => fs::remove_file(path),
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
