//! What may be said in a table line, and what becomes of it.

use std::io;

use nix::libc;

use super::remapping::joined;
use super::{join, status, table, words};
use crate::block::Device;
use crate::disk::{Disk, Shape, MIB};
use crate::dm::{Asked, Mapped};
use crate::kernel_log::KernelLog;
use crate::modules;
use crate::remap_core::layout::Layout;
use crate::remap_core::units::BlockSize;

fn code(result: io::Result<Mapped>) -> i32 {
    match result {
        Ok(_) => panic!("the table was taken"),
        Err(error) => error.raw_os_error().expect("the kernel gave the error"),
    }
}

pub fn module_loads_and_unloads(_: &mut KernelLog) {
    for _ in 0..20 {
        modules::unload("dm_remap_v4").expect("nothing uses the module");
        modules::load("dm_remap_v4", "").expect("it loads again");
    }
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = join(&main, &spare);
    let refused = modules::unload("dm_remap_v4").expect_err("a target is there");
    assert_eq!(refused.raw_os_error(), Some(libc::EWOULDBLOCK), "{refused}");
    mapped.remove().unwrap();
}

pub fn prints_as_given(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let options = [
        "",
        " 2 scrub_interval 0",
        " 2 block_size 4096",
        " 6 scrub_interval 60 block_size 1024 read_only 1",
    ];
    for option in options {
        let line = words(&main, &spare) + option;
        let mapped = Mapped::create("joined", &table(16 * MIB, line)).expect(option);
        let printed = format!("{} {}{option}", main.number(), spare.number());
        assert_eq!(mapped.table().unwrap(), [&*printed]);
        // What it prints it takes again.
        mapped.load(&table(16 * MIB, printed)).unwrap();
        mapped.remove().unwrap();
    }
}

pub fn refusals(log: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let both = words(&main, &spare);
    let cases = [
        (String::new(), libc::EINVAL, "expected <main> <spare>"),
        (
            main.word().to_owned(),
            libc::EINVAL,
            "expected <main> <spare>",
        ),
        (
            format!("{both} 1"),
            libc::EINVAL,
            "number of optional words is 1",
        ),
        (
            format!("{both} 2 colour 1"),
            libc::EINVAL,
            "unknown key colour",
        ),
        (
            format!("{both} 2 block_size 513"),
            libc::EINVAL,
            "block_size cannot be 513",
        ),
        (
            format!("{both} 4 read_only 1 read_only 1"),
            libc::EINVAL,
            "read_only comes twice",
        ),
        (
            format!("{both}{}", " 1".repeat(40)),
            libc::EINVAL,
            "too many",
        ),
        (format!("{0} {0}", main.word()), libc::EINVAL, "same device"),
        (
            format!("{} /dev/none", main.word()),
            libc::ENOENT,
            "spare cannot be opened",
        ),
        (
            format!("/dev/none {}", spare.word()),
            libc::ENOENT,
            "Main cannot be opened",
        ),
        (
            format!("{} /dev/null", main.word()),
            libc::ENOTBLK,
            "spare cannot be opened",
        ),
        (
            format!("{both} 2 scrub_interval \u{fffd}"),
            libc::EINVAL,
            "scrub_interval cannot be",
        ),
    ];
    for (line, errno, said) in cases {
        log.skip();
        let table = table(16 * MIB, line.clone());
        assert_eq!(code(Mapped::create("refused", &table)), errno, "{line}");
        assert!(log.holds(said), "{line}: the log does not say {said:?}");
    }
    let long = table(16 * MIB + 8, both);
    assert_eq!(code(Mapped::create("refused", &long)), libc::EINVAL);
    assert!(log.holds("longer than main"));
    // Refused tables hold nothing back.
    Device::open_exclusive(main.path()).expect("main is free");
    Device::open_exclusive(spare.path()).expect("the spare is free");
}

pub fn logs_do_not_obey_words(log: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let line = words(&main, &spare) + " 2 \u{1b}[31mred\u{202e}der 1";
    assert_eq!(
        code(Mapped::create("refused", &table(16 * MIB, line))),
        libc::EINVAL
    );
    assert!(log.holds("unknown key"));
    assert!(!log.holds("\u{1b}"), "an escape reached the log");
    assert!(!log.holds("\\x1b"), "an escape reached the log");
}

pub fn spare_too_small(log: &mut KernelLog) {
    let main = Disk::of_mib(16);
    for unit in BlockSize::ALL {
        let needs = Layout::smallest_spare(unit).get();
        // A target over part of a disk gives a device of any size.
        let whole = Disk::of_mib(16);
        for (sectors, fits) in [(80, false), (needs - 8, false), (needs, true)] {
            let words = format!("{} 0", whole.word());
            let part = crate::dm::Line {
                start: 0,
                length: sectors,
                target: "linear",
                words,
            };
            let part = Mapped::create("part", &[part]).unwrap();
            log.skip();
            let line = format!(
                "{} {} 2 block_size {unit}",
                main.word(),
                part.path().display()
            );
            let result = Mapped::create("joined", &table(16 * MIB, line));
            if fits {
                result.expect("it is just large enough").remove().unwrap();
            } else {
                assert_eq!(code(result), libc::ENOSPC, "{sectors} sectors");
                let said = format!("has {sectors} sectors and needs at least {needs}");
                assert!(log.holds(&said), "the log does not say {said:?}");
            }
            part.remove().unwrap();
        }
    }
}

pub fn logical_block(_: &mut KernelLog) {
    let of = |block| {
        Disk::new(&Shape {
            block,
            ..Shape::default()
        })
    };
    let cases = [
        (512, 512, "", Some(512)),
        (512, 4096, "", Some(4096)),
        (4096, 512, "", Some(4096)),
        (512, 512, " 2 block_size 2048", Some(2048)),
        (1024, 512, " 2 block_size 512", None),
        (512, 4096, " 2 block_size 2048", None),
    ];
    for (main, spare, option, expected) in cases {
        let (main, spare) = (of(main), of(spare));
        let result = Mapped::create("joined", &table(16 * MIB, words(&main, &spare) + option));
        match expected {
            None => assert_eq!(code(result), libc::EINVAL),
            Some(unit) => {
                let mapped = result.expect(option);
                assert_eq!(mapped.queue_limit("logical_block_size"), unit);
                assert!(mapped.queue_limit("physical_block_size") >= unit);
                mapped.remove().unwrap();
            }
        }
    }
}

pub fn both_devices_are_held(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = join(&main, &spare);
    let mut held = mapped.dependencies().unwrap();
    held.sort_unstable();
    let mut expected = [main.device(), spare.device()];
    expected.sort_unstable();
    assert_eq!(held, expected);
    for disk in [&main, &spare] {
        let error = Device::open_exclusive(disk.path())
            .err()
            .expect("it is held");
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
    }
    mapped.remove().unwrap();
    for disk in [&main, &spare] {
        Device::open_exclusive(disk.path()).expect("it is free again");
    }
}

pub fn measurement(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let line = words(&main, &spare) + " 2 read_only 1";
    let mapped = Mapped::create("joined", &table(16 * MIB, line)).unwrap();
    let expected = format!(
        "target_name=dm-remap-v4,target_version=4.1.0,main_device_name={},\
         spare_device_name={},block_size=512,read_only=y;",
        main.number(),
        spare.number()
    );
    assert_eq!(mapped.measurement().unwrap(), [expected]);
    mapped.remove().unwrap();
}

pub fn answers_are_whole(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = joined(&main, &spare);
    for block in 0..8 {
        mapped.message(0, &format!("remap {block}")).unwrap();
    }
    let cases = [
        (Asked::Status, status(&mapped).to_string()),
        (
            Asked::Table,
            format!("{} {}", main.number(), spare.number()),
        ),
        (
            Asked::Message("remaps 0"),
            mapped.message(0, "remaps 0").unwrap().unwrap(),
        ),
    ];
    for (asked, whole) in cases {
        // The seconds in a status change meanwhile, and with them, at the most, its length.
        let fields = |text: &str| text.split_whitespace().count();
        let mut answered = 0;
        // The words of a message must find room as well.
        let least = if matches!(asked, Asked::Message(_)) {
            24
        } else {
            1
        };
        for room in least..whole.len() + 16 {
            if let Some(text) = mapped.ask_within(asked, room).unwrap() {
                assert_eq!(fields(&text), fields(&whole), "{room}: {text:?}");
                answered += 1;
            }
        }
        assert!(answered >= 8, "{answered} of the larger rooms were enough");
    }
    mapped.remove().unwrap();
}

pub fn messages(log: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(16));
    let mapped = join(&main, &spare);
    let cases = [
        ("colour", "unknown message colour"),
        ("scrub now", "scrub takes no arguments"),
        ("remap x", "x is not a block number"),
        ("fault main write 1 0", "0 is not a count of blocks"),
    ];
    for (message, said) in cases {
        log.skip();
        let error = mapped.message(0, message).expect_err(message);
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{message}");
        assert!(log.holds(said), "{message}: the log does not say {said:?}");
    }
    assert_eq!(mapped.message(0, "clear_stats").unwrap(), None);
    status(&mapped);
    mapped.remove().unwrap();
}
