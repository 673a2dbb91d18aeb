//! Why nothing was done.

use std::fmt;

use crate::error::{Error, Exit};
use crate::port::HostError;
use crate::text;

/// Why nothing was done: what is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(Error);

impl Refusal {
    /// A refusal with a stable `code` in kebab case; exits as refused.
    pub fn new(code: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self(Error::refused(code, message).advise(advice))
    }

    /// A refusal to assemble what must not be assembled.
    pub fn not_to_be_assembled(
        code: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let error = Error::refused(code, message).advise(advice);
        Self(error.exiting(Exit::NotToBeAssembled))
    }

    /// Nothing was typed, and something must be.
    pub(super) fn not_confirmed(token: &str, doubts: &[String]) -> Self {
        let doubts: String = doubts.iter().map(|doubt| format!("{doubt} ")).collect();
        Self::new(
            "not-confirmed",
            format!("{doubts}This must be confirmed by typing {token}; nothing was changed."),
            format!("Run it again with --confirm {token}, or answer at a terminal."),
        )
    }

    /// Something else was typed.
    pub(super) fn wrong_token(token: &str, typed: &str) -> Self {
        Self::new(
            "wrong-confirmation",
            format!(
                "{} is not {token}; nothing was changed.",
                text::escape_str(typed)
            ),
            format!("If {token} is what should be changed, confirm with {token}."),
        )
    }

    /// Its stable name.
    pub const fn code(&self) -> &'static str {
        self.0.code
    }

    /// What is wrong, and where.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it.
    pub fn advice(&self) -> &str {
        &self.0.advice
    }

    /// The status to exit with.
    pub const fn exit(&self) -> Exit {
        self.0.exit
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.0
    }
}

impl From<Error> for Refusal {
    /// Looking failed already: nothing was done, for that reason.
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<HostError> for Refusal {
    fn from(error: HostError) -> Self {
        Self(error.into())
    }
}
