//! What a run was asked for beyond its strategy, and whether to write.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{GuardRule, RunId, failure::text_enum};

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
pub struct Orders {
    /// The dry run whose plan is to be applied, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<RunId>,
    /// The run whose changes are to be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverts: Option<RunId>,
    /// Google's record that is the source, where it is not the merchant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
    /// The guards that are lifted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub override_guards: BTreeSet<GuardRule>,
    /// Why they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Orders {
    /// Whether nothing was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Google's record that is the source.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.unwrap_or(View::Merchant)
    }
}
