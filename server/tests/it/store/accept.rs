//! Accepting runs: joins, conflicts, request ids, and what happens at the same time.

use std::collections::{BTreeSet, HashMap};

use category_mirror::{
    domain::{RunId, RunResult, Tenant},
    error::Error,
    store::{Acceptor, AttemptProgress, NewRun, Store, connect},
};
use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use sqlx::{
    Row,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio_util::sync::CancellationToken;

use super::{DRY, REAL, at, held, id, new_run, shape, store_with, tenant};

fn request(tenant: &str, dry_run: bool, request_id: &str) -> NewRun {
    NewRun { request_id: Some(request_id.to_owned()), ..new_run(tenant, dry_run) }
}

#[tokio::test]
async fn a_live_run_of_the_kind_is_joined_and_one_of_another_kind_is_in_the_way() {
    let store = store_with(&["a", "b"]).await;
    let first = new_run("a", REAL);
    assert_eq!(shape(&store.accept(at(0), &first).await), Ok((first.id, false, true)));
    assert_eq!(shape(&store.accept(at(1), &new_run("a", REAL)).await), Ok((first.id, true, false)));

    let error = store.accept(at(1), &new_run("a", DRY)).await.expect_err("in the way");
    let Error::RunInProgress { run, kind } = &error else { panic!("{error}") };
    assert_eq!((run, kind.as_str()), (&format!("tenants/a/runs/{}", first.id), "platform_to_gbp"));
    assert_eq!(
        shape(&store.accept(at(1), &new_run("b", DRY)).await).map(|shape| shape.2),
        Ok(true),
        "another tenant's"
    );

    // The place is free when the run has ended, however long it is remembered.
    let claimed = store.claim(at(2), 10, super::LEASE).await.expect("claimed");
    let first = claimed.iter().find(|claimed| claimed.run.id == first.id).expect("claimed");
    assert!(
        store
            .finish(at(3), held(first), 1, &RunResult::Succeeded, &AttemptProgress::default())
            .await
            .expect("finished")
    );
    assert_eq!(shape(&store.accept(at(4), &new_run("a", DRY)).await).map(|shape| shape.2), Ok(true));
}

#[tokio::test]
async fn d30_a_tenant_without_a_location_or_none_at_all_gets_no_run() {
    let store = store_with(&[]).await;
    let homeless = Tenant { account: None, location: None, ..tenant("a") };
    store.insert_tenant(at(0), &homeless).await.expect("a tenant");

    assert_eq!(shape(&store.accept(at(0), &request("a", REAL, "r")).await), Err("NO_LOCATION"));
    assert_eq!(shape(&store.accept(at(0), &request("b", REAL, "r")).await), Err("TENANT_NOT_FOUND"));
    for table in ["select count(*) from all_runs", "select count(*) from idempotency_key"] {
        let count: i64 = sqlx::query(table).fetch_one(&store.pool).await.expect("counted").get(0);
        assert_eq!(count, 0, "{table}");
    }
}

#[tokio::test]
async fn a_request_id_repeats_its_first_answer_for_a_day() {
    const DAY: i64 = 24 * 3600;
    let store = store_with(&["a", "b"]).await;
    let first = request("a", REAL, "r");
    let answer = Ok((first.id, false, true));
    assert_eq!(shape(&store.accept(at(0), &first).await), answer);
    let claimed = store.claim_one(0).await;
    assert!(
        store
            .finish(at(1), held(&claimed), 1, &RunResult::Succeeded, &AttemptProgress::default())
            .await
            .expect("finished")
    );

    let again = store.accept(at(DAY), &request("a", REAL, "r")).await;
    assert_eq!(shape(&again), Ok((first.id, false, false)), "also after its run has ended");
    assert!(again.expect("accepted").run.state.is_terminal(), "the run is shown as it is now");
    assert_eq!(shape(&store.accept(at(2), &request("a", DRY, "r")).await), Err("REQUEST_ID_REUSED"));
    assert_eq!(shape(&store.accept(at(2), &request("b", REAL, "r")).await), Err("REQUEST_ID_REUSED"));

    let other = NewRun { caller: "somebody else".to_owned(), ..request("b", REAL, "r") };
    assert_eq!(shape(&store.accept(at(2), &other).await), Ok((other.id, false, true)), "an id is its caller's");

    let later = request("a", DRY, "r");
    let group = store.accept_all(at(DAY + 1), std::slice::from_ref(&later)).await.expect("answered");
    assert!(matches!(group[..], [None]), "a group leaves what is old to the way of one run");
    assert_eq!(shape(&store.accept(at(DAY + 1), &later).await), Ok((later.id, false, true)), "forgotten");
}

#[tokio::test]
async fn a_request_that_joined_says_so_again() {
    let store = store_with(&["a"]).await;
    let live = store.accepted(0, "a").await.id;
    for _ in 0..2 {
        assert_eq!(shape(&store.accept(at(1), &request("a", REAL, "r")).await), Ok((live, true, false)));
    }
}

#[tokio::test]
async fn a_refused_request_leaves_its_id_free() {
    let store = store_with(&["a"]).await;
    let live = store.claimed(0, "a", REAL).await;
    assert_eq!(shape(&store.accept(at(1), &request("a", DRY, "r")).await), Err("RUN_IN_PROGRESS"));
    assert!(
        store
            .finish(at(2), held(&live), 1, &RunResult::Cancelled, &AttemptProgress::default())
            .await
            .expect("finished")
    );
    assert_eq!(shape(&store.accept(at(3), &request("a", DRY, "r")).await).map(|shape| shape.2), Ok(true));
}

#[tokio::test]
async fn d12_of_many_at_once_one_makes_the_run_and_the_others_join_it() {
    let store = store_with(&["a"]).await;
    let answers = join_all((0..12).map(|_| {
        let store = store.store.clone();
        async move { store.accept(at(0), &new_run("a", REAL)).await.expect("accepted") }
    }))
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.created).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.joined).count(), 11);
    assert!(answers.iter().all(|answer| answer.run.id == answers[0].run.id));
}

#[tokio::test]
async fn of_one_request_id_at_once_all_get_the_first_answer() {
    let store = store_with(&["a", "b"]).await;
    let calls = (0..12).map(|n| {
        let store = store.store.clone();
        // Two of the twelve mean something else.
        let request = if n % 6 == 5 { request("b", REAL, "r") } else { request("a", REAL, "r") };
        async move { shape(&store.accept(at(0), &request).await) }
    });
    let answers = join_all(calls).await;
    let accepted: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    assert!(accepted.iter().all(|(run, joined, _)| *run == accepted[0].0 && !joined), "{answers:?}");
    assert_eq!(accepted.iter().filter(|(_, _, created)| *created).count(), 1);
    assert!(answers.iter().filter_map(|answer| answer.as_ref().err()).all(|reason| *reason == "REQUEST_ID_REUSED"));
}

#[tokio::test]
async fn a_tenant_that_is_deleted_meanwhile_gets_no_run_or_one_that_says_so() {
    let store = store_with(&[]).await;
    for _ in 0..20 {
        store.insert_tenant(at(0), &tenant("a")).await.expect("a tenant");
        let new = new_run("a", REAL);
        let a = id("a");
        let (accepted, deleted) = tokio::join!(store.accept(at(0), &new), store.delete_tenant(&a));
        match (shape(&accepted), deleted.map_err(|error| error.reason())) {
            (Ok(_), Err("RUN_IN_PROGRESS")) => {
                store.cancel(at(1), new.id).await.expect("cancelled");
                store.delete_tenant(&a).await.expect("deleted");
            }
            (Err("TENANT_NOT_FOUND"), Ok(())) => assert!(store.run(new.id).await.expect("read").is_none()),
            // The runner tells: see `rows::source`.
            (Ok((run, false, true)), Ok(())) => {
                let run = store.run(run).await.expect("read").expect("durable");
                assert!(store.tenant_snapshots(at(1), &[&run]).await.expect("read").is_empty(), "there is a tenant");
                store.cancel(at(1), new.id).await.expect("cancelled");
            }
            both => panic!("{both:?}"),
        }
    }
}

#[tokio::test]
async fn old_request_ids_are_forgotten_in_batches() {
    const DAY: i64 = 24 * 3600;
    let store = store_with(&["a"]).await;
    for (n, seconds) in [0, 1, 2, 50].into_iter().enumerate() {
        store.accept(at(seconds), &request("a", REAL, &format!("r{n}"))).await.expect("accepted");
    }
    assert_eq!(store.delete_expired_requests(at(DAY), 10).await.expect("forgot"), 0, "a day is a day");
    assert_eq!(store.delete_expired_requests(at(DAY + 10), 2).await.expect("forgot"), 2);
    assert_eq!(store.delete_expired_requests(at(DAY + 10), 2).await.expect("forgot"), 1);
    let left: i64 =
        sqlx::query_scalar("select count(*) from idempotency_key").fetch_one(&store.pool).await.expect("read");
    assert_eq!(left, 1);
    let again = store.accept(at(DAY + 10), &request("a", REAL, "r3")).await;
    assert_eq!(shape(&again).map(|shape| shape.2), Ok(false), "the youngest is the one that is left");
}

#[tokio::test]
async fn a_group_is_answered_as_each_would_be_alone() {
    let store = store_with(&["new", "live", "other", "told", "reused"]).await;
    let homeless = Tenant { account: None, location: None, ..tenant("homeless") };
    store.insert_tenant(at(0), &homeless).await.expect("a tenant");
    let live = store.accepted(0, "live").await.id;
    store.accepted(0, "other").await;
    let first = request("told", REAL, "r1");
    store.accept(at(0), &first).await.expect("accepted");
    store.accept(at(0), &request("reused", REAL, "r2")).await.expect("accepted");

    let new = request("new", DRY, "r3");
    let group = [
        new.clone(),
        request("live", REAL, "r4"),
        request("other", DRY, "r5"),
        request("told", REAL, "r1"),
        request("reused", DRY, "r2"),
        request("homeless", REAL, "r6"),
        request("nobody", REAL, "r7"),
    ];
    let expected = [
        Ok((new.id, false, true)),
        Ok((live, true, false)),
        Err("RUN_IN_PROGRESS"),
        Ok((first.id, false, false)),
        Err("REQUEST_ID_REUSED"),
        Err("NO_LOCATION"),
        Err("TENANT_NOT_FOUND"),
    ];
    let answers = store.accept_all(at(1), &group).await.expect("answered");
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("nobody is in the way")).collect();
    assert_eq!(answers.iter().map(shape).collect::<Vec<_>>(), expected);
    let stored = store.get(new.id).await;
    assert_eq!(answers[0].as_ref().map(|accepted| &accepted.run).expect("accepted"), &stored, "as the table has it");

    // Each again, alone: what was answered is repeated, what was refused left its id free.
    for (one, expected) in group.iter().zip(expected) {
        let expected = expected.map(|(run, joined, _)| (run, joined, false));
        assert_eq!(shape(&store.accept(at(2), one).await), expected);
    }
    assert_eq!(store.accept_all(at(2), &[]).await.expect("answered").len(), 0);
}

#[tokio::test]
async fn groups_that_meet_answer_everybody() {
    let tenants: Vec<String> = (0..20).map(|n| format!("t{n}")).collect();
    let store = store_with(&tenants.iter().map(String::as_str).collect::<Vec<_>>()).await;
    // Each of six groups wants a run of each tenant, every second group backwards; half of the request ids are the same.
    let groups = (0..6).map(|n| {
        let mut group: Vec<NewRun> =
            tenants.iter().map(|tenant| request(tenant, REAL, &format!("{tenant}-{}", n / 2))).collect();
        if n % 2 == 1 {
            group.reverse();
        }
        let store = store.store.clone();
        async move {
            let answers = store.accept_all(None, &group).await.expect("nobody waits for ever");
            let mut all = Vec::new();
            for (new, answer) in group.iter().zip(answers) {
                let answer = match answer {
                    Some(answer) => answer,
                    None => store.accept(None, new).await,
                };
                all.push(answer.expect("accepted"));
            }
            all
        }
    });
    let answers: Vec<_> = join_all(groups).await.into_iter().flatten().collect();
    assert_eq!(answers.len(), 6 * tenants.len());
    assert_eq!(answers.iter().filter(|answer| answer.created).count(), tenants.len(), "one live run a tenant");
    let mut runs: HashMap<_, BTreeSet<RunId>> = HashMap::new();
    for answer in &answers {
        runs.entry(answer.run.tenant.clone()).or_default().insert(answer.run.id);
    }
    assert!(runs.values().all(|runs| runs.len() == 1), "all of a tenant get the same run");
}

#[tokio::test]
async fn callers_at_once_share_commits_and_every_one_gets_an_answer_of_its_own() {
    let store = store_with(&["a", "b", "c"]).await;
    let stop = CancellationToken::new();
    let acceptor = Acceptor::start(&store.store, &stop, |_| {});
    // 90 callers: three tenants, each request id three times, and some who go the way of a single run at the same time.
    let calls = (0..90).map(|n| {
        let (store, acceptor) = (store.store.clone(), acceptor.clone());
        let new = request(["a", "b", "c"][n % 3], REAL, &format!("r{}", n % 30));
        async move {
            let id = new.request_id.clone().expect("given");
            let accepted = if n % 9 == 8 { store.accept(None, &new).await } else { acceptor.accept(new).await };
            (id, accepted.expect("accepted"))
        }
    });
    let answers = join_all(calls).await;
    let mut by_request = HashMap::new();
    for (id, answer) in &answers {
        let first = by_request.entry(id).or_insert(answer);
        assert_eq!((first.run.id, first.joined), (answer.run.id, answer.joined), "one answer to {id}");
    }
    let created: Vec<_> =
        answers.iter().filter(|(_, answer)| answer.created).map(|(_, answer)| answer.run.id).collect();
    assert_eq!(created.len(), 3, "one live run a tenant");
    let stored: Vec<RunId> =
        sqlx::query_scalar("select id from all_runs order by id").fetch_all(&store.pool).await.expect("read");
    assert_eq!(created.iter().collect::<BTreeSet<_>>(), stored.iter().collect());

    stop.cancel();
    // A committer that is gone answers nobody; it says so.
    while !matches!(acceptor.accept(new_run("a", REAL)).await, Err(Error::Draining)) {}
}

#[tokio::test]
async fn those_who_find_no_place_because_the_database_is_away_hear_of_that() {
    // It lets connections in, and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = silent.local_addr().expect("an address").port();
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).ssl_mode(PgSslMode::Disable);
    let store = Store::new(connect(options, 5));
    assert!(store.ping().await.is_err() && store.is_away());
    let acceptor = Acceptor::start(&store, &CancellationToken::new(), |_| {});
    // More than may wait, and than may be with the committers: these are refused at once.
    let mut answers: FuturesUnordered<_> = (0..6000).map(|_| acceptor.accept(new_run("a", REAL))).collect();
    for _ in 0..1000 {
        let refused = answers.next().await.expect("all are answered").expect_err("refused");
        assert_eq!(refused.reason(), "DATABASE_UNAVAILABLE");
    }
}
