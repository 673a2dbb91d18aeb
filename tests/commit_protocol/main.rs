//! The real protocol for writing the copies, run from every state of the disk, cut
//! short at every write, and judged again.
//!
//! Each slot begins as one of eight kinds: the newest copy, one sequence older, three
//! sequences older, corrupt, blank, overwritten by a file system, of another array, or
//! unreadable. That is 8^5 = 32,768 states; the 6^5 = 7,776 of one kind of old copy and
//! one kind of foreign content are among them, four times over.
#![cfg(test)]

mod book;
mod checks;
#[path = "../common/mod.rs"]
mod common;
mod explore;
mod refusals;
mod store;
mod tried;

use std::collections::HashSet;

use book::{Book, Disk, Id, Rank};
use checks::{assembles, crashed_disks, examine, examine_crashes, Tally};
use common::{assignments, plain, read, Kind, Noise, KINDS};
use dmremap::remap_core::commit::{Authority, NotBegun, Prepared};
use dmremap::remap_core::quorum::{Reading, Verdict};
use dmremap::remap_core::superblock::COPY_BYTES;
use dmremap::remap_core::units::{Errno, Slot};
use explore::{allowed, disks, explore, kinds, last_body, refusals, Task};
use store::{run, Behaviour, OnWrite, Run, Step, Write, SOUND};

/// A tally without anything that must not be.
fn clean(starts: usize, refused: usize, crashes: usize) -> Tally {
    Tally {
        starts,
        refused,
        runs: starts - refused,
        crashes,
        ..Tally::default()
    }
}

/// The four ways to choose one kind of old copy and one kind of foreign content.
const SIX_KINDS: [[Kind; 6]; 4] = {
    use Kind::*;
    [
        [
            Newest,
            OneOlder,
            Corrupt,
            Blank,
            ForeignSignature,
            Unreadable,
        ],
        [
            Newest,
            MoreOlder,
            Corrupt,
            Blank,
            ForeignSignature,
            Unreadable,
        ],
        [Newest, OneOlder, Corrupt, Blank, OtherArray, Unreadable],
        [Newest, MoreOlder, Corrupt, Blank, OtherArray, Unreadable],
    ]
};

#[test]
fn no_crash_of_a_repair_or_an_update_loses_or_reverts_anything_from_7776_states() {
    let expected = [
        (
            Task::Heal,
            [
                (1024, 144_972),
                (1024, 144_972),
                (3303, 86_858),
                (3303, 86_858),
            ],
        ),
        (
            Task::Advance,
            [
                (1024, 276_552),
                (1024, 276_552),
                (3303, 170_758),
                (3303, 170_758),
            ],
        ),
    ];
    for (task, expected) in expected {
        for (six, (refused, crashes)) in SIX_KINDS.iter().zip(expected) {
            let mut book = Book::default();
            let starts = disks(&mut book, &kinds(six));
            let tally = explore(&mut book, &starts, task, OnWrite::Takes);
            assert_eq!(tally, clean(7776, refused, crashes), "{task:?} {six:?}");
        }
    }
}

#[test]
fn no_crash_of_a_repair_loses_or_reverts_anything_from_32768_states() {
    let mut book = Book::default();
    let starts = disks(&mut book, &kinds(&KINDS));
    assert_eq!(
        refusals(&book, &starts, Task::Heal),
        [28_832, 14_338, 11_704]
    );
    let tally = explore(&mut book, &starts, Task::Heal, OnWrite::Takes);
    assert_eq!(tally, clean(32_768, 11_704, 437_454));
    // With two slots that take no write, the third copy cannot be replaced without a
    // moment in which two are left, and two copies are weak.
    let tally = explore(&mut book, &starts, Task::Heal, OnWrite::Refuses);
    let expected = clean(15_961, 5791, 169_730);
    assert_eq!(
        tally,
        Tally {
            weakened: 180,
            ..expected
        }
    );
}

#[test]
fn no_crash_of_an_update_loses_or_reverts_anything_from_32768_states() {
    let mut book = Book::default();
    let starts = disks(&mut book, &kinds(&KINDS));
    assert_eq!(
        refusals(&book, &starts, Task::Advance),
        [28_832, 14_338, 11_704]
    );
    let tally = explore(&mut book, &starts, Task::Advance, OnWrite::Takes);
    assert_eq!(tally, clean(32_768, 11_704, 845_514));
    // With two slots that take no write, the third copy cannot be replaced without a
    // moment in which two are left, and two copies are weak.
    let tally = explore(&mut book, &starts, Task::Advance, OnWrite::Refuses);
    let expected = clean(15_961, 5791, 343_990);
    assert_eq!(
        tally,
        Tally {
            weakened: 780,
            ..expected
        }
    );
}

#[test]
fn no_crash_of_adopting_a_copy_loses_or_reverts_anything_from_32768_states() {
    let mut book = Book::default();
    let starts = disks(&mut book, &kinds(&KINDS));
    for slot in [Slot::S0, Slot::S3] {
        let task = Task::Adopt(slot);
        // A file system in slot 0 leaves nothing there to adopt, but needs a typed name
        // for the others.
        let (operator, typed, crashes, refusing) = match slot {
            Slot::S0 => (25_794, 25_794, 182_982, (12_681, 71_344)),
            _ => (26_832, 25_588, 188_244, (12_651, 72_004)),
        };
        assert_eq!(refusals(&book, &starts, task), [32_768, operator, typed]);
        let tally = explore(&mut book, &starts, task, OnWrite::Takes);
        assert_eq!(tally, clean(32_768, typed, crashes));
        let tally = explore(&mut book, &starts, task, OnWrite::Refuses);
        assert_eq!(tally, clean(15_961, refusing.0, refusing.1));
    }
}

#[test]
fn a_creation_cut_short_is_nothing_or_new_where_nothing_was() {
    let mut book = Book::default();
    let starts = disks(&mut book, &kinds(&KINDS));
    assert_eq!(refusals(&book, &starts, Task::Create), [32_768, 32_525, 0]);
    let (over_ours, over_nothing): (Vec<_>, Vec<_>) = starts
        .into_iter()
        .partition(|start| !matches!(book.facts(start).verdict, Verdict::None | Verdict::Lost));
    let tally = explore(&mut book, &over_nothing, Task::Create, OnWrite::Takes);
    assert_eq!(tally, clean(849, 0, 28_408));
    let tally = explore(&mut book, &over_nothing, Task::Create, OnWrite::Refuses);
    assert_eq!(tally, clean(671, 0, 17_769));
    // What a crash leaves of an array that was to be replaced may be disputed between
    // the two: then it is not assembled, and creating anew settles it.
    let tally = explore(&mut book, &over_ours, Task::Create, OnWrite::Takes);
    let disputed = Tally {
        lost: 187_936,
        split: 167_934,
        stranded: 15_744,
        ..clean(31_919, 0, 1_028_360)
    };
    assert_eq!(tally, disputed);
}

#[test]
fn a_creation_cut_short_can_be_repeated_whatever_it_left() {
    let mut book = Book::default();
    let starts = disks(&mut book, &kinds(&SIX_KINDS[2]));
    let mut repeated = HashSet::new();
    for start in &starts {
        let prepared = allowed(&book, start, Task::Create).unwrap();
        let first = run(&mut book, *start, SOUND, &prepared, start);
        for disk in crashed_disks(&mut book, &first) {
            if !repeated.insert(disk) {
                continue;
            }
            let again = allowed(&book, &disk, Task::Create).unwrap();
            let last = last_body(&mut book, &disk, Task::Create, &again);
            let second = run(&mut book, disk, SOUND, &again, &disk);
            let facts = book.facts(&second.disk);
            assert_eq!(
                (facts.verdict, facts.winner),
                (Verdict::Healthy, Some(last))
            );
        }
    }
    println!("{} creations repeated", repeated.len());
}

/// Plain copies of two contents, and what can lie beside them.
fn plain_letters() -> Vec<[Reading; Slot::COUNT]> {
    let mut letters = vec![
        Slot::ALL.map(|slot| read(plain(1, "/dev/sdb").encode(slot))),
        Slot::ALL.map(|slot| read(plain(1, "/dev/sdc").encode(slot))),
    ];
    letters.extend(kinds(&[
        Kind::Corrupt,
        Kind::Blank,
        Kind::ForeignSignature,
        Kind::Unreadable,
    ]));
    letters
}

#[test]
fn no_crash_of_a_migration_loses_or_reverts_anything_from_7776_states() {
    let mut book = Book::default();
    let starts = disks(&mut book, &plain_letters());
    assert_eq!(refusals(&book, &starts, Task::Migrate), [7776, 7266, 7266]);
    let tally = explore(&mut book, &starts, Task::Migrate, OnWrite::Takes);
    assert_eq!(tally, clean(7776, 7266, 17_552));
    let tally = explore(&mut book, &starts, Task::Migrate, OnWrite::Refuses);
    let expected = clean(4651, 4469, 5422);
    assert_eq!(
        tally,
        Tally {
            weakened: 300,
            ..expected
        }
    );
    // A plain copy has no array to be updated.
    assert_eq!(refusals(&book, &starts, Task::Advance), [7776; 3]);
}

#[test]
fn a_repair_of_plain_copies_keeps_their_format() {
    let mut book = Book::default();
    let starts = disks(&mut book, &plain_letters());
    assert_eq!(refusals(&book, &starts, Task::Heal), [7266, 4130, 3384]);
    let (three, fewer): (Vec<_>, Vec<_>) = starts.into_iter().partition(|start| {
        let ranks = book.facts(start).ranks;
        ranks.iter().filter(|rank| **rank == Rank::Winning).count() >= 3
    });
    let tally = explore(&mut book, &three, Task::Heal, OnWrite::Takes);
    assert_eq!(tally, clean(552, 0, 6432));
    let tally = explore(&mut book, &three, Task::Heal, OnWrite::Refuses);
    assert_eq!(tally, clean(190, 0, 1530));
    // Half a plain copy over zeros has no flaw that shows, and so it is a rival where
    // only one or two copies agree; a person was asked before these were repaired.
    let tally = explore(&mut book, &fewer, Task::Heal, OnWrite::Takes);
    let disputed = Tally {
        lost: 4800,
        split: 3888,
        ..clean(7224, 3384, 88_320)
    };
    assert_eq!(tally, disputed);
    let without_zeros = disks(&mut book, &plain_letters()[..3]);
    let tally = explore(&mut book, &without_zeros, Task::Heal, OnWrite::Takes);
    assert_eq!(tally, clean(243, 111, 1822));
}

#[test]
fn no_crash_of_a_rebuild_leaves_anything_but_what_was_rebuilt() {
    let mut book = Book::default();
    book.header = true;
    let letters = kinds(&[
        Kind::Corrupt,
        Kind::Blank,
        Kind::ForeignSignature,
        Kind::Unreadable,
    ]);
    let starts = disks(&mut book, &letters);
    assert_eq!(refusals(&book, &starts, Task::Rebuild), [1024, 1024, 0]);
    let tally = explore(&mut book, &starts, Task::Rebuild, OnWrite::Takes);
    assert_eq!(tally, clean(1024, 0, 31_744));
    let tally = explore(&mut book, &starts, Task::Rebuild, OnWrite::Refuses);
    assert_eq!(tally, clean(781, 0, 19_091));
}

#[test]
fn writes_that_fail_and_spoil_what_was_there_lose_nothing_in_any_combination() {
    let mut book = Book::default();
    let starts = disks(&mut book, &kinds(&SIX_KINDS[0]));
    let spoils = OnWrite::Spoils(noise(&mut book));
    for (task, weakened, acknowledged) in
        [(Task::Heal, 7354, 157_702), (Task::Advance, 18_054, 76_094)]
    {
        let mut tally = Tally {
            starts: starts.len(),
            ..Tally::default()
        };
        let mut done = 0;
        for start in &starts {
            let Some(prepared) = allowed(&book, start, task) else {
                tally.refused += 1;
                continue;
            };
            let last = last_body(&mut book, start, task, &prepared);
            let winners = book.facts(start).ranks.map(|rank| rank == Rank::Winning);
            let winners = winners.iter().filter(|wins| **wins).count();
            for mask in 1..32u32 {
                let on_write = Slot::ALL.map(|slot| match mask >> slot.index() & 1 {
                    0 => OnWrite::Takes,
                    _ => spoils,
                });
                let behaviour = Behaviour { on_write, ..SOUND };
                let run = run(&mut book, *start, behaviour, &prepared, start);
                tally.runs += 1;
                examine(&mut book, start, last, false, &run.disk, &mut tally);
                let verdict = book.facts(&run.disk).verdict;
                assert!(
                    winners < 4 || assembles(verdict) || !assembles(book.facts(start).verdict),
                    "{task:?}, {winners} winners, slots {mask:05b} fail: {verdict}"
                );
                let committed = run.outcome.unwrap();
                done += usize::from(committed.is_acknowledged());
            }
        }
        println!("{task:?}, writes fail: {tally}; {done} acknowledged");
        let expected = Tally {
            weakened,
            ..clean(7776, 1024, 209_312)
        };
        assert_eq!(
            (tally, done),
            (
                Tally {
                    runs: 209_312,
                    ..expected
                },
                acknowledged
            )
        );
    }
}

#[test]
fn two_slots_that_take_no_write_cost_a_second_attempt_at_most() {
    let mut book = Book::default();
    let healthy = disks(&mut book, &kinds(&[Kind::Newest]))[0];
    let spoils = OnWrite::Spoils(noise(&mut book));
    for mask in (1..32u32).filter(|mask| mask.count_ones() <= 2) {
        let on_write = Slot::ALL.map(|slot| match mask >> slot.index() & 1 {
            0 => OnWrite::Takes,
            _ => spoils,
        });
        let behaviour = Behaviour { on_write, ..SOUND };
        let mut disk = healthy;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let prepared = Task::Advance.prepare(&book, &disk, Authority::Automatic);
            let run = run(&mut book, disk, behaviour, &prepared.unwrap(), &disk);
            disk = run.disk;
            if run.outcome.unwrap().is_acknowledged() {
                break;
            }
        }
        assert!(attempts <= mask.count_ones(), "slots {mask:05b} fail");
    }
}

#[test]
fn what_is_not_there_when_read_back_does_not_count() {
    let mut book = Book::default();
    let healthy = disks(&mut book, &kinds(&[Kind::Newest]))[0];
    let misleads = OnWrite::Misleads(noise(&mut book));
    let prepared = allowed(&book, &healthy, Task::Advance).unwrap();
    for mask in 0..32u32 {
        let honest = |slot: Slot| mask >> slot.index() & 1 == 0;
        let on_write = Slot::ALL.map(|slot| match honest(slot) {
            true => OnWrite::Takes,
            false => misleads,
        });
        let behaviour = Behaviour { on_write, ..SOUND };
        let run = run(&mut book, healthy, behaviour, &prepared, &healthy);
        let committed = run.outcome.unwrap();
        for slot in Slot::ALL {
            assert_eq!(*committed.durable.get(slot), honest(slot), "{mask:05b}");
        }
        assert_eq!(committed.is_acknowledged(), mask.count_ones() <= 2);
        assert_eq!(committed.is_complete(), mask == 0);
    }
}

/// What is left of a slot in which nothing can be recognised.
fn noise(book: &mut Book) -> Id {
    let mut noise = [0; COPY_BYTES];
    Noise::new(0).fill(&mut noise);
    book.id(&read(noise))
}

#[test]
fn a_plan_made_from_other_slots_writes_nothing() {
    let mut book = Book::default();
    let letters = kinds(&SIX_KINDS[2]);
    let starts = disks(&mut book, &letters);
    let mut refused = 0;
    for start in &starts {
        let Some(prepared) = allowed(&book, start, Task::Heal) else {
            continue;
        };
        for at in 0..Slot::COUNT {
            for letter in &letters {
                let mut disk = *start;
                disk[at] = book.id(&letter[at]);
                if disk == *start {
                    continue;
                }
                let run = run(&mut book, disk, SOUND, &prepared, start);
                assert_eq!(run.outcome, Err(NotBegun::Stale));
                assert_eq!((run.disk, run.trace), (disk, Vec::new()));
                refused += 1;
            }
        }
    }
    println!("{refused} stale plans refused");
    assert_eq!(refused, 111_825);
}

#[test]
fn nothing_is_written_where_what_the_copies_refer_to_is_not_durable() {
    let mut book = Book::default();
    let start = disks(&mut book, &kinds(&[Kind::Newest]))[0];
    let prepared = allowed(&book, &start, Task::Advance).unwrap();
    let behaviour = Behaviour {
        flushes: false,
        ..SOUND
    };
    let run = run(&mut book, start, behaviour, &prepared, &start);
    assert_eq!(run.outcome, Err(NotBegun::Flush(Errno::EIO)));
    assert_eq!((run.disk, run.trace), (start, vec![Step::Flushed]));
}

/// The order that seems natural: slot after slot, whatever they hold.
fn fixed_order(book: &mut Book, start: &Disk, prepared: &Prepared) -> Run {
    let mut disk = *start;
    let mut trace = vec![Step::Flushed];
    for slot in Slot::ALL {
        let before = disk;
        let raw = prepared.final_copy(slot).unwrap();
        let at = slot.index() as usize;
        disk[at] = book.written(before[at], &raw);
        trace.push(Step::Wrote(Write {
            slot,
            body: book.body(&raw),
            before,
            after: disk,
            failed: false,
        }));
    }
    Run {
        disk,
        trace,
        outcome: Err(NotBegun::Stale),
    }
}

#[test]
fn the_same_checks_find_what_a_fixed_order_loses() {
    let mut book = Book::default();
    let starts = disks(&mut book, &kinds(&KINDS));
    let mut tally = Tally {
        starts: starts.len(),
        ..Tally::default()
    };
    for start in &starts {
        let Some(prepared) = allowed(&book, start, Task::Advance) else {
            tally.refused += 1;
            continue;
        };
        let last = last_body(&mut book, start, Task::Advance, &prepared);
        let run = fixed_order(&mut book, start, &prepared);
        examine_crashes(&mut book, start, last, &run, &mut tally);
    }
    println!("slot after slot: {tally}");
    let expected = Tally {
        lost: 7568,
        reverted: 2890,
        split: 5520,
        weakened: 2912,
        stranded: 14_842,
        ..clean(32_768, 11_704, 558_594)
    };
    assert_eq!(tally, expected);
}

#[test]
fn the_same_checks_find_what_five_writes_at_once_lose() {
    let mut book = Book::default();
    let four = [
        Kind::Newest,
        Kind::OneOlder,
        Kind::Corrupt,
        Kind::Unreadable,
    ];
    let starts = disks(&mut book, &kinds(&four));
    let mut tally = Tally {
        starts: starts.len(),
        ..Tally::default()
    };
    for start in &starts {
        let Some(prepared) = allowed(&book, start, Task::Advance) else {
            tally.refused += 1;
            continue;
        };
        let last = last_body(&mut book, start, Task::Advance, &prepared);
        let torn = noise(&mut book);
        let new = fixed_order(&mut book, start, &prepared).disk;
        tally.runs += 1;
        for states in assignments(&[0, 1, 2]) {
            let disk = Slot::ALL.map(|slot| {
                let at = slot.index() as usize;
                [start[at], torn, new[at]][states[at]]
            });
            examine(&mut book, start, last, false, &disk, &mut tally);
        }
    }
    println!("all at once: {tally}");
    let expected = Tally {
        lost: 6752,
        reverted: 4380,
        weakened: 39_020,
        stranded: 27_957,
        ..clean(1024, 32, 241_056)
    };
    assert_eq!(tally, expected);
}
