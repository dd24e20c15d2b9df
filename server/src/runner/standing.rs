//! What an attempt learns of how its tenant's two sides stand, and what of it is new.

use std::collections::{BTreeMap, BTreeSet};

use super::attempt::Attempt;
use crate::{
    domain::{
        AtGoogle, Baseline, CategorySet, Cause, Facts, FailureReason, Gcid, LocationIssue, Look, MAX_FLIPS,
        Observation, RegionCode, RunResult, Skip, SkipReason, Standing as InList, Strategy, TenantCategory, TenantSync,
        Wanted, Wish, WrittenSet, digest_of, named_as_observed,
    },
    error::Error,
    gbp::Side,
    store::{Found, Source},
};

/// What an attempt has learnt so far.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// What an earlier attempt of the run had learnt.
    earlier: Option<Observation>,
    wanted: Option<Wanted>,
    google: Option<AtGoogle>,
    /// What the platform has once the attempt has written to it.
    after: Option<Wanted>,
    /// What the attempt has written to Google.
    written: Option<CategorySet>,
    assessed: Option<Assessed>,
}

/// What the sides come to, with what is known from before.
#[derive(Debug)]
struct Assessed {
    known: Option<TenantSync>,
    retired: BTreeSet<Gcid>,
    cause: Cause,
    /// Whether it is seen for the first time that somebody has changed back what was left.
    is_flip: bool,
}

impl Standing {
    /// Begins with what an earlier attempt had learnt.
    pub(super) fn after(earlier: Option<Observation>) -> Self {
        Self { earlier, ..Self::default() }
    }

    /// What a later attempt needs to know of this one.
    pub(super) fn observation(&self) -> Option<Observation> {
        let assessed = self.assessed.as_ref()?;
        Some(Observation {
            wanted: self.wanted.clone(),
            google: self.google.clone(),
            after: self.after.clone(),
            cause: assessed.cause,
            is_overwrite: assessed.is_flip,
        })
    }

    /// The same, once the platform has these categories.
    pub(super) fn observation_after(&self, categories: &CategorySet<TenantCategory>) -> Option<Observation> {
        Some(Observation { after: Some(Wanted::by(categories)), ..self.observation()? })
    }

    /// Notes what the platform wants. Google's side comes first, where it is to be read: what is known of one side alone is a failed look,
    /// unless the platform's says by itself that there is nothing to write.
    pub(super) fn wants(&mut self, wanted: Wanted) {
        self.wanted = Some(wanted);
    }

    /// Notes what Google has.
    pub(super) fn saw(&mut self, side: &Side) {
        self.google = Some(side.seen());
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
        self.google = Some(AtGoogle { merchant: merchant.cloned(), public, in_review, issues });
    }

    /// Notes what the tenant has after a write to the platform.
    pub(super) fn wrote_platform(&mut self, categories: &CategorySet<TenantCategory>) {
        self.after = Some(Wanted::by(categories));
    }

    /// Why Google does not publish edits of the location, as it was read.
    pub(super) fn issues(&self) -> &[LocationIssue] {
        self.google.as_ref().map(|google| google.issues.as_slice()).unwrap_or_default()
    }

    /// Why the tenant was out of sync, as far as the attempt has found out.
    pub(super) fn cause(&self) -> Cause {
        let earlier = || self.earlier.as_ref().map(|earlier| earlier.cause);
        self.assessed.as_ref().map(|assessed| assessed.cause).or_else(earlier).unwrap_or(Cause::Unknown)
    }
}

impl Attempt {
    /// What the platform wants of Google.
    pub(super) fn wanted(&self, source: &Source) -> Wanted {
        Wanted::of(&source.categories, self.tools.settings.max_additional)
    }

    /// Finds out why the sides differ, with what is known from before. It costs statements of its own, so it is for those that differ.
    pub(super) async fn assess(&mut self, source: &Source) -> Result<(), Error> {
        let Some(wanted) = &self.standing.wanted else { return Ok(()) };
        let known = self.known(source).await?;
        let retired = self.retired(source, wanted).await?;
        let baseline = known.as_ref().and_then(|known| known.baseline.as_ref());
        let google = look(self.standing.google.as_ref().or(known.as_ref().and_then(|known| known.google.as_ref())));
        let cause = Facts { wanted, google, baseline: baseline.map(|left| &left.what), retired: &retired }.cause();
        let is_ours = self.run.kind.strategy == Strategy::PlatformToGbp && self.run.orders.reverts.is_none();
        let has_counted =
            known.as_ref().zip(baseline).is_none_or(|(known, left)| known.contest.has_counted(left.by.at));
        // An earlier attempt of the run may have seen what is no longer there.
        let was_flip = self.standing.earlier.as_ref().is_some_and(|earlier| earlier.is_overwrite);
        let is_flip = is_ours && (cause.is_flip() || was_flip) && !has_counted;
        self.standing.assessed = Some(Assessed { known, retired, cause, is_flip });
        Ok(())
    }

    /// Goes on with what the attempt that wrote had observed, so that what is recorded of the tenant is what that attempt would have
    /// recorded.
    pub(super) async fn resume(&mut self, source: &Source) -> Result<(), Error> {
        let Some(Observation { wanted, google, after, cause, is_overwrite }) = self.standing.earlier.clone() else {
            self.standing.wants(self.wanted(source));
            return Ok(());
        };
        self.standing.google = google;
        self.standing.after = after;
        let wanted = wanted.unwrap_or_else(|| self.wanted(source));
        let known = self.known(source).await?;
        let retired = self.retired(source, &wanted).await?;
        self.standing.wanted = Some(wanted);
        self.standing.assessed = Some(Assessed { known, retired, cause, is_flip: is_overwrite });
        Ok(())
    }

    async fn known(&self, source: &Source) -> Result<Option<TenantSync>, Error> {
        match &source.last_look {
            Some(_) => self.tools.store.tenant_sync(&source.tenant.id).await,
            None => Ok(None),
        }
    }

    /// Which of the categories on either side Google's list has no more.
    async fn retired(&self, source: &Source, wanted: &Wanted) -> Result<BTreeSet<Gcid>, Error> {
        let at_google = self.standing.google.iter().flat_map(|google| &google.merchant).flat_map(CategorySet::iter);
        let gcids: BTreeSet<&Gcid> = wanted.gcids().chain(at_google.map(|category| &category.gcid)).collect();
        let Ok(region) = RegionCode::parse(&source.tenant.region_code) else { return Ok(BTreeSet::new()) };
        let gcids: Vec<&Gcid> = gcids.into_iter().collect();
        let standings = self.tools.store.standings(&gcids).await?;
        let is_retired = |gcid: &&&Gcid| standings.of(gcid, Some(&region)) == InList::Retired;
        Ok(gcids.iter().filter(is_retired).map(|gcid| (*gcid).clone()).collect())
    }

    /// Why nothing may be written to Google for this tenant before a person decides; `None`: it may.
    pub(super) fn contested(&self, source: &Source) -> Option<Skip> {
        let Assessed { known, is_flip, .. } = self.standing.assessed.as_ref()?;
        if self.run.orders.is_decided() {
            return None;
        }
        let contest = &known.as_ref()?.contest;
        let tenant = source.tenant.id.resource_name();
        let decide = "DecideTenantSync with ACCEPT_GOOGLE, PUSH_AGAIN or IGNORE decides";
        let mut metadata = BTreeMap::from([
            ("tenant".to_owned(), tenant.clone()),
            ("cause".to_owned(), self.standing.cause().to_string()),
        ]);
        let message = if let Some(ignoring) = contest.ignoring() {
            metadata.insert("decided_by".to_owned(), ignoring.caller.clone());
            format!(
                "{tenant} is left as it is, as {} decided ({}); {decide} otherwise",
                ignoring.caller, ignoring.reason
            )
        } else if contest.contested_at.is_some() || (*is_flip && contest.breaks_out(source.read_at)) {
            let flips = contest.recent(source.read_at) + usize::from(*is_flip);
            metadata.insert("flips".to_owned(), flips.to_string());
            format!(
                "what was written to the location of {tenant} was changed back more than {MAX_FLIPS} times within 7 days, so nothing was \
                 written; {decide}"
            )
        } else {
            return None;
        };
        Some(Skip { reason: SkipReason::Contested, message, metadata })
    }

    /// What the attempt has found that is not recorded yet, at the end of its run.
    pub(super) async fn found(&mut self, result: &RunResult) -> Option<Found> {
        let source = self.read.clone()?;
        let found = self.news(&source, result).await;
        found.unwrap_or_else(|error| {
            tracing::warn!(run_id = %self.run.id, error = %super::cause(&error), "cannot tell how the tenant's sides stand");
            None
        })
    }

    async fn news(&mut self, source: &Source, result: &RunResult) -> Result<Option<Found>, Error> {
        let Some(location) = source.tenant.location.clone() else { return Ok(None) };
        let last = source.last_look.as_ref();
        // Whether a write took effect is not known: then nothing is.
        if let Some(intent) = &self.progress.intent {
            let unresolved = Some(WrittenSet { set: intent.after.clone() });
            return Ok(Some(Found { unresolved, ..Found::failed(location) }));
        }
        if self.standing.wanted.is_none() {
            let is_failure =
                matches!(result, RunResult::Failed(failure) if failure.reason != FailureReason::NotRevertible);
            let is_known = last.is_some_and(|last| last.failed);
            return Ok((is_failure && !is_known).then(|| Found::failed(location)));
        }
        let is_real_success = *result == RunResult::Succeeded && !self.run.kind.dry_run;
        let wants = |standing: &Standing| standing.after.clone().or_else(|| standing.wanted.clone());
        let Some(wanted) = wants(&self.standing) else { return Ok(None) };
        // What both sides have been left with: by a revert, the merchant's record is not what the platform wants, and still it is what was left.
        let merchant = self.standing.google.as_ref().and_then(|google| google.merchant.clone());
        let agrees = wanted.set.as_ref().ok() == merchant.as_ref();
        let is_left = is_real_success && (agrees || self.run.kind.strategy == Strategy::PlatformToGbp);
        let baseline = merchant.filter(|_| is_left).map(|set| Baseline { choices: wanted.choices.clone(), set });
        let digest = digest_of(&wanted, self.standing.google.as_ref());
        let is_flip = |standing: &Standing| standing.assessed.as_ref().is_some_and(|assessed| assessed.is_flip);
        let is_the_same = last.is_some_and(|last| {
            last.digest.as_ref() == Some(&digest)
                && (last.settled || baseline.is_none())
                && self.standing.written.is_none()
        });
        if is_the_same && !is_flip(&self.standing) {
            return Ok(None);
        }
        if self.standing.assessed.is_none() {
            self.assess(source).await?;
        }
        let Some(assessed) = &self.standing.assessed else { return Ok(None) };
        let known = assessed.known.as_ref();
        let google = self.standing.google.clone();
        let before = known.and_then(|known| Some(&known.baseline.as_ref()?.what));
        let cause = Facts {
            wanted: &wanted,
            google: look(google.as_ref().or(known.and_then(|known| known.google.as_ref()))),
            baseline: baseline.as_ref().or(before),
            retired: &assessed.retired,
        }
        .cause();
        let breaks_out = |known: &TenantSync| known.contest.breaks_out(source.read_at);
        let settled = match &baseline {
            Some(_) => true,
            None => before.is_some_and(|left| {
                left.choices == wanted.choices
                    && google.as_ref().is_some_and(|at| at.merchant.as_ref() == Some(&left.set))
            }),
        };
        Ok(Some(Found {
            location,
            cause,
            digest: (cause != Cause::Unknown).then_some(digest),
            settled,
            wanted: Some(Wish {
                retired: wanted.gcids().filter(|gcid| assessed.retired.contains(gcid)).cloned().collect(),
                problem: wanted.set.as_ref().err().map(ToString::to_string),
                set: wanted
                    .set
                    .ok()
                    .map(|set| named_as_observed(set, google.as_ref().and_then(|it| it.merchant.as_ref()))),
            }),
            baseline,
            written: self.standing.written.clone().map(|set| WrittenSet { set }),
            unresolved: None,
            resolved: known.and_then(|known| known.unresolved.clone()).filter(|earlier| {
                google.as_ref().and_then(|google| google.merchant.as_ref()) == Some(&earlier.what.set)
            }),
            google,
            flipped_at: assessed.is_flip.then_some(source.read_at),
            contested: assessed.is_flip && known.is_some_and(breaks_out),
        }))
    }
}

fn look(google: Option<&AtGoogle>) -> Look<'_> {
    google.map_or(Look::Unasked, Look::Read)
}
