//! The set-up script on machines that have half of what a build needs: what it names, what it
//! has apt install, and what it says of a variable that is set wrongly; and what the kernel tests
//! say where they cannot run.
//!
//! Programs that stand in front of PATH play the machine. The compiler and libclang are this
//! machine's own, so that what is tried is tried.

#![cfg(test)]

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/build-needs.sh");
const ABSENT: &str = "exit 127";

/// A fault by its name, and how a machine gets it.
type Fault = (&'static str, fn(&Machine));

/// A machine that is made up: everything that a build needs is there, by programs that say so.
struct Machine {
    directory: TempDir,
    variables: Vec<(&'static str, String)>,
}

/// What the script came to.
struct Outcome {
    succeeded: bool,
    said: String,
    /// The calls of apt-get's.
    installed: Vec<String>,
}

impl Machine {
    fn new() -> Self {
        let machine = Self {
            directory: TempDir::new().unwrap(),
            variables: Vec::new(),
        };
        let calls = machine.path("calls").display().to_string();
        machine.program("apt-get", &format!("echo \"$@\" >> {calls}"));
        machine.program("apt-cache", "exit 0");
        machine.program("dpkg", "exit 0");
        machine.program("sudo", ABSENT);
        machine.program("rustup", ABSENT);
        machine.program("cargo", "exit 0");
        machine.program("llvm-config", ABSENT);
        machine.program("id", "echo 0");
        // Two libraries with their headers, of which the tool tells as of real ones; the linker
        // finds no others under their names.
        for (name, header, function) in [
            ("devmapper", "libdevmapper.h", "dm_get_library_version"),
            ("blkid", "blkid.h", "blkid_parse_version_string"),
        ] {
            machine.file(
                &format!("include/{header}"),
                &format!("int {function}(void);\n"),
            );
            machine.library(
                &format!("of-test-{name}"),
                &format!("int {function}(void) {{ return 0; }}\n"),
            );
        }
        machine.tells_of(&["devmapper", "blkid"]);
        // The system's own folders are empty but for a libclang that loads.
        machine.link(&own_libclang(), "root/usr/lib/llvm-1/lib/libclang.so.1");
        let root = machine.path("root").display().to_string();
        machine.set("NEEDS_ROOT", root)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn link(&self, to: &Path, name: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(to, path).unwrap();
    }

    /// A program in front of all others.
    fn program(&self, name: &str, body: &str) {
        let path = self.path(&format!("bin/{name}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_program(&path, body);
    }

    /// A library of this machine's compiler.
    fn library(&self, name: &str, source: &str) -> PathBuf {
        let source = self.file(&format!("{name}.c"), source);
        let library = self.path(&format!("lib/lib{name}.so"));
        fs::create_dir_all(library.parent().unwrap()).unwrap();
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .status();
        assert!(status.unwrap().success(), "{name} is compiled");
        library
    }

    /// The tool that tells where libraries are knows of these alone.
    fn tells_of(&self, names: &[&str]) {
        let known = names.join("|");
        let (include, lib) = (self.path("include"), self.path("lib"));
        let body = format!(
            "case $1 in --version) echo 1; exit ;; esac\n\
             case $3 in {known}) ;; *) echo \"no $3.pc\" >&2; exit 1 ;; esac\n\
             echo -I{} -L{} -Wl,-rpath,{} -lof-test-$3",
            include.display(),
            lib.display(),
            lib.display(),
        );
        self.program("pkg-config", &body);
    }

    fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    fn run(&self) -> Outcome {
        self.run_for(&[])
    }

    fn run_for(&self, purposes: &[&str]) -> Outcome {
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("sh")
            .arg(SCRIPT)
            .args(purposes)
            .env_clear()
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("HOME", self.directory.path())
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env("CARGO_HOME", self.path("cargo"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap();
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        Outcome {
            succeeded: output.status.success(),
            said: String::from_utf8(output.stderr).unwrap(),
            installed: calls
                .lines()
                .filter(|call| call.contains("install"))
                .map(|call| call.replace("-q -y --no-install-recommends ", ""))
                .collect(),
        }
    }
}

impl Outcome {
    /// Checks that these packages were asked of apt, once, and still missed afterwards.
    #[track_caller]
    fn lacks(&self, packages: &str) {
        assert!(!self.succeeded, "{}", self.said);
        assert_eq!(
            self.installed,
            [format!("install {packages}")],
            "{}",
            self.said
        );
        self.says(&format!(
            "Still missing, although it was installed: {packages}"
        ));
    }

    /// Checks that a variable is at fault, and nothing was installed.
    #[track_caller]
    fn blames(&self, name: &str) {
        assert!(!self.succeeded, "{}", self.said);
        assert_eq!(self.installed, [""; 0], "{}", self.said);
        self.says(&format!("unset {name}\n"));
    }

    #[track_caller]
    fn says(&self, words: &str) {
        assert!(
            self.said.contains(words),
            "{words:?} is not in:\n{}",
            self.said
        );
    }

    #[track_caller]
    fn is_content(&self) {
        assert!(self.succeeded, "{}", self.said);
        assert_eq!(self.installed, [""; 0], "{}", self.said);
        assert_eq!(self.said, "");
    }
}

fn write_program(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The libclang by which this program's bindings were generated.
fn own_libclang() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap();
    let folders = folders.map(|entry| entry.unwrap().path().join("lib"));
    let known = std::env::var_os("LIBCLANG_PATH").map(PathBuf::from);
    let candidates = known.into_iter().chain(folders);
    let files = candidates
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten();
    let mut files = files.map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("libclang") && name.contains(".so") && !name.contains("-cpp")
    });
    files.find(|path| path.exists()).expect("a build had one")
}

#[test]
fn what_is_there_is_left_alone() {
    Machine::new().run().is_content();
}

#[test]
fn a_library_that_is_called_alike_is_not_libclang() {
    for name in [
        "usr/lib/llvm-1/lib/libclang-cpp.so.1",
        "usr/lib/llvm-1/lib/libclang-cpp.so",
        "usr/lib/x86_64-linux-gnu/libclang-cpp.so.14",
        "usr/local/lib/libclang.a",
        "usr/lib/llvm-1/lib/libLTO.so",
        "opt/lib/libclang.so",
    ] {
        let machine = Machine::new();
        fs::rename(
            machine.path("root/usr/lib/llvm-1/lib/libclang.so.1"),
            machine.path("kept"),
        )
        .unwrap();
        machine.link(&own_libclang(), &format!("root/{name}"));
        let outcome = machine.run();
        outcome.lacks("libclang-dev");
        outcome.says("no libclang.so");
    }
}

#[test]
fn libclang_is_found_under_each_name_and_in_each_folder_of_the_search() {
    for name in [
        "usr/lib/llvm-19/lib/libclang.so",
        "usr/lib/llvm-19/lib/libclang-19.so.1",
        "usr/lib/llvm-19/lib/libclang-19.so",
        "usr/lib64/libclang.so.14.0",
        "usr/lib/libclang.so.1",
        "usr/local/llvm19/lib64/libclang.so",
        "usr/local/lib/a/b/libclang-9.so",
    ] {
        let machine = Machine::new();
        fs::remove_dir_all(machine.path("root")).unwrap();
        machine.link(&own_libclang(), &format!("root/{name}"));
        machine.run().is_content();
    }
}

#[test]
fn a_libclang_that_does_not_load_is_none() {
    const LATER: &str = "root/usr/lib/llvm-1/lib/libclang.so.2";
    let faults: [Fault; 4] = [
        ("a library without its functions", |machine| {
            let empty = machine.library("empty", "int nothing;\n");
            machine.link(&empty, LATER);
        }),
        ("a library that lacks another one", |machine| {
            machine.library("gone", "int gone(void) { return 0; }\n");
            let source = "int gone(void); int half(void) { return gone(); }\n";
            let half = machine.library("half", source);
            let status = Command::new("cc")
                .args(["-shared", "-fPIC", "-Wl,--no-as-needed", "-o"])
                .args([
                    &half,
                    &machine.path("half.c"),
                    &machine.path("lib/libgone.so"),
                ])
                .status();
            assert!(status.unwrap().success());
            fs::remove_file(machine.path("lib/libgone.so")).unwrap();
            machine.link(&half, LATER);
        }),
        ("nothing but a link to nowhere", |machine| {
            fs::remove_dir_all(machine.path("root")).unwrap();
            machine.link(Path::new("/nowhere"), LATER);
        }),
        ("nothing but text", |machine| {
            fs::remove_dir_all(machine.path("root")).unwrap();
            machine.file(LATER, "INPUT(libclang.so.1)\n");
        }),
    ];
    for (what, prepare) in faults {
        println!("{what}");
        let machine = Machine::new();
        prepare(&machine);
        machine.run().lacks("libclang-dev");
    }
    // One that fits is taken where others do not.
    let machine = Machine::new();
    machine.link(Path::new("/nowhere"), LATER);
    machine.file("root/usr/lib/llvm-1/lib/libclang-99.so", "\x7fELF\u{1}");
    assert!(machine.run().succeeded);
}

#[test]
fn libclang_must_read_headers_as_well() {
    let machine = Machine::new();
    // A compiler has headers of its own, which libclang is to bring along.
    machine.file("include/stddef.h", "#include <of-libclang-alone.h>\n");
    let outcome = machine.run();
    outcome.lacks("libclang-dev");
    outcome.says("'of-libclang-alone.h' file not found");
}

#[test]
fn a_variable_that_leads_away_is_told_by_its_name() {
    let nowhere = "/nowhere";
    for (name, value) in [
        ("LIBCLANG_PATH", nowhere),
        ("LIBCLANG_PATH", "/usr/lib/libclang-cpp.so.14"),
        ("LIBCLANG_PATH", ""),
        ("PKG_CONFIG", nowhere),
        ("DEVMAPPER_NO_PKG_CONFIG", "1"),
        ("BLKID_NO_PKG_CONFIG", ""),
        ("BINDGEN_EXTRA_CLANG_ARGS", "-nostdinc"),
    ] {
        let outcome = Machine::new().set(name, value).run();
        outcome.blames(name);
        outcome.says(&format!("{name}={value}\n"));
    }
    // One that leads where something is, is no fault, and neither is one that helps nothing.
    Machine::new()
        .set("LIBCLANG_PATH", own_libclang().display().to_string())
        .run()
        .is_content();
    let machine = Machine::new().set("PKG_CONFIG_PATH", nowhere);
    machine.tells_of(&["blkid"]);
    machine.run().lacks("libdevmapper-dev");
}

#[test]
fn libraries_are_compiled_and_linked_with() {
    let faults: [Fault; 6] = [
        ("no file tells of it", |machine| {
            machine.tells_of(&["blkid"])
        }),
        ("headers without the library", |machine| {
            fs::remove_file(machine.path("lib/libof-test-devmapper.so")).unwrap();
        }),
        ("the library and a header of no use", |machine| {
            machine.file("include/libdevmapper.h", "#include <gone.h>\n");
        }),
        ("a link to a library that is gone", |machine| {
            fs::remove_file(machine.path("lib/libof-test-devmapper.so")).unwrap();
            machine.link(Path::new("gone.so.1"), "lib/libof-test-devmapper.so");
        }),
        ("a library without the function", |machine| {
            machine.library("of-test-devmapper", "int nothing;\n");
        }),
        ("a library of nothing", |machine| {
            machine.file("lib/libof-test-devmapper.so", "");
        }),
    ];
    for (what, prepare) in faults {
        println!("{what}");
        let machine = Machine::new();
        prepare(&machine);
        machine.run().lacks("libdevmapper-dev");
    }
    let machine = Machine::new();
    machine.tells_of(&["none"]);
    machine.run().lacks("libdevmapper-dev libblkid-dev");
}

#[test]
fn a_library_that_is_too_old_is_missing() {
    let machine = Machine::new();
    machine.program(
        "pkg-config",
        "case \"$*\" in *'>= 2.33.2'*) echo 'blkid is 2.20' >&2; exit 1 ;; esac; echo",
    );
    let outcome = machine.run();
    assert!(outcome.said.contains("blkid is 2.20"), "{}", outcome.said);
}

#[test]
fn a_compiler_that_does_not_link_is_missing_and_what_stands_on_it_waits() {
    for body in [
        ABSENT,
        "case \" $* \" in *' -c '*) exit 0 ;; *) exit 1 ;; esac",
        "exit 0",
    ] {
        let machine = Machine::new();
        machine.program("cc", body);
        let outcome = machine.run();
        outcome.lacks("gcc libc6-dev");
        outcome.says("libdevmapper-dev libblkid-dev libclang-dev: cannot be tried before that");
    }
    let machine = Machine::new();
    machine.program("pkg-config", ABSENT);
    machine.program("pkgconf", ABSENT);
    machine.run().lacks("pkg-config");
    // Cargo may be told of another linker than the compiler.
    let machine = Machine::new();
    machine.program(
        "cargo",
        "case $1 in run) echo 'linker `lld-9` not found' >&2; exit 1 ;; esac",
    );
    let outcome = machine.run();
    outcome.lacks("gcc libc6-dev");
    outcome.says("lld-9");
}

#[test]
fn what_was_installed_is_tried_again_and_what_stands_on_it_is_tried_then() {
    let machine = Machine::new();
    let (bin, calls) = (machine.path("bin"), machine.path("calls"));
    machine.program("cc", ABSENT);
    machine.program("pkgconf", ABSENT);
    let told = fs::read_to_string(bin.join("pkg-config")).unwrap();
    machine.file("pkg-config.there", &told);
    machine.program("pkg-config", ABSENT);
    fs::rename(machine.path("lib"), machine.path("lib.there")).unwrap();
    machine.program(
        "apt-get",
        &format!(
            "echo \"$@\" >> {calls}; cd {root}\n\
             case $* in *gcc*) rm -f bin/cc ;; esac\n\
             case $* in *pkg-config*) cat pkg-config.there > bin/pkg-config ;; esac\n\
             case $* in *libblkid-dev*) mv lib.there lib ;; esac",
            calls = calls.display(),
            root = machine.directory.path().display(),
        ),
    );
    let outcome = machine.run();
    assert!(outcome.succeeded, "{}", outcome.said);
    assert_eq!(
        outcome.installed,
        [
            "install gcc libc6-dev pkg-config",
            "install libdevmapper-dev libblkid-dev"
        ]
    );
}

#[test]
fn a_package_that_lost_files_is_installed_once_more() {
    let machine = Machine::new();
    let calls = machine.path("calls").display().to_string();
    machine.tells_of(&["blkid"]);
    machine.program(
        "apt-cache",
        "echo libdevmapper-dev; echo '  Depends: libdevmapper1'; echo libdevmapper1; echo libc6",
    );
    machine.program(
        "dpkg",
        "case $2 in\n\
         libdevmapper1) echo 'missing     /usr/lib/x/libdevmapper.so.1' ;;\n\
         libc6) echo 'missing     /usr/share/doc/libc6/copyright' ;;\n\
         esac",
    );
    let known = fs::read_to_string(machine.path("bin/pkg-config"))
        .unwrap()
        .replace("in blkid)", "in blkid|devmapper)");
    machine.file("known", &known);
    machine.program(
        "apt-get",
        &format!(
            "echo \"$@\" >> {calls}; case $* in *--reinstall*) cat {} > {} ;; esac",
            machine.path("known").display(),
            machine.path("bin/pkg-config").display()
        ),
    );
    let outcome = machine.run();
    assert!(outcome.succeeded, "{}", outcome.said);
    assert_eq!(
        outcome.installed,
        [
            "install libdevmapper-dev",
            "--reinstall install libdevmapper1"
        ]
    );
}

#[test]
fn who_cannot_install_is_told_what_to_install_and_why() {
    let lacking = || {
        let machine = Machine::new();
        machine.tells_of(&["devmapper"]);
        machine
    };
    let machine = lacking();
    machine.program("id", "echo 1000");
    let outcome = machine.run();
    assert_eq!((outcome.succeeded, outcome.installed.len()), (false, 0));
    outcome.says("apt-get update && apt-get install libblkid-dev\n");
    outcome.says("no blkid.pc");
    // The whole of it is told at once, also what cannot be tried yet.
    machine.program("cc", ABSENT);
    machine
        .run()
        .says("apt-get install gcc libc6-dev libdevmapper-dev libblkid-dev libclang-dev\n");

    let machine = lacking();
    machine.program("id", "echo 1000");
    machine.program("sudo", "case $1 in --version) ;; *) \"$@\" ;; esac");
    machine.run().lacks("libblkid-dev");

    let machine = lacking();
    machine.program("id", "echo 1000");
    machine.program("sudo", "case $1 in --version) ;; *) exit 1 ;; esac");
    machine.run().says("apt could not install them");

    let machine = lacking();
    machine.program("apt-get", ABSENT);
    machine.run().says("This system has no apt");
}

#[test]
fn a_toolchain_that_does_not_take_the_crate_is_told_of() {
    let machine = Machine::new();
    machine.program(
        "cargo",
        "echo 'rustc 1.63.0 is not supported' >&2; exit 101",
    );
    let outcome = machine.run();
    assert_eq!((outcome.succeeded, outcome.installed.len()), (false, 0));
    outcome.says("rustc 1.63.0 is not supported");
    outcome.says("Install a Rust toolchain first");
}

#[test]
fn a_program_before_the_systems_own_is_told_of_and_nothing_installed() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("root/usr/bin")).unwrap();
    let tool = machine.path("bin/pkg-config");
    fs::rename(tool, machine.path("root/usr/bin/pkg-config")).unwrap();
    for tool in [
        "sh", "env", "grep", "tr", "sed", "cat", "rm", "mkdir", "as", "ld", "cc",
    ] {
        machine.link(&which(tool), &format!("root/usr/bin/{tool}"));
    }
    machine.program(
        "pkg-config",
        "case $1 in --version) echo 1 ;; *) echo 'not found' >&2; exit 1 ;; esac",
    );
    let outcome = machine.run();
    assert_eq!(
        (outcome.succeeded, outcome.installed.len()),
        (false, 0),
        "{}",
        outcome.said
    );
    outcome.says("PATH=");
    outcome.says("the system's own programs, which others come before");
}

fn which(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join(name));
    found
        .find(|file| file.exists())
        .unwrap_or_else(|| panic!("{name} is in PATH"))
}

#[test]
fn parts_of_the_toolchain_come_from_rustup_or_from_the_distribution() {
    let machine = Machine::new();
    machine.program("rustfmt", "exit 1");
    machine.program("cargo", "case $1 in clippy) exit 1 ;; esac");
    machine.run_for(&["checks"]).lacks("rustfmt rust-clippy");

    let rustup = machine.path("rustup-calls");
    fs::remove_file(machine.path("calls")).unwrap();
    machine.program(
        "rustup",
        &format!(
            "case $1 in --version) exit ;; esac; echo \"$@\" >> {}\nfor p in rustfmt cargo; do printf '#!/bin/sh\\n' > {}/$p; done",
            rustup.display(),
            machine.path("bin").display()
        ),
    );
    let outcome = machine.run_for(&["checks"]);
    assert!(outcome.succeeded, "{}", outcome.said);
    assert_eq!(outcome.installed, [""; 0]);
    assert_eq!(
        fs::read_to_string(rustup).unwrap(),
        "component add rustfmt clippy\n"
    );
}

#[test]
fn a_purpose_that_there_is_not_is_refused() {
    let outcome = Machine::new().run_for(&["everything"]);
    assert!(!outcome.succeeded);
    outcome.says("no such purpose: everything");
}

/// Runs the kernel tests on a machine where some program says what stands here.
fn kernel_tests(fault: (&str, &str), arguments: &[&str], ci: &str) -> (bool, String) {
    let bin = TempDir::new().unwrap();
    for (name, body) in [("sudo", ABSENT), ("id", "echo 0"), fault] {
        write_program(&bin.path().join(name), body);
    }
    let path = std::env::var("PATH").unwrap();
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vm/suite.sh"))
        .args(arguments)
        .env("PATH", format!("{}:{path}", bin.path().display()))
        .env("CI", ci)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.success(), said)
}

/// The names of the tests that a script has.
fn names(script: &str, part: &str) -> Vec<String> {
    let script = format!("{}/tests/vm/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(script)
        .args(["--list", part])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(str::to_owned).collect()
}

#[test]
fn kernel_tests_that_cannot_run_are_counted_and_it_is_said_why() {
    let object = names("object.sh", "");
    let target = names("run.sh", "");
    let start = names("starts.sh", "");
    for (list, known) in [
        (&object, "object-is-the-same-from-another-folder"),
        (&target, "trixie-backports: application-whole-life"),
        (&target, "trixie: power-cuts-lose-no-copies"),
        (&start, "system-packages-are-installed"),
        (&start, "bookworm: dkms-says-what-is-missing"),
    ] {
        assert!(list.iter().any(|name| name == known), "{known} in {list:?}");
    }
    let each = || object.iter().chain(&target).chain(&start);
    let all: std::collections::BTreeSet<&String> = each().collect();
    assert_eq!(all.len(), each().count(), "each has a name of its own");

    for (fault, why) in [
        (("uname", "echo riscv64"), "here is riscv64"),
        (("id", "echo 1000"), "run this as root, or install sudo"),
        (("unshare", "exit 1"), "root may mount nothing here"),
    ] {
        let (done, said) = kernel_tests(fault, &["--leave-out"], "");
        let last = said.lines().last().unwrap();
        assert!(done, "{said}");
        assert!(
            last.starts_with(&format!("kernel tests: {} left out: ", all.len())),
            "{said}"
        );
        assert!(last.contains(why), "{said}");
    }
    // In CI nothing may be left out, nor where these tests alone are asked for.
    let fault = ("uname", "echo riscv64");
    for (arguments, ci) in [
        (&["--leave-out"] as &[&str], "true"),
        (&[], ""),
        (&[], "true"),
    ] {
        let (done, said) = kernel_tests(fault, arguments, ci);
        assert!(!done, "{said}");
        assert!(
            said.contains(&format!("kernel tests: {} left out: ", all.len())),
            "{said}"
        );
    }
    let (_, said) = kernel_tests(fault, &["--leave-out", "system"], "");
    assert!(
        said.contains(&format!("kernel tests: {} left out: ", start.len())),
        "{said}"
    );
    let part = names("run.sh", "application-").len();
    let (_, said) = kernel_tests(fault, &["--leave-out", "application-"], "");
    assert!(
        said.contains(&format!("kernel tests: {part} left out: ")),
        "{said}"
    );
}
