//! An operator for whom every action has another key than the usual one: no text that is
//! drawn may still name a usual key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ratatui::layout::Size;

use super::screens::{Seat, SCENES};
use super::tests::{drawn, text};
use crate::tui::event::Event;
use crate::tui::keymap::{Command, Context, KeyMap, BINDINGS};
use crate::tui::options::Options;
use crate::tui::prompt;
use crate::tui::sample::{self, happen, COLOUR};
use crate::tui::state::Mode;

/// A screen on which nothing is cut off, and one that has room for little.
const SIZES: [(u16, u16); 2] = [(120, 60), (40, 10)];

/// Every action on a key of its own that is nobody's usual one, and that no text has.
fn own_keys() -> KeyMap {
    let keys = ('\u{4e00}'..).map(|letter| vec![format!("ctrl-{letter}")]);
    let actions = BINDINGS.iter().map(|binding| binding.action.to_owned());
    KeyMap::with(&actions.zip(keys).collect()).unwrap()
}

/// No action has a key, as far as that is allowed: what leads out and what quits keep theirs.
fn hardly_any_keys() -> KeyMap {
    let mut wanted = BTreeMap::new();
    for binding in BINDINGS {
        wanted.insert(binding.action.to_owned(), Vec::new());
        if KeyMap::with(&wanted).is_err() {
            wanted.remove(binding.action);
        }
    }
    KeyMap::with(&wanted).unwrap()
}

/// What the usual keys are called.
fn usual_names() -> BTreeSet<String> {
    let keys = BINDINGS.iter().flat_map(|binding| binding.keys);
    keys.map(ToString::to_string).collect()
}

/// Words that end like something that a key does, and stand behind a number without being it.
const NOT_DONE: [&str; 18] = [
    "actions", "attempts", "blocks", "bytes", "columns", "copies", "devices", "is", "lines",
    "ranges", "reads", "remaps", "says", "sectors", "settings", "steps", "was", "writes",
];

/// Whether `word`, which is the name of a key, is named as one: letters and words always,
/// but what is English, a number, a unit or a sign of a table as well only where a sentence
/// asks for the key or tells what it does.
fn is_named(word: &str, before: &str, after: &str) -> bool {
    let is_number = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
    // As in `x damages`.
    let does = after.len() > 1
        && after.ends_with('s')
        && after.chars().all(|letter| letter.is_ascii_lowercase())
        && !NOT_DONE.contains(&after);
    let is_asked_for = ["press", "Press", "with", "key"].contains(&before);
    let is_sign = word.chars().all(|letter| letter.is_ascii_punctuation());
    let is_number_told = is_number(before) || before.ends_with('}');
    let is_unit = ["s", "h", "d", "x", "G", "M"].contains(&word) && is_number_told;
    let is_english = ["a", "up", "down", "left", "right", "end", "space", "home"].contains(&word);
    if is_sign || is_unit || is_english || is_number(word) {
        return is_asked_for || does;
    }
    true
}

/// The names of usual keys in `line`, each with the line. Words that are cut off at a border
/// are none.
fn usual_keys_in(line: &str, names: &BTreeSet<String>) -> Vec<String> {
    let is_border = |letter: char| "│╮╯".contains(letter);
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut found = Vec::new();
    for (place, word) in words.iter().enumerate() {
        let bare = match word.trim_end_matches(['.', ',', ';', ':']) {
            "" => word,
            bare => bare,
        };
        let at = |place: Option<usize>| place.and_then(|at| words.get(at)).copied();
        let before = at(place.checked_sub(1)).unwrap_or_default();
        let after = at(place.checked_add(1)).unwrap_or_default();
        let after = after.trim_end_matches(is_border);
        // What a key does stands right behind it.
        let after = if bare == *word { after } else { "" };
        if names.contains(bare) && is_named(bare, before, after) {
            found.push(format!("{bare}: {line}"));
        }
    }
    found
}

/// What is drawn at every size, and after each key that means something there.
fn lines_of(seat: &dyn Fn() -> Seat) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let mut look = |seat: &mut Seat| {
        for (width, height) in SIZES {
            let resized = Event::Resized(Size::new(width, height));
            let now = seat.state.now.get();
            happen(&mut seat.state, now, resized);
            let shown = text(&drawn(&seat.state));
            lines.extend(shown.lines().map(ToOwned::to_owned));
        }
    };
    let mut first = seat();
    look(&mut first);
    if let Mode::Browse = first.state.mode {
        // What is said of the other devices.
        for row in 0..first.state.rows.len() {
            let key = first.state.rows[row].key.clone();
            first.state.chosen = Some(key);
            look(&mut first);
        }
        first = seat();
    }
    let map = first.state.options.keys.clone();
    for bound in map.bindings(first.state.context()) {
        let Some(key) = bound.keys.first() else {
            continue;
        };
        // Its words lie over what a page says without a border between them.
        if bound.command == Command::Prompt && first.state.context() != Context::List {
            continue;
        }
        let mut seat = seat();
        let now = seat.state.now.get();
        let effects = happen(&mut seat.state, now, Event::Key(*key));
        seat.answer(effects);
        look(&mut seat);
    }
    lines
}

#[test]
fn no_text_on_any_screen_names_a_key_that_the_operator_changed() {
    let names = usual_names();
    let mut found = BTreeSet::new();
    for (name, way) in SCENES {
        let seat = || {
            let options = Options {
                keys: own_keys(),
                ..COLOUR
            };
            let mut seat = Seat::new(options, Size::new(80, 24));
            way(&mut seat);
            seat
        };
        for line in lines_of(&seat) {
            let usual = usual_keys_in(&line, &names);
            found.extend(usual.into_iter().map(|what| format!("{name}: {what}")));
        }
    }
    let found: Vec<String> = found.into_iter().collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The texts in a source file, tests aside: what stands between quotes, line ends that are
/// escaped taken out.
fn literals(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next();
    let lines = code.unwrap_or_default().lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n").replace("'\"'", "");
    let texts = code.split('"').skip(1).step_by(2);
    texts
        .map(|text| text.split("\\\n").map(str::trim_start).collect())
        .collect()
}

/// Every source file below a directory.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// A screen that no scene leads to says nothing else: what is written in the sources, and in
/// the scenarios, names no key either.
#[test]
fn no_text_that_the_program_holds_names_a_key() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for part in ["tui", "ops", "inspect", "machine", "lab", "report"] {
        sources(&home.join("src").join(part), &mut files);
    }
    // They tell what keys are called, and which there are.
    files.retain(|path| !path.ends_with("key.rs") && !path.ends_with("bindings.rs"));
    let names = usual_names();
    let mut texts: Vec<(String, String)> = Vec::new();
    for path in files {
        let source = std::fs::read_to_string(&path).unwrap();
        if source.contains("\n#[test]\n") || path.ends_with("sample.rs") {
            // What a test says is not drawn.
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        texts.extend(
            literals(&source)
                .into_iter()
                .map(|text| (name.clone(), text)),
        );
    }
    assert!(texts.len() > 1000, "{} texts", texts.len());
    for scenario in crate::scenario::all() {
        let says = scenario.steps.into_iter().map(|step| step.say);
        texts.extend(says.map(|say| (scenario.name.clone(), say)));
    }
    let found: Vec<String> = texts
        .iter()
        // A word alone is drawn as what it is: a mark, a unit, a name.
        .filter(|(_, text)| text.split_whitespace().count() > 1)
        .flat_map(|(name, text)| {
            let usual = usual_keys_in(text, &names).into_iter();
            usual.map(move |what| format!("{name}: {what}"))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Where an action has no key, a sentence names words that can be typed, or what it does.
#[test]
fn without_keys_sentences_name_what_can_be_typed() {
    let keys = hardly_any_keys();
    assert!(keys.changes() > BINDINGS.len() / 2, "{}", keys.changes());
    for context in [Context::List, Context::Detail, Context::Inside] {
        for bound in keys.bindings(context) {
            let named = keys.named(context, bound.command);
            let state = sample::state(COLOUR, 80, 24);
            if let Some(line) = named.strip_prefix(':') {
                let (verb, word) = line.split_once(' ').unwrap_or((line, ""));
                assert!(prompt::is_command(verb), "{named}");
                let known = prompt::candidates(&state, &format!("{verb} "));
                assert!(
                    word.is_empty() || known.iter().any(|it| it.word == word),
                    "{named}"
                );
            }
        }
    }
    assert_eq!(keys.named(Context::List, Command::Tab(2)), ":page remaps");
}

#[test]
fn names_of_keys_are_told_from_words() {
    let names = usual_names();
    for (line, expected) in [
        ("press s to scrub", 1),
        ("choose with space, or 3 shows it", 2),
        ("x, then 1 and 3, enter.", 2),
        ("a brings it up again", 1),
        ("a copy is up; 3 copies, 41 s ago, 64.0 G", 0),
        ("│ undo the last actio│n│", 0),
        ("ctrl-n goes on, esc leaves", 2),
    ] {
        let found = usual_keys_in(line, &names);
        assert_eq!(found.len(), expected, "{line}: {found:?}");
    }
}
