//! Imports Google's lists of categories, and lists their versions.

use std::time::Duration;

use super::{App, Page, PageRequest, require_unrestricted};
use crate::{
    domain::{
        Affected, Backoff, Caller, CompleteTaxonomy, Failure, FailureReason, InvalidTaxonomyList, LanguageCode, Locale,
        RegionCode, Retry, TaxonomyDiff, TaxonomyPage, TaxonomyPages, TaxonomyRead, TaxonomyVersion,
    },
    error::Error,
    gbp::TaxonomyReader,
    store::NewTaxonomy,
};

/// Maximum number of attempts to read one page.
const MAX_PAGE_ATTEMPTS: u32 = 5;
/// Maximum number of times that a list is read from the start because a page token expired.
const MAX_RESTARTS: u32 = 2;
/// Maximum delay before a page is requested again. A caller is waiting, so longer delays are left to the caller.
const MAX_PAGE_RETRY_DELAY: Duration = Duration::from_secs(10);
/// Maximum number of mappings and of tenants in a response.
const MAX_AFFECTED: i64 = 100;

/// The source of Google's lists.
#[derive(Debug, Clone)]
pub struct TaxonomyImportConfig {
    /// The reader of Google's lists.
    pub reader: TaxonomyReader,
    /// Delays between attempts to read a page.
    pub backoff: Backoff,
}

/// Result of an import.
#[derive(Debug, Clone)]
pub struct TaxonomyRefresh {
    /// The newest version: a new one if the list differs.
    pub version: TaxonomyVersion,
    /// The differences from the previous version.
    pub diff: TaxonomyDiff,
    /// The affected mappings and tenants.
    pub affected: Affected,
}

impl App {
    /// Imports Google's list: reads it to its last page, and then stores it as a whole. If anything fails, or the
    /// caller leaves, nothing is changed.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::Google`], [`Error::TaxonomyShrank`] unless `allow_shrink`,
    /// [`Error::TaxonomyChanged`], or a database error.
    pub async fn refresh_taxonomy(
        &self,
        caller: &Caller,
        locale: &Locale,
        allow_shrink: bool,
        reason: &str,
    ) -> Result<TaxonomyRefresh, Error> {
        require_unrestricted(caller, "importing Google's list of categories")?;
        // The version first: if a newer one appears before the names are read, the store refuses the combination of
        // both.
        let current = self.store.taxonomy(locale).await?;
        let names = self.store.taxonomy_names(locale).await?;
        let list = self.read_taxonomy(locale).await.map_err(|failure| {
            tracing::warn!(%locale, reason = %failure.reason, error = failure.message, "could not import google's categories");
            Error::Google(failure)
        })?;
        let (since, count) = current.map_or((0, 0), |current| (current.version, current.category_count.into()));
        let has_shrunk = list.shrank(count);
        if has_shrunk && !allow_shrink {
            tracing::warn!(%locale, current = count, imported = list.count(), "refused a list of categories that shrank");
            return Err(Error::TaxonomyShrank { locale: locale.clone(), current: count, imported: list.count() });
        }
        let diff = list.diff(&names);
        let version = if diff.is_empty() {
            self.store.confirm_taxonomy(None, locale, since).await?
        } else {
            let reason = if has_shrunk { reason } else { "" };
            let new = NewTaxonomy { locale, since, diff: &diff, caller: &caller.subject, reason };
            self.store.insert_taxonomy(None, &new).await?
        };
        let renamed: Vec<_> = diff.renamed().iter().map(|renamed| &renamed.category.gcid).collect();
        let affected = self.store.affected(locale, &renamed, MAX_AFFECTED).await?;
        tracing::info!(
            %locale, version = version.version, added = diff.added().len(), renamed = diff.renamed().len(),
            retired = diff.retired().len(), affected_mappings = affected.mapping_count,
            affected_tenants = affected.tenant_count, caller = %caller.subject, reason, "imported google's categories"
        );
        Ok(TaxonomyRefresh { version, diff, affected })
    }

    /// Reads the list, and restarts if Google no longer accepts a page token: the pages read so far may not match the
    /// following ones.
    async fn read_taxonomy(&self, locale: &Locale) -> Result<CompleteTaxonomy, Failure> {
        let mut restarts = 0;
        loop {
            match self.read_taxonomy_once(locale).await {
                Err(failure) if failure.is_of_page_token() && restarts < MAX_RESTARTS => restarts += 1,
                list => return list,
            }
            tracing::info!(%locale, restarts, "google no longer takes a page token, so its list is read from the beginning");
        }
    }

    async fn read_taxonomy_once(&self, locale: &Locale) -> Result<CompleteTaxonomy, Failure> {
        let (mut pages, mut token, mut number) = (TaxonomyPages::default(), None, 1);
        let broken = |why| Failure::transient(FailureReason::UpstreamInvalid, format!("categories.list: {why}"));
        loop {
            let page = self.read_page(locale, token.as_deref()).await;
            let read = page.and_then(|page| pages.with(page).map_err(|why: InvalidTaxonomyList| broken(why)));
            match read.map_err(|failure| on_page(number, failure))? {
                TaxonomyRead::Complete(list) => return Ok(list),
                TaxonomyRead::More(more, next) => (pages, token, number) = (more, Some(next), number + 1),
            }
        }
    }

    /// Reads one page, and retries if a retry may help.
    async fn read_page(&self, locale: &Locale, token: Option<&str>) -> Result<TaxonomyPage, Failure> {
        let TaxonomyImportConfig { reader, backoff } = &self.taxonomy;
        let mut attempt = 1;
        loop {
            let failure = match reader.page(locale, token).await {
                Ok(page) => return Ok(page),
                Err(failure) => failure,
            };
            let asked = match failure.retry {
                Retry::Never => return Err(failure),
                Retry::Backoff => None,
                Retry::After(wait) => Some(wait),
            };
            let wait = backoff.after(attempt, fastrand::f64(), asked);
            if attempt == MAX_PAGE_ATTEMPTS || wait > MAX_PAGE_RETRY_DELAY {
                return Err(failure);
            }
            tracing::debug!(%locale, attempt, ?wait, error = failure.message, "asks for a page of categories again");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// Lists versions by region and language, newest first.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`], or a database error.
    pub async fn taxonomy_versions(
        &self,
        region: Option<&RegionCode>,
        language: Option<&LanguageCode>,
        page: PageRequest,
    ) -> Result<Page<TaxonomyVersion>, Error> {
        let after = page.after.as_deref().map(|key| version_of(key).ok_or(Error::InvalidPageToken)).transpose()?;
        let versions = self.store.taxonomy_versions(region, language, after.as_ref(), page.limit()).await?;
        Ok(page.page(versions, |version| format!("{}/{}", version.locale, version.version)))
    }

    /// Gets the newest version of a list.
    ///
    /// # Errors
    /// [`Error::NoTaxonomy`], or a database error.
    pub async fn taxonomy(&self, locale: &Locale) -> Result<TaxonomyVersion, Error> {
        self.store.taxonomy(locale).await?.ok_or_else(|| Error::NoTaxonomy(locale.clone()))
    }
}

/// Adds the number of the page to a failure.
fn on_page(page: u32, failure: Failure) -> Failure {
    let message = format!("page {page} of Google's list: {}", failure.message);
    Failure { message, ..failure }
}

/// Parses the key of a page of versions.
fn version_of(key: &str) -> Option<(Locale, i32)> {
    let mut parts = key.split('/');
    let region = RegionCode::parse(parts.next()?).ok()?;
    let language = LanguageCode::parse(parts.next()?).ok()?;
    let version = parts.next()?.parse().ok().filter(|version| *version > 0)?;
    parts.next().is_none().then_some((Locale { region, language }, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_a_version_or_nothing() {
        let (locale, version) = version_of("US/en/12").expect("a key");
        assert_eq!((locale.to_string().as_str(), version), ("US/en", 12));
        for key in ["", "US", "US/en", "US/en/", "US/en/0", "US/en/-1", "US/en/1/2", "us/en/1", "US/en/99999999999"] {
            assert!(version_of(key).is_none(), "{key:?}");
        }
    }
}
