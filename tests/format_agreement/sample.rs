//! Metadata made up by proptest: sound, and spoiled in ways that a damaged or hostile
//! disk could show.

use dmremap::remap_core::bytes::Text;
use dmremap::remap_core::label::MainForm;
use dmremap::remap_core::layout::Layout;
use dmremap::remap_core::superblock::{Extension, Features, Superblock};
use dmremap::remap_core::units::{
    ArrayUuid, BlockSize, Blocks, IdentityDigest, Sector, Sectors, Sequence, Slot, Timestamp,
};
use proptest::array::{uniform16, uniform32, uniform4};
use proptest::prelude::*;

pub fn slot() -> impl Strategy<Value = Slot> {
    proptest::sample::select(Slot::ALL.to_vec())
}

fn block_size() -> impl Strategy<Value = BlockSize> {
    proptest::sample::select(BlockSize::ALL.to_vec())
}

/// Numbers near the edges as often as anywhere.
pub fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..9000u64,
        Just(u64::MAX),
        (0..64u32).prop_map(|bit| 1 << bit),
    ]
}

/// A text field holding anything at all.
pub fn any_text<const N: usize>() -> impl Strategy<Value = Text<N>> {
    proptest::collection::vec(any::<u8>(), N)
        .prop_map(|bytes| Text::from_field(bytes.try_into().unwrap()))
}

/// A text field as a tool writes it, padded with NULs or with spaces.
fn written_text<const N: usize>() -> impl Strategy<Value = Text<N>> {
    let text = proptest::collection::vec(33..127u8, 0..=N);
    (text, prop_oneof![Just(0), Just(b' ')]).prop_map(|(text, padding)| {
        let mut field = [padding; N];
        field[..text.len()].copy_from_slice(&text);
        Text::from_field(field)
    })
}

pub fn main_form() -> impl Strategy<Value = MainForm> {
    proptest::sample::select(MainForm::ALL.to_vec())
}

/// The extension of a spare of so many sectors, with a layout that fits it.
fn sound_extension(spare: Sectors) -> impl Strategy<Value = Extension> {
    let fitting =
        block_size().prop_filter_map("too small", move |unit| Layout::for_spare(spare, unit).ok());
    (
        any::<(u32, u32)>(),
        main_form(),
        any::<bool>(),
        uniform16(any::<u8>()),
        uniform32(any::<u8>()),
        fitting,
    )
        .prop_map(
            |((compat, main_epoch), form, needs_check, array, identities, layout)| Extension {
                features: Features {
                    compat,
                    ..Features::default()
                }
                .with_main(form),
                array_uuid: ArrayUuid::new(array),
                main_epoch,
                main_identity: IdentityDigest::new(identities[..16].try_into().unwrap()),
                spare_identity: IdentityDigest::new(identities[16..].try_into().unwrap()),
                needs_check,
                layout,
            },
        )
}

/// An extension whose layout may be anything.
fn any_extension() -> impl Strategy<Value = Extension> {
    let layout = (block_size(), any::<u32>(), uniform4(number())).prop_map(
        |(block_size, region_blocks, [region_a, region_b, replacement, blocks])| Layout {
            block_size,
            region_blocks,
            region_a: Sector::new(region_a),
            region_b: Sector::new(region_b),
            replacement: Sector::new(replacement),
            replacement_blocks: Blocks::new(blocks),
        },
    );
    (
        sound_extension(Sectors::new(1 << 20)),
        layout,
        any::<[u32; 3]>(),
    )
        .prop_map(|(sound, layout, [compat, ro_compat, incompat])| Extension {
            features: Features {
                compat,
                ro_compat,
                incompat,
            },
            layout,
            ..sound
        })
}

fn common(
    uuid: BoxedStrategy<Text<37>>,
    path: BoxedStrategy<Text<128>>,
    sectors: BoxedStrategy<u64>,
) -> impl Strategy<Value = Superblock> {
    let texts = (uuid.clone(), uuid, path.clone(), path);
    let sectors = (sectors.clone(), sectors);
    let numbers = (number(), number(), any::<(u32, u32)>());
    (texts, sectors, numbers, block_size()).prop_map(
        |(texts, (main, spare), (sequence, timestamp, others), sector_size)| Superblock {
            sequence: Sequence::new(sequence),
            timestamp: Timestamp::new(timestamp),
            main_uuid: texts.0,
            spare_uuid: texts.1,
            main_sectors: Sectors::new(main),
            spare_sectors: Sectors::new(spare),
            sector_size,
            entry_size: others.0,
            capacity: others.1,
            main_path: texts.2,
            spare_path: texts.3,
            extension: None,
        },
    )
}

/// A superblock that the rules take, plain v4 or with the extension.
pub fn sound() -> impl Strategy<Value = Superblock> {
    let plain = common(
        written_text().boxed(),
        written_text().boxed(),
        (1..u64::MAX).boxed(),
    );
    // A path that fills its field may have run over it: the next must show its start.
    let plain = plain.prop_filter("a path that ran over its field", |plain| {
        matches!(plain.main_path.field()[127], 0 | b' ') || plain.spare_path.field()[0] == b'/'
    });
    prop_oneof![plain, sound_with_extension()]
}

/// A superblock with the extension that the rules take.
pub fn sound_with_extension() -> impl Strategy<Value = Superblock> {
    let common = common(
        any_text().boxed(),
        any_text().boxed(),
        (10_000..1u64 << 40).boxed(),
    );
    common.prop_flat_map(|superblock| {
        sound_extension(superblock.spare_sectors).prop_map(move |extension| Superblock {
            extension: Some(extension),
            ..superblock
        })
    })
}

/// A superblock of any content that its fields can hold.
pub fn any_superblock() -> impl Strategy<Value = Superblock> {
    let common = common(any_text().boxed(), any_text().boxed(), number().boxed());
    (common, proptest::option::of(any_extension())).prop_map(|(common, extension)| Superblock {
        extension,
        ..common
    })
}

/// Changes to bytes: where, and what they become.
pub fn changes(size: usize) -> impl Strategy<Value = Vec<(usize, u8)>> {
    let byte = prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(b' '), Just(0x1b)];
    proptest::collection::vec((0..size, byte), 0..6)
}

/// Makes the changes.
pub fn spoil<const N: usize>(mut raw: [u8; N], changes: &[(usize, u8)]) -> [u8; N] {
    for (at, byte) in changes {
        raw[*at] = *byte;
    }
    raw
}
