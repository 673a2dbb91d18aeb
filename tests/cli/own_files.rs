//! Files of ours that are replaced, and what stands beside them or in their place.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::process::Child;

use nix::sys::stat::Mode;

use crate::Bench;

#[test]
fn what_stands_in_the_place_of_the_list_stays_what_it_is() {
    let bench = Bench::new();
    assert_eq!(bench.run("--lab lab list").status, 0);
    let list = bench.path("list");
    let allow = || bench.run("--lab lab --policy list allow attic");
    std::fs::create_dir(&list).unwrap();
    let ran = allow();
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("a directory"), "{}", ran.stderr);
    std::fs::remove_dir(&list).unwrap();

    nix::unistd::mkfifo(&list, Mode::S_IRWXU).unwrap();
    let ran = allow();
    assert_ne!(ran.status, 0);
    assert!(ran.stderr.contains("a FIFO"), "{}", ran.stderr);
    assert!(list.metadata().unwrap().file_type().is_fifo());
    std::fs::remove_file(&list).unwrap();

    for device in ["/dev/null", "/dev/full", "/dev/zero"] {
        std::os::unix::fs::symlink(device, &list).unwrap();
        let ran = allow();
        assert_ne!(ran.status, 0, "{device}");
        assert!(ran.stderr.contains("a character device"), "{}", ran.stderr);
        let kind = std::fs::metadata(device).unwrap().file_type();
        assert!(kind.is_char_device(), "{device}");
        std::fs::remove_file(&list).unwrap();
    }

    // A link to the real file stays a link, and what stands beside it is nobody's to remove.
    let real = bench.path("real");
    std::fs::create_dir(&real).unwrap();
    let file = real.join("list.toml");
    std::fs::write(&file, "# mine\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    for beside in ["list.toml.new", "list.toml.tmp", "list.toml~"] {
        std::fs::write(real.join(beside), beside).unwrap();
    }
    std::os::unix::fs::symlink("real/list.toml", &list).unwrap();
    let ran = allow();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(list.symlink_metadata().unwrap().is_symlink());
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with("# mine\n") && text.contains("attic"),
        "{text}"
    );
    for beside in ["list.toml.new", "list.toml.tmp", "list.toml~"] {
        let kept = std::fs::read_to_string(real.join(beside)).unwrap();
        assert_eq!(kept, beside);
    }
    assert_eq!(std::fs::read_dir(&real).unwrap().count(), 4);
}

#[test]
fn of_devices_that_are_listed_at_once_none_is_lost() {
    let bench = Bench::new();
    assert_eq!(bench.run("--lab lab list").status, 0);
    let uuids: Vec<String> = (0..8)
        .map(|number| {
            let (main, spare) = (format!("main{number}"), format!("spare{number}.img"));
            bench.image(&main, 65_536);
            bench.image(&spare, 16_384);
            let line =
                format!("create d{number} --main {main} --spare {spare} --confirm d{number}");
            assert_eq!(bench.run(&line).status, 0);
            let seen = bench
                .run(&format!("inspect {spare} --json"))
                .json("inspect");
            seen["fields"]["array_uuid"].as_str().unwrap().to_owned()
        })
        .collect();
    std::fs::write(bench.path("list.toml"), "# mine\n").unwrap();
    let children: Vec<Child> = (0..uuids.len())
        .map(|number| {
            let words = [
                "--policy",
                "list.toml",
                "allow",
                &format!("spare{number}.img"),
            ];
            bench.command(&words).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let text = std::fs::read_to_string(bench.path("list.toml")).unwrap();
    for uuid in uuids {
        assert_eq!(text.matches(&uuid).count(), 1, "{text}");
    }
}
