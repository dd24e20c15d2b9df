//! What a run says of its write is what Google saw, or that it does not know: for every point of an attempt at which a server can die or an
//! answer be lost, whatever happens before the next attempt, and whatever kind of run it is.

use axum::http::Method;
use category_mirror::{app::FlagCache, runner::Runner, store::Store, wake::WakeUpBus};
use category_mirror_client::{FlagState, Run, RunState, Strategy};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    end_blocked,
    ends::slow_backoff,
    google::{Answer, Google},
    service_for,
};
use crate::{
    flags::{SYNC, switch},
    service::{Service, Setup, categories},
};

/// What the first attempt meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    /// The server dies while it reads the location.
    DiesAtTheRead,
    /// The read of the location fails.
    ReadFails,
    /// The server dies when its update has arrived and not taken effect.
    DiesBeforeTheEffect,
    /// The server dies when its update has taken effect, before the answer.
    DiesBeforeTheAnswer,
    /// The server dies when it has the answer, before it records the end of the run.
    DiesBeforeTheRecord,
    /// The update does not take effect, and the answer says that it may have.
    RefusedInDoubt,
    /// The same, and the read afterwards fails.
    RefusedInDoubtAndReadFails,
    /// The same, while the owner edits the location.
    RefusedWhileTheOwnerEdits,
    /// The update takes effect, and its answer is lost.
    AnswerLost,
    /// The same, and the read afterwards fails.
    AnswerLostAndReadFails,
    /// The same, and the owner edits the location on top of it.
    AnswerLostAndTheOwnerEdits,
}

/// What happens between the first attempt and the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Nothing,
    /// Google refuses the caller.
    Forbidden,
    /// Google does not know the location any more.
    NotFound,
    /// Google fails until no attempt is left.
    Outage,
    /// The primary category becomes unmapped.
    UnmappedCategory,
    /// The tenant's categories are changed.
    OtherCategories,
    /// The kill switch.
    SwitchedOff,
    Cancelled,
    /// The owner makes something else of the location.
    OwnerEdits,
    /// The owner makes of it what it was before the run.
    OwnerReverts,
    /// The tenant gets another location, or that is refused.
    StaleInput,
    /// The tenant loses its location, or that is refused.
    Unbound,
    /// The tenant is deleted, or that is refused.
    Deleted,
    /// Servers keep dying with the run, until it is given up.
    GivenUp,
}

const EVENTS: [Event; 14] = [
    Event::Nothing,
    Event::Forbidden,
    Event::NotFound,
    Event::Outage,
    Event::UnmappedCategory,
    Event::OtherCategories,
    Event::SwitchedOff,
    Event::Cancelled,
    Event::OwnerEdits,
    Event::OwnerReverts,
    Event::StaleInput,
    Event::Unbound,
    Event::Deleted,
    Event::GivenUp,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// It applies the plan of a dry run.
    Applies,
    /// It takes a run back.
    Reverts,
}

const BEFORE: (&str, &[&str]) = ("cafe", &["deli"]);
const AFTER: (&str, &[&str]) = ("cafe", &["bakery"]);
const FOREIGN: (&str, &[&str]) = ("cafe", &["bakery", "bar"]);

fn set((primary, additional): (&str, &[&str])) -> Value {
    categories(primary, additional)
}

/// A runner of a process of its own, that the test drives.
pub(super) fn runner(service: &Service, google: &Google) -> (Runner, CancellationToken) {
    let stop = CancellationToken::new();
    let pool = service.database().pools(5);
    let wake = WakeUpBus::start(pool.clone(), stop.clone());
    let store = Store::new(pool);
    let flags = FlagCache::new(store.clone(), Setup::default().flags);
    let accounts = google.accounts(&store, slow_backoff().lease);
    (Runner::new(store, accounts, wake, flags, slow_backoff()), stop)
}

pub(super) async fn attempt(service: &Service, google: &Google) {
    let (mut runner, stop) = runner(service, google);
    runner.tick(None).await.expect("carried out");
    stop.cancel();
}

async fn execute(service: &Service, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&service.pool).await.expect("executed");
}

/// Accepts a run of this kind, about a location that has what was there before it; gives it with the sets before and after it.
async fn accepted(service: &Service, google: &Google, tenant: &str, kind: Kind) -> (Run, Value, Value) {
    let mirror = || service.client.mirror(tenant, Strategy::PlatformToGbp);
    match kind {
        Kind::Plain => (mirror().send().await.expect("accepted").run, set(BEFORE), set(AFTER)),
        Kind::Applies => {
            let dry_runs = mirror().dry_run(true).send().await.expect("accepted").run;
            attempt(service, google).await;
            (mirror().plan(&dry_runs.name).send().await.expect("accepted").run, set(BEFORE), set(AFTER))
        }
        Kind::Reverts => {
            let first = mirror().send().await.expect("accepted").run;
            attempt(service, google).await;
            let revert = service.client.revert_run(&first.name).send().await.expect("accepted").run;
            (revert, set(AFTER), set(BEFORE))
        }
    }
}

/// The first attempt, up to what it meets.
async fn meet(service: &Service, google: &Google, point: Point) {
    let failing = |status| Answer { applies: false, ..Answer::status(status) };
    let read_fails = || google.script(Method::GET, [Answer::status(200), Answer::status(503)]);
    match point {
        Point::ReadFails => google.script(Method::GET, [Answer::status(503)]),
        Point::RefusedInDoubt => google.script(Method::PATCH, [failing(503)]),
        Point::RefusedInDoubtAndReadFails => {
            google.script(Method::PATCH, [failing(503)]);
            read_fails();
        }
        Point::RefusedWhileTheOwnerEdits => {
            google.script(Method::PATCH, [Answer { owner: Some(set(FOREIGN)), ..failing(503) }]);
        }
        Point::AnswerLost => google.script(Method::PATCH, [Answer::status(502)]),
        Point::AnswerLostAndReadFails => {
            google.script(Method::PATCH, [Answer::status(502)]);
            read_fails();
        }
        Point::AnswerLostAndTheOwnerEdits => {
            google.script(Method::PATCH, [Answer { owner: Some(set(FOREIGN)), ..Answer::status(502) }]);
            read_fails();
        }
        dies => return die(service, google, dies).await,
    }
    attempt(service, google).await;
}

/// A server that dies with the run.
async fn die(service: &Service, google: &Google, point: Point) {
    match point {
        Point::DiesAtTheRead => google.close_for(Method::GET, false),
        Point::DiesBeforeTheEffect => google.close_for(Method::PATCH, false),
        _ => google.close_for(Method::PATCH, true),
    }
    let held = if point == Point::DiesAtTheRead { Method::GET } else { Method::PATCH };
    let calls = google.count(&held);
    let (mut runner, stop) = runner(service, google);
    let task = tokio::spawn(async move { runner.tick(None).await });
    google.has_called(&held, calls + 1).await;
    if point == Point::DiesBeforeTheRecord {
        let mut lock = service.pool.begin().await.expect("begun");
        sqlx::raw_sql("select from run for update").execute(&mut *lock).await.expect("locked");
        google.open();
        end_blocked(service, &task, "%").await;
        lock.rollback().await.expect("unlocked");
    } else {
        task.abort();
        google.holds(0).await;
        google.open();
    }
    let _ = task.await;
    stop.cancel();
}

async fn happen(service: &Service, google: &Google, tenant: &str, run: &Run, event: Event, before: &Value) {
    let client = &service.client;
    match event {
        Event::Nothing | Event::GivenUp => {}
        Event::Forbidden => google.answers(403),
        Event::NotFound => google.answers(404),
        Event::Outage => google.answers(503),
        Event::UnmappedCategory => {
            execute(service, "update platform_category set gcid = null where slug = 'cafe'").await;
        }
        Event::OtherCategories => service.set(tenant, &["cafe", "bar"]).await,
        Event::SwitchedOff => switch(client, SYNC, FlagState::Off).await,
        Event::Cancelled => drop(client.cancel_run(&run.name).send().await.expect("cancelled")),
        Event::OwnerEdits => google.edit(set(FOREIGN)),
        Event::OwnerReverts => google.edit(before.clone()),
        Event::StaleInput => drop(client.update_tenant(tenant).location("1", format!("other-{tenant}")).send().await),
        Event::Unbound => drop(client.update_tenant(tenant).clear_location().send().await),
        Event::Deleted => drop(client.delete_tenant(tenant).send().await),
    }
}

/// Later attempts, each at once, until the run has ended.
async fn go_on(service: &Service, google: &Google, run: &Run, event: Event) -> Run {
    for _ in 0..12 {
        let now = service.get(run).await;
        if now.is_terminal() {
            return now;
        }
        if event == Event::GivenUp {
            execute(
                service,
                "update run set state = 'running', lease_expires_at = now() - interval '1 s', lease_expirations = 1000",
            )
            .await;
        }
        execute(
            service,
            "update run set next_attempt_at = null where state = 'queued';
             update run set lease_expires_at = now() - interval '1 s' where state = 'running'",
        )
        .await;
        attempt(service, google).await;
        // One that comes back from a server that died waits for a moment of its own.
        execute(service, "update run set next_attempt_at = null where state = 'queued'").await;
    }
    panic!("the run does not end: {:?}", service.get(run).await);
}

/// Undoes what would concern the next case, too.
async fn recover(service: &Service, google: &Google, tenant: &str, event: Event) {
    google.answers(200);
    match event {
        Event::UnmappedCategory => {
            execute(service, "update platform_category set gcid = 'gcid:cafe' where slug = 'cafe'").await
        }
        Event::SwitchedOff => switch(&service.client, SYNC, FlagState::On).await,
        Event::OtherCategories => service.set(tenant, &["cafe", "bakery"]).await,
        _ => {}
    }
}

/// What must hold of a run that has ended.
fn check(case: &str, run: &Run, google: &Google, writes: usize, before: &Value) {
    let own = google.writes().split_off(writes);
    let says_so = !run.written_changes.is_empty();
    let does_not_know = run.unresolved_write.is_some();
    assert!(own.len() <= 1 || (own.windows(2).all(|pair| pair[0] == pair[1])), "{case}: it writes one thing: {own:?}");
    if own.is_empty() {
        assert!(!says_so, "{case}: claims {:?}, and Google saw no write", run.written_changes);
    } else {
        assert!(says_so || does_not_know, "{case}: Google saw {own:?}, and the run is silent: {run:?}");
        assert!(!matches!(run.state, RunState::Skipped | RunState::Cancelled), "{case}: {:?}", run.state);
    }
    if does_not_know {
        assert_eq!(run.state, RunState::Failed, "{case}: a write with an unknown outcome is a failure");
        let error = run.error.as_ref().expect("an error");
        assert_eq!(error.metadata["write_outcome"], "unknown", "{case}");
        let write = run.unresolved_write.as_ref().expect("a write");
        assert!(write.gbp_location.is_some() && write.after.is_some(), "{case}: {write:?}");
    }
    if run.state == RunState::Succeeded && says_so {
        let plan = run.plan.as_ref().unwrap_or_else(|| panic!("{case}: a run that wrote has a plan"));
        assert_eq!(plan.changes, run.written_changes, "{case}: the plan is that of the write");
    }
    // Nothing but the run's own writes and the owner's edits is there.
    let now = google.has();
    let known = [before.clone(), set(FOREIGN)].into_iter().chain(own);
    assert!(known.into_iter().any(|known| known == now), "{case}: {now}");
}

/// A revert never takes back what another actor wrote, and a later run brings the location to what is wanted. `after` is what the run asked
/// for last, `befores` what it may have found.
async fn check_afterwards(case: &str, service: &Service, google: &Google, run: &Run, befores: &[Value], after: &Value) {
    let tenant = run.tenant.trim_start_matches("tenants/");
    let (found, writes) = (google.has(), google.writes().len());
    match service.client.revert_run(&run.name).send().await {
        Err(error) => assert_eq!(error.reason(), Some("NOT_REVERTIBLE"), "{case}: {error}"),
        Ok(accepted) => {
            attempt(service, google).await;
            let revert = service.get(&accepted.run).await;
            let is_undone = befores.contains(&google.has()) && found == *after;
            let is_as_found = google.has() == found && google.writes().len() == writes;
            assert!(is_undone || is_as_found, "{case}: {found} became {}", google.has());
            let has_refused = revert.reason.as_deref() == Some("NOT_REVERTIBLE");
            assert!(revert.state == RunState::Succeeded || has_refused, "{case}: {revert:?}");
        }
    }
    let next = service.client.mirror(tenant, Strategy::PlatformToGbp).send().await.expect("accepted").run;
    attempt(service, google).await;
    let next = service.get(&next).await;
    assert_eq!(next.state, RunState::Succeeded, "{case}: {next:?}");
    assert_eq!(google.has(), set(AFTER), "{case}");
    let sync = service.client.get_tenant_sync(tenant).send().await.expect("read");
    assert_eq!(sync.cause.to_string(), "in_sync", "{case}: {sync:?}");
}

/// Every event after this point, for every kind of run.
async fn every_event_after(point: Point) {
    let tenants: Vec<String> = (0..EVENTS.len() * 3).map(|number| format!("t{number}")).collect();
    let service = service_for(&tenants.iter().map(String::as_str).collect::<Vec<_>>()).await;
    service.categories(&[("bar", "gcid:bar"), ("deli", "gcid:deli")]).await;
    let cases =
        [Kind::Plain, Kind::Applies, Kind::Reverts].into_iter().flat_map(|kind| EVENTS.map(|event| (kind, event)));
    for ((kind, event), tenant) in cases.zip(&tenants) {
        let case = format!("{kind:?}, {point:?}, {event:?}");
        let google = Google::start(BEFORE.0, BEFORE.1).await;
        let (run, before, after) = accepted(&service, &google, tenant, kind).await;
        let writes = google.writes().len();
        meet(&service, &google, point).await;
        happen(&service, &google, tenant, &run, event, &before).await;
        let run = go_on(&service, &google, &run, event).await;
        check(&case, &run, &google, writes, &before);
        recover(&service, &google, tenant, event).await;
        if !matches!(event, Event::Deleted | Event::Unbound | Event::StaleInput) && kind == Kind::Plain {
            let after = google.writes().last().cloned().unwrap_or(after);
            let befores = if event == Event::OwnerEdits { vec![before, set(FOREIGN)] } else { vec![before] };
            check_afterwards(&case, &service, &google, &run, &befores, &after).await;
        }
    }
}

macro_rules! points {
    ($($name:ident: $point:ident,)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                every_event_after(Point::$point).await;
            }
        )+
    };
}

points! {
    a_server_that_dies_at_the_read: DiesAtTheRead,
    a_read_that_fails: ReadFails,
    a_server_that_dies_before_the_effect: DiesBeforeTheEffect,
    a_server_that_dies_before_the_answer: DiesBeforeTheAnswer,
    a_server_that_dies_before_the_record: DiesBeforeTheRecord,
    a_refusal_in_doubt: RefusedInDoubt,
    a_refusal_in_doubt_and_a_read_that_fails: RefusedInDoubtAndReadFails,
    a_refusal_in_doubt_while_the_owner_edits: RefusedWhileTheOwnerEdits,
    an_answer_that_is_lost: AnswerLost,
    an_answer_that_is_lost_and_a_read_that_fails: AnswerLostAndReadFails,
    an_answer_that_is_lost_and_an_owner_who_edits: AnswerLostAndTheOwnerEdits,
}
