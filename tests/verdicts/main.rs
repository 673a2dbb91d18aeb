//! The truth table of the verdicts.
//!
//! What five copies say together is small enough to be enumerated. The tables here
//! are written down, not computed; `judge` is asked about real bytes, and has to
//! give what is written.
#![cfg(test)]

mod authority;
#[path = "../common/mod.rs"]
mod common;
mod device;
mod others;
mod plain;

use common::{
    assignments, blank, checksummed, ext4_block, plain, read, read_block, survey, Kind, ARRAY,
    KINDS, NEWEST, OTHER_ARRAY, UNREADABLE,
};
use dmremap::remap_core::quorum::{judge, CopyState, Foreign, Judgement, Reading, Survey, Verdict};
use dmremap::remap_core::signature::Signature;
use dmremap::remap_core::superblock::{Flaw, RawCopy, Superblock};
use dmremap::remap_core::units::{Errno, Sequence, Slot};

/// Copies of one array: how many are the newest, one sequence older, older than that.
const RANKS: [(usize, usize, usize, Verdict); 35] = [
    (5, 0, 0, Verdict::Healthy),
    (4, 1, 0, Verdict::Interrupted),
    (4, 0, 1, Verdict::Degraded),
    (4, 0, 0, Verdict::Degraded),
    (3, 2, 0, Verdict::Interrupted),
    (3, 1, 1, Verdict::Degraded),
    (3, 0, 2, Verdict::Degraded),
    (3, 1, 0, Verdict::Degraded),
    (3, 0, 1, Verdict::Degraded),
    (3, 0, 0, Verdict::Degraded),
    (2, 3, 0, Verdict::Interrupted),
    (2, 2, 1, Verdict::Interrupted),
    (2, 1, 2, Verdict::Interrupted),
    (2, 0, 3, Verdict::Outlier),
    (2, 2, 0, Verdict::Interrupted),
    (2, 1, 1, Verdict::Interrupted),
    (2, 0, 2, Verdict::Outlier),
    (2, 1, 0, Verdict::Interrupted),
    (2, 0, 1, Verdict::Outlier),
    (2, 0, 0, Verdict::Weak),
    (1, 4, 0, Verdict::Interrupted),
    (1, 3, 1, Verdict::Interrupted),
    (1, 2, 2, Verdict::Interrupted),
    (1, 1, 3, Verdict::Outlier),
    (1, 0, 4, Verdict::Outlier),
    (1, 3, 0, Verdict::Interrupted),
    (1, 2, 1, Verdict::Interrupted),
    (1, 1, 2, Verdict::Outlier),
    (1, 0, 3, Verdict::Outlier),
    (1, 2, 0, Verdict::Interrupted),
    (1, 1, 1, Verdict::Outlier),
    (1, 0, 2, Verdict::Outlier),
    (1, 1, 0, Verdict::Weak),
    (1, 0, 1, Verdict::Outlier),
    (1, 0, 0, Verdict::Weak),
];

fn ranked(newest: usize, one_older: usize, more_older: usize) -> Verdict {
    let row = RANKS
        .iter()
        .find(|(n, o, m, _)| (*n, *o, *m) == (newest, one_older, more_older));
    row.unwrap().3
}

/// Copies of this array and of another that are valid: who speaks for the spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    Nobody,
    This,
    Other,
    Disputed,
}

fn speaker(own: usize, other: usize) -> Speaker {
    match (own, other) {
        (0, 0) => Speaker::Nobody,
        (_, 0) => Speaker::This,
        (0, _) => Speaker::Other,
        (3 | 4, 1 | 2) => Speaker::This,
        (1 | 2, 3 | 4) => Speaker::Other,
        (1, 1 | 2) | (2, 1 | 2) => Speaker::Disputed,
        impossible => panic!("{impossible:?} in five slots"),
    }
}

/// What the model expects of a judgement.
#[derive(Debug, PartialEq, Eq)]
struct Expected {
    verdict: Verdict,
    states: [CopyState; Slot::COUNT],
    winners: [bool; Slot::COUNT],
    sequence: Option<u64>,
    highest: Option<u64>,
}

/// The rules, once more and in other words than `judge` has them.
fn expected(kinds: [Kind; Slot::COUNT], header: bool) -> Expected {
    let count = |kind| kinds.iter().filter(|k| **k == kind).count();
    let own = kinds.iter().filter(|kind| kind.is_own()).count();
    let speaker = speaker(own, count(Kind::OtherArray));
    let counts = [Kind::Newest, Kind::OneOlder, Kind::MoreOlder].map(count);
    // Among the copies of this array, the newest that is left counts as the newest.
    let (newest, vote) = match (speaker, counts) {
        (Speaker::Nobody, _) => (None, None),
        (Speaker::Disputed, _) => (None, Some(Verdict::Split)),
        (Speaker::Other, _) => {
            let others = count(Kind::OtherArray);
            (Some(Kind::OtherArray), Some(ranked(others, 0, 0)))
        }
        (Speaker::This, [0, 0, last]) => (Some(Kind::MoreOlder), Some(ranked(last, 0, 0))),
        // Sequence 6 comes two before 8: more than one.
        (Speaker::This, [0, middle, last]) => (Some(Kind::OneOlder), Some(ranked(middle, 0, last))),
        (Speaker::This, [first, middle, last]) => {
            (Some(Kind::Newest), Some(ranked(first, middle, last)))
        }
    };
    let ours = header || own > 0 || count(Kind::OtherArray) > 0 || count(Kind::Corrupt) > 0;
    let verdict = match vote {
        _ if kinds[0] == Kind::ForeignSignature && ours => Verdict::ForeignOverwritten,
        Some(verdict) => verdict,
        None if ours => Verdict::Lost,
        None => Verdict::None,
    };
    let believed = |kind: Kind| match speaker {
        Speaker::Nobody => false,
        Speaker::This => kind.is_own(),
        Speaker::Other => kind == Kind::OtherArray,
        Speaker::Disputed => kind.sequence().is_some(),
    };
    let highest = kinds
        .into_iter()
        .filter(|kind| believed(*kind))
        .filter_map(Kind::sequence)
        .max();
    Expected {
        verdict,
        states: Slot::ALL.map(|slot| {
            let kind = kinds[slot.index() as usize];
            state_of(kind, slot, speaker, newest)
        }),
        winners: kinds.map(|kind| Some(kind) == newest),
        sequence: match speaker {
            Speaker::Disputed => highest,
            _ => newest.and_then(Kind::sequence),
        },
        highest,
    }
}

fn state_of(kind: Kind, slot: Slot, speaker: Speaker, newest: Option<Kind>) -> CopyState {
    match (kind, speaker) {
        (Kind::Corrupt, _) => {
            let stored = checksummed(ARRAY, NEWEST).encode(slot);
            let Reading::Read { raw, .. } = kind.reading(slot) else {
                unreachable!("a corrupt copy can be read");
            };
            CopyState::Corrupt(Flaw::Checksum {
                stored: u32::from_le_bytes(stored[24..28].try_into().unwrap()),
                computed: castagnoli(&raw),
            })
        }
        (Kind::Blank, _) => CopyState::Missing,
        (Kind::ForeignSignature, _) => CopyState::Foreign(Foreign::Signature(Signature::Ext)),
        (Kind::Unreadable, _) => CopyState::Unreadable(Errno::EIO),
        (Kind::OtherArray, Speaker::This) => CopyState::Foreign(Foreign::Array(OTHER_ARRAY)),
        (Kind::OtherArray, _) => CopyState::Valid,
        (_, Speaker::Other) => CopyState::Foreign(Foreign::Array(ARRAY)),
        (_, Speaker::Disputed) => CopyState::Valid,
        (kind, _) if Some(kind) == newest => CopyState::Valid,
        (_, _) => CopyState::Stale,
    }
}

/// CRC-32C of a copy whose checksum field counts as zero, by somebody else's code.
fn castagnoli(raw: &RawCopy) -> u32 {
    let mut raw = *raw;
    raw[24..28].fill(0);
    crc32c::crc32c(&raw)
}

fn found(judgement: &Judgement) -> Expected {
    Expected {
        verdict: judgement.verdict,
        states: Slot::ALL.map(|slot| *judgement.states.get(slot)),
        winners: Slot::ALL.map(|slot| *judgement.winners.get(slot)),
        sequence: judgement.sequence.map(Sequence::get),
        highest: judgement.highest.map(Sequence::get),
    }
}

#[test]
fn all_32768_assignments_of_eight_kinds_to_five_slots_are_judged_as_the_table_says() {
    let readings = KINDS.map(|kind| Slot::ALL.map(|slot| kind.reading(slot)));
    let mut by_verdict = [0; Verdict::ALL.len()];
    for kinds in assignments(&KINDS) {
        let slots = Slot::ALL.map(|slot| {
            let at = slot.index() as usize;
            let kind = KINDS.iter().position(|kind| *kind == kinds[at]).unwrap();
            readings[kind][at]
        });
        for header in [false, true] {
            let survey = survey(slots, header);
            let judgement = judge(&survey);
            let expected = expected(kinds, header);
            assert_eq!(found(&judgement), expected, "{kinds:?}, header {header}");
            assert_eq!(
                judgement.winner,
                Slot::ALL
                    .into_iter()
                    .find(|slot| expected.winners[slot.index() as usize]),
                "{kinds:?}: the first winner"
            );
            let told = judgement
                .superblock(&survey)
                .map(|winner| winner.sequence.get());
            let wins = expected.winners.contains(&true);
            assert_eq!(told, expected.sequence.filter(|_| wins), "{kinds:?}");
            if !header {
                let at = Verdict::ALL.iter().position(|v| *v == judgement.verdict);
                by_verdict[at.unwrap()] += 1;
            }
        }
    }
    for (verdict, count) in Verdict::ALL.iter().zip(by_verdict) {
        println!("{verdict:>20} {count:>6}");
    }
    for (verdict, count) in Verdict::ALL.iter().zip(by_verdict) {
        // None of these copies is of another version, and no copies alone are ambivalent.
        let never = matches!(verdict, Verdict::Unsupported | Verdict::Ambivalent);
        assert_eq!(count == 0, never, "{verdict}");
    }
    assert_eq!(by_verdict.iter().sum::<usize>(), 32_768);
}

#[test]
fn a_header_of_the_table_alone_makes_a_spare_ours_and_lost() {
    let blanks = [blank(); Slot::COUNT];
    assert_eq!(judge(&survey(blanks, true)).verdict, Verdict::Lost);
    assert_eq!(judge(&survey(blanks, false)).verdict, Verdict::None);
}

/// What the letters of a pattern stand for, one letter a slot: `A`, `B` and `C` are
/// plain copies of three contents, `N` is checksummed at sequence 2, `H` at sequence 9,
/// `X` a damaged plain copy, `x` a damaged checksummed one, `F` an ext4 file system,
/// `?` an error and `-` nothing.
fn pattern(letters: &str) -> Survey {
    let letters: [char; Slot::COUNT] = letters.chars().collect::<Vec<_>>().try_into().unwrap();
    let slots = Slot::ALL.map(|slot| {
        let damaged = |superblock: Superblock| {
            let mut raw = superblock.encode(slot);
            raw[150] ^= 0x80;
            raw[450] ^= 0x80;
            read(raw)
        };
        match letters[slot.index() as usize] {
            'A' => read(plain(1, "/dev/sdb").encode(slot)),
            'B' => read(plain(1, "/dev/sdc").encode(slot)),
            'C' => read(plain(7, "/dev/sdb").encode(slot)),
            'N' => read(checksummed(ARRAY, 2).encode(slot)),
            'H' => read(checksummed(ARRAY, 9).encode(slot)),
            'X' => damaged(plain(1, "/dev/sdb")),
            'x' => damaged(checksummed(ARRAY, 2)),
            'F' => read_block(&ext4_block()),
            '?' => UNREADABLE,
            '-' => blank(),
            other => panic!("no meaning for {other}"),
        }
    });
    survey(slots, false)
}

fn letters(judgement: &Judgement) -> String {
    judgement.states.iter().map(|(_, s)| s.letter()).collect()
}

#[test]
fn split_is_the_same_sequence_with_different_content_in_any_number() {
    let twin = |slot: Slot| {
        let mut superblock = checksummed(ARRAY, NEWEST);
        superblock.main_path = common::text("/dev/sdz");
        read(superblock.encode(slot))
    };
    for mask in 1..31u32 {
        let slots = Slot::ALL.map(|slot| match mask >> slot.index() & 1 {
            1 => twin(slot),
            _ => Kind::Newest.reading(slot),
        });
        let judgement = judge(&survey(slots, false));
        assert_eq!(judgement.verdict, Verdict::Split, "{mask:05b}");
        assert_eq!(judgement.winner, None, "{mask:05b}");
        assert_eq!(judgement.sequence, Some(Sequence::new(NEWEST)));
    }
    // Older copies may differ as they like.
    let older = |slot: Slot| {
        let mut superblock = checksummed(ARRAY, NEWEST - 1);
        superblock.main_path = common::text("/dev/sdz");
        read(superblock.encode(slot))
    };
    let slots = Slot::ALL.map(|slot| match slot {
        Slot::S0 | Slot::S1 | Slot::S2 => Kind::Newest.reading(slot),
        Slot::S3 => Kind::OneOlder.reading(slot),
        Slot::S4 => older(slot),
    });
    assert_eq!(judge(&survey(slots, false)).verdict, Verdict::Interrupted);
}

#[test]
fn the_highest_sequence_there_is_can_be_judged() {
    let at = |sequence: u64, slot: Slot| read(checksummed(ARRAY, sequence).encode(slot));
    let slots = Slot::ALL.map(|slot| match slot {
        Slot::S0 => at(u64::MAX, slot),
        _ => at(u64::MAX - 1, slot),
    });
    assert_eq!(judge(&survey(slots, false)).verdict, Verdict::Interrupted);
    let slots = Slot::ALL.map(|slot| match slot {
        Slot::S0 => at(0, slot),
        _ => at(u64::MAX, slot),
    });
    assert_eq!(judge(&survey(slots, false)).verdict, Verdict::Degraded);
}
