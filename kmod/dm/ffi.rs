// SPDX-License-Identifier: GPL-2.0-or-later
//! Declarations of the glue, which is C and compiled for each kernel. No structure of the kernel's
//! is laid out here: the same object goes with every kernel. `glue/glue.h` has the same
//! declarations, and checks the numbers and offsets against the kernel's.
#![allow(
    missing_docs,
    non_camel_case_types,
    reason = "C names them so, and glue.h says what they are"
)]

use kernel::ffi::{c_char, c_int, c_uint, c_void};

macro_rules! opaque {
    ($($name:ident)*) => { $(
        #[repr(C)]
        pub struct $name {
            nothing: [u8; 0],
        }
    )* };
}
opaque! { bio block_device dm_dev dm_target dm_remap_gate dm_remap_worker mutex }

/// State of a bio, kept beside it while it is under way.
#[repr(C)]
pub struct dm_remap_beside {
    /// Its first sector on the mapped device.
    pub sector: u64,
    /// How much it carries.
    pub bytes: u32,
    /// The glue's alone.
    rest: [u32; 5],
    /// Operation and flags. Operations that write are odd.
    pub op: u32,
    /// How far it has come, as `dm/bio.rs` encodes it.
    pub stage: i32,
    /// The bio, while it is held.
    pub bio: *mut bio,
    /// The next of those that a worker holds.
    pub next: *mut dm_remap_beside,
}

const _: () = assert!(core::mem::offset_of!(dm_remap_beside, op) == 32);
const _: () = assert!(size_of::<dm_remap_beside>() == 56);

/// How the target answered for a bio: sent to sector `at` on `bdev`, or what the map callback
/// returns where that is null.
#[repr(C)]
pub struct dm_remap_answer {
    pub bdev: *mut block_device,
    pub at: u64,
}

pub const DM_NAME_LEN: usize = 128;
pub const DM_MAPIO_SUBMITTED: u64 = 0;
pub const DM_MAPIO_KILL: u64 = 4;
pub const DM_ENDIO_DONE: c_int = 0;
pub const DM_ENDIO_INCOMPLETE: c_int = 1;

/// The operation among operation and flags.
pub const REQ_OP_MASK: u32 = 0xff;
pub const REQ_OP_DISCARD: u32 = 3;

pub const DM_REMAP_IS_DURABLE: c_uint = 1;
pub const DM_REMAP_IS_READ_AHEAD: c_uint = 2;
pub const DM_REMAP_FAILS_FAST: c_uint = 4;

pub const DM_REMAP_READ: c_uint = 0;
pub const DM_REMAP_WRITE_DURABLY: c_uint = 1;

pub const DM_REMAP_STATUS: c_int = 0;
pub const DM_REMAP_TABLE: c_int = 1;

extern "C" {
    pub fn dm_remap_register(name: *const c_char, version: *const c_uint) -> c_int;
    pub fn dm_remap_unregister();
    pub fn dm_remap_target_made(
        ti: *mut dm_target,
        target: *mut c_void,
        gate: *mut dm_remap_gate,
        flushes: c_uint,
        discards: bool,
    );
    pub fn dm_remap_target_refused(ti: *mut dm_target, why: *const c_char);
    pub fn dm_remap_target_begin(ti: *mut dm_target) -> u64;
    pub fn dm_remap_target_length(ti: *mut dm_target) -> u64;
    pub fn dm_remap_target_table(ti: *mut dm_target) -> *mut c_void;
    pub fn dm_remap_target_mapped(ti: *mut dm_target) -> *mut c_void;
    pub fn dm_remap_target_is_read_only(ti: *mut dm_target) -> bool;
    pub fn dm_remap_target_number(ti: *mut dm_target) -> *const c_char;
    pub fn dm_remap_target_name(ti: *mut dm_target, name: *mut c_char) -> c_int;
    pub fn dm_remap_target_event(ti: *mut dm_target);
    pub fn dm_remap_target_tell(
        ti: *mut dm_target,
        callout: *mut c_void,
        context: *mut c_void,
        device: *mut dm_dev,
        length: u64,
    ) -> c_int;

    pub fn dm_remap_device_open(
        ti: *mut dm_target,
        path: *const c_char,
        device: *mut *mut dm_dev,
    ) -> c_int;
    pub fn dm_remap_device_put(ti: *mut dm_target, device: *mut dm_dev);
    pub fn dm_remap_device_name(device: *mut dm_dev) -> *const c_char;
    pub fn dm_remap_device_bdev(device: *mut dm_dev) -> *mut block_device;
    pub fn dm_remap_bdev_sectors(bdev: *mut block_device) -> u64;
    pub fn dm_remap_bdev_read_only(bdev: *mut block_device) -> bool;
    pub fn dm_remap_bdev_takes_discards(bdev: *mut block_device) -> bool;
    pub fn dm_remap_bdev_logical_block_size(bdev: *mut block_device) -> c_uint;
    pub fn dm_remap_bdev_physical_block_size(bdev: *mut block_device) -> c_uint;
    pub fn dm_remap_bdev_rw(
        bdev: *mut block_device,
        sector: u64,
        data: *mut c_void,
        length: usize,
        op: c_uint,
    ) -> c_int;
    pub fn dm_remap_bdev_flush(bdev: *mut block_device) -> c_int;

    pub fn dm_remap_bio_number(bio: *mut bio) -> c_uint;
    pub fn dm_remap_bio_accept(bio: *mut bio, beside: *mut dm_remap_beside, sectors: c_uint);
    pub fn dm_remap_bio_transfer(
        bio: *mut bio,
        beside: *mut dm_remap_beside,
        bdev: *mut block_device,
        sector: u64,
        skip: c_uint,
        length: c_uint,
        durable: bool,
    ) -> c_int;
    pub fn dm_remap_bio_end(bio: *mut bio, error: c_int);
    pub fn dm_remap_op_traits(op: c_uint) -> c_uint;
    pub fn dm_remap_status_errno(status: c_uint) -> c_int;

    pub fn dm_remap_gate_new() -> *mut dm_remap_gate;
    pub fn dm_remap_gate_free(gate: *mut dm_remap_gate);
    pub fn dm_remap_gate_enter(gate: *mut dm_remap_gate, bio: *mut bio);
    pub fn dm_remap_gate_leave(bio: *mut bio) -> c_int;
    pub fn dm_remap_gate_turn(gate: *mut dm_remap_gate);
    pub fn dm_remap_gate_closed_entered(gate: *mut dm_remap_gate) -> u64;
    pub fn dm_remap_gate_closed_left(gate: *mut dm_remap_gate) -> u64;
    pub fn dm_remap_gate_wait();

    pub fn dm_remap_worker_new() -> *mut dm_remap_worker;
    pub fn dm_remap_worker_free(worker: *mut dm_remap_worker);
    pub fn dm_remap_worker_start(
        worker: *mut dm_remap_worker,
        name: *const c_char,
        target: *mut c_void,
    ) -> c_int;
    pub fn dm_remap_worker_stop(worker: *mut dm_remap_worker);
    pub fn dm_remap_worker_kick(worker: *mut dm_remap_worker);
    pub fn dm_remap_worker_after(worker: *mut dm_remap_worker, milliseconds: c_uint);
    pub fn dm_remap_worker_rest(worker: *mut dm_remap_worker);

    pub fn dm_remap_memalloc_noio_save() -> c_uint;
    pub fn dm_remap_memalloc_noio_restore(flags: c_uint);
    pub fn dm_remap_uptime() -> i64;
    pub fn dm_remap_now() -> i64;
    pub fn dm_remap_random(bytes: *mut c_void, count: usize);
    pub fn dm_remap_smp_mb();
    pub fn dm_remap_synchronize_rcu_expedited();
    pub fn dm_remap_lock_new(rank: c_uint) -> *mut mutex;
    pub fn dm_remap_lock_free(lock: *mut mutex);
    pub fn dm_remap_lock(lock: *mut mutex);
    pub fn dm_remap_lock_try(lock: *mut mutex) -> c_int;
    pub fn dm_remap_unlock(lock: *mut mutex);
    pub fn dm_remap_claims_lock();
    pub fn dm_remap_claims_unlock();
}
