//! Command lines to show: what an operator could type to get the same.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;

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
}
