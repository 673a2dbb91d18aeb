//! Block devices of machines that were made up: the tree, its use, its identities.
#![cfg(test)]

mod sysfs;
mod tree;
