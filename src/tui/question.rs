//! A question about a page that is answered in one line.

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A block of main to go to.
    Block,
    /// What the remaps are narrowed to.
    Remaps,
    /// What the events are narrowed to.
    Events,
}

impl Asked {
    /// What stands in front of the answer.
    pub const fn prompt(self) -> &'static str {
        match self {
            Self::Block => "go to block or byte:",
            Self::Events => "events that say: /",
            Self::Remaps => "remaps with digits or state: /",
        }
    }
}

/// A question, and what was typed so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub what: Asked,
    /// The answer so far.
    pub typed: String,
    /// Why the last answer did not do.
    pub complaint: Option<String>,
}
