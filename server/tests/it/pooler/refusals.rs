//! What the start finds out about a pooler.

use sqlx::{ConnectOptions, Row};

use super::is_installed;
use crate::{
    database,
    fitness::set_hostile,
    processes::{
        refused,
        site::{Site, ended},
    },
};

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_refused_without_a_direct_url() {
    if !is_installed() {
        return;
    }
    let site = Site::new().await;
    let mut command = site.program(&["serve"]);
    command.env("DATABASE_URL", site.pooled_url().await).env_remove("DATABASE_DIRECT_URL");
    let line = refused(command).await;
    assert!(line.contains("DATABASE_URL") && line.contains("set DATABASE_DIRECT_URL"), "{line}");
}

#[tokio::test]
async fn a_pooler_that_drops_settings_is_refused_and_its_sessions_are_left_alone() {
    if !is_installed() {
        return;
    }
    let site = Site::new().await;
    let settings = "pool_mode = transaction\nignore_startup_parameters = extra_float_digits, options\n";
    let pooler = database::own_pooler(settings).await;
    let options = pooler.options(&site.database().options());
    let mut command = site.program(&["serve"]);
    command.env("DATABASE_URL", options.to_url_lossy().as_str()).env_remove("DATABASE_DIRECT_URL");
    let line = refused(command).await;
    assert!(line.contains("set DATABASE_DIRECT_URL"), "{line}");
    // Each of its sessions, and nobody has changed what others find there.
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut connection = options.connect().await.expect("connected");
        let read = "begin; select current_setting('statement_timeout') || current_setting('TimeZone')";
        let found = sqlx::raw_sql(read).fetch_one(&mut connection).await.expect("read");
        assert_eq!(found.get::<String, _>(0), "0UTC");
        open.push(connection);
    }
}

#[tokio::test]
async fn a_pooler_in_session_mode_needs_no_direct_url() {
    if !is_installed() {
        return;
    }
    for settings in [
        "pool_mode = session\ndefault_pool_size = 60\n",
        "pool_mode = session\ndefault_pool_size = 60\nignore_startup_parameters = extra_float_digits, options\n",
    ] {
        let site = Site::new().await;
        let pooler = database::own_pooler(settings).await;
        let url = pooler.options(&site.database().options()).to_url_lossy();
        set_hostile(site.database()).await;
        let server = site.serve(&[("DATABASE_URL", url.as_str()), ("DATABASE_DIRECT_URL", "")]).await;
        let client = site.client(&server);
        site.load(&client).await;
        let run = ended(&client, &site.trigger(&client).await).await;
        site.assert_mirrored_once(&run).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_direct_url_that_leads_through_the_pooler_is_refused() {
    if !is_installed() {
        return;
    }
    let site = Site::new().await;
    let mut command = site.program(&["serve"]);
    let pooled = site.pooled_url().await;
    command.env("DATABASE_URL", &pooled).env("DATABASE_DIRECT_URL", pooled);
    let line = refused(command).await;
    assert!(line.contains("DATABASE_DIRECT_URL also goes through a pooler"), "{line}");
}

#[tokio::test]
async fn two_urls_of_two_databases_are_refused() {
    if !is_installed() {
        return;
    }
    let (site, other) = (Site::new().await, database::create().await);
    let mut command = site.program(&["serve"]);
    command.env("DATABASE_URL", site.pooled_url().await).env("DATABASE_DIRECT_URL", other.url());
    let line = refused(command).await;
    assert!(line.contains("DATABASE_DIRECT_URL go to different databases"), "{line}");
}

#[tokio::test]
async fn a_direct_url_without_another_is_refused() {
    let (site, other) = (Site::embedded().await, database::create().await);
    let mut command = site.program(&["serve"]);
    command.env("DATABASE_DIRECT_URL", other.url());
    let line = refused(command).await;
    assert!(line.contains("DATABASE_DIRECT_URL is set without DATABASE_URL"), "{line}");
}

#[tokio::test]
async fn sessions_that_are_kept_are_not_taken_for_a_pooler() {
    let database = database::create().await;
    category_mirror::store::check(&database.options(), None, None).await.expect("it is what it is");
}
