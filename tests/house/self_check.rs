//! Each rule is shown what breaks it and what does not.

use crate::rules::{self, Finding};
use crate::source::Source;

#[track_caller]
fn check(rule: impl Fn(&Source) -> Vec<Finding>, breaking: &[&str], keeping: &[&str]) {
    for text in breaking {
        let found = rule(&Source::new("kmod/remap_core/layout.rs", text));
        assert!(!found.is_empty(), "passed, and must not: {text}");
    }
    for text in keeping {
        let found = rule(&Source::new("kmod/remap_core/layout.rs", text));
        assert!(found.is_empty(), "found {found:?} in: {text}");
    }
}

#[test]
fn imports_of_the_core() {
    let crates = ["serde".to_owned()];
    check(
        |source| rules::core_imports(source, &crates),
        &[
            "use std::fmt;",
            "use core::{fmt, mem}; use alloc::vec::Vec;",
            "use {core::fmt, std::io::{self, Read}};",
            "use crate::lab::Image;",
            "use crate::{remap_core::units, inspect};",
            "pub(crate) use serde::Serialize;",
            "extern crate alloc;",
            "fn f() -> u64 { std::process::id().into() }",
            "fn f() { return ::std::process::abort(); }",
            "fn f(x: crate::lab::Image) {}",
            "#[derive(serde::Serialize)] struct S;",
            "mod inner { use std::fmt; }",
        ],
        &[
            "use core::fmt::{self, Display};",
            "use crate::remap_core::units::{Sector, Sectors};",
            "use super::units::Sectors; use self::inner::X;",
            "// use std::fmt;\n/* use std::io; /* nested */ use alloc::vec; */",
            "/// Unlike `std::fs::File`.\nfn f() -> &'static str { \"use std::io;\" }",
            "fn f() { let x = u32::from_le_bytes([0; 4]); layout::SLOT; }",
            "pub(crate) fn f<'a>(x: &'a [u8]) -> impl Iterator<Item = u8> + use<'a> { g(x) }",
        ],
    );
}

#[test]
fn failures_of_the_core() {
    check(
        rules::core_cannot_fail,
        &[
            "fn f() { unsafe { g() } }",
            "fn f(x: Option<u8>) -> u8 { x.unwrap() }",
            "fn f(x: Option<u8>) -> u8 { x\n.expect(\"one\") }",
            "fn f(x: Option<u8>) -> u8 { Option::unwrap(x) }",
            "fn f() { panic!(\"no\") }",
            "fn f() { core::unreachable!() }",
            "fn f() { let x = vec![1]; }",
            "fn f(x: u8) { assert!(x < 3); }",
            "const fn f(x: u8) { assert!(x < 3); }",
            "fn f(x: u8) { debug_assert_eq!(x, 3); }",
        ],
        &[
            "const _: () = assert!(SIZE == 512);",
            "fn f<const N: usize>() { const { assert!(N > 3) }; }",
            "#[expect(clippy::indexing_slicing, reason = \"const\")] const fn f() {}",
            "fn f(x: Option<u8>) -> u8 { x.unwrap_or(0) }",
            "#![deny(unsafe_code, clippy::panic, clippy::unwrap_used)]",
            "// unsafe panic!() x.unwrap()",
            "fn f() -> &'static str { r#\"vec![] \"panic!()\" \"# }",
            "fn f(unwrap: bool) -> bool { unwrap }",
        ],
    );
}

#[test]
fn tests_of_the_core_are_not_the_core() {
    let text = "
        fn kept() {}
        #[cfg(test)]
        #[allow(clippy::unwrap_used, reason = \"a test\")]
        mod inner { fn dropped() { x.unwrap() } }
        #[cfg(test)] mod cases;
        #[cfg(test)] use std::{vec, fmt::{self}};
        fn also_kept() {}
    ";
    let (source, modules) = Source::new("kmod/remap_core/quorum.rs", text).without_tests();
    let words: Vec<&str> = source
        .tokens
        .iter()
        .map(|token| token.text.as_str())
        .collect();
    assert_eq!(words.join(" "), "fn kept ( ) { } fn also_kept ( ) { }");
    assert_eq!(modules, ["cases"]);

    let whole = Source::new("x.rs", "#![cfg(test)] fn f() {}")
        .without_tests()
        .0;
    assert!(whole.tokens.is_empty());

    // Code that is merely not a test is never dropped.
    let other = "#[cfg(not(test))] fn f() { x.unwrap() }";
    let (source, _) = Source::new("x.rs", other).without_tests();
    assert_eq!(rules::core_cannot_fail(&source).len(), 1);
}

#[test]
fn unsafe_code() {
    check(
        rules::unsafe_code,
        &[
            "unsafe fn f() {}",
            "unsafe impl Send for X {}",
            "#![allow(unsafe_code)]",
            "#[expect(unsafe_code, reason = \"none\")] fn f() {}",
            "fn f<'a>() { let c = 'u'; let b = b'\\''; unsafe {} }",
        ],
        &[
            "#![deny(unsafe_code)]",
            "// unsafe\nfn f() -> &'static str { \"unsafe \\\" unsafe\" }",
            "fn f() { let _ = b\"unsafe\"; let _ = 'u'; }",
        ],
    );
}

#[test]
fn mutable_state() {
    check(
        rules::mutable_state,
        &[
            "fn draw(frame: &mut Frame, state: &mut State) {}",
            "fn draw(state: &'a mut State) {}",
            "fn draw(state: &mut crate::tui::state::State) {}",
        ],
        &[
            "fn draw(frame: &mut Frame, state: &State) {}",
            "fn render(self, list: &mut ListState) {}",
            "fn render(self, area: Rect, buf: &mut Buffer, state: &mut Self::State) {}",
            "// &mut State",
        ],
    );
}

#[test]
fn input_and_output() {
    check(
        rules::input_and_output,
        &[
            "use std::fs;",
            "use std::{collections::BTreeMap, net::TcpStream};",
            "fn f() { std::process::exit(1) }",
            "use std::time::{Duration, SystemTime};",
            "fn f() { File::open(path); }",
            "fn f() { let t = Instant::now(); }",
            "use crate::sys::block::Device;",
            "use nix::unistd::read;",
        ],
        &[
            "use std::collections::VecDeque; use std::time::Duration;",
            "use crate::tui::{effect::Effect, state::State};",
            "fn f(now: Instant) -> Duration { now - self.since }",
            "fn f() -> ImageFile { ImageFile::named(\"File::open\") }",
        ],
    );
}

#[test]
fn other_programs() {
    check(
        rules::other_programs,
        &[
            "use std::process::Command;",
            "use std::{fs, process::{self, Command, Stdio}};",
            "use std::process as p; fn f() { p::Command::new(\"sh\"); }",
            "fn f() { process::Command::new(\"dmsetup\"); }",
            "fn f() { Command::new(\"dmsetup\"); }",
            "use std::os::unix::process::CommandExt;",
            "use nix::unistd::{close, fork};",
            "fn f() { nix::unistd::execvp(&program, &arguments); }",
            "fn f() { libc::system(line); }",
        ],
        &[
            "use std::process::ExitCode;",
            "fn f(command: Command) { match command { Command::List => {} } }",
            "use crate::cli::Command;",
            "use nix::unistd::geteuid;",
        ],
    );
}

#[test]
fn real_adapters() {
    check(
        rules::real_adapters,
        &[
            "use crate::sys::block::Device;",
            "use crate::{port, sys::lock};",
            "use dmremap::sys;",
            "fn f() { sys::privilege::check(); }",
            "fn f() { crate::sys::privilege::check(); }",
            "use super::super::sys::lock;",
        ],
        &[
            "pub mod sys;",
            "use nix::sys::stat::Mode;",
            "use nix::{fcntl, sys::stat};",
            "// crate::sys",
        ],
    );
}

#[test]
fn ignored_tests() {
    check(
        rules::ignored_tests,
        &[
            "#[test] #[ignore] fn t() {}",
            "#[ignore = \"slow\"] fn t() {}",
            "#[cfg_attr(debug_assertions, ignore = \"slow\")] fn t() {}",
            "#[cfg_attr(not(feature = \"x\"), ignore)] fn t() {}",
        ],
        &[
            "#[test] fn ignore() { ignore(a, b); let x = [ignore]; }",
            "// #[ignore]",
        ],
    );
    let exhaustive = |text| rules::ignored_tests(&Source::new("tests/exhaustive.rs", text));
    assert!(exhaustive("#[cfg_attr(debug_assertions, ignore = \"slow\")] fn t() {}").is_empty());
    assert!(!exhaustive("#[ignore] fn t() {}").is_empty());
    assert!(!exhaustive("#[cfg_attr(not(debug_assertions), ignore)] fn t() {}").is_empty());
}

#[test]
fn package_hosts() {
    let host = ["deb", "debian", "org"].join(".");
    assert_eq!(
        rules::package_hosts(&format!("a\nhttp://{host}/debian")).len(),
        1
    );
    let index = ["index", "crates", "io"].join(".");
    assert_eq!(rules::package_hosts(&index.to_uppercase()).len(), 1);
    assert!(rules::package_hosts("apt-get install gcc; https://example.org/pypi").is_empty());
}
