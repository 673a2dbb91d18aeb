//! What is bound of C: as much as bios on their way take.
#![allow(
    non_camel_case_types,
    non_upper_case_globals,
    reason = "C names them so"
)]

use core::ffi::{c_uint, c_void};
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

/// Reads.
pub const req_op_REQ_OP_READ: req_op = 0;
/// Writes.
pub const req_op_REQ_OP_WRITE: req_op = 1;
/// An I/O error, as a bio's status.
pub const IO_ERROR: blk_status_t = 10;
/// Ends a bio.
///
/// # Safety
///
/// It must be the caller's.
pub unsafe fn bio_endio(bio: *mut bio) {
    // SAFETY: as the caller promises.
    unsafe { ((*bio).bi_end_io)(bio) }
}
