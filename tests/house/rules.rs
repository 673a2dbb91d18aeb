//! The rules of the house: each looks at one source and says what breaks it.

use crate::source::{NamedPath, Source};

/// What breaks a rule, and the line it stands on.
#[derive(Debug)]
pub struct Finding {
    pub line: usize,
    pub what: String,
}

fn finding(line: usize, what: impl Into<String>) -> Finding {
    Finding {
        line,
        what: what.into(),
    }
}

/// Macros that allocate, or that panic at run time.
const MACROS_NOT_FOR_THE_CORE: [&str; 16] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "dbg",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "eprintln",
    "format",
    "panic",
    "print",
    "println",
    "todo",
    "unimplemented",
    "unreachable",
    "vec",
];

/// The shared rules import `core` and themselves alone.
/// `crates` are the names by which the package's dependencies could be reached.
pub fn core_imports(source: &Source, crates: &[String]) -> Vec<Finding> {
    let allowed_import =
        |path: &NamedPath| ["core", "crate", "self", "super"].contains(&path.segments[0].as_str());
    let outside = |path: &NamedPath| {
        let head = path.segments[0].as_str();
        let elsewhere =
            head == "crate" && path.segments.get(1).is_none_or(|name| name != "remap_core");
        elsewhere
            || ["alloc", "std", "proc_macro", "test"].contains(&head)
            || crates.iter().any(|name| name == head)
    };
    let mut found: Vec<Finding> = source
        .paths()
        .iter()
        .filter(|path| (path.imported && !allowed_import(path)) || outside(path))
        .map(|path| finding(path.line, path.segments.join("::")))
        .collect();
    found.extend(lines_of(source, |at| {
        source.matches(at, &["extern", "crate"])
    }));
    found
}

/// The shared rules never panic, allocate or step outside what the compiler checks.
pub fn core_cannot_fail(source: &Source) -> Vec<Finding> {
    lines_of(source, |at| {
        let word = source.word(at);
        let called = source.word(at + 1) == "(" && [".", "::"].contains(&source.word_before(at));
        let invoked = source.word(at + 1) == "!" && source.word(at + 2) != "=";
        word == "unsafe"
            || (called && ["unwrap", "expect", "unwrap_err", "expect_err"].contains(&word))
            || (invoked
                && MACROS_NOT_FOR_THE_CORE.contains(&word)
                && !is_compile_time_assertion(source, at))
    })
}

/// `const _: () = assert!(...)` and `const { assert!(...) }` fail the build, never the
/// kernel.
fn is_compile_time_assertion(source: &Source, at: usize) -> bool {
    let follows = |words: &[&str]| {
        at.checked_sub(words.len())
            .is_some_and(|start| source.matches(start, words))
    };
    follows(&["const", "_", ":", "(", ")", "="]) || follows(&["const", "{"])
}

/// `unsafe`, or leave to use it.
pub fn unsafe_code(source: &Source) -> Vec<Finding> {
    lines_of(source, |at| {
        let lifted = ["allow", "expect", "warn"].contains(&source.word(at))
            && source.matches(at + 1, &["(", "unsafe_code"]);
        source.word(at) == "unsafe" || lifted
    })
}

/// A view that could change the state it draws.
pub fn mutable_state(source: &Source) -> Vec<Finding> {
    let names_state = |at: usize| {
        let mut at = at;
        while source.word(at + 1) == "::" && source.word(at) != "Self" {
            at += 2;
        }
        source.word(at) == "State"
    };
    lines_of(source, |at| {
        let borrowed = source.word_before(at) == "&"
            || (source.word_before(at) == "'" && at > 1 && source.word(at - 2) == "&");
        source.word(at) == "mut" && borrowed && names_state(at + 1)
    })
}

/// Input, output, threads and clocks, none of which a pure function has.
pub fn input_and_output(source: &Source) -> Vec<Finding> {
    const MODULES: [&str; 7] = ["env", "fs", "io", "net", "os", "process", "thread"];
    const TYPES: [&str; 6] = [
        "File",
        "OpenOptions",
        "TcpStream",
        "UdpSocket",
        "UnixStream",
        "SystemTime",
    ];
    paths_of(source, |path| {
        let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
        match segments[..] {
            ["std", module, ..] if MODULES.contains(&module) => true,
            ["std", "*"] => true,
            ["nix" | "libc" | "rustix", ..] => true,
            [.., "Instant", "now"] => true,
            _ => segments.iter().any(|segment| TYPES.contains(segment)) || names_sys(path),
        }
    })
}

/// Another program, started in any way.
pub fn other_programs(source: &Source) -> Vec<Finding> {
    const CALLS: [&str; 6] = [
        "fork",
        "vfork",
        "system",
        "popen",
        "posix_spawn",
        "posix_spawnp",
    ];
    paths_of(source, |path| {
        let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
        let of_the_system = ["nix", "libc", "rustix", "unistd"].contains(&segments[0]);
        let follows = |pair: [&str; 2]| segments.windows(2).any(|window| window == pair);
        segments == ["std", "*"]
            || segments.contains(&"CommandExt")
            || follows(["std", "process"]) && segments.contains(&"*")
            || follows(["process", "Command"])
            || follows(["Command", "new"])
            || of_the_system
                && segments
                    .iter()
                    .any(|call| CALLS.contains(call) || call.contains("exec"))
    })
}

/// The real adapters, named past the ports.
pub fn real_adapters(source: &Source) -> Vec<Finding> {
    paths_of(source, names_sys)
}

fn names_sys(path: &NamedPath) -> bool {
    const WITHIN: [&str; 4] = ["crate", "dmremap", "self", "super"];
    let module = path
        .segments
        .iter()
        .find(|segment| !WITHIN.contains(&segment.as_str()));
    module.is_some_and(|name| name == "sys")
}

/// A test set aside, other than an exhaustive one where the build is not optimised.
pub fn ignored_tests(source: &Source) -> Vec<Finding> {
    let unoptimised = ["cfg_attr", "(", "debug_assertions", ","];
    let is_exhaustive = source.path.starts_with("tests/exhaustive");
    lines_of(source, |at| {
        let in_attribute = source.word_before(at) == "[" && at > 1 && source.word(at - 2) == "#";
        let conditional = ["=", ")", "]", ","].contains(&source.word(at + 1))
            && source.word_before(at) == ","
            && (0..at)
                .rev()
                .take(12)
                .any(|before| source.word(before) == "cfg_attr");
        let excused = is_exhaustive
            && at
                .checked_sub(unoptimised.len())
                .is_some_and(|start| source.matches(start, &unoptimised));
        source.word(at) == "ignore" && (in_attribute || conditional) && !excused
    })
}

/// The address of a package host: which mirror serves a machine is its own affair.
pub fn package_hosts(text: &str) -> Vec<Finding> {
    // Put together here, so that this file names none of them.
    let hosts: Vec<String> = [
        &["deb", "debian", "org"][..],
        &["security", "debian", "org"],
        &["snapshot", "debian", "org"],
        &["ftp", "debian", "org"],
        &["archive", "ubuntu", "com"],
        &["security", "ubuntu", "com"],
        &["crates", "io/"],
        &["static", "crates", "io"],
        &["index", "crates", "io"],
        &["static", "rust-lang", "org"],
        &["pypi", "org"],
        &["pythonhosted", "org"],
        &["registry", "npmjs", "org"],
        &["proxy", "golang", "org"],
    ]
    .iter()
    .map(|labels| labels.join("."))
    .collect();
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let line_lowered = line.to_lowercase();
            let host = hosts.iter().find(|host| line_lowered.contains(*host))?;
            Some(finding(index + 1, host.as_str()))
        })
        .collect()
}

fn lines_of(source: &Source, breaks: impl Fn(usize) -> bool) -> Vec<Finding> {
    (0..source.tokens.len())
        .filter(|at| breaks(*at))
        .map(|at| finding(source.tokens[at].line, source.word(at)))
        .collect()
}

fn paths_of(source: &Source, breaks: impl Fn(&NamedPath) -> bool) -> Vec<Finding> {
    source
        .paths()
        .iter()
        .filter(|path| breaks(path))
        .map(|path| finding(path.line, path.segments.join("::")))
        .collect()
}
