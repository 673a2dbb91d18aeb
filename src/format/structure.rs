//! One declaration of a structure gives both its codec and its field list.

/// A type of known size on the disk.
pub(super) trait OnDisk {
    /// Its size, in bytes.
    const BYTES: usize;
}

impl OnDisk for u8 {
    const BYTES: usize = 1;
}
impl OnDisk for u16 {
    const BYTES: usize = 2;
}
impl OnDisk for u32 {
    const BYTES: usize = 4;
}
impl OnDisk for u64 {
    const BYTES: usize = 8;
}
impl<const N: usize> OnDisk for [u8; N] {
    const BYTES: usize = N;
}

/// How a field's value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// A number, in decimal.
    Number,
    /// A number whose digits matter more than its size, in hexadecimal.
    Hex,
    /// Text padded with NULs or spaces.
    Text,
    /// Sixteen bytes in the hyphenated form.
    Uuid,
    /// The number of a table region.
    Region,
    /// The number of an entry's state.
    State,
    /// The number of an end of main.
    End,
    /// The number of a form of main.
    Form,
    /// Bytes, in hexadecimal.
    Bytes,
    /// Bytes that are zero.
    Zeros,
}

/// Where a field of a structure lies, and how it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    /// Its name.
    pub name: &'static str,
    /// Its first byte, counted from the start of the structure.
    pub start: usize,
    /// Its length, in bytes.
    pub len: usize,
    /// How it is shown.
    pub show: Show,
}

/// Places fields one behind the other.
pub(super) const fn lay_out<const N: usize>(mut fields: [FieldSpec; N]) -> [FieldSpec; N] {
    let mut next = 0;
    let mut at = 0;
    while at < N {
        fields[at].start = next;
        next += fields[at].len;
        at += 1;
    }
    fields
}

/// Declares a little-endian structure: a `binrw` type, its size in bytes, and its
/// fields with their offsets.
macro_rules! structure {
    (
        $(#[$meta:meta])*
        pub struct $name:ident: $bytes:literal {
            $(
                $(#[$field_meta:meta])*
                $field:ident: $kind:ty => $show:ident,
            )*
        }
    ) => {
        $(#[$meta])*
        #[binrw::binrw]
        #[brw(little)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                pub $field: $kind,
            )*
        }

        impl $name {
            /// Its size on the disk, in bytes.
            pub const BYTES: usize = $bytes;

            /// Its fields, in the order of the disk and without gaps.
            pub const FIELDS: &'static [$crate::format::structure::FieldSpec] =
                &$crate::format::structure::lay_out([$(
                    $crate::format::structure::FieldSpec {
                        name: stringify!($field),
                        start: 0,
                        len: <$kind as $crate::format::structure::OnDisk>::BYTES,
                        show: $crate::format::structure::Show::$show,
                    },
                )*]);
        }

        impl $crate::format::structure::OnDisk for $name {
            const BYTES: usize = $bytes;
        }

        const _: () = {
            let last = $name::FIELDS[$name::FIELDS.len() - 1];
            assert!(last.start + last.len == $bytes, "fields and size differ");
        };
    };
}

pub(super) use structure;
