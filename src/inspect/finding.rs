//! Findings: facts that an operator should know of a device, with advice.

use crate::remap_core::event::Severity;

/// One thing worth saying. Its texts are fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A stable name, in kebab case.
    pub id: &'static str,
    /// How much it asks of the operator.
    pub severity: Severity,
    /// The fact.
    pub summary: String,
    /// Advice; where nothing is to be done, the reason.
    pub advice: String,
}

impl Finding {
    /// A finding that asks for nothing.
    pub fn info(id: &'static str, summary: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            id,
            severity: Severity::Info,
            summary: summary.into(),
            advice: advice.into(),
        }
    }

    /// A finding that asks for a look.
    pub fn warning(
        id: &'static str,
        summary: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::info(id, summary, advice)
        }
    }

    /// A finding that asks for something to be done.
    pub fn error(id: &'static str, summary: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            ..Self::info(id, summary, advice)
        }
    }
}

/// Puts first what the operator should do first; equals stay as they were found.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| {
        let urgency = std::cmp::Reverse(finding.severity);
        (urgency, super::guide::rank(finding.id))
    });
}
