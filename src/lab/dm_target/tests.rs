//! The engine on disks in memory that fail where a test says.

mod contradiction;
mod costs;
mod cover;
mod crash;
mod healing;
mod labels;
mod model;
mod relocation;
mod requests;
mod rig;
mod unwritable;
mod verdict;
mod vintage;
