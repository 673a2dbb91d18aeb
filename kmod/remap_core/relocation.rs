// SPDX-License-Identifier: GPL-2.0-or-later
//! Moving one block to the spare: which replacements are tried, and what the table is to
//! say of each.

use crate::remap_core::policy::{may_relocate, Circumstances, Failure, PassUp};
use crate::remap_core::remap_table::{Entry, EntryState};
use crate::remap_core::units::{Blocks, MainBlock, Replacement};

/// How many replacements are tried for one block before the spare counts as failing.
pub const REPLACEMENTS_TRIED: usize = 4;

/// What made a block one to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Main did not take it.
    Main,
    /// Main could not read it before.
    Pending,
    /// Its replacement did not take it.
    Spare,
    /// Somebody asked.
    Request,
}

/// What is known of a block of main that has an entry in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// Which replacement serves it, or is to.
    pub replacement: Replacement,
    /// Whether it does; else the next write moves the block there.
    pub active: bool,
    /// How often the block was moved.
    pub moves: u16,
}

/// What the table is to say of one replacement.
pub type Change = (Replacement, Entry);

/// The search for a replacement that takes a block's data.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    block: MainBlock,
    moves: u16,
    /// The replacement that is kept for the block, while it was not tried.
    kept: Option<Replacement>,
    /// The replacement that served the block, and failed.
    old: Option<Live>,
    tried: usize,
}

impl Search {
    /// Begins for `block`, of which the table says `live`. `now` says what is free besides
    /// a replacement that is kept for the block already.
    ///
    /// # Errors
    ///
    /// Why the block is not moved.
    pub fn begin(
        block: MainBlock,
        live: Option<Live>,
        failure: Failure,
        mut now: Circumstances,
    ) -> Result<Self, PassUp> {
        let old = live.filter(|live| live.active);
        let waiting = live.filter(|live| !live.active);
        if waiting.is_some() {
            now.free = now.free.max(Blocks::new(1));
        }
        may_relocate(failure, &now)?;
        let moves = match (old, waiting) {
            (Some(old), _) => next_move(old.moves)?,
            (None, Some(waiting)) => waiting.moves,
            (None, None) => 1,
        };
        Ok(Self {
            block,
            moves,
            kept: waiting.map(|live| live.replacement),
            old,
            tried: 0,
        })
    }

    /// The replacement to try next, where one is kept for the block; any free one is, where
    /// none is.
    pub fn take_kept(&mut self) -> Option<Replacement> {
        self.kept.take()
    }

    /// Passes over the replacement that is kept for the block: its table block takes nothing.
    /// The entry in it stays, and the new one must count for more than it.
    ///
    /// # Errors
    ///
    /// [`PassUp::Exhausted`]: nothing counts for more.
    pub fn pass_over_kept(&mut self) -> Result<(), PassUp> {
        match self.kept.take() {
            Some(_) => self.count_above(self.moves),
            None => Ok(()),
        }
    }

    /// Makes the entries of this search count for more than one with this count of moves.
    ///
    /// # Errors
    ///
    /// [`PassUp::Exhausted`]: nothing counts for more.
    pub fn count_above(&mut self, moves: u16) -> Result<(), PassUp> {
        if self.moves <= moves {
            self.moves = next_move(moves)?;
        }
        Ok(())
    }

    /// `replacement` did not take the data. Returns what the table is to say of it, and
    /// whether another is to be tried, or why not.
    pub fn refused(&mut self, replacement: Replacement) -> (Change, Result<(), PassUp>) {
        let change = (replacement, bad_entry(self.block, self.moves));
        self.tried = self.tried.saturating_add(1);
        // The entry that goes bad may have been this block's own: the next one must count
        // for more than it.
        let next = next_move(self.moves).and_then(|moves| {
            self.moves = moves;
            if self.tried < REPLACEMENTS_TRIED {
                Ok(())
            } else {
                Err(PassUp::SpareFails)
            }
        });
        (change, next)
    }

    /// `replacement` took the data.
    pub const fn placed(self, replacement: Replacement) -> Placed {
        Placed {
            block: self.block,
            replacement,
            moves: self.moves,
            old: self.old,
        }
    }
}

/// A block whose data lies on its new replacement and is not recorded yet.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// Which block.
    pub block: MainBlock,
    /// Where it lies.
    pub replacement: Replacement,
    moves: u16,
    old: Option<Live>,
}

impl Placed {
    /// What the table is to say first.
    pub const fn change(&self) -> Change {
        let entry = Entry {
            state: EntryState::Active,
            main: self.block,
            moves: self.moves,
        };
        (self.replacement, entry)
    }

    /// Whether the table says it, given what it says of the block.
    pub fn is_recorded(&self, live: Option<Live>) -> bool {
        live.is_some_and(|live| live.active && live.replacement == self.replacement)
    }

    /// What the table is to say once the block is recorded, of the replacement that it had
    /// before. A crash in between, the other way round, would serve main again.
    pub fn given_up(&self) -> Option<Change> {
        let old = self.old?;
        Some((old.replacement, bad_entry(self.block, old.moves)))
    }
}

/// What the table is to say of a block that could not be read, so that its next write moves
/// it to `replacement`.
pub const fn pending(block: MainBlock, replacement: Replacement) -> Change {
    let entry = Entry {
        state: EntryState::Pending,
        main: block,
        moves: 1,
    };
    (replacement, entry)
}

const fn bad_entry(block: MainBlock, moves: u16) -> Entry {
    Entry {
        state: EntryState::ReplacementBad,
        main: block,
        moves,
    }
}

/// The count of moves after this one. A block that was moved as often as an entry can
/// count is not moved again: which of two entries is newer could not be told.
fn next_move(moves: u16) -> Result<u16, PassUp> {
    moves.checked_add(1).ok_or(PassUp::Exhausted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: MainBlock = MainBlock::new(77);

    fn circumstances(free: u64) -> Circumstances {
        Circumstances {
            has_metadata: true,
            writable: true,
            spare_works: true,
            main_suspect: false,
            free: Blocks::new(free),
        }
    }

    fn live(replacement: u64, active: bool, moves: u16) -> Live {
        Live {
            replacement: Replacement::new(replacement),
            active,
            moves,
        }
    }

    fn begin(live: Option<Live>, free: u64) -> Result<Search, PassUp> {
        Search::begin(BLOCK, live, Failure::Medium, circumstances(free))
    }

    #[test]
    fn a_block_without_an_entry_takes_any_replacement_and_gives_none_up() {
        let mut search = begin(None, 1).unwrap();
        assert_eq!(search.take_kept(), None);
        let placed = search.placed(Replacement::new(5));
        let (replacement, entry) = placed.change();
        assert_eq!((replacement.get(), entry.moves), (5, 1));
        assert_eq!((entry.state, entry.main), (EntryState::Active, BLOCK));
        assert_eq!(placed.given_up(), None);
    }

    #[test]
    fn a_lost_block_takes_the_replacement_that_is_kept_for_it_even_from_a_full_spare() {
        assert_eq!(begin(None, 0).unwrap_err(), PassUp::Exhausted);
        let mut search = begin(Some(live(9, false, 3)), 0).unwrap();
        assert_eq!(search.take_kept(), Some(Replacement::new(9)));
        assert_eq!(search.take_kept(), None, "it is tried once");
        let placed = search.placed(Replacement::new(9));
        assert_eq!(placed.change().1.moves, 3);
        assert_eq!(placed.given_up(), None, "it served nothing before");
    }

    #[test]
    fn a_replacement_that_failed_is_given_up_for_one_that_counts_for_more() {
        let search = begin(Some(live(9, true, 3)), 1).unwrap();
        let placed = search.placed(Replacement::new(4));
        let (_, new) = placed.change();
        let (old, given_up) = placed.given_up().unwrap();
        assert_eq!(old.get(), 9);
        assert_eq!(given_up.state, EntryState::ReplacementBad);
        assert!(new.moves > given_up.moves);
        assert!(placed.is_recorded(Some(live(4, true, 4))));
        for other in [None, Some(live(9, true, 3)), Some(live(4, false, 4))] {
            assert!(!placed.is_recorded(other));
        }
    }

    #[test]
    fn after_four_replacements_that_refuse_the_spare_counts_as_failing() {
        let mut search = begin(None, 100).unwrap();
        let mut last = 0;
        for tried in 1..=REPLACEMENTS_TRIED {
            let ((_, bad), next) = search.refused(Replacement::new(1));
            assert_eq!(bad.state, EntryState::ReplacementBad);
            assert!(
                bad.moves > last,
                "each entry counts for more than the one before"
            );
            last = bad.moves;
            let expected = match tried < REPLACEMENTS_TRIED {
                true => Ok(()),
                false => Err(PassUp::SpareFails),
            };
            assert_eq!(next, expected, "{tried}");
        }
    }

    #[test]
    fn a_block_that_was_moved_as_often_as_can_be_counted_stays() {
        let most = Some(live(9, true, u16::MAX));
        assert_eq!(begin(most, 100).unwrap_err(), PassUp::Exhausted);
        let mut search = begin(Some(live(9, false, u16::MAX)), 100).unwrap();
        let (_, next) = search.refused(Replacement::new(9));
        assert_eq!(next, Err(PassUp::Exhausted));
    }

    #[test]
    fn what_is_no_matter_of_blocks_moves_nothing() {
        let begun = Search::begin(BLOCK, None, Failure::Offline, circumstances(100));
        assert_eq!(begun.unwrap_err(), PassUp::NotOfBlocks(Failure::Offline));
    }
}
