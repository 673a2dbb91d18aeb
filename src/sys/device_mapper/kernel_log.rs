//! What the kernel logs about a request: device-mapper's errors are a number alone, and
//! their reason stands in the log.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;

use nix::fcntl::OFlag;

use crate::port::device_mapper::MODULE;

/// The kernel's log from some moment on.
pub(super) struct KernelLog {
    file: Option<File>,
}

impl KernelLog {
    /// The log from now on. One that cannot be read says nothing.
    pub(super) fn from_now() -> Self {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open("/dev/kmsg");
        let file = file.ok().filter(|mut file| {
            let end = file.seek(SeekFrom::End(0));
            end.is_ok()
        });
        Self { file }
    }

    /// What was logged since then about mapped devices or our target.
    pub(super) fn reasons(&mut self) -> Option<String> {
        // Longer than a record can be; each read gives one.
        let mut record = vec![0; 8192];
        let mut reasons: Vec<String> = Vec::new();
        let file = self.file.as_mut()?;
        loop {
            match file.read(&mut record) {
                Ok(0) => break,
                Ok(length) => {
                    let text = String::from_utf8_lossy(&record[..length]);
                    reasons.extend(reason(&text).map(ToOwned::to_owned));
                }
                // Records that were overwritten meanwhile are skipped.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
                Err(_) => break,
            }
        }
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

/// What a record says, if it is about mapped devices or our target.
fn reason(record: &str) -> Option<&str> {
    let (_, text) = record.lines().next()?.split_once(';')?;
    let of_module = text
        .strip_prefix(MODULE)
        .map(|text| text.trim_start_matches(':'));
    let about = of_module.or_else(|| text.strip_prefix("device-mapper:"));
    about.map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_from_other_records() {
        let records = [
            (
                "3,811,4711,-;device-mapper: table: 253:0: dm-remap-v4: Main cannot be opened (-ENXIO)\n",
                Some("table: 253:0: dm-remap-v4: Main cannot be opened (-ENXIO)"),
            ),
            (
                "4,812,4712,-;dm_remap_v4: 8:16: no metadata here\n SUBSYSTEM=x\n",
                Some("8:16: no metadata here"),
            ),
            ("6,813,4713,-;sd 0:0:0:0: [sda] Attached\n", None),
            ("nothing", None),
            ("", None),
        ];
        for (record, expected) in records {
            assert_eq!(reason(record), expected, "{record:?}");
        }
    }
}
