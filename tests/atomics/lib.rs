//! The module's lock-free parts as they are, for a model checker to run in every order that the
//! memory model allows. `kernel` stands for the kernel's crate, `dm` for what the files under
//! test use of the rest of the module.
#![cfg(test)]
#![allow(
    dead_code,
    reason = "the files under test have more than the tests use"
)]

#[allow(
    unfulfilled_lint_expectations,
    reason = "its own lints are on where it is compiled alone"
)]
#[path = "../../kmod/remap_core/mod.rs"]
pub mod remap_core;

#[path = "../../kmod/index.rs"]
mod index;

#[path = "../../kmod/map.rs"]
mod map;

mod dm;
mod proofs;
mod target;
