//! The bodies of the fuzz targets on a stable toolchain: over the committed corpora and
//! over changes to them that are the same in every run.
//!
//! `UPDATE_CORPUS=1 cargo test --test decoders` writes the corpora anew.
#![cfg(test)]

#[path = "../fuzz/bodies.rs"]
mod bodies;
#[path = "../common/mod.rs"]
mod common;
mod seeds;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use common::Noise;
use dmremap::remap_core::message::Message;
use dmremap::remap_core::params::TargetArgs;
use dmremap::remap_core::quorum::judge;
use dmremap::remap_core::status::Status;

type Body = fn(&[u8]);

/// Every fuzz target.
const TARGETS: [(&str, Body); 9] = [
    ("backup_file", bodies::backup_file),
    ("main_label", bodies::main_label),
    ("message", bodies::message),
    ("params_line", bodies::params_line),
    ("region_header", bodies::region_header),
    ("status_line", bodies::status_line),
    ("superblock_copy", bodies::superblock_copy),
    ("survey", bodies::survey),
    ("table_blocks", bodies::table_blocks),
];

/// Changed inputs that each target is given.
const CHANGED: usize = 3000;

fn fuzz_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// What lies in the corpus of a target, by file name.
fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = fuzz_folder().join("corpus").join(target);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect()
}

#[test]
fn every_fuzz_target_is_run_here() {
    let mut names: Vec<String> = fs::read_dir(fuzz_folder().join("fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, TARGETS.map(|(name, _)| format!("{name}.rs")));
}

/// The committed seeds are what real structures are today.
#[test]
fn corpora_hold_the_seeds() {
    for (target, seeds) in seeds::all() {
        if std::env::var_os("UPDATE_CORPUS").is_some() {
            let folder = fuzz_folder().join("corpus").join(target);
            fs::create_dir_all(&folder).unwrap();
            for (name, seed) in &seeds {
                fs::write(folder.join(name), seed).unwrap();
            }
        }
        let corpus = corpus(target);
        for (name, seed) in seeds {
            assert!(
                corpus.get(name) == Some(&seed),
                "{target}/{name} is out of date"
            );
        }
    }
}

/// A seed that every decoder refuses at its first byte would lead nowhere.
#[test]
fn seeds_reach_behind_the_first_checks() {
    let expected = [
        ("healthy", "healthy"),
        ("interrupted", "interrupted"),
        ("lone", "weak"),
        ("outlier", "outlier"),
        ("plain", "healthy"),
        ("plain-split", "split"),
        ("split", "split"),
        ("two-arrays", "degraded"),
        ("unsupported", "unsupported"),
    ];
    let surveys = corpus("survey");
    for (name, verdict) in expected {
        let judgement = judge(&bodies::made_up_survey(&surveys[name]));
        assert_eq!(judgement.verdict.name(), verdict, "{name}");
    }

    let line = |target, name| String::from_utf8(corpus(target)[name].clone()).unwrap();
    for name in ["healthy", "pass", "waiting"] {
        assert!(
            line("status_line", name).parse::<Status>().is_ok(),
            "{name}"
        );
    }
    for name in ["all", "paths"] {
        let line = line("params_line", name);
        let words: Vec<&str> = line.split(' ').collect();
        assert!(TargetArgs::parse(&words).is_ok(), "{name}");
    }
    for name in ["fault", "remap", "remaps", "scrub"] {
        let line = line("message", name);
        let words: Vec<&str> = line.split(' ').collect();
        assert!(Message::parse(&words).is_ok(), "{name}");
    }
}

/// One to eight changes of the kinds that fuzzers make.
fn change(noise: &mut Noise, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=noise.word() % 8 {
        let length = input.len().max(1) as u64;
        let at = (noise.word() % length) as usize;
        let value = noise.word() as u8;
        match noise.word() % 8 {
            0 => input.truncate(at),
            1 => input.insert(at.min(input.len()), value),
            2 => input.extend(other.iter().skip(at).take(64)),
            3 => {
                let end = input.len().min(at + 8);
                input.get_mut(at..end).unwrap_or_default().fill(value);
            }
            4 => {
                let end = input.len().min(at + 64).min(other.len());
                if let (Some(to), Some(from)) = (input.get_mut(at..end), other.get(at..end)) {
                    to.copy_from_slice(from);
                }
            }
            5 => {
                let byte = input.get_mut(at);
                byte.into_iter().for_each(|byte| *byte ^= 1 << (value % 8));
            }
            6 => {
                let byte = input.get_mut(at);
                byte.into_iter()
                    .for_each(|byte| *byte = byte.wrapping_add(1));
            }
            _ => {
                let byte = input.get_mut(at);
                byte.into_iter().for_each(|byte| *byte = value);
            }
        }
    }
}

fn run(target: &str) {
    let (_, body) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let inputs: Vec<Vec<u8>> = corpus(target).into_values().collect();
    assert!(inputs.len() >= 3, "{target}: a corpus of {}", inputs.len());
    body(&[]);
    for input in &inputs {
        body(input);
    }
    let mut noise = Noise::new(1);
    for round in 0..CHANGED {
        let mut input = inputs[round % inputs.len()].clone();
        let other = (noise.word() % inputs.len() as u64) as usize;
        change(&mut noise, &mut input, &inputs[other]);
        body(&input);
    }
}

#[test]
fn backup_files_are_decoded() {
    run("backup_file");
}

#[test]
fn labels_of_main_are_decoded() {
    run("main_label");
}

#[test]
fn messages_are_decoded() {
    run("message");
}

#[test]
fn table_lines_are_decoded() {
    run("params_line");
}

#[test]
fn region_headers_are_decoded() {
    run("region_header");
}

#[test]
fn status_lines_are_decoded() {
    run("status_line");
}

#[test]
fn superblock_copies_are_decoded() {
    run("superblock_copy");
}

#[test]
fn surveys_are_judged() {
    run("survey");
}

#[test]
fn table_blocks_are_decoded() {
    run("table_blocks");
}
