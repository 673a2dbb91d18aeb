//! Who holds the lock on a file, as far as the kernel tells.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;

use nix::sys::stat::{major, minor};

use crate::text::escape;

/// Says who holds a lock on the file of this metadata.
pub(super) fn describe(file: &Metadata) -> String {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    match find(&locks, file.dev(), file.ino()) {
        Some(process) => match fs::read(format!("/proc/{process}/comm")) {
            Ok(command) => format!("process {process} ({})", escape(command.trim_ascii())),
            Err(_) => format!("process {process}"),
        },
        None => "another process".to_owned(),
    }
}

/// Whether it is this process that holds a lock on the file of this metadata.
pub(super) fn is_this_process(file: &Metadata) -> bool {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    find(&locks, file.dev(), file.ino()) == Some(std::process::id())
}

/// The process that holds a lock on the inode, in the kernel's list of locks.
fn find(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let wanted = format!("{:02x}:{:02x}:{inode}", major(device), minor(device));
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        // A waiting request stands on a line of its own, marked by an arrow.
        match words[..] {
            [_, kind, _, _, process, file, ..] if kind != "->" && file == wanted => {
                process.parse().ok()
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKS: &str = "\
1: FLOCK  ADVISORY  WRITE 812 fe:00:4711 0 EOF
1: -> FLOCK  ADVISORY  WRITE 900 fe:00:4712 0 EOF
2: POSIX  ADVISORY  READ 77 00:1a:4712 0 EOF
";

    #[test]
    fn the_holder_is_told_from_those_who_wait() {
        let device = nix::sys::stat::makedev(0xfe, 0);
        assert_eq!(find(LOCKS, device, 4711), Some(812));
        assert_eq!(find(LOCKS, device, 4712), None);
        assert_eq!(
            find(LOCKS, nix::sys::stat::makedev(0, 0x1a), 4712),
            Some(77)
        );
        assert_eq!(find("", device, 4711), None);
    }
}
