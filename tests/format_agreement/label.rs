//! Labels of main, read and written twice, and the places where they lie.

use dmremap::format::label::{self as declared, MainLabel};
use dmremap::remap_core::bytes::Text;
use dmremap::remap_core::label::{
    checksum_of, DataArea, End, Label, LabelFlaw, LabelReading, MainForm,
};
use dmremap::remap_core::remap_table::{RawBlock, NAME_LIMIT};
use dmremap::remap_core::signature::detect;
use dmremap::remap_core::units::{ArrayUuid, IdentityDigest, Sectors};
use proptest::prelude::*;

use crate::sample;

fn any_label() -> impl Strategy<Value = Label> {
    let form = proptest::sample::select(vec![MainForm::Labelled, MainForm::Covered]);
    let end = proptest::sample::select(End::ALL.to_vec());
    let bytes = proptest::array::uniform32(any::<u8>());
    let name = proptest::collection::vec(1..=255u8, 0..=NAME_LIMIT);
    let size = prop_oneof![4104..9000u64, any::<u64>().prop_map(|size| size.max(4104))];
    (form, end, bytes, name, size, any::<(u32, bool)>()).prop_map(
        |(form, end, bytes, name, size, (epoch, sealed))| Label {
            end,
            array: ArrayUuid::new(bytes[..16].try_into().unwrap()),
            epoch,
            identity: IdentityDigest::new(bytes[16..].try_into().unwrap()),
            main_sectors: Sectors::new(size),
            form,
            sealed,
            name: Text::new(&name).unwrap(),
        },
    )
}

fn written(label: &Label) -> RawBlock {
    let mut raw = [0xa5; 4096];
    label.write(&mut raw);
    raw
}

/// The rules' answer, held against every reason that the declaration alone gives.
fn agree(raw: &RawBlock, end: End, size: Sectors) {
    let label = MainLabel::fields_of(raw);
    assert_eq!(label.encode(), *raw);
    assert_eq!(declared::checksum(raw), checksum_of(raw));
    let first = u8::from(end == End::Last);
    let whole = size.get() / 8 * 8;
    let between = label.data_start == 2048 && label.data_sectors.checked_add(4096) == Some(whole);
    let all = label.data_start == 0 && label.data_sectors == size.get();
    let area = match label.form {
        1 => between && label.data_sectors >= 8,
        2 => all && whole >= 4104,
        _ => false,
    };
    let name = label.name.get(..usize::from(label.name_length));
    let name = name.is_some_and(|name| name.len() <= 127 && !name.contains(&0));
    let fields = area && name && label.sealed <= 1;
    let known = label.version == 1 && label.role == 1 && label.incompat == 0;
    let expected = match LabelReading::of(raw, end, size) {
        LabelReading::Blank => *raw == [0; 4096],
        LabelReading::Foreign(found) => detect(raw) == Some(found),
        LabelReading::Flawed(LabelFlaw::Magic { stored }) => {
            stored == label.magic && stored != declared::LABEL_MAGIC && detect(raw).is_none()
        }
        LabelReading::Flawed(LabelFlaw::Checksum { computed, .. }) => label.checksum != computed,
        LabelReading::Unsupported => !known,
        LabelReading::Flawed(LabelFlaw::End { stored }) => stored == label.end && stored != first,
        LabelReading::Flawed(LabelFlaw::Size { says }) => {
            says.get() == label.main_sectors && says != size
        }
        LabelReading::Flawed(LabelFlaw::Field) => !fields,
        LabelReading::Label(read) => {
            assert!(MainLabel::decode(raw).is_ok());
            assert_eq!(read.epoch, label.main_epoch);
            assert_eq!(read.array.bytes(), &label.array_uuid);
            assert_eq!(read.identity.bytes(), &label.identity);
            known && fields && label.end == first && label.main_sectors == size.get()
        }
        LabelReading::Unreadable(_) => false,
    };
    assert!(expected, "{label:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(label in any_label()) {
        let raw = written(&label);
        let read = LabelReading::of(&raw, label.end, label.main_sectors);
        prop_assert_eq!(read, LabelReading::Label(label));
        agree(&raw, label.end, label.main_sectors);
        // No other end and no other size takes it.
        for end in End::ALL {
            for more in [0, 1, 8] {
                let size = Sectors::new(label.main_sectors.get().wrapping_add(more));
                agree(&raw, end, size);
            }
        }
    }

    #[test]
    fn spoiled_labels_are_taken_or_left_alike(
        label in any_label(),
        changes in sample::changes(256),
        seal in any::<bool>(),
    ) {
        let mut raw = sample::spoil(written(&label), &changes);
        if seal {
            raw = MainLabel::fields_of(&raw).with_checksum().encode();
        }
        agree(&raw, label.end, label.main_sectors);
    }
}

/// Versions and features to come are told from damage, whatever else the label says.
#[test]
fn what_is_beyond_this_version_is_unsupported() {
    for (at, value) in [(4, 2), (80, 1), (80, 2), (83, 0x80), (84, 0), (84, 2)] {
        let mut raw = written(&sample_label(End::First, MainForm::Labelled));
        raw[at] = value;
        let raw = MainLabel::fields_of(&raw).with_checksum().encode();
        let size = Sectors::new(1 << 20);
        agree(&raw, End::First, size);
        let read = LabelReading::of(&raw, End::First, size);
        assert_eq!(read, LabelReading::Unsupported, "byte {at}");
    }
}

fn sample_label(end: End, form: MainForm) -> Label {
    Label {
        end,
        array: ArrayUuid::new([0xee; 16]),
        epoch: 1,
        identity: IdentityDigest::NONE,
        main_sectors: Sectors::new(1 << 20),
        form,
        sealed: true,
        name: Text::new(b"vault").unwrap(),
    }
}

#[test]
fn no_label_looks_like_anything_else() {
    for form in [MainForm::Labelled, MainForm::Covered] {
        for end in End::ALL {
            let label = sample_label(end, form);
            assert_eq!(detect(&written(&label)), None);
        }
    }
}

#[test]
fn ends_and_data_share_nothing_and_leave_nothing_out() {
    for size in (0..20_000u64).chain([1 << 40, (1 << 40) + 7]) {
        let main = Sectors::new(size);
        let area = DataArea::of(MainForm::Labelled, main);
        assert_eq!(area.is_some(), size / 8 * 8 >= 4104, "{size}");
        assert_eq!(
            DataArea::of(MainForm::Covered, main).is_some(),
            area.is_some()
        );
        let Some(area) = area else { continue };
        let [first, last] = End::ALL.map(|end| end.range(main).unwrap());
        assert_eq!((first.0.get(), first.1.get()), (0, area.start.get()));
        assert_eq!(last.0.get(), area.start.get() + area.sectors.get());
        assert_eq!(last.0.get() + last.1.get(), size);
        for (end, (at, length)) in End::ALL.into_iter().zip([first, last]) {
            let label = end.label_sector(main).unwrap().get();
            assert_eq!(label % 8, 0);
            assert!(at.get() <= label && label + 8 <= at.get() + length.get());
        }
    }
}
