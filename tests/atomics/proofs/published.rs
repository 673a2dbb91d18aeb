//! Values that are replaced as a whole.

use std::sync::Arc;

use kernel::prelude::*;
use kernel::sync::rcu;
use loom::cell::UnsafeCell;
use loom::thread;

use crate::dm::machine::explore;
use crate::dm::published::Published;

/// A value of two parts.
struct Pair(UnsafeCell<u32>, UnsafeCell<u32>);

// SAFETY: loom tells if anybody uses it beside whoever changes it.
unsafe impl Send for Pair {}
// SAFETY: as above.
unsafe impl Sync for Pair {}

impl Pair {
    fn boxed(value: u32) -> KBox<Self> {
        let pair = Self(UnsafeCell::new(0), UnsafeCell::new(0));
        let pair = KBox::new(pair, GFP_KERNEL).expect("memory");
        for part in [&pair.0, &pair.1] {
            // SAFETY: loom tells if anybody else uses it.
            part.with_mut(|part| unsafe { *part = value });
        }
        pair
    }

    fn read(&self) -> [u32; 2] {
        // SAFETY: loom tells if anybody changes it.
        [&self.0, &self.1].map(|part| part.with(|part| unsafe { *part }))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.0.with_mut(|_| ());
        self.1.with_mut(|_| ());
    }
}

/// Fails if the exchange is relaxed, or if the old value is freed before the grace period ends.
#[test]
fn a_value_is_whole_and_is_not_freed_while_it_is_read() {
    explore(None, || {
        let published = Arc::new(Published::nothing());
        published.replace(Some(Pair::boxed(1)));
        let readers = [(); 2].map(|()| {
            let published = published.clone();
            thread::spawn(move || {
                let guard = rcu::read_lock();
                let seen = published.read(&guard).map(Pair::read);
                drop(guard);
                assert!(matches!(seen, Some([1, 1] | [2, 2])), "{seen:?}");
            })
        });
        published.replace(Some(Pair::boxed(2)));
        for reader in readers {
            reader.join().expect("no panic");
        }
    });
}

/// Fails if the old value is freed before the grace period ends.
#[test]
fn a_value_that_is_taken_away_is_not_freed_while_it_is_read() {
    explore(None, || {
        let published = Arc::new(Published::nothing());
        published.replace(Some(Pair::boxed(1)));
        let reader = thread::spawn({
            let published = published.clone();
            move || {
                let guard = rcu::read_lock();
                let seen = published.read(&guard).map(Pair::read);
                assert!(matches!(seen, None | Some([1, 1])), "{seen:?}");
            }
        });
        published.replace(None);
        reader.join().expect("no panic");
    });
}
