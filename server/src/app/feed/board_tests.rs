//! A model of watchers, reads and lost hints in any order: nobody sees a revision twice or an older one, and everybody sees the last.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::{Just, Strategy as _, prop, prop_oneof, proptest};
use uuid::Uuid;

use super::{
    board::{Board, Interest, Place},
    mailbox::{End, MAX_BEHIND, Mail, Mailbox, News},
};
use crate::domain::{ChangeCounts, Orders, OrganizationId, Run, RunId, RunKind, RunState, Strategy, TenantId};

const RUNS: usize = 5;
const WATCHERS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    /// A run changes: to what is found by its state, to the line again, or to its end.
    Change(usize, u8),
    /// The feed reads a run, because it heard of it, in time or a little late.
    Read(usize),
    /// What the feed read first is published.
    Publish,
    /// A watcher comes, or goes.
    Toggle(usize),
    /// A watcher reads the next run of what was live when it came.
    Page(usize),
    /// And puts what it read on the board.
    Show(usize),
    /// A watcher takes its mail.
    Take(usize),
    /// The feed looks at everything.
    Look,
    /// So many seconds pass. Nothing is under way for so long.
    Pass(i64),
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    prop_oneof![
        4 => (0..RUNS, 0..8_u8).prop_map(|(run, how)| Step::Change(run, how)),
        4 => (0..RUNS).prop_map(Step::Read),
        4 => Just(Step::Publish),
        1 => (0..WATCHERS).prop_map(Step::Toggle),
        4 => (0..WATCHERS).prop_map(Step::Page),
        4 => (0..WATCHERS).prop_map(Step::Show),
        4 => (0..WATCHERS).prop_map(Step::Take),
        1 => Just(Step::Look),
        1 => (1..200_i64).prop_map(Step::Pass),
    ]
}

struct Watcher {
    place: Place,
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
        match self.place.mailbox.take() {
            Some(Mail::News(_, News::Snapshot(run))) => {
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
    board: Board,
    runs: Vec<Run>,
    /// Whether it is where only its state finds it.
    is_in_line: Vec<bool>,
    /// Whether there was a change, or the run's begin, that a hint may still come of.
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
            board: Board::default(),
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
                if self.is_hinted[run] && self.board.concerns(self.runs[run].id) {
                    self.under_way.push(Arc::new(self.runs[run].clone()));
                }
            }
            Step::Publish => {
                if !self.under_way.is_empty() {
                    let run = self.under_way.remove(0);
                    self.board.publish(&run, self.now);
                }
            }
            Step::Toggle(watcher) => match self.watchers[watcher].take() {
                Some(gone) => self.board.leave(&gone.place),
                None => {
                    let place = self.board.enter(&Interest::Everything);
                    self.board.begin(self.time);
                    let page = (0..RUNS).filter(|run| !self.runs[*run].state.is_terminal()).collect();
                    self.watchers[watcher] =
                        Some(Watcher { place, page, read: None, early: HashSet::new(), seen: HashMap::new() });
                }
            },
            Step::Page(watcher) => {
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
                    && self.board.show(&watcher.place, &run, self.now)
                    && !watcher.place.mailbox.has(run.id)
                {
                    watcher.sees(&run);
                }
            }
            Step::Take(watcher) => {
                if let Some(watcher) = &mut self.watchers[watcher] {
                    watcher.take();
                }
            }
            Step::Look => self.look(),
            Step::Pass(seconds) => {
                self.settle();
                self.is_hinted = vec![false; RUNS];
                self.time += TimeDelta::seconds(seconds);
                self.now += Duration::from_secs(seconds.unsigned_abs());
                self.look();
            }
        }
    }

    /// What the statements of a look find.
    fn look(&mut self) {
        let Some(horizon) = self.board.horizon() else { return };
        let is_found = |(run, is_in_line): (&Run, &bool)| {
            horizon.named.contains(&run.id)
                || match run.ended_at {
                    Some(ended_at) => ended_at > horizon.ended_after,
                    None => !is_in_line || run.id > horizon.new_after,
                }
        };
        let found = self.runs.iter().zip(&self.is_in_line).filter(|pair| is_found(*pair));
        let found: Vec<(RunId, i64)> = found.map(|(run, _)| (run.id, run.revision)).collect();
        let news = self.board.news(&found);
        self.board.looked(self.time, &[], self.now);
        self.under_way.extend(self.runs.iter().filter(|run| news.contains(&run.id)).cloned().map(Arc::new));
    }

    /// Everything that is under way arrives.
    fn settle(&mut self) {
        for run in std::mem::take(&mut self.under_way) {
            self.board.publish(&run, self.now);
        }
        for watcher in 0..WATCHERS {
            self.do_step(Step::Show(watcher));
        }
    }

    fn end(mut self) {
        for run in 0..RUNS {
            self.change(run, 2);
        }
        self.look();
        for watcher in 0..WATCHERS {
            while self.watchers[watcher].as_ref().is_some_and(|watcher| !watcher.page.is_empty()) {
                self.do_step(Step::Page(watcher));
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

fn run(created_at: DateTime<Utc>, tenant: &str) -> Run {
    let millis = created_at.timestamp_millis().unsigned_abs();
    Run {
        id: uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid(),
        tenant: TenantId::parse(tenant).expect("an id"),
        organization: None,
        batch: None,
        kind: RunKind { strategy: Strategy::PlatformToGbp, dry_run: false },
        state: RunState::Queued,
        revision: 1,
        attempt: 0,
        max_attempts: 5,
        handed_back: 0,
        cancel_requested: false,
        orders: Orders::default(),
        plan: None,
        attempts: Vec::new(),
        attempted_at: None,
        written: Vec::new(),
        counts: ChangeCounts::default(),
        skipped_categories: 0,
        reason: None,
        error: None,
        caller: "tester".to_owned(),
        request_id: None,
        created_at,
        started_at: None,
        ended_at: None,
        due_at: None,
    }
}

#[test]
fn each_hears_of_what_it_watches_and_the_last_who_leaves_takes_everything_along() {
    let tenant = |id| TenantId::parse(id).expect("an id");
    let organization = OrganizationId::parse("chain").expect("an id");
    let other = run(Utc::now(), "b");
    let mut of_chain = run(Utc::now() + TimeDelta::seconds(1), "a");
    of_chain.organization = Some(organization.clone());
    let mut board = Board::default();
    let heard = [
        (Interest::Run(of_chain.id), 1),
        (Interest::Run(other.id), 1),
        (Interest::Tenants(vec![tenant("a"), tenant("a")]), 1),
        (Interest::Tenants(vec![tenant("a"), tenant("b")]), 2),
        (Interest::Tenants(vec![]), 0),
        (Interest::Organization(organization), 1),
        (Interest::Everything, 2),
    ];
    let places: Vec<Place> = heard.iter().map(|(interest, _)| board.enter(interest)).collect();
    for run in [&of_chain, &other] {
        board.publish(&Arc::new(run.clone()), Instant::now());
    }
    for ((interest, count), place) in heard.iter().zip(&places) {
        let mut news = 0;
        while place.mailbox.take().is_some() {
            news += 1;
        }
        assert_eq!(news, *count, "{interest:?}");
    }
    board.begin(Utc::now());
    for place in &places {
        assert!(board.has_begun());
        board.leave(place);
    }
    assert!(!board.has_begun() && !board.concerns(other.id));
}

#[test]
fn who_does_not_read_keeps_a_few_snapshots_then_ids_and_is_sent_away_at_last() {
    let mailbox = Mailbox::default();
    let template = run(Utc::now(), "a");
    let numbered = |n: usize| Arc::new(Run { id: Uuid::from_u128(n as u128 + 1), ..template.clone() });
    for n in 0..MAX_BEHIND {
        mailbox.put(&numbered(n));
        // The newest takes the place of the one before.
        mailbox.put(&Arc::new(Run { revision: 2, ..Run::clone(&numbered(n)) }));
    }
    let (mut snapshots, mut ids) = (0, 0);
    for _ in 0..1000 {
        match mailbox.take() {
            Some(Mail::News(_, News::Snapshot(run))) => {
                assert_eq!(run.revision, 2);
                snapshots += 1;
            }
            Some(Mail::News(_, News::Revision(2))) => ids += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((snapshots, ids), (256, 744));
    for n in MAX_BEHIND..MAX_BEHIND + 1001 {
        mailbox.put(&numbered(n));
    }
    assert!(matches!(mailbox.take(), Some(Mail::End(End::Behind))));
    assert!(!mailbox.has(template.id));
}
