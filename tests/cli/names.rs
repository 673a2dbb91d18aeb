//! Words that name a device, beside files and directories that are called like it.

use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::stat::Mode;

use crate::Bench;

/// Makes something at a path.
type Make = fn(&Path);

#[test]
fn nothing_that_is_no_store_hides_a_device_that_is_called_like_it() {
    let bench = Bench::new();
    assert_eq!(bench.run("--lab lab list").status, 0);
    let make: [(&str, Make); 4] = [
        ("a directory", |path| std::fs::create_dir(path).unwrap()),
        ("a FIFO", |path| {
            nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
        }),
        ("a socket", |path| drop(UnixListener::bind(path).unwrap())),
        ("a character device", |path| {
            std::os::unix::fs::symlink("/dev/null", path).unwrap();
        }),
    ];
    for (what, make) in make {
        for name in ["attic", "vault", "disk-b.img", "disk-d.img"] {
            make(&bench.path(name));
        }
        for line in [
            "inspect attic",
            "inspect disk-b.img",
            "scan --scan-only --device attic --device disk-b.img",
            "status attic",
            "--dry-run corrupt attic --copy 1",
            "--dry-run corrupt disk-b.img --copy 1",
            "--dry-run repair vault",
            "--dry-run migrate attic",
            "--dry-run allow attic",
            "reassemble vault",
            "reassemble disk-b.img",
        ] {
            let ran = bench.run(&format!("--lab lab --policy policy.toml {line}"));
            let said = ran.stderr + &ran.stdout;
            assert!(
                !said.contains("neither a block device"),
                "{what} {line}: {said}"
            );
            assert!(!said.contains("not found"), "{what} {line}: {said}");
        }
        for name in ["attic", "vault", "disk-b.img", "disk-d.img"] {
            let path = bench.path(name);
            match path.is_dir() {
                true => std::fs::remove_dir(path).unwrap(),
                false => std::fs::remove_file(path).unwrap(),
            }
        }
    }
}

#[test]
fn a_mapped_device_comes_before_an_image_of_its_name_and_a_slash_before_both() {
    let bench = Bench::new();
    assert_eq!(bench.run("--lab lab list").status, 0);
    bench.image("attic", 16_384);
    let seen = bench.run("--lab lab inspect attic --json").json("inspect");
    assert_eq!(seen["fields"]["name"], "attic");
    let seen = bench
        .run("--lab lab inspect ./attic --json")
        .json("inspect");
    assert_eq!(seen["verdict"], "none");
    let plan = bench.run("--lab lab --dry-run repair attic --json");
    assert_eq!(
        plan.json("repair")["plan"]["name"],
        "attic",
        "{}",
        plan.stderr
    );
}
