//! The lab on real files: what a newcomer finds, and what several processes, crashes
//! and strangers do to it.
#![cfg(test)]

mod contents;
mod devices;
mod files;
mod fixture;
mod load;
mod sharing;
