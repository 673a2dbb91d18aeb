//! What is bound of C: as much as bios on their way take.
#![allow(
    non_camel_case_types,
    non_upper_case_globals,
    reason = "C names them so"
)]

use core::ffi::{c_int, c_uint, c_void};
use core::ptr;

/// An operation with flags.
pub type blk_opf_t = u32;
/// An operation.
pub type req_op = c_uint;
/// How a bio ended.
pub type blk_status_t = u8;

/// A device.
pub struct block_device(());

/// What a bio carries, and where.
#[derive(Clone, Copy, Default)]
pub struct bvec_iter {
    /// Where.
    pub bi_sector: u64,
    /// How many bytes.
    pub bi_size: c_uint,
}

/// A bio.
pub struct bio {
    /// The next one in a list of its owner's.
    pub bi_next: *mut bio,
    /// Who is told that it ended.
    pub bi_end_io: unsafe fn(*mut bio),
    /// Its owner's.
    pub bi_private: *mut c_void,
    /// Its operation and flags.
    pub bi_opf: blk_opf_t,
    /// How it ended.
    pub bi_status: blk_status_t,
    /// What it carries.
    pub bi_iter: bvec_iter,
}

impl bio {
    /// One that does `operation` with `bytes` bytes.
    pub fn new(operation: req_op, bytes: c_uint, end_io: unsafe fn(*mut bio)) -> Self {
        Self {
            bi_next: ptr::null_mut(),
            bi_end_io: end_io,
            bi_private: ptr::null_mut(),
            bi_opf: operation,
            bi_status: 0,
            bi_iter: bvec_iter {
                bi_sector: 0,
                bi_size: bytes,
            },
        }
    }
}

/// Bits of an operation.
pub const REQ_OP_BITS: u32 = 8;
/// Reads.
pub const req_op_REQ_OP_READ: req_op = 0;
/// Writes.
pub const req_op_REQ_OP_WRITE: req_op = 1;
/// Gives blocks up.
pub const req_op_REQ_OP_DISCARD: req_op = 3;
/// Flags, by their bits.
pub const req_flag_bits___REQ_FAILFAST_DEV: u32 = 8;
/// As above.
pub const req_flag_bits___REQ_FAILFAST_TRANSPORT: u32 = 9;
/// As above.
pub const req_flag_bits___REQ_FAILFAST_DRIVER: u32 = 10;
/// As above.
pub const req_flag_bits___REQ_FUA: u32 = 17;
/// As above.
pub const req_flag_bits___REQ_RAHEAD: u32 = 19;

/// An I/O error, as a bio's status.
pub const IO_ERROR: blk_status_t = 10;
/// The same as an error number.
const EIO: c_int = -5;

/// The error number of a status.
///
/// # Safety
///
/// Safe here.
pub unsafe fn blk_status_to_errno(status: blk_status_t) -> c_int {
    if status == 0 {
        return 0;
    }
    EIO
}

/// The status of an error number.
///
/// # Safety
///
/// Safe here.
pub unsafe fn errno_to_blk_status(_errno: c_int) -> blk_status_t {
    IO_ERROR
}

/// Ends a bio.
///
/// # Safety
///
/// It must be the caller's.
pub unsafe fn bio_endio(bio: *mut bio) {
    // SAFETY: as the caller promises.
    unsafe { ((*bio).bi_end_io)(bio) }
}

/// Sends a bio and waits for it, which nothing under test does.
///
/// # Safety
///
/// Safe here.
pub unsafe fn submit_bio_wait(_bio: *mut bio) -> c_int {
    unreachable!("no test has the worker do I/O")
}

/// Takes back what a bio was given.
///
/// # Safety
///
/// Safe here.
pub unsafe fn bio_uninit(_bio: *mut bio) {}

/// Takes every CPU through a full barrier.
///
/// # Safety
///
/// Safe here.
pub unsafe fn synchronize_rcu_expedited() {
    crate::cpu::synchronize_rcu_expedited();
}
