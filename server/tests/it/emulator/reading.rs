//! What is read: masks, lists, names.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Google, WRITE, answer, reasons, set};

#[tokio::test]
async fn a_location_is_read_through_its_mask() {
    let google = Google::start().await;
    let (status, location) = google.get("/v1/locations/2004?readMask=name,categories").await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!({
        "name": "locations/2004",
        "categories": {
            "primaryCategory": { "name": "categories/gcid:restaurant", "displayName": "Restaurant" },
            "additionalCategories": [{ "name": "categories/gcid:pizza_restaurant", "displayName": "Pizza restaurant" }],
        },
    });
    assert_eq!(location, expected);
    let (status, error) = google.get("/v1/locations/2999?readMask=name").await;
    assert_eq!((status, &error["error"]["status"]), (StatusCode::NOT_FOUND, &json!("NOT_FOUND")));
}

#[tokio::test]
async fn a_missing_mask_is_answered_as_recorded() {
    let google = Google::start().await;
    let recorded = json!({ "error": {
        "code": 400, "message": "Request contains an invalid argument.", "status": "INVALID_ARGUMENT",
        "details": [{
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{ "field": "read_mask", "description": "Field is required" }],
        }],
    } });
    assert_eq!(google.get("/v1/locations/2001").await, (StatusCode::BAD_REQUEST, recorded));
    for (path, part) in [
        ("/v1/locations/2001?readMask=categories.primaryCategory", "cannot be updated independently."),
        ("/v1/locations/2001?readMask=name,nothing", "nothing"),
        ("/v1/locations/2001?readMask=name&unknown=1", "Unknown name \\\"unknown\\\""),
        ("/v1/accounts/1001/locations?readMask=name&pageSize=ten", "page_size"),
        ("/v1/categories?regionCode=US&languageCode=en", "view"),
        ("/v1/categories:batchGet?languageCode=en&view=BASIC", "names"),
        ("/v1/locations/2001?readMask=name&alt=proto", "alt"),
    ] {
        let (status, error) = google.get(path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(error.to_string().contains(part), "{path}: {error}");
    }
}

#[tokio::test]
async fn lists_come_in_pages_whose_tokens_fit_nothing_else() {
    let google = Google::start().await;
    for number in 0..25 {
        let seed = json!({ "account": "accounts/7", "title": "T", "regionCode": "US", "categories": set("bar", &[]) });
        google.control(Method::PUT, &format!("/locations/{}", 7000 + number), seed).await;
    }
    let list = "/v1/accounts/7/locations?readMask=name";
    let (mut path, mut sizes, mut found) = (list.to_owned(), vec![], vec![]);
    loop {
        let (_, page) = google.get(&path).await;
        let locations = page["locations"].as_array().expect("a list");
        sizes.push(locations.len());
        found.extend(locations.iter().map(|location| location["name"].as_str().expect("a name").to_owned()));
        let Some(token) = page["nextPageToken"].as_str() else { break };
        let stray = [
            format!("/v1/accounts/1001/locations?readMask=name&pageToken={token}"),
            format!("/v1/accounts/7/locations?readMask=title&pageToken={token}"),
            format!("{list}&pageToken={token}0"),
        ];
        for path in stray {
            assert_eq!(google.get(&path).await.0, StatusCode::BAD_REQUEST, "{path}");
        }
        path = format!("{list}&pageToken={token}");
    }
    assert_eq!(sizes, [10, 10, 5]);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 25);
    let (_, all) = google.get("/v1/accounts/-/locations?readMask=name&pageSize=100").await;
    assert_eq!(all["locations"].as_array().map(Vec::len), Some(30), "with the demo's five");
    assert_eq!(google.get("/v1/accounts/8/locations?readMask=name").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn categories_have_the_names_of_the_region() {
    let google = Google::start().await;
    let first = |answer: &Value| answer["categories"][0]["displayName"].clone();
    let butcher = |region: &str| {
        format!(
            "/v1/categories:batchGet?names=categories%2Fgcid%3Abutcher_shop&languageCode=en&regionCode={region}&view=BASIC"
        )
    };
    assert_eq!(first(&google.get(&butcher("US")).await.1), json!("Butcher shop"));
    assert_eq!(first(&google.get(&butcher("IN")).await.1), json!("Chicken & Mutton Shop"));

    let list = "/v1/categories?regionCode=US&languageCode=en&view=BASIC";
    let (_, page) = google.get(list).await;
    assert_eq!(page["categories"].as_array().map(Vec::len), Some(100), "100 a page if not asked");
    let (_, found) = google.get(&format!("{list}&filter=displayName%3Dfood")).await;
    let shown: Vec<_> =
        found["categories"].as_array().expect("found").iter().map(|c| c["displayName"].clone()).collect();
    assert!(shown.contains(&json!("Food court")) && !shown.contains(&json!("Fast food restaurant")), "{shown:?}");

    let change = json!({ "retire": ["gcid:butcher_shop"], "add": { "gcid:moon_base": "Moon base" } });
    google.control(Method::POST, "/taxonomy", change).await;
    assert_eq!(google.get(&butcher("US")).await.1, json!({}), "a retired one is missing from the answer");
    let write = json!({ "categories": set("grocery_store", &["butcher_shop"]) });
    assert_eq!(reasons(&google.patch(WRITE, write).await.1), ["INVALID_CATEGORY"]);
    let write = json!({ "categories": set("grocery_store", &["moon_base"]) });
    assert_eq!(google.patch(WRITE, write).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_get_that_is_too_long_travels_as_a_post() {
    let google = Google::start().await;
    let mut form = "languageCode=en&regionCode=US&view=BASIC&alt=json".to_owned();
    for _ in 0..100 {
        form.push_str("&names=categories%2Fgcid%3Acafe");
    }
    form.push_str("&names=categories%2Fgcid%3Adeli");
    let request = google.api(Method::POST, "/v1/categories:batchGet").body(form);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let (status, batch) = answer(request.header("x-http-method-override", "GET")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(batch["categories"].as_array().map(Vec::len), Some(2), "{batch}");
    let calls = google.control(Method::GET, "/calls", json!({})).await;
    assert_eq!(calls["categories.batchGet"], json!(1));
}
