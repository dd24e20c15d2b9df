//! A model of watchers, reads and lost wake-ups in any order: nobody sees a revision twice or an older one, and everybody sees the last.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::{Just, Strategy, prop, prop_oneof, proptest};

use super::{
    registry::{Subscription, SubscriptionRegistry, SubscriptionScope},
    subscription_queue::{Delivery, PendingUpdate},
    test_run::run,
};
use crate::domain::{Run, RunId, RunState};

const RUNS: usize = 5;
const WATCHERS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    /// A run changes: to what is found by its state, to the ready queue again, or to its end.
    Change(usize, u8),
    /// The feed reads a run, because it heard of it, in time or a little late.
    Read(usize),
    /// What the feed read first is published.
    Publish,
    /// A watcher comes, or goes.
    Toggle(usize),
    /// A watcher reads the next run of what was live when it came.
    LivePage(usize),
    /// And publishes what it read.
    Show(usize),
    /// A watcher takes its mail.
    Take(usize),
    /// The feed scans everything.
    Scan,
    /// So many seconds pass. Nothing is under way for so long.
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..RUNS, 0..8_u8).prop_map(|(run, how)| Step::Change(run, how)),
        4 => (0..RUNS).prop_map(Step::Read),
        4 => Just(Step::Publish),
        1 => (0..WATCHERS).prop_map(Step::Toggle),
        4 => (0..WATCHERS).prop_map(Step::LivePage),
        4 => (0..WATCHERS).prop_map(Step::Show),
        4 => (0..WATCHERS).prop_map(Step::Take),
        1 => Just(Step::Scan),
        1 => (1..200_i64).prop_map(Step::Pass),
    ]
}

struct Watcher {
    subscription: Subscription,
    /// The runs whose turn comes yet.
    page: Vec<usize>,
    read: Option<Arc<Run>>,
    /// Runs that came before their turn.
    early: HashSet<RunId>,
    seen: HashMap<RunId, i64>,
}

impl Watcher {
    fn sees(&mut self, run: &Run) {
        let before = self.seen.insert(run.id, run.revision).unwrap_or_default();
        assert!(run.revision > before, "{} after {before}", run.revision);
    }

    fn take(&mut self) -> bool {
        match self.subscription.queue.take() {
            Some(Delivery::PendingUpdate(_, PendingUpdate::Snapshot(run))) => {
                self.early.insert(run.id);
                self.sees(&run);
            }
            Some(other) => panic!("{other:?}"),
            None => return false,
        }
        true
    }
}

struct Model {
    registry: SubscriptionRegistry,
    runs: Vec<Run>,
    /// Whether it is where only its state finds it.
    is_in_line: Vec<bool>,
    /// Whether there was a change, or the run's begin, that a wake-up may still come of.
    is_hinted: Vec<bool>,
    under_way: Vec<Arc<Run>>,
    watchers: Vec<Option<Watcher>>,
    time: DateTime<Utc>,
    now: Instant,
}

impl Model {
    fn new() -> Self {
        let time = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        // Each a minute older than the one before.
        let created = |n: usize| time - TimeDelta::minutes(i64::try_from(n).expect("small"));
        Self {
            registry: SubscriptionRegistry::default(),
            runs: (0..RUNS).map(|n| run(created(n), &format!("t{n}"))).collect(),
            is_in_line: vec![true; RUNS],
            is_hinted: (0..RUNS).map(|run| run == 0).collect(),
            under_way: Vec::new(),
            watchers: (0..WATCHERS).map(|_| None).collect(),
            time,
            now: Instant::now(),
        }
    }

    fn change(&mut self, run: usize, how: u8) {
        let changed = &mut self.runs[run];
        if changed.state.is_terminal() {
            return;
        }
        changed.revision += 1;
        self.is_hinted[run] = true;
        self.is_in_line[run] = how == 1;
        if how == 0 {
            (changed.state, changed.ended_at) = (RunState::Succeeded, Some(self.time));
        }
    }

    fn do_step(&mut self, step: Step) {
        match step {
            Step::Change(run, how) => self.change(run, how),
            Step::Read(run) => {
                if self.is_hinted[run] && self.registry.concerns(self.runs[run].id) {
                    self.under_way.push(Arc::new(self.runs[run].clone()));
                }
            }
            Step::Publish => {
                if !self.under_way.is_empty() {
                    let run = self.under_way.remove(0);
                    self.registry.publish(&run, self.now);
                }
            }
            Step::Toggle(watcher) => match self.watchers[watcher].take() {
                Some(gone) => self.registry.unsubscribe(&gone.subscription),
                None => {
                    let subscription = self.registry.subscribe(&SubscriptionScope::Everything);
                    self.registry.begin(self.time);
                    let page = (0..RUNS).filter(|run| !self.runs[*run].state.is_terminal()).collect();
                    self.watchers[watcher] =
                        Some(Watcher { subscription, page, read: None, early: HashSet::new(), seen: HashMap::new() });
                }
            },
            Step::LivePage(watcher) => {
                if let Some(watcher) = &mut self.watchers[watcher]
                    && watcher.read.is_none()
                {
                    let next = watcher.page.pop().map(|run| &self.runs[run]);
                    watcher.read = next.filter(|run| !run.state.is_terminal()).cloned().map(Arc::new);
                }
            }
            Step::Show(watcher) => {
                if let Some(watcher) = &mut self.watchers[watcher]
                    && let Some(run) = watcher.read.take()
                    && !(run.revision == 1 && watcher.early.contains(&run.id))
                    && self.registry.show(&watcher.subscription, &run, self.now)
                    && !watcher.subscription.queue.has(run.id)
                {
                    watcher.sees(&run);
                }
            }
            Step::Take(watcher) => {
                if let Some(watcher) = &mut self.watchers[watcher] {
                    watcher.take();
                }
            }
            Step::Scan => self.scan(),
            Step::Pass(seconds) => {
                self.settle();
                self.is_hinted = vec![false; RUNS];
                self.time += TimeDelta::seconds(seconds);
                self.now += Duration::from_secs(seconds.unsigned_abs());
                self.scan();
            }
        }
    }

    /// What the statements of a scan find.
    fn scan(&mut self) {
        let Some(scan_range) = self.registry.scan_range() else { return };
        let is_found = |(run, is_in_line): (&Run, &bool)| {
            scan_range.named.contains(&run.id)
                || match run.ended_at {
                    Some(ended_at) => ended_at > scan_range.ended_after,
                    None => !is_in_line || run.id > scan_range.new_after,
                }
        };
        let found = self.runs.iter().zip(&self.is_in_line).filter(|pair| is_found(*pair));
        let found: Vec<(RunId, i64)> = found.map(|(run, _)| (run.id, run.revision)).collect();
        let news = self.registry.news(&found);
        self.registry.scanned(self.time, &[], self.now);
        self.under_way.extend(self.runs.iter().filter(|run| news.contains(&run.id)).cloned().map(Arc::new));
    }

    /// Everything that is under way arrives.
    fn settle(&mut self) {
        for run in std::mem::take(&mut self.under_way) {
            self.registry.publish(&run, self.now);
        }
        for watcher in 0..WATCHERS {
            self.do_step(Step::Show(watcher));
        }
    }

    fn end(mut self) {
        for run in 0..RUNS {
            self.change(run, 2);
        }
        self.scan();
        for watcher in 0..WATCHERS {
            while self.watchers[watcher].as_ref().is_some_and(|watcher| !watcher.page.is_empty()) {
                self.do_step(Step::LivePage(watcher));
                self.do_step(Step::Show(watcher));
            }
        }
        self.settle();
        for watcher in self.watchers.iter_mut().flatten() {
            while watcher.take() {}
            for run in self.runs.iter().filter(|run| !run.state.is_terminal() || watcher.seen.contains_key(&run.id)) {
                assert_eq!(watcher.seen.get(&run.id), Some(&run.revision), "the last is never missed: {}", run.id);
            }
        }
    }
}

proptest! {
    #[test]
    fn nobody_sees_a_revision_twice_or_an_older_one_and_everybody_the_last(steps in prop::collection::vec(step(), 0..120)) {
        let mut model = Model::new();
        for step in steps {
            model.do_step(step);
        }
        model.end();
    }
}
