//! A device with a hundred thousand remaps: its table is written where a target would have
//! written it, had so many writes failed.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use dmremap::inspect::inspect;
use dmremap::port::{Access, Platform as _};
use dmremap::remap_core::layout::{Region, ENTRIES_PER_BLOCK};
use dmremap::remap_core::remap_table::{
    put_entry, seal_block, BlockPlace, Entry, EntryState, FIRST_GENERATION,
};
use dmremap::remap_core::units::{Generation, MainBlock, BLOCK_4K_BYTES};
use dmremap::sys::ThisMachine;

/// How many of its blocks of main are remapped.
pub(crate) const REMAPS: u64 = 100_000;

/// What the device is called. It comes first in the list.
pub(crate) const NAME: &str = "aged";

const MAIN_BYTES: u64 = 1 << 30;
const SPARE_BYTES: u64 = 128 << 20;

/// Gives `lab` the device, which is up then.
pub(crate) fn add(binary: &Path, lab: &Path) {
    let disk = |name: &str, bytes| {
        let path = lab.join("disks").join(name);
        File::create(&path)
            .and_then(|file| file.set_len(bytes))
            .expect("a disk can be made");
        path
    };
    let main = disk("aged-main.img", MAIN_BYTES);
    let spare = disk("aged-spare.img", SPARE_BYTES);
    let run = |words: &[&str]| {
        let done = Command::new(binary)
            .arg("--lab")
            .arg(lab)
            .args(words)
            .stdout(Stdio::null())
            .status()
            .expect("the program starts");
        assert!(done.success(), "{words:?} ended with {done}");
    };
    let [main_text, spare_text] = [&main, &spare].map(|path| path.display().to_string());
    let created = [
        "create",
        NAME,
        "--confirm",
        NAME,
        "--main",
        &main_text,
        "--spare",
        &spare_text,
    ];
    run(&created);
    run(&["remove", NAME]);
    fill(&spare);
    run(&["reassemble", &spare_text, "--main", &main_text]);
}

/// Writes the table: blocks all over main, in runs and alone, each thirtieth unreadable.
fn fill(spare: &Path) {
    let store = ThisMachine
        .open(spare, Access::Read)
        .expect("the spare can be read");
    let found = inspect(store.as_ref(), spare);
    let superblock = found.superblock.expect("the spare is formatted");
    let array = superblock.array_uuid().expect("it has an array");
    let layout = *superblock.layout().expect("it has a layout");
    let file = File::options()
        .write(true)
        .open(spare)
        .expect("the spare can be written");
    let mut remaps = (0..REMAPS).map(entry);
    for index in 0..layout.table_blocks() {
        let mut raw = [0; BLOCK_4K_BYTES];
        let entries: Vec<Entry> = remaps.by_ref().take(ENTRIES_PER_BLOCK as usize).collect();
        if entries.is_empty() {
            break;
        }
        for (place, entry) in (0..).zip(&entries) {
            assert!(put_entry(&mut raw, place, entry), "the block has room");
        }
        for region in Region::ALL {
            let place = BlockPlace {
                array,
                region,
                index,
            };
            seal_block(
                &mut raw,
                &place,
                Generation::new(FIRST_GENERATION.get() + 1),
            );
            let at = layout
                .table_block(region, index)
                .expect("there is such a block");
            let at = at.byte_offset().expect("the spare is small");
            file.write_all_at(&raw, at)
                .expect("the table can be written");
        }
    }
    assert!(remaps.next().is_none(), "the table is too small");
}

/// The entry of one replacement. An odd factor leads every number to another one, all over
/// main, and the lowest bits make runs of eight.
fn entry(replacement: u64) -> Entry {
    let groups = MAIN_BYTES / 512 / 8;
    let group = (replacement / 8).wrapping_mul(40_503) % groups;
    Entry {
        state: match replacement % 30 {
            7 => EntryState::Pending,
            _ => EntryState::Active,
        },
        main: MainBlock::new(group * 8 + replacement % 8),
        moves: 1,
    }
}
