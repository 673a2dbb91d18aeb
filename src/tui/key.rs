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
    /// Insert.
    Insert,
    /// Delete.
    Delete,
    /// A function key, from 1 on.
    F(u8),
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
            KeyCode::Insert => Some(Self::Insert),
            KeyCode::Delete => Some(Self::Delete),
            KeyCode::F(number) => Some(Self::F(number)),
            _ => None,
        }
    }
}

impl Key {
    /// The names of the keys that have one, to be shown.
    pub fn names() -> String {
        let names: Vec<String> = NAMED.iter().map(ToString::to_string).collect();
        names.join(", ")
    }

    /// Whether a finger that misses one of these keys may hit the other: they touch on a
    /// keyboard in common use, whatever is held down with them.
    pub fn is_beside(self, other: Self) -> bool {
        LAYOUTS
            .iter()
            .any(|layout| match (layout.place(self), layout.place(other)) {
                (Some((row, column)), Some((other_row, other_column))) => {
                    row.abs_diff(other_row) <= 1 && column.abs_diff(other_column) <= 4
                }
                _ => false,
            })
    }
}

/// Where the keys of a keyboard are.
struct Layout {
    /// From the digits down: what a key types, and what with shift; a blank for a key that
    /// types nothing of interest here.
    rows: [(&'static str, &'static str); 4],
    /// The middle of the first key of each row, in quarters of a key's width.
    starts: [u8; 4],
    /// Where enter is on the side of the others.
    enter: u8,
}

/// Keyboards in common use: QWERTY, QWERTZ and AZERTY.
const LAYOUTS: [Layout; 3] = [
    Layout {
        rows: [
            ("`1234567890-=", "~!@#$%^&*()_+"),
            ("qwertyuiop[]\\", "QWERTYUIOP{}|"),
            ("asdfghjkl;'", "ASDFGHJKL:\""),
            ("zxcvbnm,./", "ZXCVBNM<>?"),
        ],
        starts: [2, 8, 9, 11],
        enter: 53,
    },
    Layout {
        rows: [
            ("^1234567890ß´", "°!\"§$%&/()=?`"),
            ("qwertzuiopü+", "QWERTZUIOPÜ*"),
            ("asdfghjklöä#", "ASDFGHJKLÖÄ'"),
            ("<yxcvbnm,.-", ">YXCVBNM;:_"),
        ],
        starts: [2, 8, 9, 7],
        enter: 56,
    },
    Layout {
        rows: [
            ("²&é\"'(-è_çà)=", " 1234567890°+"),
            ("azertyuiop^$", "AZERTYUIOP¨£"),
            ("qsdfghjklmù*", "QSDFGHJKLM%µ"),
            ("<wxcvbn,;:!", ">WXCVBN?./§"),
        ],
        starts: [2, 8, 9, 7],
        enter: 56,
    },
];

impl Layout {
    /// The row of the key, and in quarters of a key's width where its middle is; of a
    /// broad key, where it is on the side of the others.
    fn place(&self, key: Key) -> Option<(u8, u8)> {
        let letter = match key {
            Key::Char(' ') => return None,
            Key::Char(letter) | Key::Ctrl(letter) => letter,
            Key::Esc => return Some((0, 2)),
            Key::Tab | Key::BackTab => return Some((2, 4)),
            Key::Enter => return Some((3, self.enter)),
            Key::Backspace => return Some((1, 54)),
            _ => return None,
        };
        let rows = (1_u8..).zip(self.rows).zip(self.starts);
        for ((row, (plain, shifted)), start) in rows {
            let at = |keys: &str| keys.chars().position(|it| it == letter);
            if let Some(column) = at(plain).or_else(|| at(shifted)) {
                return Some((row, start + 4 * u8::try_from(column).unwrap_or(0)));
            }
        }
        None
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
            Self::Insert => f.write_str("insert"),
            Self::Delete => f.write_str("delete"),
            Self::F(number) => write!(f, "f{number}"),
        }
    }
}

/// Every key that has a name of its own.
pub(super) const NAMED: [Key; 28] = [
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
    Key::Insert,
    Key::Delete,
    Key::F(1),
    Key::F(2),
    Key::F(3),
    Key::F(4),
    Key::F(5),
    Key::F(6),
    Key::F(7),
    Key::F(8),
    Key::F(9),
    Key::F(10),
    Key::F(11),
    Key::F(12),
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
            (KeyCode::F(1), none, vec![Key::F(1)]),
            (KeyCode::CapsLock, none, vec![]),
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
    fn keys_that_touch_are_beside_each_other() {
        let key = |word: &str| word.parse::<Key>().unwrap();
        for (one, other) in [
            ("s", "a"),
            ("s", "d"),
            ("s", "w"),
            ("s", "x"),
            ("S", "ctrl-d"),
            ("esc", "`"),
            ("esc", "1"),
            ("enter", "'"),
            ("backspace", "="),
            ("q", "tab"),
            ("y", "y"),
            // On the keyboards of others.
            ("z", "u"),
            ("y", "x"),
            ("a", "z"),
            ("m", "l"),
            ("#", "enter"),
            ("+", "enter"),
        ] {
            assert!(key(one).is_beside(key(other)), "{one} {other}");
            assert!(key(other).is_beside(key(one)), "{other} {one}");
        }
        for (one, other) in [
            ("enter", "esc"),
            ("enter", "q"),
            ("s", "g"),
            ("s", "2"),
            ("up", "down"),
            ("space", "v"),
        ] {
            assert!(!key(one).is_beside(key(other)), "{one} {other}");
        }
    }

    #[test]
    fn a_key_let_go_is_no_key() {
        let mut let_go = event(KeyCode::Enter, KeyModifiers::NONE);
        let_go.kind = KeyEventKind::Release;
        assert_eq!(Key::from_terminal(let_go).count(), 0);
    }
}
