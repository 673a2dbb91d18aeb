//! Holds both codecs to `docs/on-disk-format.md`: its tables and its test vectors are
//! read from the document itself.
#![cfg(test)]

mod document;
mod tables;
mod vectors;
