//! Lookups beside the one who changes the index.

use std::sync::Arc;

use kernel::prelude::*;
use loom::thread::{self, JoinHandle};

use crate::dm::machine::{explore, Machine, Served};
use crate::remap_core::remap_table::{Entry, EntryState};
use crate::remap_core::units::{Blocks, MainBlock, Replacement};

/// Entries that there is room for at once: as many as fit before more is made.
const ROOM: usize = 3;

fn put(machine: &Machine, index: u64, state: EntryState, block: u64, moves: u16) {
    let entry = Entry {
        state,
        main: MainBlock::new(block),
        moves,
    };
    let visible = entry.is_live();
    let replacement = Replacement::new(index);
    machine.joined.index().put(replacement, &entry, visible);
}

/// A target with blocks of main served by replacements, each as it was put.
fn machine(room: usize, remaps: &[(u64, u64)]) -> Arc<Machine> {
    let machine = Machine::idle();
    machine
        .joined
        .index()
        .reserve(room, GFP_KERNEL)
        .expect("memory");
    for (index, block) in remaps {
        put(&machine, *index, EntryState::Active, *block, 1);
    }
    machine
}

fn beside<T: 'static>(
    machine: &Arc<Machine>,
    inner: impl FnOnce(&Arc<Machine>) -> T + 'static,
) -> JoinHandle<T> {
    let machine = machine.clone();
    thread::spawn(move || inner(&machine))
}

const fn main(first: u64, blocks: u64) -> Served {
    Served::Main { first, blocks }
}

const fn spare(first: u64, blocks: u64) -> Served {
    Served::Spare { first, blocks }
}

/// Reads of a block that moves, and of others, are served by its entry or by main.
/// Fails if `put` leaves out the word or the slot.
#[test]
fn a_new_remap_is_seen_as_it_is_or_not_at_all() {
    explore(None, || {
        let machine = machine(ROOM, &[]);
        let reader = beside(&machine, |machine| {
            for block in [0, 10, 11] {
                let served = machine.read(block, 1);
                let new = block == 10 && served == spare(2, 1);
                assert!(new || served == main(block, 1), "{block}: {served:?}");
            }
        });
        put(&machine, 2, EntryState::Active, 10, 1);
        assert_eq!(
            machine.read(10, 1),
            spare(2, 1),
            "to whom it was acknowledged"
        );
        reader.join().expect("no panic");
    });
}

/// A block whose first entry is hidden and retired has a way to the one or to the other, and never
/// back. Fails if the slot is stored before the new word or after the old one is hidden, if either
/// of these stores is relaxed, or if `find` takes a hidden entry for an answer without a second,
/// ordered look at the slot.
#[test]
fn a_block_that_moves_again_is_never_served_from_main() {
    explore(None, || {
        let machine = machine(ROOM, &[(0, 10), (2, 7)]);
        let reader = beside(&machine, |machine| {
            let served = [machine.read(10, 1), machine.read(10, 1)];
            let (old, new) = (spare(0, 1), spare(1, 1));
            let possible = [[old, old], [old, new], [new, new]];
            assert!(possible.contains(&served), "{served:?}");
        });
        put(&machine, 1, EntryState::Active, 10, 2);
        put(&machine, 0, EntryState::Retired, 10, 1);
        assert_eq!(machine.read(10, 1), spare(1, 1));
        reader.join().expect("no panic");
    });
}

/// The same while the block moves twice during one lookup, which must look a third time.
#[test]
fn a_block_that_moves_twice_is_never_served_from_main() {
    explore(None, || {
        let machine = machine(ROOM, &[(0, 10)]);
        let reader = beside(&machine, |machine| {
            let served = machine.read(10, 1);
            assert!(
                matches!(served, Served::Spare { blocks: 1, .. }),
                "{served:?}"
            );
        });
        for (index, moves) in [(1, 2), (2, 3)] {
            put(&machine, index, EntryState::Active, 10, moves);
        }
        reader.join().expect("no panic");
    });
}

/// A write finds a pending block or the entry that serves it, in place or in another entry. Fails
/// as `a_block_that_moves_again_is_never_served_from_main` does.
#[test]
fn a_pending_block_stays_known_while_it_becomes_active() {
    for to in [0, 1] {
        explore(None, move || {
            let machine = machine(ROOM, &[]);
            put(&machine, 0, EntryState::Pending, 10, 1);
            let reader = beside(&machine, move |machine| {
                let block = MainBlock::new(10);
                let found = machine.joined.index().first(block, Blocks::new(1), false);
                let found = found.expect("it is known");
                let served = (found.replacement.get(), found.active);
                assert!(served == (0, false) || served == (to, true), "{served:?}");
            });
            put(&machine, to, EntryState::Active, 10, 2);
            reader.join().expect("no panic");
        });
    }
}

/// Entry 1 is hidden before the read begins, entry 0 while it goes on: hidden words must not make a
/// run. Fails if `run` looks at the first word again, or compares blocks without their flags.
#[test]
fn a_run_ends_before_a_block_that_was_moved_elsewhere_earlier() {
    explore(None, || {
        let machine = machine(ROOM + 1, &[(0, 10), (1, 11)]);
        // What 1 holds of block 11 is old from here on.
        put(&machine, 2, EntryState::Active, 11, 2);
        let reader = beside(&machine, |machine| {
            let served = machine.read(10, 2);
            assert!(served == spare(0, 1) || served == spare(3, 1), "{served:?}");
        });
        put(&machine, 3, EntryState::Active, 10, 2);
        reader.join().expect("no panic");
    });
}

/// A replacement that was given back leads its block back to main, and no other block anywhere:
/// block 0, of which a free entry speaks, is served by its own. Fails if `put` takes the block from
/// an entry that is given back.
#[test]
fn what_was_given_back_leads_no_other_block() {
    explore(None, || {
        let machine = machine(ROOM, &[(0, 0), (1, 10)]);
        let reader = beside(&machine, |machine| {
            let served = machine.read(10, 1);
            let right = [spare(1, 1), main(10, 1), spare(2, 1)];
            assert!(right.contains(&served), "{served:?}");
            assert_eq!(machine.read(0, 1), spare(0, 1));
        });
        put(&machine, 1, EntryState::Free, 0, 0);
        assert_eq!(machine.read(10, 1), main(10, 1));
        // It may serve another block later, and its first one may be moved again.
        put(&machine, 2, EntryState::Active, 10, 1);
        assert_eq!(machine.read(10, 1), spare(2, 1));
        reader.join().expect("no panic");
    });
}

/// A run that grows at its end is seen with the block or without it, and ends where blocks are
/// not neighbours. Fails if `run` does not compare.
#[test]
fn a_run_holds_no_block_that_is_another_entrys() {
    explore(None, || {
        let machine = machine(ROOM, &[(0, 10)]);
        let reader = beside(&machine, |machine| {
            let served = machine.read(10, 3);
            let possible = [spare(0, 1), spare(0, 2)];
            assert!(possible.contains(&served), "{served:?}");
        });
        put(&machine, 1, EntryState::Active, 11, 1);
        put(&machine, 2, EntryState::Active, 13, 1);
        reader.join().expect("no panic");
    });
}

/// A read beside the exchange of all entries and slots. Fails if what grew is published before the
/// entries are in it, or if the old one is freed before the grace period ends.
#[test]
fn what_is_remapped_stays_so_while_the_room_grows() {
    explore(None, || {
        let machine = machine(1, &[(0, 10)]);
        let before = machine.joined.index().room();
        let reader = beside(&machine, |machine| {
            assert_eq!(machine.read(10, 1), spare(0, 1));
        });
        machine
            .joined
            .index()
            .reserve(before, GFP_KERNEL)
            .expect("memory");
        assert!(machine.joined.index().room() > before, "it has grown");
        put(&machine, before as u64, EntryState::Active, 12, 1);
        assert_eq!(machine.read(12, 1), spare(before as u64, 1));
        reader.join().expect("no panic");
    });
}
