//! Two readings of one format: `remap_core`'s codec and the `binrw` declaration must
//! see the same fields in the same bytes, write the same bytes for the same fields,
//! and take or leave the same bytes.
//!
//! For every structure there is an oracle here: every single reason against some
//! bytes, found through the `binrw` declaration alone. The rules report one reason;
//! it must be among them, and they must take the bytes exactly if there is none.
#![cfg(test)]

mod checksum;
mod label;
mod layout;
mod sample;
mod superblock;
mod table;
