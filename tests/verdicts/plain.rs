//! Plain v4, alone and beside checksummed copies.

use dmremap::remap_core::quorum::{judge, CopyState, Verdict};
use dmremap::remap_core::superblock::{read_copy, Content, Flaw, RawCopy, COPY_BYTES};
use dmremap::remap_core::units::Slot;

use crate::common::{assignments, plain, plain_fixture, read, survey};
use crate::{letters, pattern, ranked};

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
