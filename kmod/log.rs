// SPDX-License-Identifier: GPL-2.0-or-later
//! Lines of the kernel log.
//!
//! The kernel crate prints with a `Display` of its own; the shared rules have that of
//! `core`, which passes through as format arguments.

use core::fmt::Arguments;

use kernel::prelude::*;

/// Says that something was refused or went wrong.
pub fn error(text: Arguments<'_>) {
    pr_err!("{text}\n");
}

/// Says something that an operator should look at.
pub fn warn(text: Arguments<'_>) {
    pr_warn!("{text}\n");
}

/// Says something good to know.
pub fn info(text: Arguments<'_>) {
    pr_info!("{text}\n");
}
