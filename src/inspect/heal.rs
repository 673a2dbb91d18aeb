//! Forecast of a repair: the content of each copy that it would write.

use super::Inspection;
use crate::format::field_map;
use crate::remap_core::commit::{authority_needed, prepare, Authority, Intent, Refusal};
use crate::remap_core::quorum::Reading;
use crate::remap_core::superblock::RawCopy;
use crate::remap_core::units::Slot;

/// One copy as a repair would write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The copy.
    pub slot: Slot,
    /// Its new content.
    pub becomes: Box<RawCopy>,
    /// The bytes of it that would change; every byte, where it cannot be read now.
    pub changed: usize,
    /// The fields, in the order of the disk, in which bytes would change.
    pub fields: Vec<String>,
}

/// A repair that was thought through and not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healing {
    /// The copy whose content is written to the others.
    pub from: Slot,
    /// On whose word it may be done.
    pub authority: Authority,
    /// The copies that would be written, in the order of the disk.
    pub rewrites: Vec<Rewrite>,
}

/// Forecast of a repair, by the rules that the repair itself goes by. Nothing is read
/// or written for that.
///
/// # Errors
///
/// [`Refusal`] says what stands against any repair.
pub fn healing(seen: &Inspection) -> Result<Healing, Refusal> {
    let verdict = seen.judgement.verdict;
    let prepared = prepare(
        &seen.judgement,
        &seen.survey,
        Intent::Heal,
        Authority::Typed,
    )?;
    let authority = authority_needed(&Intent::Heal, verdict).unwrap_or(Authority::Typed);
    let from = seen.judgement.winner.ok_or(Refusal::Mismatch)?;
    let rewrites = prepared
        .slots()
        .filter_map(|slot| Some(rewrite(seen, slot, prepared.final_copy(slot)?)))
        .collect();
    Ok(Healing {
        from,
        authority,
        rewrites,
    })
}

fn rewrite(seen: &Inspection, slot: Slot, becomes: RawCopy) -> Rewrite {
    let is = match seen.survey.slots.get(slot) {
        Reading::Read { raw, .. } => Some(raw),
        Reading::Unreadable(_) => None,
    };
    let changes = |at: usize| is.is_none_or(|raw| raw.get(at) != becomes.get(at));
    let fields = field_map::of_copy(&becomes)
        .into_iter()
        .filter(|field| field.range().any(changes))
        .map(|field| field.name.into_owned())
        .collect();
    Rewrite {
        slot,
        changed: (0..becomes.len()).filter(|at| changes(*at)).count(),
        becomes: Box::new(becomes),
        fields,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::inspect;
    use crate::port::BlockStore as _;
    use crate::remap_core::quorum::Verdict;
    use crate::remap_core::units::SECTOR_BYTES;
    use crate::tui::sample::{damage, path, spare, superblock};

    #[test]
    fn what_is_shown_beforehand_is_what_makes_the_device_whole() {
        let mut disk = spare(superblock(7, "disk-a", "disk-b"), "vault");
        damage(&mut disk, Slot::S3, 114, &[0x9e, 0x41, 0, 7]);
        damage(&mut disk, Slot::S1, 0, &[0; SECTOR_BYTES]);
        let seen = inspect(&disk, &path("disk-b"));
        let healing = healing(&seen).unwrap();
        assert_eq!(
            (healing.from, healing.authority),
            (Slot::S0, Authority::Automatic)
        );
        let slots: Vec<Slot> = healing.rewrites.iter().map(|write| write.slot).collect();
        assert_eq!(slots, [Slot::S1, Slot::S3]);
        let third = &healing.rewrites[1];
        assert_eq!(third.fields, ["main_sectors"]);
        assert_eq!(third.changed, 4);
        for write in &healing.rewrites {
            disk.write_at(write.slot.sector(), &write.becomes[..])
                .unwrap();
        }
        let after = inspect(&disk, &path("disk-b"));
        assert_eq!(after.verdict(), Verdict::Healthy);
    }

    #[test]
    fn a_whole_device_would_not_be_written_and_a_blank_one_must_not_be() {
        let disk = spare(superblock(7, "disk-a", "disk-b"), "vault");
        let whole = healing(&inspect(&disk, &path("disk-b"))).unwrap();
        assert!(whole.rewrites.is_empty());
        let blank = crate::lab::ram::RamDisk::new(disk.size());
        assert!(healing(&inspect(&blank, &path("disk-b"))).is_err());
    }
}
