//! The ids of what is accepted: times of the database, and in the order in which one statement was asked.

use category_mirror::store::ID_BY_DATABASE;
use chrono::TimeDelta;
use uuid::Uuid;

use super::*;

fn without_id(tenant: &str) -> NewRun {
    NewRun { id: ID_BY_DATABASE, ..new_run(tenant, REAL) }
}

/// The milliseconds that an id says.
fn millis(id: RunId) -> i64 {
    i64::try_from(id.as_u128() >> 80).expect("48 bits")
}

#[tokio::test]
async fn an_id_is_a_uuid_of_version_7_of_its_time_to_the_microsecond() {
    let store = store_with(&[]).await;
    let mut ids = Vec::new();
    for micros in [0, 1, 244, 245, 999, 1_000, 999_999, 1_000_000, 86_399_999_999] {
        let at = time(0) + TimeDelta::microseconds(micros);
        for nth in [0, 1, 255, 16_383] {
            let (id, of_id): (Uuid, DateTime<Utc>) = sqlx::query_as(
                "select id, run_id_time(id) from (select run_id_at($1, $2) as id offset 0) runs_created where id >= run_id_floor($1)",
            )
            .bind(at)
            .bind(nth)
            .fetch_one(&store.pool)
            .await
            .expect("an id that is not below the first of its millisecond");
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            assert_eq!((millis(id), of_id.timestamp_millis()), (at.timestamp_millis(), at.timestamp_millis()));
            ids.push(id);
        }
    }
    assert!(ids.is_sorted(), "a later time, and a later place in a statement, is a greater id: {ids:?}");
}

#[tokio::test]
async fn whatever_accepts_a_run_gives_it_an_id_of_the_databases_time() {
    let names: Vec<String> = (0..300).map(|n| format!("t{n:03}")).collect();
    let tenants: Vec<&str> = names.iter().map(String::as_str).collect();
    let store = store_with(&tenants).await;
    let wanted: Vec<NewRun> = tenants[..256].iter().rev().map(|tenant| without_id(tenant)).collect();

    let accepted = store.accept_all(at(7), &wanted).await.expect("accepted");

    let runs: Vec<Run> = accepted.into_iter().map(|one| one.expect("no race").expect("accepted").run).collect();
    assert!(runs.iter().map(|run| run.id).is_sorted(), "in the order in which they were asked for");
    for run in &runs {
        assert_eq!((millis(run.id), run.created_at), (time(7).timestamp_millis(), time(7)));
        assert_eq!(store.get(run.id).await.tenant, run.tenant);
    }
    let alone = store.accept(at(8), &without_id("t256")).await.expect("accepted").run;
    assert_eq!((millis(alone.id), alone.created_at), (time(8).timestamp_millis(), time(8)));
    assert_eq!(store.get(alone.id).await.tenant, id("t256"));
    let again = store.accept_all(at(9), &[without_id("t256")]).await.expect("answered").remove(0);
    assert_eq!(again.expect("no race").expect("joined").run.id, alone.id, "a joined run keeps its own");
}

#[tokio::test]
async fn the_first_answer_to_a_request_id_is_the_run_that_the_database_named() {
    let store = store_with(&["a", "b"]).await;
    for (tenant, in_group) in [("a", true), ("b", false)] {
        let new = NewRun { request_id: Some(tenant.to_owned()), ..without_id(tenant) };
        let accept = async |now| match in_group {
            true => {
                store.accept_all(now, std::slice::from_ref(&new)).await.expect("answered").remove(0).expect("no race")
            }
            false => store.accept(now, &new).await,
        };
        let first = accept(at(0)).await.expect("accepted").run.id;
        let claimed = store.claim_one(1).await;
        assert_eq!(claimed.run.id, first);
        store
            .finish(at(2), held(&claimed), 1, &RunResult::Cancelled, &AttemptProgress::default())
            .await
            .expect("ended");
        assert_eq!(shape(&accept(at(3)).await), Ok((first, false, false)));
    }
}
