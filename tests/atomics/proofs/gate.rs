//! Writes that a drain waits for, and those that it does not.

use std::sync::Arc;

use kernel::cpu;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread::{self, JoinHandle};

use crate::dm::machine::{explore, writes_in_flight, Answer, Machine};

/// How often a thread is interrupted at most. Every mistake that the tests name takes fewer.
const BOUND: usize = 4;

/// The CPU of whoever drains.
const OWN: usize = 2;

fn on_cpu<T: 'static>(
    number: usize,
    machine: &Arc<Machine>,
    inner: impl FnOnce(&Arc<Machine>) -> T + 'static,
) -> JoinHandle<T> {
    let machine = machine.clone();
    thread::spawn(move || cpu::run(number, || inner(&machine)))
}

/// Has a write go its way, as far as the target lets it.
fn write(machine: &Arc<Machine>) {
    let write = machine.write(10);
    if write.map() == Answer::Sent {
        write.complete();
    }
}

/// Keeps writes out, and sees that none is left that missed it.
fn keep_out(machine: &Machine) {
    machine.joined.without_writes(|| {
        assert_eq!(writes_in_flight(), 0, "that missed the fence");
    });
}

/// Fails if the drain comes before the fence, without the barrier on every CPU, without the second
/// wait, or if a write leaves when it is sent.
#[test]
fn no_write_that_missed_the_fence_is_in_flight_after_a_drain() {
    explore(BOUND - 1, || {
        let machine = Machine::idle();
        let writers = [0, 1].map(|number| on_cpu(number, &machine, write));
        cpu::run(OWN, || keep_out(&machine));
        for writer in writers {
            writer.join().expect("no panic");
        }
    });
}

/// Fails also if the generations are turned before the barrier.
#[test]
fn a_write_that_ends_on_another_cpu_is_waited_for() {
    explore(BOUND, || {
        let machine = Machine::idle();
        let (send, receive) = loom::sync::mpsc::channel();
        let writer = on_cpu(0, &machine, move |machine| {
            let write = machine.write(10);
            let sent = write.map() == Answer::Sent;
            send.send(sent.then_some(write)).expect("it is taken");
        });
        let other = on_cpu(1, &machine, move |_| {
            if let Some(write) = receive.recv().expect("it is sent") {
                write.complete();
            }
        });
        cpu::run(OWN, || keep_out(&machine));
        for thread in [writer, other] {
            thread.join().expect("no panic");
        }
    });
}

/// Fails if those that entered are counted before those that left, or without a barrier in between.
#[test]
fn a_write_that_leaves_is_not_counted_for_one_that_does_not() {
    explore(BOUND, || {
        let machine = Machine::idle();
        let sent = machine.write(20);
        cpu::run(0, || assert_eq!(sent.map(), Answer::Sent));
        let disk = on_cpu(0, &machine, move |_| sent.complete());
        let writer = on_cpu(1, &machine, write);
        cpu::run(OWN, || keep_out(&machine));
        for thread in [disk, writer] {
            thread.join().expect("no panic");
        }
    });
}

/// Fails if a drain does not wait for the closed generation before it opens it.
#[test]
fn a_write_that_began_to_enter_before_an_earlier_drain_is_waited_for() {
    explore(BOUND, || {
        let machine = Machine::idle();
        let writer = on_cpu(0, &machine, write);
        cpu::run(OWN, || {
            machine.joined.gate().drain();
            keep_out(&machine);
        });
        writer.join().expect("no panic");
    });
}

/// Does not end with one generation: the next flush enters before the last one leaves.
#[test]
fn a_drain_ends_though_there_is_always_a_flush_in_flight() {
    explore(BOUND, || {
        let machine = Machine::idle();
        let write = machine.write(10);
        cpu::run(0, || assert_eq!(write.map(), Answer::Sent));
        let drained = Arc::new(AtomicUsize::new(0));
        let flusher = on_cpu(0, &machine, {
            let drained = drained.clone();
            move |machine| {
                let mut before = write;
                while drained.fetch_add(0, Ordering::Relaxed) == 0 {
                    let flush = machine.flush();
                    assert_eq!(flush.map(), Answer::Sent, "flushes are not kept out");
                    before.complete();
                    before = flush;
                    thread::yield_now();
                }
                before.complete();
            }
        });
        cpu::run(OWN, || {
            keep_out(&machine);
            drained.fetch_add(1, Ordering::Relaxed);
        });
        flusher.join().expect("no panic");
    });
}
