//! Waiting for events of mapped devices, without polling.

use std::os::fd::AsFd as _;

use devicemapper::{DmNameBuf, DmResult, DM};
use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use crate::port::Watcher;

/// A mapped device, and how many events it has had.
type Seen = (DmNameBuf, u32, u32, Option<u32>);

/// Wakes when a mapped device comes, goes, is changed, or raises an event.
pub(super) struct EventWatcher {
    control: DM,
    /// What there was last; none where that could not be known.
    seen: Option<Vec<Seen>>,
}

impl EventWatcher {
    /// Watches from now on through a control device of its own.
    pub(super) fn new(control: DM) -> Self {
        let seen = list(&control).ok();
        Self { control, seen }
    }
}

fn list(control: &DM) -> DmResult<Vec<Seen>> {
    let devices = control.list_devices()?.into_iter();
    let seen = devices.map(|(name, device, events)| (name, device.major, device.minor, events));
    Ok(seen.collect())
}

impl Watcher for EventWatcher {
    fn wait(&mut self) -> std::io::Result<()> {
        loop {
            let mut descriptors = [PollFd::new(self.control.file().as_fd(), PollFlags::POLLIN)];
            match poll(&mut descriptors, PollTimeout::NONE) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            // Before the numbers are read: what happens in between wakes once more.
            self.control.arm_poll().map_err(std::io::Error::other)?;
            let now = list(&self.control).ok();
            if now.is_none() || now != self.seen {
                self.seen = now;
                return Ok(());
            }
        }
    }
}
