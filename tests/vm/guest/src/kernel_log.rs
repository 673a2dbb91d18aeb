//! What the kernel says while a test runs.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;

/// Words of the log that fail a test wherever they stand.
const COMPLAINTS: [&str; 23] = [
    "BUG:",
    "BUG at",
    "WARNING:",
    "Oops",
    "Call Trace",
    "general protection",
    "Kernel panic",
    "rust_kernel: panicked",
    "panicked at",
    "INFO: task",
    "blocked for more than",
    "possible circular locking",
    "possible recursive locking",
    "possible irq lock inversion",
    "inconsistent lock state",
    "sleeping function called",
    "scheduling while atomic",
    "detected stalls",
    "KASAN",
    "UBSAN",
    "kmemleak:",
    "refcount_t:",
    "list_add corruption",
];

/// Bits of the taint that a module from outside the tree sets by itself: not of the tree,
/// not signed.
const EXPECTED_TAINT: u64 = 1 << 12 | 1 << 13;

/// The kernel's log, read record by record.
pub struct KernelLog {
    file: File,
    /// Records since the test began.
    lines: Vec<String>,
}

impl KernelLog {
    /// Opens the log.
    pub fn open() -> Self {
        let mut options = OpenOptions::new();
        let options = options.read(true).custom_flags(libc::O_NONBLOCK);
        let file = options.open("/dev/kmsg").expect("the kernel log opens");
        Self {
            file,
            lines: Vec::new(),
        }
    }

    /// Forgets what was said so far.
    pub fn skip(&mut self) {
        self.read();
        self.lines.clear();
    }

    /// Whether anything said since the test began holds `text`.
    pub fn holds(&mut self, text: &str) -> bool {
        self.read();
        self.lines.iter().any(|line| line.contains(text))
    }

    /// What follows `text` in the last line since the test began that holds it.
    pub fn last_after(&mut self, text: &str) -> Option<&str> {
        self.read();
        let mut lines = self.lines.iter().rev();
        lines.find_map(|line| Some(line.split_once(text)?.1))
    }

    /// What should never be said, and what the kernel thinks of its own state.
    pub fn complaints(&mut self) -> Vec<String> {
        self.read();
        let bad = |line: &&String| COMPLAINTS.iter().any(|word| line.contains(word));
        let mut found: Vec<String> = self.lines.iter().filter(bad).cloned().collect();
        let taint = fs::read_to_string("/proc/sys/kernel/tainted").unwrap_or_default();
        let taint: u64 = taint.trim().parse().expect("the taint is a number");
        if taint & !EXPECTED_TAINT != 0 {
            found.push(format!("the kernel is tainted: {taint:#x}"));
        }
        found
    }

    fn read(&mut self) {
        let mut record = [0; 8192];
        loop {
            match self.file.read(&mut record) {
                Ok(0) => return,
                Ok(length) => {
                    let text = String::from_utf8_lossy(&record[..length]);
                    let text = text.split_once(';').map_or(&*text, |(_, text)| text);
                    self.lines.push(text.trim_end().to_owned());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Records were overwritten before they were read; the next is there.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(error) => panic!("the kernel log cannot be read: {error}"),
            }
        }
    }
}

/// While this exists, the kernel says on its console only what is an emergency. A
/// console costs more than what thousands of lines tell of.
pub struct Quiet;

const IGNORE_LEVEL: &str = "/sys/module/printk/parameters/ignore_loglevel";

impl Quiet {
    /// Silences the console; the log is kept as ever.
    pub fn new() -> Self {
        fs::write(IGNORE_LEVEL, "N").expect("the console minds levels");
        fs::write("/proc/sys/kernel/printk", "1").expect("the console's level is set");
        Self
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Without this the console is only quieter.
        let _ = fs::write(IGNORE_LEVEL, "Y");
    }
}
