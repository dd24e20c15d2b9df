//! Why a tenant's two sides differ: one cause, named from what is known of both.
//!
//! The first of these that holds is the cause, so there is always exactly one:
//! 1. *unknown*: a read failed, or nobody knows whether a write took effect. Nothing follows from what was known before.
//! 2. *location closed*: Google says that the location is closed for good. Nothing is written to it, whatever differs.
//! 3. *category retired*: Google's list no longer has a category that the platform wants, so that it cannot be written, whatever else is
//!    the matter, and even where the location still has it.
//! 4. The merchant's record is what the platform wants, and Google does not publish it: *duplicate location*, or else *no voice of
//!    merchant*, whatever the public sees, because no update changes that.
//! 5. The merchant's record is what the platform wants: *edit in review* while the public does not see it yet; *Google edited* when the
//!    public sees something else; else *in sync*.
//! 6. *never synced*: no real run has succeeded yet, so there is nothing to tell a change by.
//! 7. What the platform wants is not what the last successful real run left: *mapping changed* when that is because a category stands for
//!    something else, and *platform changed* in any other case, also when somebody took back what a run had written.
//! 8. *merchant edited*: the platform wants what was left, so it is the merchant's record that has changed.

mod conflict;

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    CategoryRole, CategorySet, Complete, GbpCategory, Gcid, LocationIssue, PlatformCategory, Slug, SourceError,
    TenantCategory, failure::text_enum, map_to_gbp, set_members,
};

pub use conflict::{ConflictHistory, Decision, DecisionRecord, DecisionState, MAX_OVERWRITES, OVERWRITE_WINDOW};

text_enum! {
    /// Why a tenant is, or is not, in sync.
    DriftCause {
        /// Google has what the platform wants, and the public sees it.
        InSync = "in_sync",
        /// The platform wants something else than was left at Google.
        PlatformChanged = "platform_changed",
        /// A platform category stands for something else than it did.
        MappingChanged = "mapping_changed",
        /// The merchant's record was changed, and not by us.
        MerchantEdited = "merchant_edited",
        /// Google shows the public something else than the merchant's record says.
        GoogleEdited = "google_edited",
        /// What the platform wants is written, and Google has not published it yet.
        EditInReview = "edit_in_review",
        /// Google's list no longer has a category that the platform wants.
        CategoryRetired = "category_retired",
        /// No real run has succeeded yet.
        NeverSynced = "never_synced",
        /// The last look failed.
        Unknown = "unknown",
        /// Google says that the location is closed for good.
        LocationClosed = "location_closed",
        /// What the platform wants is written, and Google does not publish it: it takes the location for a copy of another one.
        DuplicateLocation = "duplicate_location",
        /// What the platform wants is written, and Google does not publish it: the merchant has no voice.
        NoVoiceOfMerchant = "no_voice_of_merchant",
    }
}

impl DriftCause {
    /// Every cause of a tenant that is out of sync.
    pub const OUT_OF_SYNC: &'static [Self] = &[
        Self::PlatformChanged,
        Self::MappingChanged,
        Self::MerchantEdited,
        Self::GoogleEdited,
        Self::CategoryRetired,
        Self::NeverSynced,
        Self::LocationClosed,
        Self::DuplicateLocation,
        Self::NoVoiceOfMerchant,
    ];

    /// Whether the tenant is out of sync. Nobody knows that of *unknown*, and of *edit in review* there is nothing to do but to wait.
    #[must_use]
    pub fn is_out_of_sync(self) -> bool {
        Self::OUT_OF_SYNC.contains(&self)
    }

    /// Whether somebody else has changed what we had written.
    #[must_use]
    pub fn is_overwrite(self) -> bool {
        matches!(self, Self::MerchantEdited | Self::GoogleEdited)
    }
}

/// A category that a tenant has on the platform, and what it stands for in its region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResolvedCategory {
    /// Its role.
    pub role: CategoryRole,
    /// The platform category.
    pub slug: Slug,
    /// What it stands for; `None` is unmapped.
    pub gcid: Option<Gcid>,
}

/// What the platform wants of a location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredState {
    /// The tenant's categories, sorted.
    pub categories: Vec<ResolvedCategory>,
    /// What they stand for, or why for nothing that could be written.
    pub set: Result<CategorySet, SourceError>,
}

impl DesiredState {
    /// What the platform wants, from a complete read of it.
    #[must_use]
    pub fn of(categories: &Complete<Vec<PlatformCategory>>, max_additional: usize) -> Self {
        let category = |(position, category): (usize, &PlatformCategory)| ResolvedCategory {
            role: if position == 0 { CategoryRole::Primary } else { CategoryRole::Additional },
            slug: category.slug.clone(),
            gcid: category.gcid.clone(),
        };
        let resolved = sorted(categories.get().iter().enumerate().map(category));
        Self { categories: resolved, set: map_to_gbp(categories, max_additional).map(|mapped| mapped.set) }
    }

    /// What the platform wants once a tenant has these categories.
    #[must_use]
    pub fn by(categories: &CategorySet<TenantCategory>) -> Self {
        let category = |it: crate::SetMember<TenantCategory>| ResolvedCategory {
            role: it.role,
            slug: it.category.slug,
            gcid: it.category.gcid,
        };
        let resolved = sorted(set_members(categories).into_iter().map(category));
        let set = meaning(&resolved).ok_or_else(|| SourceError::UnmappedPrimary(categories.primary().slug.clone()));
        Self { categories: resolved, set }
    }

    /// Each of Google's categories that it stands for.
    pub fn gcids(&self) -> impl Iterator<Item = &Gcid> {
        self.categories.iter().filter_map(|category| category.gcid.as_ref())
    }
}

/// What Google has of a location, from a complete read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GbpState {
    /// The merchant's record; `None`: the location has no categories.
    pub merchant: Option<CategorySet>,
    /// What the public sees, where that is something else.
    pub public: Option<CategorySet>,
    /// Whether an edit of the merchant's record waits to be published.
    pub in_review: bool,
    /// Why Google does not publish edits, in the order of [`LocationIssue`]. Empty: it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<LocationIssue>,
}

/// What the last successful real run left: the state that a change is told by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The platform's side.
    pub categories: Vec<ResolvedCategory>,
    /// The merchant's record.
    pub set: CategorySet,
}

/// How Google's side is known.
#[derive(Debug, Clone, Copy)]
pub enum GbpRead<'a> {
    /// It was read.
    Read(&'a GbpState),
    /// Nobody has asked, because the platform's own side already says that there is nothing to write.
    NotRead,
    /// A read failed, or a write has an unknown outcome.
    Failed,
}

/// All that decides about the cause.
#[derive(Debug, Clone, Copy)]
pub struct DriftInputs<'a> {
    /// The platform's side.
    pub desired: &'a DesiredState,
    /// Google's side.
    pub google: GbpRead<'a>,
    /// What was left. `None`: nothing yet.
    pub baseline: Option<&'a Baseline>,
    /// What Google's list has no more.
    pub retired: &'a BTreeSet<Gcid>,
}

impl DriftInputs<'_> {
    /// The cause.
    #[must_use]
    pub fn cause(&self) -> DriftCause {
        let google = match self.google {
            GbpRead::Failed => return DriftCause::Unknown,
            GbpRead::NotRead => None,
            GbpRead::Read(google) => Some(google),
        };
        let DesiredState { categories: resolved, set } = self.desired;
        let has_issue = |issue| google.is_some_and(|google| google.issues.contains(&issue));
        if has_issue(LocationIssue::Closed) {
            return DriftCause::LocationClosed;
        }
        if self.desired.gcids().any(|gcid| self.retired.contains(gcid)) {
            return DriftCause::CategoryRetired;
        }
        let set = set.as_ref().ok();
        if let Some(GbpState { merchant: Some(merchant), public, in_review, .. }) = google
            && Some(merchant) == set
        {
            return match public {
                _ if has_issue(LocationIssue::Duplicate) => DriftCause::DuplicateLocation,
                _ if has_issue(LocationIssue::NoVoiceOfMerchant) => DriftCause::NoVoiceOfMerchant,
                _ if *in_review => DriftCause::EditInReview,
                Some(public) if public != merchant => DriftCause::GoogleEdited,
                _ => DriftCause::InSync,
            };
        }
        let Some(baseline) = self.baseline else { return DriftCause::NeverSynced };
        if set == Some(&baseline.set) {
            // Without a look at the merchant's record, nobody knows whether it changed.
            return if google.is_some() { DriftCause::MerchantEdited } else { DriftCause::Unknown };
        }
        match () {
            // The platform wants nothing that can be written, as when a revert left this: only the merchant's record can tell a change.
            () if set.is_none() && *resolved == baseline.categories => match google {
                Some(google) if google.merchant.as_ref() != Some(&baseline.set) => DriftCause::MerchantEdited,
                Some(_) => DriftCause::PlatformChanged,
                None => DriftCause::Unknown,
            },
            () if is_remapped(resolved, baseline) => DriftCause::MappingChanged,
            () => DriftCause::PlatformChanged,
        }
    }
}

/// Whether the tenant's categories would stand for what was left, if each of them stood for what it stood for then.
fn is_remapped(resolved: &[ResolvedCategory], baseline: &Baseline) -> bool {
    let mut is_changed = false;
    let then: Vec<ResolvedCategory> = resolved
        .iter()
        .map(|category| match baseline.categories.iter().find(|then| then.slug == category.slug) {
            Some(then) => {
                is_changed |= then.gcid != category.gcid;
                ResolvedCategory { gcid: then.gcid.clone(), ..category.clone() }
            }
            None => category.clone(),
        })
        .collect();
    is_changed && meaning(&then).as_ref() == Some(&baseline.set)
}

/// What choices stand for; `None`: the primary one for nothing, or there is none.
fn meaning(resolved: &[ResolvedCategory]) -> Option<CategorySet> {
    let mapped = |role| resolved.iter().filter(move |category| category.role == role).filter_map(|c| c.gcid.clone());
    let primary = mapped(CategoryRole::Primary).next()?;
    let additional: BTreeSet<Gcid> = mapped(CategoryRole::Additional).filter(|gcid| *gcid != primary).collect();
    let category = |gcid| GbpCategory::new(gcid, "");
    CategorySet::new(category(primary), additional.into_iter().map(category).collect()).ok()
}

fn sorted(resolved: impl Iterator<Item = ResolvedCategory>) -> Vec<ResolvedCategory> {
    let mut resolved: Vec<ResolvedCategory> = resolved.collect();
    resolved.sort();
    resolved
}

/// Tells what was found from anything else that could have been, without names and times: the first 128 bits of a SHA-256.
#[must_use]
pub fn observation_digest(desired: &DesiredState, google: Option<&GbpState>) -> String {
    let set = |set: Option<&CategorySet>| {
        set.map_or(Value::Null, |set| set.iter().map(|category| json!(category.gcid)).collect())
    };
    let google = google.map(|google| {
        let mut facts = vec![set(google.merchant.as_ref()), set(google.public.as_ref()), json!(google.in_review)];
        // Only where there are any: what was found before anybody asked for them keeps its digest.
        facts.extend(google.issues.iter().map(|issue| json!(issue)));
        Value::from(facts)
    });
    let resolved: Vec<Value> = desired.categories.iter().map(|c| json!([c.role, c.slug, c.gcid])).collect();
    let text = json!([resolved, set(desired.set.as_ref().ok()), google]).to_string();
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
