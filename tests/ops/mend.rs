//! Repairs of what lies beside the copies: table blocks, headers, and others' signatures.

use dmremap::inspect::Inspection;
use dmremap::ops::{Operation, Target};
use dmremap::port::block::{Signature, SignatureUse};
use dmremap::remap_core::layout::Region;
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::units::{Sector, Slot};

use crate::host::{context, created, planned, run, Machine, SPARE};

fn repair(rebuild: bool) -> Operation {
    Operation::Repair {
        target: Target::Path(SPARE.into()),
        from: None,
        rebuild,
        array: None,
    }
}

/// Where the blocks of a spare lie that damage may hit: five copies, headers, table blocks.
fn places(seen: &Inspection) -> Vec<Sector> {
    let layout = *seen.superblock.unwrap().layout().unwrap();
    let mut places: Vec<Sector> = Slot::ALL.iter().map(|slot| slot.sector()).collect();
    for region in Region::ALL {
        places.push(layout.region_start(region));
        places.extend((0..4).filter_map(|index| layout.table_block(region, index)));
    }
    places
}

/// A number made of a seed, the same each time.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn what_a_repair_promises_is_what_it_leaves() {
    let (whole, ..) = created();
    let original = whole.image(SPARE);
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let mut seen_verdicts = std::collections::BTreeSet::new();
    for round in 0..400 {
        let mut machine = whole.fork();
        let places = places(&machine.inspect(SPARE));
        for _ in 0..next(&mut seed) % 5 {
            let at = places[next(&mut seed) as usize % places.len()];
            let fill = [0, 0xff, 0xa5][next(&mut seed) as usize % 3];
            machine.poke(SPARE, at, &vec![fill; [512, 4096][round % 2]]);
        }
        let before = machine.inspect(SPARE);
        let damaged = machine.image(SPARE);
        let (mut context, _) = context();
        let operation = repair(before.judgement.verdict == Verdict::Lost);
        let plan = match planned(&mut machine, &mut context, &operation) {
            Ok(plan) => plan,
            Err(refusal) => {
                assert_ne!(before.verdict(), Verdict::Healthy, "{round}: {refusal:?}");
                assert_eq!(machine.image(SPARE), damaged, "{round}");
                continue;
            }
        };
        seen_verdicts.insert(before.verdict());
        let predicted = plan.predicted;
        let outcome = run(&mut machine, &mut context, &operation)
            .unwrap_or_else(|error| panic!("{round}: {error}"));
        let after = machine.inspect(SPARE);
        assert_eq!(predicted, Some(after.verdict()), "{round}");
        assert_eq!(outcome.verdict, predicted, "{round}");
        let has_header = before.headers.iter().any(|read| read.header.is_ok());
        if has_header {
            assert_eq!(
                after.verdict(),
                Verdict::Healthy,
                "{round}: {:?}",
                after.findings
            );
        }
        // Of a slot only the copy itself is ours.
        if before.judgement.winner_count() > 2 && has_header && round % 2 == 0 {
            assert!(machine.image(SPARE) == original, "{round}: not as it was");
        }
    }
    for verdict in [Verdict::Healthy, Verdict::Degraded, Verdict::Weak] {
        assert!(seen_verdicts.contains(&verdict), "{seen_verdicts:?}");
    }
}

#[test]
fn a_block_lost_in_both_regions_is_told_and_left_alone() {
    let (mut machine, mut context, _) = created();
    let layout = *machine.inspect(SPARE).superblock.unwrap().layout().unwrap();
    for region in Region::ALL {
        let at = layout.table_block(region, 0).unwrap();
        machine.poke(SPARE, at, &[0xa5; 4096]);
    }
    let damaged = machine.image(SPARE);
    assert_eq!(machine.verdict(SPARE), Verdict::Lost);
    let refusal = planned(&mut machine, &mut context, &repair(false)).unwrap_err();
    assert_eq!(refusal.code(), "table-lost");
    assert_eq!(machine.image(SPARE), damaged);
}

fn leave_signature(machine: &mut Machine, at: Sector) {
    let signature = Signature::at("zfs_member", SignatureUse::Raid, at);
    machine.signatures.insert(SPARE.into(), vec![signature]);
}

#[test]
fn another_signature_is_told_and_taken_away_by_whoever_types_the_name() {
    let (mut machine, mut context, _) = created();
    leave_signature(&mut machine, Sector::new(700));
    assert_eq!(machine.verdict(SPARE), Verdict::Ambivalent);
    let plan = planned(&mut machine, &mut context, &repair(false)).unwrap();
    assert!(
        plan.notes.iter().any(|note| note.contains("zfs_member")),
        "{:?}",
        plan.notes
    );
    assert_eq!(plan.predicted, Some(Verdict::Healthy));
    assert!(plan.token.is_some());
    let wiped: Vec<u64> = plan.writes.iter().map(|write| write.at.get()).collect();
    assert_eq!(wiped, [700]);
    // It has come since the plan was made: nothing is written.
    let (mut fresh, mut context, _) = created();
    fresh.poke(SPARE, Slot::S2.sector(), &[0; 512]);
    let plan = planned(&mut fresh, &mut context, &repair(false)).unwrap();
    leave_signature(&mut fresh, Sector::new(700));
    let token = plan.token.clone();
    let confirmed = plan.confirm(token.as_deref()).unwrap();
    let error = dmremap::ops::execute(&mut fresh, &mut context, confirmed).unwrap_err();
    assert_eq!(error.code, "stale");
}

#[test]
fn what_lies_in_our_own_blocks_is_nobody_elses() {
    let (mut machine, ..) = created();
    let layout = *machine.inspect(SPARE).superblock.unwrap().layout().unwrap();
    let ours = [
        Slot::S0.sector(),
        Slot::S4.sector(),
        layout.region_start(Region::A),
        layout.table_block(Region::B, 1).unwrap(),
    ];
    for at in ours {
        leave_signature(&mut machine, at);
        assert_eq!(machine.verdict(SPARE), Verdict::Healthy, "{at}");
    }
    // A free replacement block holds nothing of main's.
    leave_signature(&mut machine, layout.replacement);
    assert_eq!(machine.verdict(SPARE), Verdict::Ambivalent);
}
