//! A made-up machine for tests: its devices, what lies on them, and a state that shows
//! them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ratatui::layout::Size;

use super::event::{Answer, Event};
use super::key::Key;
use super::options::Options;
use super::remaps::RemapList;
use super::state::{Examined, State};
use super::theme::Theme;
use super::update::{update, Effect};
use crate::inspect::{self, Disk};
use crate::lab::ram::RamDisk;
use crate::port::block::{Signature, SignatureUse};
use crate::port::history::Sample;
use crate::port::journal::{ActionId, ActionRecord, Begun, Ended};
use crate::port::table::new_blocks;
use crate::port::{BlockStore as _, DeviceInfo, LoggedEvent, Mapped, Part, RemapRow, Usage};
use crate::remap_core::bytes::Text;
use crate::remap_core::event::Event as TargetEvent;
use crate::remap_core::layout::Layout;
use crate::remap_core::params::Options as TargetOptions;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::status::{Mode, RepairStatus, Status};
use crate::remap_core::superblock::{Extension, Features, Superblock, ENTRY_BYTES};
use crate::remap_core::units::{
    ArrayUuid, BlockSize, Blocks, IdentityDigest, MainBlock, Millis, PerSlot, Replacement, Sector,
    Sectors, Sequence, Slot, Timestamp, SECTOR_BYTES,
};
use crate::zone::Zone;

/// 24 October 2025, midnight.
pub const MIDNIGHT: u64 = 1_761_264_000;

/// The size of a main disk.
pub const MAIN: Sectors = Sectors::new(8 << 20);
const SPARE: Sectors = Sectors::new(1 << 17);

/// The options of a terminal that can show everything.
pub const COLOUR: Options = Options::with_theme(Theme::FULL);

/// A path of the made-up machine.
pub fn path(name: &str) -> PathBuf {
    Path::new("/lab/devices").join(name)
}

/// What the copies of the spare of `array` say.
pub fn superblock(array: u8, main: &str, spare: &str) -> Superblock {
    let layout = Layout::for_spare(SPARE, BlockSize::B512).unwrap();
    Superblock {
        sequence: Sequence::new(18),
        timestamp: Timestamp::new(MIDNIGHT),
        main_uuid: Text::EMPTY,
        spare_uuid: Text::EMPTY,
        main_sectors: MAIN,
        spare_sectors: SPARE,
        sector_size: BlockSize::B512,
        entry_size: ENTRY_BYTES,
        capacity: u32::try_from(layout.replacement_blocks.get()).unwrap(),
        main_path: Text::new(path(main).to_str().unwrap().as_bytes()).unwrap(),
        spare_path: Text::new(path(spare).to_str().unwrap().as_bytes()).unwrap(),
        extension: Some(Extension {
            features: Features::default(),
            array_uuid: ArrayUuid::new([array; 16]),
            main_epoch: 0,
            main_identity: IdentityDigest::new([array ^ 1; 16]),
            spare_identity: IdentityDigest::new([array ^ 2; 16]),
            needs_check: false,
            layout,
        }),
    }
}

/// A spare with five good copies and an empty table.
pub fn spare(superblock: Superblock, name: &str) -> RamDisk {
    let mut disk = RamDisk::new(superblock.spare_sectors);
    for (at, raw) in new_blocks(superblock, Text::new(name.as_bytes()).unwrap()) {
        disk.write_at(at, &raw[..]).unwrap();
    }
    for slot in Slot::ALL {
        disk.write_at(slot.sector(), &superblock.encode(slot))
            .unwrap();
    }
    disk
}

/// Writes over part of a copy.
pub fn damage(disk: &mut RamDisk, slot: Slot, at: usize, bytes: &[u8]) {
    let mut raw = [0; SECTOR_BYTES];
    disk.read_at(slot.sector(), &mut raw).unwrap();
    raw[at..at + bytes.len()].copy_from_slice(bytes);
    disk.write_at(slot.sector(), &raw).unwrap();
}

/// A spare as existing tools leave it.
pub fn plain_spare() -> RamDisk {
    let mut disk = RamDisk::new(SPARE);
    let plain = Superblock {
        extension: None,
        sequence: Sequence::new(1),
        entry_size: 512,
        capacity: 2048,
        ..superblock(0, "sda", "sdb")
    };
    for slot in Slot::ALL {
        disk.write_at(slot.sector(), &plain.encode(slot)).unwrap();
    }
    disk
}

/// What is seen on a disk.
pub fn look(disk: &RamDisk, name: &str) -> (PathBuf, Examined) {
    let path = path(name);
    let inspection = inspect::inspect(disk, &path);
    (path, Ok(Arc::new(inspection)))
}

/// What is known of the disk of this name, so that it is as `disk` says; nothing where
/// nobody looked.
pub fn examined_as(disk: Disk, name: &str) -> Option<(PathBuf, Examined)> {
    let examined = match disk {
        Disk::Unseen => return None,
        Disk::Unreadable => Err("Input/output error (os error 5)".to_owned()),
        Disk::Seen { verdict, lost, .. } => {
            let (_, seen) = look(&spare(superblock(7, "disk-a", name), name), name);
            let mut seen = Arc::unwrap_or_clone(seen.unwrap());
            match verdict {
                Verdict::Ambivalent => {
                    seen.signatures = Some(vec![Signature::at(
                        "zfs_member",
                        SignatureUse::Raid,
                        Sector::new(8),
                    )])
                }
                of_copies => seen.judgement.verdict = of_copies,
            }
            if let Some(table) = &mut seen.table {
                table.counts.pending = lost;
            }
            Ok(Arc::new(seen))
        }
    };
    Some((path(name), examined))
}

/// A device as a host lists it.
pub fn device(name: &str, size: Sectors, usage: Usage) -> DeviceInfo {
    DeviceInfo {
        path: path(name),
        name: name.to_owned(),
        size,
        logical_block: BlockSize::B512,
        read_only: false,
        usage,
        faults: 0,
        properties: None,
    }
}

fn part_of(name: &str, part: Part) -> Usage {
    Usage::Mapped {
        name: name.to_owned(),
        part,
    }
}

/// The status of a device on which all is well.
pub fn well() -> Status {
    Status {
        mode: Mode::ReadWrite,
        verdict: Verdict::Healthy,
        copies: PerSlot::new(['V'; 5]),
        sequence: Sequence::new(18),
        active: Blocks::new(1204),
        pending: Blocks::new(0),
        used: Blocks::new(1204),
        total: Blocks::new(115_000),
        write_errors: 1204,
        read_errors: 3,
        scrubs: 12,
        corruption_detected: 1,
        repairs_completed: 7,
        repair_attempts: 8,
        repair: RepairStatus::Idle,
        last_scrub: Some(41),
        next_scrub: Some(3559),
        last_repair: Some(7800),
        needs_check: false,
        main_suspect: false,
        spare_failing: false,
    }
}

/// The same after copy 3 was damaged and found so.
pub fn damaged() -> Status {
    Status {
        verdict: Verdict::Degraded,
        copies: PerSlot::new(['V', 'V', 'V', 'X', 'V']),
        repair: RepairStatus::Waiting {
            attempt: 1,
            in_millis: 1850,
        },
        corruption_detected: 2,
        ..well()
    }
}

/// A mapped device that is up.
pub fn mapped(name: &str, main: &str, spare: &str, status: Status) -> Mapped {
    Mapped {
        name: name.to_owned(),
        main: path(main),
        spare: path(spare),
        size: MAIN,
        block_size: BlockSize::B512,
        options: TargetOptions::default(),
        status,
    }
}

/// Every device of the machine.
pub fn devices() -> Vec<DeviceInfo> {
    let gib = |count: u64| Sectors::new(count << 21);
    vec![
        device("disk-a", MAIN, part_of("vault", Part::Main)),
        device("disk-b", SPARE, part_of("vault", Part::Spare)),
        device("disk-c", gib(2), part_of("attic", Part::Main)),
        device("disk-d", SPARE, part_of("attic", Part::Spare)),
        device("disk-e", gib(4), Usage::Free),
        DeviceInfo {
            logical_block: BlockSize::B4096,
            ..device("disk-f", gib(1), Usage::Free)
        },
        device("disk-g", Sectors::new(8192), Usage::Free),
        device("disk-h", SPARE, Usage::Free),
        device("sda", gib(512), Usage::InUse("mounted on /".to_owned())),
        device("usb-e", SPARE, Usage::Free),
    ]
}

/// The same without the spare on which too few copies are left, which would be told first.
pub fn devices_but_the_weak() -> Vec<DeviceInfo> {
    let mut devices = devices();
    devices.retain(|device| device.name != "disk-h");
    devices
}

/// What is seen on every device.
pub fn examined() -> Vec<(PathBuf, Examined)> {
    let mut vault = spare(superblock(7, "disk-a", "disk-b"), "vault");
    damage(&mut vault, Slot::S3, 114, &[0x9e, 0x41, 0, 7]);
    let mut cellar = spare(superblock(9, "disk-x", "disk-h"), "cellar");
    for slot in [Slot::S0, Slot::S2, Slot::S3] {
        damage(&mut cellar, slot, 0, &[0; SECTOR_BYTES]);
    }
    let blank = RamDisk::new(SPARE);
    vec![
        look(&blank, "disk-a"),
        look(&vault, "disk-b"),
        look(&blank, "disk-c"),
        look(&spare(superblock(8, "disk-c", "disk-d"), "attic"), "disk-d"),
        look(&blank, "disk-e"),
        look(&blank, "disk-f"),
        look(&blank, "disk-g"),
        look(&cellar, "disk-h"),
        (path("sda"), Err("permission denied".to_owned())),
        look(&plain_spare(), "usb-e"),
    ]
}

/// What happened.
pub fn events() -> Vec<LoggedEvent> {
    let at = |id, second, event| LoggedEvent {
        id,
        time: Timestamp::new(MIDNIGHT + second),
        device: "vault".to_owned(),
        event,
    };
    let verdict = Verdict::Healthy;
    vec![
        at(1, 60, TargetEvent::Activated { verdict }),
        at(2, 61, TargetEvent::ScrubClean),
        at(
            3,
            38_512,
            TargetEvent::CorruptionDetected {
                copies: 1,
                table_blocks: 0,
            },
        ),
        at(
            4,
            38_512,
            TargetEvent::RepairScheduled {
                attempt: 1,
                in_millis: 1000,
            },
        ),
    ]
}

/// What the counters were over the last day, an hour apart; the last hour in minutes.
pub fn history() -> Answer {
    let now = Timestamp::new(MIDNIGHT + 38_514);
    let sample = |ago: u64, scrubs, damaged, active_blocks| Sample {
        time_seconds: now.get() - ago,
        scrubs,
        corruption_detected: damaged,
        repairs_completed: damaged,
        repair_attempts: damaged + damaged / 3,
        active_blocks,
        pending_blocks: 0,
        used_blocks: active_blocks,
        write_errors: active_blocks,
        read_errors: 3,
    };
    let hours = (1..24).rev().map(|hour| {
        let gone = 24 - hour;
        sample(hour * 3600, gone / 3, gone / 12, 900 + gone * gone / 2)
    });
    let minutes = (0..60).rev().map(|minute| {
        let gone = 60 - minute;
        sample(
            minute * 60,
            8 + gone / 20,
            1 + gone / 60,
            1164 + gone * 2 / 3,
        )
    });
    Answer::History {
        now,
        histories: vec![("vault".to_owned(), hours.chain(minutes).collect())],
    }
}

/// What was done.
pub fn journal() -> Vec<ActionRecord> {
    let action = |id, title: &str, command: &str| ActionRecord {
        id: ActionId::new(id),
        time: Timestamp::new(MIDNIGHT + id * 60),
        begun: Begun {
            operation: "corrupt".to_owned(),
            title: title.to_owned(),
            command: command.to_owned(),
            name: Some("vault".to_owned()),
            device: Some(path("disk-b").display().to_string()),
            undoes: None,
            activates: None,
            with: None,
        },
        has_backup: true,
        ended: Some(Ended {
            done: true,
            summary: "2 copies were damaged.".to_owned(),
            rolled_back: false,
        }),
        undone_by: None,
    };
    vec![
        ActionRecord {
            undone_by: Some(ActionId::new(2)),
            ..action(
                1,
                "Corrupt copies 1 and 4 of vault",
                "dmremap-tui corrupt /lab/devices/disk-b --copy 1,4 --kind torn --seed 1",
            )
        },
        action(2, "Undo action 1", "dmremap-tui undo 1"),
        ActionRecord {
            ended: None,
            ..action(3, "Repair vault", "dmremap-tui repair vault")
        },
    ]
}

/// So many remaps in clusters of fifty, every third of them pending.
pub fn remaps(count: u64) -> Vec<RemapRow> {
    (0..count)
        .map(|number| RemapRow {
            block: MainBlock::new(number * 977 + number / 50 * 1_300_000 + 5),
            replacement: Replacement::new(number),
            active: number % 3 != 2,
            moves: u16::try_from(1 + number % 4).unwrap(),
        })
        .collect()
}

/// Lets something happen at a time in milliseconds.
pub fn happen(state: &mut State, at: u64, event: Event) -> Vec<Effect> {
    update(state, Millis::new(at), event)
}

/// Keys, one for each character; a few stand for keys without one.
pub fn keys(text: &str) -> impl Iterator<Item = Key> + '_ {
    text.chars().map(|character| match character {
        '\n' => Key::Enter,
        '\t' => Key::Tab,
        '\x1b' => Key::Esc,
        '\x7f' => Key::Backspace,
        '↑' => Key::Up,
        '↓' => Key::Down,
        '←' => Key::Left,
        '→' => Key::Right,
        other => Key::Char(other),
    })
}

/// Presses keys.
pub fn press(state: &mut State, text: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for key in keys(text) {
        let at = state.now.get();
        effects.extend(happen(state, at, Event::Key(key)));
    }
    effects
}

/// A state that was told everything about the machine, with vault chosen.
pub fn state(options: Options, width: u16, height: u16) -> State {
    let mut state = State::new(options, Some("~/lab".to_owned()), Size::new(width, height));
    let answers = [
        Answer::Zone(Zone::UTC),
        Answer::Listed {
            devices: devices(),
            mapped: vec![
                mapped("attic", "disk-c", "disk-d", well()),
                mapped("vault", "disk-a", "disk-b", damaged()),
            ],
        },
        Answer::Examined(examined()),
        Answer::Logged(events()),
        Answer::Journal(journal(), Default::default()),
        history(),
    ];
    for answer in answers {
        happen(&mut state, 1000, Event::Told(answer));
    }
    press(&mut state, "j");
    let list = RemapList::new(path("disk-b"), remaps(300), false);
    happen(&mut state, 1000, Event::Told(Answer::Remaps(list)));
    state
}
