//! Atomics that are loom's.

use core::marker::PhantomData;
use std::sync::atomic::Ordering;

use loom::sync::atomic as model;

use crate::cpu;

/// An atomic value.
pub struct Atomic<T: AtomicType>(T::Model);

/// What can be one.
pub trait AtomicType: Copy {
    /// Its model.
    type Model;
    /// The order of a load that nothing but dependencies orders, as a dependency on its value
    /// makes it. Another value than an address or an index of something leads nowhere.
    const PLAIN_LOAD: Ordering;

    /// Makes the model.
    fn model(value: Self) -> Self::Model;
    /// Loads.
    fn load(from: &Self::Model, order: Ordering) -> Self;
    /// Stores.
    fn store(to: &Self::Model, value: Self, order: Ordering);
    /// Exchanges.
    fn swap(with: &Self::Model, value: Self, order: Ordering) -> Self;
    /// Exchanges if it is what is expected.
    ///
    /// # Errors
    ///
    /// Gives what it is.
    fn cmpxchg(with: &Self::Model, old: Self, new: Self, order: Ordering) -> Result<Self, Self>;
}

macro_rules! atomic_type {
    ($type:ty, $model:ty, $plain:ident $(, $parameter:ident)?) => {
        impl$(<$parameter>)? AtomicType for $type {
            type Model = $model;
            const PLAIN_LOAD: Ordering = Ordering::$plain;

            fn model(value: Self) -> Self::Model {
                <$model>::new(value)
            }

            fn load(from: &Self::Model, order: Ordering) -> Self {
                from.load(order)
            }

            fn store(to: &Self::Model, value: Self, order: Ordering) {
                to.store(value, order);
            }

            fn swap(with: &Self::Model, value: Self, order: Ordering) -> Self {
                with.swap(value, order)
            }

            fn cmpxchg(
                with: &Self::Model,
                old: Self,
                new: Self,
                order: Ordering,
            ) -> Result<Self, Self> {
                with.compare_exchange(old, new, order, Ordering::Relaxed)
            }
        }
    };
}

// A slot holds an index, by which the entry is found.
atomic_type!(u32, model::AtomicU32, Acquire);
// An entry's word and a word of the bitmap lead nowhere.
atomic_type!(u64, model::AtomicU64, Relaxed);
atomic_type!(bool, model::AtomicBool, Relaxed);
atomic_type!(*mut T, model::AtomicPtr<T>, Acquire, T);

/// How an access is ordered.
pub trait Order {
    /// The model's name for it.
    const ORDER: Ordering;
}

macro_rules! orders {
    ($($name:ident: $order:ident, $what:literal;)*) => {
        $(
            #[doc = $what]
            pub struct $name;

            impl Order for $name {
                const ORDER: Ordering = Ordering::$order;
            }
        )*
    };
}

orders! {
    Relaxed: Relaxed, "Not at all.";
    Acquire: Acquire, "Before all that comes after it.";
    Release: Release, "After all that came before it.";
    Full: AcqRel, "The kernel's is a full barrier, which is more.";
}

impl<T: AtomicType> Atomic<T> {
    /// One with this value.
    pub fn new(value: T) -> Self {
        Self(T::model(value))
    }

    /// Loads.
    pub fn load<O: Order>(&self, _order: O) -> T {
        cpu::heed();
        T::load(&self.0, O::ORDER)
    }

    /// Stores.
    pub fn store<O: Order>(&self, value: T, _order: O) {
        cpu::heed();
        T::store(&self.0, value, O::ORDER);
    }

    /// Exchanges.
    pub fn xchg<O: Order>(&self, value: T, _order: O) -> T {
        cpu::heed();
        T::swap(&self.0, value, O::ORDER)
    }

    /// Exchanges if it is what is expected.
    ///
    /// # Errors
    ///
    /// Gives what it is.
    pub fn cmpxchg<O: Order>(&self, old: T, new: T, _order: O) -> Result<T, T> {
        cpu::heed();
        T::cmpxchg(&self.0, old, new, O::ORDER)
    }

    /// The place, for a plain load.
    pub fn as_ptr(&self) -> Place<'_, T> {
        Place(&self.0, PhantomData)
    }
}

/// The place of an atomic.
pub struct Place<'a, T: AtomicType>(&'a T::Model, PhantomData<T>);

impl<T: AtomicType> Place<'_, T> {
    /// Loads what is there in one instruction.
    ///
    /// # Safety
    ///
    /// Safe here.
    pub unsafe fn read_volatile(self) -> T {
        cpu::heed();
        T::load(self.0, T::PLAIN_LOAD)
    }
}
