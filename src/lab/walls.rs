//! The walls of a lab: whatever its files say and wherever links lead, a lab writes to its
//! own files and to image files in its own directory, and to nothing else.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{host_error, unusable};
use super::training::MAKING;
use super::{BACKUPS, DISKS, EVENTS, LOCK, REGISTRY, STATE};
use crate::policy::LAB_FILE;
use crate::port::HostError;
use crate::text::escape_path;

/// Files of a lab's own.
const FILES: [&str; 5] = [REGISTRY, LOCK, EVENTS, LAB_FILE, MAKING];

/// Directories of a lab's own. Two of them are others' to fill: the journal of actions and
/// the histories of what targets counted.
const DIRECTORIES: [&str; 5] = [DISKS, STATE, BACKUPS, "journal", "history"];

/// Refuses a lab one of whose own files or directories is a link or a node of another kind:
/// what is written to it would go elsewhere. Images are judged one by one, where they are
/// opened.
pub(super) fn check(directory: &Path) -> Result<(), HostError> {
    for name in FILES {
        let path = directory.join(name);
        require(&path, fs::FileType::is_file, "file")?;
    }
    for name in DIRECTORIES {
        let path = directory.join(name);
        require(&path, fs::FileType::is_dir, "directory")?;
        if name == DISKS {
            continue;
        }
        for entry in fs::read_dir(&path).into_iter().flatten() {
            let entry = entry.map_err(|source| host_error(&path, source))?;
            require(&entry.path(), fs::FileType::is_file, "file")?;
        }
    }
    Ok(())
}

/// Refuses what is at `path` if it is of another kind; nothing there is fine.
fn require(path: &Path, is_own: fn(&fs::FileType) -> bool, kind: &str) -> Result<(), HostError> {
    match fs::symlink_metadata(path) {
        Ok(found) if is_own(&found.file_type()) => Ok(()),
        Ok(_) => Err(unusable(
            path,
            &format!("it is not a {kind} of the lab's own"),
            "remove it: a lab follows no link out of its directory",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(host_error(path, error)),
    }
}

/// The image at `path` as it may be written: a regular file in the lab's directory, wherever
/// links lead.
pub(super) fn image_within(directory: &Path, path: &Path) -> Result<PathBuf, HostError> {
    let image = fs::canonicalize(path).map_err(|source| host_error(path, source))?;
    let is_file = fs::symlink_metadata(&image).is_ok_and(|found| found.is_file());
    if is_file && image.starts_with(directory) {
        return Ok(image);
    }
    let [shown, lab] = [&image, directory].map(escape_path);
    Err(HostError::Refused(format!(
        "{shown} is no image file in the lab {lab}: a lab writes to nothing else; copy it there"
    )))
}
