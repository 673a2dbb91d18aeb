//! dmremap: the rules, the lab and the operator's seat of `dm-remap-v4`.
//!
//! `remap_core` is compiled from `kmod/`, where the kernel module compiles the
//! very same files: what the tests of this package prove about them holds there.

#[path = "../kmod/remap_core/mod.rs"]
pub mod remap_core;

pub mod cli;
pub mod command_line;
pub mod config;
pub mod error;
pub mod format;
pub mod initramfs;
pub mod inspect;
pub mod lab;
pub mod linear_table;
pub mod machine;
pub mod ops;
mod own_file;
pub mod policy;
pub mod port;
mod privilege;
pub mod report;
pub mod scenario;
mod signals;
pub mod stop;
pub mod sys;
pub mod table_line;
pub mod text;
pub mod tui;
pub mod zone;
