//! What calls a target: device-mapper, the disks below it, and the thread of its worker.

use core::ptr::NonNull;
use std::cell::RefCell;
use std::sync::Arc;

use kernel::bindings::{self, bio, IO_ERROR};
use kernel::ffi::c_void;
use kernel::{alloc, cpu, sync::rcu};
use loom::model::Builder;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread::JoinHandle;

use super::bio::{Bio, EndedBio};
use super::ffi::{self, Clone};
use super::gate::Gate;
use crate::target::Joined;

/// Runs `test` in every order that the memory model allows; with `preemptions`, in those in which
/// no more often a thread is interrupted that could go on.
pub fn explore(preemptions: impl Into<Option<usize>>, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions.into();
    builder.max_branches = 20_000;
    builder.check(move || {
        alloc::give_back();
        cpu::begin();
        rcu::begin();
        SENT.set(Some(Arc::new(AtomicUsize::new(0))));
        test();
        SENT.set(None);
        rcu::end();
        cpu::end();
    });
}

thread_local! {
    /// Writes of data that a device has. Orders nothing.
    static SENT: RefCell<Option<Arc<AtomicUsize>>> = const { RefCell::new(None) };
}

fn sent() -> Arc<AtomicUsize> {
    SENT.with_borrow(|sent| sent.clone().expect("within an execution"))
}

/// How many writes of data a device has.
pub fn writes_in_flight() -> usize {
    sent().fetch_add(0, Ordering::Relaxed)
}

fn is_write(clone: &Clone) -> bool {
    clone.bio.bi_opf == bindings::req_op_REQ_OP_WRITE
}

fn is_sent_write(clone: &Clone) -> bool {
    clone.sent.get().is_some() && is_write(clone) && clone.bytes > 0
}

/// A target of a table, with what is on its way through it.
pub struct Machine {
    pub joined: Joined<'static>,
}

/// A bio, which is its submitter's until it has ended.
pub struct Request {
    clone: *mut Clone,
}

// SAFETY: whoever has it has the bio; loom tells if two do.
unsafe impl Send for Request {}
// SAFETY: as above.
unsafe impl Sync for Request {}

/// How a target answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It goes to a device.
    Sent,
    /// The target keeps it, or has ended it.
    Kept,
    /// It failed.
    Killed,
}

/// Where blocks are served, and how many of those that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    Main { first: u64, blocks: u64 },
    Spare { first: u64, blocks: u64 },
}

impl Machine {
    /// A target with its worker's thread.
    pub fn start() -> (Arc<Self>, JoinHandle<()>) {
        let machine = Self::idle();
        let queue = ffi::started_queue();
        let thread = loom::thread::spawn(move || cpu::run(cpu::MOST - 1, || queue.run()));
        (machine, thread)
    }

    /// A target whose worker takes bios and does nothing.
    pub fn idle() -> Arc<Self> {
        let machine = Arc::new(Self {
            joined: Joined::new(),
        });
        // SAFETY: the machine stays where it is until `stop`.
        let started = unsafe {
            let data: *const Joined<'static> = &machine.joined;
            machine.joined.worker().start(c"remap", data)
        };
        started.expect("memory");
        machine
    }

    /// Stops the worker, as the destructor of a target does once every bio has ended.
    pub fn stop(&self) {
        // SAFETY: it was started, and every bio has ended.
        unsafe { self.joined.worker().stop() };
    }

    /// A bio that does `operation` with so many blocks from block `first` on.
    pub fn request(
        self: &Arc<Self>,
        operation: bindings::req_op,
        first: u64,
        blocks: u64,
    ) -> Request {
        let bytes = blocks as u32 * 512;
        let mut bio = bio::new(operation, bytes, end_io);
        bio.bi_iter.bi_sector = first;
        let clone = Box::into_raw(Box::new(Clone::new(bio, self.clone())));
        Request { clone }
    }

    /// A write of one block.
    pub fn write(self: &Arc<Self>, block: u64) -> Request {
        self.request(bindings::req_op_REQ_OP_WRITE, block, 1)
    }

    /// A flush.
    pub fn flush(self: &Arc<Self>) -> Request {
        self.request(bindings::req_op_REQ_OP_WRITE, 0, 0)
    }

    /// Where blocks are read from.
    pub fn read(self: &Arc<Self>, first: u64, blocks: u64) -> Served {
        let request = self.request(bindings::req_op_REQ_OP_READ, first, blocks);
        assert_eq!(request.map(), Answer::Sent, "reads are not held");
        // SAFETY: the request is ours.
        let clone = unsafe { ffi::clone_of(request.bio()) };
        let iter = clone.bio.bi_iter;
        let (first, blocks) = (iter.bi_sector, u64::from(iter.bi_size) / 512);
        let served = match clone.sent.get() {
            Some(0) => Served::Main { first, blocks },
            _ => Served::Spare { first, blocks },
        };
        request.complete();
        served
    }
}

impl Request {
    fn bio(&self) -> *mut bio {
        // SAFETY: it is there until this is dropped.
        unsafe { &raw mut (*self.clone).bio }
    }

    /// Hands it to the target's `map`.
    pub fn map(&self) -> Answer {
        let bio = self.bio();
        // SAFETY: it is a clone, and nobody else has it.
        let (clone, answer) = unsafe {
            let clone = ffi::clone_of(bio);
            let joined = &clone.machine.joined;
            if is_write(clone) {
                joined.gate().enter(bio);
            }
            let beside = NonNull::new_unchecked(&raw mut (*self.clone).beside);
            let wrapped = Bio::new(NonNull::new_unchecked(bio), beside);
            (clone, joined.send(wrapped).answer())
        };
        match answer.at {
            at if !answer.bdev.is_null() => {
                clone.sent.set(Some(answer.bdev as usize - 1));
                // SAFETY: as above.
                unsafe { (*bio).bi_iter.bi_sector = at };
                if is_sent_write(clone) {
                    sent().fetch_add(1, Ordering::Relaxed);
                }
                Answer::Sent
            }
            ffi::DM_MAPIO_KILL => Answer::Killed,
            _ => Answer::Kept,
        }
    }

    /// Has the device that it was sent to complete it.
    pub fn complete(&self) {
        // Its CPU may be taken through a barrier while the device has it.
        cpu::heed();
        // SAFETY: it was sent, so nobody else has it.
        unsafe {
            if is_sent_write(ffi::clone_of(self.bio())) {
                sent().fetch_sub(1, Ordering::Relaxed);
            }
            bindings::bio_endio(self.bio());
        }
    }

    /// Has it fail there.
    pub fn fail(&self) {
        // SAFETY: as in `complete`.
        unsafe { (*self.bio()).bi_status = IO_ERROR };
        self.complete();
    }

    /// Waits until it has ended.
    pub fn wait(&self) {
        // SAFETY: it is there until this is dropped; what is looked at is made for that.
        let clone = unsafe { &*self.clone };
        while clone.ended.fetch_add(0, Ordering::Acquire) == 0 {
            clone.bell.wait();
        }
    }

    /// How often it has ended.
    pub fn times_ended(&self) -> usize {
        // SAFETY: as in `wait`.
        unsafe { (*self.clone).ended.fetch_add(0, Ordering::Relaxed) }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // SAFETY: it was made by a box.
        drop(unsafe { Box::from_raw(self.clone) });
    }
}

/// What device-mapper does when a clone ends.
unsafe fn end_io(bio: *mut bio) {
    // SAFETY: it is a clone, and nobody else has it.
    unsafe {
        let clone = ffi::clone_of(bio);
        let answer = match (*bio).bi_status {
            // What ended well the glue lets end.
            0 if is_write(clone) => Gate::leave(bio),
            0 => ffi::DM_ENDIO_DONE,
            status => {
                let beside = NonNull::from(&clone.beside);
                let ended = EndedBio::new(NonNull::new_unchecked(bio), beside, status.into());
                clone.machine.joined.receive(ended).code()
            }
        };
        if answer == ffi::DM_ENDIO_DONE {
            clone.ended.fetch_add(1, Ordering::Release);
            clone.bell.notify();
        }
    }
}

/// What the glue calls on the worker's queue.
///
/// # Safety
///
/// `target` must be what the worker was started with.
pub unsafe fn work(target: *mut c_void) {
    // SAFETY: as the caller promises.
    let joined = unsafe { &*target.cast::<Joined<'static>>() };
    for bio in joined.worker().take_held(joined.gate()) {
        bio.end(Ok(()));
    }
}
