//! The invariants of the house that no compiler keeps: where `unsafe` may stand, what
//! the shared rules may import, and which parts may do input and output.
//!
//! Every rule is also shown a source that breaks it, so that none can fall silent.
#![cfg(test)]

mod rules;
mod self_check;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use rules::Finding;
use source::Source;

const CORE: &str = "kmod/remap_core";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the repository, without what a build leaves behind, in a stable order.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository") {
            let entry = entry.expect("an entry of a folder");
            let kind = entry.file_type().expect("the type of an entry");
            let name = entry.file_name();
            if kind.is_dir() && name != "target" && name != ".git" {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

fn name_of(path: &Path) -> &str {
    path.strip_prefix(root())
        .expect("a path below the root")
        .to_str()
        .expect("a file name in UTF-8")
}

/// Every Rust source of the repository.
fn sources() -> Vec<Source> {
    files()
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let text = fs::read_to_string(path).expect("a source in UTF-8");
            Source::new(name_of(path), &text)
        })
        .collect()
}

/// The sources of `remap_core` as the kernel compiles them: without their tests.
fn core_sources() -> Vec<Source> {
    let mut kept = Vec::new();
    let mut test_files = Vec::new();
    for source in sources().iter().filter(|source| source.is_under(CORE)) {
        let (without_tests, test_modules) = source.without_tests();
        let folder = module_folder(Path::new(&source.path));
        test_files.extend(
            test_modules
                .iter()
                .flat_map(|name| [folder.join(format!("{name}.rs")), folder.join(name)]),
        );
        kept.push(without_tests);
    }
    kept.retain(|source| {
        !test_files
            .iter()
            .any(|file| Path::new(&source.path).starts_with(file))
    });
    kept
}

/// Where a source keeps the files of its own modules.
fn module_folder(path: &Path) -> PathBuf {
    if path.file_name().is_some_and(|name| name == "mod.rs") {
        path.parent().map_or_else(PathBuf::new, Path::to_path_buf)
    } else {
        path.with_extension("")
    }
}

/// The names by which the package's crates can be reached in code.
fn crate_names() -> Vec<String> {
    let text = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let manifest: toml::Table = text.parse().expect("Cargo.toml in TOML");
    let mut names = vec!["dmremap".to_owned()];
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let table = manifest.get(section).and_then(toml::Value::as_table);
        names.extend(
            table
                .into_iter()
                .flat_map(|table| table.keys().map(|key| key.replace('-', "_"))),
        );
    }
    names
}

#[track_caller]
fn nothing_breaks(sources: &[Source], rule: impl Fn(&Source) -> Vec<Finding>) {
    let broken: Vec<String> = sources
        .iter()
        .flat_map(|source| {
            rule(source)
                .into_iter()
                .map(|finding| format!("{}:{}: {}", source.path, finding.line, finding.what))
        })
        .collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

fn sources_where(keep: impl Fn(&Source) -> bool) -> Vec<Source> {
    sources().into_iter().filter(keep).collect()
}

fn is_module(source: &Source, module: &str) -> bool {
    source.is_under(module) || source.path == format!("{module}.rs")
}

#[test]
fn remap_core_imports_core_and_itself_alone() {
    let crates = crate_names();
    nothing_breaks(&core_sources(), |source| {
        rules::core_imports(source, &crates)
    });
}

#[test]
fn remap_core_has_nothing_that_panics_allocates_or_is_unsafe() {
    nothing_breaks(&core_sources(), rules::core_cannot_fail);
}

#[test]
fn unsafe_stands_only_where_it_is_argued() {
    // The guest of the kernel tests has walls of its own, and models of the kernel are called as
    // the kernel is.
    let walls = ["src/sys", "tests/vm/guest/src/sys"];
    let folders = ["kmod/dm", "kmod/kernel", "tests/atomics"];
    let elsewhere = sources_where(|source| {
        !walls.iter().any(|wall| is_module(source, wall))
            && !folders.iter().any(|folder| source.is_under(folder))
    });
    nothing_breaks(&elsewhere, rules::unsafe_code);
}

#[test]
fn a_view_never_borrows_the_state_mutably() {
    let views = sources_where(|source| is_module(source, "src/tui/view"));
    nothing_breaks(&views, rules::mutable_state);
}

#[test]
fn an_update_does_no_input_or_output() {
    let updates = sources_where(|source| source.path.starts_with("src/tui/update"));
    nothing_breaks(&updates, rules::input_and_output);
}

#[test]
fn no_other_program_is_started() {
    let application = sources_where(|source| source.is_under("src"));
    nothing_breaks(&application, rules::other_programs);
}

#[test]
fn only_main_names_the_real_adapters() {
    let behind_ports = sources_where(|source| {
        source.is_under("src") && !is_module(source, "src/sys") && source.path != "src/main.rs"
    });
    nothing_breaks(&behind_ports, rules::real_adapters);
}

#[test]
fn no_test_is_set_aside() {
    nothing_breaks(&sources(), rules::ignored_tests);
}

#[test]
fn no_file_names_a_package_host() {
    let broken: Vec<String> = files()
        .iter()
        .filter(|path| path.file_name().is_some_and(|name| name != "Cargo.lock"))
        .flat_map(|path| {
            let text = fs::read(path).expect("a file of the repository");
            let name = name_of(path).to_owned();
            rules::package_hosts(&String::from_utf8_lossy(&text))
                .into_iter()
                .map(move |finding| format!("{name}:{}: {}", finding.line, finding.what))
        })
        .collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn the_sources_are_found() {
    let found = sources();
    for expected in [
        "src/main.rs",
        "src/lib.rs",
        "kmod/remap_core/mod.rs",
        "tests/house/main.rs",
    ] {
        let source = found.iter().find(|source| source.path == expected);
        assert!(
            source.is_some_and(|source| !source.tokens.is_empty()),
            "{expected}"
        );
    }
    assert!(core_sources()
        .iter()
        .any(|source| source.path == "kmod/remap_core/mod.rs"));
    assert!(crate_names().iter().any(|name| name == "serde_json"));
}
