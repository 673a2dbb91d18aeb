//! A model of RCU. It promises just what RCU does: a section that begins after a grace period
//! began sees everything before that, and one that began earlier has ended, and is seen with all
//! it did, when the grace period ends. Readers are not ordered among each other.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// More sections than any execution has.
const MOST: usize = 64;

struct Rcu {
    periods: AtomicUsize,
    /// Whether each section is being read, those that began first.
    sections: [AtomicBool; MOST],
    begun: Cell<usize>,
}

thread_local! {
    static RCU: RefCell<Option<Rc<Rcu>>> = const { RefCell::new(None) };
}

/// Begins an execution.
pub fn begin() {
    let rcu = Rcu {
        periods: AtomicUsize::new(0),
        sections: [(); MOST].map(|()| AtomicBool::new(true)),
        begun: Cell::new(0),
    };
    RCU.set(Some(Rc::new(rcu)));
}

/// Ends it.
pub fn end() {
    RCU.set(None);
}

fn rcu() -> Rc<Rcu> {
    RCU.with_borrow(|rcu| rcu.clone().expect("within an execution"))
}

/// Something is being read.
pub struct Guard(usize);

/// Begins to read.
pub fn read_lock() -> Guard {
    let rcu = rcu();
    // An exchange sees the newest, as only a section that sees a grace period may be passed over
    // by it.
    rcu.periods.fetch_add(0, Ordering::Acquire);
    let section = rcu.begun.replace(rcu.begun.get() + 1);
    crate::cpu::begin_section();
    Guard(section)
}

impl Drop for Guard {
    fn drop(&mut self) {
        crate::cpu::end_section();
        rcu().sections[self.0].store(false, Ordering::Release);
    }
}

/// Waits for everybody who reads.
pub fn synchronize_rcu() {
    let rcu = rcu();
    rcu.periods.fetch_add(1, Ordering::Release);
    for section in &rcu.sections[..rcu.begun.get()] {
        while section.load(Ordering::Acquire) {
            loom::thread::yield_now();
        }
    }
}
