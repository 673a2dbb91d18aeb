// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel module: registers the target, and nothing else.

use kernel::ffi::{c_char, c_int, c_uint, c_void};
use kernel::prelude::*;

use dm::ffi::{bio, block_device, dm_remap_answer, dm_remap_beside, dm_target};

pub mod dm;
pub mod faults;
pub mod ground;
pub mod index;
pub mod load;
pub mod log;
pub mod maintenance;
pub mod map;
pub mod message;
pub mod remap_core;
pub mod state;
pub mod target;
pub mod worker;

module! {
    type: Module,
    name: "dm_remap_v4",
    authors: ["dmremap"],
    description: "device-mapper target that serves bad blocks of a disk from a spare",
    license: "GPL",
    alias: ["dm-dm-remap-v4"],
}

/// Keeps the target registered for as long as the module is loaded.
struct Module {
    _registration: dm::target::Registration<target::Remap>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> kernel::error::Result<Self> {
        Ok(Self {
            _registration: dm::target::Registration::new()?,
        })
    }
}

export_target! {
    target::Remap:
    dm_remap_rs_ctr = ctr(ti: *mut dm_target, argc: c_uint, argv: *mut *mut c_char) -> c_int;
    dm_remap_rs_dtr = dtr(target: *mut c_void);
    dm_remap_rs_map = map(target: *mut c_void, bio: *mut bio, beside: *mut dm_remap_beside) -> dm_remap_answer;
    dm_remap_rs_end_io = end_io(target: *mut c_void, bio: *mut bio, beside: *mut dm_remap_beside, status: c_uint) -> c_int;
    dm_remap_rs_work = work(target: *mut c_void);
    dm_remap_rs_timer = timer(target: *mut c_void);
    dm_remap_rs_presuspend = presuspend(target: *mut c_void);
    dm_remap_rs_presuspend_undo = presuspend_undo(target: *mut c_void);
    dm_remap_rs_postsuspend = postsuspend(target: *mut c_void);
    dm_remap_rs_preresume = preresume(target: *mut c_void) -> c_int;
    dm_remap_rs_resume = resume(target: *mut c_void);
    dm_remap_rs_status = status(target: *mut c_void, kind: c_int, buffer: *mut c_char, length: c_uint);
    dm_remap_rs_message = message(target: *mut c_void, argc: c_uint, argv: *mut *mut c_char, buffer: *mut c_char, length: c_uint) -> c_int;
    dm_remap_rs_largest_device = largest_device(target: *mut c_void) -> *mut block_device;
    dm_remap_rs_iterate_devices = iterate_devices(ti: *mut dm_target, target: *mut c_void, callout: *mut c_void, context: *mut c_void) -> c_int;
    dm_remap_rs_logical_block_bytes = logical_block_bytes(target: *mut c_void) -> c_uint;
}
