//! Who may do what on which verdict.

use dmremap::remap_core::commit::{authority_needed, Authority, Intent};
use dmremap::remap_core::quorum::{Assembly, Healing, Verdict};
use dmremap::remap_core::units::Slot;

use crate::common::{checksummed, ARRAY};

#[test]
fn each_verdict_says_who_may_assemble_and_who_may_repair() {
    let table: [(Verdict, &str, Assembly, Healing); 11] = [
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
            Verdict::Ambivalent,
            "ambivalent",
            Assembly::No,
            Healing::TypedConfirmation,
        ),
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
    let table: [(Verdict, [Option<Authority>; 6]); 11] = [
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
        // A verdict on devices: copies alone are never judged so.
        (
            Verdict::Ambivalent,
            [NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, TYPED],
        ),
        (
            Verdict::ForeignOverwritten,
            [TYPED, TYPED, TYPED, NOBODY, TYPED, TYPED],
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
