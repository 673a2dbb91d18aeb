// SPDX-License-Identifier: GPL-2.0-or-later
//! CRC-32C (Castagnoli, reflected, initial value and final inversion all ones).

/// A checksum over bytes that arrive in pieces.
#[derive(Clone, Copy, Debug)]
pub struct Crc32c(u32);

impl Crc32c {
    /// The checksum of nothing yet.
    pub const fn new() -> Self {
        Self(!0)
    }

    /// Goes on with `bytes`, sixteen at a time where there are sixteen: their table entries
    /// do not wait for each other.
    #[must_use]
    pub fn update(self, bytes: &[u8]) -> Self {
        let mut crc = self.0;
        let mut sixteens = bytes.chunks_exact(16);
        for sixteen in &mut sixteens {
            let [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15] =
                sixteen.first_chunk().copied().unwrap_or_default();
            let [c0, c1, c2, c3] = crc.to_le_bytes();
            crc = entry(15, b0 ^ c0)
                ^ entry(14, b1 ^ c1)
                ^ entry(13, b2 ^ c2)
                ^ entry(12, b3 ^ c3)
                ^ entry(11, b4)
                ^ entry(10, b5)
                ^ entry(9, b6)
                ^ entry(8, b7)
                ^ entry(7, b8)
                ^ entry(6, b9)
                ^ entry(5, b10)
                ^ entry(4, b11)
                ^ entry(3, b12)
                ^ entry(2, b13)
                ^ entry(1, b14)
                ^ entry(0, b15);
        }
        for byte in sixteens.remainder() {
            let [low, ..] = crc.to_le_bytes();
            crc = (crc >> 8) ^ entry(0, low ^ byte);
        }
        Self(crc)
    }

    /// The checksum of all that came.
    pub const fn finish(self) -> u32 {
        !self.0
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

/// How far from the start of a structure its own checksum may lie.
const HEAD: usize = 32;

/// The checksum of a structure of `N` bytes whose own checksum field, four bytes
/// at `AT` within the first 32, counts as zero.
pub fn of_structure<const AT: usize, const N: usize>(structure: &[u8; N]) -> u32 {
    const {
        assert!(
            AT.saturating_add(4) <= HEAD && HEAD <= N,
            "the checksum field lies too far inside its structure"
        )
    };
    let (head, rest) = structure.split_at_checked(HEAD).unwrap_or_default();
    let mut head = head.first_chunk::<HEAD>().copied().unwrap_or_default();
    if let Some(own) = head.get_mut(AT..).and_then(|tail| tail.first_chunk_mut()) {
        *own = [0; 4];
    }
    Crc32c::new().update(&head).update(rest).finish()
}

/// Entry `byte` of table `distance`: what a byte so many places back contributes.
fn entry(distance: usize, byte: u8) -> u32 {
    let table = TABLES.get(distance);
    table
        .and_then(|table| table.get(usize::from(byte)))
        .copied()
        .unwrap_or_default()
}

static TABLES: [[u32; 256]; 16] = tables();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs when the code is compiled, where a wrong index stops the build"
)]
const fn tables() -> [[u32; 256]; 16] {
    let mut tables = [[0; 256]; 16];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82F6_3B78
            } else {
                crc >> 1
            };
            bit += 1;
        }
        tables[0][index] = crc;
        index += 1;
    }
    let mut distance = 1;
    while distance < 16 {
        let mut index = 0;
        while index < 256 {
            let nearer = tables[distance - 1][index];
            tables[distance][index] = (nearer >> 8) ^ tables[0][(nearer & 0xff) as usize];
            index += 1;
        }
        distance += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value_of_the_catalogue_is_met() {
        assert_eq!(Crc32c::new().update(b"123456789").finish(), 0xE306_9283);
    }

    #[test]
    fn pieces_and_whole_give_the_same_checksum() {
        let text: [u8; 256] = core::array::from_fn(|at| (at * 7 % 251) as u8);
        let whole = Crc32c::new().update(&text).finish();
        let single = text
            .iter()
            .fold(Crc32c::new(), |crc, byte| crc.update(&[*byte]));
        assert_eq!(single.finish(), whole, "byte by byte");
        for cut in 0..text.len() {
            let (head, tail) = text.split_at(cut);
            assert_eq!(
                Crc32c::new().update(head).update(tail).finish(),
                whole,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn own_field_counts_as_zeros_wherever_it_lies() {
        let a: [u8; 100] = core::array::from_fn(|at| (at * 11 % 239) as u8);
        let by_pieces = |at: usize| {
            let before = Crc32c::new().update(&a[..at]);
            before.update(&[0; 4]).update(&a[at + 4..]).finish()
        };
        assert_eq!(of_structure::<0, 100>(&a), by_pieces(0));
        assert_eq!(of_structure::<8, 100>(&a), by_pieces(8));
        assert_eq!(of_structure::<24, 100>(&a), by_pieces(24));
        assert_eq!(of_structure::<28, 100>(&a), by_pieces(28));
    }

    #[test]
    fn own_field_does_not_count() {
        let mut a = [7u8; 64];
        let sum = of_structure::<24, 64>(&a);
        a[24..28].copy_from_slice(&[1, 2, 3, 4]);
        assert_eq!(of_structure::<24, 64>(&a), sum);
        a[28] ^= 1;
        assert_ne!(of_structure::<24, 64>(&a), sum);
    }
}
