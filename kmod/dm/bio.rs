// SPDX-License-Identifier: GPL-2.0-or-later
//! Bios on their way through a target.
//!
//! A bio is handed to the target's `map` as a [`Bio`], which answers for it in one of the
//! ways that take it by value. If it is held, or fails below and is then held, it goes to
//! the target's worker as a [`HeldBio`], which does its work block by block and ends it.

use core::mem;
use core::ptr::{self, NonNull};

use kernel::error::to_result;
use kernel::ffi::{c_int, c_uint};
use kernel::prelude::*;

use super::device::{errno_of, Device};
use super::ffi;
use super::gate::Gate;
use super::worker::Worker;
use crate::remap_core::units::{Errno, Sector, Sectors, SECTOR_BYTES};

/// The kernel's own.
pub(super) type RawBio = ffi::bio;

/// State of a bio while it is under way, in memory that device-mapper allocates with it. The glue
/// fills it in before it hands the bio over.
pub(super) type Beside = ffi::dm_remap_beside;

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

impl Stage {
    /// The number that is kept beside the bio. The glue puts 0 there for what is sent.
    fn number(self) -> i32 {
        match self {
            Self::Sent => 0,
            Self::Held => -1,
            Self::Failed(errno) => errno.get(),
        }
    }

    fn of(number: i32) -> Self {
        match number {
            0 => Self::Sent,
            ..0 => Self::Held,
            _ => Self::Failed(Errno::new(number)),
        }
    }
}

impl Beside {
    /// How far the bio has come.
    fn stage(&self) -> Stage {
        Stage::of(self.stage)
    }

    /// How much the bio carries.
    #[inline]
    fn length(&self) -> Sectors {
        Sectors::from_bytes(u64::from(self.bytes))
    }

    #[inline]
    fn is_write(&self) -> bool {
        // Operations that write have odd numbers.
        self.op & 1 != 0
    }

    #[inline]
    fn is_discard(&self) -> bool {
        self.op & ffi::REQ_OP_MASK == ffi::REQ_OP_DISCARD
    }

    /// Tells whether any of these is so.
    fn has(&self, traits: c_uint) -> bool {
        // SAFETY: takes any operation and flags.
        unsafe { ffi::dm_remap_op_traits(self.op) & traits != 0 }
    }
}

/// A bio that the target has to answer for. It is answered by exactly one of the
/// methods that take it by value; each gives the [`Mapped`] that `map` must return.
///
/// # Invariants
///
/// - `bio` is a clone that device-mapper handed to the `map` callback; the callback has not
///   returned.
/// - `beside` is the memory beside it, which tells what the bio is; nobody else uses it now.
/// - If it writes it has entered the target's gate, and leaves it when it is answered for in
///   another way than being sent.
pub struct Bio {
    bio: NonNull<RawBio>,
    beside: NonNull<Beside>,
}

/// How a bio was answered.
#[must_use]
pub struct Mapped(ffi::dm_remap_answer);

impl Mapped {
    /// The answer by which the glue sends the bio, or which it returns to device-mapper.
    #[inline]
    pub(super) fn answer(self) -> ffi::dm_remap_answer {
        self.0
    }

    #[inline]
    fn without_device(code: u64) -> Self {
        Self(ffi::dm_remap_answer {
            bdev: ptr::null_mut(),
            at: code,
        })
    }
}

impl Bio {
    /// Wraps what the `map` callback was handed.
    ///
    /// # Safety
    ///
    /// `bio` must be what device-mapper handed to the `map` callback, `beside` what is beside it,
    /// filled in, and the wrapper must not outlive the callback. If it writes it must have entered
    /// the target's gate.
    #[inline]
    pub(super) unsafe fn new(bio: NonNull<RawBio>, beside: NonNull<Beside>) -> Self {
        // INVARIANT: as the caller promises.
        Self { bio, beside }
    }

    #[inline]
    fn beside(&self) -> &Beside {
        // SAFETY: by the invariants.
        unsafe { self.beside.as_ref() }
    }

    /// Whether it carries no data: a flush.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.beside().bytes == 0
    }

    /// Whether it changes what the device holds.
    #[inline]
    pub fn is_write(&self) -> bool {
        self.beside().is_write()
    }

    /// Whether it only tells that its blocks are not needed any more.
    #[inline]
    pub fn is_discard(&self) -> bool {
        self.beside().is_discard()
    }

    /// Of several equal flushes to one target, which this is: 0 to one less than what
    /// the constructor asked for.
    #[inline]
    pub fn number(&self) -> u32 {
        // SAFETY: the bio is a clone of device-mapper's.
        unsafe { ffi::dm_remap_bio_number(self.bio.as_ptr()) }
    }

    /// Where on the mapped device it begins.
    #[inline]
    pub fn sector(&self) -> Sector {
        Sector::new(self.beside().sector)
    }

    /// How much it carries.
    #[inline]
    pub fn length(&self) -> Sectors {
        self.beside().length()
    }

    /// Answers for its first `length` alone; the rest comes back as a bio of its own. It
    /// carries data, and no less than that.
    #[inline]
    pub fn accept(&mut self, length: Sectors) {
        let length = length.get().min(self.length().get()) as u32;
        // SAFETY: the bio is a clone of device-mapper's that carries data, at least so
        // much, and `map` has not returned.
        unsafe { ffi::dm_remap_bio_accept(self.bio.as_ptr(), self.beside.as_ptr(), length) }
    }

    fn remember(&mut self, stage: Stage) {
        // SAFETY: by the invariants.
        unsafe { self.beside.as_mut().stage = stage.number() };
    }

    fn leave(&self) {
        if self.is_write() {
            // SAFETY: by the invariants it has entered.
            unsafe { Gate::leave(self.bio.as_ptr()) };
        }
    }

    /// Sends it to `at` on `device`.
    #[inline]
    pub fn send_to(self, device: &Device<'_>, at: Sector) -> Mapped {
        // The glue has written that it is sent. The device is held until after every bio of the
        // target has ended.
        Mapped(ffi::dm_remap_answer {
            bdev: device.bdev(),
            at: at.get(),
        })
    }

    /// Hands it to the worker. It leaves the gate first, for it may have to wait for
    /// whoever drains it.
    pub fn hold(mut self, worker: &Worker) -> Mapped {
        self.leave();
        self.remember(Stage::Held);
        // SAFETY: by the invariants. Device-mapper leaves the bio to us until we end it.
        unsafe { worker.hold(self.bio, self.beside) };
        Mapped::without_device(ffi::DM_MAPIO_SUBMITTED)
    }

    /// Ends it, for there is nothing to be done about it.
    pub fn done(mut self) -> Mapped {
        self.remember(Stage::Held);
        // SAFETY: by the invariants; it is not used after this. `end_io` is called for it, and
        // lets it pass out of the gate.
        unsafe { ffi::dm_remap_bio_end(self.bio.as_ptr(), 0) };
        Mapped::without_device(ffi::DM_MAPIO_SUBMITTED)
    }

    /// Ends it with an I/O error.
    #[inline]
    pub fn fail(self) -> Mapped {
        self.leave();
        // No trace of it is left: device-mapper does not call `end_io` for it.
        Mapped::without_device(ffi::DM_MAPIO_KILL)
    }
}

/// A bio that came back from a device with an error. What ended well the glue lets end.
///
/// # Invariants
///
/// `bio` is a clone that was answered for by [`Bio`] and has just ended; `beside` is what is
/// beside it.
pub struct EndedBio {
    bio: NonNull<RawBio>,
    beside: NonNull<Beside>,
    status: c_uint,
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
    /// `status`, and `beside` what is beside it.
    #[inline]
    pub(super) unsafe fn new(
        bio: NonNull<RawBio>,
        beside: NonNull<Beside>,
        status: c_uint,
    ) -> Self {
        // INVARIANT: as the caller promises.
        Self {
            bio,
            beside,
            status,
        }
    }

    fn beside(&self) -> &Beside {
        // SAFETY: by the invariants.
        unsafe { self.beside.as_ref() }
    }

    /// Lets it end as it is, out of the gate.
    pub fn finish(self) -> Ended {
        if self.beside().is_write() {
            // SAFETY: by the invariants; who writes has entered the gate.
            return Ended(unsafe { Gate::leave(self.bio.as_ptr()) });
        }
        Ended(ffi::DM_ENDIO_DONE)
    }

    /// The error with which a device gave it back; `None` if it carries no data, if nobody needs
    /// it, or if the worker has dealt with it already.
    pub fn error(&self) -> Option<Errno> {
        let beside = self.beside();
        if beside.stage() != Stage::Sent || beside.bytes == 0 {
            return None;
        }
        // Nobody waits for what is read ahead, and devices give it up for any reason. A
        // discard carries nothing that could lie elsewhere.
        if beside.is_discard() || beside.has(ffi::DM_REMAP_IS_READ_AHEAD) {
            return None;
        }
        // SAFETY: takes any status.
        Some(errno_of(unsafe { ffi::dm_remap_status_errno(self.status) }))
    }

    /// Of several equal flushes, which this is; `None` if it is no flush.
    pub fn failed_flush(&self) -> Option<u32> {
        // SAFETY: by the invariants; the number is kept until the bio has ended.
        let number = || unsafe { ffi::dm_remap_bio_number(self.bio.as_ptr()) };
        (self.beside().bytes == 0).then(number)
    }

    /// Hands it to the worker with the error it came back with.
    pub fn hold(mut self, error: Errno, worker: &Worker) -> Ended {
        let write = self.beside().is_write();
        // SAFETY: by the invariants. Device-mapper leaves the bio to us until we end it.
        unsafe {
            self.beside.as_mut().stage = Stage::Failed(error).number();
            if write {
                Gate::leave(self.bio.as_ptr());
            }
            worker.hold(self.bio, self.beside);
        }
        Ended(ffi::DM_ENDIO_INCOMPLETE)
    }
}

/// A bio that the worker deals with.
///
/// # Invariants
///
/// `bio` is a clone of device-mapper's that was answered for by [`Bio`], has left `gate`, and
/// is ours until it is ended, by this being dropped at the latest; `beside` is what is beside it.
pub struct HeldBio<'g> {
    bio: NonNull<RawBio>,
    beside: NonNull<Beside>,
    gate: &'g Gate,
}

// SAFETY: a held bio may be dealt with by any task.
unsafe impl Send for HeldBio<'_> {}

impl<'g> HeldBio<'g> {
    /// Takes up a bio that was handed to a worker.
    ///
    /// # Safety
    ///
    /// It must have been handed to the worker of the target whose gate this is, together with what
    /// is beside it, and be used nowhere else.
    pub(super) unsafe fn new(
        bio: NonNull<RawBio>,
        beside: NonNull<Beside>,
        gate: &'g Gate,
    ) -> Self {
        // INVARIANT: as the caller promises.
        Self { bio, beside, gate }
    }

    fn beside(&self) -> &Beside {
        // SAFETY: by the invariants.
        unsafe { self.beside.as_ref() }
    }

    /// Whether it changes what the device holds.
    pub fn is_write(&self) -> bool {
        self.beside().is_write()
    }

    /// Where on the mapped device it begins.
    pub fn sector(&self) -> Sector {
        Sector::new(self.beside().sector)
    }

    /// How much it carries.
    pub fn length(&self) -> Sectors {
        self.beside().length()
    }

    /// Whether it must be on the medium when it ends.
    pub fn is_durable(&self) -> bool {
        self.beside().has(ffi::DM_REMAP_IS_DURABLE)
    }

    /// The error with which a device gave it back; `None` if it was never sent, or if the
    /// device may have given it up early.
    pub fn failure(&self) -> Option<Errno> {
        match self.beside().stage() {
            Stage::Failed(_) if self.beside().has(ffi::DM_REMAP_FAILS_FAST) => None,
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
        // SAFETY: the bio is valid and ours, and what is asked for is within what it carries, as
        // was checked. Its pages stay until it is ended.
        let result = unsafe {
            ffi::dm_remap_bio_transfer(
                self.bio.as_ptr(),
                self.beside.as_ptr(),
                device.bdev(),
                at.get(),
                skip,
                length,
                durable,
            )
        };
        to_result(result).map_err(|error| errno_of(error.to_errno()))
    }

    /// Ends it.
    pub fn end(self, result: Result<(), Errno>) {
        let this = mem::ManuallyDrop::new(self);
        let bio = this.bio.as_ptr();
        let error = result.map_or_else(|errno| -errno.get(), |()| 0);
        // SAFETY: by the invariants; it is not used after this. `end_io` is called for it
        // once more, and lets it pass out of the gate, which it enters here to that end.
        unsafe {
            if this.is_write() {
                this.gate.enter(bio);
            }
            ffi::dm_remap_bio_end(bio, error);
        }
    }
}

impl Drop for HeldBio<'_> {
    fn drop(&mut self) {
        // INVARIANT: the bio is ended here instead.
        let bio = HeldBio {
            bio: self.bio,
            beside: self.beside,
            gate: self.gate,
        };
        bio.end(Err(Errno::EIO));
    }
}
