// SPDX-License-Identifier: GPL-2.0-or-later
//! The rules of dm-remap-v4, shared by the kernel module and the userspace tool.
//!
//! # Invariants
//!
//! - Imports `core::` only: no allocation, no I/O, no clock, no dependency.
//! - Never panics: no indexing, no unwrap, no unchecked arithmetic.
//! - Judging and acting are different functions.
#![deny(
    unsafe_code,
    missing_docs,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

