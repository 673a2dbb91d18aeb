//! Operations: what is asked for, the plan it comes to, and carrying that out.
//!
//! [`plan()`] decides, from what it reads, and opens nothing for writing. A [`Plan`] is
//! shown, then confirmed; only a [`Confirmed`] plan can be carried out, after a fresh
//! look at what it was made from.

mod active;
mod adopt;
mod after;
mod beside;
mod bytes;
mod command;
mod compose;
mod corrupt;
mod cover;
mod create;
pub mod eligibility;
mod execute;
mod labels;
mod linear;
mod look;
mod mend;
mod migrate;
mod operation;
mod overlay;
mod plain_main;
mod plan;
mod progress;
mod reassemble;
mod refusal;
mod region;
mod repair;
mod rollback;
mod start;
mod step;
mod undo;
pub mod verbs;
pub mod words;
mod writing;

use std::sync::Arc;

pub use corrupt::corrupted;
pub use execute::{execute, require_journal};
pub use linear::{linear_table, LinearLine, LinearTable};
pub use look::is_same_device;
pub use operation::{CorruptionKind, Operation, Target, UnknownKind};
pub use plan::{Confirmed, Joined, Outcome, Plan, PlannedWrite};
pub use progress::{Progress, Share, Work};
pub use reassemble::Surroundings;
pub use refusal::Refusal;
pub use rollback::INTERRUPTED;
pub use start::{mentions_of_main, LVM_ADVICE};

use crate::port::journal::Journal;
use crate::port::{Host, Platform};
use crate::remap_core::label::MainForm;
use crate::remap_core::message::Message;

/// What planning and carrying out need besides a host.
pub struct Context {
    /// Where actions are logged.
    pub journal: Box<dyn Journal>,
    /// Time, to stamp what is written, and chance, to name arrays.
    pub platform: Arc<dyn Platform>,
    /// Whether every change is refused.
    pub read_only: bool,
    /// To whom it is told how far something long came.
    pub progress: Progress,
}

impl Context {
    /// The same for another thread, with nobody told how far anything came.
    pub fn beside(&self) -> Self {
        Self {
            journal: self.journal.beside(),
            platform: self.platform.clone(),
            read_only: self.read_only,
            progress: Progress::silent(),
        }
    }
}

/// Decides what an operation comes to, from what there is now. Opens nothing for
/// writing.
///
/// # Errors
///
/// [`Refusal`] says why it cannot be done, and what to do about it.
pub fn plan(
    host: &mut dyn Host,
    context: &mut Context,
    operation: &Operation,
) -> Result<Plan, Refusal> {
    plan_in(&mut Surroundings::default(), host, context, operation)
}

/// As [`plan()`], for one of several operations in a row: `surroundings` serve all of them,
/// so that not every one looks at every device again.
///
/// # Errors
///
/// As [`plan()`].
pub fn plan_in(
    surroundings: &mut Surroundings,
    host: &mut dyn Host,
    context: &mut Context,
    operation: &Operation,
) -> Result<Plan, Refusal> {
    let mut plan = plan_operation(surroundings, host, context, operation)?;
    // Whoever named a disk by the host's short name for it confirms with that name too.
    let device = plan.device.as_deref();
    let of_path = device.map(crate::inspect::last_component);
    let is_by_path = plan
        .token
        .iter()
        .chain(&plan.token_aliases)
        .any(|token| Some(token) == of_path.as_ref());
    if is_by_path {
        let mut devices = host.devices()?.into_iter();
        let listed = devices.find(|info| Some(info.path.as_path()) == device);
        plan.token_aliases.extend(listed.map(|info| info.name));
    }
    Ok(plan)
}

fn plan_operation(
    surroundings: &mut Surroundings,
    host: &mut dyn Host,
    context: &mut Context,
    operation: &Operation,
) -> Result<Plan, Refusal> {
    match operation {
        Operation::Create {
            name,
            main,
            spare,
            options,
            replace,
            ..
        }
        | Operation::WriteInactive {
            name,
            main,
            spare,
            options,
            replace,
            ..
        } => {
            let parts = create::Parts {
                name,
                main,
                spare,
                options,
                replace: *replace,
                form: match operation {
                    Operation::Create { form, .. } => *form,
                    _ => Some(MainForm::Bare),
                },
            };
            match operation {
                Operation::WriteInactive { adopt, .. } => {
                    create::plan_write(host, surroundings, context, operation, parts, *adopt)
                }
                _ => create::plan_create(host, context, operation, parts),
            }
        }
        Operation::WriteMetadata { name } => {
            active::plan_message(host, operation, name, Message::WriteMetadata)
        }
        Operation::Corrupt {
            path,
            slots,
            kind,
            seed,
        } => corrupt::plan(host, operation, path, slots, *kind, *seed),
        Operation::Repair {
            target,
            from,
            rebuild,
            array,
        } => {
            let choices = repair::Choices {
                from: *from,
                rebuild: *rebuild,
                array: *array,
            };
            repair::plan(host, operation, target, choices)
        }
        Operation::Migrate {
            path,
            name,
            block_size,
            main,
        } => {
            let words = migrate::Words {
                name: name.as_deref(),
                block_size: *block_size,
                main: main.as_deref(),
            };
            migrate::plan(host, context, operation, path, words)
        }
        Operation::Reassemble {
            target,
            main,
            name,
            read_only,
        } => {
            let words = reassemble::Words {
                main: main.as_deref(),
                name: name.as_deref(),
                read_only: *read_only,
            };
            reassemble::plan(host, surroundings, operation, target, words)
        }
        Operation::Remove { name } => active::plan_remove(host, operation, name),
        Operation::Cover { name } => cover::plan_cover(host, operation, name),
        Operation::Uncover { name } => cover::plan_uncover(host, operation, name),
        Operation::Message { name, message } => {
            active::plan_message(host, operation, name, *message)
        }
        Operation::Undo { id } => undo::plan(host, context, operation, *id),
    }
}
