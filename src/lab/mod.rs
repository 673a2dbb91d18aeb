//! The lab: mapped devices on sparse image files, with the target in userspace.

pub mod fault;
pub mod ram;
