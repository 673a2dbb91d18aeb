// SPDX-License-Identifier: GPL-2.0-or-later
//! Fields by named offset, little-endian, bounds proved when the code is compiled.

use core::fmt;

/// `LEN` bytes at offset `AT` of a structure.
pub struct Field<const AT: usize, const LEN: usize>;

impl<const AT: usize, const LEN: usize> Field<AT, LEN> {
    /// The offset of its first byte.
    pub const START: usize = AT;

    /// The offset just past the field.
    pub const END: usize = AT.saturating_add(LEN);

    /// The field's bytes in `structure`.
    pub fn get<const N: usize>(structure: &[u8; N]) -> [u8; LEN] {
        const {
            assert!(
                AT.saturating_add(LEN) <= N,
                "the field ends past its structure"
            )
        };
        let mut out = [0; LEN];
        for (to, from) in out.iter_mut().zip(structure.iter().skip(AT)) {
            *to = *from;
        }
        out
    }

    /// Puts `value` into the field in `structure`.
    pub fn put<const N: usize>(structure: &mut [u8; N], value: &[u8; LEN]) {
        const {
            assert!(
                AT.saturating_add(LEN) <= N,
                "the field ends past its structure"
            )
        };
        for (to, from) in structure.iter_mut().skip(AT).zip(value) {
            *to = *from;
        }
    }

    /// Fills the field in `structure` with zeros.
    pub fn clear<const N: usize>(structure: &mut [u8; N]) {
        Self::put(structure, &[0; LEN]);
    }

    /// Whether every byte of the field is zero.
    pub fn is_zero<const N: usize>(structure: &[u8; N]) -> bool {
        Self::get(structure).iter().all(|byte| *byte == 0)
    }
}

impl<const AT: usize> Field<AT, 1> {
    /// The field as an 8-bit number.
    pub fn u8<const N: usize>(structure: &[u8; N]) -> u8 {
        u8::from_le_bytes(Self::get(structure))
    }
}

impl<const AT: usize> Field<AT, 2> {
    /// The field as a 16-bit number.
    pub fn u16<const N: usize>(structure: &[u8; N]) -> u16 {
        u16::from_le_bytes(Self::get(structure))
    }
}

impl<const AT: usize> Field<AT, 4> {
    /// The field as a 32-bit number.
    pub fn u32<const N: usize>(structure: &[u8; N]) -> u32 {
        u32::from_le_bytes(Self::get(structure))
    }
}

impl<const AT: usize> Field<AT, 8> {
    /// The field as a 64-bit number.
    pub fn u64<const N: usize>(structure: &[u8; N]) -> u64 {
        u64::from_le_bytes(Self::get(structure))
    }
}

/// A text field: up to `N` bytes, padded with NULs or spaces. Its bytes may be
/// anything; whoever shows them escapes them first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<const N: usize>([u8; N]);

/// Why bytes do not fit a text field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// Longer than the field.
    TooLong {
        /// Length given, in bytes.
        length: usize,
        /// Length of the field, in bytes.
        limit: usize,
    },
    /// A NUL inside would end the text early.
    Nul,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length, limit } => {
                write!(
                    f,
                    "{length} bytes of text do not fit a field of {limit} bytes"
                )
            }
            Self::Nul => f.write_str("the text holds a NUL byte"),
        }
    }
}

impl<const N: usize> Text<N> {
    /// A field without text.
    pub const EMPTY: Self = Self([0; N]);

    /// Wraps the bytes of a field as they lie on the disk.
    pub const fn from_field(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// Pads `text` with NULs to the length of the field.
    ///
    /// # Errors
    ///
    /// [`TextError`] if it is longer than the field or holds a NUL. It is never
    /// cut short: half a path names another device.
    pub fn new(text: &[u8]) -> Result<Self, TextError> {
        if text.len() > N {
            return Err(TextError::TooLong {
                length: text.len(),
                limit: N,
            });
        }
        if text.contains(&0) {
            return Err(TextError::Nul);
        }
        let mut field = [0; N];
        for (to, from) in field.iter_mut().zip(text) {
            *to = *from;
        }
        Ok(Self(field))
    }

    /// The field as it lies on the disk.
    pub const fn field(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes before the first NUL.
    pub fn before_nul(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The text: up to the first NUL, without the spaces that pad it.
    pub fn trimmed(&self) -> &[u8] {
        self.before_nul().trim_ascii_end()
    }

    /// Whether the field reads as text that a tool wrote: no control bytes, and
    /// nothing but padding behind the first NUL.
    pub fn is_plain(&self) -> bool {
        let mut ended = false;
        self.0.iter().all(|byte| match byte {
            0 => {
                ended = true;
                true
            }
            b' ' => true,
            other => !ended && !other.is_ascii_control(),
        })
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.trimmed().escape_ascii())
    }
}
