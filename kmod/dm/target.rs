// SPDX-License-Identifier: GPL-2.0-or-later
//! A target type: its callbacks as a trait, and its registration.

use core::fmt;
use core::marker::PhantomData;
use core::ops::ControlFlow;
use core::ptr::NonNull;

use kernel::error::{from_result, to_result, Result};
use kernel::ffi::{c_char, c_int, c_uint, c_void};
use kernel::prelude::*;
use kernel::str::CString;

use super::bio::{Beside, Bio, Ended, EndedBio, Mapped};
use super::claims::{self, Claimant};
use super::device::Device;
use super::ffi;
use super::gate::Gate;
use super::memory::NoIo;
use super::text::Text;
use super::worker::Worker;
use crate::remap_core::units::{Sector, Sectors};

/// More words than this are no table line or message of any target here.
const MAX_WORDS: usize = 16;

/// The longest name of a mapped device, with its NUL.
const NAME_BYTES: usize = ffi::DM_NAME_LEN;

/// A kind of target. The callbacks are device-mapper's; `Data<'t>` is one target of a
/// table, which lives until that table is destroyed.
pub trait Target: Sized + 'static {
    /// The name in a table line.
    const NAME: &'static CStr;
    /// The version that `dmsetup targets` shows.
    const VERSION: [u32; 3];
    /// Equal bios that each flush is sent as.
    const FLUSHES: u32;

    /// One target of a table.
    type Data<'t>: Send + Sync;

    /// Makes a target from the words of its table line. Does no I/O.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says why there is no such target.
    fn construct<'t>(
        constructor: &mut Constructor<'t>,
        words: &[&str],
    ) -> Result<KBox<Self::Data<'t>>, Refusal>;

    /// The gate that its bios enter.
    fn gate<'a>(target: &'a Self::Data<'_>) -> &'a Gate;

    /// Its worker, which nobody else uses.
    fn worker<'a>(target: &'a Self::Data<'_>) -> &'a Worker;

    /// Answers for one bio. May not sleep or allocate.
    fn map(target: &Self::Data<'_>, bio: Bio) -> Mapped;

    /// Looks at a bio that came back from a device with an error, in any context.
    fn end_io(target: &Self::Data<'_>, bio: EndedBio) -> Ended;

    /// Deals with the bios that the worker holds. Runs on the worker.
    fn work(target: &Self::Data<'_>);

    /// Does what is due. Runs on the worker.
    fn timer(target: &Self::Data<'_>);

    /// Called before a table is used for the first time or again, while no bio is
    /// admitted.
    ///
    /// # Errors
    ///
    /// The device stays suspended then.
    fn preresume(target: &Self::Data<'_>) -> Result;

    /// Called when the table is used from now on.
    fn resume(target: &Self::Data<'_>);

    /// Called when the table is to be used no more, while bios are still under way.
    fn presuspend(target: &Self::Data<'_>);

    /// Called when that was given up.
    fn presuspend_undo(target: &Self::Data<'_>);

    /// Called when the table is used no more, and every bio has ended.
    fn postsuspend(target: &Self::Data<'_>);

    /// Prints what `report` asks for.
    ///
    /// # Errors
    ///
    /// Only if the buffer is full.
    fn report(target: &Self::Data<'_>, report: Report, out: &mut dyn fmt::Write) -> fmt::Result;

    /// Carries out a message.
    ///
    /// # Errors
    ///
    /// What went wrong; nothing was printed then that anybody sees.
    fn message(
        target: &Self::Data<'_>,
        words: &[&str],
        reply: &mut dyn fmt::Write,
    ) -> Result<Reply>;

    /// Whether it passes discards on.
    fn takes_discards(target: &Self::Data<'_>) -> bool;

    /// The device on which nearly everything lies: ioctls of the mapped device go there, from
    /// whoever may do raw I/O, and it decides what kind of disk the mapped device is.
    fn largest_device<'a>(target: &'a Self::Data<'_>) -> &'a Device<'a>;

    /// Tells of each device that is used, and from its beginning on how much of it.
    fn devices(
        target: &Self::Data<'_>,
        length: Sectors,
        tell: &mut dyn FnMut(&Device<'_>, Sectors) -> ControlFlow<c_int>,
    ) -> ControlFlow<c_int>;

    /// The smallest unit that may be read or written, in bytes: at least what every
    /// device needs.
    fn logical_block_bytes(target: &Self::Data<'_>) -> u32;
}

/// Why there is no target for a table line.
pub struct Refusal {
    /// The error number that the loading of the table gives.
    pub error: Error,
    /// What the kernel log says of it.
    pub why: &'static CStr,
}

/// What is printed of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// How it is.
    Status,
    /// The words of its table line.
    Table,
    /// What is measured of it for integrity.
    Measurement,
}

/// What a message brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing to tell.
    Done,
    /// The text that was printed.
    Text,
}

/// A target that is being made.
///
/// # Invariants
///
/// `ti` is valid and its constructor has not returned; what lives for `'t` does not
/// outlive its destructor.
pub struct Constructor<'t> {
    ti: NonNull<ffi::dm_target>,
    lives: PhantomData<fn(&'t ()) -> &'t ()>,
}

impl<'t> Constructor<'t> {
    /// How much of the mapped device the target is.
    pub fn length(&self) -> Sectors {
        // SAFETY: by the invariants `ti` is valid; the length was set before.
        Sectors::new(unsafe { ffi::dm_remap_target_length(self.ti.as_ptr()) })
    }

    /// Whether the table was loaded for reading alone.
    pub fn is_read_only(&self) -> bool {
        // SAFETY: by the invariants `ti` is valid, and its table with it.
        unsafe { ffi::dm_remap_target_is_read_only(self.ti.as_ptr()) }
    }

    /// Opens a device as the table line names it.
    ///
    /// # Errors
    ///
    /// Whatever opening it gives.
    pub fn open(&mut self, path: &str) -> Result<Device<'t>> {
        let path = CString::try_from_fmt(fmt!("{path}"))?;
        // SAFETY: by the invariants.
        unsafe { Device::open(self.ti, &path) }
    }

    /// A handle of the mapped device that the target is part of.
    pub fn owner(&self) -> Owner<'t> {
        // INVARIANT: as those of `self`.
        Owner {
            ti: self.ti,
            lives: PhantomData,
        }
    }
}

/// The mapped device that a target is part of.
///
/// # Invariants
///
/// `ti` is valid for as long as what lives for `'t`.
pub struct Owner<'t> {
    ti: NonNull<ffi::dm_target>,
    lives: PhantomData<&'t ()>,
}

// SAFETY: what is used of the target is guarded by device-mapper's own locks.
unsafe impl Send for Owner<'_> {}
// SAFETY: as above.
unsafe impl Sync for Owner<'_> {}

impl Owner<'_> {
    /// Where on the mapped device the target begins.
    pub fn begin(&self) -> Sector {
        // SAFETY: by the invariants; it was set before the constructor.
        Sector::new(unsafe { ffi::dm_remap_target_begin(self.ti.as_ptr()) })
    }

    /// How much of the mapped device the target is.
    pub fn length(&self) -> Sectors {
        // SAFETY: by the invariants; the length was set before.
        Sectors::new(unsafe { ffi::dm_remap_target_length(self.ti.as_ptr()) })
    }

    /// The number it is listed under: `major:minor`.
    pub fn number(&self) -> &str {
        // SAFETY: the table is of a mapped device, whose number is written once.
        let number = unsafe { CStr::from_char_ptr(ffi::dm_remap_target_number(self.ti.as_ptr())) };
        number.to_str().unwrap_or("?")
    }

    /// Calls `then` with the name that the mapped device has now.
    pub fn with_name<R>(&self, then: impl FnOnce(&[u8]) -> R) -> R {
        let mut name = [0u8; NAME_BYTES];
        // SAFETY: the name and its NUL fit, and the UUID is not asked for.
        let error =
            unsafe { ffi::dm_remap_target_name(self.ti.as_ptr(), name.as_mut_ptr().cast()) };
        let length = name.iter().position(|byte| *byte == 0).unwrap_or(0);
        then(match error {
            0 => name.get(..length).unwrap_or_default(),
            _ => &[],
        })
    }

    /// Who claims devices for the target.
    pub(super) fn claimant(&self) -> Claimant {
        let target = self.ti.as_ptr();
        // SAFETY: the table is valid as long as the target.
        let (table, mapped) = unsafe {
            (
                ffi::dm_remap_target_table(target),
                ffi::dm_remap_target_mapped(target),
            )
        };
        Claimant {
            target: target as usize,
            table: table as usize,
            mapped: mapped as usize,
        }
    }

    /// Whether the mapped device has another table with a target of this kind that came up.
    pub fn has_other_table(&self) -> bool {
        claims::has_other_table(self.claimant())
    }

    /// Wakes whoever waits for an event of the mapped device. Sleeps.
    pub fn event(&self) {
        // SAFETY: the table is valid as long as the target.
        unsafe { ffi::dm_remap_target_event(self.ti.as_ptr()) }
    }
}

/// Keeps a kind of target registered.
pub struct Registration<T: Target> {
    target: PhantomData<T>,
}

impl<T: Target> Registration<T> {
    /// Registers the target that `export_target!` has named; the module stays loaded while there
    /// is one.
    ///
    /// # Errors
    ///
    /// Whatever device-mapper gives.
    pub fn new() -> Result<Self> {
        // SAFETY: the module registers one kind, once. Name and version are static.
        to_result(unsafe { ffi::dm_remap_register(T::NAME.as_char_ptr(), T::VERSION.as_ptr()) })?;
        Ok(Self {
            target: PhantomData,
        })
    }
}

impl<T: Target> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: it was registered by `new`, and no target exists any more: each holds
        // the module.
        unsafe { ffi::dm_remap_unregister() };
    }
}

/// The callbacks of a kind of target. The glue calls them by name.
pub struct Callbacks<T: Target>(PhantomData<T>);

/// Names the callbacks of a kind of target for the glue, which declares them.
#[macro_export]
macro_rules! export_target {
    ($type:ty: $($name:ident = $callback:ident($($argument:ident: $of:ty),*) $(-> $gives:ty)?;)*) => { $(
        /// # Safety
        ///
        /// The glue calls it as device-mapper calls the callback.
        #[no_mangle]
        unsafe extern "C" fn $name($($argument: $of),*) $(-> $gives)? {
            // SAFETY: as the glue promises.
            unsafe { $crate::dm::target::Callbacks::<$type>::$callback($($argument),*) }
        }
    )* };
}

impl<T: Target> Callbacks<T> {
    /// The target that `ctr` made.
    ///
    /// # Safety
    ///
    /// `ctr` must have made it, and `dtr` must not be called on it while the reference is used.
    #[inline]
    unsafe fn data<'a>(target: *mut c_void) -> &'a T::Data<'a> {
        // SAFETY: `ctr` handed the contents of a box to the glue.
        unsafe { &*target.cast::<T::Data<'a>>() }
    }

    /// # Safety
    ///
    /// Called by device-mapper, with a target to be made and `argc` strings.
    pub unsafe fn ctr(ti: *mut ffi::dm_target, argc: c_uint, argv: *mut *mut c_char) -> c_int {
        let Some(target) = NonNull::new(ti) else {
            return EINVAL.to_errno();
        };
        // INVARIANT: `ti` is valid; `dtr` drops what is made below.
        let mut constructor = Constructor {
            ti: target,
            lives: PhantomData,
        };
        // SAFETY: `argv` holds `argc` strings, which outlive this call.
        let made = unsafe { with_words(argc, argv, |words| T::construct(&mut constructor, words)) };
        let made = made.unwrap_or(Err(Refusal {
            error: EINVAL,
            why: c"Arguments are too many, or not text",
        }));
        let made = made.and_then(|data| {
            // SAFETY: the data stay in their box, and `dtr` stops the worker before it drops
            // them.
            let started = unsafe { T::worker(&data).start(T::NAME, &raw const *data) };
            started.map(|()| data).map_err(|error| Refusal {
                error,
                why: c"Out of memory",
            })
        });
        match made {
            Ok(data) => {
                let discards = T::takes_discards(&data);
                let gate = T::gate(&data).raw();
                // SAFETY: `ti` is ours while it is being made. `dtr` alone makes the data a box
                // again, to drop them, and the gate with them.
                unsafe {
                    let data = KBox::into_raw(data).cast();
                    ffi::dm_remap_target_made(ti, data, gate, T::FLUSHES, discards);
                }
                0
            }
            Err(refusal) => {
                // SAFETY: as above; the text is static.
                unsafe { ffi::dm_remap_target_refused(ti, refusal.why.as_char_ptr()) };
                refusal.error.to_errno()
            }
        }
    }

    /// # Safety
    ///
    /// Called by device-mapper, once, on a target that `ctr` made.
    pub unsafe fn dtr(target: *mut c_void) {
        // SAFETY: `ctr` handed the contents of a box to the glue, and started the worker; nothing
        // else uses the target any more.
        unsafe {
            T::worker(Self::data(target)).stop();
            drop(KBox::<T::Data<'_>>::from_raw(target.cast()));
        }
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made, with a clone for it, which has entered
    /// the target's gate if it writes, and what is beside it.
    #[inline]
    pub unsafe fn map(
        target: *mut c_void,
        bio: *mut ffi::bio,
        beside: *mut Beside,
    ) -> ffi::dm_remap_answer {
        // SAFETY: device-mapper hands over a valid bio of this target, and `dtr` is not
        // called while there are any.
        let (target, bio) = unsafe {
            (
                Self::data(target),
                Bio::new(NonNull::new_unchecked(bio), NonNull::new_unchecked(beside)),
            )
        };
        T::map(target, bio).answer()
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made, with a clone that was sent
    /// on or held and has failed, and what is beside it.
    pub unsafe fn end_io(
        target: *mut c_void,
        bio: *mut ffi::bio,
        beside: *mut Beside,
        status: c_uint,
    ) -> c_int {
        // SAFETY: `dtr` is not called while there are bios; the bio is one that `map`
        // answered for.
        let (target, bio) = unsafe {
            let bio = NonNull::new_unchecked(bio);
            let beside = NonNull::new_unchecked(beside);
            (Self::data(target), EndedBio::new(bio, beside, status))
        };
        T::end_io(target, bio).code()
    }

    /// # Safety
    ///
    /// Called by the queue of a worker that `ctr` started, and `dtr` has not stopped.
    pub unsafe fn work(target: *mut c_void) {
        // SAFETY: `dtr` is not done before the worker is stopped.
        let target = unsafe { Self::data(target) };
        NoIo::scope(|| T::work(target));
    }

    /// # Safety
    ///
    /// As `work`.
    pub unsafe fn timer(target: *mut c_void) {
        // SAFETY: as in `work`.
        let target = unsafe { Self::data(target) };
        NoIo::scope(|| T::timer(target));
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made.
    pub unsafe fn resume(target: *mut c_void) {
        // SAFETY: `dtr` is not called during this call.
        let target = unsafe { Self::data(target) };
        NoIo::scope(|| T::resume(target));
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made.
    pub unsafe fn presuspend(target: *mut c_void) {
        // SAFETY: `dtr` is not called during this call.
        T::presuspend(unsafe { Self::data(target) });
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made.
    pub unsafe fn presuspend_undo(target: *mut c_void) {
        // SAFETY: `dtr` is not called during this call.
        let target = unsafe { Self::data(target) };
        NoIo::scope(|| T::presuspend_undo(target));
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made.
    pub unsafe fn postsuspend(target: *mut c_void) {
        // SAFETY: `dtr` is not called during this call.
        let target = unsafe { Self::data(target) };
        NoIo::scope(|| T::postsuspend(target));
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made.
    pub unsafe fn preresume(target: *mut c_void) -> c_int {
        // SAFETY: `dtr` is not called during this call.
        let target = unsafe { Self::data(target) };
        NoIo::scope(|| from_result(|| T::preresume(target).map(|()| 0)))
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made, with a buffer of `length`
    /// bytes.
    pub unsafe fn status(target: *mut c_void, kind: c_int, buffer: *mut c_char, length: c_uint) {
        // SAFETY: the buffer is ours for this call, in which `dtr` is not called.
        let (target, buffer) = unsafe {
            let buffer = core::slice::from_raw_parts_mut(buffer.cast::<u8>(), length as usize);
            (Self::data(target), buffer)
        };
        let report = match kind {
            ffi::DM_REMAP_STATUS => Report::Status,
            ffi::DM_REMAP_TABLE => Report::Table,
            _ => Report::Measurement,
        };
        if let Some(mut out) = Text::new(buffer) {
            // What is cut short is known by its buffer, which is full.
            let _ = T::report(target, report, &mut out);
        }
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made, with `argc` strings and a
    /// buffer of `length` bytes.
    pub unsafe fn message(
        target: *mut c_void,
        argc: c_uint,
        argv: *mut *mut c_char,
        buffer: *mut c_char,
        length: c_uint,
    ) -> c_int {
        // SAFETY: the buffer is ours for this call, in which `dtr` is not called.
        let (target, buffer) = unsafe {
            let buffer = core::slice::from_raw_parts_mut(buffer.cast::<u8>(), length as usize);
            (Self::data(target), buffer)
        };
        let Some(mut reply) = Text::new(buffer) else {
            return EINVAL.to_errno();
        };
        let carry_out = |words: &[&str]| NoIo::scope(|| T::message(target, words, &mut reply));
        // SAFETY: `argv` holds `argc` strings, which outlive this call.
        let result = unsafe { with_words(argc, argv, carry_out) };
        match result.unwrap_or(Err(EINVAL)) {
            // Only with 1 does the text reach whoever sent the message.
            Ok(Reply::Text) => 1,
            Ok(Reply::Done) => 0,
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made.
    pub unsafe fn largest_device(target: *mut c_void) -> *mut ffi::block_device {
        // SAFETY: `dtr` is not called during this call.
        T::largest_device(unsafe { Self::data(target) }).bdev()
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made, with a function of its own.
    pub unsafe fn iterate_devices(
        ti: *mut ffi::dm_target,
        target: *mut c_void,
        callout: *mut c_void,
        context: *mut c_void,
    ) -> c_int {
        // SAFETY: `dtr` is not called during this call.
        let (target, length) = unsafe {
            let length = ffi::dm_remap_target_length(ti);
            (Self::data(target), Sectors::new(length))
        };
        let told = T::devices(target, length, &mut |device, length| {
            // SAFETY: the device is held, and `context` is what `callout` expects.
            let code = unsafe {
                ffi::dm_remap_target_tell(ti, callout, context, device.dm_dev(), length.get())
            };
            match code {
                0 => ControlFlow::Continue(()),
                code => ControlFlow::Break(code),
            }
        });
        match told {
            ControlFlow::Continue(()) => 0,
            ControlFlow::Break(code) => code,
        }
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made.
    pub unsafe fn logical_block_bytes(target: *mut c_void) -> c_uint {
        // SAFETY: `dtr` is not called during this call.
        T::logical_block_bytes(unsafe { Self::data(target) })
    }
}

/// Calls `then` with the strings as text, or gives `None` if they are too many or not
/// text.
///
/// # Safety
///
/// `argv` must hold `argc` strings that nobody changes during the call.
unsafe fn with_words<R>(
    argc: c_uint,
    argv: *mut *mut c_char,
    then: impl FnOnce(&[&str]) -> R,
) -> Option<R> {
    let mut words = [""; MAX_WORDS];
    let count = argc as usize;
    let used = words.get_mut(..count)?;
    for (at, word) in used.iter_mut().enumerate() {
        // SAFETY: as the caller promises.
        let string = unsafe { CStr::from_char_ptr((*argv.add(at)).cast_const().cast()) };
        *word = string.to_str().ok()?;
    }
    Some(then(used))
}
