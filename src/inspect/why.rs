//! Why the copies come to the verdict that they come to, in words.

use super::lints::{damaged_parts, foreign_places, misfit, table_blocks};
use super::{name_copies, Inspection};
use crate::remap_core::quorum::{CopyState, Foreign, Verdict};
use crate::remap_core::units::Slot;

/// The reason for the verdict, in one or two sentences, fit to be shown.
pub fn verdict_reason(seen: &Inspection) -> String {
    let verdict = seen.verdict();
    if verdict == seen.judgement.verdict {
        return reason_of_copies(seen);
    }
    match verdict {
        Verdict::Ambivalent => format!(
            "{} beside what is ours: somebody else used this device since.",
            foreign_places(seen)
        ),
        Verdict::Lost => format!(
            "{} of the remap table are lost in both regions: which blocks they moved cannot be known.",
            table_blocks(seen.table.as_ref().map_or(&[], |table| &table.lost))
        ),
        Verdict::Weak => {
            "the remap table contradicts itself: the device comes up read-only.".to_owned()
        }
        Verdict::Unsupported => format!("{}.", misfit(seen).join("; ")),
        _ => format!(
            "the copies are whole, but the remap table is damaged: {}.",
            damaged_parts(seen).join("; ")
        ),
    }
}

/// The reason for the verdict on the copies.
fn reason_of_copies(seen: &Inspection) -> String {
    let judgement = &seen.judgement;
    let winners = slots(|slot| *judgement.winners.get(slot));
    let others = slots(|slot| !judgement.winners.get(slot));
    let sequence = judgement
        .sequence
        .map_or_else(String::new, |sequence| format!(" of sequence {sequence}"));
    match judgement.verdict {
        Verdict::Healthy => format!("all five copies hold the same content{sequence}."),
        Verdict::Degraded => format!(
            "{} hold the same content{sequence}; {}. Three that agree are a majority.",
            named(&winners),
            what_others_are(seen, &others),
        ),
        Verdict::Interrupted => {
            let behind = slots(|slot| *judgement.states.get(slot) == CopyState::Stale);
            format!(
                "{} the content{sequence}, {} that of one write before: a write of the copies did not end.",
                holds(&winners),
                holds(&behind),
            )
        }
        Verdict::Weak => format!(
            "only {} can be believed, which is no majority; nothing contradicts what is left{}.",
            named(&winners),
            but_others(seen, &others),
        ),
        Verdict::Outlier => format!(
            "{} more than one write ahead of all others, and too few to be believed against them.",
            is_or_are(&winners),
        ),
        Verdict::Split => format!(
            "copies{sequence} say different things, and each is intact: there is no telling which is right."
        ),
        // Copies alone are never judged so.
        Verdict::Ambivalent => "copies beside another's signature.".to_owned(),
        Verdict::ForeignOverwritten => format!(
            "{} lies where copy 0 belongs: somebody else used this device since.",
            whose(judgement.states.get(Slot::S0)),
        ),
        Verdict::Unsupported => {
            "what lies here is ours, and not for this version to interpret or to write.".to_owned()
        }
        Verdict::Lost => {
            "something says that the device is ours, but not one copy can be believed.".to_owned()
        }
        Verdict::None => "nothing here says that the device is ours.".to_owned(),
    }
}

fn slots(test: impl Fn(Slot) -> bool) -> Vec<Slot> {
    Slot::ALL.into_iter().filter(|slot| test(*slot)).collect()
}

/// "copies 0 and 1", "copy 3"; "no copy" for none.
fn named(slots: &[Slot]) -> String {
    name_copies(slots).unwrap_or_else(|| "no copy".to_owned())
}

fn holds(slots: &[Slot]) -> String {
    let verb = if slots.len() == 1 { "holds" } else { "hold" };
    format!("{} {verb}", named(slots))
}

fn is_or_are(slots: &[Slot]) -> String {
    let verb = if slots.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", named(slots))
}

/// "copy 3 is corrupt", "copies 1 and 4 are corrupt and missing".
fn what_others_are(seen: &Inspection, others: &[Slot]) -> String {
    let mut names: Vec<&str> = others
        .iter()
        .map(|slot| seen.judgement.states.get(*slot).name())
        .collect();
    names.dedup();
    format!("{} {}", is_or_are(others), names.join(" and "))
}

fn but_others(seen: &Inspection, others: &[Slot]) -> String {
    if others.is_empty() {
        return String::new();
    }
    format!(" ({})", what_others_are(seen, others))
}

fn whose(state: &CopyState) -> String {
    match state {
        CopyState::Foreign(Foreign::Signature(signature)) => format!("a signature of {signature}"),
        _ => "another's signature".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remap_core::units::{PerSlot, SECTOR_BYTES};
    use crate::tui::sample::{damage, path, spare, superblock};

    fn seen(damaged: &[Slot]) -> Inspection {
        let mut disk = spare(superblock(7, "disk-a", "disk-b"), "vault");
        for slot in damaged {
            damage(&mut disk, *slot, 0, &[0; SECTOR_BYTES]);
        }
        crate::inspect::inspect(&disk, &path("disk-b"))
    }

    #[test]
    fn the_reason_names_the_copies_that_count_and_those_that_do_not() {
        for (damaged, reason) in [
            (
                &[][..],
                "all five copies hold the same content of sequence 18.",
            ),
            (
                &[Slot::S3],
                "copies 0, 1, 2 and 4 hold the same content of sequence 18; copy 3 is missing. \
                 Three that agree are a majority.",
            ),
            (
                &[Slot::S0, Slot::S1, Slot::S2, Slot::S4],
                "only copy 3 can be believed, which is no majority; nothing contradicts what is \
                 left (copies 0, 1, 2 and 4 are missing).",
            ),
        ] {
            assert_eq!(verdict_reason(&seen(damaged)), reason);
        }
    }

    #[test]
    fn every_verdict_has_a_reason_that_is_a_sentence() {
        let mut inspection = seen(&[Slot::S1]);
        for verdict in Verdict::ALL {
            inspection.judgement.verdict = verdict;
            let reason = verdict_reason(&inspection);
            assert!(reason.ends_with('.'), "{verdict}: {reason}");
            assert!(!reason.contains("  "), "{verdict}: {reason}");
        }
        inspection.judgement.winners = PerSlot::new([false; Slot::COUNT]);
        assert!(verdict_reason(&inspection).len() > 10);
    }
}
