//! A crate of `remap_core` and nothing else, without the standard library: what
//! compiles here needs no allocator, no operating system and no dependency.
#![no_std]

#[path = "../../kmod/remap_core/mod.rs"]
pub mod remap_core;
