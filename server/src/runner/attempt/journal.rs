//! What an attempt has observed, planned, intended, written and learnt.
//!
//! The only thing about an attempt that changes. It is held outside of the attempt's steps, so it is recorded however these end: with an
//! error, with a panic, or in the middle.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{
    domain::{
        AccountId, Category, CategorySet, EitherCategory, Failure, Observation, Plan, Run, RunKind, SyncTracker,
        TenantCategory, WriteIntent, check_write, replaces_plan,
    },
    gbp::LocationViews,
    store::{AttemptProgress, CredentialsVersion, TenantSnapshot},
};

/// The journal of an attempt.
pub(in crate::runner) struct Journal {
    /// What the run is known by, over all its attempts, and what the next one goes on with.
    progress: AttemptProgress,
    /// Both sides, as far as the attempt has read or written them.
    pub(in crate::runner) sync: SyncTracker,
    /// The platform's side that the attempt goes by, once it goes by one.
    source: Option<Arc<TenantSnapshot>>,
    /// Whether the database may have recorded an intent whose request was not sent, because it did not answer.
    intent_in_doubt: bool,
    /// The account that Google was called for, and its own credentials if it has any.
    credentials: Option<(AccountId, Option<CredentialsVersion>)>,
}

impl Journal {
    /// Begins the journal of an attempt of `run` with what earlier attempts have recorded, which is taken out of the run.
    pub(super) fn of(run: &mut Run, observation: Option<Observation>) -> Self {
        let progress = AttemptProgress {
            plan: run.plan.take(),
            written: std::mem::take(&mut run.written),
            // It stays recorded until the location was read and shows what became of it.
            write_intent: run.write_intent.take(),
            observation: observation.clone(),
            read_at: None,
        };
        let sync = SyncTracker::after(observation);
        Self { progress, sync, source: None, intent_in_doubt: false, credentials: None }
    }

    /// What is recorded with the run.
    pub(in crate::runner) fn progress(&self) -> &AttemptProgress {
        &self.progress
    }

    pub(in crate::runner) fn source(&self) -> Option<&Arc<TenantSnapshot>> {
        self.source.as_ref()
    }

    pub(in crate::runner) fn intent_in_doubt(&self) -> bool {
        self.intent_in_doubt
    }

    pub(in crate::runner) fn credentials(&self) -> Option<(&AccountId, Option<&CredentialsVersion>)> {
        self.credentials.as_ref().map(|(account, version)| (account, version.as_ref()))
    }

    // Observed.

    /// Notes when the source was read. A request that joins the run later supersedes the attempt.
    pub(in crate::runner) fn read_source_at(&mut self, read_at: DateTime<Utc>) {
        self.progress.read_at = Some(read_at);
    }

    /// Notes that the attempt goes by this source, so that what it finds is recorded of this tenant and location.
    pub(in crate::runner) fn goes_by(&mut self, source: &Arc<TenantSnapshot>) {
        self.source = Some(source.clone());
    }

    /// Notes what Google has.
    pub(in crate::runner) fn observed(&mut self, side: &LocationViews) {
        self.sync.observed(side.state());
    }

    /// Notes for which account Google is called.
    pub(super) fn calls_for(&mut self, account: AccountId, version: Option<CredentialsVersion>) {
        self.credentials = Some((account, version));
    }

    // Planned.

    /// Notes a plan, with what was observed beside it.
    pub(in crate::runner) fn planned<C>(&mut self, kind: RunKind, plan: Plan<C>) -> Plan<C>
    where
        C: Category + Into<EitherCategory>,
    {
        let location = self.source.as_ref().and_then(|source| source.tenant.location.clone());
        let mut plan = plan.at(location);
        plan.location_issues = self.sync.issues().to_vec();
        let recorded = plan.recorded();
        if replaces_plan(self.progress.plan.as_ref(), &recorded, kind.dry_run) {
            self.progress.plan = Some(recorded);
        }
        plan
    }

    /// Notes the plan of a dry run once more, with the objections of Google's that it has by now.
    pub(in crate::runner) fn validated(&mut self, plan: &Plan) {
        self.progress.plan = Some(plan.recorded());
    }

    // Intended.

    /// Notes a write before it is recorded, and so before it is sent.
    pub(in crate::runner) fn intends(&mut self, intent: &WriteIntent) {
        self.progress.observation = self.sync.observation();
        self.progress.write_intent = Some(intent.clone());
    }

    /// Notes that the intended write was not sent, so that there is nothing to find out about it later. `may_be_recorded` is `false` if the
    /// database has certainly not recorded the intent.
    pub(in crate::runner) fn not_begun(&mut self, may_be_recorded: bool) {
        self.progress.write_intent = None;
        self.intent_in_doubt = may_be_recorded;
    }

    /// Notes that the intended write certainly did not happen.
    pub(in crate::runner) fn not_applied(&mut self) {
        self.progress.write_intent = None;
    }

    // Written.

    /// Notes what the merchant's record is after a write of this attempt, and what of it is the run's own. Returns why the run failed, if it
    /// did: the record is not what was asked for.
    pub(in crate::runner) fn wrote(
        &mut self,
        intent: &WriteIntent,
        actual: Option<&CategorySet>,
        in_review: bool,
    ) -> Option<Failure> {
        let check = check_write(intent, actual);
        self.progress.written = check.written;
        // If another actor was there too, it is unknown what the write has left.
        self.progress.write_intent = (!check.is_all_own).then(|| intent.clone());
        self.sync.wrote(actual, in_review);
        check.failure
    }

    /// Notes that the write of an earlier attempt took effect.
    pub(in crate::runner) fn earlier_write_applied(&mut self, intent: WriteIntent, side: &LocationViews) {
        self.sync.observed(side.state());
        self.sync.has_written(&intent.after);
        self.progress.written = intent.changes.into_iter().map(|change| change.recorded()).collect();
        self.progress.write_intent = None;
    }

    /// Notes a write to the platform, and what its transaction has recorded with it.
    pub(in crate::runner) fn wrote_platform(
        &mut self,
        recorded: AttemptProgress,
        categories: &CategorySet<TenantCategory>,
    ) {
        self.progress = recorded;
        self.sync.wrote_platform(categories);
    }

    // Handed over.

    /// Lets the next attempt know what this one has found.
    pub(in crate::runner) fn hand_over(&mut self) {
        self.progress.observation = self.sync.observation().or(self.progress.observation.take());
    }

    /// Ends the promise to requests that have joined the run: no attempt is left that could read the source again.
    pub(in crate::runner) fn yields_no_more(&mut self) {
        self.progress.read_at = None;
    }
}
