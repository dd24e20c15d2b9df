//! Both sides of a tenant, as far as an attempt has read or written them.

use std::collections::BTreeSet;

use super::super::{
    CategorySet, DesiredState, DriftCause, DriftInputs, GbpRead, GbpState, Gcid, LocationIssue, Observation,
    TenantCategory, TenantSync,
};

/// What an attempt has learnt of both sides of its tenant. It only grows: what is noted here is what the end of the run records.
#[derive(Debug, Default)]
pub struct SyncTracker {
    /// What an earlier attempt of the run had learnt.
    earlier: Option<Observation>,
    pub(super) desired: Option<DesiredState>,
    pub(super) google: Option<GbpState>,
    /// What the platform wants once the attempt has written to it.
    after: Option<DesiredState>,
    /// What the attempt has written to Google.
    pub(super) written: Option<CategorySet>,
    assessment: Option<DriftAssessment>,
}

/// Why the two sides differ, with what was recorded of the tenant before.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftAssessment {
    /// What was recorded before. `None`: nothing.
    pub known: Option<TenantSync>,
    /// Which categories of either side Google's list no longer has.
    pub retired: BTreeSet<Gcid>,
    /// Why the sides differ.
    pub cause: DriftCause,
    /// Whether another actor has undone what the last run wrote, and this is the first time that it is seen.
    pub is_overwrite: bool,
}

impl SyncTracker {
    /// Creates the tracker of an attempt. `earlier` is what an earlier attempt of the run had learnt.
    #[must_use]
    pub fn after(earlier: Option<Observation>) -> Self {
        Self { earlier, ..Self::default() }
    }

    /// What an earlier attempt of the run had learnt.
    #[must_use]
    pub fn earlier(&self) -> Option<&Observation> {
        self.earlier.as_ref()
    }

    /// What the platform wants, once it was noted.
    #[must_use]
    pub fn desired(&self) -> Option<&DesiredState> {
        self.desired.as_ref()
    }

    /// What Google has, once it was read.
    #[must_use]
    pub fn google(&self) -> Option<&GbpState> {
        self.google.as_ref()
    }

    /// Why the sides differ, once that was assessed.
    #[must_use]
    pub fn assessment(&self) -> Option<&DriftAssessment> {
        self.assessment.as_ref()
    }

    /// Why Google does not publish edits of the location, as it was read.
    #[must_use]
    pub fn issues(&self) -> &[LocationIssue] {
        self.google.as_ref().map(|google| google.issues.as_slice()).unwrap_or_default()
    }

    /// Why the tenant was out of sync, as far as this attempt or an earlier one has found out.
    #[must_use]
    pub fn cause(&self) -> DriftCause {
        let earlier = || self.earlier.as_ref().map(|earlier| earlier.cause);
        self.assessment.as_ref().map(|assessment| assessment.cause).or_else(earlier).unwrap_or(DriftCause::Unknown)
    }

    /// What the platform wants in the end: after the attempt's own write, if it has made one.
    pub(super) fn final_desired(&self) -> Option<&DesiredState> {
        self.after.as_ref().or(self.desired.as_ref())
    }

    /// What a later attempt needs to know of this one. `None`: the sides were not found to differ.
    #[must_use]
    pub fn observation(&self) -> Option<Observation> {
        let assessment = self.assessment.as_ref()?;
        Some(Observation {
            desired: self.desired.clone(),
            google: self.google.clone(),
            after: self.after.clone(),
            cause: assessment.cause,
            is_overwrite: assessment.is_overwrite,
        })
    }

    /// The same, once the platform has these categories.
    #[must_use]
    pub fn observation_after(&self, categories: &CategorySet<TenantCategory>) -> Option<Observation> {
        Some(Observation { after: Some(DesiredState::by(categories)), ..self.observation()? })
    }

    /// Notes what the platform wants. If Google's side is to be read, it comes first: what is known of one side alone is a failed
    /// observation, unless the platform's says by itself that there is nothing to write.
    pub fn set_desired(&mut self, desired: DesiredState) {
        self.desired = Some(desired);
    }

    /// Notes what Google has.
    pub fn observed(&mut self, google: GbpState) {
        self.google = Some(google);
    }

    /// Notes that an earlier attempt's write of `set` took effect.
    pub fn has_written(&mut self, set: &CategorySet) {
        self.written = Some(set.clone());
    }

    /// Notes what the merchant's record is after a write. The public sees what it saw, as long as the write is in review.
    pub fn wrote(&mut self, merchant: Option<&CategorySet>, in_review: bool) {
        let before = self.google.take();
        let issues = before.as_ref().map(|before| before.issues.clone()).unwrap_or_default();
        let public = before.and_then(|before| before.public.or(before.merchant)).filter(|_| in_review);
        self.written = merchant.cloned();
        self.google = Some(GbpState { merchant: merchant.cloned(), public, in_review, issues });
    }

    /// Notes what the tenant has after a write to the platform.
    pub fn wrote_platform(&mut self, categories: &CategorySet<TenantCategory>) {
        self.after = Some(DesiredState::by(categories));
    }

    /// Names why the sides differ. Without a desired state, nothing is known that could differ. `counts_overwrites` is whether the run
    /// writes to Google what the platform wants: any other run leaves an overwrite to the next one that does.
    pub fn assess(&mut self, known: Option<TenantSync>, retired: BTreeSet<Gcid>, counts_overwrites: bool) {
        let Some(desired) = &self.desired else { return };
        let baseline = known.as_ref().and_then(|known| known.baseline.as_ref());
        let google = gbp_read(self.google.as_ref().or(known.as_ref().and_then(|known| known.google.as_ref())));
        let cause =
            DriftInputs { desired, google, baseline: baseline.map(|left| &left.what), retired: &retired }.cause();
        let has_counted =
            known.as_ref().zip(baseline).is_none_or(|(known, left)| known.conflicts.has_counted(left.by.at));
        // An earlier attempt of the run may have seen an overwrite that is no longer there.
        let was_overwrite = self.earlier.as_ref().is_some_and(|earlier| earlier.is_overwrite);
        let is_overwrite = counts_overwrites && (cause.is_overwrite() || was_overwrite) && !has_counted;
        self.assessment = Some(DriftAssessment { known, retired, cause, is_overwrite });
    }

    /// Goes on with what the attempt that wrote had observed, so that the run records what that attempt would have recorded. `desired` is
    /// for an observation without one.
    pub fn resume(
        &mut self,
        earlier: Observation,
        desired: DesiredState,
        known: Option<TenantSync>,
        retired: BTreeSet<Gcid>,
    ) {
        let Observation { desired: earlier_desired, google, after, cause, is_overwrite } = earlier;
        self.desired = Some(earlier_desired.unwrap_or(desired));
        self.google = google;
        self.after = after;
        self.assessment = Some(DriftAssessment { known, retired, cause, is_overwrite });
    }
}

/// The categories that a retirement from Google's list would concern: those that the platform wants, and those of the merchant's record.
#[must_use]
pub fn observed_gcids<'a>(desired: &'a DesiredState, google: Option<&'a GbpState>) -> Vec<&'a Gcid> {
    let at_google = google.iter().flat_map(|google| &google.merchant).flat_map(CategorySet::iter);
    let gcids: BTreeSet<&Gcid> = desired.gcids().chain(at_google.map(|category| &category.gcid)).collect();
    gcids.into_iter().collect()
}

pub(super) fn gbp_read(google: Option<&GbpState>) -> GbpRead<'_> {
    google.map_or(GbpRead::NotRead, GbpRead::Read)
}
