// SPDX-License-Identifier: GPL-2.0-or-later
//! Bios on their way through a target.
//!
//! A bio is handed to the target's `map` as a [`Bio`], which answers for it in one of the
//! ways that take it by value. If it is held, or fails below and is then held, it goes to
//! the target's worker as a [`HeldBio`], which does its work block by block and ends it.

use core::mem::{self, MaybeUninit};
use core::ptr::NonNull;

use kernel::bindings;
use kernel::error::to_result;
use kernel::ffi::c_int;
use kernel::prelude::*;

use super::device::{errno_of, Device};
use super::ffi;
use super::gate::Gate;
use super::worker::Worker;
use crate::remap_core::units::{Errno, Sector, Sectors, SECTOR_BYTES};

/// The kernel's own.
pub(super) type RawBio = bindings::bio;

/// What is kept beside each bio while it is under way, in memory that device-mapper
/// allocates with it.
pub(super) struct Beside {
    /// What it carries, and where on the mapped device. The bio's own is used up when it
    /// ends.
    part: bindings::bvec_iter,
    /// Its operation and flags. The block layer takes away what a device has no use for.
    flags: bindings::blk_opf_t,
    stage: Stage,
}

/// How far a bio has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It was sent to a device.
    Sent,
    /// It was held without having been sent.
    Held,
    /// It came back with this error, and is held.
    Failed(Errno),
}

/// Flags of bios that devices give up early.
const FAIL_FAST: u32 = 1 << bindings::req_flag_bits___REQ_FAILFAST_DEV
    | 1 << bindings::req_flag_bits___REQ_FAILFAST_TRANSPORT
    | 1 << bindings::req_flag_bits___REQ_FAILFAST_DRIVER;

/// How much is kept beside each bio, in bytes.
pub(super) const BESIDE_BYTES: u32 = mem::size_of::<Beside>() as u32;

#[inline]
fn beside(bio: NonNull<RawBio>) -> NonNull<Beside> {
    // SAFETY: the bio is a clone of device-mapper's, for a target that asked for so much.
    // The memory before it is never null, and aligned like the bio.
    unsafe {
        NonNull::new_unchecked(
            ffi::dm_per_bio_data(bio.as_ptr(), mem::size_of::<Beside>()).cast::<Beside>(),
        )
    }
}

/// A bio that the target has to answer for. It is answered by exactly one of the
/// methods that take it by value; each gives the [`Mapped`] that `map` must return.
///
/// # Invariants
///
/// - `bio` is a clone that device-mapper handed to the `map` callback; the callback has not
///   returned.
/// - `beside` is the memory beside it.
/// - If it writes it has entered the target's gate, and leaves it when it is answered for in
///   another way than being sent.
pub struct Bio {
    bio: NonNull<RawBio>,
    beside: NonNull<Beside>,
}

/// How a bio was answered.
#[must_use]
pub struct Mapped(c_int);

impl Mapped {
    /// What the `map` callback returns to device-mapper.
    pub(super) fn code(self) -> c_int {
        self.0
    }
}

impl Bio {
    /// Wraps what the `map` callback was handed.
    ///
    /// # Safety
    ///
    /// `bio` must be what device-mapper handed to the `map` callback, `gate` that of its
    /// target, and the wrapper must not outlive the callback.
    #[inline]
    pub(super) unsafe fn new(bio: NonNull<RawBio>, gate: &Gate) -> Self {
        // SAFETY: the bio is valid, and a clone for a target that asks for so much.
        let beside = unsafe {
            if is_write(bio.as_ref()) {
                let beside = gate.enter(bio.as_ptr(), mem::size_of::<Beside>());
                NonNull::new_unchecked(beside.cast::<Beside>())
            } else {
                beside(bio)
            }
        };
        // INVARIANT: as the caller promises; who writes has entered.
        Self { bio, beside }
    }

    #[inline]
    fn iter(&self) -> &bindings::bvec_iter {
        // SAFETY: by the invariants the bio is valid and nobody else uses it now.
        unsafe { &self.bio.as_ref().bi_iter }
    }

    /// Whether it carries no data: a flush.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.iter().bi_size == 0
    }

    /// Whether it changes what the device holds.
    #[inline]
    pub fn is_write(&self) -> bool {
        // SAFETY: as in `iter`.
        is_write(unsafe { self.bio.as_ref() })
    }

    /// Whether it only tells that its blocks are not needed any more.
    #[inline]
    pub fn is_discard(&self) -> bool {
        // SAFETY: as in `iter`.
        op_of(unsafe { self.bio.as_ref().bi_opf }) == bindings::req_op_REQ_OP_DISCARD
    }

    /// Of several equal flushes to one target, which this is: 0 to one less than what
    /// the constructor asked for.
    #[inline]
    pub fn number(&self) -> u32 {
        // SAFETY: the bio is a clone of device-mapper's.
        unsafe { ffi::dm_bio_get_target_bio_nr(self.bio.as_ptr()) }
    }

    /// Where on the mapped device it begins.
    #[inline]
    pub fn sector(&self) -> Sector {
        Sector::new(self.iter().bi_sector)
    }

    /// How much it carries.
    #[inline]
    pub fn length(&self) -> Sectors {
        Sectors::from_bytes(u64::from(self.iter().bi_size))
    }

    /// Answers for its first `length` alone; the rest comes back as a bio of its own. It
    /// carries data, and no less than that.
    #[inline]
    pub fn accept(&mut self, length: Sectors) {
        let length = length.get().min(self.length().get()) as u32;
        // SAFETY: the bio is a clone of device-mapper's that carries data, at least so
        // much, and `map` has not returned.
        unsafe { ffi::dm_accept_partial_bio(self.bio.as_ptr(), length) }
    }

    #[inline]
    fn remember(&self, stage: Stage) {
        let beside = self.beside.as_ptr();
        // SAFETY: by the invariants.
        unsafe {
            (&raw mut (*beside).part).write(*self.iter());
            (&raw mut (*beside).flags).write(self.bio.as_ref().bi_opf);
            (&raw mut (*beside).stage).write(stage);
        }
    }

    fn leave(&self) {
        if self.is_write() {
            // SAFETY: by the invariants it has entered.
            unsafe { Gate::leave(self.bio.as_ptr()) };
        }
    }

    /// Sends it to `at` on `device`.
    #[inline]
    pub fn send_to(mut self, device: &Device<'_>, at: Sector) -> Mapped {
        self.remember(Stage::Sent);
        // SAFETY: the bio is ours until the callback returns, and the device is held until
        // after every bio of the target has ended.
        Mapped(unsafe {
            self.bio.as_mut().bi_iter.bi_sector = at.get();
            ffi::dm_remap_bio_set_dev(self.bio.as_ptr(), device.bdev())
        })
    }

    /// Hands it to the worker. It leaves the gate first, for it may have to wait for
    /// whoever drains it.
    pub fn hold(self, worker: &Worker) -> Mapped {
        self.leave();
        self.remember(Stage::Held);
        // SAFETY: by the invariants. Device-mapper leaves the bio to us until we end it.
        unsafe { worker.hold(self.bio) };
        Mapped(ffi::DM_MAPIO_SUBMITTED as c_int)
    }

    /// Ends it, for there is nothing to be done about it.
    pub fn done(self) -> Mapped {
        self.remember(Stage::Held);
        // SAFETY: by the invariants; it is not used after this. `end_io` is called for it, and
        // lets it pass out of the gate.
        unsafe { bindings::bio_endio(self.bio.as_ptr()) };
        Mapped(ffi::DM_MAPIO_SUBMITTED as c_int)
    }

    /// Ends it with an I/O error.
    #[inline]
    pub fn fail(self) -> Mapped {
        self.leave();
        // No trace of it is left: device-mapper does not call `end_io` for it.
        Mapped(ffi::DM_MAPIO_KILL as c_int)
    }
}

/// The operation among a bio's operation and flags.
#[inline]
fn op_of(flags: bindings::blk_opf_t) -> bindings::req_op {
    flags & ((1 << bindings::REQ_OP_BITS) - 1)
}

#[inline]
fn is_write(bio: &RawBio) -> bool {
    // Operations that write have odd numbers.
    bio.bi_opf & 1 != 0
}

/// A bio that came back from a device.
///
/// # Invariants
///
/// `bio` is a clone that was answered for by [`Bio`] and has just ended.
pub struct EndedBio {
    bio: NonNull<RawBio>,
    status: bindings::blk_status_t,
}

/// Whether device-mapper is to end a bio that came back.
#[must_use]
pub struct Ended(c_int);

impl Ended {
    /// What the `end_io` callback returns to device-mapper.
    pub(super) fn code(self) -> c_int {
        self.0
    }
}

impl EndedBio {
    /// Wraps what the `end_io` callback was handed.
    ///
    /// # Safety
    ///
    /// `bio` must be what device-mapper handed to the `end_io` callback, together with
    /// `status`.
    #[inline]
    pub(super) unsafe fn new(bio: NonNull<RawBio>, status: bindings::blk_status_t) -> Self {
        // INVARIANT: as the caller promises.
        Self { bio, status }
    }

    /// Lets it end as it is, out of the gate.
    #[inline]
    pub fn finish(self) -> Ended {
        // SAFETY: by the invariants; who writes has entered the gate.
        unsafe {
            if is_write(self.bio.as_ref()) {
                return Ended(Gate::leave(self.bio.as_ptr()));
            }
        }
        Ended(ffi::DM_ENDIO_DONE as c_int)
    }

    /// Whether all went well.
    #[inline]
    pub fn is_well(&self) -> bool {
        self.status == 0
    }

    /// The error with which a device gave it back; `None` if all went well, if it carries
    /// no data, if nobody needs it, or if the worker has dealt with it already.
    pub fn error(&self) -> Option<Errno> {
        if self.status == 0 {
            return None;
        }
        // SAFETY: as in `new`.
        let beside = unsafe { beside(self.bio).as_ref() };
        if beside.stage != Stage::Sent || beside.part.bi_size == 0 {
            return None;
        }
        // Nobody waits for what is read ahead, and devices give it up for any reason. A
        // discard carries nothing that could lie elsewhere.
        if beside.flags & (1 << bindings::req_flag_bits___REQ_RAHEAD) != 0
            || op_of(beside.flags) == bindings::req_op_REQ_OP_DISCARD
        {
            return None;
        }
        // SAFETY: takes any status.
        Some(errno_of(unsafe {
            bindings::blk_status_to_errno(self.status)
        }))
    }

    /// Of several equal flushes that failed, which this is; `None` if it is no flush or
    /// all went well.
    pub fn failed_flush(&self) -> Option<u32> {
        // SAFETY: as in `new`; the number is kept until the bio has ended.
        unsafe {
            (self.status != 0 && beside(self.bio).as_ref().part.bi_size == 0)
                .then(|| ffi::dm_bio_get_target_bio_nr(self.bio.as_ptr()))
        }
    }

    /// Hands it to the worker with the error it came back with.
    pub fn hold(self, error: Errno, worker: &Worker) -> Ended {
        // SAFETY: by the invariants. Device-mapper leaves the bio to us until we end it.
        unsafe {
            beside(self.bio).as_mut().stage = Stage::Failed(error);
            if is_write(self.bio.as_ref()) {
                Gate::leave(self.bio.as_ptr());
            }
            worker.hold(self.bio);
        }
        Ended(ffi::DM_ENDIO_INCOMPLETE as c_int)
    }
}

/// A bio that the worker deals with.
///
/// # Invariants
///
/// `bio` is a clone of device-mapper's that was answered for by [`Bio`], has left `gate`, and
/// is ours until it is ended, by this being dropped at the latest.
pub struct HeldBio<'g> {
    bio: NonNull<RawBio>,
    gate: &'g Gate,
}

// SAFETY: a held bio may be dealt with by any task.
unsafe impl Send for HeldBio<'_> {}

impl<'g> HeldBio<'g> {
    /// Takes up a bio that was handed to a worker.
    ///
    /// # Safety
    ///
    /// It must have been handed to the worker of the target whose gate this is, and be used
    /// nowhere else.
    pub(super) unsafe fn new(bio: NonNull<RawBio>, gate: &'g Gate) -> Self {
        // INVARIANT: as the caller promises.
        Self { bio, gate }
    }

    fn beside(&self) -> &Beside {
        // SAFETY: by the invariants.
        unsafe { beside(self.bio).as_ref() }
    }

    /// Whether it changes what the device holds.
    pub fn is_write(&self) -> bool {
        // SAFETY: by the invariants.
        is_write(unsafe { self.bio.as_ref() })
    }

    /// Where on the mapped device it begins.
    pub fn sector(&self) -> Sector {
        Sector::new(self.beside().part.bi_sector)
    }

    /// How much it carries.
    pub fn length(&self) -> Sectors {
        Sectors::from_bytes(u64::from(self.beside().part.bi_size))
    }

    /// Whether it must be on the medium when it ends.
    pub fn is_durable(&self) -> bool {
        self.beside().flags & (1 << bindings::req_flag_bits___REQ_FUA) != 0
    }

    /// The error with which a device gave it back; `None` if it was never sent, or if the
    /// device may have given it up early.
    pub fn failure(&self) -> Option<Errno> {
        match self.beside().stage {
            Stage::Failed(_) if self.beside().flags & FAIL_FAST != 0 => None,
            Stage::Failed(errno) => Some(errno),
            Stage::Sent | Stage::Held => None,
        }
    }

    /// Reads or writes `length` of it, from `skip` behind its beginning on, at `at` on
    /// `device`, and waits for it. Allocates nothing. With `durable`, what was written is
    /// on the medium then.
    ///
    /// # Errors
    ///
    /// What the device gave. `EINVAL` if it does not carry so much.
    pub fn transfer(
        &self,
        skip: Sectors,
        length: Sectors,
        device: &Device<'_>,
        at: Sector,
        durable: bool,
    ) -> Result<(), Errno> {
        let within = skip.get().checked_add(length.get());
        if within.is_none_or(|end| end > self.length().get()) || length.get() == 0 {
            return Err(errno_of(EINVAL.to_errno()));
        }
        let (skip, length) = (
            skip.get() as u32 * SECTOR_BYTES as u32,
            length.get() as u32 * SECTOR_BYTES as u32,
        );
        let mut part = MaybeUninit::<RawBio>::uninit();
        // SAFETY: the bio is valid and ours. The clone lives on this stack until it has
        // ended, uses the pages of the bio, which stay until that is ended, and stays
        // within what the bio carries, as was checked. Neither call allocates: what the bio
        // carries has neither an encryption context nor integrity data, for this target
        // advertises neither.
        let result = unsafe {
            let bio = self.bio.as_ptr();
            let part = part.as_mut_ptr();
            let whole = &raw const self.beside().part;
            let error = ffi::dm_remap_bio_clone(part, device.bdev(), bio, whole, skip, durable);
            if error != 0 {
                return Err(errno_of(error));
            }
            (*part).bi_iter.bi_size = length;
            (*part).bi_iter.bi_sector = at.get();
            let result = bindings::submit_bio_wait(part);
            bindings::bio_uninit(part);
            result
        };
        to_result(result).map_err(|error| errno_of(error.to_errno()))
    }

    /// Ends it.
    pub fn end(self, result: Result<(), Errno>) {
        let status = match result {
            Ok(()) => 0,
            // SAFETY: takes any error number.
            Err(errno) => unsafe { bindings::errno_to_blk_status(-errno.get()) },
        };
        self.end_with(status);
    }

    fn end_with(self, status: bindings::blk_status_t) {
        let this = mem::ManuallyDrop::new(self);
        let bio = this.bio.as_ptr();
        // SAFETY: by the invariants; it is not used after this. `end_io` is called for it
        // once more, and lets it pass out of the gate, which it enters here to that end.
        unsafe {
            if this.is_write() {
                this.gate.enter(bio, mem::size_of::<Beside>());
            }
            (*bio).bi_status = status;
            bindings::bio_endio(bio);
        }
    }
}

impl Drop for HeldBio<'_> {
    fn drop(&mut self) {
        // INVARIANT: the bio is ended here instead.
        let bio = HeldBio {
            bio: self.bio,
            gate: self.gate,
        };
        bio.end(Err(Errno::EIO));
    }
}
