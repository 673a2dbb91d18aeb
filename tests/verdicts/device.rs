//! The verdict on a device: copies, table, sizes and others' signatures together.
//!
//! Written down, not computed: one row for each verdict of the copies.

use dmremap::error::Exit;
use dmremap::remap_core::main_verdict::MainVerdict;
use dmremap::remap_core::quorum::{Assembly, Healing, Verdict};
use dmremap::remap_core::verdict::{Evidence, TableState};

use Verdict::{
    Ambivalent, Degraded, ForeignOverwritten, Healthy, Interrupted, Lost, None, Outlier, Split,
    Unsupported, Weak,
};

/// One row of the table.
struct Row {
    copies: Verdict,
    /// With the table intact, damaged, contradicted and lost.
    fitting: [Verdict; 4],
    /// The same on a disk of another size, or with larger blocks.
    misfitting: [Verdict; 4],
    /// With another's signature, whatever else there is.
    foreign: Verdict,
}

const ROWS: [Row; 10] = [
    Row {
        copies: Healthy,
        fitting: [Healthy, Degraded, Weak, Lost],
        misfitting: [Unsupported; 4],
        foreign: Ambivalent,
    },
    Row {
        copies: Degraded,
        fitting: [Degraded, Degraded, Weak, Lost],
        misfitting: [Unsupported; 4],
        foreign: Ambivalent,
    },
    Row {
        copies: Interrupted,
        fitting: [Interrupted, Interrupted, Weak, Lost],
        misfitting: [Unsupported; 4],
        foreign: Ambivalent,
    },
    Row {
        copies: Weak,
        fitting: [Weak, Weak, Weak, Lost],
        misfitting: [Unsupported; 4],
        foreign: Ambivalent,
    },
    Row {
        copies: Outlier,
        fitting: [Outlier, Outlier, Outlier, Lost],
        misfitting: [Unsupported; 4],
        foreign: Ambivalent,
    },
    Row {
        copies: Split,
        fitting: [Split, Split, Split, Lost],
        misfitting: [Unsupported; 4],
        foreign: Ambivalent,
    },
    Row {
        copies: ForeignOverwritten,
        fitting: [ForeignOverwritten; 4],
        misfitting: [ForeignOverwritten; 4],
        foreign: ForeignOverwritten,
    },
    Row {
        copies: Unsupported,
        fitting: [Unsupported; 4],
        misfitting: [Unsupported; 4],
        foreign: Unsupported,
    },
    Row {
        copies: Lost,
        fitting: [Lost; 4],
        misfitting: [Lost; 4],
        foreign: Ambivalent,
    },
    Row {
        copies: None,
        fitting: [None; 4],
        misfitting: [None; 4],
        foreign: None,
    },
];

#[test]
fn the_verdict_on_a_device_is_this_table() {
    for row in &ROWS {
        for (table, (fitting, misfitting)) in TableState::ALL
            .into_iter()
            .zip(row.fitting.into_iter().zip(row.misfitting))
        {
            let evidence = |fits, foreign| Evidence {
                copies: row.copies,
                table,
                fits,
                foreign,
                main: Option::None,
            };
            let told = format!("{} {table:?}", row.copies);
            assert_eq!(evidence(true, false).verdict(), fitting, "{told}");
            assert_eq!(evidence(false, false).verdict(), misfitting, "{told}");
            assert_eq!(evidence(true, true).verdict(), row.foreign, "{told}");
            assert_eq!(evidence(false, true).verdict(), row.foreign, "{told}");
        }
    }
    let rows = ROWS.iter().map(|row| row.copies);
    let missing = Verdict::ALL
        .into_iter()
        .filter(|it| !rows.clone().any(|row| row == *it));
    assert_eq!(
        missing.collect::<Vec<_>>(),
        [Ambivalent],
        "copies alone are never ambivalent"
    );
}

#[test]
fn nothing_that_lacks_anything_is_healthy_and_what_is_ambivalent_is_left_to_a_person() {
    for copies in Verdict::ALL {
        for table in TableState::ALL {
            for (fits, foreign) in [(true, true), (true, false), (false, true), (false, false)] {
                let evidence = Evidence {
                    copies,
                    table,
                    fits,
                    foreign,
                    main: Option::None,
                };
                let verdict = evidence.verdict();
                let is_whole = copies == Healthy && table == TableState::Intact && fits && !foreign;
                assert_eq!(verdict == Healthy, is_whole, "{evidence:?}");
                assert_eq!(
                    Exit::of_verdict(verdict) == Exit::Done,
                    is_whole,
                    "{evidence:?}"
                );
                if table == TableState::Lost || !fits || foreign {
                    assert_eq!(verdict.assembly(), Assembly::No, "{evidence:?}");
                    assert_eq!(Exit::of_verdict(verdict), Exit::NotToBeAssembled);
                }
            }
        }
    }
    assert_eq!(Ambivalent.healing(), Healing::TypedConfirmation);
    assert_eq!(Ambivalent.name(), "ambivalent");
}

/// The best verdict that a device can get with a main that bears labels.
const WITH_MAIN: [(MainVerdict, Verdict); 8] = [
    (MainVerdict::Labelled, Healthy),
    (MainVerdict::Damaged, Degraded),
    (MainVerdict::Unlabelled, Weak),
    (MainVerdict::Former, Unsupported),
    (MainVerdict::Newer, Unsupported),
    (MainVerdict::Other, Unsupported),
    (MainVerdict::Split, Unsupported),
    (MainVerdict::Overwritten, Ambivalent),
];

#[test]
fn labels_of_main_only_ever_make_a_verdict_worse() {
    assert_eq!(WITH_MAIN.map(|(main, _)| main), MainVerdict::ALL);
    for (main, best) in WITH_MAIN {
        for copies in Verdict::ALL {
            for table in TableState::ALL {
                let with = |main| Evidence {
                    copies,
                    table,
                    fits: true,
                    foreign: false,
                    main,
                };
                let (without, verdict) = (with(Option::None).verdict(), with(Some(main)).verdict());
                let expected = match (without, best) {
                    // Nothing of it is interpreted.
                    (settled @ (None | ForeignOverwritten), _) => settled,
                    (Unsupported, Ambivalent) if copies != Unsupported => Ambivalent,
                    (Unsupported, _) => Unsupported,
                    (_, Ambivalent) => Ambivalent,
                    // Copies that are lost say nothing of main; a lost table does not come back.
                    (Lost, Unsupported) if copies != Lost => Unsupported,
                    (Lost, _) => Lost,
                    (without, best) => without.max(best),
                };
                assert_eq!(verdict, expected, "{main} {copies} {table:?}");
            }
        }
    }
}
