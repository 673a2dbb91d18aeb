//! The target on disks in memory that fail where a test says.

mod crash;
mod healing;
mod relocation;
mod requests;
mod rig;
mod soak;
mod verdict;
