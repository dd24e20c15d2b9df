//! Metadata of errors, for programs.

use std::collections::BTreeMap;

use super::Error;
use crate::domain::{Locale, MAX_SHRINK_PERCENT, NotRevertible};

impl Error {
    /// Returns the values of the message, for programs.
    #[must_use]
    pub fn metadata(&self) -> BTreeMap<&'static str, String> {
        let pairs = match self {
            Self::RequestIdReused(id) => vec![("request_id", id.clone())],
            Self::NotFound(_, name) | Self::AlreadyExists(_, name) => vec![("name", name.clone())],
            Self::LocationTaken(location) => vec![("location", format!("locations/{location}"))],
            Self::NoLocation(tenant) => vec![("tenant", tenant.resource_name())],
            Self::NoTenantWithLocation(target) => vec![("target", target.clone())],
            Self::OverrideMismatch { dry_batch, expected, confirmed } => vec![
                ("batch", dry_batch.clone()),
                ("expected", expected.to_string()),
                ("confirmed", confirmed.to_string()),
            ],
            Self::ConfirmationMismatch { target, expected, confirmed } => vec![
                ("target", target.clone()),
                ("expected", expected.to_string()),
                ("confirmed", confirmed.to_string()),
            ],
            Self::RunInProgress { run, kind } | Self::UnsettledWrite { run, kind, .. } => {
                vec![("run", run.clone()), ("run_kind", kind.clone())]
            }
            Self::CannotJoin { run, kind, why } => {
                vec![("run", run.clone()), ("run_kind", kind.clone()), ("join_refusal", why.as_str().to_owned())]
            }
            Self::NotRevertible { run, why: NotRevertible::Changed { left, now } } => {
                vec![("run", run.clone()), ("expected", left.clone()), ("actual", now.clone())]
            }
            Self::NotRevertible { run, .. } => vec![("run", run.clone())],
            Self::CategoryInUse { slug, tenants } => {
                vec![("platform_category", slug.resource_name()), ("tenants", tenants.to_string())]
            }
            Self::RateLimited { limit, .. } => vec![("limit", limit.to_string())],
            Self::DeadlineExceeded(limit) => vec![("limit_ms", limit.as_millis().to_string())],
            Self::FeatureDisabled { flag, why } => {
                vec![("flag", flag.to_string()), ("flag_reason", why.reason().to_owned())]
            }
            Self::FlagChanged { flag, revision } => {
                vec![("flag", flag.to_string()), ("revision", revision.to_string())]
            }
            Self::NoTaxonomy(locale) | Self::TaxonomyChanged(locale) => locale_pairs(locale),
            Self::TaxonomyShrank { locale, current, imported } => {
                let counts = [
                    ("current_count", current.to_string()),
                    ("imported_count", imported.to_string()),
                    ("limit_percent", MAX_SHRINK_PERCENT.to_string()),
                ];
                locale_pairs(locale).into_iter().chain(counts).collect()
            }
            Self::Google(failure) => vec![("failure", failure.reason.to_string())],
            Self::CredentialsUnreadable { account, key_id, .. } => {
                vec![("account", account.resource_name()), ("key_id", key_id.clone())]
            }
            _ => vec![],
        };
        pairs.into_iter().collect()
    }
}

fn locale_pairs(locale: &Locale) -> Vec<(&'static str, String)> {
    vec![("region_code", locale.region.to_string()), ("language_code", locale.language.to_string())]
}
