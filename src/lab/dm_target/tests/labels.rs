//! A main that bears labels: which mains a device comes up on, what is served of them, and how
//! lost labels come back.

use super::rig::{arguments, disks, made_on, Rig, START};
use crate::lab::dm_target::{ActivateError, Disks, Target};
use crate::lab::fault::{FaultRange, Faulty};
use crate::lab::ram::RamDisk;
use crate::port::slots::survey;
use crate::port::BlockStore as _;
use crate::remap_core::bytes::Text;
use crate::remap_core::engine::LoadError;
use crate::remap_core::event::Event;
use crate::remap_core::label::{End, Label, MainForm};
use crate::remap_core::main_verdict::{LabelState, MainVerdict};
use crate::remap_core::message::{Direction, Message};
use crate::remap_core::params::Options;
use crate::remap_core::quorum::judge;
use crate::remap_core::superblock::{Extension, Superblock};
use crate::remap_core::units::{ArrayUuid, BlockSize, Sector, Sectors, Slot};

/// A main whose size is no multiple of 4 KiB.
const SIZE: Sectors = Sectors::new(2 * 2048 + 64 + 5);

/// A device that was just made on a labelled main, its labels in place.
struct Made {
    main: RamDisk,
    spare: RamDisk,
    superblock: Superblock,
}

fn made() -> Made {
    let (_, mut spare) = disks(BlockSize::B512, 128);
    let mut main = RamDisk::new(SIZE);
    made_on(&mut Disks {
        main: &mut main,
        spare: &mut spare,
    });
    let found = survey(&spare);
    let bare = judge(&found).superblock(&found).unwrap();
    let extension = bare.extension.unwrap();
    let superblock = Superblock {
        extension: Some(Extension {
            features: extension.features.with_main(MainForm::Labelled),
            main_epoch: 2,
            ..extension
        }),
        ..bare
    };
    for slot in Slot::ALL {
        let copy = superblock.encode(slot);
        spare.write_at(slot.sector(), &copy).unwrap();
    }
    let mut made = Made {
        main,
        spare,
        superblock,
    };
    for end in End::ALL {
        made.put(end, Some(made.label(end)));
    }
    made
}

impl Made {
    fn label(&self, end: End) -> Label {
        let extension = self.superblock.extension.unwrap();
        let name = Text::new(b"vault").unwrap();
        Label::of(&self.superblock, end, extension.main_identity, name, true).unwrap()
    }

    fn put(&mut self, end: End, label: Option<Label>) {
        let mut raw = [0; 4096];
        if let Some(label) = label {
            label.write(&mut raw);
        }
        let at = end.label_sector(SIZE).unwrap();
        self.main.write_at(at, &raw).unwrap();
    }

    /// Makes one end show this.
    fn show(&mut self, end: End, state: LabelState) {
        let label = self.label(end);
        let changed = match state {
            LabelState::Valid => label,
            LabelState::Unsealed => Label {
                sealed: false,
                ..label
            },
            LabelState::Stale => Label { epoch: 1, ..label },
            LabelState::Newer => Label { epoch: 3, ..label },
            LabelState::Other => Label {
                array: ArrayUuid::new([9; 16]),
                ..label
            },
            LabelState::Missing => return self.put(end, None),
            LabelState::Corrupt
            | LabelState::Unreadable
            | LabelState::Foreign
            | LabelState::Unsupported => {
                return self.spoil(end, state);
            }
        };
        self.put(end, Some(changed));
    }

    fn spoil(&mut self, end: End, state: LabelState) {
        let mut raw = [0; 4096];
        self.label(end).write(&mut raw);
        match state {
            LabelState::Corrupt => raw[600] ^= 1,
            LabelState::Foreign => raw[..4].copy_from_slice(b"XFSB"),
            LabelState::Unsupported => {
                // Of a later version, with a checksum that fits.
                raw[4] = 2;
                let sum = crate::remap_core::label::checksum_of(&raw);
                raw[8..12].copy_from_slice(&sum.to_le_bytes());
            }
            _ => {}
        }
        let at = end.label_sector(SIZE).unwrap();
        self.main.write_at(at, &raw).unwrap();
    }

    /// Brings the device up, with those ends unreadable that are to be.
    fn up(self, shown: [LabelState; 2], options: Options) -> Result<Rig, ActivateError> {
        let unreadable = End::ALL.into_iter().zip(shown);
        let unreadable = unreadable.filter(|(_, state)| *state == LabelState::Unreadable);
        let faults = unreadable.map(|(end, _)| {
            FaultRange::bad(
                Direction::Read,
                end.label_sector(SIZE).unwrap(),
                Sectors::new(8),
            )
        });
        let faults: Vec<FaultRange> = faults.collect();
        Rig::on_faulty(
            Faulty::new(self.main, faults),
            Faulty::new(self.spare, Vec::new()),
            options,
        )
    }
}

#[test]
fn a_device_is_what_lies_between_the_labels() {
    let made = made();
    let before = made.main.clone();
    let mut rig = made.up([LabelState::Valid; 2], Options::default()).unwrap();
    assert_eq!(rig.target.size(), Sectors::new(64));
    rig.write(0, 64, 7).unwrap();
    rig.expect(0, 64, 7);
    assert!(rig.write(64, 1, 7).is_err(), "past the end");
    let pattern = rig.pattern(0, 64, 7);
    let main = rig.main.inner();
    let mut data = vec![0; 64 * 512];
    main.read_at(Sector::new(2048), &mut data).unwrap();
    assert_eq!(data, pattern);
    for end in End::ALL {
        let (at, length) = end.range(SIZE).unwrap();
        let mut now = vec![0; length.bytes().unwrap() as usize];
        let mut was = now.clone();
        main.read_at(at, &mut now).unwrap();
        before.read_at(at, &mut was).unwrap();
        assert!(now == was, "the {end} end was written to");
    }
}

#[test]
fn a_block_that_fails_between_the_labels_is_moved_and_found_again() {
    let mut rig = made()
        .up([LabelState::Valid; 2], Options::default())
        .unwrap();
    rig.write(0, 64, 1).unwrap();
    let (at, count) = (Sector::new(2048 + 9), Sectors::new(2));
    *rig.main.faults() = vec![FaultRange::bad(Direction::Write, at, count)];
    rig.write(5, 10, 2).unwrap();
    assert_eq!(rig.status().active.get(), 2);
    rig.restart(Options::default()).unwrap();
    rig.expect(0, 5, 1);
    rig.expect(5, 10, 2);
    rig.expect(15, 49, 1);
}

#[test]
fn every_pair_of_labels_comes_up_or_is_refused_by_its_verdict() {
    for first in LabelState::ALL {
        for last in LabelState::ALL {
            for read_only in [false, true] {
                let mut made = made();
                made.show(End::First, first);
                made.show(End::Last, last);
                let options = Options {
                    read_only,
                    ..Options::default()
                };
                let verdict = MainVerdict::of(first, last);
                let up = made.up([first, last], options);
                // Without a label on either end a person may have a look at it.
                let wanted = verdict.is_main() || (verdict == MainVerdict::Unlabelled && read_only);
                match up {
                    Ok(_) => assert!(wanted, "{first} {last}"),
                    Err(error) => {
                        assert!(!wanted, "{first} {last}");
                        assert_eq!(error, ActivateError::Load(LoadError::Main(verdict)));
                    }
                }
            }
        }
    }
}

#[test]
fn a_scrub_tells_of_labels_and_a_repair_writes_lost_ones_anew() {
    let intact = made().main;
    for state in LabelState::ALL {
        let mut made = made();
        made.show(End::First, state);
        // What is not to be read cannot be written either, here.
        if state == LabelState::Unreadable || !MainVerdict::of(state, LabelState::Valid).is_main() {
            continue;
        }
        let mut rig = made
            .up([state, LabelState::Valid], Options::default())
            .unwrap();
        rig.events.clear();
        rig.message(&Message::Scrub).unwrap();
        let told = Event::MainLabel {
            end: End::First,
            state,
        };
        let is_valid = state == LabelState::Valid;
        assert_eq!(rig.events.contains(&told), !is_valid, "{state}");
        assert_eq!(rig.events.contains(&Event::ScrubClean), is_valid, "{state}");
        rig.message(&Message::Repair).unwrap();
        rig.events.clear();
        rig.message(&Message::Scrub).unwrap();
        assert_eq!(rig.events, [Event::ScrubClean], "{state}");
        for end in End::ALL {
            let at = end.label_sector(SIZE).unwrap();
            let (mut now, mut was) = ([0; 4096], [0; 4096]);
            rig.main.read_at(at, &mut now).unwrap();
            intact.read_at(at, &mut was).unwrap();
            assert!(now == was, "{state}: label at the {end} end");
        }
    }
}

#[test]
fn what_others_wrote_over_a_label_of_an_active_device_is_told_and_left() {
    let mut rig = made()
        .up([LabelState::Valid; 2], Options::default())
        .unwrap();
    let mut theirs = [0; 4096];
    theirs[..4].copy_from_slice(b"XFSB");
    rig.main.write_at(Sector::new(0), &theirs).unwrap();
    rig.events.clear();
    rig.message(&Message::Scrub).unwrap();
    let told = Event::MainLabel {
        end: End::First,
        state: LabelState::Foreign,
    };
    assert_eq!(rig.events, [told]);
    rig.message(&Message::Repair).unwrap();
    let mut now = [0; 4096];
    rig.main.read_at(Sector::new(0), &mut now).unwrap();
    assert_eq!(now, theirs);
}

#[test]
fn a_main_with_labels_is_no_pass_through() {
    for (first, last) in [(true, true), (true, false), (false, true)] {
        let Made {
            mut main, spare, ..
        } = made();
        for (end, kept) in End::ALL.into_iter().zip([first, last]) {
            if !kept {
                let at = end.label_sector(SIZE).unwrap();
                main.write_at(at, &[0; 4096]).unwrap();
            }
        }
        let mut blank = RamDisk::new(spare.size());
        let mut disks = Disks {
            main: &mut main,
            spare: &mut blank,
        };
        let up = Target::activate(arguments(Options::default()), &mut disks, START);
        let refused = ActivateError::Load(LoadError::Main(MainVerdict::Other));
        assert_eq!(up.map(|_| ()), Err(refused));
    }
}
