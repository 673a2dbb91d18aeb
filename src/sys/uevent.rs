//! Waiting for block devices that come, go or change, and for mounts: told by the
//! kernel, without polling.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{
    bind, recv, socket, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType,
};

use super::block::Roots;
use super::host_error;
use crate::port::{HostError, Watcher};

/// The kernel's own messages.
const FROM_KERNEL: u32 = 1;

/// What udev sends once it is through with one of the kernel's: its database is up to
/// date then, and so are the links below `/dev`.
const FROM_UDEV: u32 = 2;

/// A message is a few hundred bytes; the kernel's buffer for one is 2 KiB, udev's 8 KiB.
const LONGEST: usize = 8192;

/// Waits until udev has worked off its queue, but no longer than `limit`. It keeps a file
/// for as long as there is anything in it.
pub(super) fn settle(roots: &Roots, limit: Duration) {
    const STEP: Duration = Duration::from_millis(20);
    let queue = roots.udev.join("queue");
    let mut waited = Duration::ZERO;
    while waited < limit && queue.exists() {
        std::thread::sleep(STEP);
        waited += STEP;
    }
}

/// Wakes when a block device comes, goes or changes, or when something is mounted or
/// swapped to.
pub(super) struct DeviceWatcher {
    events: OwnedFd,
    /// Tables that the kernel marks as urgent when they changed.
    tables: Vec<File>,
    buffer: Vec<u8>,
}

impl DeviceWatcher {
    /// Listens to udev where it runs, else to the kernel.
    ///
    /// # Errors
    ///
    /// [`HostError`] if there is nothing to listen to, as in some containers.
    pub(super) fn new(roots: &Roots) -> Result<Self, HostError> {
        let failed = |errno: Errno| host_error(Path::new("kernel events"), errno.into());
        let runs_udev = roots.udev.join("control").exists();
        let group = if runs_udev { FROM_UDEV } else { FROM_KERNEL };
        let events = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkKObjectUEvent,
        )
        .map_err(failed)?;
        bind(events.as_raw_fd(), &NetlinkAddr::new(0, group)).map_err(failed)?;
        let tables = ["self/mountinfo", "swaps"];
        let tables = tables.iter().filter_map(|table| {
            // Where it is missing nothing is mounted that could be seen.
            File::open(roots.proc.join(table)).ok()
        });
        Ok(Self::over(events, tables.collect()))
    }

    fn over(events: OwnedFd, tables: Vec<File>) -> Self {
        Self {
            events,
            tables,
            buffer: vec![0; LONGEST],
        }
    }

    /// Takes every message that is there; says whether one was about a block device.
    fn take_events(&mut self) -> io::Result<bool> {
        let mut concerned = false;
        loop {
            let flags = MsgFlags::MSG_DONTWAIT;
            match recv(self.events.as_raw_fd(), &mut self.buffer, flags) {
                Ok(length) => concerned |= is_of_block_device(&self.buffer[..length]),
                Err(Errno::EAGAIN) => return Ok(concerned),
                Err(Errno::EINTR) => {}
                // More came than could be kept: anything may be among it.
                Err(Errno::ENOBUFS) => concerned = true,
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl Watcher for DeviceWatcher {
    fn wait(&mut self) -> io::Result<()> {
        loop {
            let mut waited = vec![PollFd::new(self.events.as_fd(), PollFlags::POLLIN)];
            // Their readers are always ready; a change is an urgent condition.
            let tables = self.tables.iter();
            waited.extend(tables.map(|table| PollFd::new(table.as_fd(), PollFlags::POLLPRI)));
            match poll(&mut waited, PollTimeout::NONE) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            let ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
            let remounted = waited[1..].iter().any(ready);
            if self.take_events()? || remounted {
                return Ok(());
            }
        }
    }
}

/// Whether a message is about a block device: it holds lines that end in NULs, behind a
/// heading that differs between the kernel and udev.
fn is_of_block_device(message: &[u8]) -> bool {
    let mut lines = behind_heading(message).split(|byte| *byte == 0);
    lines.any(|line| line == b"SUBSYSTEM=block")
}

/// udev's heading has numbers in it, among them where its lines begin; the kernel's is a
/// line itself.
fn behind_heading(message: &[u8]) -> &[u8] {
    const UDEV: &[u8] = b"libudev\0";
    const BEGINNING_AT: usize = 16;
    if !message.starts_with(UDEV) {
        return message;
    }
    let begins = message
        .get(BEGINNING_AT..)
        .and_then(|rest| rest.first_chunk::<4>())
        .map(|bytes| u32::from_ne_bytes(*bytes) as usize);
    begins.and_then(|at| message.get(at..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{send, socketpair};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    const KERNEL: &[u8] = b"add@/devices/x/block/sdz\0ACTION=add\0SUBSYSTEM=block\0SEQNUM=1\0";
    const OTHER: &[u8] = b"add@/devices/x/net/eth0\0ACTION=add\0SUBSYSTEM=net\0";

    /// As udev sends it: its heading ends in numbers that may be anything.
    fn of_udev(lines: &[u8]) -> Vec<u8> {
        let mut message = b"libudev\0\xfe\xed\xca\xfe".to_vec();
        for number in [40, 40, lines.len() as u32, 0xffff_ffff, 1, 2, 0xffff_ffff] {
            message.extend(number.to_ne_bytes());
        }
        message.extend(lines);
        message
    }

    #[test]
    fn messages_about_block_devices_are_told_from_others() {
        assert!(is_of_block_device(KERNEL));
        assert!(!is_of_block_device(OTHER));
        for junk in [&b""[..], b"\0", b"SUBSYSTEM=blocks", b"\xff\xff"] {
            assert!(!is_of_block_device(junk));
        }
        assert!(is_of_block_device(&of_udev(
            b"SUBSYSTEM=block\0ACTION=add\0"
        )));
        assert!(!is_of_block_device(&of_udev(
            b"SUBSYSTEM=net\0ACTION=add\0"
        )));
        for cut in 0..40 {
            assert!(!is_of_block_device(&of_udev(b"SUBSYSTEM=block\0")[..cut]));
        }
    }

    #[test]
    fn a_message_wakes_and_what_is_none_of_ours_does_not() {
        let (sender, receiver) = socketpair(
            AddressFamily::Unix,
            SockType::Datagram,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .unwrap();
        let mut watcher = DeviceWatcher::over(receiver, Vec::new());
        let (woken, wakes) = mpsc::channel();
        let waiting = thread::spawn(
            move || {
                while watcher.wait().is_ok() && woken.send(()).is_ok() {}
            },
        );
        let say = |message| send(sender.as_raw_fd(), message, MsgFlags::empty()).unwrap();
        say(OTHER);
        let early = wakes.recv_timeout(Duration::from_millis(100));
        assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout));
        say(KERNEL);
        wakes.recv_timeout(Duration::from_secs(600)).unwrap();
        drop(wakes);
        say(&of_udev(b"SUBSYSTEM=block\0"));
        waiting.join().unwrap();
    }

    #[test]
    fn this_machine_can_be_listened_to_or_says_why_not() {
        match DeviceWatcher::new(&Roots::default()) {
            Ok(mut watcher) => assert!(watcher.take_events().is_ok()),
            Err(error) => assert!(error.to_string().contains("kernel events")),
        }
    }
}
