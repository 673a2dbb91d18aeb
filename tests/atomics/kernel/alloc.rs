//! Memory that is not given back before an execution ends: what is used after it was freed is
//! found and said, instead of being used.

use core::mem::{self, ManuallyDrop};
use core::ops::{Deref, DerefMut};
use std::cell::RefCell;

use loom::cell::UnsafeCell;

/// How memory is asked for.
#[derive(Clone, Copy)]
pub struct Flags;

/// May wait for memory.
pub const GFP_KERNEL: Flags = Flags;

/// There is no memory.
#[derive(Debug)]
pub struct AllocError;

thread_local! {
    /// What was freed: loom's threads are all of one thread of the system's.
    static FREED: RefCell<Vec<Box<dyn FnOnce()>>> = const { RefCell::new(Vec::new()) };
}

/// Gives back what the execution before this one freed.
pub fn give_back() {
    let freed = FREED.with(|freed| mem::take(&mut *freed.borrow_mut()));
    for free in freed {
        free();
    }
}

fn free_later(free: impl FnOnce() + 'static) {
    FREED.with(|freed| freed.borrow_mut().push(Box::new(free)));
}

/// Frees a `Vec`'s memory later, which has no values in it any more.
fn free_vec_later<T>(mut values: Vec<T>) {
    let (at, capacity) = (values.as_mut_ptr() as usize, values.capacity());
    let layout = core::alloc::Layout::array::<T>(capacity).expect("it was allocated");
    mem::forget(values);
    free_later(move || {
        if layout.size() != 0 {
            // SAFETY: it was allocated so, and nothing is in it.
            unsafe { std::alloc::dealloc(at as *mut u8, layout) };
        }
    });
}

/// A list. Whoever uses it must be ordered before whoever drops it.
pub struct KVVec<T> {
    values: ManuallyDrop<Vec<T>>,
    alive: UnsafeCell<()>,
}

// SAFETY: the values are owned; loom's cell is its own guard.
unsafe impl<T: Send> Send for KVVec<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for KVVec<T> {}

impl<T> KVVec<T> {
    /// An empty one with room for so many.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn with_capacity(capacity: usize, _flags: Flags) -> Result<Self, AllocError> {
        Ok(Self {
            values: ManuallyDrop::new(Vec::with_capacity(capacity)),
            alive: UnsafeCell::new(()),
        })
    }

    /// Puts a value at the end.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn push(&mut self, value: T, _flags: Flags) -> Result<(), AllocError> {
        self.values.push(value);
        Ok(())
    }
}

impl<T> Deref for KVVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.alive.with(|_| &self.values)
    }
}

impl<T> Drop for KVVec<T> {
    fn drop(&mut self) {
        self.alive.with_mut(|_| ());
        // SAFETY: it is not used after this.
        let mut values = unsafe { ManuallyDrop::take(&mut self.values) };
        values.clear();
        free_vec_later(values);
    }
}

/// A value on the heap.
pub struct KBox<T>(*mut T);

impl<T> KBox<T> {
    /// Puts it there.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn new(value: T, _flags: Flags) -> Result<Self, AllocError> {
        Ok(Self(Box::into_raw(Box::new(value))))
    }

    /// Its address, which keeps it.
    pub fn into_raw(this: Self) -> *mut T {
        ManuallyDrop::new(this).0
    }

    /// The box of an address.
    ///
    /// # Safety
    ///
    /// It must have come from `into_raw`, and not have been made a box since.
    pub unsafe fn from_raw(at: *mut T) -> Self {
        Self(at)
    }
}

impl<T> Deref for KBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the value is there until this is dropped.
        unsafe { &*self.0 }
    }
}

impl<T> DerefMut for KBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.0 }
    }
}

impl<T> Drop for KBox<T> {
    fn drop(&mut self) {
        let (at, layout) = (self.0 as usize, core::alloc::Layout::new::<T>());
        // SAFETY: the value is there, and nobody uses it after this but whom loom finds.
        unsafe { core::ptr::drop_in_place(self.0) };
        free_later(move || {
            if layout.size() != 0 {
                // SAFETY: a box allocated it so, and nothing is in it.
                unsafe { std::alloc::dealloc(at as *mut u8, layout) };
            }
        });
    }
}
