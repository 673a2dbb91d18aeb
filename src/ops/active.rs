//! Plans that ask the host or the target of an active device.

use super::plan::Draft;
use super::reassemble::not_found;
use super::step::Step;
use super::{Operation, Plan, Refusal};
use crate::port::{Host, Mapped};
use crate::remap_core::message::Message;

/// The active device of this name.
pub(super) fn active(host: &mut dyn Host, name: &str) -> Result<Mapped, Refusal> {
    let mapped = host.mapped()?;
    let device = mapped.into_iter().find(|device| device.name == name);
    device.ok_or_else(|| not_found(name))
}

/// Plans taking a device down.
pub(super) fn plan_remove(
    host: &mut dyn Host,
    operation: &Operation,
    name: &str,
) -> Result<Plan, Refusal> {
    let device = active(host, name)?;
    let mut draft = Draft::new(operation, format!("Take {name} down"));
    draft.name = Some(name.to_owned());
    draft.before = Some(device.status.verdict);
    draft.live = true;
    draft
        .notes
        .push("Its metadata stays: it can be brought up again.".to_owned());
    draft.steps.push(Step::Deactivate {
        name: name.to_owned(),
        spare: device.spare,
    });
    Ok(draft.finish(host))
}

/// Plans a message to a target.
pub(super) fn plan_message(
    host: &mut dyn Host,
    operation: &Operation,
    name: &str,
    message: Message,
) -> Result<Plan, Refusal> {
    let device = active(host, name)?;
    let title = match message {
        Message::WriteMetadata => format!("Have {name} write its metadata anew"),
        Message::Scrub => format!("Have {name} scrub its metadata now"),
        Message::Repair => format!("Have {name} repair its metadata now"),
        other => format!("Tell {name}: {other}"),
    };
    let mut draft = Draft::new(operation, title);
    draft.name = Some(name.to_owned());
    draft.before = Some(device.status.verdict);
    draft.live = true;
    draft.steps.push(Step::Message {
        name: name.to_owned(),
        spare: device.spare,
        message,
    });
    Ok(draft.finish(host))
}
