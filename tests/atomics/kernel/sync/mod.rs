//! What orders memory.

pub mod atomic;
pub mod rcu;
