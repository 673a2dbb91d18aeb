// SPDX-License-Identifier: GPL-2.0-or-later
//! Atomics, with the kernel's names for the orders.
//!
//! The kernel's memory model orders more than the language's does; the module relies on no more
//! than it names here, and on the address dependency that `dm/published.rs` explains.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// Orders nothing.
pub struct Relaxed;
/// Comes before everything behind it.
pub struct Acquire;
/// Comes behind everything before it.
pub struct Release;
/// A full barrier.
pub struct Full;

/// An order for loads.
pub trait Loads {
    #[doc(hidden)]
    const ORDER: Ordering;
}

/// An order for stores.
pub trait Stores {
    #[doc(hidden)]
    const ORDER: Ordering;
}

/// An order for exchanges.
pub trait Exchanges {
    #[doc(hidden)]
    const ORDER: Ordering;
}

macro_rules! orders {
    ($($kind:ident: $($name:ident = $order:ident)*;)*) => {
        $($(impl $kind for $name {
            const ORDER: Ordering = Ordering::$order;
        })*)*
    };
}
orders! {
    Loads: Relaxed = Relaxed Acquire = Acquire;
    Stores: Relaxed = Relaxed Release = Release;
    Exchanges: Relaxed = Relaxed Full = SeqCst;
}

/// A type of which there are atomics.
///
/// # Safety
///
/// All functions must go to the language's atomic of the same size and alignment.
pub unsafe trait AtomicType: Copy {
    #[doc(hidden)]
    unsafe fn load(at: *mut Self, order: Ordering) -> Self;
    #[doc(hidden)]
    unsafe fn store(at: *mut Self, value: Self, order: Ordering);
    #[doc(hidden)]
    unsafe fn swap(at: *mut Self, value: Self, order: Ordering) -> Self;
    #[doc(hidden)]
    unsafe fn exchange(at: *mut Self, old: Self, new: Self, order: Ordering) -> Result<Self, Self>;
}

macro_rules! atomic {
    ([$($generic:tt)*] $type:ty, $atomic:ty) => {
        // SAFETY: the atomic is of this size and alignment.
        unsafe impl $($generic)* AtomicType for $type {
            #[inline]
            unsafe fn load(at: *mut Self, order: Ordering) -> Self {
                // SAFETY: as the caller promises.
                unsafe { <$atomic>::from_ptr(at) }.load(order)
            }

            #[inline]
            unsafe fn store(at: *mut Self, value: Self, order: Ordering) {
                // SAFETY: as the caller promises.
                unsafe { <$atomic>::from_ptr(at) }.store(value, order)
            }

            #[inline]
            unsafe fn swap(at: *mut Self, value: Self, order: Ordering) -> Self {
                // SAFETY: as the caller promises.
                unsafe { <$atomic>::from_ptr(at) }.swap(value, order)
            }

            #[inline]
            unsafe fn exchange(
                at: *mut Self,
                old: Self,
                new: Self,
                order: Ordering,
            ) -> Result<Self, Self> {
                // SAFETY: as the caller promises.
                unsafe { <$atomic>::from_ptr(at) }.compare_exchange(
                    old,
                    new,
                    order,
                    Ordering::Relaxed,
                )
            }
        }
    };
}
atomic!([] bool, AtomicBool);
atomic!([] u32, AtomicU32);
atomic!([] u64, AtomicU64);
atomic!([<T>] *mut T, AtomicPtr<T>);

/// A value that is read and written in one piece.
#[repr(transparent)]
pub struct Atomic<T>(UnsafeCell<T>);

// SAFETY: the value is moved in one piece, and moving it gives nobody else access to what it may
// point to.
unsafe impl<T: AtomicType> Send for Atomic<T> {}
// SAFETY: every access is atomic.
unsafe impl<T: AtomicType> Sync for Atomic<T> {}

impl<T: AtomicType> Atomic<T> {
    /// An atomic with this value.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Its address.
    #[inline]
    pub const fn as_ptr(&self) -> *mut T {
        self.0.get()
    }

    /// Reads it.
    #[inline]
    pub fn load<O: Loads>(&self, _order: O) -> T {
        // SAFETY: the pointer is valid, and every access is atomic.
        unsafe { T::load(self.as_ptr(), O::ORDER) }
    }

    /// Writes it.
    #[inline]
    pub fn store<O: Stores>(&self, value: T, _order: O) {
        // SAFETY: as in `load`.
        unsafe { T::store(self.as_ptr(), value, O::ORDER) }
    }

    /// Writes it, and gives what was there.
    #[inline]
    pub fn xchg<O: Exchanges>(&self, value: T, _order: O) -> T {
        // SAFETY: as in `load`.
        unsafe { T::swap(self.as_ptr(), value, O::ORDER) }
    }

    /// Writes `new` if `old` is there, and gives what was there.
    ///
    /// # Errors
    ///
    /// The value that is there instead.
    #[inline]
    pub fn cmpxchg<O: Exchanges>(&self, old: T, new: T, _order: O) -> Result<T, T> {
        // SAFETY: as in `load`.
        unsafe { T::exchange(self.as_ptr(), old, new, O::ORDER) }
    }
}
