//! The lab's own files: replaced as wholes, never half-written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::own_file;
use crate::port::HostError;
use crate::text::{escape_path, escape_str, guard};

/// The suffix of a file that is being written and not yet what it will be.
pub(super) const NEW_SUFFIX: &str = ".new";

/// What a system error on one of the lab's files means to whoever asked.
pub(super) fn host_error(path: &Path, source: io::Error) -> HostError {
    let what = escape_path(path).into_owned();
    match source.kind() {
        io::ErrorKind::NotFound => HostError::NotFound(what),
        io::ErrorKind::PermissionDenied => HostError::NotPermitted(format!(
            "{what}: permission denied; it takes the user whose lab it is"
        )),
        _ => HostError::Io { what, source },
    }
}

/// A file of the lab that cannot be used. `remedy` says what to do and what that costs.
pub(super) fn unusable(path: &Path, why: &str, remedy: &str) -> HostError {
    HostError::Refused(format!("{}: {}; {remedy}", escape_path(path), guard(why)))
}

/// Puts `bytes` in the place of the file at `path`: whoever reads it, and whatever
/// crash comes, finds the old content or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), HostError> {
    let failed = |source| host_error(path, source);
    let mut new = path.as_os_str().to_owned();
    new.push(NEW_SUFFIX);
    let new = Path::new(&new);
    // An interrupted run may have left one; a link in its place leads elsewhere.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = File::create_new(new).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(new, path).map_err(failed)?;
    sync_parent(path)
}

/// Puts `value`, as JSON, in the place of the file at `path`.
pub(super) fn replace_json(path: &Path, value: &impl Serialize) -> Result<(), HostError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| unusable(path, &error.to_string(), "nothing was changed"))?;
    bytes.push(b'\n');
    replace(path, &bytes)
}

/// How a file of the lab's own is opened: no link is followed, and nothing is waited for.
pub(super) fn own_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK);
    options
}

/// Creates a file that only its owner may read, and that was not there before.
pub(super) fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Makes what was created, renamed or removed beside `path` durable.
pub(super) fn sync_parent(path: &Path) -> Result<(), HostError> {
    match path.parent() {
        Some(parent) => File::open(parent)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| host_error(parent, source)),
        None => Ok(()),
    }
}

/// The largest file of the lab's own that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// Reads a file, or `None` if there is none.
pub(super) fn read(path: &Path, remedy: &str) -> Result<Option<Vec<u8>>, HostError> {
    let failed = |source: io::Error| host_error(path, source);
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(unusable(path, "it is not a file", remedy))
        }
        Ok(metadata) if metadata.len() > LARGEST => {
            return Err(unusable(path, "it is larger than it can be", remedy))
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    own_file::read(path).map(Some).map_err(failed)
}

/// Reads a file of JSON, or `None` if there is none.
pub(super) fn read_json<T: DeserializeOwned>(
    path: &Path,
    remedy: &str,
) -> Result<Option<T>, HostError> {
    let Some(bytes) = read(path, remedy)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| unusable(path, &escape_str(&error.to_string()), remedy))
}
