//! Text that came from outside, made fit to be shown.
//!
//! A path or a name read from a disk may hold anything: sequences that move a
//! terminal's cursor, marks that turn the order of what follows, characters that do
//! not show at all. Whoever brings such text to a terminal, a log or a JSON document
//! escapes it here first. What can be seen stays as it is, in any script.
//!
//! What is escaped: controls (C0, DEL, C1), format characters (marks of direction,
//! zero-width characters, tags), line and paragraph separators, spaces other than
//! the plain one, characters that never show, unassigned and private ones, a
//! combining mark that would join what stands before the text, and bytes that are
//! not UTF-8. A byte becomes `\xNN`, a character past ASCII `\u{N}`, both in
//! lower-case hexadecimal, and a backslash two of them: no two texts look the same, and
//! the text can be had back from what is shown.
//!
//! So a text is escaped once, where it comes in or where it is first put into a sentence.
//! [`guard`] is for what was made from such pieces already: it lets nothing harmful through
//! and leaves backslashes alone.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Escapes bytes that may not even be UTF-8.
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    spell_out(bytes, "\\\\")
}

/// Escapes text that is UTF-8 already.
pub fn escape_str(text: &str) -> Cow<'_, str> {
    escape(text.as_bytes())
}

/// Escapes what the operating system calls a string: a path's component, an argument.
pub fn escape_os(text: &OsStr) -> Cow<'_, str> {
    escape(text.as_bytes())
}

/// Escapes a path. The result is to be shown, not to be opened.
pub fn escape_path(path: &Path) -> Cow<'_, str> {
    escape(path.as_os_str().as_bytes())
}

/// Makes sure of text that is to be fit to be shown: what was escaped stays as it is.
pub fn guard(text: &str) -> Cow<'_, str> {
    guard_bytes(text.as_bytes())
}

/// The same of bytes.
pub fn guard_bytes(bytes: &[u8]) -> Cow<'_, str> {
    spell_out(bytes, "\\")
}

/// The text with everything spelled out that would not show, and `backslash` for each of its
/// backslashes.
fn spell_out<'a>(bytes: &'a [u8], backslash: &str) -> Cow<'a, str> {
    let stays = |text: &str| backslash.len() == 1 || !text.contains('\\');
    if let Ok(text) = str::from_utf8(bytes) {
        if shows_as_is(text) && stays(text) {
            return Cow::Borrowed(text);
        }
    }
    let mut out = String::with_capacity(bytes.len().saturating_mul(2));
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => out.push_str(backslash),
                character => push(&mut out, character),
            }
        }
        for byte in chunk.invalid() {
            push_byte(&mut out, *byte);
        }
    }
    Cow::Owned(out)
}

/// A count with its thousands apart: `132,104,192`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The one of `words` that `typed` was most likely meant to be, if any is near.
pub fn nearest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// More slips than this are another word.
    const SLIPS: usize = 2;
    let distances = words.into_iter().map(|word| (distance(typed, word), word));
    let near = distances.filter(|(slips, word)| *slips <= SLIPS && *slips < word.len());
    near.min_by_key(|(slips, _)| *slips).map(|(_, word)| word)
}

/// How many characters must be added, left out or changed to get from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, character) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (column, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(character != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Whether `text` can be shown without a change.
pub fn shows_as_is(text: &str) -> bool {
    let joins = text.chars().next().is_some_and(is_combining);
    !joins && text.chars().all(is_visible)
}

/// Whether a character shows as itself inside a line of text and does nothing else.
pub fn is_visible(character: char) -> bool {
    match character {
        ' '..='~' => true,
        _ if is_ignorable(character) => false,
        // The standard library knows what is assigned and printable. It tells only
        // through escaping, and takes a combining mark for itself only behind a letter.
        _ => escaped_length(&['a', character]) == 2,
    }
}

/// Whether a visible character shows only together with the one before it.
fn is_combining(character: char) -> bool {
    is_visible(character) && character > '~' && escaped_length(&[character]) > 1
}

fn escaped_length(characters: &[char]) -> usize {
    let mut buffer = [0; 8];
    let mut length = 0;
    for character in characters {
        length += character.encode_utf8(&mut buffer[length..]).len();
    }
    str::from_utf8(&buffer[..length]).map_or(0, |text| text.escape_debug().count())
}

/// Characters that Unicode calls default-ignorable though they count as letters or
/// marks: nothing shows where they stand, so two texts would look the same.
fn is_ignorable(character: char) -> bool {
    matches!(
        character,
        '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

fn push(out: &mut String, character: char) {
    let joins = out.is_empty() && is_combining(character);
    if is_visible(character) && !joins {
        out.push(character);
    } else if character.is_ascii() {
        push_byte(out, character as u8);
    } else {
        // Writing to a string cannot fail.
        let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
    }
}

fn push_byte(out: &mut String, byte: u8) {
    // Writing to a string cannot fail.
    let _ = write!(out, "\\x{byte:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_understood_and_other_words_are_not() {
        let words = ["scrub", "repair", "take-apart", "up"];
        for (typed, meant) in [
            ("scrubb", Some("scrub")),
            ("srcub", Some("scrub")),
            ("repiar", Some("repair")),
            ("takeapart", Some("take-apart")),
            ("scrub", Some("scrub")),
            ("xy", None),
            ("frobnicate", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, words), meant, "{typed}");
        }
    }

    #[test]
    fn every_byte_alone_comes_out_harmless() {
        for byte in 0..=u8::MAX {
            let expected = match byte {
                b'\\' => "\\\\".to_owned(),
                b' '..=b'~' => char::from(byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            };
            assert_eq!(escape(&[byte]), expected, "byte {byte:#04x}");
            assert_eq!(escape(&[b'<', byte, b'>']), format!("<{expected}>"));
        }
    }

    /// Format characters by Unicode's own list (general category Cf), with the
    /// separators of lines and paragraphs: told here a second time, on purpose.
    const FORMAT: [(u32, u32); 23] = [
        (0xad, 0xad),
        (0x600, 0x605),
        (0x61c, 0x61c),
        (0x6dd, 0x6dd),
        (0x70f, 0x70f),
        (0x890, 0x891),
        (0x8e2, 0x8e2),
        (0x180e, 0x180e),
        (0x200b, 0x200f),
        (0x2028, 0x2029),
        (0x202a, 0x202e),
        (0x2060, 0x2064),
        (0x2066, 0x206f),
        (0xfeff, 0xfeff),
        (0xfff9, 0xfffb),
        (0x110bd, 0x110bd),
        (0x110cd, 0x110cd),
        (0x13430, 0x1343f),
        (0x1bca0, 0x1bca3),
        (0x1d173, 0x1d17a),
        (0xe0001, 0xe0001),
        (0xe0020, 0xe007f),
        (0xe0100, 0xe01ef),
    ];

    #[test]
    fn every_character_stays_or_becomes_plain_ascii() {
        let mut stayed = 0u32;
        for character in '\0'..=char::MAX {
            let text = format!("a{character}");
            let escaped = escape_str(&text);
            let number = u32::from(character);
            let format = FORMAT
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&number));
            let harmful = character.is_control()
                || format
                || (character.is_whitespace() && character != ' ')
                || (0xe000..=0xf8ff).contains(&number)
                || number >= 0xf_0000;
            if escaped == text {
                assert!(!harmful, "U+{number:04x} stayed");
                stayed += 1;
            } else {
                let expected = if character == '\\' {
                    "a\\\\".to_owned()
                } else if number < 0x80 {
                    format!("a\\x{number:02x}")
                } else {
                    format!("a\\u{{{number:x}}}")
                };
                assert_eq!(escaped, expected);
                assert!(!character.is_alphanumeric() || is_ignorable(character));
            }
            assert_eq!(escaped == text, is_visible(character) && character != '\\');
        }
        // All of Unicode's letters, not merely a few, came through.
        assert!(stayed > 140_000, "only {stayed} characters stayed");
    }

    #[test]
    fn every_byte_behind_every_lead_is_utf8_or_escaped() {
        for lead in 0x80..=u8::MAX {
            for next in 0..=u8::MAX {
                let escaped = escape(&[lead, next]).into_owned();
                assert!(escaped.chars().all(is_visible), "{lead:02x} {next:02x}");
                if str::from_utf8(&[lead, next]).is_err() {
                    assert!(escaped.starts_with(&format!("\\x{lead:02x}")), "{escaped}");
                }
            }
        }
    }

    #[test]
    fn text_of_many_scripts_stays() {
        for text in [
            "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4",
            "Größe",
            "Gro\u{308}ße",
            "диск",
            "ディスク",
            "דיסק",
            "डिस्क",
            "💾",
            "",
        ] {
            assert!(matches!(escape_str(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn attacks_on_a_terminal_come_out_as_text() {
        for (attack, shown) in [
            (&b"\x1b]0;owned\x07"[..], "\\x1b]0;owned\\x07"),
            (b"\x1b[2J\x1b[H", "\\x1b[2J\\x1b[H"),
            (b"\xc2\x9b31m", "\\u{9b}31m"),
            (b"\x9b31m", "\\x9b31m"),
            (b"a\r\nb", "a\\x0d\\x0ab"),
            (
                "gpj.\u{202e}adc\u{202c}".as_bytes(),
                "gpj.\\u{202e}adc\\u{202c}",
            ),
            ("s\u{200d}da".as_bytes(), "s\\u{200d}da"),
            ("\u{301}x\u{301}".as_bytes(), "\\u{301}x\u{301}"),
            ("a\u{2028}b".as_bytes(), "a\\u{2028}b"),
            ("\u{feff}x".as_bytes(), "\\u{feff}x"),
        ] {
            assert_eq!(escape(attack), shown);
        }
    }

    /// What stood there before it was escaped.
    fn taken_back(shown: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = shown;
        while let Some(character) = rest.chars().next() {
            let mut put = |character: char| {
                out.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
            };
            let behind = &rest[character.len_utf8()..];
            rest = match (character, behind.as_bytes().first()) {
                ('\\', Some(b'\\')) => {
                    put('\\');
                    &behind[1..]
                }
                ('\\', Some(b'x')) => {
                    out.push(u8::from_str_radix(&behind[1..3], 16).unwrap());
                    &behind[3..]
                }
                ('\\', _) => {
                    let (number, behind) = behind[2..].split_once('}').unwrap();
                    let number = u32::from_str_radix(number, 16).unwrap();
                    put(char::from_u32(number).unwrap());
                    behind
                }
                (character, _) => {
                    put(character);
                    behind
                }
            };
        }
        out
    }

    #[test]
    fn what_is_shown_tells_exactly_what_stood_there() {
        let pieces: [&[u8]; 14] = [
            b"a",
            b"\\",
            b"\\x1b",
            b"\x1b",
            b"\\u{202e}",
            "\u{202e}".as_bytes(),
            b"\\\\",
            b"x1b",
            b"\n",
            b"\xff",
            b"\xc3",
            b"\xa4",
            "\u{301}".as_bytes(),
            b"u{",
        ];
        for one in pieces {
            for two in pieces {
                for three in pieces {
                    let text = [one, two, three].concat();
                    let shown = escape(&text);
                    assert_eq!(taken_back(&shown), text, "{shown}");
                    assert!(shown.chars().all(is_visible), "{shown}");
                }
            }
        }
    }

    #[test]
    fn a_guard_lets_through_what_was_escaped_and_nothing_harmful() {
        for character in '\0'..=char::MAX {
            let raw = character.encode_utf8(&mut [0; 4]).to_owned();
            let once = escape_str(&raw);
            assert!(matches!(guard(&once), Cow::Borrowed(same) if same == once));
            assert!(shows_as_is(&guard(&raw)), "{character:?}");
        }
        assert_eq!(guard("\\x1b \x1b"), "\\x1b \\x1b");
    }

    #[test]
    fn paths_are_escaped_like_any_text() {
        let path = Path::new(OsStr::from_bytes(b"/dev/\xff\x1b[m"));
        assert_eq!(escape_path(path), "/dev/\\xff\\x1b[m");
        assert_eq!(escape_os(path.as_os_str()), escape_path(path));
    }
}
