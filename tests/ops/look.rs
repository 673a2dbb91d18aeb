//! What looking at a device says of it.

use std::path::Path;

use dmremap::inspect::{inspect, inspect_table, look, status_findings, Depth, Extent};
use dmremap::lab::ram::RamDisk;
use dmremap::ops::CorruptionKind;
use dmremap::port::table::read_block;
use dmremap::port::{Access, BlockStore as _, Host as _};
use dmremap::remap_core::bytes::Text;
use dmremap::remap_core::event::Severity;
use dmremap::remap_core::layout::Region;
use dmremap::remap_core::message::Direction;
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::remap_table::{
    put_entry, seal_block, BlockPlace, Entry, EntryState, RegionHeader,
};
use dmremap::remap_core::status::{Mode, RepairStatus};
use dmremap::remap_core::superblock::Superblock;
use dmremap::remap_core::units::{
    BlockSize, Blocks, Generation, MainBlock, Sector, Sectors, Slot, BLOCK_4K_BYTES,
};

use crate::common::{ext4_block, fixture, plain_fixture};
use crate::host::{corrupt, created, ram, with_plain, Machine, MAIN, SPARE};

/// Rewrites all five copies with something changed.
fn rewrite(machine: &mut Machine, change: impl Fn(&mut Superblock)) {
    let mut superblock = machine.inspect(SPARE).superblock.unwrap();
    change(&mut superblock);
    for slot in Slot::ALL {
        machine.poke(SPARE, slot.sector(), &superblock.encode(slot));
    }
}

fn rename(machine: &mut Machine, name: &[u8]) {
    for read in machine.inspect(SPARE).headers {
        let header = RegionHeader {
            name: Text::new(name).unwrap(),
            ..*read.header.unwrap()
        };
        let mut raw = Box::new([0; BLOCK_4K_BYTES]);
        header.write(&mut raw);
        machine.poke(SPARE, read.at, &*raw);
    }
}

/// A machine whose spare is worth saying something of, and what is said, in order.
#[test]
fn each_finding_is_told_where_it_is_true_and_nothing_else() {
    use CorruptionKind as Kind;
    type Prepare = fn(&mut Machine);
    let plain: Prepare = |machine| *machine = with_plain();
    let cases: Vec<(&str, Prepare, &[&str])> = vec![
        ("healthy", |_| {}, &[]),
        ("blank", |machine| *machine = Machine::new(), &["not-ours"]),
        (
            "ext4",
            |machine| {
                *machine = Machine::new();
                machine.poke(SPARE, Sector::new(0), &ext4_block());
            },
            &["not-ours"],
        ),
        (
            "corrupt",
            |machine| corrupt(machine, &[Slot::S3], Kind::BitFlip),
            &["copy-corrupt"],
        ),
        (
            "missing",
            |machine| corrupt(machine, &[Slot::S1, Slot::S2], Kind::Zero),
            &["copy-missing"],
        ),
        (
            "foreign behind slot 0",
            |machine| corrupt(machine, &[Slot::S2], Kind::Foreign),
            &["copy-foreign"],
        ),
        (
            "alien",
            |machine| corrupt(machine, &[Slot::S2], Kind::Alien),
            &["copy-foreign"],
        ),
        (
            "foreign in slot 0",
            |machine| corrupt(machine, &[Slot::S0], Kind::Foreign),
            &["foreign-overwritten", "copy-foreign"],
        ),
        (
            "unreadable",
            |machine| machine.fail(SPARE, Direction::Read, 2048, 1),
            &["copy-unreadable"],
        ),
        (
            "interrupted",
            |machine| corrupt(machine, &[Slot::S2], Kind::Stale),
            &["interrupted-write"],
        ),
        (
            "stale beside corrupt",
            |machine| {
                corrupt(machine, &[Slot::S2], Kind::Stale);
                corrupt(machine, &[Slot::S3], Kind::Random);
            },
            &["copy-corrupt", "copy-stale"],
        ),
        (
            "weak",
            |machine| corrupt(machine, &[Slot::S0, Slot::S1, Slot::S2], Kind::Zero),
            &["weak", "copy-missing"],
        ),
        (
            "outlier",
            |machine| corrupt(machine, &[Slot::S4], Kind::Ahead),
            &["outlier", "copy-stale"],
        ),
        (
            "split",
            |machine| corrupt(machine, &[Slot::S4], Kind::Rival),
            &["split"],
        ),
        (
            "lost",
            |machine| corrupt(machine, &Slot::ALL, Kind::Zero),
            &["lost", "copy-missing"],
        ),
        (
            "older layout",
            |machine| {
                *machine = Machine::new();
                let raw = fixture("other/reference-kernel-84288.bin");
                machine.poke(SPARE, Sector::new(0), &raw[..84288 / 512 * 512]);
            },
            &["unsupported-layout"],
        ),
        (
            "newer features",
            |machine| {
                rewrite(machine, |superblock| {
                    superblock.extension.as_mut().unwrap().features.incompat = 4;
                });
            },
            &["copy-unsupported"],
        ),
        (
            "features that forbid writing",
            |machine| {
                rewrite(machine, |superblock| {
                    superblock.extension.as_mut().unwrap().features.ro_compat = 1;
                });
            },
            &["unknown-features"],
        ),
        (
            "needs a check",
            |machine| {
                rewrite(machine, |superblock| {
                    superblock.extension.as_mut().unwrap().needs_check = true;
                });
            },
            &["needs-check"],
        ),
        (
            "header",
            |machine| {
                let at = machine.inspect(SPARE).headers[1].at;
                machine.poke(SPARE, at, &[1; 512]);
            },
            &["header-damaged"],
        ),
        ("no name", |machine| rename(machine, b""), &["name-missing"]),
        (
            "bad name",
            |machine| rename(machine, b"a\x1b[2Jb"),
            &["name-unusable"],
        ),
        (
            "grown",
            |machine| {
                let size = machine.disks[Path::new(SPARE)].lock().unwrap().size();
                regrow(machine, Sectors::new(size.get() + 8));
            },
            &["spare-grown"],
        ),
        (
            "shrunk",
            |machine| regrow(machine, Sectors::new(10_000)),
            &["spare-shrunk", "header-damaged"],
        ),
        ("plain", plain, &["spare-shrunk", "plain-format"]),
        (
            "plain with a relative path",
            |machine| {
                machine.add(SPARE, ram(Sectors::new(1_048_576), 2));
                machine.put_copies(SPARE, &plain_fixture("sda-relative"));
            },
            &["path-not-absolute", "plain-format"],
        ),
        (
            "plain with an over-long path",
            |machine| {
                machine.add(SPARE, ram(Sectors::new(1_048_576), 2));
                let mut copies = plain_fixture("sda-sdb");
                // 40 bytes too long: every field behind main's path is shifted.
                copies[1][144..].rotate_right(40);
                copies[1][144..184].fill(b'x');
                machine.put_copies(SPARE, &copies);
            },
            &["copy-corrupt", "shifted-fields", "plain-format"],
        ),
    ];
    for (case, prepare, expected) in cases {
        let (mut machine, ..) = created();
        prepare(&mut machine);
        let seen = machine.inspect(SPARE);
        let ids: Vec<&str> = seen.findings.iter().map(|finding| finding.id).collect();
        assert_eq!(ids, expected, "{case}: {:#?}", seen.findings);
        for finding in &seen.findings {
            let text = format!("{}{}", finding.summary, finding.advice);
            assert!(
                text.chars().all(dmremap::text::is_visible),
                "{case}: {text}"
            );
            assert!(
                finding.summary.ends_with('.'),
                "{case}: {}",
                finding.summary
            );
            assert!(!finding.advice.is_empty(), "{case}");
        }
        let severities: Vec<Severity> = seen.findings.iter().map(|it| it.severity).collect();
        assert!(severities.is_sorted_by(|one, next| one >= next), "{case}");
        for slot in Slot::ALL {
            let state = seen.judgement.states.get(slot).name();
            let is_good = ["valid", "plain"].contains(&state);
            assert_eq!(seen.reason(slot).is_none(), is_good, "{case}: copy {slot}");
        }
    }
}

/// The same bytes on a disk of another size.
fn regrow(machine: &mut Machine, size: Sectors) {
    let image = machine.image(SPARE);
    machine.add(SPARE, ram(size, 2));
    for (at, block) in image {
        if at + 8 <= size.get() {
            machine.poke(SPARE, Sector::new(at), &block);
        }
    }
}

#[test]
fn a_scan_and_a_close_look_agree() {
    for slots in crate::host::subsets() {
        for kind in [
            CorruptionKind::Zero,
            CorruptionKind::Stale,
            CorruptionKind::Rival,
        ] {
            for lost_header in [None, Some(0), Some(1)] {
                let (mut machine, ..) = created();
                if !slots.is_empty() {
                    corrupt(&mut machine, &slots, kind);
                }
                if let Some(at) = lost_header
                    .and_then(|region: usize| Some(machine.inspect(SPARE).headers.get(region)?.at))
                {
                    machine.poke(SPARE, at, &[0; 4096]);
                }
                let store = machine.open(Path::new(SPARE), Access::Read).unwrap();
                let near = inspect(&*store, Path::new(SPARE));
                let far = look(&*store, Path::new(SPARE), Depth::Scan);
                assert_eq!(near.verdict(), far.verdict());
                assert_eq!(near.name, far.name, "{slots:?} {kind} {lost_header:?}");
                assert_eq!(near.array_uuid(), far.array_uuid());
            }
        }
    }
}

#[test]
fn images_cut_short_anywhere_are_judged_by_what_is_left() {
    let (machine, ..) = created();
    let image = machine.image(SPARE);
    let whole = Slot::ALL.map(|slot| slot.sector().get() + 1);
    let whole_sectors = 10_240;
    for sectors in [
        0, 1, 7, 8, 1023, 1024, 1025, 2049, 4097, 8192, 8193, 8200, 8208, 10_239,
    ] {
        let mut disk = RamDisk::new(Sectors::new(sectors));
        for (at, block) in &image {
            let there = sectors.saturating_sub(*at).min(8) as usize * 512;
            if there > 0 {
                disk.write_at(Sector::new(*at), &block[..there]).unwrap();
            }
        }
        let seen = inspect(&disk, Path::new("/cut"));
        let left = whole.iter().filter(|end| **end <= sectors).count();
        let expected = match left {
            0 => Verdict::None,
            1 | 2 => Verdict::Weak,
            3 | 4 => Verdict::Degraded,
            _ => Verdict::Healthy,
        };
        assert_eq!(seen.judgement.verdict, expected, "{sectors} sectors");
        let is_whole = sectors >= whole_sectors;
        assert_eq!(
            seen.verdict() == Verdict::Healthy,
            is_whole,
            "{sectors} sectors"
        );
        for slot in Slot::ALL {
            if seen.is_past_end(slot) {
                let reason = seen.reason(slot).unwrap();
                assert!(reason.contains("past the end"), "{sectors}: {reason}");
            }
        }
        assert_eq!(
            seen.findings
                .iter()
                .any(|finding| finding.id == "spare-shrunk"),
            left > 0,
            "{sectors}"
        );
    }
}

#[test]
fn one_unreadable_copy_hides_none_of_the_others() {
    for slot in Slot::ALL {
        let (mut machine, ..) = created();
        machine.fail(SPARE, Direction::Read, slot.sector().get(), 1);
        let seen = machine.inspect(SPARE);
        assert_eq!(seen.verdict(), Verdict::Degraded);
        assert_eq!(seen.judgement.states.get(slot).name(), "unreadable");
        assert_eq!(seen.judgement.winner_count(), 4);
        assert_eq!(seen.name.as_deref(), Some("vault"));
    }
}

#[test]
fn what_must_be_typed_is_the_name_or_the_last_component() {
    let (mut machine, ..) = created();
    assert_eq!(machine.inspect(SPARE).token(), "vault");
    rename(&mut machine, b"not a name");
    assert_eq!(machine.inspect(SPARE).token(), "spare");
    assert_eq!(machine.inspect(MAIN).token(), "main");
}

#[test]
fn the_table_is_counted_and_its_damage_located() {
    let (mut machine, ..) = created();
    let superblock = machine.inspect(SPARE).superblock.unwrap();
    let layout = *superblock.layout().unwrap();
    let array = superblock.array_uuid().unwrap();
    let write = |machine: &mut Machine, region, index, generation, entries: &[(u32, Entry)]| {
        let mut raw = Box::new([0; BLOCK_4K_BYTES]);
        for (place, entry) in entries {
            assert!(put_entry(&mut raw, *place, entry));
        }
        let place = BlockPlace {
            array,
            region,
            index,
        };
        seal_block(&mut raw, &place, Generation::new(generation));
        let at = layout.table_block(region, index).unwrap();
        machine.poke(SPARE, at, &*raw);
    };
    let entry = |state, main, moves| Entry {
        state,
        main: MainBlock::new(main),
        moves,
    };
    let entries = [
        (0, entry(EntryState::Active, 77, 1)),
        (1, entry(EntryState::Pending, 5, 1)),
        (2, entry(EntryState::ReplacementBad, 0, 0)),
        (3, entry(EntryState::Retired, 9, 1)),
        // A crash between two table blocks can leave two entries for one block.
        (4, entry(EntryState::Active, 77, 2)),
        // No such block is on main.
        (
            5,
            entry(EntryState::Active, superblock.main_sectors.get(), 1),
        ),
    ];
    for region in Region::ALL {
        write(&mut machine, region, 0, 3, &entries);
    }
    for region in Region::ALL {
        write(&mut machine, region, 2, 2, &[]);
    }
    // Region A is behind in block 1, region B is damaged in block 2, both in block 3.
    write(
        &mut machine,
        Region::B,
        1,
        2,
        &[(0, entry(EntryState::Active, 6, 1))],
    );
    let poke = |machine: &mut Machine, region, index| {
        let at = layout.table_block(region, index).unwrap();
        machine.poke(SPARE, at, &[0xff; 512]);
    };
    poke(&mut machine, Region::B, 2);
    poke(&mut machine, Region::A, 3);
    poke(&mut machine, Region::B, 3);
    // The same generation with different entries.
    write(
        &mut machine,
        Region::A,
        4,
        9,
        &[(0, entry(EntryState::Active, 1, 1))],
    );
    write(
        &mut machine,
        Region::B,
        4,
        9,
        &[(0, entry(EntryState::Active, 2, 1))],
    );
    let store = machine.open(Path::new(SPARE), Access::Read).unwrap();
    let table = inspect_table(&*store, &superblock, Extent::Whole).unwrap();
    assert_eq!(table.damaged_a, [1]);
    assert_eq!(table.damaged_b, [2]);
    assert_eq!(table.lost, [3]);
    assert_eq!(table.contradictions, [4]);
    let counts = table.counts;
    assert_eq!(
        (
            counts.active,
            counts.pending,
            counts.replacement_bad,
            counts.retired
        ),
        (5, 1, 1, 1)
    );
    assert_eq!(table.strays, 1);
    let remaps: Vec<(u64, u64, bool, u16)> = table
        .remaps
        .iter()
        .map(|row| {
            (
                row.block.get(),
                row.replacement.get(),
                row.active,
                row.moves,
            )
        })
        .collect();
    assert_eq!(
        remaps,
        [
            (1, 1008, true, 1),
            (5, 1, false, 1),
            (6, 252, true, 1),
            (77, 4, true, 2)
        ]
    );
    let mut raw = [0; BLOCK_4K_BYTES];
    let read = read_block(&*store, &layout, array, Region::A, 0, &mut raw);
    assert_eq!(read, Ok(Generation::new(3)));
    assert_eq!(
        inspect_table(
            &*store,
            &with_plain().inspect(SPARE).superblock.unwrap(),
            Extent::Whole
        ),
        None
    );
}

#[test]
fn a_target_in_trouble_says_so() {
    let (mut machine, ..) = created();
    machine.map("vault", MAIN, SPARE);
    let sound = machine.mapped[0].clone();
    assert_eq!(status_findings(&sound), []);
    type Change = fn(&mut dmremap::remap_core::status::Status);
    let cases: [(&str, Severity, Change); 10] = [
        ("main-suspect", Severity::Error, |s| s.main_suspect = true),
        ("spare-failing", Severity::Error, |s| s.spare_failing = true),
        ("needs-check", Severity::Error, |s| s.needs_check = true),
        ("no-metadata", Severity::Warning, |s| {
            s.mode = Mode::PassThrough
        }),
        ("repair-waiting", Severity::Warning, |s| {
            s.repair = RepairStatus::Waiting {
                attempt: 2,
                in_millis: 1500,
            };
        }),
        ("repair-gave-up", Severity::Error, |s| {
            s.repair = RepairStatus::GaveUp;
        }),
        ("spare-use", Severity::Warning, |s| {
            s.used = Blocks::new(750)
        }),
        ("spare-use", Severity::Warning, |s| {
            s.used = Blocks::new(999)
        }),
        ("spare-full", Severity::Error, |s| {
            s.used = Blocks::new(1000)
        }),
        ("reads-lost", Severity::Warning, |s| {
            s.pending = Blocks::new(3)
        }),
    ];
    for (id, severity, change) in cases {
        let mut device = sound.clone();
        change(&mut device.status);
        let findings = status_findings(&device);
        assert_eq!(findings.len(), 1, "{id}: {findings:?}");
        assert_eq!((findings[0].id, findings[0].severity), (id, severity));
    }
}

#[test]
fn disks_of_4_kib_blocks_are_read_like_any_other() {
    for block_size in BlockSize::ALL {
        let mut machine = Machine::default();
        let disk = ram(Sectors::new(5 * 2048), 2).with_logical_block(block_size);
        machine.add(SPARE, disk);
        machine.put_copies(SPARE, &plain_fixture("sda-sdb"));
        let seen = machine.inspect(SPARE);
        assert_eq!(seen.verdict(), Verdict::Healthy);
        assert_eq!(seen.logical_block, block_size);
    }
}
