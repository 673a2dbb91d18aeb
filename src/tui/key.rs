//! Keys, as the key map names them: what a terminal sends, less what we do not tell apart.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// One key, with its modifiers folded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A character as typed; a capital letter is its own key.
    Char(char),
    /// A letter with the control key.
    Ctrl(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Shift and tab.
    BackTab,
    /// Backspace.
    Backspace,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
}

impl Key {
    /// What a terminal's event means: no key at all for one let go, and two for escape
    /// with a character right behind it, which a terminal cannot tell from alt.
    pub fn from_terminal(event: KeyEvent) -> impl Iterator<Item = Self> {
        let is_char = matches!(event.code, KeyCode::Char(_));
        let escape = is_char && event.modifiers.contains(KeyModifiers::ALT);
        let key = Self::plain(event);
        let escape = (escape && key.is_some()).then_some(Self::Esc);
        escape.into_iter().chain(key)
    }

    fn plain(event: KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        match event.code {
            KeyCode::Char(letter) if control => Some(Self::Ctrl(letter.to_ascii_lowercase())),
            KeyCode::Char(letter) => Some(Self::Char(letter)),
            KeyCode::Enter => Some(Self::Enter),
            KeyCode::Esc => Some(Self::Esc),
            KeyCode::Tab => Some(Self::Tab),
            KeyCode::BackTab => Some(Self::BackTab),
            KeyCode::Backspace => Some(Self::Backspace),
            KeyCode::Up => Some(Self::Up),
            KeyCode::Down => Some(Self::Down),
            KeyCode::Left => Some(Self::Left),
            KeyCode::Right => Some(Self::Right),
            KeyCode::PageUp => Some(Self::PageUp),
            KeyCode::PageDown => Some(Self::PageDown),
            KeyCode::Home => Some(Self::Home),
            KeyCode::End => Some(Self::End),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(' ') => f.write_str("space"),
            Self::Char(letter) => write!(f, "{letter}"),
            Self::Ctrl(letter) => write!(f, "ctrl-{letter}"),
            Self::Enter => f.write_str("enter"),
            Self::Esc => f.write_str("esc"),
            Self::Tab => f.write_str("tab"),
            Self::BackTab => f.write_str("shift-tab"),
            Self::Backspace => f.write_str("backspace"),
            Self::Up => f.write_str("up"),
            Self::Down => f.write_str("down"),
            Self::Left => f.write_str("left"),
            Self::Right => f.write_str("right"),
            Self::PageUp => f.write_str("pgup"),
            Self::PageDown => f.write_str("pgdn"),
            Self::Home => f.write_str("home"),
            Self::End => f.write_str("end"),
        }
    }
}

/// Every key that has a name of its own.
const NAMED: [Key; 14] = [
    Key::Char(' '),
    Key::Enter,
    Key::Esc,
    Key::Tab,
    Key::BackTab,
    Key::Backspace,
    Key::Up,
    Key::Down,
    Key::Left,
    Key::Right,
    Key::PageUp,
    Key::PageDown,
    Key::Home,
    Key::End,
];

/// A word that names no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoKey;

impl FromStr for Key {
    type Err = NoKey;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let mut letters = word.strip_prefix("ctrl-").unwrap_or(word).chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) if word.starts_with("ctrl-") => Ok(Self::Ctrl(letter)),
            (Some(letter), None) => Ok(Self::Char(letter)),
            _ => {
                let named = NAMED.into_iter().find(|key| key.to_string() == word);
                named.ok_or(NoKey)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn control_and_shift_are_told_apart_and_alt_is_escape() {
        let none = KeyModifiers::NONE;
        for (code, modifiers, expected) in [
            (KeyCode::Char('g'), none, vec![Key::Char('g')]),
            (
                KeyCode::Char('G'),
                KeyModifiers::SHIFT,
                vec![Key::Char('G')],
            ),
            (
                KeyCode::Char('c'),
                KeyModifiers::CONTROL,
                vec![Key::Ctrl('c')],
            ),
            (
                KeyCode::Char('C'),
                KeyModifiers::CONTROL,
                vec![Key::Ctrl('c')],
            ),
            (
                KeyCode::Char('x'),
                KeyModifiers::ALT,
                vec![Key::Esc, Key::Char('x')],
            ),
            (KeyCode::BackTab, KeyModifiers::SHIFT, vec![Key::BackTab]),
            (KeyCode::F(1), none, vec![]),
        ] {
            let keys: Vec<Key> = Key::from_terminal(event(code, modifiers)).collect();
            assert_eq!(keys, expected);
        }
    }

    #[test]
    fn every_key_is_read_by_the_name_it_is_shown_with() {
        let others = [
            Key::Char('x'),
            Key::Char('G'),
            Key::Ctrl('d'),
            Key::Char('é'),
        ];
        for key in NAMED.into_iter().chain(others) {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for word in ["", "entr", "ctrl-", "ctrl-xy"] {
            assert_eq!(word.parse::<Key>(), Err(NoKey), "{word}");
        }
    }

    #[test]
    fn a_key_let_go_is_no_key() {
        let mut let_go = event(KeyCode::Enter, KeyModifiers::NONE);
        let_go.kind = KeyEventKind::Release;
        assert_eq!(Key::from_terminal(let_go).count(), 0);
    }
}
