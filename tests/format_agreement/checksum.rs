//! CRC-32C from two sources.

use dmremap::remap_core::checksum::Crc32c;
use proptest::prelude::*;

#[test]
fn check_value_of_the_catalogue_is_met_by_both() {
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(Crc32c::new().update(b"123456789").finish(), 0xe306_9283);
}

#[test]
fn every_length_up_to_two_blocks_agrees() {
    let bytes: Vec<u8> = (0..8192u32).map(|at| ((at * at) >> 3) as u8).collect();
    for length in 0..=bytes.len() {
        let bytes = &bytes[..length];
        assert_eq!(
            Crc32c::new().update(bytes).finish(),
            crc32c::crc32c(bytes),
            "{length} bytes"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_agree(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
        prop_assert_eq!(Crc32c::new().update(&bytes).finish(), crc32c::crc32c(&bytes));
    }
}
