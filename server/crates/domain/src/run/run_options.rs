//! What a run was asked for beyond its strategy, and whether to write.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Decision, GuardRule, RunId, Strategy, failure::text_enum};

text_enum! {
    /// Which of Google's records of a location is read as the source.
    View {
        /// What the merchant's record says.
        Merchant = "merchant",
        /// What the public sees, with Google's own edits.
        Public = "public",
    }
}

/// What a run was asked for. Part of what makes two requests the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOptions {
    /// The dry run whose plan is to be applied, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_plan: Option<RunId>,
    /// The run whose changes are to be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert_of: Option<RunId>,
    /// Google's record that is the source, where it is not the merchant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
    /// The guards that are overridden.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub overridden_guards: BTreeSet<GuardRule>,
    /// Why they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
    /// The decision of a person that the run executes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

/// What keeps other real runs from writing, and a run that a person has decided about does not obey.
pub const COOLDOWN_CHECK: &str = "cooldown";
/// The same for a conflict about the tenant's value; it concerns writes to Google alone.
pub const CONFLICT_CHECK: &str = "conflict";

impl RunOptions {
    /// Whether nothing was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a person who has seen how the tenant stands has asked for this very run: a revert, or what executes a decision. No cooldown
    /// and no conflict keeps it from writing.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.revert_of.is_some() || self.decision.is_some()
    }

    /// Whether it rests on what a person has seen of one location, and nothing else holds it to that: a decision, or guards that are overridden.
    /// A plan and a revert know their location themselves.
    #[must_use]
    pub fn is_about_a_location(&self) -> bool {
        self.decision.is_some() || !self.overridden_guards.is_empty()
    }

    /// The checks that such a run does not obey, by name.
    #[must_use]
    pub fn overridden_checks(&self, strategy: Strategy) -> Vec<&'static str> {
        match (self.is_decided(), strategy) {
            (false, _) => Vec::new(),
            (true, Strategy::GbpToPlatform) => vec![COOLDOWN_CHECK],
            (true, Strategy::PlatformToGbp) => vec![COOLDOWN_CHECK, CONFLICT_CHECK],
        }
    }

    /// Google's record that is the source.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.unwrap_or(View::Merchant)
    }
}
