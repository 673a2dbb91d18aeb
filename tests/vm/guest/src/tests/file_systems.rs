//! File systems whose disk goes bad underneath them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::libc;

use super::{check_remaps, remaps, status, table, Test};
use crate::disk::{Disk, Shape, MIB};
use crate::dm::Mapped;
use crate::file_system::{Kind, Tree};
use crate::kernel_log::{KernelLog, Quiet};
use crate::random::Random;
use crate::worn::Worn;

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("file-system-ext4-over-bad-blocks", ext4),
    ("file-system-xfs-over-bad-blocks", xfs),
];

/// Rounds of work, each with more places worn and with lost blocks, and then a check of
/// everything.
const ROUNDS: u64 = 3;

fn ext4(log: &mut KernelLog) {
    let kind = Kind {
        name: "ext4",
        make: "mke2fs -q -t ext4 -b 4096",
        check: "e2fsck -f -n",
    };
    // Its superblock, and what it keeps at the start of its only group.
    over_bad_blocks(log, &kind, 64, &[(0, 2 * MIB)]);
}

fn xfs(log: &mut KernelLog) {
    let kind = Kind {
        name: "xfs",
        make: "mkfs.xfs -q -d agcount=4",
        check: "xfs_repair -n",
    };
    // The start of each of its four groups; its log is in the third.
    let groups = [0, 80, 160, 240].map(|mib| (mib * MIB, 2 * MIB));
    over_bad_blocks(log, &kind, 320, &groups);
}

/// A main with blocks that go bad, its spare, and both joined.
struct Stack<'d> {
    worn: Worn,
    spare: &'d Disk,
    joined: Option<Mapped>,
}

impl Stack<'_> {
    fn join(&mut self) -> &Mapped {
        let words = format!("{} {}", self.worn.path().display(), self.spare.word());
        let mapped = Mapped::create("joined", &table(self.worn.sectors(), words));
        self.joined
            .insert(mapped.expect("main and spare are joined"))
    }

    fn joined(&self) -> &Mapped {
        self.joined.as_ref().expect("they are joined")
    }

    fn part(&mut self) {
        let joined = self.joined.take().expect("they are joined");
        joined.remove().expect("nobody uses it");
    }
}

/// Works on a file system of `mib` MiB, the `vital` parts of which are worn most.
fn over_bad_blocks(log: &mut KernelLog, kind: &Kind, mib: u64, vital: &[(u64, u64)]) {
    let _quiet = Quiet::new();
    let cached = |mib| {
        Disk::new(&Shape {
            mib,
            cached: true,
            ..Shape::default()
        })
    };
    let (main, spare) = (cached(mib), cached(32));
    let mut stack = Stack {
        worn: Worn::over(main.path()),
        spare: &spare,
        joined: None,
    };
    let mut random = Random::new(mib);
    stack.join().message(0, "write_metadata").unwrap();
    // Some places are bad before there is a file system.
    wear(&mut stack.worn, &mut random, vital);
    kind.make(&stack.joined().path());
    kind.mount(&stack.joined().path());
    let mut tree = Tree::plant();
    for _ in 0..ROUNDS {
        work_while_it_wears(&mut tree, &mut stack.worn, &mut random, vital);
        kind.unmount();
        kind.check(&stack.joined().path());
        kind.mount(&stack.joined().path());
        let lost = lose_blocks(&tree, &main, stack.joined(), &mut random);
        for file in &lost {
            tree.rewrite(*file);
        }
        // What is read now is on the disks, and nowhere else.
        kind.unmount();
        kind.mount(&stack.joined().path());
        tree.check_all();
    }
    kind.unmount();
    kind.check(&stack.joined().path());
    let told = status(stack.joined());
    assert!(told.active.get() > 100, "hardly a block moved: {told}");
    assert!(told.write_errors > 100 && told.read_errors > 0, "{told}");
    let is_vital = |block: u64| {
        vital
            .iter()
            .any(|(from, count)| (*from..from + count).contains(&block))
    };
    let moved: Vec<u64> = remaps(stack.joined())
        .iter()
        .map(|line| line.block.get())
        .collect();
    assert!(
        moved.iter().any(|block| is_vital(*block)),
        "no vital block moved: {moved:?}"
    );
    println!(
        "vm: note {} files on {} are whole, over {} blocks that moved",
        tree.len(),
        kind.name,
        moved.len()
    );
    // The same from the metadata alone.
    stack.part();
    check_remaps(stack.join(), &moved, &[]);
    kind.check(&stack.joined().path());
    kind.mount(&stack.joined().path());
    tree.check_all();
    kind.unmount();
    assert!(
        !log.holds("EXT4-fs error") && !log.holds("Corruption"),
        "a file system complained"
    );
    stack.part();
    stack.worn.remove();
}

/// Has some more places take no writes: half of them where it hurts most.
fn wear(worn: &mut Worn, random: &mut Random, vital: &[(u64, u64)]) {
    let sectors = worn.sectors();
    let places: Vec<(u64, u64)> = (0..32)
        .map(|nth| {
            let (from, count) = match nth % 2 {
                0 => (0, sectors),
                _ => vital[random.below(vital.len() as u64) as usize],
            };
            (from + random.below(count), 1 + random.below(40))
        })
        .collect();
    worn.wear(places.into_iter());
}

/// Works on the files, and has places wear out meanwhile.
fn work_while_it_wears(
    tree: &mut Tree,
    worn: &mut Worn,
    random: &mut Random,
    vital: &[(u64, u64)],
) {
    let mut own = Random::new(random.next());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let work = scope.spawn(|| {
            tree.exercise(&mut own, 120);
            done.store(true, Ordering::Relaxed);
        });
        for _ in 0..4 {
            wear(worn, random, vital);
            thread::sleep(Duration::from_millis(150));
            if done.load(Ordering::Relaxed) {
                break;
            }
        }
        work.join().expect("the work found nothing wrong");
    });
}

/// Has blocks of some files that are not on the spare go bad as a whole, and sees them
/// lost; returns the files.
fn lose_blocks(tree: &Tree, main: &Disk, mapped: &Mapped, random: &mut Random) -> Vec<u64> {
    let moved = remaps(mapped);
    let mut lost = Vec::new();
    for (file, sector) in tree.places(random, 6) {
        if moved.iter().any(|line| line.block.get() == sector + 3) {
            continue;
        }
        main.spoil(sector + 3, 1);
        let error = tree.check(file).expect_err("a lost block was read");
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        lost.push(file);
    }
    assert!(!lost.is_empty(), "no block could be lost");
    lost
}
