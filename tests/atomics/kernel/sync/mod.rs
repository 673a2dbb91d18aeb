//! Operations that order memory.

pub mod atomic;
pub mod rcu;
