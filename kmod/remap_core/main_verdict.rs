// SPDX-License-Identifier: GPL-2.0-or-later
//! The verdict on a disk as the main of an array, by the labels at its two ends.
//!
//! It stands beside the verdict of the copies: that one says whether the metadata on the spare
//! can be gone by, this one whether a disk is the main that it speaks of.

use core::fmt;

use crate::remap_core::label::LabelReading;
use crate::remap_core::superblock::Superblock;

/// The worth of what one end shows, held against a superblock that says main bears labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabelState {
    /// The label of this array's main.
    Valid,
    /// That label, written before everything else at its end was zeros.
    Unsealed,
    /// Nothing there.
    Missing,
    /// Not to be believed.
    Corrupt,
    /// Not to be read.
    Unreadable,
    /// The label of a main that this array had before.
    Stale,
    /// A label that is newer than the metadata on the spare.
    Newer,
    /// The label of another array's main, or of another form.
    Other,
    /// The signature of others.
    Foreign,
    /// A label beyond this version.
    Unsupported,
}

impl LabelState {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Valid,
        Self::Unsealed,
        Self::Missing,
        Self::Corrupt,
        Self::Unreadable,
        Self::Stale,
        Self::Newer,
        Self::Other,
        Self::Foreign,
        Self::Unsupported,
    ];

    /// The state's name, as reports spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Unsealed => "unsealed",
            Self::Missing => "missing",
            Self::Corrupt => "corrupt",
            Self::Unreadable => "unreadable",
            Self::Stale => "stale",
            Self::Newer => "newer",
            Self::Other => "other",
            Self::Foreign => "foreign",
            Self::Unsupported => "unsupported",
        }
    }

    /// Judges one reading by the superblock.
    pub fn of(reading: &LabelReading, superblock: &Superblock) -> Self {
        let label = match reading {
            LabelReading::Label(label) => label,
            LabelReading::Blank => return Self::Missing,
            LabelReading::Foreign(_) => return Self::Foreign,
            LabelReading::Flawed(_) => return Self::Corrupt,
            LabelReading::Unsupported => return Self::Unsupported,
            LabelReading::Unreadable(_) => return Self::Unreadable,
        };
        let ours = superblock.extension.as_ref();
        let Some(ours) = ours.filter(|ours| ours.array_uuid == label.array) else {
            return Self::Other;
        };
        match label.epoch.cmp(&ours.main_epoch) {
            core::cmp::Ordering::Less => Self::Stale,
            core::cmp::Ordering::Greater => Self::Newer,
            core::cmp::Ordering::Equal if label.form != ours.features.main_form() => Self::Other,
            core::cmp::Ordering::Equal if label.sealed => Self::Valid,
            core::cmp::Ordering::Equal => Self::Unsealed,
        }
    }

    /// Whether it says that the disk is this array's main.
    const fn is_main(self) -> bool {
        matches!(self, Self::Valid | Self::Unsealed)
    }

    /// Whether the label is to be written anew on a disk that is known to be main.
    pub const fn is_mendable(self) -> bool {
        self.is_silent() || matches!(self, Self::Unsealed)
    }

    /// Whether it says nothing at all.
    const fn is_silent(self) -> bool {
        matches!(self, Self::Missing | Self::Corrupt | Self::Unreadable)
    }
}

impl fmt::Display for LabelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The verdict on a disk as the main of an array, by its two labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MainVerdict {
    /// Both labels say that it is.
    Labelled,
    /// Both say so or are silent, and one is to be written anew.
    Damaged,
    /// Both are silent: nothing on it says that it is main, or that it is not.
    Unlabelled,
    /// It was main before another one.
    Former,
    /// It became main after the metadata on this spare was written.
    Newer,
    /// It is main of another array, or of a form that the superblock does not say.
    Other,
    /// Labels that contradict each other, or are beyond this version.
    Split,
    /// Others wrote over a label.
    Overwritten,
}

impl MainVerdict {
    /// Every verdict.
    pub const ALL: [Self; 8] = [
        Self::Labelled,
        Self::Damaged,
        Self::Unlabelled,
        Self::Former,
        Self::Newer,
        Self::Other,
        Self::Split,
        Self::Overwritten,
    ];

    /// The verdict's name, as reports spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Labelled => "labelled",
            Self::Damaged => "damaged",
            Self::Unlabelled => "unlabelled",
            Self::Former => "former",
            Self::Newer => "newer",
            Self::Other => "other",
            Self::Split => "split",
            Self::Overwritten => "overwritten",
        }
    }

    /// Judges both labels of a disk.
    ///
    /// What others wrote comes first: whoever took the disk meanwhile may have taken all of
    /// it. Then everything that speaks must say the same.
    pub fn of(first: LabelState, last: LabelState) -> Self {
        let both = [first, last];
        let any = |wanted: LabelState| both.contains(&wanted);
        if any(LabelState::Foreign) {
            return Self::Overwritten;
        }
        if any(LabelState::Unsupported) {
            return Self::Split;
        }
        let mut spoken = both.into_iter().filter(|state| !state.is_silent());
        let Some(one) = spoken.next() else {
            return Self::Unlabelled;
        };
        let agrees = |other: LabelState| other == one || (other.is_main() && one.is_main());
        if !spoken.all(agrees) {
            return Self::Split;
        }
        match one {
            LabelState::Stale => Self::Former,
            LabelState::Newer => Self::Newer,
            LabelState::Other => Self::Other,
            _ if both == [LabelState::Valid; 2] => Self::Labelled,
            _ => Self::Damaged,
        }
    }

    /// Judges what both ends of a disk show by the superblock of an array.
    pub fn of_readings([first, last]: &[LabelReading; 2], superblock: &Superblock) -> Self {
        let state = |reading| LabelState::of(reading, superblock);
        Self::of(state(first), state(last))
    }

    /// Whether a device may come up on it without a person.
    pub const fn is_main(self) -> bool {
        matches!(self, Self::Labelled | Self::Damaged)
    }
}

impl fmt::Display for MainVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict of each pair of states, one letter each, first labels downwards and last
    /// labels across, in the order of `LabelState::ALL`.
    const TABLE: [&str; 10] = [
        // valid unsealed missing corrupt unreadable stale newer other foreign unsupported
        "LDDDDSSSOS", // valid
        "DDDDDSSSOS", // unsealed
        "DDUUUFNAOS", // missing
        "DDUUUFNAOS", // corrupt
        "DDUUUFNAOS", // unreadable
        "SSFFFFSSOS", // stale
        "SSNNNSNSOS", // newer
        "SSAAASSAOS", // other
        "OOOOOOOOOO", // foreign
        "SSSSSSSSOS", // unsupported
    ];

    fn letter(verdict: MainVerdict) -> char {
        match verdict {
            MainVerdict::Labelled => 'L',
            MainVerdict::Damaged => 'D',
            MainVerdict::Unlabelled => 'U',
            MainVerdict::Former => 'F',
            MainVerdict::Newer => 'N',
            MainVerdict::Other => 'A',
            MainVerdict::Split => 'S',
            MainVerdict::Overwritten => 'O',
        }
    }

    #[test]
    fn every_pair_of_labels_has_the_verdict_of_the_table() {
        for (first, row) in LabelState::ALL.into_iter().zip(TABLE) {
            let judged = LabelState::ALL.map(|last| letter(MainVerdict::of(first, last)));
            assert_eq!(judged.iter().collect::<String>(), row, "{first}");
        }
    }

    #[test]
    fn a_device_comes_up_by_itself_only_where_a_label_says_so_and_none_contradicts() {
        for first in LabelState::ALL {
            for last in LabelState::ALL {
                let both = [first, last];
                let says_so = both.iter().any(|state| state.is_main());
                let contradicts = both.iter().any(|s| !s.is_main() && !s.is_silent());
                let comes_up = MainVerdict::of(first, last).is_main();
                assert_eq!(comes_up, says_so && !contradicts, "{both:?}");
            }
        }
    }
}
