//! Imports: lines and their numbers, good and bad; and what a list prints as JSON is what an import accepts.

use std::collections::HashMap;

use category_mirror_proto::v1;

use super::{Folder, command, fed, mirrorctl, text};
use crate::fake::Fake;

#[tokio::test]
async fn an_import_tells_the_line_of_what_was_refused() {
    let fake = Fake::start().await;
    let import = &fake.methods.import_tenants;
    let violation = v1::ImportViolation { field: "tenant.gbp_location".into(), description: "is required".into() };
    let failure = v1::ImportFailure { index: 1, name: "tenants/b\u{1b}".into(), violations: vec![violation] };
    import.will(Ok(v1::ImportTenantsResponse { created_count: 1, failures: vec![failure], ..Default::default() }));
    let folder = Folder::new("import");
    let lines = "{\"tenant\":\"a\",\"display_name\":\"A\",\"primary\":\"cafe\",\"additional\":[\"bar\"]}\n{\"tenant\":\"b\",\"gbp_account\":\"1\"}\n";
    let file = folder.file("tenants.jsonl", lines);

    let output = mirrorctl(&fake, &["tenant", "import", "--file", &file, "--validate-only"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let shown = "line 2, b\\u{1b}: gbp_location is required\n1 created, 0 changed, 0 as before, 1 refused\n";
    assert_eq!(text(&output.stdout), shown);
    assert_eq!(text(&output.stderr), "mirrorctl: nothing was changed: --validate-only\n");
    {
        let asked = import.asked();
        let sent = &asked[0].message;
        assert!(sent.validate_only);
        let set = sent.tenants[0].categories.as_ref().expect("a set");
        assert_eq!(
            (set.primary.as_str(), set.additional[0].as_str()),
            ("platformCategories/cafe", "platformCategories/bar")
        );
        assert_eq!(sent.tenants[1].categories, None, "they are left alone");
    }
}

/// Files of editors and spreadsheets: with a byte order mark, blank lines, and lines that end as on Windows.
#[tokio::test]
async fn an_import_takes_a_byte_order_mark_and_blank_lines_and_names_the_lines_of_the_file() {
    let fake = Fake::start().await;
    let violation = v1::ImportViolation { field: "tenant.name".into(), description: "is required".into() };
    let failure = v1::ImportFailure { index: 1, name: String::new(), violations: vec![violation] };
    let report = v1::ImportTenantsResponse { failures: vec![failure.clone()], ..Default::default() };
    fake.methods.import_tenants.will(Ok(report));
    let report = v1::ImportPlatformCategoriesResponse { failures: vec![failure], ..Default::default() };
    fake.methods.import_platform_categories.will(Ok(report));
    let folder = Folder::new("marks");
    for (command, key) in [("tenant", "tenant"), ("platform-category", "slug")] {
        let lines = format!("\u{feff}\r\n{{\"{key}\":\"a\"}}\r\n\r\n  \t\r\n{{\"{key}\":\"b\"}}\r\n\n");
        let file = folder.file(command, lines);
        let output = mirrorctl(&fake, &[command, "import", "--file", &file]).await;
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
        assert!(text(&output.stdout).starts_with(&format!("line 5: {key} is required\n")), "{}", text(&output.stdout));
    }
    let names: Vec<String> = fake.methods.import_tenants.asked()[0]
        .message
        .tenants
        .iter()
        .map(|it| it.tenant.as_ref().expect("a tenant").name.clone())
        .collect();
    assert_eq!(names, ["tenants/a", "tenants/b"]);
    assert_eq!(fake.methods.import_platform_categories.asked()[0].message.platform_categories.len(), 2);
}

/// The names of the tenants that were sent.
fn sent(fake: &Fake) -> Vec<String> {
    let asked = fake.methods.import_tenants.asked();
    let tenants = asked.iter().flat_map(|one| &one.message.tenants);
    tenants.map(|it| it.tenant.as_ref().expect("a tenant").name.clone()).collect()
}

#[tokio::test]
async fn good_lines_are_imported_beside_malformed_ones_whose_numbers_are_told() {
    let fake = Fake::start().await;
    let violation = v1::ImportViolation { field: "tenant.region_code".into(), description: "is required".into() };
    let failure = v1::ImportFailure { index: 1, name: "tenants/c".into(), violations: vec![violation] };
    let report = v1::ImportTenantsResponse { created_count: 1, failures: vec![failure], ..Default::default() };
    let folder = Folder::new("malformed");
    let mut lines = b"{\"tenant\":\"a\"}\n{\"tenatn\":\"b\"}\n\n{\"tenant\":\"c\"}\n{\"tenant\":\n".to_vec();
    lines.extend_from_slice(b"{\"tenant\":\"\xff\"}\n");
    let file = folder.file("tenants.jsonl", lines);
    fake.methods.import_tenants.will(Ok(report.clone()));
    let output = mirrorctl(&fake, &["tenant", "import", "--file", &file]).await;
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let shown: Vec<&str> = text(&output.stdout).lines().collect();
    assert!(shown[0].starts_with("line 2: unknown field `tenatn`, expected one of `"), "{shown:?}");
    assert_eq!(shown[1], "line 4, c: region_code is required");
    assert!(shown[2].starts_with("line 5: EOF while parsing"), "{shown:?}");
    assert_eq!(shown[3], "line 6: is not UTF-8");
    assert_eq!(shown[4], "1 created, 0 changed, 0 as before, 4 refused");
    assert_eq!(sent(&fake), ["tenants/a", "tenants/c"]);

    fake.methods.import_tenants.will(Ok(report));
    let output = mirrorctl(&fake, &["tenant", "import", "--file", &file, "--output", "json"]).await;
    assert_eq!(output.status.code(), Some(3));
    let summary: serde_json::Value = serde_json::from_str(text(&output.stdout)).expect("one object");
    assert_eq!((&summary["created"], &summary["refused"]), (&1.into(), &4.into()));
    let numbers: Vec<_> = summary["failures"].as_array().expect("a list").iter().map(|it| it["line"].clone()).collect();
    assert_eq!(numbers, [2, 4, 5, 6]);
}

#[tokio::test]
async fn a_file_of_malformed_lines_alone_asks_nothing_of_the_server() {
    let fake = Fake::start().await;
    let folder = Folder::new("nothing-good");
    let file = folder.file("categories", "slug\nbakery\n");
    let output = mirrorctl(&fake, &["platform-category", "import", "--file", &file]).await;
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).ends_with("0 created, 0 changed, 0 as before, 2 refused\n"),
        "{}",
        text(&output.stdout)
    );
    assert!(fake.methods.import_platform_categories.asked().is_empty());
    let missing = mirrorctl(&fake, &["tenant", "import", "--file", "/nonexistent/tenants.csv"]).await;
    assert_eq!(missing.status.code(), Some(2), "{}", text(&missing.stderr));
}

/// Spreadsheets write a byte order mark, lines that end as on Windows, and fields with line breaks in them.
#[tokio::test]
async fn csv_is_imported_with_the_lines_of_the_file() {
    const CSV: &str = "\u{feff}tenant,display_name,organization,primary,additional\r\n\
                       a,\"Corner\nstore, old town\",acme,bakery,cafe deli\r\n\
                       \r\n\
                       b,too,many,fields,in,here\r\n\
                       c,C,,,\r\n";
    let fake = Fake::start().await;
    let violation = v1::ImportViolation { field: "tenant.region_code".into(), description: "is required".into() };
    let failure = v1::ImportFailure { index: 1, name: "tenants/c".into(), violations: vec![violation] };
    let report = v1::ImportTenantsResponse { created_count: 1, failures: vec![failure], ..Default::default() };
    fake.methods.import_tenants.will(Ok(report));
    let arguments = ["tenant", "import", "--file", "-", "--format", "csv"];
    let output = fed(command(&fake, &arguments), CSV.as_bytes()).await;
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout),
        "line 5: has 6 fields, and the header has 5\nline 6, c: region_code is required\n\
         1 created, 0 changed, 0 as before, 2 refused\n"
    );
    let asked = fake.methods.import_tenants.asked();
    let first = &asked[0].message.tenants[0];
    let tenant = first.tenant.as_ref().expect("a tenant");
    assert_eq!(
        (tenant.display_name.as_str(), tenant.organization.as_str()),
        ("Corner\nstore, old town", "organizations/acme")
    );
    let set = first.categories.as_ref().expect("a set");
    assert_eq!(set.additional, ["platformCategories/cafe", "platformCategories/deli"]);
    assert_eq!(asked[0].message.tenants[1].categories, None, "an empty field is none");
}

#[tokio::test]
async fn csv_of_categories_has_regions_in_one_field_and_no_unknown_column() {
    let fake = Fake::start().await;
    fake.methods.import_platform_categories.will(Ok(v1::ImportPlatformCategoriesResponse::default()));
    let folder = Folder::new("csv");
    let file = folder.file("c.csv", "slug,regional_gbp_categories\nbakery,IN=gcid:cake_shop US=\n");
    let output = mirrorctl(&fake, &["platform-category", "import", "--file", &file]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let regional = fake.methods.import_platform_categories.asked()[0].message.platform_categories[0]
        .regional_gbp_categories
        .clone();
    assert_eq!((regional["IN"].as_str(), regional["US"].as_str()), ("categories/gcid:cake_shop", ""));

    let file = folder.file("d.csv", "slug,gbp_categroy\nbakery,gcid:bakery\n");
    let output = mirrorctl(&fake, &["platform-category", "import", "--file", &file]).await;
    let shown = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert!(shown.contains("line 1: unknown column `gbp_categroy`: there are slug,"), "{shown}");
    assert_eq!(fake.methods.import_platform_categories.asked().len(), 1);
}

/// What was imported before the server went away stays imported, and is told.
#[tokio::test]
async fn an_import_that_breaks_off_says_how_far_it_came() {
    let fake = Fake::start().await;
    fake.methods.import_tenants.will(Ok(v1::ImportTenantsResponse { created_count: 1000, ..Default::default() }));
    fake.methods.import_tenants.will(Err(tonic::Status::permission_denied("no")));
    let lines: String = (0..1500).map(|n| format!("{{\"tenant\":\"t{n}\"}}\n")).collect();
    let output = fed(command(&fake, &["tenant", "import", "--file", "-"]), lines.as_bytes()).await;
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "1000 created, 0 changed, 0 as before, 0 refused\n");
}

#[tokio::test]
async fn tenants_are_imported_as_they_were_listed() {
    let fake = Fake::start().await;
    let time = Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 });
    let with_all = v1::Tenant {
        name: "tenants/a".into(),
        display_name: "Café \u{202e}é".into(),
        organization: "organizations/acme".into(),
        gbp_account: "accounts/1".into(),
        gbp_location: "locations/2".into(),
        region_code: "US".into(),
        language_code: "en".into(),
        create_time: time,
        update_time: time,
    };
    let with_little = v1::Tenant { name: "tenants/b".into(), display_name: "B".into(), ..Default::default() };
    let tenants = vec![with_all.clone(), with_little.clone()];
    fake.methods.list_tenants.will(Ok(v1::ListTenantsResponse { tenants, ..Default::default() }));
    fake.methods.import_tenants.will(Ok(v1::ImportTenantsResponse { unchanged_count: 2, ..Default::default() }));
    let listed = mirrorctl(&fake, &["tenant", "list", "--output", "json"]).await;
    let output = fed(command(&fake, &["tenant", "import", "--file", "-"]), &listed.stdout).await;
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let asked = fake.methods.import_tenants.asked();
    let imported: Vec<_> = asked[0].message.tenants.iter().map(|it| it.tenant.clone().expect("a tenant")).collect();
    let without_times = v1::Tenant { create_time: None, update_time: None, ..with_all };
    assert_eq!(imported, [without_times, with_little]);
    assert!(asked[0].message.tenants.iter().all(|it| it.categories.is_none()), "categories are left alone");
}

#[tokio::test]
async fn platform_categories_are_imported_as_they_were_listed() {
    let fake = Fake::start().await;
    let time = Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 });
    let regional =
        HashMap::from([("IN".to_owned(), "categories/gcid:cake".to_owned()), ("US".to_owned(), String::new())]);
    let mapped = v1::PlatformCategory {
        name: "platformCategories/bakery".into(),
        display_name: "Bakery".into(),
        gbp_category: "categories/gcid:bakery".into(),
        regional_gbp_categories: regional,
        mapping_state: 2,
        imported: true,
        create_time: time,
        update_time: time,
    };
    let unmapped = v1::PlatformCategory { name: "platformCategories/x".into(), ..Default::default() };
    let platform_categories = vec![mapped.clone(), unmapped.clone()];
    let page = v1::ListPlatformCategoriesResponse { platform_categories, ..Default::default() };
    fake.methods.list_platform_categories.will(Ok(page));
    fake.methods.import_platform_categories.will(Ok(v1::ImportPlatformCategoriesResponse::default()));
    let listed = mirrorctl(&fake, &["platform-category", "list", "--output", "json"]).await;
    let output = fed(command(&fake, &["platform-category", "import", "--file", "-"]), &listed.stdout).await;
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let asked = fake.methods.import_platform_categories.asked();
    let set_by_server =
        v1::PlatformCategory { mapping_state: 0, imported: false, create_time: None, update_time: None, ..mapped };
    assert_eq!(asked[0].message.platform_categories, [set_by_server, unmapped]);
}
