//! The kernel's log, read from where the kernel itself gives it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::time::{clock_gettime, ClockId};

use super::clock;
use crate::port::kernel_log::{KernelLog, Record, Records};
use crate::port::HostError;
use crate::remap_core::event::Severity;
use crate::remap_core::units::Timestamp;

const PATH: &str = "/dev/kmsg";

/// Longer than a record can be; each read gives one.
const RECORD_BYTES: usize = 8192;

/// The log, opened at a place in it.
pub(super) struct KernelLogFile {
    file: File,
    buffer: Vec<u8>,
}

impl KernelLogFile {
    /// Opens the log at its oldest record.
    pub(super) fn open() -> Result<Self, HostError> {
        Self::open_file().map_err(|source| match source.kind() {
            ErrorKind::PermissionDenied => HostError::NotPermitted(
                "the kernel's log is for root (kernel.dmesg_restrict)".to_owned(),
            ),
            _ => super::host_error(Path::new(PATH), source),
        })
    }

    fn open_file() -> std::io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(PATH)?;
        Ok(Self {
            file,
            buffer: vec![0; RECORD_BYTES],
        })
    }

    /// Opens the log behind its newest record.
    #[cfg(feature = "device-mapper")]
    pub(super) fn open_at_end() -> std::io::Result<Self> {
        let mut log = Self::open_file()?;
        log.file.seek(SeekFrom::End(0))?;
        Ok(log)
    }

    /// Every record from here to the end of the log, as the kernel gives it, and whether
    /// some were overwritten before they were read.
    pub(super) fn read_raw(&mut self, mut take: impl FnMut(&[u8])) -> std::io::Result<bool> {
        let mut overwritten = false;
        loop {
            match self.file.read(&mut self.buffer) {
                Ok(0) => return Ok(overwritten),
                Ok(length) => take(&self.buffer[..length]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(overwritten),
                    ErrorKind::Interrupted => {}
                    // The oldest record that is left comes next.
                    ErrorKind::BrokenPipe => overwritten = true,
                    _ => return Err(error),
                },
            }
        }
    }
}

/// What a record says of itself and the line that it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    sequence: u64,
    severity: Severity,
    /// Since the machine started, by the kernel's clock.
    micros: u64,
    pub(super) text: String,
}

/// Reads a record: `prefix,sequence,microseconds,flags[,...];text`, and below it lines of
/// a dictionary. Nothing is told of what is no record of the kernel's own: whoever may
/// write to the log can say there whatever it likes, but not as the kernel.
pub(super) fn parse(record: &[u8]) -> Option<Parsed> {
    let line = record.split(|byte| *byte == b'\n').next()?;
    let end = line.iter().position(|byte| *byte == b';')?;
    let (head, text) = line.split_at(end);
    let mut words = std::str::from_utf8(head).ok()?.split(',');
    let mut number = || decimal(words.next()?);
    let (prefix, sequence, micros) = (number()?, number()?, number()?);
    // The facility is above the three bits of the level; the kernel's is 0.
    let severity = match prefix {
        0..=3 => Severity::Error,
        4 => Severity::Warning,
        5..=7 => Severity::Info,
        _ => return None,
    };
    Some(Parsed {
        sequence,
        severity,
        micros,
        text: unescape(text.get(1..)?),
    })
}

/// A number of digits alone.
fn decimal(word: &str) -> Option<u64> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}

/// The text as it was logged: the kernel gives what is not printable ASCII, and a
/// backslash, as `\xNN`.
fn unescape(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let code = match (byte, after) {
            (b'\\', [b'x', high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &after[3..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

impl KernelLog for KernelLogFile {
    fn read(&mut self) -> Result<Records, HostError> {
        let (wall, since_start) = (clock::now_micros(), monotonic_micros());
        let mut read = Records::default();
        let looked = self.read_raw(|record| {
            read.records.extend(parse(record).map(|parsed| {
                let ago = since_start.saturating_sub(parsed.micros);
                Record {
                    sequence: parsed.sequence,
                    severity: parsed.severity,
                    time: Timestamp::new(wall.saturating_sub(ago) / 1_000_000),
                    text: parsed.text,
                }
            }));
        });
        read.overwritten = looked.map_err(|source| super::host_error(Path::new(PATH), source))?;
        Ok(read)
    }
}

/// The clock that the kernel stamps its log with, as far as it can be read.
fn monotonic_micros() -> u64 {
    let elapsed = clock_gettime(ClockId::CLOCK_MONOTONIC).map(std::time::Duration::from);
    let micros = elapsed.unwrap_or_default().as_micros();
    u64::try_from(micros).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_kernel_are_read() {
        let records: [(&[u8], u64, Severity, u64, &str); 5] = [
            (
                b"4,812,4712,-;dm_remap_v4: 253:0: spare 75 % used\n SUBSYSTEM=x\n DEVICE=y\n",
                812,
                Severity::Warning,
                4712,
                "dm_remap_v4: 253:0: spare 75 % used",
            ),
            (b"3,0,0,-;a;b", 0, Severity::Error, 0, "a;b"),
            (b"6,1,2,c,caller=T17;text", 1, Severity::Info, 2, "text"),
            (
                b"7,18446744073709551615,9,-;\\x1b[31m\\x5cx41 \\xzz \\x4",
                u64::MAX,
                Severity::Info,
                9,
                "\u{1b}[31m\\x41 \\xzz \\x4",
            ),
            (b"0,5,5,-;", 5, Severity::Error, 5, ""),
        ];
        for (record, sequence, severity, micros, text) in records {
            let parsed = Parsed {
                sequence,
                severity,
                micros,
                text: text.to_owned(),
            };
            assert_eq!(parse(record), Some(parsed));
        }
    }

    #[test]
    fn what_is_no_record_of_the_kernel_is_passed_over() {
        let records: [&[u8]; 12] = [
            b"",
            b"\n",
            b";",
            b"nothing",
            b"3,811,4711,-",
            b"3,811;text",
            b",811,4711,-;text",
            b"-3,811,4711,-;text",
            b"+3,811,4711,-;text",
            b"3,99999999999999999999,0,-;text",
            // Logged by a process, which cannot choose the kernel's facility.
            b"12,811,4711,-;dm_remap_v4: 253:0: spare 75 % used",
            b"\xff,1,1,-;text",
        ];
        for record in records {
            assert_eq!(parse(record), None, "{}", record.escape_ascii());
        }
        // A line that was never ended, and one of bytes that are no text.
        assert_eq!(parse(b"6,1,1,-;\xff\xfe").unwrap().text, "\u{fffd}\u{fffd}");
    }
}
