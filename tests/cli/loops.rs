//! Images and the loop devices over them: whoever uses the one uses the other. Takes root and
//! loop devices.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Bench;

/// Runs a tool of the system; what it printed, where it is there and did what was asked.
fn tool(name: &str, words: &[&str]) -> Option<String> {
    let output = Command::new(name).args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// A loop device, and whether something on it is mounted, which end with this.
struct Loop {
    path: String,
    mounted: Option<PathBuf>,
}

impl Loop {
    /// Over `path`, from a byte on, for so many bytes; for all that there are where that is 0.
    fn over(path: &Path, offset: u64, length: u64) -> Option<Self> {
        let (offset, length) = (offset.to_string(), length.to_string());
        Self::set_up(path, &["-o", &offset, "--sizelimit", &length])
    }

    /// Over all of `path`, with logical blocks of so many bytes; `None` where the kernel makes none
    /// such.
    fn with_blocks(path: &Path, bytes: u32) -> Option<Self> {
        Self::set_up(path, &["-b", &bytes.to_string()])
    }

    fn set_up(path: &Path, options: &[&str]) -> Option<Self> {
        let words = [&["-f", "--show"], options, &[path.to_str().unwrap()]].concat();
        let path = tool("losetup", &words)?;
        Some(Self {
            path,
            mounted: None,
        })
    }

    fn make_and_mount(&mut self, place: &Path) {
        std::fs::create_dir(place).unwrap();
        tool("mkfs.ext2", &["-q", "-F", &self.path]).expect("a file system can be made");
        tool("mount", &[&self.path, place.to_str().unwrap()]).expect("it can be mounted");
        self.mounted = Some(place.to_owned());
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        if let Some(place) = &self.mounted {
            tool("umount", &[place.to_str().unwrap()]);
        }
        tool("losetup", &["-d", &self.path]);
    }
}

/// Whether loop devices can be made here. With `CI` set that is no question.
fn has_loops() -> bool {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.img");
    std::fs::write(&file, [0; 4096]).unwrap();
    let made = nix::unistd::geteuid().is_root() && Loop::over(&file, 0, 0).is_some();
    assert!(made || std::env::var_os("CI").is_none(), "no loop devices");
    if !made {
        eprintln!("left out: this takes root and loop devices");
    }
    made
}

const MIB: u64 = 1 << 20;

#[test]
fn nothing_writes_an_image_of_which_a_window_is_mounted() {
    if !has_loops() {
        return;
    }
    let bench = Bench::new();
    let spare = bench.vault();
    bench.image("other.img", 16_384);
    std::fs::hard_link(&spare, bench.path("hard.img")).unwrap();
    std::os::unix::fs::symlink("spare.img", bench.path("link.img")).unwrap();
    let ran = bench.run("corrupt spare.img --copy 1 --confirm vault");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    // In the replacement area, where nothing of the metadata lies.
    let mut window = Loop::over(&spare, 5 * MIB, MIB).unwrap();
    window.make_and_mount(&bench.path("mnt"));
    let (name, place) = (window.name().to_owned(), bench.path("mnt"));
    tool("sync", &["-f", place.to_str().unwrap()]);
    for line in [
        "create x --main other.img --spare spare.img --replace --confirm vault",
        "create x --main other.img --spare hard.img --replace --confirm vault",
        "create x --main other.img --spare link.img --replace --confirm vault",
        "create x --main spare.img --spare other.img --confirm x",
        "create x --main link.img --spare other.img --confirm x",
        "write-metadata vault --main main.img --spare spare.img --confirm vault",
        "corrupt spare.img --copy 2 --confirm vault",
        "corrupt hard.img --copy 2 --confirm vault",
        "repair spare.img --confirm vault",
        "undo --confirm vault",
    ] {
        let before = bench.bytes("other.img");
        let (changed, ran) = bench.is_changed_by("spare.img", line);
        assert_eq!((changed, ran.status), (false, 5), "{line}: {}", ran.stderr);
        assert_eq!(bench.bytes("other.img"), before, "{line}");
        assert!(ran.stderr.contains(&name), "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains("mnt"), "{line}: {}", ran.stderr);
    }
    drop(window);
    let ran = bench.run("repair spare.img --confirm vault");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
}

#[test]
fn a_loop_over_a_loop_and_a_file_that_lost_its_name_are_known_all_the_same() {
    if !has_loops() {
        return;
    }
    let bench = Bench::new();
    bench.image("main.img", 65_536);
    let spare = bench.image("spare.img", 16_384);
    std::fs::hard_link(&spare, bench.path("hard.img")).unwrap();
    let lower = Loop::over(&spare, 0, 0).unwrap();
    let mut upper = Loop::over(Path::new(&lower.path), 0, 0).unwrap();
    upper.make_and_mount(&bench.path("mnt"));
    tool("sync", &["-f", bench.path("mnt").to_str().unwrap()]);
    let refused = |path: &str| {
        let line = format!("create x --main main.img --spare {path} --replace --confirm {path}");
        let ran = bench.run(&line);
        assert_eq!(ran.status, 5, "{path}: {}", ran.stderr);
        assert!(ran.stderr.contains(upper.name()), "{path}: {}", ran.stderr);
    };
    for path in ["spare.img", &lower.path, "hard.img"] {
        refused(path);
    }
    std::fs::rename(bench.path("spare.img"), bench.path("renamed.img")).unwrap();
    refused("renamed.img");
    std::fs::remove_file(bench.path("renamed.img")).unwrap();
    refused("hard.img");
}

#[test]
fn windows_of_one_file_are_two_devices_only_where_they_are_apart() {
    if !has_loops() {
        return;
    }
    let bench = Bench::new();
    let file = bench.image("one.img", 131_072);
    std::fs::hard_link(&file, bench.path("hard.img")).unwrap();
    let whole = Loop::over(&file, 0, 0).unwrap();
    let again = Loop::over(&file, 0, 0).unwrap();
    let low = Loop::over(&file, 0, 32 * MIB).unwrap();
    let high = Loop::over(&file, 32 * MIB, 32 * MIB).unwrap();
    let middle = Loop::over(&file, 32 * MIB - 4096, 32 * MIB).unwrap();
    let over = Loop::over(Path::new(&high.path), 0, 0).unwrap();
    let far = Loop::over(Path::new(&whole.path), 32 * MIB, 0).unwrap();
    for (main, spare, status) in [
        (&*whole.path, &*again.path, 5),
        ("one.img", &*whole.path, 5),
        (&*whole.path, "one.img", 5),
        ("hard.img", &*low.path, 5),
        (&*high.path, "hard.img", 5),
        (&*low.path, &*middle.path, 5),
        (&*middle.path, &*high.path, 5),
        (&*over.path, &*high.path, 5),
        (&*over.path, "one.img", 5),
        (&*far.path, &*over.path, 5),
        (&*low.path, &*high.path, 0),
        (&*high.path, &*low.path, 0),
        (&*low.path, &*over.path, 0),
        (&*low.path, &*far.path, 0),
    ] {
        let ran = bench.run(&format!("--dry-run create x --main {main} --spare {spare}"));
        assert_eq!(ran.status, status, "{main} {spare}: {}", ran.stderr);
    }
}

/// Main is known by its file system alone, as a loop device is known by nothing else.
#[test]
fn a_main_whose_blocks_grew_is_part_of_the_verdict_wherever_it_is_told() {
    if !has_loops() {
        return;
    }
    let bench = Bench::new();
    let image = bench.image("main.img", 65_536);
    tool("mkfs.ext2", &["-q", "-F", image.to_str().unwrap()]).expect("a file system can be made");
    let spare = bench.image("spare.img", 16_384);
    let made = bench.run("create vault --main main.img --spare spare.img --confirm vault");
    assert_eq!(made.status, 0, "{}", made.stderr);
    let spare = Loop::over(&spare, 0, 0).unwrap();
    for (bytes, verdict, status) in [(512, "healthy", 0), (4096, "unsupported", 4)] {
        let main = Loop::with_blocks(&image, bytes).unwrap();
        let seen = bench.run(&format!("inspect {} --json", spare.path));
        assert_eq!(
            seen.status, status,
            "{bytes}: {} {}",
            seen.stdout, seen.stderr
        );
        let seen = seen.json("inspect");
        assert_eq!(seen["verdict"], verdict, "{bytes}");
        let is_told = seen["findings"].to_string().contains("\"block-size\"");
        assert_eq!(is_told, bytes != 512, "{seen}");
        let list = bench.run("list --json").json("list");
        let mut rows = list["devices"].as_array().unwrap().iter();
        let row = rows
            .find(|row| row["device"] == spare.path.as_str())
            .unwrap();
        assert_eq!(row["verdict"], verdict, "{bytes}");
        drop(main);
    }
}

#[test]
fn a_disk_with_blocks_that_no_target_takes_is_told_and_refused() {
    if !has_loops() {
        return;
    }
    let bench = Bench::new();
    let (one, other) = (bench.image("a.img", 65_536), bench.image("b.img", 65_536));
    let Some(large) = Loop::with_blocks(&one, 8192) else {
        eprintln!("left out: this kernel makes no such blocks");
        return;
    };
    let usual = Loop::over(&other, 0, 0).unwrap();
    let list = bench.run("list --json").json("list");
    let mut rows = list["devices"].as_array().unwrap().iter();
    let row = rows
        .find(|row| row["device"] == large.path.as_str())
        .unwrap();
    assert_eq!(row["logical_block_bytes"], 8192);
    for (main, spare) in [(&large, &usual), (&usual, &large)] {
        let (main, spare) = (&main.path, &spare.path);
        let words = format!("create vault --main {main} --spare {spare} --confirm vault");
        let refused = bench.run(&words);
        assert_ne!(refused.status, 0);
        let why = format!("{} has logical blocks of 8192 bytes", large.path);
        assert!(refused.stderr.contains(&why), "{}", refused.stderr);
    }
}
