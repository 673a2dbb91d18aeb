//! Models of what `kmod/glue` does, and of what device-mapper does with a bio. They are written
//! after the C and the kernel's documentation; no checker holds them against either.
#![allow(
    non_camel_case_types,
    clippy::missing_safety_doc,
    reason = "C names them so, and the module's own comments say what they ask for"
)]

use core::ptr;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

use kernel::bindings::bio_endio;
pub use kernel::bindings::{bio, block_device};
use kernel::cpu;
use kernel::ffi::{c_char, c_int, c_uint, c_void};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{fence, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use loom::sync::Notify;

use super::machine::Machine;

pub const DM_MAPIO_SUBMITTED: u64 = 0;
pub const DM_MAPIO_KILL: u64 = 4;
pub const DM_ENDIO_DONE: c_int = 0;
pub const DM_ENDIO_INCOMPLETE: c_int = 1;
pub const REQ_OP_MASK: u32 = 0xff;
pub const REQ_OP_DISCARD: u32 = 3;
pub const DM_REMAP_IS_DURABLE: c_uint = 1;
pub const DM_REMAP_IS_READ_AHEAD: c_uint = 2;
pub const DM_REMAP_FAILS_FAST: c_uint = 4;

/// State of a bio that is kept beside it.
pub struct dm_remap_beside {
    pub sector: u64,
    pub bytes: u32,
    pub op: u32,
    pub stage: i32,
    pub bio: *mut bio,
    pub next: *mut dm_remap_beside,
}

/// How the target answered for a bio.
pub struct dm_remap_answer {
    pub bdev: *mut block_device,
    pub at: u64,
}

/// A bio with what device-mapper keeps about it.
pub struct Clone {
    pub beside: dm_remap_beside,
    pub bio: bio,
    pub number: c_uint,
    /// How much it carried when it was made.
    pub bytes: c_uint,
    /// The target that it goes through.
    pub machine: Arc<Machine>,
    /// The device that it was sent to.
    pub sent: Cell<Option<usize>>,
    /// How often it ended.
    pub ended: AtomicUsize,
    /// Wakes whoever waits for that.
    pub bell: Notify,
    /// Used by whoever has the bio, as everything in it is: loom sees two at once.
    pub owner: UnsafeCell<()>,
}

impl Clone {
    pub fn new(bio: bio, machine: Arc<Machine>) -> Self {
        Self {
            beside: dm_remap_beside {
                sector: bio.bi_iter.bi_sector,
                bytes: bio.bi_iter.bi_size,
                op: bio.bi_opf,
                stage: 0,
                bio: ptr::null_mut(),
                next: ptr::null_mut(),
            },
            bytes: bio.bi_iter.bi_size,
            bio,
            number: 0,
            machine,
            sent: Cell::new(None),
            ended: AtomicUsize::new(0),
            bell: Notify::new(),
            owner: UnsafeCell::new(()),
        }
    }
}

/// The clone of a bio, which is used here.
pub unsafe fn clone_of<'a>(bio: *mut bio) -> &'a Clone {
    // SAFETY: as the caller promises, it is the bio of one.
    let clone = unsafe {
        &*bio
            .byte_sub(core::mem::offset_of!(Clone, bio))
            .cast::<Clone>()
    };
    clone.owner.with_mut(|_| ());
    clone
}

pub unsafe fn dm_remap_bio_number(bio: *mut bio) -> c_uint {
    // SAFETY: as in `clone_of`.
    unsafe { clone_of(bio).number }
}

pub unsafe fn dm_remap_bio_accept(bio: *mut bio, beside: *mut dm_remap_beside, sectors: c_uint) {
    // SAFETY: as the caller promises.
    unsafe {
        (*bio).bi_iter.bi_size = sectors * 512;
        (*beside).bytes = sectors * 512;
    }
}

pub unsafe fn dm_remap_bio_transfer(
    _bio: *mut bio,
    _beside: *mut dm_remap_beside,
    _device: *mut block_device,
    _sector: u64,
    _skip: c_uint,
    _length: c_uint,
    _durable: bool,
) -> c_int {
    unreachable!("no test has the worker do I/O")
}

pub unsafe fn dm_remap_bio_end(bio: *mut bio, error: c_int) {
    // SAFETY: as the caller promises.
    unsafe {
        (*bio).bi_status = u8::from(error != 0) * kernel::bindings::IO_ERROR;
        bio_endio(bio);
    }
}

pub unsafe fn dm_remap_op_traits(_op: c_uint) -> c_uint {
    0
}

pub unsafe fn dm_remap_status_errno(_status: c_uint) -> c_int {
    -5
}

/// The counts of one generation, of each CPU.
#[derive(Default)]
pub struct Generation([Counts; cpu::MOST]);

#[derive(Default)]
struct Counts {
    entered: AtomicU64,
    left: AtomicU64,
}

/// Counts one more, in two steps, as nobody else writes there.
fn this_cpu_inc(count: &AtomicU64) {
    cpu::heed();
    let before = count.load(Ordering::Relaxed);
    cpu::heed();
    count.store(before + 1, Ordering::Relaxed);
}

pub struct dm_remap_gate {
    open: AtomicPtr<Generation>,
    closed: Cell<*mut Generation>,
    all: *mut [Generation; 2],
}

pub unsafe fn dm_remap_gate_new() -> *mut dm_remap_gate {
    let all = Box::into_raw(Box::<[Generation; 2]>::default());
    // SAFETY: both are there until the gate is freed.
    let (open, closed) = unsafe { (&raw mut (*all)[0], &raw mut (*all)[1]) };
    Box::into_raw(Box::new(dm_remap_gate {
        open: AtomicPtr::new(open),
        closed: Cell::new(closed),
        all,
    }))
}

pub unsafe fn dm_remap_gate_free(gate: *mut dm_remap_gate) {
    // SAFETY: as the caller promises; both were made by boxes.
    unsafe {
        drop(Box::from_raw((*gate).all));
        drop(Box::from_raw(gate));
    }
}

pub unsafe fn dm_remap_gate_enter(gate: *mut dm_remap_gate, bio: *mut bio) {
    // SAFETY: as the caller promises.
    unsafe {
        cpu::heed();
        // READ_ONCE, whose value leads to the counts.
        let generation = (*gate).open.load(Ordering::Acquire);
        this_cpu_inc(&(&(*generation).0)[cpu::current()].entered);
        (*bio).bi_private = generation.cast();
    }
}

pub unsafe fn dm_remap_gate_leave(bio: *mut bio) -> c_int {
    // SAFETY: as the caller promises.
    unsafe {
        let generation = (*bio).bi_private.cast::<Generation>();
        // smp_wmb.
        fence(Ordering::Release);
        this_cpu_inc(&(&(*generation).0)[cpu::current()].left);
    }
    DM_ENDIO_DONE
}

pub unsafe fn dm_remap_gate_turn(gate: *mut dm_remap_gate) {
    // SAFETY: as the caller promises.
    let gate = unsafe { &*gate };
    let before = gate.open.load(Ordering::Relaxed);
    // WRITE_ONCE.
    gate.open.store(gate.closed.get(), Ordering::Relaxed);
    gate.closed.set(before);
}

unsafe fn sum(gate: *mut dm_remap_gate, count: fn(&Counts) -> &AtomicU64) -> u64 {
    // SAFETY: as the caller promises.
    let closed = unsafe { &*(*gate).closed.get() };
    let counts = closed.0.iter().map(count);
    counts.map(|count| count.load(Ordering::Relaxed)).sum()
}

pub unsafe fn dm_remap_gate_closed_entered(gate: *mut dm_remap_gate) -> u64 {
    // SAFETY: as the caller promises.
    unsafe { sum(gate, |counts| &counts.entered) }
}

pub unsafe fn dm_remap_gate_closed_left(gate: *mut dm_remap_gate) -> u64 {
    // SAFETY: as the caller promises.
    unsafe { sum(gate, |counts| &counts.left) }
}

pub unsafe fn dm_remap_smp_mb() {
    cpu::heed();
    fence(Ordering::SeqCst);
}

pub unsafe fn dm_remap_synchronize_rcu_expedited() {
    cpu::synchronize_rcu_expedited();
}

pub unsafe fn dm_remap_gate_wait() {
    loom::thread::yield_now();
}

/// Work waits for its turn.
const PENDING: usize = 1;
/// Work is being done.
const RUNNING: usize = 2;

/// It does no work any more.
const DESTROYED: usize = 4;

/// A queue with one piece of work.
pub struct Queue {
    state: AtomicUsize,
    bell: Notify,
    /// Used by whoever uses the queue: loom sees who does while it is destroyed.
    destroyed: UnsafeCell<bool>,
    target: *mut c_void,
}

// SAFETY: what is in it is loom's, or not changed.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

#[derive(Default)]
pub struct dm_remap_worker {
    pub queue: Option<Arc<Queue>>,
}

impl Queue {
    /// Does what is queued, until it is destroyed.
    pub fn run(&self) {
        loop {
            self.bell.wait();
            match self.state.fetch_or(0, Ordering::Relaxed) {
                // The bell may ring for nothing.
                0 => continue,
                DESTROYED => return,
                _ => {}
            }
            // From here on it may be queued again. What came before it was queued, also when
            // it was pending already, is seen.
            self.state.fetch_xor(PENDING | RUNNING, Ordering::AcqRel);
            // SAFETY: as `dm_remap_worker_start` was promised.
            unsafe { super::machine::work(self.target) };
            self.state.fetch_and(!RUNNING, Ordering::AcqRel);
        }
    }
}

thread_local! {
    /// The queue that was started last, for whoever runs it.
    static STARTED: RefCell<Option<Arc<Queue>>> = const { RefCell::new(None) };
}

/// The queue that was started last.
pub fn started_queue() -> Arc<Queue> {
    STARTED.take().expect("it was started")
}

pub unsafe fn dm_remap_worker_new() -> *mut dm_remap_worker {
    Box::into_raw(Box::default())
}

pub unsafe fn dm_remap_worker_free(worker: *mut dm_remap_worker) {
    // SAFETY: as the caller promises; it was made by a box.
    drop(unsafe { Box::from_raw(worker) });
}

pub unsafe fn dm_remap_worker_start(
    worker: *mut dm_remap_worker,
    _name: *const c_char,
    target: *mut c_void,
) -> c_int {
    let queue = Queue {
        state: AtomicUsize::new(0),
        bell: Notify::new(),
        destroyed: UnsafeCell::new(false),
        target,
    };
    let queue = Arc::new(queue);
    STARTED.set(Some(queue.clone()));
    // SAFETY: as the caller promises.
    unsafe { (*worker).queue = Some(queue) };
    0
}

unsafe fn queue_of<'a>(worker: *mut dm_remap_worker) -> &'a Queue {
    // SAFETY: as the caller promises.
    unsafe { (*worker).queue.as_ref().expect("it was started") }
}

pub unsafe fn dm_remap_worker_kick(worker: *mut dm_remap_worker) {
    // SAFETY: as the caller promises.
    let queue = unsafe { queue_of(worker) };
    queue.destroyed.with(|destroyed| {
        // SAFETY: loom tells if it is being destroyed.
        assert!(!unsafe { *destroyed }, "a queue that is gone was kicked");
    });
    if queue.state.fetch_or(PENDING, Ordering::AcqRel) & PENDING == 0 {
        queue.bell.notify();
    }
}

pub unsafe fn dm_remap_worker_after(_worker: *mut dm_remap_worker, _milliseconds: c_uint) {}

pub unsafe fn dm_remap_worker_rest(worker: *mut dm_remap_worker) {
    // SAFETY: as the caller promises.
    let queue = unsafe { queue_of(worker) };
    while queue.state.fetch_or(0, Ordering::AcqRel) != 0 {
        loom::thread::yield_now();
    }
}

pub unsafe fn dm_remap_worker_stop(worker: *mut dm_remap_worker) {
    // SAFETY: as the caller promises.
    let queue = unsafe { queue_of(worker) };
    queue.destroyed.with_mut(|destroyed| {
        // SAFETY: loom tells if anybody looks.
        unsafe { *destroyed = true };
    });
    let state = queue.state.fetch_or(DESTROYED, Ordering::AcqRel);
    assert_eq!(state, 0, "a queue with work was destroyed");
    queue.bell.notify();
}
