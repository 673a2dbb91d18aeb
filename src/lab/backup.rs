//! What repairs overwrite, kept beside the lab's disks.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::create_private;
use super::BACKUPS;
use crate::format::backup::{Backup, SavedRange};
use crate::port::BlockStore;
use crate::remap_core::units::{IdentityDigest, Sectors};

/// Backups kept of one device; the oldest go first.
const KEPT: usize = 16;

/// Keeps what is about to be overwritten on the spare of one device.
pub(super) struct Keeper {
    directory: PathBuf,
    device: String,
    spare: PathBuf,
    identity: IdentityDigest,
    size: Sectors,
}

impl Keeper {
    pub(super) fn new(lab: &Path, device: &str, spare: &dyn BlockStore, path: &Path) -> Self {
        Self {
            directory: lab.join(BACKUPS),
            device: device.to_owned(),
            spare: path.to_owned(),
            identity: spare.identity(),
            size: spare.size(),
        }
    }

    /// Keeps `ranges` in a file of their own, durably.
    pub(super) fn keep(&self, ranges: Vec<SavedRange>) -> io::Result<()> {
        if ranges.is_empty() {
            return Ok(());
        }
        let bytes = Backup::new(&self.spare, self.identity, self.size, ranges)
            .and_then(|backup| backup.encode())
            .map_err(io::Error::other)?;
        fs::create_dir_all(&self.directory)?;
        let mut numbers = self.numbers()?;
        let next = numbers.last().map_or(1, |last| last.saturating_add(1));
        create_private(&self.path(next), &bytes)?;
        numbers.push(next);
        let surplus = numbers.len().saturating_sub(KEPT);
        for number in &numbers[..surplus] {
            fs::remove_file(self.path(*number))?;
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory
            .join(format!("{}.{number:06}.backup", self.device))
    }

    /// The numbers of this device's backups, in ascending order.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let file = entry?.file_name();
            let number: Option<u64> = file.to_str().and_then(|file| {
                let rest = file.strip_prefix(&self.device)?.strip_prefix('.')?;
                rest.strip_suffix(".backup")?.parse().ok()
            });
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}
