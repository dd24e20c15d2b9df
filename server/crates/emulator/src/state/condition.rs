//! What Google says of a location as a whole, beside its categories: whether it publishes edits of it, and whether it is open.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::state::ids::LocationId;

/// The condition of a location. By default it is healthy: verified, unique and open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    /// Whether the merchant has a voice: without it, edits do not become live.
    has_voice: bool,
    /// The location of which Google takes it for a copy.
    duplicate_of: Option<LocationId>,
    status: OpenStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum OpenStatus {
    Open,
    ClosedPermanently,
    ClosedTemporarily,
}

/// A change of the condition, in Google's form. What is left out stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct ConditionChange {
    metadata: MetadataChange,
    open_info: OpenInfoChange,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct MetadataChange {
    has_voice_of_merchant: Option<bool>,
    #[serde(deserialize_with = "present")]
    duplicate_location: Option<Option<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct OpenInfoChange {
    status: Option<OpenStatus>,
}

/// Tells `null`, which takes the value away, from a field that is left out.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Default for Condition {
    fn default() -> Self {
        Self { has_voice: true, duplicate_of: None, status: OpenStatus::Open }
    }
}

impl Condition {
    /// The condition after a change, or what is wrong with that.
    pub(crate) fn changed(&self, metadata: MetadataChange, open_info: OpenInfoChange) -> Result<Self, String> {
        let duplicate_of = match metadata.duplicate_location {
            None => self.duplicate_of.clone(),
            Some(None) => None,
            Some(Some(name)) => {
                let id = name.strip_prefix("locations/").and_then(|id| LocationId::parse(id).ok());
                let problem =
                    || format!("metadata.duplicateLocation: {name:?} must be `locations/{{location}}`, or null");
                Some(id.ok_or_else(problem)?)
            }
        };
        Ok(Self {
            has_voice: metadata.has_voice_of_merchant.unwrap_or(self.has_voice),
            duplicate_of,
            status: open_info.status.unwrap_or(self.status),
        })
    }

    /// Whether the public sees edits of the merchant's.
    pub(crate) fn publishes(&self) -> bool {
        self.has_voice && self.duplicate_of.is_none()
    }

    /// The part of `metadata` that is about it. Proto3 JSON: what is false or empty is not there.
    pub(crate) fn metadata(&self) -> Value {
        let mut metadata = json!({ "canDelete": true });
        if self.has_voice {
            metadata["hasVoiceOfMerchant"] = json!(true);
        }
        if let Some(other) = &self.duplicate_of {
            metadata["duplicateLocation"] = json!(other.resource_name());
        }
        metadata
    }

    /// `openInfo`.
    pub(crate) fn open_info(&self) -> Value {
        json!({ "status": self.status })
    }

    /// Everything, for the control interface: nothing is left out.
    pub(crate) fn report(&self, metadata: &mut Value) {
        metadata["hasVoiceOfMerchant"] = json!(self.has_voice);
        metadata["duplicateLocation"] = json!(self.duplicate_of.as_ref().map(LocationId::resource_name));
    }
}

impl ConditionChange {
    /// Its two parts.
    pub(crate) fn parts(self) -> (MetadataChange, OpenInfoChange) {
        (self.metadata, self.open_info)
    }
}
