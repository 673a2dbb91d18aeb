//! How the identity of a device is made from what is stable about it.
//!
//! A disk is known by its worldwide identifier, else by its serial number, a partition by
//! its UUID, a device of device-mapper or an array by the UUID that was given to it. What
//! offers none of these can be known by a file system on it, as a last resort: that one
//! changes when a new file system is made, so it only ever names a main, whose content
//! stays, and a main that is another by it may still be the same disk.

use sha2::{Digest as _, Sha256};

use crate::port::block::Signature;
use crate::port::block::SignatureUse;
use crate::remap_core::units::IdentityDigest;

/// How an identity that was made from a file system begins, so that it is known as such.
const FILE_SYSTEM: &[u8; 4] = b"fsid";

/// What about a device itself is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stable<'a> {
    /// A worldwide identifier.
    Wwid(&'a str),
    /// A serial number, which means something together with a model alone.
    Serial {
        /// The model; empty where it is not known.
        model: &'a str,
        /// The serial number.
        serial: &'a str,
    },
    /// The UUID of a partition.
    Partition(&'a str),
    /// The UUID of a device of device-mapper.
    Mapped(&'a str),
    /// The UUID of an array.
    Array(&'a str),
}

impl Stable<'_> {
    /// The identity that follows; none where what should be stable says nothing.
    pub fn digest(self) -> IdentityDigest {
        let (kind, parts): (&[u8], [&str; 2]) = match self {
            Self::Wwid(wwid) => (b"wwid", [wwid, ""]),
            Self::Serial { model, serial } => (b"serial", [serial, model]),
            Self::Partition(uuid) => (b"partition", [uuid, ""]),
            Self::Mapped(uuid) => (b"mapped", [uuid, ""]),
            Self::Array(uuid) => (b"array", [uuid, ""]),
        };
        let says_nothing = |text: &str| text.chars().all(|c| "0 -".contains(c));
        if says_nothing(parts[0]) {
            return IdentityDigest::NONE;
        }
        let bytes = digest(kind, &parts);
        if bytes.starts_with(FILE_SYSTEM) {
            // One in four thousand million: better none than one that is taken for another kind.
            return IdentityDigest::NONE;
        }
        IdentityDigest::new(bytes)
    }
}

/// The identity of last resort: of the only file system or encrypted volume on a device.
/// None where there is no such, or several that contradict each other.
pub fn of_contents(signatures: &[Signature]) -> IdentityDigest {
    let holds_data = |signature: &&Signature| {
        matches!(
            signature.used_for,
            SignatureUse::FileSystem | SignatureUse::Crypto
        )
    };
    let mut uuids = signatures
        .iter()
        .filter(holds_data)
        .map(|signature| signature.uuid.as_deref());
    let (Some(Some(uuid)), None) = (uuids.next(), uuids.next()) else {
        return IdentityDigest::NONE;
    };
    let mut bytes = digest(b"file system", &[uuid, ""]);
    bytes[..FILE_SYSTEM.len()].copy_from_slice(FILE_SYSTEM);
    IdentityDigest::new(bytes)
}

/// Whether an identity was made from a file system, so that a device without it may be
/// the same all the same.
pub fn is_of_contents(identity: &IdentityDigest) -> bool {
    identity.bytes().starts_with(FILE_SYSTEM)
}

fn digest(kind: &[u8], parts: &[&str; 2]) -> [u8; 16] {
    let mut hash = Sha256::new().chain_update(b"dmremap ").chain_update(kind);
    for part in parts {
        hash = hash.chain_update([0]).chain_update(part.trim());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(kind: &str, used_for: SignatureUse, uuid: Option<&str>) -> Signature {
        Signature {
            kind: kind.to_owned(),
            used_for,
            uuid: uuid.map(str::to_owned),
            label: None,
            at: None,
        }
    }

    #[test]
    fn one_text_of_different_kinds_gives_different_identities() {
        let text = "naa.5000c500a1b2c3d4";
        let kinds = [
            Stable::Wwid(text),
            Stable::Serial {
                model: "",
                serial: text,
            },
            Stable::Serial {
                model: "ST4000",
                serial: text,
            },
            Stable::Partition(text),
            Stable::Mapped(text),
            Stable::Array(text),
        ];
        for (at, one) in kinds.iter().enumerate() {
            assert!(!one.digest().is_none());
            assert!(!is_of_contents(&one.digest()));
            for other in &kinds[at + 1..] {
                assert_ne!(one.digest(), other.digest(), "{one:?} {other:?}");
            }
        }
        let padded = format!("  {text} ");
        assert_eq!(Stable::Wwid(&padded).digest(), Stable::Wwid(text).digest());
    }

    #[test]
    fn serial_numbers_that_say_nothing_identify_nothing() {
        for serial in ["", "   ", "0", "0000-0000", "00000000000000000000"] {
            let stable = Stable::Serial { model: "X", serial };
            assert!(stable.digest().is_none(), "{serial:?}");
        }
    }

    #[test]
    fn one_file_system_identifies_and_what_contradicts_itself_does_not() {
        let ext4 = signature("ext4", SignatureUse::FileSystem, Some("1111-2222"));
        let xfs = signature("xfs", SignatureUse::FileSystem, Some("3333"));
        let table = signature("dos", SignatureUse::PartitionTable, Some("4444"));
        let swap = signature("swap", SignatureUse::Other, Some("5555"));
        let alone = of_contents(std::slice::from_ref(&ext4));
        assert!(is_of_contents(&alone));
        assert_eq!(of_contents(&[table.clone(), ext4.clone()]), alone);
        assert_ne!(of_contents(std::slice::from_ref(&xfs)), alone);
        for unclear in [
            &[][..],
            &[table],
            &[swap],
            &[ext4, xfs],
            &[signature("vfat", SignatureUse::FileSystem, None)],
        ] {
            assert!(of_contents(unclear).is_none(), "{unclear:?}");
        }
    }
}
