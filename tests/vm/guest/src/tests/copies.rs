//! The five copies: what each subset of damaged ones means, and whether it is healed.

use std::thread;
use std::time::Duration;

use nix::libc;

use super::remapping::{joined, wait_for};
use super::{join, join_as, status, table, words, Test};
use crate::block::{Buffer, Device};
use crate::disk::{Disk, MIB};
use crate::dm::Mapped;
use crate::kernel_log::KernelLog;
use crate::metadata::{judgement, slots, Metadata};
use crate::random::Random;
use crate::remap_core::quorum::{Assembly, CopyState, Verdict};
use crate::remap_core::status::{Mode, RepairStatus};
use crate::remap_core::units::{BlockSize, Slot};

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("two-of-five-copies-are-healed-under-io", two_of_five),
    ("every-subset-of-damaged-copies", every_subset),
];

fn two_of_five(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    main.spoil(500, 3);
    let mapped = joined(&main, &spare);
    let device = Device::open(&mapped.path());
    for at in (0..10 * MIB).step_by(64) {
        device.write_pattern(at, 64, 1).unwrap();
    }
    drop(device);
    mapped.remove().unwrap();
    for first in 0..Slot::COUNT {
        for second in first + 1..Slot::COUNT {
            let raw = Device::open(spare.path());
            for slot in [first, second] {
                let at = Slot::ALL[slot].sector().get();
                raw.write_pattern(at, 1, 7).unwrap();
            }
            let before = judgement(&spare);
            assert_eq!(before.verdict, Verdict::Degraded);
            let mapped = join(&main, &spare);
            let device = Device::open(&mapped.path());
            device.check_pattern(0, 10 * MIB, 1);
            wait_for(&mapped, "repair", |told| {
                device.check_pattern(496, 16, 1);
                told.repairs_completed == 1
            });
            drop(device);
            mapped.remove().unwrap();
            let after = judgement(&spare);
            assert_eq!((after.verdict, after.winner_count()), (Verdict::Healthy, 5));
            assert!(after.sequence >= before.sequence);
        }
    }
}

/// What is done to a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Damage {
    Zero,
    Random,
    Bit,
    /// The copy of one write before.
    Older,
    /// The copy of two writes before.
    MuchOlder,
    /// The beginning of an XFS file system.
    Overwritten,
}

const DAMAGES: [Damage; 6] = [
    Damage::Zero,
    Damage::Random,
    Damage::Bit,
    Damage::Older,
    Damage::MuchOlder,
    Damage::Overwritten,
];

impl Damage {
    /// What five copies say of which so many are intact and the others are damaged so,
    /// copy 0 among them or not; written out, apart from the rules.
    fn expected(self, intact: usize, first: bool) -> Verdict {
        match (self, intact) {
            (_, 5) => Verdict::Healthy,
            (Self::Overwritten, _) if first => Verdict::ForeignOverwritten,
            (Self::Older | Self::MuchOlder, 0) => Verdict::Healthy,
            (Self::Older, _) => Verdict::Interrupted,
            (_, 3 | 4) => Verdict::Degraded,
            (Self::MuchOlder, _) => Verdict::Outlier,
            (_, 1 | 2) => Verdict::Weak,
            (_, _) => Verdict::Lost,
        }
    }

    fn inflict(self, device: &Device, slot: Slot, ages: &[Vec<u8>; 3], random: &mut Random) {
        let at = slot.sector().get();
        let mut copy = Buffer::sectors(1);
        device.read(at, &mut copy).unwrap();
        let bytes = copy.bytes_mut();
        let place = slot.index() as usize * 512;
        match self {
            Self::Zero => bytes.fill(0),
            Self::Random => random.fill(bytes),
            Self::Bit => bytes[random.below(512) as usize] ^= 1 << random.below(8),
            Self::Older => bytes.copy_from_slice(&ages[1][place..place + 512]),
            Self::MuchOlder => bytes.copy_from_slice(&ages[0][place..place + 512]),
            Self::Overwritten => {
                bytes.fill(0);
                bytes[..4].copy_from_slice(b"XFSB");
            }
        }
        device.write(at, &copy).unwrap();
    }
}

/// One spare some of whose copies were damaged, and its main.
struct Case {
    what: String,
    main: Disk,
    spare: Disk,
    verdict: Verdict,
    before: Vec<u8>,
    mapped: Option<Mapped>,
}

fn every_subset(log: &mut KernelLog) {
    let (main, good) = (Disk::of_mib(16), Disk::of_mib(5));
    let mapped = joined(&main, &good);
    let mut ages = [slots(&good), Vec::new(), Vec::new()];
    // A block that is on the spare alone.
    let device = Device::open(&mapped.path());
    device.write_pattern(96, 16, 1).unwrap();
    mapped.message(0, "remap 100").unwrap();
    device.write_pattern(100, 1, 2).unwrap();
    drop(device);
    for age in &mut ages[1..] {
        mapped.message(0, "write_metadata").unwrap();
        *age = slots(&good);
    }
    mapped.remove().unwrap();
    let metadata = Metadata::of(&good, BlockSize::B512);
    let mut random = Random::new(2);
    // Many at a time, for each waits a second for its repair.
    for damages in DAMAGES.chunks(3) {
        log.skip();
        let mut cases = Vec::new();
        for damage in damages {
            let subsets = 0..32u32;
            cases.extend(
                subsets.map(|subset| damaged(&metadata, *damage, subset, &ages, &mut random)),
            );
        }
        for case in &mut cases {
            case.bring_up(log);
        }
        for case in &mut cases {
            case.wait_until_healed();
        }
        // Long enough for a repair that nobody should have scheduled.
        thread::sleep(Duration::from_millis(1300));
        for case in cases {
            case.check();
        }
    }
}

fn damaged(
    metadata: &Metadata,
    damage: Damage,
    subset: u32,
    ages: &[Vec<u8>; 3],
    random: &mut Random,
) -> Case {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(5));
    let content = Device::open(main.path()).write_pattern(96, 16, 1);
    content.expect("main takes writes");
    metadata.restore(&spare);
    let device = Device::open(spare.path());
    let hit: Vec<Slot> = Slot::ALL
        .into_iter()
        .filter(|slot| subset >> slot.index() & 1 == 1)
        .collect();
    for slot in &hit {
        damage.inflict(&device, *slot, ages, random);
    }
    let what = format!("{damage:?} in {subset:#07b}");
    let judged = judgement(&spare);
    let expected = damage.expected(5 - hit.len(), hit.contains(&Slot::S0));
    assert_eq!(judged.verdict, expected, "{what}");
    Case {
        what,
        before: slots(&spare),
        verdict: expected,
        main,
        spare,
        mapped: None,
    }
}

impl Case {
    /// Checks that it comes up if it may, and is right then.
    fn bring_up(&mut self, log: &mut KernelLog) {
        let Self {
            what,
            main,
            spare,
            verdict,
            ..
        } = self;
        let name = spare.word().trim_start_matches("/dev/").to_owned();
        let refused = |option: &str| {
            let line = table(16 * MIB, words(main, spare) + option);
            let Err(error) = Mapped::create(&name, &line) else {
                panic!("{what}: it came up");
            };
            assert_eq!(error.raw_os_error(), Some(libc::EUCLEAN), "{what}");
        };
        let (mapped, mode) = match verdict.assembly() {
            Assembly::Yes | Assembly::WithEvent => (join_as(&name, main, spare), Mode::ReadWrite),
            Assembly::ReadOnlyOnRequest => {
                refused("");
                let line = table(16 * MIB, words(main, spare) + " 2 read_only 1");
                (Mapped::create(&name, &line).expect(what), Mode::ReadOnly)
            }
            Assembly::No => {
                refused("");
                refused(" 2 read_only 1");
                return;
            }
        };
        // It may be healed before its status is asked for, but not before it says what it found.
        assert_eq!(mapped.came_up_with(log), verdict.name(), "{what}");
        assert_eq!(status(&mapped).mode, mode, "{what}");
        let device = Device::open(&mapped.path());
        device.check_pattern(96, 4, 1);
        device.check_pattern(100, 1, 2);
        device.check_pattern(101, 11, 1);
        if mode == Mode::ReadOnly {
            device
                .write_pattern(100, 1, 3)
                .expect_err("it took a write");
        }
        self.mapped = Some(mapped);
    }

    fn heals(&self) -> bool {
        matches!(self.verdict, Verdict::Degraded | Verdict::Interrupted)
    }

    fn wait_until_healed(&mut self) {
        let heals = self.heals();
        if let Some(mapped) = &self.mapped {
            wait_for(mapped, &self.what, |told| {
                told.scrubs > 0 && (!heals || told.repairs_completed == 1)
            });
        }
    }

    /// Checks what became of it, and takes it down.
    fn check(self) {
        let what = &self.what;
        let healed = self.heals();
        if let Some(mapped) = &self.mapped {
            let told = status(mapped);
            let whole = healed || self.verdict == Verdict::Healthy;
            assert_eq!(told.verdict == Verdict::Healthy, whole, "{what}: {told}");
            assert_eq!(told.repair, RepairStatus::Idle, "{what}: {told}");
            let attempts = u64::from(healed);
            assert_eq!(told.repair_attempts, attempts, "{what}: {told}");
            assert_eq!(
                told.corruption_detected > 0,
                told.verdict != Verdict::Healthy || healed
            );
            mapped.remove().unwrap();
        }
        let after = judgement(&self.spare);
        if healed {
            assert_eq!((after.verdict, after.winner_count()), (Verdict::Healthy, 5));
            assert!(after
                .states
                .iter()
                .all(|(_, state)| *state == CopyState::Valid));
        } else {
            assert!(
                slots(&self.spare) == self.before,
                "{what}: a copy was written"
            );
        }
        self.main.remove();
        self.spare.remove();
    }
}
