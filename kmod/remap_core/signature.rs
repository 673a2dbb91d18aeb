// SPDX-License-Identifier: GPL-2.0-or-later
//! The few signatures of others that show inside a slot.
//!
//! A slot is 4 KiB; what others put elsewhere is libblkid's to find.

use core::fmt;

/// Whose signature lies in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signature {
    /// ext2, ext3 or ext4.
    Ext,
    /// XFS.
    Xfs,
    /// LUKS, either version.
    Luks,
    /// An LVM2 physical volume.
    Lvm,
    /// A swap area.
    Swap,
    /// A GUID partition table.
    Gpt,
    /// A boot sector: an MBR partition table, FAT or NTFS.
    BootSector,
    /// A squashfs image.
    Squashfs,
    /// A Linux RAID member with its superblock at the start.
    Raid,
    /// A stratis pool member.
    Stratis,
}

impl Signature {
    /// The name an administrator knows it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ext => "ext2/3/4",
            Self::Xfs => "xfs",
            Self::Luks => "LUKS",
            Self::Lvm => "LVM2",
            Self::Swap => "swap",
            Self::Gpt => "GPT",
            Self::BootSector => "boot sector",
            Self::Squashfs => "squashfs",
            Self::Raid => "linux_raid_member",
            Self::Stratis => "stratis",
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Finds a signature in what was read of a slot: 512 to 4096 bytes of it. The most
/// telling one wins; a bare boot mark comes last, since others carry it too.
pub fn detect(slot: &[u8]) -> Option<Signature> {
    let has = |at: usize, magic: &[u8]| slot.get(at..).is_some_and(|tail| tail.starts_with(magic));
    // A lone 16-bit magic proves little: ext also has a block size (1 KiB << 0..6) and
    // a revision, of which there are two.
    let ext_block_size = slot.get(1048).is_some_and(|shift| *shift <= 6);
    let ext_revision = slot.get(1100).is_some_and(|revision| *revision <= 1);
    match () {
        () if has(0, b"LUKS\xba\xbe") => Some(Signature::Luks),
        () if has(0, b"XFSB") => Some(Signature::Xfs),
        () if has(0, b"hsqs") => Some(Signature::Squashfs),
        () if has(0, &[0xfc, 0x4e, 0x2b, 0xa9]) => Some(Signature::Raid),
        () if has(512, b"EFI PART") => Some(Signature::Gpt),
        () if has(512, b"LABELONE") || has(0, b"LABELONE") => Some(Signature::Lvm),
        () if has(512, b"!Stra0tis\x86\xff\x02^\x41rh") => Some(Signature::Stratis),
        () if has(4086, b"SWAPSPACE2") => Some(Signature::Swap),
        () if has(1080, &[0x53, 0xef]) && ext_block_size && ext_revision => Some(Signature::Ext),
        () if has(510, &[0x55, 0xaa]) => Some(Signature::BootSector),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signature_is_told_at_its_offset_and_not_beside_it() {
        let known: [(usize, &[u8], Signature); 11] = [
            (0, b"LUKS\xba\xbe", Signature::Luks),
            (0, b"XFSB", Signature::Xfs),
            (0, b"hsqs", Signature::Squashfs),
            (0, &[0xfc, 0x4e, 0x2b, 0xa9], Signature::Raid),
            (512, b"EFI PART", Signature::Gpt),
            (0, b"LABELONE", Signature::Lvm),
            (512, b"LABELONE", Signature::Lvm),
            (512, b"!Stra0tis\x86\xff\x02^\x41rh", Signature::Stratis),
            (4086, b"SWAPSPACE2", Signature::Swap),
            (1080, &[0x53, 0xef], Signature::Ext),
            (510, &[0x55, 0xaa], Signature::BootSector),
        ];
        for (at, magic, signature) in known {
            let mut slot = [0u8; 4096];
            slot[at..at + magic.len()].copy_from_slice(magic);
            assert_eq!(detect(&slot), Some(signature));
            slot.rotate_left(1);
            assert_eq!(detect(&slot), None, "{signature} one byte early");
        }
    }

    #[test]
    fn short_reads_and_blanks_hold_none() {
        for length in [0, 1, 511, 512, 4096] {
            assert_eq!(detect(&[0u8; 4096][..length]), None);
        }
    }
}
