//! What can go wrong, as a person and a script are told it.

use std::fmt;

use crate::port::HostError;
use crate::privilege;
use crate::remap_core::quorum::Verdict;

/// The exit status of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Done, and healthy where health was asked.
    Done,
    /// Failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Damaged but usable.
    Damaged,
    /// Not to be assembled.
    NotToBeAssembled,
    /// Refused: not confirmed, out of date, in use.
    Refused,
}

impl Exit {
    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Damaged => 3,
            Self::NotToBeAssembled => 4,
            Self::Refused => 5,
        }
    }

    /// The worse of two, by what they mean and not by their numbers. What was damaged, not to
    /// be assembled or refused is known; of what failed it is not known how it is.
    #[must_use]
    pub const fn worse(self, other: Self) -> Self {
        const fn rank(exit: Exit) -> u8 {
            match exit {
                Exit::Done => 0,
                Exit::Damaged => 1,
                Exit::NotToBeAssembled => 2,
                Exit::Refused => 3,
                Exit::Failed => 4,
                Exit::Usage => 5,
            }
        }
        match rank(other) > rank(self) {
            true => other,
            false => self,
        }
    }

    /// The status of a command that was asked for the health of something so judged.
    pub const fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Healthy => Self::Done,
            Verdict::Degraded | Verdict::Interrupted | Verdict::Weak => Self::Damaged,
            Verdict::Outlier
            | Verdict::Split
            | Verdict::Ambivalent
            | Verdict::ForeignOverwritten
            | Verdict::Unsupported
            | Verdict::Lost
            | Verdict::None => Self::NotToBeAssembled,
        }
    }
}

/// Why a command did not do what was asked. Its texts are fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// A stable name, in kebab case.
    pub code: &'static str,
    /// What was wrong, and where.
    pub message: String,
    /// What to do about it; empty where there is nothing to say.
    pub advice: String,
    /// The status to exit with.
    pub exit: Exit,
}

impl Error {
    /// Something was tried and failed.
    pub fn failed(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            advice: String::new(),
            exit: Exit::Failed,
        }
    }

    /// Nothing was tried.
    pub fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Refused,
            ..Self::failed(code, message)
        }
    }

    /// The same with a word on what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    /// The same with another status to exit with.
    #[must_use]
    pub const fn exiting(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<HostError> for Error {
    fn from(error: HostError) -> Self {
        let message = crate::text::guard(&error.to_string()).into_owned();
        match error {
            HostError::NotFound(_) => {
                Self::failed("not-found", message).advise("Check the path or the name.")
            }
            HostError::NotADevice(_) => Self::failed("not-a-device", message)
                .advise("Name a block device or an image file."),
            HostError::Busy { .. } => {
                Self::refused("busy", message).advise("Stop what uses it, or name another device.")
            }
            HostError::Changed(_) => {
                Self::refused("stale", message).advise("Look at it again, and make a new plan.")
            }
            HostError::Refused(_) => Self::refused("refused", message),
            HostError::NotPermitted(_) => {
                Self::failed("not-permitted", message).advise(privilege::advice())
            }
            HostError::Io { .. } => Self::failed("io", message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_of_two_goes_by_what_they_mean() {
        let order = [
            Exit::Done,
            Exit::Damaged,
            Exit::NotToBeAssembled,
            Exit::Refused,
            Exit::Failed,
            Exit::Usage,
        ];
        for (place, one) in order.into_iter().enumerate() {
            for (other_place, other) in order.into_iter().enumerate() {
                assert_eq!(one.worse(other), order[place.max(other_place)]);
            }
        }
    }
}
