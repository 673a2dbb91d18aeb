//! What is on the screen, to be kept in a file.

use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use super::state::{State, Tab};
use super::{headless, pages, svg};
use crate::report;

/// The form of a file that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines of text, as they stand on the screen.
    Text,
    /// What is shown, as the reports of the command line tell it.
    Json,
    /// A picture.
    Svg,
}

impl Form {
    /// The form that the name of a file asks for; text, where it asks for none.
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|it| it.to_str()) {
            Some("json") => Self::Json,
            Some("svg") => Self::Svg,
            _ => Self::Text,
        }
    }
}

/// The name of a file for what is shown.
pub fn usual_name(state: &State) -> PathBuf {
    let subject = state.subject();
    let name = subject.and_then(|subject| subject.name().map(str::to_owned));
    let name = name.or_else(|| subject.map(|subject| state.name_of(subject.store)));
    // A name from a disk may not lead to another directory.
    let keep = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    let name: String = name
        .unwrap_or_default()
        .chars()
        .filter(|it| keep(*it))
        .collect();
    let page = state.tab.title().to_lowercase();
    PathBuf::from(format!("dmremap-{name}-{page}.txt").replace("--", "-"))
}

/// What is on the screen, in this form.
pub fn render(state: &State, form: Form) -> String {
    match form {
        Form::Text => headless::lines_of(&headless::picture(state)),
        Form::Svg => svg::render(&headless::picture(state), "dmremap-tui"),
        Form::Json => format!("{}\n", report::object("screen", of_state(state))),
    }
}

/// The list as it is sorted and narrowed, and what is known of the chosen device.
fn of_state(state: &State) -> Value {
    let rows = state.rows.iter().map(|row| {
        let condition = super::rows::condition(state, row);
        let device = match &row.key {
            super::rows::RowKey::Device(_) => state.devices().get(row.index),
            super::rows::RowKey::Mapped(_) => None,
        };
        let name = match &row.key {
            super::rows::RowKey::Mapped(name) => name.clone(),
            super::rows::RowKey::Device(path) => report::path_text(path),
        };
        json!({
            "name": name,
            "part": device.map_or("mapped", |device| super::rows::part(state, device).0),
            "state": condition.text,
            "chosen": state.chosen.as_ref() == Some(&row.key),
        })
    });
    let subject = state.subject();
    let active = subject.and_then(|subject| subject.active);
    let target = active.map(|active| {
        let mapped = active.mapped_by(state.now);
        let findings = crate::inspect::status_findings(&mapped);
        report::mapped_json(&mapped, &findings)
    });
    let inspection = subject.and_then(|subject| subject.inspection().map(report::Seen::new));
    json!({
        "page": state.tab.title().to_lowercase(),
        "sort": state.options.sort.by.name(),
        "filter": state.filter,
        "frozen": state.frozen.is_some(),
        "devices": rows.collect::<Vec<_>>(),
        "target": target,
        "inspection": inspection,
        "events": match state.tab {
            Tab::Events => pages::events(state).map(report::event_json).collect(),
            _ => Vec::new(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::sample::{self, COLOUR};

    #[test]
    fn every_form_tells_what_is_shown() {
        let state = sample::state(COLOUR, 80, 24);
        assert_eq!(usual_name(&state), Path::new("dmremap-vault-overview.txt"));
        let text = render(&state, Form::Text);
        assert_eq!(text.lines().count(), 24);
        assert!(text.contains("vault"), "{text}");
        assert!(render(&state, Form::Svg).starts_with("<svg"));
        let json: Value = serde_json::from_str(&render(&state, Form::Json)).unwrap();
        assert_eq!(json["schema"], "dmremap/screen/1");
        assert_eq!(json["target"]["name"], "vault");
        assert_eq!(json["inspection"]["verdict"], "degraded");
        let rows = json["devices"].as_array().unwrap();
        assert_eq!(rows.len(), state.rows.len());
        assert_eq!(rows.iter().filter(|row| row["chosen"] == true).count(), 1);
    }

    #[test]
    fn the_end_of_a_name_tells_the_form() {
        for (name, form) in [
            ("a.json", Form::Json),
            ("a.svg", Form::Svg),
            ("a.txt", Form::Text),
            ("a", Form::Text),
        ] {
            assert_eq!(Form::of(Path::new(name)), form);
        }
    }
}
