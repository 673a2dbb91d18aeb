//! A stand-in for the kernel's own crate, as far as the files under test use it. Atomics, RCU and
//! CPUs are models over loom; everything else is what it takes to compile.
//!
//! Every model is no stronger than the kernel: what holds here holds there.

pub mod alloc;
pub mod cpu;
pub mod error;
pub mod prelude;
pub mod sync;

/// The types of C.
pub mod ffi {
    pub use core::ffi::{c_char, c_int, c_uint, c_void};
}

/// What is bound of C: as much as bios on their way take.
pub mod bindings;
