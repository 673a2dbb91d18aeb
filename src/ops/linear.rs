//! The table of a device as lines of `linear` and `error`, for a machine without the target.

use std::path::{Path, PathBuf};

use super::look::{require_apart, require_free, see, shown};
use super::reassemble::{
    doubts_of, find_spare, main_of, require_assemblable, require_fitting_main, require_single,
    Found,
};
use super::{Refusal, Surroundings, Target};
use crate::inspect::{inspect_table, Extent};
use crate::linear_table::{runs, Place, Run};
use crate::port::{Access, BlockStore, Host};
use crate::remap_core::units::{Sector, Sectors};
use crate::remap_core::verdict::TableState;
use crate::text::escape_path;

/// A device as a table that needs no target of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearTable {
    /// The name in the metadata.
    pub name: Option<String>,
    /// Main.
    pub main: PathBuf,
    /// The spare.
    pub spare: PathBuf,
    /// Its lines.
    pub lines: Vec<LinearLine>,
    /// What cannot be told of the disks, and stands against the table if it is so.
    pub doubts: Vec<String>,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearLine {
    /// The part of the device, and where it lies.
    pub run: Run,
    /// What device-mapper is to open, `major:minor` where the device has such a number; nothing for
    /// what is lost.
    pub device: Option<String>,
}

impl LinearLine {
    /// The sector of the device at which it lies.
    pub fn offset(&self) -> Option<Sector> {
        match self.run.place {
            Place::Main(at) | Place::Spare(at) => Some(at),
            Place::Lost => None,
        }
    }

    /// The kind of target.
    pub fn target(&self) -> &'static str {
        match self.run.place {
            Place::Main(_) | Place::Spare(_) => "linear",
            Place::Lost => "error",
        }
    }
}

/// Reads the table of a device that is not up.
///
/// # Errors
///
/// What keeps it from being reassembled keeps it from being read so; and a device that is up, whose
/// table its target changes.
pub fn linear_table(
    host: &mut dyn Host,
    target: &Target,
    main: Option<&Path>,
) -> Result<LinearTable, Refusal> {
    let mut surroundings = Surroundings::default();
    let path = match find_spare(host, &mut surroundings, target)? {
        Found::Inactive(path) => path,
        Found::Active(name) => {
            return Err(Refusal::new(
                "active",
                format!("{name} is up: its target moves blocks, and its table changes with them."),
                "Take it down first, or look at its remaps with status.",
            ))
        }
    };
    let spare = see(host, &path)?;
    let mut seen = spare.inspection;
    require_assemblable(&seen)?;
    require_free(&path, &spare.usage)?;
    let scan = surroundings.look(host)?;
    require_single(scan, &seen)?;
    let main = main_of(host, scan, &seen, main)?;
    seen.judge_with_main(Some(main.seen.clone()));
    require_fitting_main(&seen)?;
    let devices = scan.devices.iter().map(|device| &device.info);
    require_apart(devices, (&main.path, main.instance), &seen)?;
    let doubts = doubts_of(scan, &seen, &main);
    let store = spare.store;
    let refuse = |state: &str| {
        Refusal::not_to_be_assembled(
            "table-lost",
            format!("The remap table of {} is {state}.", shown(&path)),
            "See which blocks: inspect --verbose",
        )
    };
    let runs = match seen.superblock {
        None => whole(main.size),
        Some(superblock) => match inspect_table(&*store, &superblock, Extent::InUse) {
            None => whole(superblock.data_area().sectors),
            Some(table) => match (table.state(), superblock.layout()) {
                (TableState::Intact | TableState::Damaged, Some(layout)) => {
                    runs(superblock.data_area(), layout, &table.remaps)
                }
                (TableState::Lost, _) => return Err(refuse("lost in places")),
                _ => return Err(refuse("contradicted")),
            },
        },
    };
    let name_of = |store: &dyn BlockStore, path: &Path| match store.number() {
        Some(number) => number.to_string(),
        None => escape_path(path).into_owned(),
    };
    let main_store = host.open(&main.path, Access::Read)?;
    let (on_main, on_spare) = (name_of(&*main_store, &main.path), name_of(&*store, &path));
    let lines = runs.into_iter().map(|run| LinearLine {
        run,
        device: match run.place {
            Place::Main(_) => Some(on_main.clone()),
            Place::Spare(_) => Some(on_spare.clone()),
            Place::Lost => None,
        },
    });
    Ok(LinearTable {
        name: seen.name.clone(),
        main: main.path,
        spare: path,
        lines: lines.collect(),
        doubts,
    })
}

/// A device without remaps, as plain v4 is.
fn whole(length: Sectors) -> Vec<Run> {
    let place = Place::Main(Sector::new(0));
    let start = Sector::new(0);
    vec![Run {
        start,
        length,
        place,
    }]
}
