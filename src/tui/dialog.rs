//! A plan from its making to its outcome.

use super::keymap::Context;
use crate::error::Error;
use crate::ops::{Confirmed, Outcome, Plan, Refusal, Share};

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

    /// Takes what was typed for the operator's word.
    ///
    /// # Errors
    ///
    /// Whatever the plan has against it.
    pub fn confirm(&self) -> Result<Confirmed, Refusal> {
        let typed = self.plan.token.is_some().then_some(self.typed.as_str());
        self.plan.clone().confirm(typed)
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
        }
    }

    /// What the keyboard is for.
    pub fn context(&self) -> Context {
        match &self.stage {
            Stage::Prompting(prompt) if prompt.plan.token.is_some() => Context::ConfirmTyped,
            Stage::Prompting(prompt) if prompt.plan.is_needed() => Context::ConfirmPlain,
            _ => Context::Notice,
        }
    }
}
