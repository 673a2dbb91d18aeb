//! Every subset of copies under every kind of damage: the verdict is foretold, only the
//! copies change, and a repair does what the table of verdicts allows and no more.

use dmremap::ops::{corrupted, CorruptionKind, Operation, Target};
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::units::{BlockSize, Slot};

use crate::host::{
    context, create, created, planned, ram, run, subsets, with_plain, Machine, MAIN, MAIN_SECTORS,
    SPARE, SPARE_SECTORS,
};

fn damage(slots: &[Slot], kind: CorruptionKind, seed: u64) -> Operation {
    Operation::Corrupt {
        path: SPARE.into(),
        slots: slots.to_vec(),
        kind,
        seed,
    }
}

fn repair(rebuild: bool) -> Operation {
    Operation::Repair {
        target: Target::Path(SPARE.into()),
        from: None,
        rebuild,
        array: None,
    }
}

/// What a device with checksums is judged after damage to `slots`.
fn expected_checksummed(kind: CorruptionKind, slots: &[Slot]) -> Verdict {
    let by_good = match slots.len() {
        0 => Verdict::Healthy,
        1 | 2 => Verdict::Degraded,
        3 | 4 => Verdict::Weak,
        _ => Verdict::Lost,
    };
    match (kind, slots.len()) {
        (_, 0) => Verdict::Healthy,
        (CorruptionKind::Foreign, _) if slots.contains(&Slot::S0) => Verdict::ForeignOverwritten,
        (CorruptionKind::Stale, 1..=4) => Verdict::Interrupted,
        (CorruptionKind::Ahead, 1 | 2) => Verdict::Outlier,
        (CorruptionKind::Ahead, 3 | 4) => Verdict::Degraded,
        // The copies of another array win, and its table is not here.
        (CorruptionKind::Alien, 3..=5) => Verdict::Lost,
        // All five tell the same lie: nothing here can contradict it.
        (CorruptionKind::Stale | CorruptionKind::Ahead, 5) => Verdict::Healthy,
        (CorruptionKind::Rival, _) => Verdict::Split,
        _ => by_good,
    }
}

/// What plain v4 can be judged after damage to `slots`. Where a copy may or may not look
/// believable on its own after it, there are two answers.
fn expected_plain(kind: CorruptionKind, slots: &[Slot]) -> &'static [Verdict] {
    use CorruptionKind as Kind;
    match (kind, slots.len()) {
        (_, 0) => &[Verdict::Healthy],
        (Kind::Foreign, 5) => &[Verdict::None],
        (Kind::Foreign, _) if slots.contains(&Slot::S0) => &[Verdict::ForeignOverwritten],
        (_, 1 | 2) => &[Verdict::Degraded],
        (Kind::Stale | Kind::Ahead | Kind::Rival | Kind::Alien, _) => &[Verdict::Split],
        (Kind::BitFlip | Kind::Torn, 3 | 4) => &[Verdict::Weak, Verdict::Split],
        (Kind::BitFlip | Kind::Torn, _) => &[Verdict::Lost, Verdict::Split, Verdict::Weak],
        (_, 3 | 4) => &[Verdict::Weak],
        (Kind::Zero | Kind::Random, _) => &[Verdict::None],
        _ => &[Verdict::Lost],
    }
}

/// Damages a fork of `machine`, and sees what a repair makes of it.
fn damage_and_repair(
    machine: &Machine,
    kind: CorruptionKind,
    slots: &[Slot],
    expected: &[Verdict],
) {
    let case = format!("{kind} {slots:?}");
    let mut machine = machine.fork();
    let original = machine.image(SPARE);
    let (mut context, _) = context();
    let operation = damage(slots, kind, 7);
    let plan = match planned(&mut machine, &mut context, &operation) {
        Ok(plan) => plan,
        Err(refusal) => {
            assert_eq!(refusal.code(), "no-copies", "{case}");
            assert!(slots.is_empty(), "{case}");
            return;
        }
    };
    let predicted = plan.predicted.unwrap();
    let outcome = run(&mut machine, &mut context, &operation).unwrap();
    let verdict = machine.verdict(SPARE);
    assert!(expected.contains(&verdict), "{case}: {verdict}");
    assert_eq!(predicted, verdict, "{case}");
    assert_eq!(outcome.verdict, Some(verdict), "{case}");
    only_copies_changed(&machine, &original, slots, &case);
    repair_allows(&mut machine, &original, slots, verdict, &case);
}

fn only_copies_changed(
    machine: &Machine,
    original: &std::collections::BTreeMap<u64, Vec<u8>>,
    slots: &[Slot],
    case: &str,
) {
    let zeros = vec![0; 4096];
    let now = machine.image(SPARE);
    let blocks: std::collections::BTreeSet<u64> =
        original.keys().chain(now.keys()).copied().collect();
    let mut changed = Vec::new();
    for at in blocks {
        let (was, is) = (
            original.get(&at).unwrap_or(&zeros),
            now.get(&at).unwrap_or(&zeros),
        );
        if was == is {
            continue;
        }
        assert_eq!(was[512..], is[512..], "{case}: beyond the copy at {at}");
        changed.push(at);
    }
    let expected: Vec<u64> = slots.iter().map(|slot| slot.sector().get()).collect();
    assert_eq!(changed, expected, "{case}");
}

/// Repairs, and holds what happened to the table of verdicts.
fn repair_allows(
    machine: &mut Machine,
    original: &std::collections::BTreeMap<u64, Vec<u8>>,
    slots: &[Slot],
    verdict: Verdict,
    case: &str,
) {
    let (mut context, _) = context();
    let damaged = machine.image(SPARE);
    let result = run(machine, &mut context, &repair(false));
    match verdict {
        Verdict::Healthy => {
            assert!(!result.unwrap().changed, "{case}");
            assert_eq!(machine.image(SPARE), damaged, "{case}");
        }
        Verdict::Degraded
        | Verdict::Interrupted
        | Verdict::Weak
        | Verdict::Outlier
        | Verdict::ForeignOverwritten
            if slots.len() < Slot::COUNT || verdict != Verdict::ForeignOverwritten =>
        {
            let outcome = result.unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(outcome.verdict, Some(Verdict::Healthy), "{case}");
            assert_eq!(machine.verdict(SPARE), Verdict::Healthy, "{case}");
            if verdict == Verdict::Degraded && slots.len() <= 2 {
                assert!(machine.image(SPARE) == *original, "{case}: not as it was");
            }
        }
        Verdict::Split | Verdict::None | Verdict::Unsupported => {
            let error = result.unwrap_err();
            assert_eq!(error.exit.code(), 5, "{case}: {error}");
            assert_eq!(machine.image(SPARE), damaged, "{case}");
        }
        _ if machine.inspect(SPARE).judgement.winner.is_some() => {
            let error = result.unwrap_err();
            assert_eq!((error.code, error.exit.code()), ("table-lost", 4), "{case}");
            assert_eq!(machine.image(SPARE), damaged, "{case}");
        }
        // Lost, be it beneath five foreign signatures.
        _ => {
            assert_eq!(result.unwrap_err().code, "lost", "{case}");
            assert_eq!(machine.image(SPARE), damaged, "{case}");
            let has_header = machine.inspect(SPARE).recoverable().is_some();
            let rebuilt = run(machine, &mut context, &repair(true));
            assert_eq!(rebuilt.is_ok(), has_header, "{case}");
            let healthy = machine.verdict(SPARE) == Verdict::Healthy;
            assert_eq!(healthy, has_header, "{case}");
        }
    }
}

#[test]
fn every_subset_under_every_kind_with_checksums() {
    let (machine, ..) = created();
    for kind in CorruptionKind::ALL {
        for slots in subsets() {
            damage_and_repair(
                &machine,
                kind,
                &slots,
                &[expected_checksummed(kind, &slots)],
            );
        }
    }
}

#[test]
fn every_subset_under_every_kind_in_plain_v4() {
    let machine = with_plain();
    for kind in CorruptionKind::ALL {
        for slots in subsets() {
            damage_and_repair(&machine, kind, &slots, expected_plain(kind, &slots));
        }
    }
}

#[test]
fn blocks_of_4_kib_are_written_whole_and_keep_what_lies_behind_the_copy() {
    let mut machine = Machine::default();
    machine.add(
        MAIN,
        ram(MAIN_SECTORS, 1).with_logical_block(BlockSize::B4096),
    );
    machine.add(
        SPARE,
        ram(SPARE_SECTORS, 2).with_logical_block(BlockSize::B4096),
    );
    let (mut context, _) = context();
    run(&mut machine, &mut context, &create("vault")).unwrap();
    machine.mapped.clear();
    for slot in Slot::ALL {
        let behind = slot
            .sector()
            .checked_add(dmremap::remap_core::units::Sectors::new(3));
        machine.poke(SPARE, behind.unwrap(), &[0xee; 512]);
    }
    for kind in CorruptionKind::ALL {
        for slots in [vec![Slot::S0], vec![Slot::S1, Slot::S4]] {
            damage_and_repair(
                &machine,
                kind,
                &slots,
                &[expected_checksummed(kind, &slots)],
            );
        }
    }
}

#[test]
fn a_seed_repeats_itself_and_another_differs() {
    let (machine, ..) = created();
    let plain = with_plain();
    for machine in [&machine, &plain] {
        for kind in CorruptionKind::ALL {
            let copies = Slot::ALL.map(|slot| machine.copy(SPARE, slot));
            let make = |slot: Slot, seed| {
                let current = &copies[slot.index() as usize];
                corrupted(current, Some(&copies[0]), slot, kind, seed).unwrap()
            };
            for slot in Slot::ALL {
                assert_eq!(make(slot, 3), make(slot, 3), "{kind} {slot}");
                assert_ne!(
                    make(slot, 3),
                    copies[slot.index() as usize],
                    "{kind} {slot}"
                );
            }
            let differs = (0..8).any(|seed| make(Slot::S1, seed) != make(Slot::S1, 99));
            let has_chance = !matches!(
                kind,
                CorruptionKind::Zero
                    | CorruptionKind::Stale
                    | CorruptionKind::Ahead
                    | CorruptionKind::Rival
                    | CorruptionKind::Swapped
            );
            assert_eq!(differs, has_chance, "{kind}");
        }
    }
}

#[test]
fn plain_copies_damaged_alike_never_agree() {
    let machine = with_plain();
    let copies = Slot::ALL.map(|slot| machine.copy(SPARE, slot));
    for kind in CorruptionKind::ALL {
        for seed in 0..200 {
            let damaged = Slot::ALL.map(|slot| {
                let current = &copies[slot.index() as usize];
                corrupted(current, Some(&copies[0]), slot, kind, seed).unwrap()
            });
            let survey = crate::common::survey(damaged.map(crate::common::read), false);
            let judgement = dmremap::remap_core::quorum::judge(&survey);
            assert!(judgement.winner_count() <= 1, "{kind} seed {seed}");
        }
    }
}

#[test]
fn damage_beneath_an_active_device_is_told_as_such() {
    let (mut machine, mut context, _) = created();
    machine.map("vault", MAIN, SPARE);
    let operation = damage(&[Slot::S3], CorruptionKind::BitFlip, 1);
    let plan = planned(&mut machine, &mut context, &operation).unwrap();
    assert!(plan.live);
    assert_eq!(plan.token.as_deref(), Some("vault"));
    run(&mut machine, &mut context, &operation).unwrap();
    assert_eq!(machine.verdict(SPARE), Verdict::Degraded);
}
