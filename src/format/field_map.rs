//! Which field every byte of a structure belongs to, and what it says: for views of
//! bytes and for reports of damage. Any bytes have a map, damaged ones above all.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use super::label::{MainLabel, FORMS};
use super::structure::{FieldSpec, Show};
use super::superblock::{self, Common, Extension, Padding, COPY_BYTES, EXTENSION_AT};
use super::table::{BlockFront, Entry, HeaderFront, BLOCK_BYTES, ENTRIES, STATES, SUPERBLOCK_AT};
use crate::remap_core::units::ArrayUuid;
use crate::text;

/// Bytes of a field shown in hexadecimal before the rest is only counted.
const BYTES_SHOWN: usize = 16;

/// One field of a structure that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, as in the specification.
    pub name: Cow<'static, str>,
    /// Its first byte, counted from the start of the structure.
    pub start: usize,
    /// Its length, in bytes.
    pub len: usize,
    /// What it says, escaped: fit for any terminal.
    pub value: String,
}

impl Field {
    /// The bytes that it takes, counted from the start of the structure.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start.saturating_add(self.len)
    }
}

/// The field that byte `offset` of a structure belongs to.
pub fn field_at(fields: &[Field], offset: usize) -> Option<&Field> {
    let after = fields.partition_point(|field| field.start <= offset);
    let field = fields.get(after.checked_sub(1)?)?;
    field.range().contains(&offset).then_some(field)
}

/// The fields of one copy of the superblock. The last 112 bytes are read as the
/// extension if its magic is there, or if the copy states the size of one with it.
pub fn of_copy(raw: &[u8; COPY_BYTES]) -> Vec<Field> {
    let copy = superblock::SuperblockCopy::fields_of(raw);
    let extended = matches!(copy.tail, superblock::Tail::Extension(_))
        || copy.common.structure_size == COPY_BYTES as u32;
    let mut fields = Vec::new();
    append(&mut fields, "", Common::FIELDS, raw, 0);
    let tail = if extended {
        Extension::FIELDS
    } else {
        Padding::FIELDS
    };
    append(&mut fields, "", tail, raw, EXTENSION_AT);
    fields
}

/// The fields of a region's header block, those of the superblock in it among them.
pub fn of_region_header(raw: &[u8; BLOCK_BYTES]) -> Vec<Field> {
    let mut fields = Vec::new();
    append(&mut fields, "", HeaderFront::FIELDS, raw, 0);
    let copy = raw[SUPERBLOCK_AT..].first_chunk::<COPY_BYTES>();
    fields.extend(
        copy.map(of_copy)
            .unwrap_or_default()
            .into_iter()
            .map(|field| Field {
                name: format!("superblock.{}", field.name).into(),
                start: field.start + SUPERBLOCK_AT,
                ..field
            }),
    );
    let rest = FieldSpec {
        name: "rest",
        start: 0,
        len: BLOCK_BYTES - SUPERBLOCK_AT - COPY_BYTES,
        show: Show::Zeros,
    };
    append(&mut fields, "", &[rest], raw, SUPERBLOCK_AT + COPY_BYTES);
    fields
}

/// The fields of a label of main.
pub fn of_label(raw: &[u8; BLOCK_BYTES]) -> Vec<Field> {
    let mut fields = Vec::new();
    append(&mut fields, "", MainLabel::FIELDS, raw, 0);
    fields
}

/// The fields of a table block, those of each entry among them.
pub fn of_table_block(raw: &[u8; BLOCK_BYTES]) -> Vec<Field> {
    let mut fields = Vec::new();
    append(&mut fields, "", BlockFront::FIELDS, raw, 0);
    for index in 0..ENTRIES {
        let at = BlockFront::BYTES + index * Entry::BYTES;
        append(
            &mut fields,
            &format!("entry[{index}]."),
            Entry::FIELDS,
            raw,
            at,
        );
    }
    fields
}

fn append(fields: &mut Vec<Field>, prefix: &str, specs: &[FieldSpec], raw: &[u8], at: usize) {
    fields.extend(specs.iter().map(|spec| {
        let start = at + spec.start;
        Field {
            name: match prefix {
                "" => spec.name.into(),
                _ => format!("{prefix}{}", spec.name).into(),
            },
            start,
            len: spec.len,
            value: show(&raw[start..start + spec.len], spec.show),
        }
    }));
}

fn show(bytes: &[u8], how: Show) -> String {
    match how {
        Show::Number => number(bytes).to_string(),
        Show::Hex => format!("{:#0width$x}", number(bytes), width = 2 + 2 * bytes.len()),
        Show::Text => {
            // Only padding at the end goes: what hides behind a NUL is shown.
            let end = bytes
                .iter()
                .rposition(|byte| !matches!(byte, 0 | b' '))
                .map_or(0, |last| last + 1);
            text::escape(&bytes[..end]).into_owned()
        }
        Show::Uuid => match bytes.try_into() {
            Ok(bytes) => ArrayUuid::new(bytes).to_string(),
            Err(_) => in_hex(bytes),
        },
        Show::Region => named(bytes, &["A", "B"]),
        Show::State => named(bytes, &STATES),
        Show::End => named(bytes, &["first", "last"]),
        Show::Form => named(bytes, &FORMS),
        Show::Zeros if bytes.iter().all(|byte| *byte == 0) => "zeros".to_owned(),
        Show::Bytes | Show::Zeros => in_hex(bytes),
    }
}

/// A little-endian number of up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    let digit = |number, byte: &u8| (number << 8) | u64::from(*byte);
    bytes.iter().rev().fold(0, digit)
}

/// A number with the name it stands for, where it stands for one.
fn named(bytes: &[u8], names: &[&str]) -> String {
    let number = number(bytes);
    let name = usize::try_from(number).ok().and_then(|at| names.get(at));
    match name {
        Some(name) => format!("{number} ({name})"),
        None => number.to_string(),
    }
}

fn in_hex(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in bytes.iter().take(BYTES_SHOWN) {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    if let Some(more) = bytes
        .len()
        .checked_sub(BYTES_SHOWN)
        .filter(|more| *more > 0)
    {
        let _ = write!(hex, " and {more} bytes more");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers_every_byte_once(fields: &[Field], size: usize) {
        let mut next = 0;
        for field in fields {
            assert_eq!(field.start, next, "{}", field.name);
            assert!(field.len > 0);
            next = field.range().end;
        }
        assert_eq!(next, size);
        for offset in 0..size {
            let field = field_at(fields, offset).unwrap();
            assert!(field.range().contains(&offset));
        }
        assert_eq!(field_at(fields, size), None);
    }

    #[test]
    fn every_byte_of_every_structure_belongs_to_one_field() {
        let mut copy = [0; COPY_BYTES];
        covers_every_byte_once(&of_copy(&copy), COPY_BYTES);
        copy[EXTENSION_AT..EXTENSION_AT + 4].copy_from_slice(b"DR4X");
        covers_every_byte_once(&of_copy(&copy), COPY_BYTES);
        covers_every_byte_once(&of_region_header(&[0; BLOCK_BYTES]), BLOCK_BYTES);
        covers_every_byte_once(&of_table_block(&[0; BLOCK_BYTES]), BLOCK_BYTES);
        covers_every_byte_once(&of_label(&[0; BLOCK_BYTES]), BLOCK_BYTES);
    }

    #[test]
    fn extension_is_shown_where_its_magic_or_its_size_is() {
        let has_extension =
            |raw: &[u8; COPY_BYTES]| of_copy(raw).iter().any(|f| f.name == "array_uuid");
        let mut raw = [0; COPY_BYTES];
        assert!(!has_extension(&raw));
        raw[33] = 2;
        assert!(has_extension(&raw), "structure size 512");
        raw[33] = 8;
        assert!(!has_extension(&raw), "structure size 2048");
        raw[EXTENSION_AT..EXTENSION_AT + 4].copy_from_slice(b"DR4X");
        assert!(has_extension(&raw), "magic");
    }

    #[test]
    fn values_are_shown_by_their_kind() {
        assert_eq!(show(&[1, 2, 0, 0], Show::Number), "513");
        assert_eq!(show(&[0xff; 8], Show::Number), u64::MAX.to_string());
        assert_eq!(show(&[1, 2, 0, 0], Show::Hex), "0x00000201");
        assert_eq!(show(b"/dev/a  \0\0", Show::Text), "/dev/a");
        assert_eq!(show(b"a\0b \0", Show::Text), "a\\x00b");
        assert_eq!(show(b"\0\0 ", Show::Text), "");
        assert_eq!(
            show(&[0xab; 16], Show::Uuid),
            "abababab-abab-abab-abab-abababababab"
        );
        assert_eq!(show(&[1], Show::Region), "1 (B)");
        assert_eq!(show(&[2], Show::Region), "2");
        assert_eq!(show(&[3], Show::State), "3 (replacement-bad)");
        assert_eq!(show(&[5], Show::State), "5");
        assert_eq!(show(&[0; 100], Show::Zeros), "zeros");
        assert_eq!(show(&[0, 7], Show::Zeros), "0007");
        assert_eq!(
            show(&[0x10; 112], Show::Zeros),
            format!("{} and 96 bytes more", "10".repeat(16))
        );
    }
}
