//! Who works on the lab: one process at a time, each for the length of one action.
//!
//! The lock file also counts the actions, so that a process knows whether what it
//! remembers is still so, and says whether one is going on: if the lock is free and it
//! says so, the process that began the action died.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::files::{host_error, own_file};
use crate::port::HostError;

/// The count of actions, and whether one is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) actions: u64,
    pub(super) busy: bool,
}

const CLEAN: &str = "clean";
const BUSY: &str = "busy ";

/// The length of a mark: twenty digits, a space, a word of five, a line feed.
const MARK_BYTES: usize = 27;

impl Mark {
    fn encode(self) -> String {
        let word = if self.busy { BUSY } else { CLEAN };
        format!("{:020} {word}\n", self.actions)
    }

    /// What the lock file says. Anything else than a mark, as a crash of the machine or
    /// a stranger may leave, counts as an action that did not end.
    fn decode(bytes: &[u8]) -> Self {
        let read = || {
            let text = std::str::from_utf8(bytes).ok()?;
            let (actions, word) = text.strip_suffix('\n')?.split_once(' ')?;
            let busy = match word {
                CLEAN => false,
                BUSY => true,
                _ => return None,
            };
            let actions = actions.parse().ok()?;
            Some(Self { actions, busy })
        };
        read().unwrap_or(Self {
            actions: 0,
            busy: true,
        })
    }
}

/// The lab's lock file.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Opens the lock file, which is created where there is none. One that cannot be written,
    /// as on a medium that takes no writes, will do for whoever only looks.
    pub(super) fn open(path: &Path) -> Result<Self, HostError> {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        let opened = own_file().read(true).write(true).create(true).open(path);
        let file = match opened {
            Err(error) if matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem) => {
                own_file().read(true).open(path).map_err(|_| error)
            }
            opened => opened,
        };
        let file = file.map_err(|source| host_error(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Waits until nobody changes the lab, and keeps it so.
    pub(super) fn share(&self) -> Result<(), HostError> {
        self.waited(self.file.lock_shared())
    }

    /// As [`Lock::share`] without waiting: whether it is shared now.
    pub(super) fn try_share(&self) -> Result<bool, HostError> {
        match self.file.try_lock_shared() {
            Ok(()) => Ok(true),
            Err(std::fs::TryLockError::WouldBlock) => Ok(false),
            Err(std::fs::TryLockError::Error(source)) => Err(host_error(&self.path, source)),
        }
    }

    /// Waits until nobody works on the lab, and keeps everybody else from it.
    pub(super) fn take(&self) -> Result<(), HostError> {
        self.waited(self.file.lock())
    }

    pub(super) fn release(&self) {
        // Closing the file releases the lock in any event; there is nobody to tell.
        let _ = self.file.unlock();
    }

    fn waited(&self, outcome: std::io::Result<()>) -> Result<(), HostError> {
        outcome.map_err(|source| host_error(&self.path, source))
    }

    pub(super) fn mark(&self) -> Result<Mark, HostError> {
        let mut bytes = [0; MARK_BYTES];
        match self.file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(Mark::decode(&bytes)),
            // A file that was just created is empty.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Ok(Mark::decode(&[]))
            }
            Err(error) => Err(host_error(&self.path, error)),
        }
    }

    pub(super) fn set_mark(&self, mark: Mark) -> Result<(), HostError> {
        self.file
            .write_all_at(mark.encode().as_bytes(), 0)
            .map_err(|source| host_error(&self.path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_cannot_be_written_will_do_for_looking() {
        // Not even root opens this file for writing.
        let lock = Lock::open(Path::new("/proc/version")).unwrap();
        lock.share().unwrap();
        assert!(lock.mark().unwrap().busy, "it is no mark");
        let mark = Mark {
            actions: 1,
            busy: false,
        };
        assert!(lock.set_mark(mark).is_err());
    }

    #[test]
    fn a_mark_is_read_as_it_was_written_and_anything_else_is_an_unended_action() {
        for actions in [0, 1, u64::MAX] {
            for busy in [false, true] {
                let mark = Mark { actions, busy };
                let text = mark.encode();
                assert_eq!(text.len(), MARK_BYTES);
                assert_eq!(Mark::decode(text.as_bytes()), mark);
            }
        }
        let unended = Mark {
            actions: 0,
            busy: true,
        };
        for bytes in [
            &b""[..],
            &[0; MARK_BYTES],
            b"00000000000000000001 idle \n",
            b"99999999999999999999 clean\n",
            &[0xff; MARK_BYTES],
        ] {
            assert_eq!(Mark::decode(bytes), unended);
        }
    }
}
