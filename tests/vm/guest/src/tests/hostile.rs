//! Metadata of chance, of age, and made to do harm: an error, a pass-through that says
//! so, or a device that is right; nothing else.

use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::thread;

use super::remapping::joined;
use super::{status, table, words, Test};
use crate::block::{Buffer, Device};
use crate::disk::{Disk, MIB};
use crate::dm::Mapped;
use crate::kernel_log::{KernelLog, Quiet};
use crate::metadata::Metadata;
use crate::random::Random;
use crate::remap_core::layout::{Layout, Region, ENTRIES_PER_BLOCK};
use crate::remap_core::quorum::Verdict;
use crate::remap_core::remap_table::{
    check_block, put_entry, seal_block, BlockPlace, Entry, EntryState, RawBlock,
};
use crate::remap_core::status::Mode;
use crate::remap_core::superblock::{readdress, RawCopy};
use crate::remap_core::units::{ArrayUuid, BlockSize, Generation, MainBlock, Slot};

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("ten-thousand-mutated-spares-first-half", first_half),
    ("ten-thousand-mutated-spares-second-half", second_half),
];

const THREADS: u64 = 8;

/// In one of two tests, which run side by side.
const CASES: u64 = 5_000;

/// What became of the spares.
#[derive(Default)]
struct Tally {
    refused: u64,
    pass_through: u64,
    read_only: u64,
    up: u64,
}

fn first_half(_: &mut KernelLog) {
    mutated(100);
}

fn second_half(_: &mut KernelLog) {
    mutated(200);
}

fn mutated(seed: u64) {
    let _quiet = Quiet::new();
    let main = Disk::of_mib(16);
    let good = Disk::of_mib(5);
    let mapped = joined(&main, &good);
    let device = Device::open(&mapped.path());
    device.write_pattern(0, 4096, 1).unwrap();
    for block in 100..108 {
        mapped.message(0, &format!("remap {block}")).unwrap();
    }
    device.write_pattern(100, 8, 2).unwrap();
    drop(device);
    mapped.remove().unwrap();
    let metadata = Metadata::of(&good, BlockSize::B512);
    let metadata = &metadata;
    // Each waits for the kernel most of the time.
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|nth| scope.spawn(move || run(nth, seed, metadata)))
            .collect();
        let threads = threads.into_iter();
        threads
            .map(|one| one.join().expect("no case went wrong"))
            .collect()
    });
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    let (refused, up) = (sum(|of| of.refused), sum(|of| of.up));
    let (passes, read_only) = (sum(|of| of.pass_through), sum(|of| of.read_only));
    println!("vm: note {refused} refused, {passes} passed through, {read_only} read-only, {up} up");
    assert_eq!(refused + passes + read_only + up, CASES);
    assert!(refused > 500 && up > 500 && read_only > 50 && passes > 50);
}

fn run(nth: u64, seed: u64, metadata: &Metadata) -> Tally {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(5));
    let device = Device::open(main.path());
    device.write_pattern(0, 4096, 1).expect("main takes writes");
    drop(device);
    let name = format!("mutated{nth}");
    let mut random = Random::new(seed + nth);
    let mut tally = Tally::default();
    // Tables are swapped, for making a device takes longer than everything else.
    let mut mapped = Mapped::prepare(&name).unwrap();
    for case in 0..CASES / THREADS {
        if case % 25 == 24 {
            mapped.remove().unwrap();
            mapped = Mapped::prepare(&name).unwrap();
        }
        metadata.restore(&spare);
        let device = Device::open(spare.path());
        let mut believed = false;
        let mut what = Vec::new();
        for _ in 0..1 + random.below(4) {
            let mutation = Mutation::choose(&mut random);
            believed |= mutation.is_believed();
            what.push(mutation);
            mutation.apply(&device, &metadata.layout, &mut random);
        }
        drop(device);
        let option = match random.below(4) {
            0 => " 2 read_only 1",
            _ => "",
        };
        let what = format!("case {nth}/{case}{option}: {what:?}");
        let line = table(16 * MIB, words(&main, &spare) + option);
        mapped.load(&line).unwrap();
        if mapped.resume().is_err() {
            tally.refused += 1;
            continue;
        }
        let judged = catch_unwind(AssertUnwindSafe(|| {
            judge(&mapped, believed, &mut random, &mut tally);
        }));
        if let Err(panic) = judged {
            println!("vm: log {what}: {:?}", mapped.status());
            resume_unwind(panic);
        }
        // A device that is suspended leaves the spare alone.
        mapped.suspend().unwrap();
    }
    mapped.remove().unwrap();
    tally
}

/// Checks a device that came up, and puts it to some use.
fn judge(mapped: &Mapped, believed: bool, random: &mut Random, tally: &mut Tally) {
    let told = status(mapped);
    let device = Device::open(&mapped.path());
    match told.mode {
        Mode::PassThrough => {
            assert_eq!(told.verdict, Verdict::None);
            tally.pass_through += 1;
        }
        Mode::ReadOnly => {
            tally.read_only += 1;
            device
                .write_pattern(300, 1, 1)
                .expect_err("it took a write");
        }
        Mode::ReadWrite => {
            tally.up += 1;
            if device.write_pattern(300, 1, 1).is_err() {
                // Its first scrub may have found what contradicts the table.
                let told = status(mapped);
                assert!(told.needs_check && told.mode == Mode::ReadOnly, "{told}");
            }
        }
    }
    // Where nothing was put into the table that its checksums vouch for, what moved is
    // where it moved to, and everything else is main's.
    let whole = matches!(
        told.verdict,
        Verdict::Healthy | Verdict::Degraded | Verdict::Interrupted
    );
    if whole && !believed && !status(mapped).needs_check {
        let mut buffer = Buffer::sectors(64);
        device.read(64, &mut buffer).unwrap();
        buffer.check_part(0, 36, 64, 1);
        buffer.check_part(36, 8, 100, 2);
        buffer.check_part(44, 20, 108, 1);
    } else {
        // It may be an error; it must come back.
        let _ = device.read(64, &mut Buffer::sectors(64));
    }
    let message = [
        "scrub",
        "repair",
        "remaps",
        "write_metadata",
        "remap 200",
        "clear_stats",
    ];
    let message = message[random.below(6) as usize];
    let _ = mapped.message(0, message);
    if message == "remaps" {
        mapped.message(0, message).unwrap();
    }
}

/// One change of a spare.
#[derive(Clone, Copy, Debug)]
enum Mutation {
    /// A bit of a copy.
    Bit,
    /// All of a copy.
    Copy,
    /// A field of all copies, under checksums that fit.
    Field,
    /// The same in one copy.
    OneField,
    /// All slots.
    Slots,
    /// Bytes of a region header.
    Header,
    /// Bytes of a table block of one region.
    Block,
    /// Bytes of the same table block in both regions.
    Blocks,
    /// Entries of one region, under a checksum and a generation that fit.
    Entries,
    /// Different entries in both regions, of one generation.
    Split,
    /// The same entries in both regions.
    Agreed,
    /// Everything.
    All,
}

impl Mutation {
    fn choose(random: &mut Random) -> Self {
        const COMMON: [Mutation; 11] = [
            Mutation::Bit,
            Mutation::Copy,
            Mutation::Field,
            Mutation::OneField,
            Mutation::Slots,
            Mutation::Header,
            Mutation::Block,
            Mutation::Blocks,
            Mutation::Entries,
            Mutation::Split,
            Mutation::Agreed,
        ];
        match random.below(24) {
            0 => Self::All,
            _ => COMMON[random.below(COMMON.len() as u64) as usize],
        }
    }

    /// Whether the target has to believe what was put there.
    fn is_believed(self) -> bool {
        matches!(
            self,
            Self::Entries | Self::Split | Self::Agreed | Self::Field | Self::OneField
        )
    }

    fn apply(self, device: &Device, layout: &Layout, random: &mut Random) {
        let slot = Slot::ALL[random.below(5) as usize];
        let region = Region::ALL[random.below(2) as usize];
        match self {
            Self::Bit => change(device, slot.sector().get(), 1, |bytes| {
                bytes[random.below(512) as usize] ^= 1 << random.below(8);
            }),
            Self::Copy => change(device, slot.sector().get(), 1, |bytes| {
                spoil(bytes, random);
            }),
            Self::Field => set_field(device, &Slot::ALL, random),
            Self::OneField => set_field(device, &[slot], random),
            Self::Slots => {
                for slot in Slot::ALL {
                    change(device, slot.sector().get(), 1, |bytes| spoil(bytes, random));
                }
            }
            Self::Header => {
                change(device, layout.region_start(region).get(), 8, |bytes| {
                    spoil(bytes, random);
                });
            }
            Self::Block | Self::Blocks => {
                let number = number(layout, random);
                for at in Region::ALL {
                    if at == region || matches!(self, Self::Blocks) {
                        let at = layout
                            .table_block(at, number)
                            .expect("there is such a block");
                        change(device, at.get(), 8, |bytes| spoil(bytes, random));
                    }
                }
            }
            Self::Entries => {
                let mut entries = Random::new(random.next());
                set_entries(
                    device,
                    layout,
                    &[region],
                    number(layout, random),
                    &mut entries,
                );
            }
            Self::Split => {
                let number = number(layout, random);
                for region in Region::ALL {
                    let mut entries = Random::new(random.next());
                    set_entries(device, layout, &[region], number, &mut entries);
                }
            }
            Self::Agreed => {
                let mut entries = Random::new(random.next());
                set_entries(
                    device,
                    layout,
                    &Region::ALL,
                    number(layout, random),
                    &mut entries,
                );
            }
            Self::All => {
                for slot in Slot::ALL {
                    change(device, slot.sector().get(), 8, |bytes| random.fill(bytes));
                }
                for region in Region::ALL {
                    let sectors = layout.region_sectors().get();
                    let at = layout.region_start(region).get();
                    change(device, at, sectors, |bytes| random.fill(bytes));
                }
            }
        }
    }
}

/// The number of a table block: most often the one that is in use.
fn number(layout: &Layout, random: &mut Random) -> u32 {
    match random.below(3) {
        0 => random.below(u64::from(layout.table_blocks())) as u32,
        _ => 0,
    }
}

fn change(device: &Device, at: u64, sectors: u64, how: impl FnOnce(&mut [u8])) {
    let mut buffer = Buffer::sectors(sectors);
    device.read(at, &mut buffer).unwrap();
    how(buffer.bytes_mut());
    device.write(at, &buffer).unwrap();
}

/// Zeros, noise, or noise in one place.
fn spoil(bytes: &mut [u8], random: &mut Random) {
    match random.below(3) {
        0 => bytes.fill(0),
        1 => random.fill(bytes),
        _ => {
            let at = random.below(bytes.len() as u64 - 8) as usize;
            random.fill(&mut bytes[at..at + 8]);
        }
    }
}

/// Where fields of a copy begin.
const FIELDS: [usize; 28] = [
    4, 8, 16, 28, 32, 40, 77, 114, 122, 130, 134, 138, 144, 272, 400, 404, 406, 408, 412, 416, 420,
    436, 468, 472, 476, 480, 488, 496,
];

/// Gives a field of some copies a value at its limits or near what it was.
fn set_field(device: &Device, slots: &[Slot], random: &mut Random) {
    let at = FIELDS[random.below(FIELDS.len() as u64) as usize];
    let width = [1, 2, 4, 8][random.below(4) as usize];
    let value = match random.below(5) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << random.below(64),
        3 => random.next(),
        _ => u64::MAX - random.below(16),
    };
    let add = random.below(2) == 0;
    for slot in slots {
        change(device, slot.sector().get(), 1, |bytes| {
            let mut word = [0; 8];
            word[..width].copy_from_slice(&bytes[at..at + width]);
            let before = u64::from_le_bytes(word);
            let after = if add {
                before.wrapping_add(value)
            } else {
                value
            };
            bytes[at..at + width].copy_from_slice(&after.to_le_bytes()[..width]);
            let raw: &RawCopy = (&*bytes).try_into().expect("one sector");
            let sealed = readdress(raw, *slot);
            bytes.copy_from_slice(&sealed);
        });
    }
}

/// Puts entries into a table block of some regions and seals it.
fn set_entries(
    device: &Device,
    layout: &Layout,
    regions: &[Region],
    index: u32,
    random: &mut Random,
) {
    let generation = 1 + random.below(20);
    let mut entries = Vec::new();
    for _ in 0..1 + random.below(6) {
        let main = match random.below(4) {
            0 => random.below(512),
            1 => u64::MAX - random.below(3),
            2 => 16 * MIB - 1 + random.below(3),
            _ => 100 + random.below(4),
        };
        let entry = Entry {
            state: EntryState::ALL[random.below(5) as usize],
            main: MainBlock::new(main),
            moves: random.below(4) as u16,
        };
        entries.push((random.below(ENTRIES_PER_BLOCK) as u32, entry));
    }
    for region in regions {
        let at = layout
            .table_block(*region, index)
            .expect("there is such a block");
        change(device, at.get(), 8, |bytes| {
            let raw: &mut RawBlock = bytes.try_into().expect("4 KiB");
            let array = ArrayUuid::new(raw[16..32].try_into().expect("16 bytes"));
            let place = BlockPlace {
                array,
                region: *region,
                index,
            };
            let intact = check_block(raw, &place).is_ok();
            for (place, entry) in &entries {
                put_entry(raw, *place, entry);
            }
            if intact {
                seal_block(raw, &place, Generation::new(generation));
            }
        });
    }
}
