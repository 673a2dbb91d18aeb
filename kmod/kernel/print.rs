// SPDX-License-Identifier: GPL-2.0-or-later
//! Lines of the kernel log.

use core::fmt::{Arguments, Write};

/// Bytes of a line: what is longer is cut.
const LINE: usize = 512;

/// The level of a panic.
pub(crate) const EMERGENCY: i32 = 0;
/// The level of an error.
#[doc(hidden)]
pub const ERROR: i32 = 3;
/// The level of a warning.
#[doc(hidden)]
pub const WARNING: i32 = 4;
/// The level of what is good to know.
#[doc(hidden)]
pub const INFO: i32 = 6;

struct Line {
    text: [u8; LINE],
    used: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let free = self.text.get_mut(self.used..).unwrap_or_default();
        for (to, from) in free.iter_mut().zip(text.bytes()) {
            *to = from;
            self.used += 1;
        }
        Ok(())
    }
}

/// Writes a line at a level of the kernel's.
#[doc(hidden)]
#[inline(never)]
pub fn log(level: i32, text: Arguments<'_>) {
    let mut line = Line {
        text: [0; LINE],
        used: 0,
    };
    // Nothing that is printed fails, and a line that is full takes the rest without a word.
    let _ = line.write_fmt(text);
    // SAFETY: so many bytes are there.
    unsafe { crate::glue::dm_remap_log(level, line.text.as_ptr(), line.used as u32) }
}

/// Prints an error.
#[macro_export]
macro_rules! pr_err {
    ($($text:tt)*) => { $crate::print::log($crate::print::ERROR, ::core::format_args!($($text)*)) };
}

/// Prints a warning.
#[macro_export]
macro_rules! pr_warn {
    ($($text:tt)*) => { $crate::print::log($crate::print::WARNING, ::core::format_args!($($text)*)) };
}

/// Prints what is good to know.
#[macro_export]
macro_rules! pr_info {
    ($($text:tt)*) => { $crate::print::log($crate::print::INFO, ::core::format_args!($($text)*)) };
}

/// Format arguments; the kernel's crate has some of its own.
#[macro_export]
macro_rules! fmt {
    ($($text:tt)*) => { ::core::format_args!($($text)*) };
}
