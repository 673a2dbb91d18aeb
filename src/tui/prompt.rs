//! The command line of the screen: the same words as in a shell, and some that only a
//! screen has. Completion offers what may stand at the end of the line.

use super::settings::Setting;
use super::sort::SortBy;
use super::state::{State, Tab};
use crate::ops::verbs::{Value, Verb, VERBS};
use crate::ops::words::Names;
use crate::ops::CorruptionKind;

/// A command that is being typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// What was typed so far.
    pub text: String,
    /// Why it could not be run.
    pub complaint: Option<String>,
    /// What was typed before completion changed it, and which of its words is shown.
    pub turning: Option<(String, usize)>,
    /// How far back in what was said before.
    pub back: usize,
}

impl Prompt {
    /// A line that begins with this.
    pub fn with(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

/// What a word of a screen's own command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// There is none.
    None,
    /// Any text, up to the end of the line.
    Text,
    /// A file.
    File,
    /// A page of the detail.
    Page,
    /// An order of the list.
    Order,
    /// A theme.
    Theme,
    /// `on` or `off`; the other one where none is said.
    Switch,
    /// A device or a mapped device.
    Row,
    /// A drill.
    Scenario,
}

/// A command that only a screen has.
#[derive(Clone, Copy, Debug)]
pub struct OwnVerb {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What stands behind it.
    pub word: Word,
}

const fn own(name: &'static str, word: Word, about: &'static str) -> OwnVerb {
    OwnVerb { name, about, word }
}

/// Every command that only a screen has.
pub const OWN: [OwnVerb; 19] = [
    own(
        "scenario",
        Word::Scenario,
        "go through a drill, step by step",
    ),
    own("select", Word::Row, "choose a row of the list"),
    own("page", Word::Page, "turn to a page of the detail"),
    own(
        "filter",
        Word::Text,
        "narrow the list; nothing shows every device",
    ),
    own(
        "sort",
        Word::Order,
        "sort the list; - in front for the other way round",
    ),
    own("freeze", Word::Switch, "stop changing what is shown"),
    own(
        "export",
        Word::File,
        "keep the screen in a new file: .txt, .json or .svg",
    ),
    own(
        "copy",
        Word::None,
        "copy the command that does or shows the same",
    ),
    own(
        "log",
        Word::None,
        "what was done, with the commands that do the same",
    ),
    own("undo-list", Word::None, "what can be taken back"),
    own(
        "settings",
        Word::None,
        "theme, mouse, read-only, dry run, and more",
    ),
    own("theme", Word::Theme, "how things look"),
    own("ascii", Word::Switch, "draw ASCII only"),
    own(
        "mouse",
        Word::Switch,
        "heed the mouse, or leave it to the terminal",
    ),
    own("read-only", Word::Switch, "refuse every change"),
    own("dry-run", Word::Switch, "show plans, and carry none out"),
    own("utc", Word::Switch, "show times in UTC"),
    own("help", Word::None, "the keys that work here"),
    own("quit", Word::None, "end the application"),
];

impl OwnVerb {
    /// The command of this name.
    pub fn named(name: &str) -> Option<Self> {
        OWN.into_iter().find(|own| own.name == name)
    }

    /// The setting that the command switches.
    pub fn switches(self) -> Option<Setting> {
        Some(match self.name {
            "freeze" => Setting::Freeze,
            "ascii" => Setting::Ascii,
            "mouse" => Setting::Mouse,
            "read-only" => Setting::ReadOnly,
            "dry-run" => Setting::DryRun,
            "utc" => Setting::Utc,
            _ => return None,
        })
    }
}

/// A word that may stand at the end of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The word.
    pub word: String,
    /// What it is.
    pub about: String,
}

fn candidate(word: impl Into<String>, about: impl Into<String>) -> Candidate {
    Candidate {
        word: word.into(),
        about: about.into(),
    }
}

/// What the words of a line may mean on this screen.
pub fn names(state: &State) -> Names {
    let mapped = state.up().iter().map(|active| &active.mapped);
    let mut names = Names::of(state.devices(), mapped);
    for device in state.devices() {
        let inspection = state.inspection(&device.path);
        if let Some(name) = inspection.and_then(|inspection| inspection.name.as_deref()) {
            names.add_spare(name, &device.path);
        }
    }
    names.subject = state.subject().map(|subject| {
        let name = subject.active.map(|active| active.mapped.name.clone());
        (name, subject.store.to_owned())
    });
    names
}

/// The part of a line that stands, and the word at its end that may be completed.
fn parts(text: &str) -> (&str, &str) {
    text.split_at(text.rfind(' ').map_or(0, |at| at + 1))
}

/// What may stand at the end of `text`.
pub fn candidates(state: &State, text: &str) -> Vec<Candidate> {
    let (before, stem) = parts(text);
    let mut words = before.split_whitespace();
    let all = match words.next() {
        None => commands(),
        Some(name) => {
            let rest: Vec<&str> = words.collect();
            match VERBS.iter().find(|verb| verb.name == name) {
                Some(verb) => of_verb(state, verb, &rest),
                None => OwnVerb::named(name)
                    .filter(|_| rest.is_empty())
                    .map_or_else(Vec::new, |own| of_own(state, own)),
            }
        }
    };
    let fitting = all.into_iter();
    fitting.filter(|it| it.word.starts_with(stem)).collect()
}

/// Whether a line may begin with this word.
pub fn is_command(word: &str) -> bool {
    OwnVerb::named(word).is_some() || VERBS.iter().any(|verb| verb.name == word)
}

/// Every command, those that only look first; what puts something at stake comes last, so
/// that it is never what one press of a key completes to where something else would fit as
/// well.
fn commands() -> Vec<Candidate> {
    let operations = VERBS.iter().map(|verb| candidate(verb.name, verb.about));
    let own = OWN.iter().map(|own| candidate(own.name, own.about));
    let mut commands: Vec<Candidate> = own.chain(operations).collect();
    commands.sort_by_key(|it| AT_STAKE.contains(&it.word.as_str()));
    commands
}

/// The commands that change what lies on a disk, take a device down or let a disk fail.
pub const AT_STAKE: [&str; 8] = [
    "create",
    "write-metadata",
    "corrupt",
    "repair",
    "migrate",
    "remove",
    "undo",
    "fault",
];

fn of_own(state: &State, own: OwnVerb) -> Vec<Candidate> {
    match own.word {
        Word::None | Word::Text => Vec::new(),
        Word::File => {
            let name = super::export::usual_name(state);
            let forms = [
                ("txt", "lines of text"),
                ("json", "a report"),
                ("svg", "a picture"),
            ];
            let of_form = |(ending, about): (&str, &str)| {
                candidate(name.with_extension(ending).display().to_string(), about)
            };
            forms.into_iter().map(of_form).collect()
        }
        Word::Page => Tab::ALL
            .iter()
            .map(|tab| candidate(tab.title().to_lowercase(), ""))
            .collect(),
        Word::Order => SortBy::ALL
            .iter()
            .flat_map(|by| [by.name().to_owned(), format!("-{}", by.name())])
            .map(|word| candidate(word, ""))
            .collect(),
        Word::Theme => {
            let names = state.options.palettes.names();
            names.map(|name| candidate(quoted(name), "")).collect()
        }
        Word::Switch => vec![candidate("on", own.about), candidate("off", "")],
        Word::Scenario => crate::scenario::all()
            .into_iter()
            .map(|scenario| candidate(scenario.name, scenario.about))
            .collect(),
        Word::Row => [devices(state), mapped(state)].concat(),
    }
}

fn of_verb(state: &State, verb: &Verb, rest: &[&str]) -> Vec<Candidate> {
    let last = rest.last().copied().unwrap_or_default();
    let value_of_last = verb.options.iter().find(|(name, _)| *name == last);
    if let Some((_, value)) = value_of_last.filter(|(_, value)| *value != Value::Flag) {
        return of_value(state, *value);
    }
    let mut arguments = 0;
    let mut is_value = false;
    for word in rest {
        let option = verb.options.iter().find(|(name, _)| name == word);
        if option.is_none() && !is_value {
            arguments += 1;
        }
        is_value = option.is_some_and(|(_, value)| *value != Value::Flag);
    }
    let argument = verb.arguments.get(arguments);
    let mut all = argument.map_or_else(Vec::new, |value| of_value(state, *value));
    let unsaid = verb.options.iter().filter(|(name, _)| !rest.contains(name));
    all.extend(unsaid.map(|(name, _)| candidate(*name, "")));
    all
}

fn of_value(state: &State, value: Value) -> Vec<Candidate> {
    let words = |words: &[&str]| words.iter().map(|word| candidate(*word, "")).collect();
    match value {
        Value::Flag | Value::NewName | Value::Number | Value::Array => Vec::new(),
        Value::Name => mapped(state),
        Value::Device => devices(state),
        Value::Target => [mapped(state), devices(state)].concat(),
        Value::Slots | Value::Slot => words(&["0", "1", "2", "3", "4"]),
        Value::Kind => CorruptionKind::ALL
            .iter()
            .map(|kind| candidate(kind.name(), kind.describe()))
            .collect(),
        Value::BlockSize => words(&["512", "1024", "2048", "4096"]),
        Value::Action => {
            let newest_first = state.journal.iter().rev();
            newest_first
                .filter(|action| action.has_backup && action.undone_by.is_none())
                .map(|action| candidate(action.id.to_string(), action.begun.title.clone()))
                .collect()
        }
        Value::Part => words(&["main", "spare"]),
        Value::Direction => words(&["read", "write", "both"]),
    }
}

fn devices(state: &State) -> Vec<Candidate> {
    let devices = state.devices().iter();
    devices
        .map(|device| {
            let part = super::rows::part(state, device).0;
            candidate(quoted(&device.name), part)
        })
        .collect()
}

fn mapped(state: &State) -> Vec<Candidate> {
    let up = state.up().iter();
    up.map(|active| candidate(quoted(&active.mapped.name), "mapped, up"))
        .collect()
}

fn quoted(word: &str) -> String {
    crate::command_line::quote(std::ffi::OsStr::new(word))
}

/// Puts the next word that fits at the end of the line, or the one before.
pub fn complete(state: &State, prompt: &mut Prompt, back: bool) {
    let (typed, at) = match prompt.turning.take() {
        Some((typed, at)) => (typed, Some(at)),
        None => (prompt.text.clone(), None),
    };
    let all = candidates(state, &typed);
    let (before, _) = parts(&typed);
    if let [only] = all.as_slice() {
        prompt.text = format!("{before}{} ", only.word);
        return;
    }
    if all.is_empty() {
        prompt.text = typed;
        return;
    }
    let next = match (at, back) {
        (None, false) => 0,
        (None, true) => all.len() - 1,
        (Some(at), false) => (at + 1) % all.len(),
        (Some(at), true) => (at + all.len() - 1) % all.len(),
    };
    prompt.text = format!("{before}{}", all[next].word);
    prompt.turning = Some((typed, next));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::sample::{self, COLOUR};

    fn words(text: &str) -> Vec<String> {
        let state = sample::state(COLOUR, 80, 24);
        let all = candidates(&state, text);
        all.into_iter().map(|it| it.word).collect()
    }

    #[test]
    fn what_may_stand_at_the_end_is_offered_and_nothing_else() {
        for (text, expected) in [
            ("scr", &["scrub"][..]),
            ("re", &["read-only", "reassemble", "remove", "repair"]),
            ("scrub ", &["attic", "vault"]),
            ("scrub v", &["vault"]),
            ("scrub vault ", &[]),
            ("repair vault --", &["--from", "--rebuild", "--array"]),
            ("repair vault --rebuild --", &["--from", "--array"]),
            ("corrupt vault --kind t", &["torn", "truncated-text"]),
            ("corrupt vault --copy ", &["0", "1", "2", "3", "4"]),
            ("fault vault --on write m", &["main"]),
            ("sort -s", &["-size", "-state"]),
            ("page c", &["copies", "counters"]),
            ("theme high", &["high-contrast"]),
            ("mouse o", &["on", "off"]),
            ("quit ", &[]),
            ("dance ", &[]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn tab_goes_around_all_words_and_comes_back() {
        let state = sample::state(COLOUR, 80, 24);
        let mut prompt = Prompt::with("scrub ");
        for expected in ["scrub attic", "scrub vault", "scrub attic"] {
            complete(&state, &mut prompt, false);
            assert_eq!(prompt.text, expected);
        }
        complete(&state, &mut prompt, true);
        assert_eq!(prompt.text, "scrub vault");
        let mut prompt = Prompt::with("scru");
        complete(&state, &mut prompt, false);
        assert_eq!(prompt.text, "scrub ");
    }

    #[test]
    fn no_command_has_the_name_of_another() {
        for own in OWN {
            assert!(
                VERBS.iter().all(|verb| verb.name != own.name),
                "{}",
                own.name
            );
        }
    }
}
