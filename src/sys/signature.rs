//! Signatures of others on an opened device or image, found by libblkid.

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::AsRawFd as _;

use libblkid_rs::{BlkidErr, BlkidProbe, BlkidProbeRet, BlkidSublks, BlkidSublksFlags};

use crate::port::block::{Signature, SignatureUse};
use crate::port::IoError;
use crate::remap_core::units::{Errno, Sector, SECTOR_BYTES};

/// A device has a few signatures, left by whoever used it before; a library that finds
/// more than this goes round in circles.
const MOST: usize = 64;

/// Finds what others wrote on `file` to know it again, each signature once, in the order
/// in which libblkid looks.
///
/// # Errors
///
/// [`IoError`] if the device cannot be looked over and nothing was found before.
pub(super) fn find(file: &File) -> Result<Vec<Signature>, IoError> {
    let mut found: Vec<Signature> = Vec::new();
    match probe(file, &mut found) {
        Err(error) if found.is_empty() => Err(io_error(&error)),
        // What was found is there, whatever could not be read behind it.
        _ => Ok(found),
    }
}

fn probe(file: &File, found: &mut Vec<Signature>) -> Result<(), BlkidErr> {
    let mut probe = BlkidProbe::new()?;
    // The descriptor outlives the probe, which does not close it; its offset is nobody's:
    // every other read says where.
    probe.set_device(file.as_raw_fd(), 0, 0)?;
    probe.enable_superblocks(true)?;
    probe.set_superblock_flags(BlkidSublksFlags::new(vec![
        BlkidSublks::Type,
        BlkidSublks::Usage,
        BlkidSublks::Uuid,
        BlkidSublks::Label,
        BlkidSublks::Magic,
        // What is damaged there may still be somebody's.
        BlkidSublks::Badcsum,
    ]))?;
    probe.enable_partitions(true)?;
    let mut seen = HashSet::new();
    for _ in 0..MOST {
        if probe.do_probe()? == BlkidProbeRet::Done {
            break;
        }
        if let Some(signature) = read(&probe) {
            let uuid = signature.uuid.clone();
            if seen.insert((signature.kind.clone(), uuid)) {
                found.push(signature);
            }
        }
    }
    Ok(())
}

/// The signature that the probe stopped at.
fn read(probe: &BlkidProbe) -> Option<Signature> {
    // A value that is not UTF-8 is told as if it were not there.
    let value = |name| {
        let value: String = probe.lookup_value(name).ok()?;
        (!value.is_empty()).then_some(value)
    };
    let sector = |name| {
        let offset: u64 = value(name)?.parse().ok()?;
        Some(Sector::new(offset / SECTOR_BYTES as u64))
    };
    if let Some(kind) = value("TYPE") {
        return Some(Signature {
            kind,
            used_for: match value("USAGE").as_deref() {
                Some("filesystem") => SignatureUse::FileSystem,
                Some("raid") => SignatureUse::Raid,
                Some("crypto") => SignatureUse::Crypto,
                _ => SignatureUse::Other,
            },
            uuid: value("UUID"),
            label: value("LABEL"),
            at: sector("SBMAGIC_OFFSET"),
        });
    }
    Some(Signature {
        kind: value("PTTYPE")?,
        used_for: SignatureUse::PartitionTable,
        uuid: value("PTUUID"),
        label: None,
        at: None,
    })
}

fn io_error(error: &BlkidErr) -> IoError {
    let system = match error {
        BlkidErr::IO(error) => error.raw_os_error(),
        BlkidErr::LibErr(_) => std::io::Error::last_os_error().raw_os_error(),
        _ => None,
    };
    IoError {
        errno: system
            .filter(|number| *number > 0)
            .map_or(Errno::EIO, Errno::new),
        at: Sector::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt as _;

    fn image(bytes: u64, parts: &[(u64, &[u8])]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(bytes).unwrap();
        for (at, part) in parts {
            file.write_all_at(part, *at).unwrap();
        }
        file
    }

    /// Swap space of one version, with a UUID.
    fn swap() -> Vec<u8> {
        let mut page = vec![0; 4096];
        page[1024..1028].copy_from_slice(&1u32.to_le_bytes());
        page[1028..1032].copy_from_slice(&255u32.to_le_bytes());
        page[1036..1052].copy_from_slice(&[0x11; 16]);
        page[4086..].copy_from_slice(b"SWAPSPACE2");
        page
    }

    /// A partition table with one partition from sector 2048 on.
    fn table() -> Vec<u8> {
        let mut sector = vec![0; 512];
        sector[440..444].copy_from_slice(&[1, 2, 3, 4]);
        sector[446..462].copy_from_slice(&[0, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector
    }

    fn words(file: &File) -> Vec<String> {
        find(file)
            .unwrap()
            .iter()
            .map(Signature::to_string)
            .collect()
    }

    #[test]
    fn what_others_wrote_is_named() {
        let file = image(1 << 20, &[(0, &swap())]);
        let found = find(&file).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].kind, "swap");
        assert_eq!(
            found[0].uuid.as_deref(),
            Some("11111111-1111-1111-1111-111111111111")
        );
        assert_eq!(found[0].at, Some(Sector::new(7)));
        let file = image(4 << 20, &[(0, &table())]);
        assert_eq!(words(&file), ["dos partition table"]);
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        assert_eq!(find(&image(1 << 20, &[])).unwrap(), []);
        assert_eq!(find(&image(512, &[])).unwrap(), []);
        let ours = include_bytes!("../../tests/fixtures/plain-v4/sda-sdb-copy0.bin");
        assert_eq!(find(&image(1 << 20, &[(0, ours)])).unwrap(), []);
    }
}
