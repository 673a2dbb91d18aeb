//! A model of CPUs: what only they have (counters of one CPU, being taken through a barrier by
//! another). A thread that runs as one is not moved to another.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use loom::sync::atomic::{AtomicUsize, Ordering};

/// More CPUs than any test has.
pub const MOST: usize = 3;

/// One CPU.
struct Cpu {
    /// Orders it with whoever takes it through a barrier, and with nobody else.
    barrier: AtomicUsize,
    busy: Cell<bool>,
    asked: Cell<bool>,
    /// Sections of RCU that it is in, during which it is taken through nothing.
    sections: Cell<usize>,
}

thread_local! {
    /// Loom's threads are all of one thread of the system's.
    static CPUS: RefCell<Option<Rc<[Cpu; MOST]>>> = const { RefCell::new(None) };
}

loom::thread_local! {
    static CURRENT: Cell<Option<usize>> = Cell::new(None);
}

/// Begins an execution.
pub fn begin() {
    let cpus = [(); MOST].map(|()| Cpu {
        barrier: AtomicUsize::new(0),
        busy: Cell::new(false),
        asked: Cell::new(false),
        sections: Cell::new(0),
    });
    CPUS.set(Some(Rc::new(cpus)));
}

/// Ends it.
pub fn end() {
    CPUS.set(None);
}

fn cpus() -> Rc<[Cpu; MOST]> {
    CPUS.with_borrow(|cpus| cpus.clone().expect("within an execution"))
}

/// The CPU that the caller runs on.
pub fn current() -> usize {
    CURRENT.with(Cell::get).expect("runs on a CPU")
}

/// Has CPU `number` do something.
pub fn run<T>(number: usize, inner: impl FnOnce() -> T) -> T {
    let cpus = cpus();
    let cpu = &cpus[number];
    cpu.busy.set(true);
    // What is idle was taken through a barrier by whoever asked, in its place.
    cpu.barrier.fetch_add(0, Ordering::AcqRel);
    CURRENT.with(|current| current.set(Some(number)));
    let done = inner();
    CURRENT.with(|current| current.set(None));
    cpu.barrier.fetch_add(0, Ordering::AcqRel);
    cpu.busy.set(false);
    done
}

/// Goes through a barrier if one was asked for. Called before each access.
pub fn heed() {
    let Some(number) = CURRENT.with(Cell::get) else {
        return;
    };
    let cpus = cpus();
    let cpu = &cpus[number];
    if cpu.sections.get() > 0 {
        return;
    }
    // Orders nothing. It makes loom look at each place where the CPU may be asked.
    cpu.barrier.fetch_add(0, Ordering::Relaxed);
    if cpu.asked.take() {
        cpu.barrier.fetch_add(0, Ordering::AcqRel);
    }
}

pub(crate) fn begin_section() {
    if let Some(number) = CURRENT.with(Cell::get) {
        let sections = &cpus()[number].sections;
        sections.set(sections.get() + 1);
    }
}

pub(crate) fn end_section() {
    if let Some(number) = CURRENT.with(Cell::get) {
        let sections = &cpus()[number].sections;
        sections.set(sections.get() - 1);
    }
}

/// Takes every other CPU through a full barrier, which lies after the beginning of this and
/// before its end, and in no section of RCU.
pub fn synchronize_rcu_expedited() {
    let own = CURRENT.with(Cell::get);
    for (number, cpu) in cpus().iter().enumerate() {
        if Some(number) == own {
            continue;
        }
        cpu.barrier.fetch_add(0, Ordering::AcqRel);
        if !cpu.busy.get() {
            continue;
        }
        cpu.asked.set(true);
        while cpu.busy.get() && cpu.asked.get() {
            loom::thread::yield_now();
        }
        cpu.barrier.fetch_add(0, Ordering::AcqRel);
    }
}
