//! The truth table of the verdicts.
//!
//! What five copies say together is small enough to be enumerated. The tables here
//! are written down, not computed; `judge` is asked about real bytes, and has to
//! give what is written.
#![cfg(test)]

mod common;

use common::{
    assignments, blank, checksummed, ext4_block, fixture, plain, plain_fixture, read, read_block,
    survey, Kind, Noise, ARRAY, KINDS, NEWEST, OTHER_ARRAY, UNREADABLE,
};
use dmremap::remap_core::commit::{authority_needed, Authority, Intent};
use dmremap::remap_core::quorum::{
    judge, Assembly, CopyState, Foreign, Healing, Judgement, Reading, Survey, Verdict,
};
use dmremap::remap_core::signature::Signature;
use dmremap::remap_core::superblock::{
    read_copy, Content, Flaw, RawCopy, Superblock, Unsupported, COPY_BYTES,
};
use dmremap::remap_core::units::{
    Errno, PerSlot, Sector, Sequence, Slot, BLOCK_4K_BYTES, SECTOR_BYTES,
};

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
    assert!(by_verdict
        .iter()
        .all(|count| *count > 0 || by_verdict[7] == 0));
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

/// The pattern, the verdict, the copies' states and who wins.
type Row = (&'static str, Verdict, &'static str, &'static str);

fn check_rows(rows: &[Row]) {
    for (slots, verdict, states, winners) in rows {
        let judgement = judge(&pattern(slots));
        let won: String = judgement
            .winners
            .iter()
            .map(|(_, wins)| if *wins { 'w' } else { '.' })
            .collect();
        assert_eq!(
            (
                judgement.verdict,
                letters(&judgement).as_str(),
                won.as_str()
            ),
            (*verdict, *states, *winners),
            "{slots}"
        );
    }
}

#[test]
fn plain_copies_are_vouched_for_by_agreement_alone() {
    check_rows(&[
        ("AAAAA", Verdict::Healthy, "PPPPP", "wwwww"),
        ("AAAA-", Verdict::Degraded, "PPPP-", "wwww."),
        ("-AAAA", Verdict::Degraded, "-PPPP", ".wwww"),
        ("AAAAB", Verdict::Degraded, "PPPPX", "wwww."),
        ("BAAAA", Verdict::Degraded, "XPPPP", ".wwww"),
        ("AAACA", Verdict::Degraded, "PPPXP", "www.w"),
        ("AAABB", Verdict::Degraded, "PPPXX", "www.."),
        ("BBAAA", Verdict::Degraded, "XXPPP", "..www"),
        ("BABAA", Verdict::Degraded, "XPXPP", ".w.ww"),
        ("AAABC", Verdict::Degraded, "PPPXX", "www.."),
        ("AAA--", Verdict::Degraded, "PPP--", "www.."),
        ("A-A?A", Verdict::Degraded, "P-P?P", "w.w.w"),
        ("XAAXA", Verdict::Degraded, "XPPXP", ".ww.w"),
        ("AABBC", Verdict::Split, "PPPPP", "....."),
        ("CAABB", Verdict::Split, "PPPPP", "....."),
        ("AABB-", Verdict::Split, "PPPP-", "....."),
        ("AABCX", Verdict::Split, "PPPPX", "....."),
        ("AAB--", Verdict::Split, "PPP--", "....."),
        ("AAB?X", Verdict::Split, "PPP?X", "....."),
        ("A-B--", Verdict::Split, "P-P--", "....."),
        ("A-BC-", Verdict::Split, "P-PP-", "....."),
        ("AA---", Verdict::Weak, "PP---", "ww..."),
        ("--X?A", Verdict::Weak, "--X?P", "....w"),
        ("?A?A?", Verdict::Weak, "?P?P?", ".w.w."),
        ("-A---", Verdict::Weak, "-P---", ".w..."),
        ("XX-XX", Verdict::Lost, "XX-XX", "....."),
        ("X????", Verdict::Lost, "X????", "....."),
        ("FAAAA", Verdict::ForeignOverwritten, "FPPPP", ".wwww"),
        ("F---X", Verdict::ForeignOverwritten, "F---X", "....."),
        ("FAABB", Verdict::ForeignOverwritten, "FPPPP", "....."),
        ("AAAAF", Verdict::Degraded, "PPPPF", "wwww."),
        ("?????", Verdict::None, "?????", "....."),
        ("F-F-?", Verdict::None, "F-F-?", "....."),
        ("-----", Verdict::None, "-----", "....."),
    ]);
}

/// The model for plain copies, from the sizes of the groups that agree.
#[test]
fn every_assignment_of_plain_contents_is_judged_by_its_largest_group() {
    for slots in assignments(&['A', 'B', 'C', '-', '?']) {
        let mut groups = ['A', 'B', 'C'].map(|of| slots.iter().filter(|s| **s == of).count());
        groups.sort_unstable();
        let verdict = match groups {
            [0, 0, 0] => Verdict::None,
            [0, 0, 5] => Verdict::Healthy,
            [_, _, 3 | 4] => Verdict::Degraded,
            [0, 0, 1 | 2] => Verdict::Weak,
            [_, _, _] => Verdict::Split,
        };
        let name: String = slots.iter().collect();
        let judgement = judge(&pattern(&name));
        assert_eq!(judgement.verdict, verdict, "{name}");
        let wins = match verdict {
            Verdict::None | Verdict::Split => 0,
            _ => groups[2],
        };
        assert_eq!(judgement.winner_count(), wins, "{name}");
        assert_eq!(judgement.winner.is_some(), wins > 0, "{name}");
    }
}

#[test]
fn once_one_copy_has_the_extension_a_plain_copy_never_wins() {
    check_rows(&[
        // A migration that a crash cut short, at each of its steps.
        ("AAAAN", Verdict::Interrupted, "ssssV", "....w"),
        ("AAAXN", Verdict::Interrupted, "sssXV", "....w"),
        ("AAANN", Verdict::Interrupted, "sssVV", "...ww"),
        ("AAxNN", Verdict::Interrupted, "ssXVV", "...ww"),
        ("AANNN", Verdict::Interrupted, "ssVVV", "..www"),
        ("AXNNN", Verdict::Degraded, "sXVVV", "..www"),
        ("ANNNN", Verdict::Interrupted, "sVVVV", ".wwww"),
        ("XNNNN", Verdict::Degraded, "XVVVV", ".wwww"),
        ("NNNNN", Verdict::Healthy, "VVVVV", "wwwww"),
        // Copies that did not agree before are older all the same.
        ("ABAAN", Verdict::Interrupted, "ssssV", "....w"),
        // Plain copies that something brought back later.
        ("AAHHH", Verdict::Degraded, "ssVVV", "..www"),
        ("AAAHH", Verdict::Outlier, "sssVV", "...ww"),
        ("AAAAH", Verdict::Outlier, "ssssV", "....w"),
        // A plain copy that states a higher sequence is still not the newest.
        ("CCCCN", Verdict::Outlier, "ssssV", "....w"),
        ("CNNNN", Verdict::Degraded, "sVVVV", ".wwww"),
        ("FAAAN", Verdict::ForeignOverwritten, "FsssV", "....w"),
        // Damaged, it no longer outranks anything.
        ("AAAAx", Verdict::Degraded, "PPPPX", "wwww."),
    ]);
}

#[test]
fn every_mixture_of_plain_and_checksummed_copies_ranks_them_by_sequence() {
    for slots in assignments(&['A', 'N', 'X', '-']) {
        let count = |of| slots.iter().filter(|slot| **slot == of).count();
        let verdict = match (count('N'), count('A')) {
            (0, 0) if count('X') > 0 => Verdict::Lost,
            (0, 0) => Verdict::None,
            (0, 5) => Verdict::Healthy,
            (0, 3 | 4) => Verdict::Degraded,
            (0, _) => Verdict::Weak,
            (newest, one_older) => ranked(newest, one_older, 0),
        };
        let name: String = slots.iter().collect();
        assert_eq!(judge(&pattern(&name)).verdict, verdict, "{name}");
    }
}

#[test]
fn copies_of_existing_tools_are_plain_and_say_what_they_say() {
    let copies = plain_fixture("sda-sdb");
    let whole = survey(copies.map(read), false);
    let judgement = judge(&whole);
    assert_eq!(judgement.verdict, Verdict::Healthy);
    assert_eq!(letters(&judgement), "PPPPP");
    let told = judgement.superblock(&whole).unwrap();
    assert_eq!(told.sequence.get(), 1);
    assert_eq!(told.timestamp.get(), 1_761_264_000);
    assert_eq!(told.main_path.trimmed(), b"/dev/sda");
    assert_eq!(told.spare_path.trimmed(), b"/dev/sdb");
    assert_eq!(told.main_sectors.get(), 2_097_152);
    assert_eq!(told.spare_sectors.get(), 1_048_576);
    assert_eq!((told.entry_size, told.capacity), (512, 2048));
    assert_eq!(told.extension, None);
    for slot in Slot::ALL {
        let copy = copies[slot.index() as usize];
        assert_eq!(told.encode(slot), copy, "copy {slot} encoded anew");
    }
    let relative = survey(plain_fixture("sda-relative").map(read), false);
    let judgement = judge(&relative);
    assert_eq!(judgement.verdict, Verdict::Healthy);
    let told = judgement.superblock(&relative).unwrap();
    assert_eq!(told.spare_path.trimmed(), b"sdb");
}

#[test]
fn copies_of_two_devices_on_one_spare_are_a_matter_of_majority() {
    let one = plain_fixture("sda-sdb");
    let other = plain_fixture("sda-relative");
    for mask in 0..32u32 {
        let slots = Slot::ALL.map(|slot| {
            let from = if mask >> slot.index() & 1 == 1 {
                other
            } else {
                one
            };
            read(from[slot.index() as usize])
        });
        let verdict = match mask.count_ones() {
            0 | 5 => Verdict::Healthy,
            _ => Verdict::Degraded,
        };
        assert_eq!(judge(&survey(slots, false)).verdict, verdict, "{mask:05b}");
    }
}

#[test]
fn a_plain_copy_in_another_slot_than_its_own_is_corrupt() {
    let copies = plain_fixture("sda-sdb");
    let mut swapped = copies;
    swapped.swap(1, 3);
    let judgement = judge(&survey(swapped.map(read), false));
    assert_eq!(letters(&judgement), "PXPXP");
    assert_eq!(
        *judgement.states.get(Slot::S1),
        CopyState::Corrupt(Flaw::CopyIndex { stored: 3 })
    );
    assert_eq!(judgement.verdict, Verdict::Degraded);
}

/// What an older kernel module leaves: its own layout under our magic, at sectors 0,
/// 256, 512, 768 and 1024, over whatever was there.
fn written_by_reference_kernel(slots: [Reading; Slot::COUNT]) -> Survey {
    let metadata = fixture("other/reference-kernel-84288.bin");
    let mut spare = vec![0; 2048 * SECTOR_BYTES];
    for sector in [0, 256, 512, 768, 1024] {
        let at = Sector::new(sector).byte_offset().unwrap() as usize;
        spare[at..at + metadata.len()].copy_from_slice(&metadata);
    }
    let read_slot = |slot: Slot| {
        let at = slot.sector().byte_offset().unwrap() as usize;
        read_block(spare[at..at + BLOCK_4K_BYTES].first_chunk().unwrap())
    };
    let [_, _, s2, s3, s4] = slots;
    survey(
        [read_slot(Slot::S0), read_slot(Slot::S1), s2, s3, s4],
        false,
    )
}

#[test]
fn another_layout_under_our_magic_is_unsupported_whatever_lies_beside_it() {
    let unsupported = CopyState::Unsupported(Unsupported::OtherLayout {
        structure_size: 84_288,
    });
    for letters in [
        "-----", "?????", "XX-xx", "AAAAA", "AAABB", "NNNNN", "HHHNN",
    ] {
        let beside = pattern(letters);
        let survey = written_by_reference_kernel(Slot::ALL.map(|slot| *beside.slots.get(slot)));
        let judgement = judge(&survey);
        assert_eq!(judgement.verdict, Verdict::Unsupported, "beside {letters}");
        assert_eq!(judgement.states.get(Slot::S0), &unsupported, "{letters}");
        assert_eq!(judgement.states.get(Slot::S1), &unsupported, "{letters}");
    }
}

#[test]
fn features_and_versions_from_the_future_are_never_outvoted() {
    let later = |slot: Slot, at: usize, value: u8| {
        let mut raw = checksummed(ARRAY, 3).encode(slot);
        raw[at] = value;
        let checksum = castagnoli(&raw);
        raw[24..28].copy_from_slice(&checksum.to_le_bytes());
        raw
    };
    let cases: [(usize, u8, Unsupported); 3] = [
        (4, 5, Unsupported::Version { stored: 5 }),
        (404, 2, Unsupported::ExtensionVersion { stored: 2 }),
        (419, 0x80, Unsupported::Features { incompat: 1 << 31 }),
    ];
    for (at, value, why) in cases {
        for alone in Slot::ALL {
            let slots = PerSlot::from_fn(|slot| match slot == alone {
                true => read(later(slot, at, value)),
                false => read(checksummed(ARRAY, 9).encode(slot)),
            });
            let judgement = judge(&Survey {
                slots,
                header: false,
            });
            assert_eq!(judgement.verdict, Verdict::Unsupported, "{why} in {alone}");
            assert_eq!(*judgement.states.get(alone), CopyState::Unsupported(why));
        }
    }
    // Without a checksum it may be damage as well, and has one vote as damage has.
    let mut raw = plain(1, "/dev/sdb").encode(Slot::S2);
    raw[4] = 6;
    let mut survey = pattern("AAAAA");
    *survey.slots.get_mut(Slot::S2) = read(raw);
    assert_eq!(judge(&survey).verdict, Verdict::Degraded);
    assert_eq!(letters(&judge(&survey)), "PPUPP");
}

/// A copy as a tool writes it that pads each text to its field and never cuts one: a
/// text that is too long moves everything behind it.
fn shifted_copy(slot: Slot, main_path: &str, spare_path: &str, pad: u8) -> RawCopy {
    let mut bytes = plain(1, "").encode(slot)[..144].to_vec();
    for path in [main_path, spare_path] {
        bytes.extend(path.bytes());
        bytes.extend(vec![pad; 128usize.saturating_sub(path.len())]);
    }
    bytes.resize(COPY_BYTES, 0);
    bytes.truncate(COPY_BYTES);
    bytes.try_into().unwrap()
}

#[test]
fn a_path_too_long_for_its_field_makes_a_copy_corrupt() {
    for pad in [b' ', 0] {
        for length in (129..=400).chain([512, 4095]) {
            let long = format!("/dev/disk/by-id/{}", "x".repeat(length - 16));
            for (main, spare) in [(long.as_str(), "/dev/sdb"), ("/dev/sda", long.as_str())] {
                let copies = Slot::ALL.map(|slot| shifted_copy(slot, main, spare, pad));
                for slot in Slot::ALL {
                    let content = read_copy(&copies[slot.index() as usize], slot);
                    let what = format!("{length} bytes, padded with {pad}");
                    assert!(matches!(content, Content::Flawed(_)), "{what}: {content:?}");
                }
                let judgement = judge(&survey(copies.map(read), false));
                assert_eq!(judgement.verdict, Verdict::Lost);
            }
        }
        // One that fits to the last byte moves nothing.
        let full = format!("/dev/disk/by-id/{}", "x".repeat(112));
        for (main, spare) in [(full.as_str(), "/dev/sdb"), ("/dev/sda", full.as_str())] {
            let content = read_copy(&shifted_copy(Slot::S0, main, spare, pad), Slot::S0);
            let Content::Plain(superblock) = content else {
                panic!("{content:?}");
            };
            assert_eq!(superblock.main_path.trimmed(), main.as_bytes());
            assert_eq!(superblock.spare_path.trimmed(), spare.as_bytes());
        }
    }
}

#[test]
fn a_partition_table_written_into_slot_0_is_seen_beside_what_is_left_of_the_copy() {
    // Partitioning tools keep the first 440 bytes of the sector: they may be boot code.
    let partitioned = |raw: RawCopy| {
        let mut block = [0; BLOCK_4K_BYTES];
        block[..440].copy_from_slice(&raw[..440]);
        block[440..444].copy_from_slice(&[0x1d, 0x5c, 0x3e, 0x77]);
        block[446..462]
            .copy_from_slice(&[0, 0, 2, 0, 0xee, 255, 255, 255, 1, 0, 0, 0, 255, 255, 15, 0]);
        block[510..512].copy_from_slice(&[0x55, 0xaa]);
        block
    };
    let gpt = |raw: RawCopy| {
        let mut block = partitioned(raw);
        block[512..520].copy_from_slice(b"EFI PART");
        block
    };
    let cases = [
        (checksummed(ARRAY, 9).encode(Slot::S0), "HHHHH"),
        (plain(1, "/dev/sdb").encode(Slot::S0), "AAAAA"),
        (plain(1, "/dev/sdb").encode(Slot::S0), "A----"),
    ];
    for (raw, letters) in cases {
        let tables = [
            (partitioned(raw), Signature::BootSector),
            (gpt(raw), Signature::Gpt),
        ];
        for (block, signature) in tables {
            let mut survey = pattern(letters);
            *survey.slots.get_mut(Slot::S0) = read_block(&block);
            let judgement = judge(&survey);
            assert_eq!(judgement.verdict, Verdict::ForeignOverwritten, "{letters}");
            assert_eq!(
                *judgement.states.get(Slot::S0),
                CopyState::Foreign(Foreign::Signature(signature)),
                "{letters}"
            );
        }
    }
}

#[test]
fn what_an_old_file_system_left_behind_an_intact_copy_overwrites_nothing() {
    for (letters, verdict) in [("HHHHH", Verdict::Healthy), ("AAAAA", Verdict::Healthy)] {
        let mut survey = pattern(letters);
        let Reading::Read { raw, .. } = *survey.slots.get(Slot::S0) else {
            panic!("{letters}");
        };
        let mut block = ext4_block();
        block[..COPY_BYTES].copy_from_slice(&raw);
        *survey.slots.get_mut(Slot::S0) = read_block(&block);
        assert_eq!(judge(&survey).verdict, verdict, "{letters}");
    }
}

#[test]
fn devices_of_others_are_none_of_ours() {
    for seed in 0..2000 {
        let mut noise = Noise::new(seed);
        let slots = [(); Slot::COUNT].map(|()| {
            let mut block = [0; BLOCK_4K_BYTES];
            noise.fill(&mut block);
            read_block(&block)
        });
        let judgement = judge(&survey(slots, false));
        assert_eq!(judgement.verdict, Verdict::None, "seed {seed}");
        assert_eq!((judgement.winner, judgement.highest), (None, None));
    }
    // A file system: its superblock in slot 0, its data or nothing in the others.
    let mut noise = Noise::new(1);
    let mut data = [0; BLOCK_4K_BYTES];
    noise.fill(&mut data);
    let slots = [ext4_block(), data, [0; BLOCK_4K_BYTES], data, data].map(|b| read_block(&b));
    let judgement = judge(&survey(slots, false));
    assert_eq!(judgement.verdict, Verdict::None);
    assert_eq!(letters(&judgement), "FX-XX");
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

#[test]
fn each_verdict_says_who_may_assemble_and_who_may_repair() {
    let table: [(Verdict, &str, Assembly, Healing); 10] = [
        (
            Verdict::Healthy,
            "healthy",
            Assembly::Yes,
            Healing::NotNeeded,
        ),
        (
            Verdict::Degraded,
            "degraded",
            Assembly::WithEvent,
            Healing::AfterBackup,
        ),
        (
            Verdict::Interrupted,
            "interrupted",
            Assembly::WithEvent,
            Healing::RollForward,
        ),
        (
            Verdict::Weak,
            "weak",
            Assembly::ReadOnlyOnRequest,
            Healing::Ask,
        ),
        (Verdict::Outlier, "outlier", Assembly::No, Healing::Ask),
        (Verdict::Split, "split", Assembly::No, Healing::Never),
        (
            Verdict::ForeignOverwritten,
            "foreign-overwritten",
            Assembly::No,
            Healing::TypedConfirmation,
        ),
        (
            Verdict::Unsupported,
            "unsupported",
            Assembly::No,
            Healing::Never,
        ),
        (
            Verdict::Lost,
            "lost",
            Assembly::No,
            Healing::RebuildOnRequest,
        ),
        (Verdict::None, "none", Assembly::No, Healing::Never),
    ];
    for (verdict, (named, name, assembly, healing)) in Verdict::ALL.into_iter().zip(table) {
        assert_eq!(verdict, named);
        assert_eq!(verdict.name(), name);
        assert_eq!(verdict.to_string(), name);
        assert_eq!(verdict.assembly(), assembly, "{name}");
        assert_eq!(verdict.healing(), healing, "{name}");
    }
}

#[test]
fn each_write_of_the_copies_needs_the_authority_of_its_verdict() {
    const NOBODY: Option<Authority> = None;
    const AUTO: Option<Authority> = Some(Authority::Automatic);
    const ASK: Option<Authority> = Some(Authority::Operator);
    const TYPED: Option<Authority> = Some(Authority::Typed);
    let superblock = checksummed(ARRAY, 1);
    let intents = [
        Intent::Heal,
        Intent::Advance(&superblock),
        Intent::Adopt(Slot::S3),
        Intent::Migrate(&superblock),
        Intent::Rebuild(&superblock),
        Intent::Create(&superblock),
    ];
    // Heal, advance, adopt, migrate, rebuild, create.
    let table: [(Verdict, [Option<Authority>; 6]); 10] = [
        (Verdict::Healthy, [AUTO, AUTO, NOBODY, ASK, NOBODY, TYPED]),
        (Verdict::Degraded, [AUTO, AUTO, NOBODY, ASK, NOBODY, TYPED]),
        (
            Verdict::Interrupted,
            [AUTO, AUTO, NOBODY, NOBODY, NOBODY, TYPED],
        ),
        (Verdict::Weak, [ASK, ASK, ASK, NOBODY, NOBODY, TYPED]),
        (Verdict::Outlier, [ASK, ASK, ASK, NOBODY, NOBODY, TYPED]),
        (
            Verdict::Split,
            [NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, TYPED],
        ),
        (
            Verdict::ForeignOverwritten,
            [TYPED, TYPED, TYPED, NOBODY, NOBODY, TYPED],
        ),
        (
            Verdict::Unsupported,
            [NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY],
        ),
        (
            Verdict::Lost,
            [NOBODY, NOBODY, NOBODY, NOBODY, TYPED, TYPED],
        ),
        (Verdict::None, [NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, ASK]),
    ];
    for (verdict, (named, row)) in Verdict::ALL.into_iter().zip(table) {
        assert_eq!(verdict, named);
        for (intent, needed) in intents.iter().zip(row) {
            assert_eq!(
                authority_needed(intent, verdict),
                needed,
                "{verdict}: {intent:?}"
            );
        }
    }
    assert!(Authority::Automatic < Authority::Operator && Authority::Operator < Authority::Typed);
}
