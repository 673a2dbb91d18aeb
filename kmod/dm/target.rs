// SPDX-License-Identifier: GPL-2.0-or-later
//! A target type: its callbacks as a trait, and its registration.

use core::fmt;
use core::marker::PhantomData;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::ptr::NonNull;

use kernel::bindings;
use kernel::error::{from_result, to_result, Result};
use kernel::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use kernel::prelude::*;
use kernel::str::CString;
use kernel::types::Opaque;

use super::bio::{Bio, Ended, EndedBio, Mapped, BESIDE_BYTES};
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
const NAME_BYTES: usize = ffi::DM_NAME_LEN as usize;

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
    ) -> Result<Pin<KBox<Self::Data<'t>>>, Refusal>;

    /// The gate that its bios enter.
    fn gate<'a>(target: Pin<&'a Self::Data<'_>>) -> &'a Gate;

    /// Its worker, which nobody else uses.
    fn worker<'a>(target: Pin<&'a Self::Data<'_>>) -> &'a Worker;

    /// Answers for one bio. May not sleep or allocate.
    fn map(target: Pin<&Self::Data<'_>>, bio: Bio) -> Mapped;

    /// Looks at a bio that came back from a device, in any context.
    fn end_io(target: Pin<&Self::Data<'_>>, bio: EndedBio) -> Ended;

    /// Deals with the bios that the worker holds. Runs on the worker.
    fn work(target: Pin<&Self::Data<'_>>);

    /// Does what is due. Runs on the worker.
    fn timer(target: Pin<&Self::Data<'_>>);

    /// Called before a table is used for the first time or again, while no bio is
    /// admitted.
    ///
    /// # Errors
    ///
    /// The device stays suspended then.
    fn preresume(target: Pin<&Self::Data<'_>>) -> Result;

    /// Called when the table is used from now on.
    fn resume(target: Pin<&Self::Data<'_>>);

    /// Called when the table is to be used no more, while bios are still under way.
    fn presuspend(target: Pin<&Self::Data<'_>>);

    /// Called when that was given up.
    fn presuspend_undo(target: Pin<&Self::Data<'_>>);

    /// Called when the table is used no more, and every bio has ended.
    fn postsuspend(target: Pin<&Self::Data<'_>>);

    /// Prints what `report` asks for.
    ///
    /// # Errors
    ///
    /// Only if the buffer is full.
    fn report(
        target: Pin<&Self::Data<'_>>,
        report: Report,
        out: &mut dyn fmt::Write,
    ) -> fmt::Result;

    /// Carries out a message.
    ///
    /// # Errors
    ///
    /// What went wrong; nothing was printed then that anybody sees.
    fn message(
        target: Pin<&Self::Data<'_>>,
        words: &[&str],
        reply: &mut dyn fmt::Write,
    ) -> Result<Reply>;

    /// Whether it passes discards on.
    fn takes_discards(target: Pin<&Self::Data<'_>>) -> bool;

    /// The device on which nearly everything lies: ioctls of the mapped device go there, from
    /// whoever may do raw I/O, and it decides what kind of disk the mapped device is.
    fn largest_device<'a>(target: Pin<&'a Self::Data<'_>>) -> &'a Device<'a>;

    /// Tells of each device that is used, and from its beginning on how much of it.
    fn devices(
        target: Pin<&Self::Data<'_>>,
        length: Sectors,
        tell: &mut dyn FnMut(&Device<'_>, Sectors) -> ControlFlow<c_int>,
    ) -> ControlFlow<c_int>;

    /// The smallest unit that may be read or written, in bytes: at least what every
    /// device needs.
    fn logical_block_bytes(target: Pin<&Self::Data<'_>>) -> u32;
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
        Sectors::new(unsafe { self.ti.as_ref().len })
    }

    /// Whether the table was loaded for reading alone.
    pub fn is_read_only(&self) -> bool {
        // SAFETY: by the invariants `ti` is valid, and its table with it.
        let mode = unsafe { ffi::dm_table_get_mode(self.ti.as_ref().table) };
        mode & ffi::dm_remap_open_write == 0
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
    fn table(&self) -> *mut ffi::dm_table {
        // SAFETY: by the invariants.
        unsafe { self.ti.as_ref().table }
    }

    /// Where on the mapped device the target begins.
    pub fn begin(&self) -> Sector {
        // SAFETY: by the invariants; it was set before the constructor.
        Sector::new(unsafe { self.ti.as_ref().begin })
    }

    /// How much of the mapped device the target is.
    pub fn length(&self) -> Sectors {
        // SAFETY: by the invariants; the length was set before.
        Sectors::new(unsafe { self.ti.as_ref().len })
    }

    /// The number it is listed under: `major:minor`.
    pub fn number(&self) -> &str {
        // SAFETY: the table is of a mapped device, whose number is written once.
        let number = unsafe {
            let device = ffi::dm_table_get_md(self.table());
            CStr::from_char_ptr(ffi::dm_device_name(device))
        };
        number.to_str().unwrap_or("?")
    }

    /// Calls `then` with the name that the mapped device has now.
    pub fn with_name<R>(&self, then: impl FnOnce(&[u8]) -> R) -> R {
        let mut name = [0u8; NAME_BYTES];
        // SAFETY: the name and its NUL fit, and the UUID is not asked for.
        let error = unsafe {
            let device = ffi::dm_table_get_md(self.table());
            ffi::dm_copy_name_and_uuid(device, name.as_mut_ptr().cast(), core::ptr::null_mut())
        };
        let length = name.iter().position(|byte| *byte == 0).unwrap_or(0);
        then(match error {
            0 => name.get(..length).unwrap_or_default(),
            _ => &[],
        })
    }

    /// Who claims devices for the target.
    pub(super) fn claimant(&self) -> Claimant {
        let table = self.table();
        Claimant {
            target: self.ti.as_ptr() as usize,
            table: table as usize,
            // SAFETY: the table is valid as long as the target.
            mapped: unsafe { ffi::dm_table_get_md(table) } as usize,
        }
    }

    /// Whether the mapped device has another table with a target of this kind that came up.
    pub fn has_other_table(&self) -> bool {
        claims::has_other_table(self.claimant())
    }

    /// Wakes whoever waits for an event of the mapped device. Sleeps.
    pub fn event(&self) {
        // SAFETY: the table is valid as long as the target.
        unsafe { ffi::dm_table_event(self.table()) }
    }
}

/// Keeps a kind of target registered.
#[pin_data(PinnedDrop)]
pub struct Registration<T: Target> {
    #[pin]
    kind: Opaque<ffi::target_type>,
    target: PhantomData<T>,
}

// SAFETY: device-mapper guards the registered structure with its own lock.
unsafe impl<T: Target> Send for Registration<T> {}
// SAFETY: nothing is reachable through a shared reference.
unsafe impl<T: Target> Sync for Registration<T> {}

impl<T: Target> Registration<T> {
    /// Registers the target for `module`, which stays loaded while a target exists.
    pub fn new(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            kind <- Opaque::try_ffi_init(|slot: *mut ffi::target_type| {
                let mut kind = Callbacks::<T>::KIND;
                kind.module = module.as_ptr();
                // SAFETY: `slot` is valid for writes, and the structure stays where it is
                // until it is unregistered. The module registers one kind, once, and
                // nothing is claimed before that.
                to_result(unsafe {
                    claims::initialise();
                    slot.write(kind);
                    ffi::dm_register_target(slot)
                })
            }),
            target: PhantomData,
        })
    }
}

#[pinned_drop]
impl<T: Target> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: it was registered by `new`, and no target exists any more: each holds
        // the module.
        unsafe { ffi::dm_unregister_target(self.kind.get()) };
    }
}

/// The callbacks of device-mapper for a kind of target.
struct Callbacks<T: Target>(PhantomData<T>);

impl<T: Target> Callbacks<T> {
    const KIND: ffi::target_type = ffi::target_type {
        features: ffi::DM_TARGET_NOWAIT as u64,
        name: T::NAME.as_ptr().cast(),
        version: T::VERSION,
        ctr: Some(Self::ctr),
        dtr: Some(Self::dtr),
        map: Some(Self::map),
        end_io: Some(Self::end_io),
        presuspend: Some(Self::presuspend),
        presuspend_undo: Some(Self::presuspend_undo),
        postsuspend: Some(Self::postsuspend),
        preresume: Some(Self::preresume),
        resume: Some(Self::resume),
        status: Some(Self::status),
        message: Some(Self::message),
        prepare_ioctl: Some(Self::prepare_ioctl),
        iterate_devices: Some(Self::iterate_devices),
        io_hints: Some(Self::io_hints),
        // SAFETY: all zero is valid: no callback, null pointers and zero numbers.
        ..unsafe { core::mem::zeroed() }
    };

    /// The target that `ctr` made.
    ///
    /// # Safety
    ///
    /// `ctr` must have succeeded for `ti`, and `dtr` must not be called on it while the
    /// reference is used.
    #[inline]
    unsafe fn data<'a>(ti: *mut ffi::dm_target) -> Pin<&'a T::Data<'a>> {
        // SAFETY: `ctr` put a pinned box there.
        unsafe { Pin::new_unchecked(&*(*ti).private.cast::<T::Data<'a>>()) }
    }

    /// # Safety
    ///
    /// Called by device-mapper, with a target to be made and `argc` strings.
    unsafe extern "C" fn ctr(
        ti: *mut ffi::dm_target,
        argc: c_uint,
        argv: *mut *mut c_char,
    ) -> c_int {
        let Some(target) = NonNull::new(ti) else {
            return EINVAL.to_errno();
        };
        // INVARIANT: `ti` is valid; what is made below lies in `private`, which `dtr` drops.
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
            // SAFETY: the data are pinned in their box, and `dtr` stops the worker before
            // it drops them.
            let started = unsafe { T::worker(data.as_ref()).start::<T>(T::NAME, &*data) };
            started.map(|()| data).map_err(|error| Refusal {
                error,
                why: c"Out of memory",
            })
        });
        match made {
            Ok(data) => {
                let discards = T::takes_discards(data.as_ref());
                // SAFETY: `ti` is ours while it is being made. The data stay pinned: `dtr`
                // alone takes them out again, to drop them.
                unsafe {
                    (*ti).private = KBox::into_raw(Pin::into_inner_unchecked(data)).cast();
                    (*ti).num_flush_bios = T::FLUSHES;
                    (*ti).num_discard_bios = u32::from(discards);
                    (*ti).set_discards_supported(discards);
                    (*ti).per_io_data_size = BESIDE_BYTES;
                }
                0
            }
            Err(refusal) => {
                // SAFETY: as above; device-mapper only prints the text.
                unsafe { (*ti).error = refusal.why.as_char_ptr().cast_mut() };
                refusal.error.to_errno()
            }
        }
    }

    /// # Safety
    ///
    /// Called by device-mapper, once, on a target that `ctr` made.
    unsafe extern "C" fn dtr(ti: *mut ffi::dm_target) {
        // SAFETY: `ctr` put the box there and started the worker; nothing else uses the
        // target any more.
        unsafe {
            T::worker(Self::data(ti)).stop();
            drop(KBox::<T::Data<'_>>::from_raw((*ti).private.cast()));
        }
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made, with a clone for it.
    unsafe extern "C" fn map(ti: *mut ffi::dm_target, bio: *mut bindings::bio) -> c_int {
        // SAFETY: device-mapper hands over a valid bio of this target, and `dtr` is not
        // called while there are any.
        let (target, bio) = unsafe {
            let target = Self::data(ti);
            (
                target,
                Bio::new(NonNull::new_unchecked(bio), T::gate(target)),
            )
        };
        T::map(target, bio).code()
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made, with a clone that was sent
    /// on or held and has ended.
    unsafe extern "C" fn end_io(
        ti: *mut ffi::dm_target,
        bio: *mut bindings::bio,
        status: *mut bindings::blk_status_t,
    ) -> c_int {
        // SAFETY: `dtr` is not called while there are bios; the bio is one that `map`
        // answered for, and `status` is where its status is kept.
        let (target, bio) = unsafe {
            let bio = EndedBio::new(NonNull::new_unchecked(bio), *status);
            (Self::data(ti), bio)
        };
        T::end_io(target, bio).code()
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made.
    unsafe extern "C" fn resume(ti: *mut ffi::dm_target) {
        // SAFETY: `dtr` is not called during this call.
        let target = unsafe { Self::data(ti) };
        NoIo::scope(|| T::resume(target));
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made.
    unsafe extern "C" fn presuspend(ti: *mut ffi::dm_target) {
        // SAFETY: `dtr` is not called during this call.
        let target = unsafe { Self::data(ti) };
        T::presuspend(target);
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made.
    unsafe extern "C" fn presuspend_undo(ti: *mut ffi::dm_target) {
        // SAFETY: `dtr` is not called during this call.
        let target = unsafe { Self::data(ti) };
        NoIo::scope(|| T::presuspend_undo(target));
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made.
    unsafe extern "C" fn postsuspend(ti: *mut ffi::dm_target) {
        // SAFETY: `dtr` is not called during this call.
        let target = unsafe { Self::data(ti) };
        NoIo::scope(|| T::postsuspend(target));
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made.
    unsafe extern "C" fn preresume(ti: *mut ffi::dm_target) -> c_int {
        // SAFETY: `dtr` is not called during this call.
        let target = unsafe { Self::data(ti) };
        NoIo::scope(|| from_result(|| T::preresume(target).map(|()| 0)))
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made, with a buffer of `length`
    /// bytes.
    unsafe extern "C" fn status(
        ti: *mut ffi::dm_target,
        kind: ffi::status_type_t,
        _flags: c_uint,
        buffer: *mut c_char,
        length: c_uint,
    ) {
        // SAFETY: the buffer is ours for this call, in which `dtr` is not called.
        let (target, buffer) = unsafe {
            let buffer = core::slice::from_raw_parts_mut(buffer.cast::<u8>(), length as usize);
            (Self::data(ti), buffer)
        };
        let report = match kind {
            ffi::status_type_t_STATUSTYPE_TABLE => Report::Table,
            ffi::status_type_t_STATUSTYPE_IMA => Report::Measurement,
            _ => Report::Status,
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
    unsafe extern "C" fn message(
        ti: *mut ffi::dm_target,
        argc: c_uint,
        argv: *mut *mut c_char,
        buffer: *mut c_char,
        length: c_uint,
    ) -> c_int {
        // SAFETY: the buffer is ours for this call, in which `dtr` is not called.
        let (target, buffer) = unsafe {
            let buffer = core::slice::from_raw_parts_mut(buffer.cast::<u8>(), length as usize);
            (Self::data(ti), buffer)
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
    unsafe extern "C" fn prepare_ioctl(
        ti: *mut ffi::dm_target,
        bdev: *mut *mut bindings::block_device,
        _command: c_uint,
        _argument: c_ulong,
        _forward: *mut bool,
    ) -> c_int {
        // SAFETY: `dtr` is not called during this call, and `bdev` is there to be set.
        unsafe { *bdev = T::largest_device(Self::data(ti)).bdev() };
        // As for a part of a disk: whoever asks must be allowed raw I/O.
        1
    }

    /// # Safety
    ///
    /// Called by device-mapper, on a target that `ctr` made.
    unsafe extern "C" fn iterate_devices(
        ti: *mut ffi::dm_target,
        callout: ffi::iterate_devices_callout_fn,
        context: *mut c_void,
    ) -> c_int {
        let Some(callout) = callout else { return 0 };
        // SAFETY: `dtr` is not called during this call.
        let (target, length) = unsafe { (Self::data(ti), Sectors::new((*ti).len)) };
        let told = T::devices(target, length, &mut |device, length| {
            // SAFETY: the device is held, and `context` is what `callout` expects.
            match unsafe { callout(ti, device.dm_dev(), 0, length.get(), context) } {
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
    /// Called by device-mapper, on a target that `ctr` made, with limits that are being
    /// put together.
    unsafe extern "C" fn io_hints(ti: *mut ffi::dm_target, limits: *mut bindings::queue_limits) {
        // SAFETY: `dtr` is not called during this call, and the limits are ours for it.
        let (target, limits) = unsafe { (Self::data(ti), &mut *limits) };
        let unit = T::logical_block_bytes(target);
        limits.logical_block_size = limits.logical_block_size.max(unit);
        limits.physical_block_size = limits.physical_block_size.max(limits.logical_block_size);
        limits.io_min = limits.io_min.max(limits.physical_block_size);
        // SAFETY: the device is open.
        unsafe { ffi::dm_remap_limits_like(limits, T::largest_device(target).bdev()) };
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
