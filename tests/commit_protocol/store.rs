//! Five simulated slots that remember every write made to them.

use dmremap::remap_core::commit::{execute, Committed, NotBegun, Prepared, SlotStore};
use dmremap::remap_core::quorum::Reading;
use dmremap::remap_core::superblock::RawCopy;
use dmremap::remap_core::units::{Errno, Sequence, Slot};

use crate::book::{Body, Book, Disk, Id};
use crate::common::UNREADABLE;

/// Something that the protocol did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Flushed,
    Wrote(Write),
    Acknowledged(Sequence),
}

/// One write to one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    pub slot: Slot,
    pub body: Body,
    /// The disk when the write began.
    pub before: Disk,
    /// The disk when it returned.
    pub after: Disk,
    pub failed: bool,
}

/// What a write to a slot comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnWrite {
    /// It is durable when it returns.
    Takes,
    /// It fails and changes nothing.
    Refuses,
    /// It fails and leaves this behind.
    Spoils(Id),
    /// It succeeds and leaves this behind.
    Misleads(Id),
}

/// How the slots behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    pub on_write: [OnWrite; Slot::COUNT],
    pub flushes: bool,
}

/// Slots on which everything succeeds.
pub const SOUND: Behaviour = Behaviour {
    on_write: [OnWrite::Takes; Slot::COUNT],
    flushes: true,
};

/// The five slots.
struct Store<'a> {
    book: &'a mut Book,
    disk: Disk,
    behaviour: Behaviour,
    trace: Vec<Step>,
}

/// What came of a run of the protocol.
pub struct Run {
    pub disk: Disk,
    pub trace: Vec<Step>,
    pub outcome: Result<Committed<Errno>, NotBegun<Errno>>,
}

impl Run {
    /// The writes, in their order.
    pub fn writes(&self) -> impl Iterator<Item = &Write> {
        self.trace.iter().filter_map(|step| match step {
            Step::Wrote(write) => Some(write),
            _ => None,
        })
    }
}

/// Runs the real protocol on `disk`, with a plan made when the disk was `expected`.
pub fn run(
    book: &mut Book,
    disk: Disk,
    behaviour: Behaviour,
    prepared: &Prepared,
    expected: &Disk,
) -> Run {
    let expected = book.survey(expected);
    let mut store = Store {
        book,
        disk,
        behaviour,
        trace: Vec::new(),
    };
    let outcome = execute(&mut store, prepared, &expected);
    Run {
        disk: store.disk,
        trace: store.trace,
        outcome,
    }
}

impl Behaviour {
    /// Slots on which everything succeeds, but for those that cannot be read: a write to
    /// them comes to `unreadable`.
    pub fn but_unreadable(book: &mut Book, disk: &Disk, unreadable: OnWrite) -> Self {
        let error = book.id(&UNREADABLE);
        let on_write = disk.map(|id| match id == error {
            true => unreadable,
            false => OnWrite::Takes,
        });
        Self { on_write, ..SOUND }
    }

    /// Whether a write to `slot` succeeds.
    pub fn takes(&self, slot: Slot) -> bool {
        self.on_write[slot.index() as usize] == OnWrite::Takes
    }
}

impl SlotStore for Store<'_> {
    type Error = Errno;

    fn read_slot(&mut self, slot: Slot) -> Reading {
        self.book.reading(self.disk[slot.index() as usize])
    }

    fn write_slot(&mut self, slot: Slot, raw: &RawCopy) -> Result<(), Errno> {
        let at = slot.index() as usize;
        let before = self.disk;
        let failed = match self.behaviour.on_write[at] {
            OnWrite::Takes => {
                self.disk[at] = self.book.written(before[at], raw);
                false
            }
            OnWrite::Refuses => true,
            OnWrite::Spoils(id) => {
                self.disk[at] = id;
                true
            }
            OnWrite::Misleads(id) => {
                self.disk[at] = id;
                false
            }
        };
        self.trace.push(Step::Wrote(Write {
            slot,
            body: self.book.body(raw),
            before,
            after: self.disk,
            failed,
        }));
        match failed {
            true => Err(Errno::EIO),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), Errno> {
        self.trace.push(Step::Flushed);
        match self.behaviour.flushes {
            true => Ok(()),
            false => Err(Errno::EIO),
        }
    }

    fn acknowledged(&mut self, sequence: Sequence) {
        self.trace.push(Step::Acknowledged(sequence));
    }
}
