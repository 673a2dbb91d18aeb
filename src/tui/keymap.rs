//! The key map: which key means which command where. An operator's own keys take the place
//! of the usual ones where they break none of the rules that keep a slip of the finger
//! harmless.

use std::collections::BTreeMap;
use std::ops::Deref;

pub use super::bindings::{Binding, Command, Context, BINDINGS};
use super::bindings::{EVERYWHERE, TYPED};
use super::key::Key;
use super::prompt;

/// A binding with the keys that it has for this operator.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    binding: &'static Binding,
    /// The keys; the first is the one shown in the footer.
    pub keys: &'a [Key],
}

impl Deref for Bound<'_> {
    type Target = Binding;

    fn deref(&self) -> &Binding {
        self.binding
    }
}

impl Bound<'_> {
    /// What a sentence calls it: its key, or where it has none the words to type, or else
    /// what it does.
    fn called(self) -> String {
        if let Some(key) = self.keys.first() {
            return key.to_string();
        }
        let words = match self.command {
            Command::Reassemble => "reassemble".to_owned(),
            Command::TakeApart => "remove".to_owned(),
            Command::WriteMetadata => "write-metadata".to_owned(),
            Command::Scenarios => "scenario".to_owned(),
            Command::Tab(_) => format!("page {}", self.action),
            _ => self.action.to_owned(),
        };
        let verb = words.split(' ').next().unwrap_or_default();
        if prompt::is_command(verb) {
            format!(":{words}")
        } else {
            self.help.to_owned()
        }
    }
}

/// Which keys the bindings have: the usual ones, or the operator's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMap {
    /// The operator's own, by the place among [`BINDINGS`].
    changed: Vec<(usize, Vec<Key>)>,
}

/// Why keys cannot be what an operator wants them to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyMapError {
    /// There is no such action; the nearest that there is, if one is near.
    UnknownAction(String, Option<&'static str>),
    /// A word that names no key.
    UnknownKey(&'static str, String),
    /// One key for two actions in one place.
    Conflict(Key, &'static str, &'static str, Context),
    /// A letter is a command where letters are typed.
    Typed(Key, &'static str, Context),
    /// Nothing leaves this place, or nothing ends the application.
    NoWayOut(Context),
    /// The key that confirms is one that asks, too.
    ConfirmsWhatItAsked(Key, &'static str),
    /// The key that confirms lies next to one that leaves everything as it is.
    Beside(Key, Key),
}

impl std::fmt::Display for KeyMapError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownAction(name, near) => {
                let name = crate::text::escape_str(name);
                write!(f, "there is no action \"{name}\"")?;
                match near {
                    Some(near) => write!(f, "; did you mean {near}?"),
                    None => f.write_str("; config --template lists them"),
                }
            }
            Self::UnknownKey(action, word) => {
                let word = crate::text::escape_str(word);
                write!(
                    f,
                    "{action}: \"{word}\" is no key; a character, ctrl- and a letter, or one of \
                     {}",
                    Key::names()
                )
            }
            Self::Conflict(key, one, other, context) => write!(
                f,
                "{key} is for {one} and for {other} in {}",
                context.title()
            ),
            Self::Typed(key, action, context) => write!(
                f,
                "{action}: {key} cannot be a command in {}, where it is typed",
                context.title()
            ),
            Self::NoWayOut(context) => {
                write!(f, "no key is left that leads out of {}", context.title())
            }
            Self::ConfirmsWhatItAsked(key, action) => write!(
                f,
                "{key} asks for {action}; what asks must not confirm as well"
            ),
            Self::Beside(confirms, leaves) => write!(
                f,
                "{confirms} would do it beside {leaves}, which leaves everything as it is"
            ),
        }
    }
}

impl std::error::Error for KeyMapError {}

impl KeyMap {
    /// The usual keys.
    pub const USUAL: Self = Self {
        changed: Vec::new(),
    };

    /// The usual keys, but for those that an operator wants otherwise: key words by
    /// action. No word at all leaves an action without a key.
    ///
    /// # Errors
    ///
    /// `KeyMapError` names the action, and the rule that would be broken.
    pub fn with(wanted: &BTreeMap<String, Vec<String>>) -> Result<Self, KeyMapError> {
        let mut changed = Vec::new();
        for (name, words) in wanted {
            let place = BINDINGS.iter().position(|binding| binding.action == name);
            let Some(place) = place else {
                return Err(KeyMapError::UnknownAction(name.clone(), nearest(name)));
            };
            let action = BINDINGS[place].action;
            let keys = words.iter().map(|word| {
                let key = word.parse();
                key.map_err(|_| KeyMapError::UnknownKey(action, word.clone()))
            });
            changed.push((place, keys.collect::<Result<Vec<Key>, _>>()?));
        }
        let map = Self { changed };
        map.check()?;
        Ok(map)
    }

    fn check(&self) -> Result<(), KeyMapError> {
        for context in EVERYWHERE {
            self.check_context(*context)?;
        }
        let confirming = || {
            self.bindings(Context::ConfirmPlain)
                .filter(|bound| bound.command == Command::Accept)
                .flat_map(|bound| bound.keys)
        };
        for bound in self.bindings(Context::List) {
            let asks = bound.command != Command::Open;
            if let Some(key) = bound
                .keys
                .iter()
                .find(|key| asks && confirming().any(|it| it == *key))
            {
                return Err(KeyMapError::ConfirmsWhatItAsked(*key, bound.action));
            }
        }
        for leaving in self.bindings(Context::ConfirmPlain) {
            if leaving.command != Command::Cancel {
                continue;
            }
            for key in leaving.keys {
                if let Some(beside) = confirming().find(|it| it.is_beside(*key)) {
                    return Err(KeyMapError::Beside(*beside, *key));
                }
            }
        }
        Ok(())
    }

    fn check_context(&self, context: Context) -> Result<(), KeyMapError> {
        let mut seen: Vec<(Key, &'static str)> = Vec::new();
        let (mut leaves, mut quits) = (false, false);
        for bound in self.bindings(context) {
            // Steps of a window have none before the first, so going back leaves pages alone.
            let is_page = matches!(context, Context::List | Context::Detail | Context::Inside);
            leaves |= match bound.command {
                Command::Cancel => !bound.keys.is_empty(),
                Command::Back => is_page && !bound.keys.is_empty(),
                _ => false,
            };
            quits |= bound.command == Command::Quit && !bound.keys.is_empty();
            for key in bound.keys {
                if let Some((_, other)) = seen.iter().find(|(taken, _)| taken == key) {
                    return Err(KeyMapError::Conflict(*key, other, bound.action, context));
                }
                if matches!(key, Key::Char(_)) && TYPED.contains(&context) {
                    return Err(KeyMapError::Typed(*key, bound.action, context));
                }
                seen.push((*key, bound.action));
            }
        }
        if leaves && quits {
            Ok(())
        } else {
            Err(KeyMapError::NoWayOut(context))
        }
    }

    /// What `key` means in `context`.
    pub fn command(&self, context: Context, key: Key) -> Option<Command> {
        self.bindings(context)
            .find(|bound| bound.keys.contains(&key))
            .map(|bound| bound.command)
    }

    /// The key to show for `command` in `context`, if any key means it there.
    pub fn first_key(&self, context: Context, command: Command) -> Option<Key> {
        self.bindings(context)
            .filter(|bound| bound.command == command)
            .find_map(|bound| bound.keys.first().copied())
    }

    /// What a sentence calls the way to `command` in `context`: its key, or where it has
    /// none the words to type, or else what it does.
    pub fn named(&self, context: Context, command: Command) -> String {
        let here = self.bindings(context);
        let means_it = |bound: &Bound<'_>| bound.command == command;
        if let Some(key) = self.first_key(context, command) {
            return key.to_string();
        }
        here.filter(means_it)
            .last()
            .map_or_else(String::new, Bound::called)
    }

    /// A text in which every `{action}` stands for the key of that action. What is no
    /// action stays as it is.
    pub fn spell(&self, text: &str) -> String {
        let mut spelled = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            spelled.push_str(before);
            let action = behind.split_once('}');
            let place = action.and_then(|(action, _)| {
                BINDINGS.iter().position(|binding| binding.action == action)
            });
            let (Some((_, after)), Some(place)) = (action, place) else {
                spelled.push('{');
                rest = behind;
                continue;
            };
            spelled += &self.bound(place).called();
            rest = after;
        }
        spelled + rest
    }

    /// The bindings of one context.
    pub fn bindings(&self, context: Context) -> impl Iterator<Item = Bound<'_>> {
        let bindings = BINDINGS.iter().enumerate();
        bindings
            .filter(move |(_, binding)| binding.contexts.contains(&context))
            .map(|(place, _)| self.bound(place))
    }

    fn bound(&self, place: usize) -> Bound<'_> {
        let binding = &BINDINGS[place];
        let changed = self.changed.iter().find(|(at, _)| *at == place);
        let keys = changed.map_or(binding.keys, |(_, keys)| keys);
        Bound { binding, keys }
    }

    /// How many actions have other keys than the usual ones.
    pub fn changes(&self) -> usize {
        self.changed.len()
    }
}

/// The action whose name is most like `name`, if any is much like it.
fn nearest(name: &str) -> Option<&'static str> {
    let actions = BINDINGS.iter().map(|binding| binding.action);
    crate::text::nearest(name, actions)
}

/// Every action that a settings file can name: its usual keys, and what it does.
pub fn usual_keys() -> impl Iterator<Item = (&'static str, Vec<String>, &'static str)> {
    BINDINGS.iter().map(|binding| {
        let keys = binding.keys.iter().map(ToString::to_string);
        (binding.action, keys.collect(), binding.help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &[&str])]) -> Result<KeyMap, KeyMapError> {
        let wanted = pairs.iter().map(|(action, words)| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            ((*action).to_owned(), words)
        });
        KeyMap::with(&wanted.collect())
    }

    #[test]
    fn the_usual_keys_keep_the_rules() {
        assert_eq!(KeyMap::USUAL.check(), Ok(()));
        let mut actions: Vec<&str> = BINDINGS.iter().map(|binding| binding.action).collect();
        actions.sort_unstable();
        actions.dedup();
        assert_eq!(actions.len(), BINDINGS.len(), "an action has two bindings");
    }

    #[test]
    fn a_key_of_ones_own_takes_the_place_of_the_usual_one() {
        let keys = with(&[("scrub", &["S", "f5"]), ("migrate", &[])]).unwrap();
        let command = |key| keys.command(Context::List, key);
        assert_eq!(command(Key::Char('S')), Some(Command::Scrub));
        assert_eq!(command(Key::F(5)), Some(Command::Scrub));
        assert_eq!(command(Key::Char('s')), None);
        assert_eq!(command(Key::Char('m')), None);
        assert_eq!(command(Key::Char('r')), Some(Command::Repair));
    }

    #[test]
    fn what_breaks_a_rule_is_refused_and_said() {
        for (pairs, said) in [
            (
                &[("scrubb", &["s"][..])][..],
                "there is no action \"scrubb\"; did you mean scrub?",
            ),
            (&[("dance", &["s"])], "config --template lists them"),
            (&[("scrub", &["retrun"])], "scrub: \"retrun\" is no key"),
            (
                &[("scrub", &["x"])],
                "x is for scrub and for corrupt in the list of devices",
            ),
            (
                &[("erase", &["e"])],
                "erase: e cannot be a command in the filter, where it is typed",
            ),
            (
                &[("help-close", &[])],
                "no key is left that leads out of this help",
            ),
            (
                &[("quit-anywhere", &[])],
                "no key is left that leads out of the list of devices",
            ),
            (
                &[("do-it", &["ctrl-l"])],
                "ctrl-l asks for refresh; what asks must not confirm as well",
            ),
            (
                &[("do-it", &["ctrl-a"])],
                "ctrl-a would do it beside q, which leaves everything as it is",
            ),
        ] {
            let error = with(pairs).unwrap_err().to_string();
            assert!(error.contains(said), "{error}\nis not\n{said}");
        }
    }

    #[test]
    fn a_sentence_names_a_key_or_the_way_without_one() {
        let keys = with(&[
            ("corrupt", &["f7"]),
            ("remaps", &[]),
            ("take-apart", &[]),
            ("corrupt-copy-1", &[]),
        ])
        .unwrap();
        for (text, spelled) in [
            ("{corrupt} damages, {up}", "f7 damages, up"),
            ("{remaps} and {take-apart}", ":page remaps and :remove"),
            ("{corrupt}, then {corrupt-copy-1}", "f7, then copy 1"),
            ("{no-such} {", "{no-such} {"),
        ] {
            assert_eq!(keys.spell(text), spelled);
        }
        assert_eq!(
            keys.named(Context::List, Command::TakeApart),
            ":remove".to_owned()
        );
    }

    #[test]
    fn what_leaves_everything_as_it_is_comes_before_what_confirms() {
        for context in [Context::ConfirmPlain, Context::ConfirmTyped] {
            let bindings = BINDINGS.iter();
            let here = bindings.filter(|binding| binding.contexts.contains(&context));
            let hinted: Vec<Command> = here
                .filter(|binding| !binding.hint.is_empty())
                .map(|binding| binding.command)
                .collect();
            assert_eq!(hinted.first(), Some(&Command::Cancel), "{context:?}");
        }
    }
}
