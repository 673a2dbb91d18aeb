//! The list of what this machine may assemble without a person.

use std::path::Path;

use serde_json::json;

use super::args::AllowArgs;
use super::session::Session;
use crate::error::{Error, Exit};
use crate::initramfs::Images;
use crate::inspect::{inspect, Inspection};
use crate::ops::Target;
use crate::policy::{self, Allowed, Edited, Policy};
use crate::port::Access;
use crate::report;
use crate::text::escape_str;

/// Shows the list, puts devices on it or takes them off.
pub(super) fn run(session: &mut Session, args: &AllowArgs) -> Result<Exit, Error> {
    if args.targets.is_empty() {
        let policy = session.policy()?;
        print(session, &policy, None)?;
        return Ok(Exit::Done);
    }
    let path = policy::path_in_force(
        session.global.policy.as_deref(),
        session.host.lab_directory(),
    );
    if session.global.read_only && !session.global.dry_run {
        return Err(Error::refused(
            "read-only",
            "--read-only was given: the list stays as it is",
        ));
    }
    if !session.global.dry_run {
        session.require_ready(false)?;
    }
    let mut changes = Vec::new();
    for word in &args.targets {
        let entry = match args.remove {
            true => None,
            false => Some(entry_for(session, word)?),
        };
        let edit = |path: &Path| match &entry {
            Some(entry) => policy::with_entry(path, entry),
            None => policy::without_entry(path, word),
        };
        let changed = match session.global.dry_run {
            true => edit(&path)? != Edited::Unchanged,
            false => policy::change(&path, edit)?,
        };
        session.changed |= changed && !session.global.dry_run;
        let what = match &entry {
            Some(entry) => entry.describe(),
            None => escape_str(word).into_owned(),
        };
        if args.remove && !changed {
            return Err(
                Error::failed("not-found", format!("{what} is not on the list"))
                    .advise("dmremap-tui allow shows the list."),
            );
        }
        changes.push((what, changed));
    }
    // After a dry run the file need not be there yet.
    let policy = match session.global.dry_run && !path.exists() {
        true => Policy::default(),
        false => Policy::load(Some(&path))?,
    };
    print(session, &policy, Some((&path, args.remove, &changes)))?;
    Ok(Exit::Done)
}

/// What was asked to change: the file, whether entries were taken off, and of each device
/// whether that changed anything.
type Asked<'a> = (&'a Path, bool, &'a [(String, bool)]);

fn print(session: &Session, policy: &Policy, asked: Option<Asked<'_>>) -> Result<(), Error> {
    let is_dry = session.global.dry_run;
    let initramfs = asked.and_then(|(path, ..)| initramfs_advice(path, is_dry));
    let json = || {
        let allowed = policy.assembly.allow.iter().map(|entry| {
            json!({
                "array_uuid": entry.uuid.map(|uuid| uuid.to_string()),
                "name": entry.name.as_deref().map(escape_str),
                "main_identity": entry.main.map(|main| main.to_string()),
            })
        });
        let changes = asked.into_iter().flat_map(|(_, _, changes)| changes);
        json!({
            "policy": policy.assembly.mode.name(),
            "allowed": allowed.collect::<Vec<_>>(),
            "changed": asked.is_some_and(|(_, _, changes)| changes.iter().any(|(_, did)| *did)),
            "dry_run": is_dry,
            "advice": initramfs,
            "targets": changes
                .map(|(what, changed)| json!({ "target": what, "changed": changed }))
                .collect::<Vec<_>>(),
        })
    };
    let text = || {
        let Some((path, is_removed, changes)) = asked else {
            return list(policy);
        };
        let path = report::path_text(path);
        let lines = changes
            .iter()
            .map(|(what, changed)| match (changed, is_removed, is_dry) {
                (false, ..) => format!("{what} is on the list in {path} already.\n"),
                (true, true, true) => format!("{what} would be taken off the list in {path}.\n"),
                (true, true, false) => {
                    format!("{what} is off the list in {path}: it waits for an operator.\n")
                }
                (true, false, true) => format!("{what} would be put on the list in {path}.\n"),
                (true, false, false) => format!(
                    "{what} is on the list in {path}: it is assembled when its disks are there.\n"
                ),
            });
        let mut text: String = lines.collect();
        text.extend(initramfs.iter().map(|advice| format!("{advice}\n")));
        text
    };
    session.print("allow", json, text)
}

/// Advice to make an initramfs anew that does not have the list as it is now.
fn initramfs_advice(path: &Path, is_dry: bool) -> Option<String> {
    if is_dry || path != Path::new(policy::PATH) {
        return None;
    }
    match Images::look(Path::new("/")) {
        Images::Stale { maker, .. } => Some(format!(
            "The initramfs has an older list, and LVM and md may take main there. Make it anew: {}",
            maker.command
        )),
        Images::None | Images::NoHook | Images::Fresh => None,
    }
}

fn list(policy: &Policy) -> String {
    let list = policy::list_text(policy);
    match (policy.assembly.mode, list.is_empty()) {
        (policy::Mode::Listed, true) => "Nothing is assembled without a person.\n".to_owned(),
        (policy::Mode::Listed, false) => list,
        (policy::Mode::None, _) => {
            format!("The policy is \"none\": nothing is assembled without a person.\n{list}")
        }
    }
}

/// The entry for the spare that an operator means.
fn entry_for(session: &mut Session, word: &str) -> Result<Allowed, Error> {
    let seen = spare(session, word)?;
    let shown = report::path_text(&seen.path);
    let Some(uuid) = seen.array_uuid() else {
        return Err(Error::refused(
            "no-array",
            format!("{shown} has nothing that it could be known by for certain"),
        )
        .advise("Of plain v4: migrate it first, which gives it a UUID and a name."));
    };
    let extension = seen.superblock.and_then(|superblock| superblock.extension);
    Ok(Allowed {
        uuid: Some(uuid),
        name: seen.name.clone(),
        main: extension
            .map(|extension| extension.main_identity)
            .filter(|main| !main.is_none()),
    })
}

/// The spare by its path, by the name of an active device, or by the name in its metadata.
fn spare(session: &mut Session, word: &str) -> Result<Inspection, Error> {
    let path = match session.target(word)? {
        Target::Path(path) => path,
        Target::Name(name) => spare_named(session, &name)?,
    };
    let store = session.host.open(&path, Access::Read)?;
    let seen = inspect(&*store, &path);
    if !seen.is_ours() {
        let shown = report::path_text(&path);
        return Err(
            Error::refused("none", format!("nothing on {shown} says that it is ours"))
                .exiting(Exit::NotToBeAssembled),
        );
    }
    Ok(seen)
}

fn spare_named(session: &mut Session, name: &str) -> Result<std::path::PathBuf, Error> {
    let mapped = session.host.mapped()?;
    if let Some(mapped) = mapped.into_iter().find(|mapped| mapped.name == name) {
        return Ok(mapped.spare);
    }
    let scan = crate::inspect::scan_all(&mut *session.host)?;
    let named = scan
        .spares()
        .filter(|seen| seen.name.as_deref() == Some(name));
    let paths: Vec<_> = named.map(|seen| seen.path.clone()).collect();
    let shown = escape_str(name);
    match <[_; 1]>::try_from(paths) {
        Ok([path]) => Ok(path),
        Err(paths) if paths.is_empty() => Err(Error::failed(
            "not-found",
            format!("No mapped device or spare is named {shown}."),
        )
        .advise("See what there is: dmremap-tui scan --scan-only")),
        Err(_) => Err(Error::refused(
            "ambiguous-name",
            format!("{shown} is the name on several spares."),
        )
        .advise("Name one of them by its path.")),
    }
}
