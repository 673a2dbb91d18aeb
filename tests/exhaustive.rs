//! Every single-bit and every double-bit error of one copy.
#![cfg(test)]

mod common;

use std::thread;

use common::{checksummed, ARRAY};
use dmremap::remap_core::superblock::{
    computed_checksum, read_copy, stored_checksum, Content, RawCopy, COPY_BYTES,
};
use dmremap::remap_core::units::Slot;

/// Bits in one copy.
const BITS: usize = COPY_BYTES * 8;

fn copy() -> RawCopy {
    checksummed(ARRAY, 7).encode(Slot::S2)
}

fn flip(raw: &mut RawCopy, bit: usize) {
    raw[bit / 8] ^= 1 << (bit % 8);
}

/// Reads a damaged copy: nothing of it may count.
fn assert_not_believed(raw: &RawCopy, bits: &[usize]) {
    match read_copy(raw, Slot::S2) {
        Content::NotOurs | Content::Flawed(_) | Content::Unsupported { proven: false, .. } => {}
        believed => panic!("bits {bits:?} flipped: {believed:?}"),
    }
}

#[test]
fn none_of_4096_single_bit_errors_is_believed() {
    let good = copy();
    assert!(matches!(
        read_copy(&good, Slot::S2),
        Content::Checksummed(_)
    ));
    let mut read = 0;
    for bit in 0..BITS {
        let mut raw = good;
        flip(&mut raw, bit);
        assert_not_believed(&raw, &[bit]);
        read += 1;
    }
    assert_eq!(read, 4096);
}

/// Reads the copy with every pair of bits flipped of which the first is one of `firsts`,
/// and says how many pairs that were.
fn read_pairs(firsts: impl Iterator<Item = usize>) -> usize {
    let mut raw = copy();
    let mut read = 0;
    for first in firsts {
        flip(&mut raw, first);
        for second in first + 1..BITS {
            flip(&mut raw, second);
            assert_not_believed(&raw, &[first, second]);
            flip(&mut raw, second);
            read += 1;
        }
        flip(&mut raw, first);
    }
    read
}

#[test]
fn none_of_8386560_double_bit_errors_is_believed() {
    let read: usize = thread::scope(|scope| {
        let odd = scope.spawn(|| read_pairs((1..BITS).step_by(2)));
        let even = read_pairs((0..BITS).step_by(2));
        even + odd.join().unwrap()
    });
    println!("{read} double-bit errors read");
    assert_eq!(read, 8_386_560);
}

/// The same from another side: a checksum is linear, so that two flipped bits cancel
/// each other only if either alone changes it by the same amount.
#[test]
fn no_two_bits_change_the_checksum_alike() {
    let good = copy();
    let difference = |raw: &RawCopy| computed_checksum(raw) ^ stored_checksum(raw);
    assert_eq!(difference(&good), 0);
    let mut changes: Vec<u32> = (0..BITS)
        .map(|bit| {
            let mut raw = good;
            flip(&mut raw, bit);
            difference(&raw)
        })
        .collect();
    changes.sort_unstable();
    assert!(changes[0] > 0, "a bit that the checksum does not see");
    changes.dedup();
    assert_eq!(changes.len(), BITS);
}
