//! The metrics of a server in a process of its own, and that the table of them, the alert rules and the board name what it exports.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use category_mirror::web::{Kind, METRICS};
use category_mirror_client::{Client, Strategy};
use http::uri::PathAndQuery;
use serde_json::json;
use tonic::{Code, Request, client::Grpc};
use tonic_prost::ProstCodec;

use super::site::{Site, ended, until};

/// A tenant whose name can be in no label by chance.
const TENANT: &str = "store";
const LOCATION: &str = "77";

/// A line of the text form: name, labels, value.
type Sample = (String, BTreeMap<String, String>, f64);

async fn scrape(admin: std::net::SocketAddr) -> String {
    let answer = reqwest::get(format!("http://{admin}/metrics")).await.expect("an answer");
    answer.text().await.expect("text")
}

fn samples(text: &str) -> Vec<Sample> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(sample).collect()
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
    let labels = labels.map(|label| label.split_once('=').expect("a label"));
    let labels = labels.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
    (name.to_owned(), labels.collect(), value.parse().expect("a number"))
}

/// The series that a metric has in the text form.
fn series(name: &str, kind: Kind) -> Vec<String> {
    match kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"].iter().map(|end| format!("{name}{end}")).collect(),
        Kind::Counter | Kind::Gauge => vec![name.to_owned()],
    }
}

#[tokio::test]
async fn d22_what_is_exported_is_what_the_table_says_and_no_label_grows_with_the_tenants() {
    let site = Site::new().await;
    let server = site.serve(&[]).await;
    let client = site.client(&server);
    site.load(&client).await;
    site.google.fault(json!({"method": "locations.get", "status": 503, "times": 1})).await;
    let run = site.trigger(&client).await;
    ended(&client, &run).await;
    // The cooldown is off: this one fails.
    site.google.fault(json!({"method": "locations.get", "status": 404})).await;
    let failed = client.mirror(TENANT, Strategy::PlatformToGbp).send().await.expect("accepted").run.name;
    ended(&client, &failed).await;
    // What is told a moment after the end, and what is sampled.
    until("a count of the failure", || async {
        let text = scrape(server.admin).await;
        text.contains("\ncategory_mirror_fail_total{reason=\"LOCATION_NOT_FOUND\"} 1\n")
            && text.contains("\ncategory_mirror_live_runs")
            && text.contains("\ncategory_mirror_out_of_sync_tenants")
    })
    .await;

    let text = scrape(server.admin).await;
    let samples = samples(&text);
    let exported: BTreeSet<&str> = samples.iter().map(|(name, ..)| name.as_str()).collect();
    let documented: BTreeSet<String> = METRICS.iter().flat_map(|metric| series(metric.name, metric.kind)).collect();
    assert_eq!(exported, documented.iter().map(String::as_str).collect());
    for metric in METRICS {
        assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
        let mut allowed: BTreeSet<&str> = metric.labels.iter().copied().collect();
        allowed.extend((metric.kind == Kind::Histogram).then_some("le"));
        for (name, labels, _) in &samples {
            if series(metric.name, metric.kind).contains(name) {
                let labels: BTreeSet<&str> = labels.keys().map(String::as_str).collect();
                assert!(labels.is_subset(&allowed), "{name}: {labels:?}");
            }
        }
    }
    let run_id = run.rsplit('/').next().expect("an id");
    for (name, labels, _) in &samples {
        for value in labels.values() {
            assert!(![TENANT, LOCATION, run_id].iter().any(|id| value.contains(id)), "{name}: {labels:?}");
        }
    }

    let value = |name: &str, wanted: &[(&str, &str)]| -> f64 {
        let matches = |labels: &BTreeMap<String, String>| {
            wanted.iter().all(|(name, value)| labels.get(*name).is_some_and(|label| label == value))
        };
        samples.iter().filter(|(of, labels, _)| of == name && matches(labels)).map(|(.., value)| value).sum()
    };
    assert!((value("category_mirror_success_total", &[]) - 1.0).abs() < f64::EPSILON);
    assert!((value("gbp_sync_out_of_sync_detected", &[]) - 1.0).abs() < f64::EPSILON);
    assert!((value("category_mirror_fail_total", &[]) - 1.0).abs() < f64::EPSILON);
    assert!((value("category_mirror_run_duration_seconds_count", &[]) - 2.0).abs() < f64::EPSILON);
    assert!((value("category_mirror_attempts_total", &[("state", "failed")]) - 2.0).abs() < f64::EPSILON);
    let refused = [("method", "locations.get"), ("outcome", "unavailable")];
    assert!((value("category_mirror_gbp_requests_total", &refused) - 1.0).abs() < f64::EPSILON);
    assert!((value("category_mirror_gbp_requests_total", &[("outcome", "ok")]) - 2.0).abs() < f64::EPSILON, "{text}");
    let mirrored = [("rpc", "categorymirror.v1.CategoryMirrorService/MirrorCategories"), ("code", "OK")];
    assert!((value("category_mirror_calls_total", &mirrored) - 2.0).abs() < f64::EPSILON, "{text}");
    assert!((value("category_mirror_call_duration_seconds_count", &mirrored[..1]) - 2.0).abs() < f64::EPSILON);
    let build = [("version", env!("CARGO_PKG_VERSION"))];
    assert!((value("category_mirror_build_info", &build) - 1.0).abs() < f64::EPSILON);
    assert!(value("process_open_fds", &[]) > 10.0 && value("process_resident_memory_bytes", &[]) > 1e6);
    let (left, asked) =
        (value("category_mirror_gbp_quota_remaining", &[]), value("category_mirror_gbp_requests_total", &[]));
    assert!((300.0 - asked..=300.0).contains(&left), "{asked} requests, some perhaps a minute ago: {left}");
    server.stop().await;
}

/// The names in a text that begin as ours do.
fn names(text: &str) -> BTreeSet<&str> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == ':';
    let words = text.split(|character| !is_part(character));
    words.filter(|word| word.starts_with("category_mirror_") || word.starts_with("gbp_")).collect()
}

#[test]
fn the_alert_rules_and_the_board_use_metrics_that_there_are() {
    let known: BTreeSet<String> = METRICS.iter().flat_map(|metric| series(metric.name, metric.kind)).collect();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for file in ["prometheus/alerts.yaml", "grafana/category-mirror.json"] {
        let text = fs::read_to_string(deploy.join(file)).expect(file);
        let names = names(&text);
        let unknown: Vec<&&str> = names.iter().filter(|name| !known.contains(**name)).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
        assert!(names.len() > 5, "{file}: {names:?}");
    }
}

/// Whoever is woken by an alert finds what to do, and which deployment it is.
#[test]
fn every_alert_names_its_deployment_and_has_a_section_in_the_runbook() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |file: &str| fs::read_to_string(root.join(file)).expect(file);
    let (rules, tests) = (read("deploy/prometheus/alerts.yaml"), read("deploy/prometheus/alerts_test.yaml"));
    let runbook = read("docs/operations.md");
    let alerts: Vec<(&str, &str)> =
        rules.split("- alert: ").skip(1).map(|rule| rule.split_once('\n').expect("more than its name")).collect();
    for kept in
        ["CategoryMirrorSuccessRateLow", "CategoryMirrorOutOfSync", "CategoryMirrorFailures", "CategoryMirrorRunSlow"]
    {
        assert!(alerts.iter().any(|(name, _)| *name == kept), "{kept}");
    }
    for (name, rule) in &alerts {
        let url = format!("runbook_url: docs/operations.md#{}\n", name.to_lowercase());
        assert!(rule.contains(&url), "{name}: {url}");
        assert!(rule.contains("by (job") || rule.contains("up{job=~"), "{name} mixes deployments");
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} has no test");
        let section =
            runbook.split(&format!("\n### {name}\n")).nth(1).unwrap_or_else(|| panic!("{name} has no section"));
        let section = section.split("\n### ").next().unwrap_or_default();
        for part in ["**Symptom.**", "**First command.**", "**Usual causes.**", "**What to do.**"] {
            assert!(section.contains(part), "{name}: {part}");
        }
    }
    let sections = runbook.lines().filter_map(|line| line.strip_prefix("### CategoryMirror"));
    assert_eq!(sections.count(), alerts.len(), "a section for each alert, and none for an alert that is gone");
}

/// Every call is counted once, by its method and its code: refused at the gate, not there at all, or no longer waited for.
#[tokio::test]
async fn calls_are_counted_however_they_end() {
    let site = Site::new().await;
    let server = site.serve(&[]).await;
    let client = site.client(&server);
    client.get_tenant("nobody").send().await.expect_err("not there");
    let stranger = Client::builder(format!("http://{}", server.address)).token("made-up").build().expect("a client");
    stranger.get_tenant("nobody").send().await.expect_err("no token of ours");
    let mut grpc = Grpc::new(server.connect().await);
    for method in ["/categorymirror.v1.TenantService/NoSuchMethod", "/no.such.Service/Method"] {
        grpc.ready().await.expect("connected");
        let mut request = Request::new(());
        request.metadata_mut().insert("authorization", format!("Bearer {}", site.token()).parse().expect("ASCII"));
        let answer = grpc.unary(request, PathAndQuery::from_static(method), ProstCodec::<(), ()>::default()).await;
        assert_eq!(answer.expect_err("no such method").code(), Code::Unimplemented);
    }
    let mut watch = client.watch_all().send();
    let watching = tokio::spawn(async move { watch.next().await.is_some() });
    until("the stream is open", || async { scrape(server.admin).await.contains("\ncategory_mirror_open_streams 1\n") })
        .await;
    watching.abort();

    let method = |name: &str| format!("categorymirror.v1.{name}");
    let (get, stream) = (method("TenantService/GetTenant"), method("CategoryMirrorService/StreamRunUpdates"));
    let expected = [
        (get.as_str(), "NOT_FOUND", 1.0),
        (&get, "UNAUTHENTICATED", 1.0),
        ("_OTHER", "UNIMPLEMENTED", 2.0),
        (&stream, "CANCELLED", 1.0),
    ];
    until("every call is counted", || async {
        let text = scrape(server.admin).await;
        expected.iter().all(|(rpc, code, calls)| {
            text.contains(&format!("\ncategory_mirror_calls_total{{rpc=\"{rpc}\",code=\"{code}\"}} {calls}\n"))
        })
    })
    .await;
    let counted = samples(&scrape(server.admin).await);
    let counted: Vec<_> = counted.iter().filter(|(name, ..)| name == "category_mirror_calls_total").collect();
    let sum: f64 = counted.iter().map(|(.., value)| value).sum();
    assert!((sum - 5.0).abs() < f64::EPSILON, "{counted:?}");
    server.stop().await;
}
