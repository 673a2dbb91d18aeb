//! The meaning of each finding, how sure it is, and where to read on: one entry for each id, in
//! the order in which an operator should act.

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// A checksum, a signature or a count says so.
    Certain,
    /// Everything that was seen says so, and something else could look the same.
    Likely,
}

impl Certainty {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
        }
    }
}

/// Background of a kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guide {
    /// The finding's id.
    pub id: &'static str,
    /// Meaning for whoever has data on the device.
    pub meaning: &'static str,
    /// How sure it is.
    pub certainty: Certainty,
    /// The section of `docs/operations.md` that tells what to do, as a link has it.
    pub section: &'static str,
}

macro_rules! guide {
    ($id:literal, $certainty:ident, $section:literal, $meaning:literal) => {
        Guide {
            id: $id,
            meaning: $meaning,
            certainty: Certainty::$certainty,
            section: $section,
        }
    };
}

/// Every kind of finding, first what is to be looked at first. One line is one kind.
#[rustfmt::skip]
pub const GUIDES: [Guide; 45] = [
    guide!("main-held", Certain, "main-taken-past-its-device", "Somebody reads and writes main itself: what was moved to the spare is missing there, and old data stands in its place."),
    guide!("main-suspect", Likely, "main-or-the-spare-fails", "So much fails that it is no matter of single blocks: a cable, a controller, or the whole disk."),
    guide!("spare-failing", Likely, "main-or-the-spare-fails", "Blocks that fail on main from now on are errors: there is nowhere to move them to."),
    guide!("spare-full", Certain, "the-spare-fills-up", "What was moved stays readable; the next block that fails is an error."),
    guide!("needs-check", Certain, "the-remap-table", "Two readings of one table block are intact and differ, so that nothing may be written."),
    guide!("foreign-overwritten", Certain, "somebody-elses-data", "The device is in use by something else, or was; writing to it may destroy that."),
    guide!("ambivalent", Certain, "somebody-elses-data", "The device is in use by something else beside us, or was; writing to it may destroy that."),
    guide!("table-lost", Certain, "the-remap-table", "Which blocks lie on the spare can no longer be told, so that main alone would be stale."),
    guide!("table-contradicts", Certain, "the-remap-table", "Two readings are intact and differ, so that nothing may be written."),
    guide!("block-size", Certain, "the-size-of-the-disks", "The disk cannot write as little as one remap unit."),
    guide!("main-label", Certain, "labels-of-main", "By its labels main is known, and kept from whoever would take it past the device."),
    guide!("main-size", Certain, "the-size-of-the-disks", "Main is not the disk, or not all of it, that the metadata describes."),
    guide!("split", Certain, "copies-that-contradict-each-other", "Two histories of one device: it was probably written by two machines."),
    guide!("lost", Certain, "nothing-left-to-believe", "Without its metadata nobody can say which blocks lie on the spare."),
    guide!("outlier", Likely, "copies-that-contradict-each-other", "A few copies are newer than they can be, if the others are right."),
    guide!("unsupported-layout", Certain, "other-versions", "What lies here was written by another kind of module, and may hold data."),
    guide!("copy-unsupported", Certain, "other-versions", "What lies here was written by a newer version."),
    guide!("spare-shrunk", Certain, "the-size-of-the-disks", "Part of what the metadata describes is not on this device."),
    guide!("repair-gave-up", Certain, "repairs", "The copies stay damaged until somebody acts; the data is reachable meanwhile."),
    guide!("weak", Likely, "damaged-copies", "One more bad copy, and the device cannot be assembled any more."),
    guide!("copy-unreadable", Certain, "main-or-the-spare-fails", "The spare has a bad sector where a copy belongs."),
    guide!("no-metadata", Certain, "repairs", "The device works and protects nothing."),
    guide!("spare-use", Certain, "the-spare-fills-up", "Main goes on failing; the room for that comes to an end."),
    guide!("reads-lost", Certain, "blocks-that-cannot-be-read", "What these blocks held is lost, unless main gives it back or a backup has it."),
    guide!("interrupted-write", Certain, "damaged-copies", "A write of the copies was cut off, by a crash or a power failure; nothing is lost."),
    guide!("repair-waiting", Certain, "repairs", "The target knows of the damage, and rewrites it in a moment."),
    guide!("copy-corrupt", Certain, "damaged-copies", "The checksum of these copies does not fit what they say."),
    guide!("copy-missing", Certain, "damaged-copies", "These copies were blanked, or never written."),
    guide!("copy-foreign", Certain, "somebody-elses-data", "Something else was written where these copies belong."),
    guide!("copy-stale", Certain, "damaged-copies", "These copies missed a write; what they say was true once."),
    guide!("shifted-fields", Likely, "damaged-copies", "A path that was too long pushed every field behind it out of its place."),
    guide!("header-damaged", Certain, "the-remap-table", "The other region still has what this one should hold."),
    guide!("table-damaged", Certain, "the-remap-table", "The other region has what this one should hold; one more loss in the same place is final."),
    guide!("unknown-features", Certain, "other-versions", "A newer version wrote it, and says that older ones may only read."),
    guide!("spare-grown", Certain, "the-size-of-the-disks", "The device is larger than when it was joined, and may be another."),
    guide!("name-unusable", Certain, "names-and-paths", "The mapped device cannot come back under this name."),
    guide!("name-missing", Certain, "names-and-paths", "The mapped device cannot come back under its own name."),
    guide!("path-not-absolute", Certain, "names-and-paths", "A hint for people is of no use to them."),
    guide!("plain-format", Certain, "other-versions", "Damage of such copies shows only where they disagree."),
    guide!("idle-main", Certain, "names-and-paths", "The spare names this disk by what is stable about it."),
    guide!("main-of", Certain, "labels-of-main", "The disk belongs to a device, and lacks what was moved to its spare."),
    guide!("not-ours", Likely, "somebody-elses-data", "This device plays no part here, or everything that said so is gone."),
    guide!("journal-unread", Certain, "how-a-change-is-made", "Something was done that is not shown here."),
    guide!("kernel-log-unread", Certain, "what-targets-did", "The target tells the kernel's log what it does, and nobody else remembers it."),
    guide!("kernel-log-overwritten", Certain, "what-targets-did", "The log has room for so much and forgets what is older; it begins anew with each start."),
];

/// Background of findings with this id.
pub fn guide(id: &str) -> Option<&'static Guide> {
    GUIDES.iter().find(|guide| guide.id == id)
}

/// How soon an operator should act on findings with this id: 0 is first.
pub fn rank(id: &str) -> usize {
    let place = GUIDES.iter().position(|guide| guide.id == id);
    place.unwrap_or(GUIDES.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const OPERATIONS: &str = include_str!("../../docs/operations.md");

    /// The links that lead to a page's headings.
    fn anchors(page: &str) -> BTreeSet<String> {
        let headings = page.lines().filter_map(|line| {
            let text = line.trim_start_matches('#');
            (line.len() > text.len()).then_some(text.trim())
        });
        let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-');
        headings
            .map(|heading| {
                let plain: String = heading.to_lowercase().chars().filter(kept).collect();
                plain.replace(' ', "-")
            })
            .collect()
    }

    /// The ids that lints give, as they stand in their source.
    fn given(source: &str) -> BTreeSet<String> {
        let starts = ["Finding::info(", "Finding::warning(", "Finding::error("];
        let mut ids = BTreeSet::new();
        for start in starts {
            for (at, _) in source.match_indices(start) {
                let rest = source[at + start.len()..].trim_start();
                let id = rest
                    .strip_prefix('"')
                    .and_then(|rest| rest.split('"').next());
                ids.extend(id.map(str::to_owned));
            }
        }
        ids
    }

    fn all_given() -> BTreeSet<String> {
        let mut ids = given(include_str!("lints.rs"));
        ids.extend(given(include_str!("held_lints.rs")));
        ids.extend(given(include_str!("status_lints.rs")));
        ids.extend(given(include_str!("log_lints.rs")));
        assert!(ids.len() > 25, "{ids:?}");
        ids
    }

    #[test]
    fn every_finding_has_a_guide_and_every_guide_a_finding() {
        let guided: BTreeSet<String> = GUIDES.iter().map(|guide| guide.id.to_owned()).collect();
        assert_eq!(guided.len(), GUIDES.len(), "an id twice");
        assert_eq!(guided, all_given());
    }

    #[test]
    fn every_link_leads_to_a_section_that_names_the_finding() {
        let anchors = anchors(OPERATIONS);
        for guide in &GUIDES {
            assert!(
                anchors.contains(guide.section),
                "{}: {}",
                guide.id,
                guide.section
            );
            let id = format!("`{}`", guide.id);
            assert!(OPERATIONS.contains(&id), "the page does not name {id}");
            assert!(guide.meaning.ends_with('.'), "{}", guide.id);
        }
        assert!(!anchors.contains("no-such-section"));
    }
}
