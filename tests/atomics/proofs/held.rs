//! Bios that wait for the worker.

use std::sync::Arc;

use kernel::bindings::req_op_REQ_OP_READ;
use kernel::cpu;
use loom::thread::{self, JoinHandle};

use crate::dm::machine::{explore, Answer, Machine, Request};
use crate::index::Minding;

/// Hands a write to the worker on CPU 0, which the fence keeps out, and on CPU 1 a read that
/// failed.
fn two_held(machine: &Arc<Machine>) -> ([Arc<Request>; 2], [JoinHandle<()>; 2]) {
    machine.joined.index().mind(Minding::FENCE, true);
    let write = Arc::new(machine.write(10));
    let read = Arc::new(machine.request(req_op_REQ_OP_READ, 20, 1));
    let writer = thread::spawn({
        let write = write.clone();
        move || cpu::run(0, || assert_eq!(write.map(), Answer::Kept))
    });
    let reader = thread::spawn({
        let read = read.clone();
        move || {
            cpu::run(1, || {
                assert_eq!(read.map(), Answer::Sent);
                read.fail();
            });
        }
    });
    ([write, read], [writer, reader])
}

/// Fails if the queue is kicked before the bio is in the list, if putting it there is relaxed, or if
/// the list is taken by a load and a store.
#[test]
fn every_bio_that_is_held_is_served_once() {
    explore(2, || {
        let (machine, worker) = Machine::start();
        let (requests, holders) = two_held(&machine);
        for holder in holders {
            holder.join().expect("no panic");
        }
        machine.joined.worker().rest();
        for request in &requests {
            assert_eq!(request.times_ended(), 1);
        }
        machine.stop();
        worker.join().expect("no panic");
    });
}

/// The worker may serve a bio for the kick of another one, before whoever put it into the list kicks.
/// Fails without the section of RCU in `hold`, and without the grace period or the second rest in
/// `stop`.
#[test]
fn a_worker_that_is_stopped_once_every_bio_has_ended_is_used_by_nobody() {
    explore(1, || {
        let (machine, worker) = Machine::start();
        let (requests, holders) = two_held(&machine);
        for request in &requests {
            request.wait();
        }
        machine.stop();
        worker.join().expect("no panic");
        for holder in holders {
            holder.join().expect("no panic");
        }
    });
}
