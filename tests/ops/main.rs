//! Operations on disks in memory: plans and what they do, as tables of faults.
#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;

mod corrupt;
mod crash;
mod create;
mod files;
mod host;
mod interrupt;
mod journal;
mod look;
mod mend;
mod migrate;
mod reassemble;
mod refusals;
mod repair;
mod undo;
