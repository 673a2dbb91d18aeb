//! Models of what `kmod/shim.c` does, and of what device-mapper does with a bio. They are written
//! after the C and the kernel's documentation; no checker holds them against either.
#![allow(
    non_camel_case_types,
    clippy::missing_safety_doc,
    reason = "C names them so, and the module's own comments say what they ask for"
)]

use core::mem::MaybeUninit;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

use kernel::bindings::{bio, block_device, bvec_iter};
use kernel::cpu;
use kernel::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{fence, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use loom::sync::Notify;

use super::machine::Machine;

pub const DM_MAPIO_SUBMITTED: u32 = 0;
pub const DM_MAPIO_REMAPPED: u32 = 1;
pub const DM_MAPIO_KILL: u32 = 4;
pub const DM_ENDIO_DONE: u32 = 0;
pub const DM_ENDIO_INCOMPLETE: u32 = 1;

/// A bio with what device-mapper keeps about it.
#[repr(C)]
pub struct Clone {
    beside: MaybeUninit<[u64; 16]>,
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
            beside: MaybeUninit::uninit(),
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

pub unsafe fn dm_per_bio_data(bio: *mut bio, size: usize) -> *mut c_void {
    assert!(size <= size_of::<[u64; 16]>(), "more than there is");
    // SAFETY: as in `clone_of`.
    unsafe { bio.byte_sub(core::mem::offset_of!(Clone, bio)).cast() }
}

pub unsafe fn dm_bio_get_target_bio_nr(bio: *mut bio) -> c_uint {
    // SAFETY: as in `clone_of`.
    unsafe { clone_of(bio).number }
}

pub unsafe fn dm_accept_partial_bio(bio: *mut bio, sectors: c_uint) {
    // SAFETY: as the caller promises.
    unsafe { (*bio).bi_iter.bi_size = sectors * 512 };
}

pub unsafe fn dm_remap_bio_set_dev(bio: *mut bio, device: *mut block_device) -> c_int {
    // SAFETY: as in `clone_of`.
    unsafe { clone_of(bio) }.sent.set(Some(device as usize));
    DM_MAPIO_REMAPPED as c_int
}

pub unsafe fn dm_remap_bio_clone(
    _part: *mut bio,
    _device: *mut block_device,
    _bio: *mut bio,
    _whole: *const bvec_iter,
    _skip: c_uint,
    _durable: bool,
) -> c_int {
    unreachable!("no test has the worker do I/O")
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

#[derive(Default)]
pub struct dm_remap_gate {
    all: Option<Box<[Generation; 2]>>,
    open: AtomicPtr<Generation>,
    closed: Cell<*mut Generation>,
}

pub unsafe fn dm_remap_gate_init(gate: *mut dm_remap_gate) -> c_int {
    // SAFETY: as the caller promises.
    let gate = unsafe { &mut *gate };
    let all = gate.all.insert(Box::default());
    gate.open = AtomicPtr::new(&raw mut all[0]);
    gate.closed.set(&raw mut all[1]);
    0
}

pub unsafe fn dm_remap_gate_destroy(_gate: *mut dm_remap_gate) {}

pub unsafe fn dm_remap_gate_enter(
    bio: *mut bio,
    beside: usize,
    gate: *mut dm_remap_gate,
) -> *mut c_void {
    // SAFETY: as the caller promises.
    unsafe {
        cpu::heed();
        // READ_ONCE, whose value leads to the counts.
        let generation = (*gate).open.load(Ordering::Acquire);
        this_cpu_inc(&(&(*generation).0)[cpu::current()].entered);
        (*bio).bi_private = generation.cast();
        dm_per_bio_data(bio, beside)
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
    DM_ENDIO_DONE as c_int
}

pub unsafe fn dm_remap_gate_turn(gate: *mut dm_remap_gate) {
    // SAFETY: as the caller promises.
    let gate = unsafe { &*gate };
    let before = gate.open.load(Ordering::Relaxed);
    // WRITE_ONCE.
    gate.open.store(gate.closed.get(), Ordering::Relaxed);
    gate.closed.set(before);
}

unsafe fn sum(gate: *mut dm_remap_gate, count: fn(&Counts) -> &AtomicU64) -> c_ulong {
    // SAFETY: as the caller promises.
    let closed = unsafe { &*(*gate).closed.get() };
    let counts = closed.0.iter().map(count);
    counts.map(|count| count.load(Ordering::Relaxed)).sum()
}

pub unsafe fn dm_remap_gate_closed_entered(gate: *mut dm_remap_gate) -> c_ulong {
    // SAFETY: as the caller promises.
    unsafe { sum(gate, |counts| &counts.entered) }
}

pub unsafe fn dm_remap_gate_closed_left(gate: *mut dm_remap_gate) -> c_ulong {
    // SAFETY: as the caller promises.
    unsafe { sum(gate, |counts| &counts.left) }
}

pub unsafe fn dm_remap_smp_mb() {
    cpu::heed();
    fence(Ordering::SeqCst);
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
    on_work: unsafe extern "C" fn(*mut c_void),
    data: *mut c_void,
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
            unsafe { (self.on_work)(self.data) };
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

pub unsafe fn dm_remap_worker_start(
    worker: *mut dm_remap_worker,
    _name: *const c_char,
    on_work: Option<unsafe extern "C" fn(*mut c_void)>,
    _on_timer: Option<unsafe extern "C" fn(*mut c_void)>,
    data: *mut c_void,
) -> c_int {
    let queue = Queue {
        state: AtomicUsize::new(0),
        bell: Notify::new(),
        destroyed: UnsafeCell::new(false),
        on_work: on_work.expect("work"),
        data,
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

pub unsafe fn dm_remap_worker_destroy(worker: *mut dm_remap_worker) {
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
