//! What an attempt learns of how its tenant's two sides stand, and what of it is new.

use std::collections::{BTreeMap, BTreeSet};

use super::attempt::AttemptExecution;
use crate::{
    domain::{
        Baseline, CategorySet, DesiredRecord, DesiredState, DriftCause, DriftInputs, FailureReason, GbpRead, GbpState,
        Gcid, LocationIssue, MAX_OVERWRITES, MappingState as InList, Observation, RegionCode, RunResult, Skip,
        SkipReason, Strategy, TenantCategory, TenantSync, WrittenSet, named_as_observed, observation_digest,
    },
    error::Error,
    gbp::LocationViews,
    store::{SyncObservation, TenantSnapshot},
};

/// What an attempt has read so far.
#[derive(Debug, Default)]
pub(super) struct SyncTracker {
    /// What an earlier attempt of the run had read.
    earlier: Option<Observation>,
    desired: Option<DesiredState>,
    google: Option<GbpState>,
    /// What the platform has once the attempt has written to it.
    after: Option<DesiredState>,
    /// What the attempt has written to Google.
    written: Option<CategorySet>,
    assessed: Option<Assessed>,
}

/// What the sides come to, with what is known from before.
#[derive(Debug)]
struct Assessed {
    known: Option<TenantSync>,
    retired: BTreeSet<Gcid>,
    cause: DriftCause,
    /// Whether it is seen for the first time that somebody has changed back what was left.
    is_overwrite: bool,
}

impl SyncTracker {
    /// Begins with what an earlier attempt had read.
    pub(super) fn after(earlier: Option<Observation>) -> Self {
        Self { earlier, ..Self::default() }
    }

    /// What a later attempt needs to know of this one.
    pub(super) fn observation(&self) -> Option<Observation> {
        let assessed = self.assessed.as_ref()?;
        Some(Observation {
            desired: self.desired.clone(),
            google: self.google.clone(),
            after: self.after.clone(),
            cause: assessed.cause,
            is_overwrite: assessed.is_overwrite,
        })
    }

    /// The same, once the platform has these categories.
    pub(super) fn observation_after(&self, categories: &CategorySet<TenantCategory>) -> Option<Observation> {
        Some(Observation { after: Some(DesiredState::by(categories)), ..self.observation()? })
    }

    /// Notes what the platform wants. Google's side comes first, where it is to be read: what is known of one side alone is a failed observation,
    /// unless the platform's says by itself that there is nothing to write.
    pub(super) fn set_desired(&mut self, desired: DesiredState) {
        self.desired = Some(desired);
    }

    /// Notes what Google has.
    pub(super) fn observed(&mut self, side: &LocationViews) {
        self.google = Some(side.state());
    }

    /// Notes that an earlier attempt's write took effect.
    pub(super) fn has_written(&mut self, set: &CategorySet) {
        self.written = Some(set.clone());
    }

    /// Notes what the merchant's record is after a write. The public sees what it saw, as long as the write is in review.
    pub(super) fn wrote(&mut self, merchant: Option<&CategorySet>, in_review: bool) {
        let before = self.google.take();
        let issues = before.as_ref().map(|before| before.issues.clone()).unwrap_or_default();
        let public = before.and_then(|before| before.public.or(before.merchant)).filter(|_| in_review);
        self.written = merchant.cloned();
        self.google = Some(GbpState { merchant: merchant.cloned(), public, in_review, issues });
    }

    /// Notes what the tenant has after a write to the platform.
    pub(super) fn wrote_platform(&mut self, categories: &CategorySet<TenantCategory>) {
        self.after = Some(DesiredState::by(categories));
    }

    /// Why Google does not publish edits of the location, as it was read.
    pub(super) fn issues(&self) -> &[LocationIssue] {
        self.google.as_ref().map(|google| google.issues.as_slice()).unwrap_or_default()
    }

    /// Why the tenant was out of sync, as far as the attempt has found out.
    pub(super) fn cause(&self) -> DriftCause {
        let earlier = || self.earlier.as_ref().map(|earlier| earlier.cause);
        self.assessed.as_ref().map(|assessed| assessed.cause).or_else(earlier).unwrap_or(DriftCause::Unknown)
    }
}

impl AttemptExecution {
    /// What the platform wants of Google.
    pub(super) fn desired(&self, source: &TenantSnapshot) -> DesiredState {
        DesiredState::of(&source.categories, self.context.settings.max_additional)
    }

    /// Finds out why the sides differ, with what is known from before. It costs statements of its own, so it is for those that differ.
    pub(super) async fn assess(&mut self, source: &TenantSnapshot) -> Result<(), Error> {
        let Some(desired) = &self.sync_tracker.desired else { return Ok(()) };
        let known = self.known(source).await?;
        let retired = self.retired(source, desired).await?;
        let baseline = known.as_ref().and_then(|known| known.baseline.as_ref());
        let google =
            gbp_read(self.sync_tracker.google.as_ref().or(known.as_ref().and_then(|known| known.google.as_ref())));
        let cause =
            DriftInputs { desired, google, baseline: baseline.map(|left| &left.what), retired: &retired }.cause();
        let is_ours = self.run.kind.strategy == Strategy::PlatformToGbp && self.run.options.revert_of.is_none();
        let has_counted =
            known.as_ref().zip(baseline).is_none_or(|(known, left)| known.conflicts.has_counted(left.by.at));
        // An earlier attempt of the run may have seen what is no longer there.
        let was_overwrite = self.sync_tracker.earlier.as_ref().is_some_and(|earlier| earlier.is_overwrite);
        let is_overwrite = is_ours && (cause.is_overwrite() || was_overwrite) && !has_counted;
        self.sync_tracker.assessed = Some(Assessed { known, retired, cause, is_overwrite });
        Ok(())
    }

    /// Goes on with what the attempt that wrote had observed, so that what is recorded of the tenant is what that attempt would have
    /// recorded.
    pub(super) async fn resume(&mut self, source: &TenantSnapshot) -> Result<(), Error> {
        let Some(Observation { desired, google, after, cause, is_overwrite }) = self.sync_tracker.earlier.clone()
        else {
            self.sync_tracker.set_desired(self.desired(source));
            return Ok(());
        };
        self.sync_tracker.google = google;
        self.sync_tracker.after = after;
        let desired = desired.unwrap_or_else(|| self.desired(source));
        let known = self.known(source).await?;
        let retired = self.retired(source, &desired).await?;
        self.sync_tracker.desired = Some(desired);
        self.sync_tracker.assessed = Some(Assessed { known, retired, cause, is_overwrite });
        Ok(())
    }

    async fn known(&self, source: &TenantSnapshot) -> Result<Option<TenantSync>, Error> {
        match &source.last_observation {
            Some(_) => self.context.store.tenant_sync(&source.tenant.id).await,
            None => Ok(None),
        }
    }

    /// Which of the categories on either side Google's list has no more.
    async fn retired(&self, source: &TenantSnapshot, desired: &DesiredState) -> Result<BTreeSet<Gcid>, Error> {
        let at_google = self.sync_tracker.google.iter().flat_map(|google| &google.merchant).flat_map(CategorySet::iter);
        let gcids: BTreeSet<&Gcid> = desired.gcids().chain(at_google.map(|category| &category.gcid)).collect();
        let Ok(region) = RegionCode::parse(&source.tenant.region_code) else { return Ok(BTreeSet::new()) };
        let gcids: Vec<&Gcid> = gcids.into_iter().collect();
        let taxonomy_lookup = self.context.store.taxonomy_lookup(&gcids).await?;
        let is_retired = |gcid: &&&Gcid| taxonomy_lookup.of(gcid, Some(&region)) == InList::Retired;
        Ok(gcids.iter().filter(is_retired).map(|gcid| (*gcid).clone()).collect())
    }

    /// Why nothing may be written to Google for this tenant before a person decides; `None`: it may.
    pub(super) fn conflict_skip(&self, source: &TenantSnapshot) -> Option<Skip> {
        let Assessed { known, is_overwrite, .. } = self.sync_tracker.assessed.as_ref()?;
        if self.run.options.is_decided() {
            return None;
        }
        let conflicts = &known.as_ref()?.conflicts;
        let tenant = source.tenant.id.resource_name();
        let decide = "DecideTenantSync with ACCEPT_GOOGLE, PUSH_AGAIN or IGNORE decides";
        let mut metadata = BTreeMap::from([
            ("tenant".to_owned(), tenant.clone()),
            ("cause".to_owned(), self.sync_tracker.cause().to_string()),
        ]);
        let message = if let Some(ignoring) = conflicts.ignoring() {
            metadata.insert("decided_by".to_owned(), ignoring.caller.clone());
            format!(
                "{tenant} is left as it is, as {} decided ({}); {decide} otherwise",
                ignoring.caller, ignoring.reason
            )
        } else if conflicts.conflict_at.is_some()
            || (*is_overwrite && conflicts.reaches_limit_with_next(source.read_at))
        {
            let overwrites = conflicts.recent(source.read_at) + usize::from(*is_overwrite);
            metadata.insert("overwrite_count".to_owned(), overwrites.to_string());
            format!(
                "what was written to the location of {tenant} was changed back more than {MAX_OVERWRITES} times within 7 days, so nothing was \
                 written; {decide}"
            )
        } else {
            return None;
        };
        Some(Skip { reason: SkipReason::EditConflict, message, metadata })
    }

    /// What the attempt has found that is not recorded yet, at the end of its run.
    pub(super) async fn sync_observation(&mut self, result: &RunResult) -> Option<SyncObservation> {
        let source = self.read.clone()?;
        let found = self.new_observation(&source, result).await;
        found.unwrap_or_else(|error| {
            tracing::warn!(run_id = %self.run.id, error = %super::error_chain(&error), "cannot tell how the tenant's sides stand");
            None
        })
    }

    async fn new_observation(
        &mut self,
        source: &TenantSnapshot,
        result: &RunResult,
    ) -> Result<Option<SyncObservation>, Error> {
        let Some(location) = source.tenant.location.clone() else { return Ok(None) };
        let last = source.last_observation.as_ref();
        // Whether a write took effect is not known: then nothing is.
        if let Some(intent) = &self.progress.write_intent {
            let unresolved = Some(WrittenSet { set: intent.after.clone() });
            return Ok(Some(SyncObservation { unresolved, ..SyncObservation::failed(location) }));
        }
        if self.sync_tracker.desired.is_none() {
            let is_failure =
                matches!(result, RunResult::Failed(failure) if failure.reason != FailureReason::NotRevertible);
            let is_known = last.is_some_and(|last| last.failed);
            return Ok((is_failure && !is_known).then(|| SyncObservation::failed(location)));
        }
        let is_real_success = *result == RunResult::Succeeded && !self.run.kind.dry_run;
        let desired_of = |tracker: &SyncTracker| tracker.after.clone().or_else(|| tracker.desired.clone());
        let Some(desired) = desired_of(&self.sync_tracker) else { return Ok(None) };
        // What both sides have been left with: by a revert, the merchant's record is not what the platform wants, and still it is what was left.
        let merchant = self.sync_tracker.google.as_ref().and_then(|google| google.merchant.clone());
        let agrees = desired.set.as_ref().ok() == merchant.as_ref();
        let is_left = is_real_success && (agrees || self.run.kind.strategy == Strategy::PlatformToGbp);
        let baseline = merchant.filter(|_| is_left).map(|set| Baseline { categories: desired.categories.clone(), set });
        let digest = observation_digest(&desired, self.sync_tracker.google.as_ref());
        let is_overwrite =
            |tracker: &SyncTracker| tracker.assessed.as_ref().is_some_and(|assessed| assessed.is_overwrite);
        let is_the_same = last.is_some_and(|last| {
            last.digest.as_ref() == Some(&digest)
                && (last.matches_baseline || baseline.is_none())
                && self.sync_tracker.written.is_none()
        });
        if is_the_same && !is_overwrite(&self.sync_tracker) {
            return Ok(None);
        }
        if self.sync_tracker.assessed.is_none() {
            self.assess(source).await?;
        }
        let Some(assessed) = &self.sync_tracker.assessed else { return Ok(None) };
        let known = assessed.known.as_ref();
        let google = self.sync_tracker.google.clone();
        let before = known.and_then(|known| Some(&known.baseline.as_ref()?.what));
        let cause = DriftInputs {
            desired: &desired,
            google: gbp_read(google.as_ref().or(known.and_then(|known| known.google.as_ref()))),
            baseline: baseline.as_ref().or(before),
            retired: &assessed.retired,
        }
        .cause();
        let reaches_limit_with_next = |known: &TenantSync| known.conflicts.reaches_limit_with_next(source.read_at);
        let matches_baseline = match &baseline {
            Some(_) => true,
            None => before.is_some_and(|left| {
                left.categories == desired.categories
                    && google.as_ref().is_some_and(|at| at.merchant.as_ref() == Some(&left.set))
            }),
        };
        Ok(Some(SyncObservation {
            location,
            cause,
            digest: (cause != DriftCause::Unknown).then_some(digest),
            matches_baseline,
            desired: Some(DesiredRecord {
                retired: desired.gcids().filter(|gcid| assessed.retired.contains(gcid)).cloned().collect(),
                error: desired.set.as_ref().err().map(ToString::to_string),
                set: desired
                    .set
                    .ok()
                    .map(|set| named_as_observed(set, google.as_ref().and_then(|it| it.merchant.as_ref()))),
            }),
            baseline,
            written: self.sync_tracker.written.clone().map(|set| WrittenSet { set }),
            unresolved: None,
            resolved: known.and_then(|known| known.unresolved.clone()).filter(|earlier| {
                google.as_ref().and_then(|google| google.merchant.as_ref()) == Some(&earlier.what.set)
            }),
            google,
            overwritten_at: assessed.is_overwrite.then_some(source.read_at),
            in_conflict: assessed.is_overwrite && known.is_some_and(reaches_limit_with_next),
        }))
    }
}

fn gbp_read(google: Option<&GbpState>) -> GbpRead<'_> {
    google.map_or(GbpRead::NotRead, GbpRead::Read)
}
