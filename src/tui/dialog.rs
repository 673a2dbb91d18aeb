//! A plan from its making to its outcome.

use super::keymap::Context;
use super::wizard::Form;
use crate::error::Error;
use crate::ops::{Confirmed, Operation, Outcome, Plan, Refusal, Share, Target};
use crate::remap_core::message::Message;

/// The window of one plan.
#[derive(Debug)]
pub struct Dialog {
    /// What is being done, in a few words.
    pub title: String,
    /// The question to the worker whose answer is waited for.
    pub ticket: u64,
    /// How far it came.
    pub stage: Stage,
    /// How far something that takes its time came.
    pub share: Option<Share>,
    /// The options that it was planned from, if it was asked for there.
    pub form: Option<Box<Form>>,
}

/// How far a plan came.
#[derive(Debug)]
pub enum Stage {
    /// It is being made.
    Planning,
    /// It waits for a word.
    Prompting(Box<Prompt>),
    /// It is being carried out.
    Running,
    /// It was carried out.
    Done(Outcome),
    /// There is no plan, or it was out of date: nothing was changed.
    Refused(Refusal),
    /// Carrying it out failed.
    Failed(Error),
}

/// A plan that waits for a word.
#[derive(Debug)]
pub struct Prompt {
    /// What would be done.
    pub plan: Plan,
    /// What was typed so far.
    pub typed: String,
    /// Why the last word did not do.
    pub complaint: Option<String>,
    /// Lines of the plan scrolled away.
    pub scroll: usize,
}

impl Prompt {
    /// A plan to which nobody said anything yet.
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            typed: String::new(),
            complaint: None,
            scroll: 0,
        }
    }

    /// What must be typed: what the plan asks for, and here also the name of a device that
    /// is taken down or has its copies rewritten by its target. In a shell that name is typed
    /// with the command; a key is only one key.
    pub fn token(&self) -> Option<&str> {
        let own = match &self.plan.operation {
            Operation::Remove { name }
            | Operation::WriteMetadata { name }
            | Operation::Message {
                name,
                message: Message::Repair,
            }
            | Operation::Repair {
                target: Target::Name(name),
                ..
            } => Some(name.as_str()),
            _ => None,
        };
        let own = own.filter(|_| self.plan.is_needed());
        self.plan.token.as_deref().or(own)
    }

    /// Takes what was typed for the operator's word.
    ///
    /// # Errors
    ///
    /// What is wrong with it, fit to be shown.
    pub fn confirm(&self) -> Result<Confirmed, String> {
        let plan = self.plan.clone();
        let confirmed = match (&plan.token, self.token()) {
            (None, Some(token)) if token != self.typed => {
                return Err(format!(
                    "{} is not {}; nothing was changed.",
                    crate::text::escape_str(&self.typed),
                    crate::text::guard(token)
                ))
            }
            (None, _) => plan.confirm(None),
            (Some(_), _) => plan.confirm(Some(&self.typed)),
        };
        confirmed.map_err(|refusal| refusal.message().to_owned())
    }
}

impl Dialog {
    /// The window of a plan that is being made.
    pub fn planning(title: impl Into<String>, ticket: u64) -> Self {
        Self {
            title: title.into(),
            ticket,
            stage: Stage::Planning,
            share: None,
            form: None,
        }
    }

    /// Whether there are options to go back to, and nothing is done yet.
    pub fn has_step_before(&self) -> bool {
        self.form.is_some()
            && matches!(
                self.stage,
                Stage::Planning | Stage::Prompting(_) | Stage::Refused(_)
            )
    }

    /// What the keyboard is for.
    pub fn context(&self) -> Context {
        match &self.stage {
            Stage::Prompting(prompt) if prompt.token().is_some() => Context::ConfirmTyped,
            Stage::Prompting(prompt) if prompt.plan.is_needed() => Context::ConfirmPlain,
            _ => Context::Notice,
        }
    }
}
