//! What reaches main and the spare of flushes and of writes that are to be durable by
//! themselves, counted.

use super::{check_remaps, table, Test};
use crate::block::Device;
use crate::disk::{Disk, Shape, MIB};
use crate::dm::Mapped;
use crate::kernel_log::KernelLog;
use crate::log_writes::{Event, Logged};
use crate::remap_core::layout::{Layout, Region};
use crate::remap_core::units::{BlockSize, Sectors};

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("flushes-and-fua-are-counted", counted),
    ("flushes-of-disks-without-fua", without_fua),
];

/// What one disk was told, in order.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Flush,
    /// A write of so many sectors from that one on.
    Write(u64, u64),
    /// The same, durable by itself.
    Durable(u64, u64),
}

fn told(events: Vec<Event>) -> Vec<Told> {
    let told = |event: &Event| match event {
        Event::Flush => Some(Told::Flush),
        Event::Write { at, data, fua } => {
            let length = data.len() as u64 / 512;
            Some(match fua {
                true => Told::Durable(at.get(), length),
                false => Told::Write(at.get(), length),
            })
        }
        Event::Mark(_) => None,
    };
    events.iter().filter_map(told).collect()
}

fn cached() -> Disk {
    Disk::new(&Shape {
        cached: true,
        ..Shape::default()
    })
}

/// Has main and the spare logged while `inner` uses them joined, with blocks 40 and 41 on
/// the spare already; returns what each was told.
fn log_of(main: &Disk, spare: &Disk, inner: impl FnOnce(&Mapped)) -> [Vec<Told>; 2] {
    let logged = [("logged-main", main), ("logged-spare", spare)]
        .map(|(name, disk)| Logged::named(name, disk, Sectors::new(16 * MIB)));
    let words = logged
        .each_ref()
        .map(|one| one.path().display().to_string());
    // A scrub in between would only read; without one there is nothing to wait for.
    let words = words.join(" ") + " 2 scrub_interval 0";
    let mapped = Mapped::create("joined", &table(16 * MIB, words));
    let mapped = mapped.expect("main and spare are joined");
    inner(&mapped);
    mapped.remove().unwrap();
    let [main, mut spare] = logged.map(|one| told(one.finish()));
    // Blocks are on the spare: the table that was read is made to last when the device comes up.
    assert_eq!(spare.remove(0), Told::Flush);
    [main, spare]
}

fn prepared() -> (Disk, Disk, Layout) {
    let (main, spare) = (cached(), cached());
    let mapped = super::remapping::joined(&main, &spare);
    for block in [40, 41] {
        mapped.message(0, &format!("remap {block}")).unwrap();
    }
    mapped.remove().unwrap();
    let layout = Layout::for_spare(Sectors::new(16 * MIB), BlockSize::B512);
    (main, spare, layout.expect("the spare is large enough"))
}

fn counted(_: &mut KernelLog) {
    let (main, spare, layout) = prepared();
    let there = layout.replacement.get();
    // Only flushes: one for each disk, for blocks are on the spare.
    let [of_main, of_spare] = log_of(&main, &spare, |mapped| {
        let device = Device::open(&mapped.path());
        for _ in 0..3 {
            device.flush().unwrap();
        }
    });
    let three = [Told::Flush, Told::Flush, Told::Flush];
    assert_eq!((&of_main[..], &of_spare[..]), (&three[..], &three[..]));
    // Writes, and one flush that makes both durable.
    let [of_main, of_spare] = log_of(&main, &spare, |mapped| {
        let device = Device::open(&mapped.path());
        device.write_pattern(8, 8, 1).unwrap();
        device.write_pattern(40, 2, 1).unwrap();
        device.flush().unwrap();
    });
    assert_eq!(of_main, [Told::Write(8, 8), Told::Flush]);
    assert_eq!(of_spare, [Told::Write(there, 2), Told::Flush]);
    // Durable writes go where their blocks are, and to nobody else. The kernel has each that
    // was asked for of a block device's own file followed by a flush, which both get.
    let [of_main, of_spare] = log_of(&main, &spare, |mapped| {
        let device = Device::open_durable(&mapped.path());
        device.write_pattern(8, 8, 2).unwrap();
        device.write_pattern(41, 1, 2).unwrap();
        device.write_pattern(38, 6, 3).unwrap();
    });
    let expected = [
        Told::Durable(8, 8),
        Told::Flush,
        Told::Flush,
        Told::Durable(38, 2),
        Told::Durable(42, 2),
        Told::Flush,
    ];
    assert_eq!(of_main, expected);
    let expected = [
        Told::Flush,
        Told::Durable(there + 1, 1),
        Told::Flush,
        Told::Durable(there, 2),
        Told::Flush,
    ];
    assert_eq!(of_spare, expected);
    // A block that moves: its data, then both regions of the table, each durable before
    // the next, with or without a request for that.
    for (block, round, durable) in [(60, 4, false), (61, 5, true)] {
        main.spoil(block, 1);
        let [of_main, of_spare] = log_of(&main, &spare, |mapped| {
            let device = match durable {
                false => Device::open(&mapped.path()),
                true => Device::open_durable(&mapped.path()),
            };
            device.write_pattern(block, 1, round).unwrap();
        });
        // Before anything moves, main is asked whether it takes writes elsewhere. What is
        // durable by itself is logged when it is sent, and other writes when they end.
        let asked = Told::Durable(0, 1);
        let expected = match durable {
            false => vec![asked, Told::Write(block, 1)],
            true => vec![Told::Durable(block, 1), asked, Told::Flush],
        };
        assert_eq!(of_main, expected);
        let place = there + block - 60 + 2;
        let [a, b] = Region::ALL.map(|region| {
            let at = layout.table_block(region, 0).expect("it has one block");
            Told::Durable(at.get(), 8)
        });
        let expected = |first, second| {
            let moved = [Told::Durable(place, 1), first, second];
            moved
                .into_iter()
                .chain(durable.then_some(Told::Flush))
                .collect::<Vec<_>>()
        };
        assert_eq!(of_spare, expected(a, b));
    }
    let mapped = super::join(&main, &spare);
    check_remaps(&mapped, &[40, 41, 60, 61], &[]);
    let device = Device::open(&mapped.path());
    device.check_pattern(8, 8, 2);
    device.check_pattern(38, 6, 3);
    device.check_pattern(60, 1, 4);
    device.check_pattern(61, 1, 5);
    drop(device);
    mapped.remove().unwrap();
}

/// A disk that knows no durable writes is flushed after each, and the other one is not: of
/// each write, both get only the flush that the kernel has follow it.
fn without_fua(_: &mut KernelLog) {
    let no_fua = || {
        Disk::new(&Shape {
            cached: true,
            fua: false,
            ..Shape::default()
        })
    };
    let (main, spare) = (no_fua(), no_fua());
    let mapped = super::remapping::joined(&main, &spare);
    mapped.message(0, "remap 40").unwrap();
    // The first scrub must not fall into what is counted.
    super::remapping::wait_for(&mapped, "the first scrub", |told| told.scrubs > 0);
    let flushes_of = |inner: &dyn Fn(&Device)| {
        let device = Device::open_durable(&mapped.path());
        let before = (main.flushes(), spare.flushes());
        inner(&device);
        (main.flushes() - before.0, spare.flushes() - before.1)
    };
    let write = |at, count| {
        move |device: &Device| {
            for round in 1..=5 {
                device.write_pattern(at, count, round).unwrap();
            }
        }
    };
    assert_eq!(flushes_of(&write(8, 8)), (10, 5), "of blocks on main");
    assert_eq!(
        flushes_of(&write(40, 1)),
        (5, 10),
        "of a block on the spare"
    );
    assert_eq!(flushes_of(&write(40, 2)), (10, 10), "of blocks on both");
    assert_eq!(
        flushes_of(&|device| device.flush().unwrap()),
        (1, 1),
        "of a flush"
    );
    let read = flushes_of(&|device| device.check_pattern(40, 2, 5));
    assert_eq!(read, (0, 0), "of a read");
    mapped.remove().unwrap();
}
