//! Waiting for changes in directories, without polling.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::host_error;
use crate::port::{HostError, Watcher};

/// Wakes when a file in one of its directories changes.
pub(super) struct DirectoryWatcher {
    inotify: Inotify,
}

impl DirectoryWatcher {
    /// Watches directories in which files are replaced as wholes, and directories whose
    /// files are written in place.
    ///
    /// # Errors
    ///
    /// [`HostError`] if one of them cannot be watched.
    pub(super) fn new(replaced: &[PathBuf], written: &[PathBuf]) -> Result<Self, HostError> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC)
            .map_err(|errno| host_error(Path::new("inotify"), errno.into()))?;
        let moves = AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_DELETE;
        let writes = moves | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MODIFY;
        let watches = replaced.iter().map(|directory| (directory, moves));
        for (directory, flags) in watches.chain(written.iter().map(|path| (path, writes))) {
            inotify
                .add_watch(directory, flags | AddWatchFlags::IN_ONLYDIR)
                .map_err(|errno| host_error(directory, errno.into()))?;
        }
        Ok(Self { inotify })
    }
}

impl Watcher for DirectoryWatcher {
    fn wait(&mut self) -> std::io::Result<()> {
        loop {
            match self.inotify.read_events() {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
