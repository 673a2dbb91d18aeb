//! Notes of a plan for a new device about the start of the machine: what lies on main and is
//! reached through the device from now on, and who still names main past it.

use std::path::Path;

use super::look::{is_same_device, shown, Seen};
use super::Context;
use crate::command_line;
use crate::inspect::{mentions, Contents, DiskName, Leads, Mention};
use crate::port::{Host, Platform};

/// Mentions of main or of what lies on it, in the tables that a machine starts by, with where
/// each leads.
pub fn mentions_of_main(
    platform: &dyn Platform,
    main: &Path,
    contents: &Contents,
) -> Vec<(Mention, Leads)> {
    let tables = platform.start_tables();
    let named = tables.iter().flat_map(|(file, text)| mentions(file, text));
    let node = std::fs::canonicalize(main);
    let node = node.as_deref().unwrap_or(main);
    let told = named.filter_map(|mention| {
        let is_main = |path: &Path| is_same_device(path, main);
        let leads = |name: &DiskName| contents.leads(name, node, is_main);
        // A link may lead to a partition that its own name says nothing of.
        let behind_link = || match &mention.name {
            DiskName::Path(path) => leads(&DiskName::Path(std::fs::canonicalize(path).ok()?)),
            _ => None,
        };
        let leads = leads(&mention.name).or_else(behind_link)?;
        Some((mention, leads))
    });
    told.collect()
}

/// Advice on LVM, which reads main's label itself.
pub const LVM_ADVICE: &str = "LVM sees its label on main and on the mapped device, and refuses to change the volume \
     group: let it see the mapped device alone, with --devices, lvmdevices --adddev or a global_filter";

/// Notes on what lies on main of a new device `name`.
pub(super) fn notes(host: &dyn Host, context: &Context, main: &Seen, name: &str) -> Vec<String> {
    let path = &main.inspection.path;
    let contents = Contents::of(&*main.store, &*context.platform);
    let Some(what) = contents.describe() else {
        return Vec::new();
    };
    let mut notes = vec![format!(
        "{} holds {what}: it stays there, and is used through {name} from now on.",
        shown(path)
    )];
    // A lab's images are named by no table, and nobody takes them.
    if host.lab_directory().is_some() || main.store.number().is_none() {
        return notes;
    }
    if contents.is_partitioned() {
        notes.push(format!(
            "Its partitions become /dev/mapper/{name}-part1 and so on; the kernel forgets those of {}.",
            shown(path)
        ));
    }
    let is_hidden = !main.inspection.identity_as_main().is_none();
    notes.push(match is_hidden {
        true => format!(
            "Once it is listed ({}), links to main by UUID and label, its partitions and its unit are hidden: \
             md, LVM, btrfs, LUKS and mounts get the mapped device.",
            command_line::line(["allow", name])
        ),
        false => format!(
            "{} has no serial number and no UUID by which it would be known: it is never hidden, and md, LVM, \
             btrfs, LUKS and mounts may take it past {name}.",
            shown(path)
        ),
    });
    for (mention, leads) in mentions_of_main(&*context.platform, path, &contents) {
        notes.push(match (leads, is_hidden) {
            (Leads::Past(part), _) => format!(
                "{mention} leads past {name}, to old data: name /dev/mapper/{name}{} there, or a UUID.",
                part.map(|part| format!("-part{part}")).unwrap_or_default()
            ),
            (Leads::ByContent, true) => format!(
                "{mention} leads to {name} once that is listed; until then to main, where {name} is not active."
            ),
            (Leads::ByContent, false) => {
                format!("{mention} leads to {name} while that is active, else to main.")
            }
        });
    }
    if contents.holds("LVM2_member") {
        notes.push(format!("{LVM_ADVICE}."));
    }
    notes
}
