//! Default and regional mappings, the platform's own categories and imported ones: every combination, in both directions.

use std::{collections::BTreeMap, fmt::Write};

use category_mirror_client::{Batch, PlatformCategoryImport, RunState, Strategy};
use serde_json::json;

use super::{counts, reason};
use crate::{
    flags::until,
    service::{self, Service},
};

/// What a category maps to: nothing, or one of the case's two GBP categories.
type Mapping = Option<&'static str>;

/// One tenant with categories of its own: `p`, with the mappings of the case; `q`, which maps to A everywhere; and `x`, which maps to
/// a third GBP category that the location never has at first.
#[derive(Debug, Clone, Copy)]
struct Case {
    /// What `p` maps to where the region has no mapping of its own.
    default: Mapping,
    /// What `p` maps to in the tenant's region; the outer `None` is no mapping of its own.
    regional: Option<Mapping>,
    /// Whether `p` was imported, in the tenant's own language and region.
    imported: bool,
    /// The tenant's categories, the primary one first.
    chosen: &'static [&'static str],
    /// The location's, the primary one first.
    google: &'static [&'static str],
}

impl Case {
    /// Every combination of mappings with these categories of the tenant and of the location.
    fn all(chosen: &[&'static [&'static str]], google: &[&'static [&'static str]]) -> Vec<Self> {
        let mut cases = Vec::new();
        for default in [None, Some("a"), Some("b")] {
            for regional in [None, Some(None), Some(Some("a")), Some(Some("b"))] {
                // The schema refuses an imported category that maps to nothing.
                for imported in [false, true].into_iter().filter(|imported| !imported || default.is_some()) {
                    for &chosen in chosen {
                        for &google in google {
                            cases.push(Self { default, regional, imported, chosen, google });
                        }
                    }
                }
            }
        }
        cases
    }

    /// What one of the categories maps to for the tenant.
    fn effective(self, category: &str) -> Mapping {
        match category {
            "p" => self.regional.unwrap_or(self.default),
            "q" => Some("a"),
            _ => Some("x"),
        }
    }

    /// An imported category has the slug that the import of A gives it.
    fn slug(self, n: usize, category: &str) -> String {
        if category == "p" && self.imported { format!("gbp-a_{n}") } else { format!("{category}{n}") }
    }
}

fn gcid(n: usize, letter: &str) -> String {
    format!("gcid:{letter}_{n}")
}

fn quoted(text: Option<String>) -> String {
    text.map_or_else(|| "null".to_owned(), |text| format!("'{text}'"))
}

/// Puts the cases into the platform and into Google: tenant `t{n}` at `locations/t{n}`, of organization `chain`.
async fn put(service: &Service, cases: &[Case]) {
    let mut sql = String::new();
    let mut names = BTreeMap::new();
    for (n, case) in cases.iter().enumerate() {
        let mapped = |mapping: Mapping| quoted(mapping.map(|letter| gcid(n, letter)));
        for category in ["p", "q", "x"] {
            let default = if category == "p" { case.default } else { case.effective(category) };
            let locale = quoted((category == "p" && case.imported).then(|| "en-US".to_owned()));
            let (slug, default) = (case.slug(n, category), mapped(default));
            let values = format!("'{slug}', 'Old', {default}, {locale}, now(), now()");
            let columns = "slug, display_name, gcid, imported_locale, created_at, updated_at";
            writeln!(sql, "insert into platform_category ({columns}) values ({values});").expect("written");
        }
        if let Some(regional) = case.regional {
            let values = format!("'{}', 'US', {}", case.slug(n, "p"), mapped(regional));
            writeln!(sql, "insert into regional_mapping values ({values}), ('{}', 'IN', null);", case.slug(n, "p"))
                .expect("written");
        }
        let columns = "id, display_name, organization_id, gbp_account, gbp_location, region_code, language_code, created_at, updated_at";
        writeln!(
            sql,
            "insert into tenant ({columns}) values ('t{n}', 'T', 'chain', '1', 't{n}', 'US', 'en', now(), now());"
        )
        .expect("written");
        for (position, category) in case.chosen.iter().enumerate() {
            writeln!(sql, "insert into tenant_category values ('t{n}', {position}, '{}');", case.slug(n, category))
                .expect("written");
        }
        names.extend(["a", "b", "x"].map(|letter| (gcid(n, letter), format!("Google's {letter}"))));
    }
    service.google.change_taxonomy(json!({"add": names})).await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&service.pool).await.expect("put");
    for (n, case) in cases.iter().enumerate() {
        let google: Vec<String> = case.google.iter().map(|letter| format!("{letter}_{n}")).collect();
        let additional: Vec<&str> = google[1..].iter().map(String::as_str).collect();
        service.google.put(&format!("t{n}"), &google[0], &additional).await;
    }
}

/// Runs a strategy for all cases, to the end of the batch.
async fn run_all(service: &Service, strategy: Strategy, dry_run: bool) -> Batch {
    let request = service.client.mirror_organization("chain", strategy).dry_run(dry_run);
    let request =
        if dry_run { request } else { request.override_guards(["batch_tenants", "batch_primary"], "all of them") };
    let batch = request.send().await.expect("accepted");
    let get = async || service.client.get_batch(&batch.name).send().await.expect("the batch");
    until("the batch is over", async || get().await.is_terminal()).await;
    get().await
}

/// The runs of a batch that did not succeed: tenant, reason and message.
async fn unsuccessful(service: &Service, batch: &Batch) -> Vec<(String, String, String)> {
    let id = batch.name.trim_start_matches("batches/").to_owned();
    sqlx::query_as(
        "select tenant_id, reason, error ->> 'message' from all_runs where batch_id = $1::uuid and state <> 'succeeded' order by tenant_id",
    )
    .bind(id)
    .fetch_all(&service.pool)
    .await
    .expect("read")
}

/// What each tenant's categories map to, in order, what maps to nothing left out, and each once.
async fn effective(service: &Service) -> BTreeMap<String, Vec<String>> {
    let rows: Vec<(String, Option<String>)> = sqlx::query_as(
        "select chosen.tenant_id, case when own.slug is null then category.gcid else own.gcid end
           from tenant_category chosen
           join platform_category category using (slug)
           left join regional_mapping own on own.slug = chosen.slug and own.region_code = 'US'
          order by chosen.tenant_id, chosen.position",
    )
    .fetch_all(&service.pool)
    .await
    .expect("read");
    let mut effective: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tenant, gcid) in rows {
        let gcids = effective.entry(tenant).or_default();
        if let Some(gcid) = gcid.filter(|gcid| !gcids.contains(gcid)) {
            gcids.push(gcid);
        }
    }
    effective
}

#[tokio::test]
async fn every_mapping_is_mirrored_to_the_platform_and_then_both_sides_agree() {
    let service = service::start().await;
    let google: [&[&str]; 4] = [&["a"], &["b"], &["a", "b"], &["b", "a"]];
    let cases = Case::all(&[&["x"], &["p"], &["p", "q"], &["q", "p"]], &google);
    put(&service, &cases).await;

    let batch = run_all(&service, Strategy::GbpToPlatform, false).await;
    let failed: Vec<_> = unsuccessful(&service, &batch).await;
    let of = |tenant: &str| cases[tenant.trim_start_matches('t').parse::<usize>().expect("a number")];
    let first = failed.first().map(|(tenant, ..)| of(tenant));
    assert!(failed.is_empty(), "{} of {} failed: {first:?}: {:?}", failed.len(), cases.len(), failed[0]);
    let effective = effective(&service).await;
    for (n, case) in cases.iter().enumerate() {
        let mut has = effective[&format!("t{n}")].clone();
        let mut wanted: Vec<String> = case.google.iter().map(|letter| gcid(n, letter)).collect();
        assert_eq!(has[0], wanted[0], "the primary category of {case:?}");
        has.sort();
        wanted.sort();
        assert_eq!(has, wanted, "{case:?}");
    }
    // And nothing is left to do, whichever side wins.
    for strategy in [Strategy::GbpToPlatform, Strategy::PlatformToGbp] {
        let again = run_all(&service, strategy, true).await;
        let failed = unsuccessful(&service, &again).await;
        assert_eq!((again.out_of_sync_count, failed), (0, Vec::new()), "{strategy:?}");
    }
    // What is imported follows Google's name of what it maps to for those whose name it has.
    for (n, case) in cases.iter().enumerate().filter(|(_, case)| case.imported && case.chosen == ["p"]) {
        let Some(letter) = case.effective("p").filter(|letter| case.google.contains(letter)) else { continue };
        let category = service.client.get_platform_category(case.slug(n, "p")).send().await.expect("there");
        assert_eq!((category.display_name, category.imported), (format!("Google's {letter}"), true), "{case:?}");
    }
}

#[tokio::test]
async fn every_mapping_is_mirrored_to_google() {
    let service = service::start().await;
    let cases = Case::all(&[&["x", "p"], &["p"], &["p", "q"], &["q", "p"]], &[&["a"], &["b", "a"]]);
    put(&service, &cases).await;

    let batch = run_all(&service, Strategy::PlatformToGbp, false).await;
    let failed: BTreeMap<String, String> =
        unsuccessful(&service, &batch).await.into_iter().map(|(tenant, reason, _)| (tenant, reason)).collect();
    for (n, case) in cases.iter().enumerate() {
        let mapped: Vec<Mapping> = case.chosen.iter().map(|category| case.effective(category)).collect();
        let is_unmapped = mapped[0].is_none();
        assert_eq!(failed.get(&format!("t{n}")).map(String::as_str), is_unmapped.then_some("UNMAPPED_PRIMARY"));
        let mut wanted: Vec<&str> = if is_unmapped { case.google.to_vec() } else { Vec::new() };
        for letter in mapped.into_iter().flatten().filter(|_| !is_unmapped) {
            if !wanted.contains(&letter) {
                wanted.push(letter);
            }
        }
        wanted[1..].sort_unstable();
        let wanted: Vec<String> = wanted.iter().map(|letter| format!("{letter}_{n}")).collect();
        assert_eq!(service.google.merchant(&format!("t{n}")).await, wanted, "{case:?}");
    }
}

#[tokio::test]
async fn what_is_imported_gets_a_slug_however_often_the_ones_before_were_mapped_to_something_else() {
    let service = service::start().await;
    service.with_store(&["cafe"], "wine_bar", &[]).await;
    let mut slugs = Vec::new();
    for round in 0..3 {
        let run = service.adopt(false).await;
        assert_eq!((run.state, counts(&run)), (RunState::Succeeded, (0, 1, 0)), "round {round}: {run:?}");
        slugs.push(service.platform().await[0].clone());
        let moved = service.client.update_platform_category(slugs[round].as_str());
        moved.regional_gbp_categories([("US", "gcid:deli")]).send().await.expect("mapped to something else");
        service.set("store", &["cafe"]).await;
    }
    slugs.dedup();
    assert_eq!(slugs.len(), 3, "{slugs:?}");
}

#[tokio::test]
async fn what_a_person_imports_names_or_maps_is_the_platforms_own() {
    for how in ["import", "name", "mapping", "region"] {
        let service = service::start().await;
        service.with_store(&["cafe"], "cafe", &["wine_bar"]).await;
        assert_eq!(service.adopt(false).await.state, RunState::Succeeded);
        let get = async || service.client.get_platform_category("gbp-wine_bar").send().await.expect("there");
        assert_eq!((get().await.display_name.as_str(), get().await.imported), ("Wine bar", true));

        let change = service.client.update_platform_category("gbp-wine_bar");
        let named = match how {
            "import" => {
                let item = PlatformCategoryImport::new("gbp-wine_bar").display_name("Wine");
                let report = service.client.import_platform_categories([item]).send().await.expect("imported");
                assert_eq!((report.updated, report.unchanged), (1, 0));
                "Wine"
            }
            "name" => {
                change.display_name("Wine").send().await.expect("named");
                "Wine"
            }
            "mapping" => {
                change.gbp_category("gcid:wine_bar").send().await.expect("mapped");
                "Wine bar"
            }
            _ => {
                change.regional_gbp_categories([("US", "gcid:wine_bar")]).send().await.expect("mapped");
                "Wine bar"
            }
        };
        service.google.rename("wine_bar", "Wine tavern").await;
        let run = service.adopt(false).await;
        assert_eq!((run.state, counts(&run)), (RunState::Succeeded, (0, 0, 0)), "{how}: {}", reason(&run));
        assert_eq!((get().await.display_name.as_str(), get().await.imported), (named, false), "{how}");
    }
}

#[tokio::test]
async fn an_import_that_says_what_is_there_makes_it_the_platforms_own_too() {
    let service = service::start().await;
    service.with_store(&["cafe"], "cafe", &["wine_bar"]).await;
    assert_eq!(service.adopt(false).await.state, RunState::Succeeded);
    let import = async || {
        let item = PlatformCategoryImport::new("gbp-wine_bar").display_name("Wine bar").gbp_category("gcid:wine_bar");
        let report = service.client.import_platform_categories([item]).send().await.expect("imported");
        (report.updated, report.unchanged)
    };
    assert_eq!(import().await, (1, 0));
    let category = service.client.get_platform_category("gbp-wine_bar").send().await.expect("there");
    assert!(!category.imported);
    assert_eq!(import().await, (0, 1), "and once is enough");
}

#[tokio::test]
async fn a_revert_leaves_a_name_alone_that_has_become_the_platforms_own() {
    let service = service::start().await;
    service.with_store(&["cafe"], "cafe", &["wine_bar"]).await;
    service.adopt(false).await;
    service.google.edit("77", "owner", "wine_bar", &["cafe"]).await;
    let swapped = service.adopt(false).await;
    assert_eq!(swapped.state, RunState::Succeeded);
    service.client.update_platform_category("gbp-wine_bar").display_name("Wine").send().await.expect("named");

    let back = service.taken_back(&swapped).await;

    assert_eq!((back.state, counts(&back)), (RunState::Succeeded, (0, 2, 0)), "{}", reason(&back));
    assert_eq!(service.platform().await, ["cafe", "gbp-wine_bar"]);
    let named = back.written_changes.iter().filter_map(|change| change.after.as_ref());
    assert!(
        named.clone().all(|category| category.platform_display_name.as_deref() != Some("Wine bar")),
        "{:?}",
        named.collect::<Vec<_>>()
    );
}
