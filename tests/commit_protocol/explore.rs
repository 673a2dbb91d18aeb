//! Carrying out a task from many states of the disk, and judging every crash of it.

use dmremap::remap_core::commit::{Authority, Intent, Prepared, Refusal};
use dmremap::remap_core::quorum::{Reading, Verdict};
use dmremap::remap_core::superblock::Superblock;
use dmremap::remap_core::units::{ArrayUuid, Errno, Slot};

use crate::book::{Body, Book, Disk};
use crate::checks::{check_order, check_repairs, examine_crashes, Tally};
use crate::common::{assignments, checksummed, text, Kind, ARRAY, NEWEST};
use crate::store::{run, Behaviour, OnWrite, Run, Step, SOUND};

/// What is asked of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Heal,
    Advance,
    Create,
    Migrate,
    Rebuild,
    Adopt(Slot),
}

const AUTHORITIES: [Authority; 3] = [Authority::Automatic, Authority::Operator, Authority::Typed];

/// The array that a creation makes.
const CREATED: ArrayUuid = ArrayUuid::new([0xc3; 16]);

impl Task {
    /// The new content that the task is given, made from what the copies say now.
    fn content(self, book: &Book, disk: &Disk) -> Superblock {
        match self {
            Self::Create => checksummed(CREATED, 0),
            Self::Rebuild | Self::Migrate => checksummed(ARRAY, NEWEST),
            Self::Advance => {
                let mut content = book
                    .winning_superblock(disk)
                    .unwrap_or(checksummed(ARRAY, NEWEST));
                content.main_path = text("/dev/disk/by-id/wwn-0xnew");
                content
            }
            Self::Heal | Self::Adopt(_) => checksummed(ARRAY, 0),
        }
    }

    /// The plan, if this authority may carry it out.
    pub fn prepare(
        self,
        book: &Book,
        disk: &Disk,
        authority: Authority,
    ) -> Result<Prepared, Refusal> {
        let content = self.content(book, disk);
        let intent = match self {
            Self::Heal => Intent::Heal,
            Self::Advance => Intent::Advance(&content),
            Self::Create => Intent::Create(&content),
            Self::Migrate => Intent::Migrate(&content),
            Self::Rebuild => Intent::Rebuild(&content),
            Self::Adopt(slot) => Intent::Adopt(slot),
        };
        book.prepare(disk, intent, authority)
    }
}

/// Every disk whose slots each hold one of `letters`.
pub fn disks(book: &mut Book, letters: &[[Reading; Slot::COUNT]]) -> Vec<Disk> {
    let ids: Vec<Disk> = letters
        .iter()
        .map(|readings| readings.map(|reading| book.id(&reading)))
        .collect();
    let choices: Vec<usize> = (0..ids.len()).collect();
    assignments(&choices)
        .map(|chosen| {
            Slot::ALL.map(|slot| ids[chosen[slot.index() as usize]][slot.index() as usize])
        })
        .collect()
}

/// The same, of kinds of content.
pub fn kinds(kinds: &[Kind]) -> Vec<[Reading; Slot::COUNT]> {
    kinds
        .iter()
        .map(|kind| Slot::ALL.map(|slot| kind.reading(slot)))
        .collect()
}

/// Carries out `task` from every one of `starts`, and judges every crash of it.
/// `unreadable` is what a write to an unreadable slot comes to; unless it succeeds,
/// starts without such a slot are left out.
pub fn explore(book: &mut Book, starts: &[Disk], task: Task, unreadable: OnWrite) -> Tally {
    let mut tally = Tally::default();
    for start in starts {
        let behaviour = Behaviour::but_unreadable(book, start, unreadable);
        if unreadable != OnWrite::Takes && behaviour == SOUND {
            continue;
        }
        tally.starts += 1;
        let Some(prepared) = allowed(book, start, task) else {
            tally.refused += 1;
            continue;
        };
        let last = last_body(book, start, task, &prepared);
        let run = run(book, *start, behaviour, &prepared, start);
        check_order(book, start, last, &run);
        check_outcome(book, start, last, &behaviour, &prepared, &run);
        examine_crashes(book, start, last, &run, &mut tally);
        check_repairs(book, &run);
    }
    println!("{task:?}, unreadable slots {unreadable:?}: {tally}");
    tally
}

/// The plan, if anybody may carry it out; whoever may, has the same one.
pub fn allowed(book: &Book, start: &Disk, task: Task) -> Option<Prepared> {
    let [automatic, operator, typed] = AUTHORITIES.map(|who| task.prepare(book, start, who));
    for (less, more) in [(automatic, operator), (operator, typed)] {
        assert!(
            less.is_err() || less == more,
            "{task:?}: more authority, other plan"
        );
    }
    typed.ok()
}

/// The content that is in every slot when the task is done.
pub fn last_body(book: &mut Book, start: &Disk, task: Task, prepared: &Prepared) -> Body {
    match (
        task,
        book.facts(start).winner,
        prepared.final_copy(Slot::S0),
    ) {
        (Task::Heal, winner, _) => winner.unwrap(),
        (_, _, raw) => book.body(&raw.unwrap()),
    }
}

/// Checks that a run which nothing cut short did what its plan showed, and reported it.
fn check_outcome(
    book: &mut Book,
    start: &Disk,
    last: Body,
    behaviour: &Behaviour,
    prepared: &Prepared,
    run: &Run,
) {
    let committed = run.outcome.as_ref().unwrap();
    let before = book.facts(start);
    let after = book.facts(&run.disk);
    let takers = Slot::ALL.into_iter().filter(|slot| behaviour.takes(*slot));
    // The last winning copy stays what it is where no other slot takes a write.
    let kept = takers.count() == 1 && before.winner.is_some_and(|winner| winner != last);
    for slot in Slot::ALL {
        let at = slot.index() as usize;
        let holds = behaviour.takes(slot) && !kept;
        assert_eq!(*committed.durable.get(slot), holds, "slot {slot}");
        let written = run.writes().any(|write| write.slot == slot);
        assert_eq!(*committed.written.get(slot), written, "slot {slot}");
        let shown = prepared.final_copy(slot);
        assert_eq!(shown.is_some(), written || kept, "slot {slot}");
        match (shown, book.reading(run.disk[at])) {
            (Some(shown), Reading::Read { raw, .. }) => assert_eq!(shown == raw, holds),
            (Some(_), Reading::Unreadable(_)) => assert!(!holds),
            (None, _) => assert_eq!(run.disk[at], start[at], "slot {slot}"),
        }
    }
    assert_eq!(committed.sequence, prepared.sequence());
    for step in &run.trace {
        assert!(!matches!(step, Step::Acknowledged(told) if *told != prepared.sequence()));
    }
    let failed = run.writes().any(|write| write.failed);
    assert_eq!(committed.error, failed.then_some(Errno::EIO));
    if *behaviour == SOUND {
        assert_eq!(
            (after.verdict, after.winner),
            (Verdict::Healthy, Some(last))
        );
    }
}

/// How many of `starts` are refused, by who asks: nobody, a person, a typed name.
pub fn refusals(book: &Book, starts: &[Disk], task: Task) -> [usize; 3] {
    AUTHORITIES.map(|authority| {
        let refused = |start: &&Disk| task.prepare(book, start, authority).is_err();
        starts.iter().filter(refused).count()
    })
}
