//! Command lines to show, and to take apart: what an operator could type to get the same.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::text;

/// The program's name on a command line.
pub const PROGRAM: &str = "dmremap-tui";

/// One word for a shell, quoted only where it must be. Whatever could move a cursor
/// is spelled out, so that the line can be shown as it is and pasted as it is.
pub fn quote(word: &OsStr) -> String {
    let bytes = word.as_bytes();
    let is_bare = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@%".contains(byte);
    if !bytes.is_empty() && bytes.iter().all(is_bare) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    match str::from_utf8(bytes) {
        Ok(word) if text::shows_as_is(word) => format!("'{}'", word.replace('\'', "'\\''")),
        _ => quote_bytes(bytes),
    }
}

fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::from("$'");
    for byte in bytes {
        match byte {
            b'\'' | b'\\' => {
                out.push('\\');
                out.push(char::from(*byte));
            }
            b' '..=b'~' => out.push(char::from(*byte)),
            // Three octal digits, so that what follows cannot be taken for more of it.
            // Writing to a string cannot fail.
            _ => drop(write!(out, "\\{byte:03o}")),
        }
    }
    out.push('\'');
    out
}

/// A line of this program's from its words.
pub fn line<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> String {
    let mut out = String::from(PROGRAM);
    for word in words {
        out.push(' ');
        out.push_str(&quote(word.as_ref()));
    }
    out
}

/// Takes a line apart into its words, quoted as [`quote`] does it, as a shell would. What
/// a shell would do besides - variables, patterns, other programs - is not done.
///
/// # Errors
///
/// If a quote is not closed.
pub fn split(line: &str) -> Result<Vec<OsString>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut rest = line.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match *first {
            b' ' | b'\t' => words.extend(word.take().map(OsString::from_vec)),
            b'\'' => {
                let end = rest.iter().position(|byte| *byte == b'\'');
                let (quoted, after) = rest.split_at(end.ok_or("a quote is not closed")?);
                word.get_or_insert_default().extend(quoted);
                rest = &after[1..];
            }
            b'"' => {
                let end = rest.iter().position(|byte| *byte == b'"');
                let (quoted, after) = rest.split_at(end.ok_or("a quote is not closed")?);
                word.get_or_insert_default().extend(quoted);
                rest = &after[1..];
            }
            b'$' if rest.first() == Some(&b'\'') => {
                rest = split_bytes(&rest[1..], word.get_or_insert_default())?;
            }
            b'\\' => {
                let (escaped, after) = rest.split_first().ok_or("a backslash ends the line")?;
                word.get_or_insert_default().push(*escaped);
                rest = after;
            }
            byte => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word.map(OsString::from_vec));
    Ok(words)
}

/// Takes in what stands behind `$'`, up to the closing quote, and gives the rest.
fn split_bytes<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], &'static str> {
    loop {
        match rest {
            [b'\'', after @ ..] => return Ok(after),
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                word.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = after;
            }
            [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
            [] => return Err("a quote is not closed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_they_must_be() {
        for (word, quoted) in [
            (&b"/dev/disk/by-id/wwn-0x5"[..], "/dev/disk/by-id/wwn-0x5"),
            (b"--copy=1,4", "--copy=1,4"),
            (b"", "''"),
            (b"a b", "'a b'"),
            (b"$(x)", "'$(x)'"),
            (b"it's", "'it'\\''s'"),
            (b"~", "'~'"),
            (b"#x", "'#x'"),
            ("größe".as_bytes(), "'größe'"),
            (b"a\x1b[2J", "$'a\\033[2J'"),
            (b"a\n1", "$'a\\0121'"),
            (b"\xff'\\", "$'\\377\\'\\\\'"),
        ] {
            assert_eq!(quote(OsStr::from_bytes(word)), quoted);
        }
        assert_eq!(line(["inspect", "a b"]), "dmremap-tui inspect 'a b'");
    }
    #[test]
    fn what_was_quoted_is_taken_apart_into_the_same_words() {
        let words: [&[u8]; 9] = [
            b"plain",
            b"",
            b"a b",
            b"it's",
            b"$(x)",
            "größe".as_bytes(),
            b"a\x1b[2J\n1",
            b"\xff'\\",
            b"\"quoted\"",
        ];
        let words: Vec<OsString> = words
            .iter()
            .map(|it| OsString::from_vec(it.to_vec()))
            .collect();
        let mut whole = vec![OsString::from(PROGRAM)];
        whole.extend(words.clone());
        assert_eq!(split(&line(words)), Ok(whole));
        assert_eq!(split("  a\\ b  \"c d\" ").unwrap(), ["a b", "c d"]);
        for unclosed in ["'a", "\"a", "$'a", "a\\"] {
            assert!(split(unclosed).is_err(), "{unclosed}");
        }
    }
}
