//! What Google says of a location as a whole, and what becomes of edits then.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Google, WRITE, names, set};

const ALL: &str = "/v1/locations/2002?readMask=name,categories,metadata,openInfo";
const PUBLIC: &str = "/v1/locations/2002:getGoogleUpdated?readMask=categories";

/// What a read says of the location, beside its categories.
async fn read(google: &Google) -> (Value, Value) {
    let (status, location) = google.get(ALL).await;
    assert_eq!(status, StatusCode::OK, "{location}");
    (location["metadata"].clone(), location["openInfo"].clone())
}

#[tokio::test]
async fn a_location_is_healthy_unless_it_is_told_otherwise() {
    let google = Google::start().await;
    let healthy = (json!({"canDelete": true, "hasVoiceOfMerchant": true}), json!({"status": "OPEN"}));
    assert_eq!(read(&google).await, healthy);
    // As outside checks seed them.
    let seed = json!({"account": "1", "title": "T", "regionCode": "US", "categories": set("bar", &[])});
    google.control(Method::PUT, "/locations/2002", seed.clone()).await;
    assert_eq!(read(&google).await, healthy);
    let shown = google.control(Method::GET, "/locations/2002", json!({})).await;
    let metadata = json!({
        "hasGoogleUpdated": false, "hasPendingEdits": false, "hasVoiceOfMerchant": true, "duplicateLocation": null,
    });
    assert_eq!((&shown["metadata"], &shown["openInfo"]), (&metadata, &healthy.1));

    let mut told = seed;
    told["metadata"] = json!({"hasVoiceOfMerchant": false, "duplicateLocation": "locations/9"});
    told["openInfo"] = json!({"status": "CLOSED_PERMANENTLY"});
    google.control(Method::PUT, "/locations/2002", told).await;
    let metadata = json!({"canDelete": true, "duplicateLocation": "locations/9"});
    assert_eq!(read(&google).await, (metadata, json!({"status": "CLOSED_PERMANENTLY"})), "what is false is not there");
    // A later change; what it leaves out stays.
    google.control(Method::PATCH, "/locations/2002", json!({"metadata": {"duplicateLocation": null}})).await;
    assert_eq!(read(&google).await, (json!({"canDelete": true}), json!({"status": "CLOSED_PERMANENTLY"})));
    google.control(Method::PATCH, "/locations/2002", json!({"metadata": {"hasVoiceOfMerchant": true}})).await;
    let shown = google.control(Method::PATCH, "/locations/2002", json!({"openInfo": {"status": "OPEN"}})).await;
    assert_eq!((read(&google).await, &shown["metadata"]["hasVoiceOfMerchant"]), (healthy, &json!(true)));
}

#[tokio::test]
async fn masks_reach_into_it() {
    let google = Google::start().await;
    let (_, part) = google.get("/v1/locations/2002?readMask=openInfo.status,metadata.hasVoiceOfMerchant").await;
    assert_eq!(part, json!({"openInfo": {"status": "OPEN"}, "metadata": {"hasVoiceOfMerchant": true}}));
    let (_, none) = google.get("/v1/locations/2002?readMask=name,categories").await;
    assert!(none.get("metadata").is_none() && none.get("openInfo").is_none(), "{none}");
    let (_, list) = google.get("/v1/accounts/1001/locations?readMask=openInfo").await;
    assert_eq!(list["locations"][0], json!({"openInfo": {"status": "OPEN"}}));
    assert_eq!(google.get("/v1/locations/2002?readMask=openInfo.nothing").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_edit_is_taken_and_not_published_until_the_condition_allows_it() {
    for (condition, later) in [
        (json!({"metadata": {"hasVoiceOfMerchant": false}}), json!({"metadata": {"hasVoiceOfMerchant": true}})),
        (json!({"metadata": {"duplicateLocation": "locations/9"}}), json!({"metadata": {"duplicateLocation": null}})),
    ] {
        let google = Google::start().await;
        google.control(Method::PATCH, "/locations/2002", condition).await;
        let (status, written) = google.patch(WRITE, json!({"categories": set("bar", &[])})).await;
        assert_eq!(status, StatusCode::OK, "{written}");
        let public = async || {
            let (_, updated) = google.get(PUBLIC).await;
            (
                names(&updated["location"]["categories"]).0,
                updated.get("diffMask").is_some(),
                updated.get("pendingMask").is_some(),
            )
        };
        assert_eq!(public().await, ("categories/gcid:grocery_store".to_owned(), true, false));
        google.control(Method::PATCH, "/locations/2002", later).await;
        assert_eq!(public().await, ("categories/gcid:bar".to_owned(), false, false));
    }
}
