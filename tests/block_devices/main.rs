//! Block devices of machines that were made up: the tree, its use, its identities.
#![cfg(test)]

mod sharing;
mod sysfs;
mod tree;
