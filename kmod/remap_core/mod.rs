// SPDX-License-Identifier: GPL-2.0-or-later
//! The rules of dm-remap-v4, shared by the kernel module and the userspace tool.
//!
//! The kernel module compiles these files with its own rustc, cargo compiles the
//! very same files through `src/lib.rs`; paths are `crate::remap_core::...` in both.
//!
//! # Invariants
//!
//! - Imports `core::` only: no allocation, no I/O, no clock, no dependency.
//! - Never panics: no indexing, no unwrap, no unchecked arithmetic.
//! - Judging and acting are different functions: a verdict is a value, a repair
//!   is another function that takes it.
#![deny(
    unsafe_code,
    missing_docs,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

pub mod account;
pub mod bytes;
pub mod checksum;
pub mod commit;
pub mod engine;
pub mod event;
pub mod label;
pub mod layout;
pub mod log_line;
pub mod main_verdict;
pub mod message;
pub mod params;
pub mod policy;
pub mod quorum;
pub mod relocation;
pub mod remap_table;
pub mod repair;
pub mod signature;
pub mod status;
pub mod superblock;
pub mod table_update;
pub mod units;
pub mod verdict;
