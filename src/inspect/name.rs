//! Names of mapped devices.

use crate::remap_core::remap_table::NAME_LIMIT;

/// Why text is no name for a mapped device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// There is none.
    Empty,
    /// It is longer than device-mapper allows.
    TooLong {
        /// Its length, in bytes.
        length: usize,
    },
    /// It holds a byte that device-mapper would have to escape.
    Byte {
        /// Which byte, counted from 0.
        position: usize,
    },
    /// It means a directory.
    Directory,
}

impl std::fmt::Display for NameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::TooLong { length } => write!(
                f,
                "the name has {length} bytes and may have {NAME_LIMIT} at most"
            ),
            Self::Byte { position } => write!(
                f,
                "byte {position} of the name is none of 0-9 A-Z a-z # + - . : = @ _"
            ),
            Self::Directory => f.write_str("\".\" and \"..\" are directories, not names"),
        }
    }
}

/// Checks the name of a mapped device: what can be under `/dev/mapper` as it is.
///
/// # Errors
///
/// [`NameError`] says what is wrong with it.
pub fn check_name(name: &[u8]) -> Result<(), NameError> {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"#+-.:=@_".contains(byte);
    match name {
        [] => Err(NameError::Empty),
        b"." | b".." => Err(NameError::Directory),
        _ if name.len() > NAME_LIMIT => Err(NameError::TooLong { length: name.len() }),
        _ => match name.iter().position(|byte| !is_allowed(byte)) {
            Some(position) => Err(NameError::Byte { position }),
            None => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_can_be_under_dev_mapper() {
        let long = [b'x'; 128];
        for (name, expected) in [
            (&b"my-storage"[..], Ok(())),
            (b"0-9A-Za-z#+-.:=@_", Ok(())),
            (&long[..127], Ok(())),
            (b"", Err(NameError::Empty)),
            (b".", Err(NameError::Directory)),
            (b"..", Err(NameError::Directory)),
            (&long, Err(NameError::TooLong { length: 128 })),
            (b"a b", Err(NameError::Byte { position: 1 })),
            (b"a/b", Err(NameError::Byte { position: 1 })),
            (b"x\n", Err(NameError::Byte { position: 1 })),
            ("ö".as_bytes(), Err(NameError::Byte { position: 0 })),
        ] {
            assert_eq!(check_name(name), expected, "{name:?}");
        }
    }
}
