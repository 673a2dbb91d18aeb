//! The window of what was done.

use super::state::State;
use crate::port::journal::ActionRecord;

/// The window of what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actions {
    /// The row under the pointer, newest first.
    pub pointer: usize,
    /// Whether only what can be taken back is shown.
    pub undoable: bool,
}

impl Actions {
    /// The actions that are shown, newest first.
    pub fn rows<'a>(&self, state: &'a State) -> Vec<&'a ActionRecord> {
        let undoable = self.undoable;
        let newest_first = state.journal.iter().rev();
        newest_first
            .filter(|action| !undoable || (action.has_backup && action.undone_by.is_none()))
            .collect()
    }

    /// The action under the pointer.
    pub fn chosen<'a>(&self, state: &'a State) -> Option<&'a ActionRecord> {
        self.rows(state).get(self.pointer).copied()
    }
}
