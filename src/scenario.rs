//! Scenarios: drills on a lab, step by step, each with what must come of it. They are data
//! files, so that what is shown, what is run and what is tested is the same.

use std::ffi::OsString;

use serde::Deserialize;

use crate::command_line;
use crate::ops::words::{self, Names};
use crate::ops::Operation;
use crate::remap_core::quorum::Verdict;

/// A drill on one device of a lab.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is called on a command line.
    #[serde(skip)]
    pub name: String,
    /// Its title.
    pub title: String,
    /// What it shows, in a line.
    pub about: String,
    /// The mapped device that it works on.
    pub device: String,
    /// What is done, in order.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
}

/// One step of a drill.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What happens here, for whoever watches; `{action}` stands for the operator's key of
    /// an action of the key map.
    pub say: String,
    /// What is done, in the words of a command line; none where one only looks.
    pub run: Option<String>,
    /// What the plan must say that the copies will be judged.
    #[serde(default, deserialize_with = "verdict")]
    pub predict: Option<Verdict>,
    /// What the copies must be judged before the next step.
    #[serde(default, deserialize_with = "verdict")]
    pub then: Option<Verdict>,
}

fn verdict<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Verdict>, D::Error> {
    let name = String::deserialize(input)?;
    let found = Verdict::ALL.into_iter().find(|it| it.name() == name);
    found
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom(format!("there is no verdict {name}")))
}

impl Step {
    /// The operation that the step is, with the names of the lab.
    ///
    /// # Errors
    ///
    /// What makes no sense in its words.
    pub fn operation(&self, names: &Names) -> Result<Option<Operation>, String> {
        let Some(line) = &self.run else {
            return Ok(None);
        };
        let words: Vec<OsString> = command_line::split(line)?;
        words::parse(&words, names).map(Some)
    }
}

/// Every scenario: its name and its file.
const FILES: [(&str, &str); 8] = [
    (
        "first-ten-minutes",
        include_str!("../assets/scenarios/first-ten-minutes.toml"),
    ),
    (
        "torn-write",
        include_str!("../assets/scenarios/torn-write.toml"),
    ),
    (
        "missed-write",
        include_str!("../assets/scenarios/missed-write.toml"),
    ),
    (
        "last-copy",
        include_str!("../assets/scenarios/last-copy.toml"),
    ),
    ("ahead", include_str!("../assets/scenarios/ahead.toml")),
    ("rival", include_str!("../assets/scenarios/rival.toml")),
    (
        "overwritten",
        include_str!("../assets/scenarios/overwritten.toml"),
    ),
    (
        "all-lost",
        include_str!("../assets/scenarios/all-lost.toml"),
    ),
];

/// Reads a scenario.
///
/// # Errors
///
/// What is wrong with its text, and where.
pub fn read(name: &str, text: &str) -> Result<Scenario, String> {
    let scenario: Scenario = toml::from_str(text).map_err(|error| error.to_string())?;
    Ok(Scenario {
        name: name.to_owned(),
        ..scenario
    })
}

/// Every scenario there is, the guided tour first.
pub fn all() -> Vec<Scenario> {
    let read = |(name, text): &(&str, &str)| read(name, text).ok();
    FILES.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_scenario_whose_words_make_sense() {
        assert_eq!(all().len(), FILES.len());
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/scenarios");
        let files = std::fs::read_dir(directory).unwrap().count();
        assert_eq!(files, FILES.len(), "a file is not among the scenarios");
        for (name, text) in FILES {
            let scenario = read(name, text).unwrap();
            assert!(!scenario.steps.is_empty(), "{name}");
            for step in &scenario.steps {
                step.operation(&Names::default())
                    .unwrap_or_else(|why| panic!("{name}: {:?}: {why}", step.run));
                assert!(step.predict.is_none() || step.run.is_some(), "{name}");
            }
            let last = scenario.steps.last().unwrap();
            let healthy = Some(Verdict::Healthy);
            assert_eq!(last.then, healthy, "{name} leaves damage behind");
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let text = |rest: &str| format!("title = 'a'\nabout = 'b'\ndevice = 'c'\n{rest}");
        for (rest, said) in [
            (
                "[[step]]\nsay = 'x'\nthen = 'fine'",
                "there is no verdict fine",
            ),
            ("[[step]]\nsay = 'x'\ndo = 'y'", "unknown field `do`"),
            ("", "missing field `step`"),
        ] {
            let error = read("x", &text(rest)).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
