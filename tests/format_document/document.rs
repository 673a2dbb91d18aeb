//! The specification, as a program reads it: tables by heading, test vectors by name.

use std::collections::BTreeMap;
use std::fmt::Write as _;

const TEXT: &str = include_str!("../../docs/on-disk-format.md");

/// The rows of the first table with this head under this heading, back-quotes removed.
pub fn table(heading: &str, head: &str) -> Vec<Vec<String>> {
    tables(heading, head).swap_remove(0)
}

/// The rows of every table with this head behind this heading.
pub fn tables(heading: &str, head: &str) -> Vec<Vec<Vec<String>>> {
    let head = cells(head);
    let lines: Vec<&str> = TEXT.lines().skip_while(|line| *line != heading).collect();
    let found: Vec<Vec<Vec<String>>> = (0..lines.len())
        .filter(|at| cells(lines[*at]) == head)
        .map(|at| {
            let rows = lines[at + 2..].iter();
            rows.take_while(|line| line.starts_with('|'))
                .map(|line| cells(line))
                .collect()
        })
        .collect();
    assert!(!found.is_empty(), "{heading}: no table {head:?}");
    for row in found.iter().flatten() {
        assert_eq!(row.len(), head.len(), "{heading}: {row:?}");
    }
    found
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner
        .split('|')
        .map(|cell| cell.trim().replace('`', ""))
        .collect()
}

/// What is fenced under this info string.
fn fenced(info: &str) -> &'static str {
    let opening = format!("```{info}\n");
    let (_, behind) = TEXT
        .split_once(&opening)
        .unwrap_or_else(|| panic!("the document has no {info}"));
    let (inside, after) = behind.split_once("```").unwrap();
    assert!(!after.contains(&opening), "{info} comes twice");
    inside
}

/// Bytes of a test vector and the fields that they are said to hold.
pub struct Vector {
    pub bytes: Vec<u8>,
    pub fields: Fields,
}

/// Values by name, as the field map shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(pub BTreeMap<String, String>);

impl Fields {
    /// The value of a field; that of one not listed is nothing.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub fn number(&self, name: &str) -> u64 {
        number(self.text(name))
    }

    /// Sixteen bytes, hyphenated or not.
    pub fn sixteen(&self, name: &str) -> [u8; 16] {
        sixteen(self.text(name))
    }
}

/// A number in decimal or, behind `0x`, in hexadecimal; a name behind it is left out.
pub fn number(text: &str) -> u64 {
    let text = text.split(' ').next().unwrap_or_default();
    match (text.strip_prefix("0x"), text) {
        (Some(digits), _) => u64::from_str_radix(digits, 16).unwrap(),
        (None, "") => 0,
        (None, digits) => digits.parse().unwrap(),
    }
}

pub fn sixteen(text: &str) -> [u8; 16] {
    let digits = text.replace('-', "");
    if digits.is_empty() {
        return [0; 16];
    }
    u128::from_str_radix(&digits, 16).unwrap().to_be_bytes()
}

/// The vector of this name. Fields may begin with those of another vector.
pub fn vector(name: &str) -> Vector {
    let dump = fenced(&format!("hexdump {name}"));
    let bytes = undump(dump);
    assert_eq!(dump, hexdump(&bytes), "{name}: written as hexdump -C would");
    Vector {
        bytes,
        fields: fields(name),
    }
}

fn fields(name: &str) -> Fields {
    let mut found = BTreeMap::new();
    for line in fenced(&format!("fields {name}")).lines() {
        match (line.strip_prefix("as "), line.split_once(" = ")) {
            (Some(other), _) => found = fields(other).0,
            (None, Some((field, value))) => {
                found.insert(field.to_owned(), value.to_owned());
            }
            (None, None) => panic!("{name}: {line}"),
        }
    }
    Fields(found)
}

/// Reads a dump: offset, bytes, characters; `*` for lines equal to the one before it.
fn undump(dump: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut repeat = false;
    for line in dump.lines() {
        if line == "*" {
            repeat = true;
            continue;
        }
        let (offset, rest) = line.split_once(' ').unwrap_or((line, ""));
        let offset = usize::from_str_radix(offset, 16).unwrap();
        while repeat && bytes.len() < offset {
            bytes.extend_from_within(bytes.len() - 16..);
        }
        repeat = false;
        assert_eq!(bytes.len(), offset, "{line}");
        let (digits, _) = rest.split_once('|').unwrap_or_default();
        let byte = |digits| u8::from_str_radix(digits, 16).unwrap();
        bytes.extend(digits.split_whitespace().map(byte));
    }
    bytes
}

/// Writes a dump.
pub fn hexdump(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut last: Option<&[u8]> = None;
    let mut repeated = false;
    for (index, line) in bytes.chunks(16).enumerate() {
        if last == Some(line) {
            if !repeated {
                out.push_str("*\n");
            }
            repeated = true;
            continue;
        }
        repeated = false;
        last = Some(line);
        let mut digits = String::new();
        for (at, byte) in line.iter().enumerate() {
            let gap = if at == 8 { "  " } else { " " };
            write!(digits, "{gap}{byte:02x}").unwrap();
        }
        let characters: String = line
            .iter()
            .map(|byte| match byte {
                b' '..=b'~' => char::from(*byte),
                _ => '.',
            })
            .collect();
        writeln!(out, "{:08x} {digits:<51}|{characters}|", index * 16).unwrap();
    }
    writeln!(out, "{:08x}", bytes.len()).unwrap();
    out
}
