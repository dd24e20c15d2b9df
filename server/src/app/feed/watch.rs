//! One watch: the runs that are live when it begins, page by page, and then each change.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use super::{
    memory::ReadAheadPermit,
    registry::{FIRST, Subscription, SubscriptionScope},
    shared::{FeedState, READ_BATCH_SIZE},
    subscription_queue::{CloseReason, Delivery, MAX_LAG, PendingUpdate},
};
use crate::{
    domain::{Batch, BatchId, Caller, Run, RunFilter, RunId, TenantScope},
    error::Error,
    store::LiveFilter,
};

/// Live runs that are read at once.
const LIVE_PAGE_SIZE: usize = 100;
/// When a reader that was too slow should open another watch.
const LAGGED_RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// A watch. It ends when it is dropped.
#[derive(Debug)]
pub struct Watch {
    feed: FeedState,
    subscription: Subscription,
    /// Who watches: reads are counted by caller.
    caller: String,
    /// Whose runs it may show.
    scope: TenantScope,
    /// What is live and was not read yet.
    page: Option<Box<LivePage>>,
    /// Read by the watch itself, and not given yet.
    ready: VecDeque<Arc<Run>>,
    /// The room that `ready` takes.
    ahead: Option<ReadAheadPermit>,
    /// Changed, and to be read by the watch itself: run and revision.
    unread: Vec<(RunId, i64)>,
    /// Where it watches one run: the newest revision that is no news.
    seen: Option<i64>,
    /// Where it watches a batch: which.
    batch: Option<BatchId>,
    /// Whether to check if the batch is over.
    is_notified: bool,
    /// Whether nothing more comes than what is here already.
    is_last: bool,
    has_ended: bool,
}

#[derive(Debug)]
struct LivePage {
    filter: LiveFilter,
    after: RunId,
    /// New runs that the pages have not reached, and that were given already: the registry forgets them sooner than a slow reader comes by.
    early: HashSet<RunId>,
}

impl Watch {
    /// Begins a watch of many runs.
    pub(super) async fn of_many(
        feed: FeedState,
        scope: &SubscriptionScope,
        caller: &Caller,
        filter: LiveFilter,
    ) -> Result<Self, Error> {
        let mut watch = Self::begin(feed, scope, caller).await?;
        watch.page = Some(Box::new(LivePage { filter, after: FIRST, early: HashSet::new() }));
        watch.read_page().await?;
        Ok(watch)
    }

    /// Begins a watch of a batch.
    pub(super) async fn of_batch(
        feed: FeedState,
        batch: &Batch,
        caller: &Caller,
        filter: LiveFilter,
    ) -> Result<Self, Error> {
        let mut watch = Self::of_many(feed, &SubscriptionScope::Batch(batch.id), caller, filter).await?;
        watch.batch = Some(batch.id);
        watch.is_last = batch.ended_at.is_some();
        // It may have ended between the read of it and the subscription.
        watch.is_notified = true;
        Ok(watch)
    }

    /// Begins a watch of one run, that `read` reads.
    pub(super) async fn of_one(
        feed: FeedState,
        run: RunId,
        after_revision: i64,
        caller: &Caller,
        read: impl Future<Output = Result<Run, Error>>,
    ) -> Result<Self, Error> {
        let mut watch = Self::begin(feed, &SubscriptionScope::Run(run), caller).await?;
        watch.seen = Some(after_revision);
        let run = Arc::new(read.await?);
        // A terminal run never changes again, so there is nothing to remember of it.
        if !run.state.is_terminal() {
            watch.feed.registry().show(&watch.subscription, &run, Instant::now());
        }
        watch.ready.push_back(run);
        Ok(watch)
    }

    async fn begin(feed: FeedState, scope: &SubscriptionScope, caller: &Caller) -> Result<Self, Error> {
        // Before anything is read: a change between the two would be missed.
        let subscription = feed.registry().subscribe(scope);
        let watch = Self {
            feed,
            subscription,
            caller: caller.subject.clone(),
            scope: caller.scope.clone(),
            page: None,
            ready: VecDeque::new(),
            ahead: None,
            unread: Vec::new(),
            seen: None,
            batch: None,
            is_notified: false,
            is_last: false,
            has_ended: false,
        };
        // From here on dropping the watch ends the subscription, also when the read fails.
        if !watch.feed.registry().has_begun() {
            let time = watch.feed.store.time(None).await?;
            watch.feed.registry().begin(time);
        }
        Ok(watch)
    }

    /// Waits for the next snapshot. `None` after the last one of a single run or a batch. Cancel-safe.
    ///
    /// # Errors
    /// The database's, and [`Error::RateLimited`] when the watcher is too far behind. Nothing comes after an error.
    pub async fn next(&mut self) -> Result<Option<Arc<Run>>, Error> {
        loop {
            if self.has_ended {
                return Ok(None);
            }
            // In this order: what was read goes before what is to be read, changes before more pages, so that a long list of live runs does
            // not keep them back, and the end comes last. Each step that awaits changes nothing before its await: a call that is dropped in
            // the middle loses nothing.
            if let Some(run) = self.ready.pop_front() {
                self.release_read_ahead();
                // A newer one goes in its place.
                if !self.subscription.queue.has(run.id) && self.is_news(&run) {
                    return Ok(Some(run));
                }
            } else if !self.unread.is_empty() {
                self.read().await?;
            } else if let Some(delivery) = self.subscription.queue.take() {
                if let Some(run) = self.open(delivery)?.filter(|run| self.is_news(run)) {
                    if let Some(page) = self.page.as_mut().filter(|page| run.revision == 1 && run.id > page.after) {
                        page.early.insert(run.id);
                    }
                    return Ok(Some(run));
                }
            } else if self.page.is_some() {
                self.read_page().await?;
            } else if self.is_last {
                return Ok(None);
            } else if let Some(batch) = self.batch_to_check() {
                self.check_batch(batch).await?;
            } else {
                self.subscription.queue.filled().await;
            }
        }
    }

    fn batch_to_check(&mut self) -> Option<BatchId> {
        self.is_notified |= self.subscription.queue.take_notification();
        self.batch.filter(|_| self.is_notified)
    }

    /// Checks whether a batch has ended. If it has, its runs are scanned once more, because no wake-up comes for it afterwards.
    async fn check_batch(&mut self, batch: BatchId) -> Result<(), Error> {
        let store = self.feed.store.clone();
        let has_ended = self
            .in_own_task(async move { store.batch(batch).await })
            .await?
            .is_none_or(|batch| batch.ended_at.is_some());
        let scan_range = if has_ended { self.feed.registry().scan_range() } else { None };
        if let Some(scan_range) = scan_range {
            let store = self.feed.store.clone();
            let found =
                self.in_own_task(async move { store.ended_of_batch(batch, scan_range.ended_after).await }).await?;
            let news = self.feed.registry().news(&found);
            for ids in news.chunks(READ_BATCH_SIZE) {
                let (store, ids) = (self.feed.store.clone(), ids.to_vec());
                let runs = self.in_own_task(async move { store.runs(&RunFilter::default(), &ids).await }).await?;
                self.feed.publish(runs);
            }
            self.is_last = true;
        }
        // Last: a check that is cancelled in the middle is made again.
        self.is_notified = false;
        Ok(())
    }

    /// Opens a delivery, and those after it that only say what to read: one statement reads for all of them.
    fn open(&mut self, delivery: Delivery) -> Result<Option<Arc<Run>>, Error> {
        let mut next = Some(delivery);
        while let Some(delivery) = next {
            match delivery {
                Delivery::PendingUpdate(_, PendingUpdate::Snapshot(run)) => return Ok(Some(run)),
                Delivery::PendingUpdate(run, PendingUpdate::Revision(revision)) => self.unread.push((run, revision)),
                Delivery::CloseReason(CloseReason::Lagged) => {
                    let problem = "this stream's reader is too many runs behind";
                    return Err(Error::RateLimited { problem, limit: MAX_LAG, wait: LAGGED_RETRY_AFTER });
                }
                Delivery::CloseReason(CloseReason::Unavailable) => {
                    return Err(Error::DatabaseUnavailable("the changes of runs cannot be read".into()));
                }
            }
            next = if self.unread.len() < READ_BATCH_SIZE { self.subscription.queue.take() } else { None };
        }
        Ok(None)
    }

    /// Takes room for runs to read. What was read before was given.
    fn read_ahead(&mut self, wanted: usize) -> usize {
        self.ahead = None;
        self.ahead.insert(self.feed.ahead.take(wanted)).count
    }

    /// Frees the room of runs that were given, or that there were not.
    fn release_read_ahead(&mut self) {
        if let Some(ahead) = &mut self.ahead {
            ahead.shrink_to(self.ready.len());
        }
    }

    /// Reads some of the runs whose snapshots were not kept for it.
    async fn read(&mut self) -> Result<(), Error> {
        let count = self.read_ahead(self.unread.len());
        let ids: Vec<RunId> = self.unread[..count].iter().map(|(id, _)| *id).collect();
        let store = self.feed.store.clone();
        let runs = self.in_own_task(async move { store.runs(&RunFilter::default(), &ids).await }).await?;
        // After the read, which may be cancelled.
        let read: Vec<(RunId, i64)> = self.unread.drain(..count).collect();
        let (mut registry, now) = (self.feed.registry(), Instant::now());
        for run in runs.into_iter().map(Arc::new) {
            if read.contains(&(run.id, run.revision)) {
                self.ready.push_back(run);
            } else {
                // It changed once more: then it comes, or has come, as that.
                registry.publish(&run, now);
            }
        }
        drop(registry);
        self.release_read_ahead();
        Ok(())
    }

    async fn read_page(&mut self) -> Result<(), Error> {
        let count = self.read_ahead(LIVE_PAGE_SIZE);
        let Some(page) = &self.page else { return Ok(()) };
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        let (store, filter, after) = (self.feed.store.clone(), page.filter.clone(), page.after);
        let runs = self.in_own_task(async move { store.live_runs(&filter, after, limit).await }).await?;
        let Some(page) = &mut self.page else { return Ok(()) };
        // A page that is not full is the last one.
        let next = runs.last().filter(|_| runs.len() == count).map(|last| last.id);
        let (mut registry, now) = (self.feed.registry(), Instant::now());
        for run in runs.into_iter().map(Arc::new) {
            let was_given = page.early.remove(&run.id) && run.revision == 1;
            if !was_given && registry.show(&self.subscription, &run, now) {
                self.ready.push_back(run);
            }
        }
        drop(registry);
        match next {
            Some(next) => page.after = next,
            None => self.page = None,
        }
        self.release_read_ahead();
        Ok(())
    }

    /// Reads by a task of its own.
    async fn in_own_task<T: Send + 'static>(
        &self,
        read: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.feed.reads.read(&self.caller, read).await
    }

    fn is_news(&mut self, run: &Run) -> bool {
        if let Some(seen) = &mut self.seen {
            self.has_ended = run.state.is_terminal();
            if run.revision <= std::mem::replace(seen, run.revision.max(*seen)) {
                return false;
            }
        }
        self.scope.allows(&run.tenant)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.feed.registry().unsubscribe(&self.subscription);
    }
}
