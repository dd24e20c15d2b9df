//! The platform's side of the demo; Google's is the emulator's seed. Each store differs in one way that a mirror must cope with.

use category_mirror_client::{Client, Error};

/// A platform category: slug, name, and the GBP category it maps to, where it does.
const CATEGORIES: [(&str, &str, Option<&str>); 9] = [
    ("grocery", "Groceries", Some("gcid:grocery_store")),
    ("supermarket", "Supermarket", Some("gcid:supermarket")),
    ("deli", "Deli", Some("gcid:deli")),
    ("bakery", "Bakery", Some("gcid:bakery")),
    ("corner-shop", "Corner shop", Some("gcid:convenience_store")),
    ("italian", "Italian restaurant", Some("gcid:italian_restaurant")),
    ("pizza", "Pizza", Some("gcid:pizza_restaurant")),
    ("wine-bar", "Wine bar", Some("gcid:wine_bar")),
    ("cooking-classes", "Cooking classes", None),
];

/// A store of the demo.
pub(super) struct Store {
    /// Its id.
    pub(super) id: &'static str,
    /// Its name for people.
    pub(super) name: &'static str,
    organization: &'static str,
    place: (&'static str, &'static str),
    primary: &'static str,
    additional: &'static [&'static str],
    /// Whether the emulator knows its location.
    pub(super) is_known_to_google: bool,
}

/// The stores: in sync; one category missing; one too many; the wrong primary; an unmapped one; a location that Google does not know.
pub(super) const STORES: [Store; 6] = [
    Store {
        id: "oak-street",
        name: "Corner Market Oak Street",
        organization: "corner-market",
        place: ("1001", "2001"),
        primary: "grocery",
        additional: &["supermarket", "deli"],
        is_known_to_google: true,
    },
    Store {
        id: "river-road",
        name: "Corner Market River Road",
        organization: "corner-market",
        place: ("1001", "2002"),
        primary: "grocery",
        additional: &["supermarket", "bakery"],
        is_known_to_google: true,
    },
    Store {
        id: "station",
        name: "Corner Market Station",
        organization: "corner-market",
        place: ("1001", "2003"),
        primary: "corner-shop",
        additional: &["grocery"],
        is_known_to_google: true,
    },
    Store {
        id: "harbour",
        name: "Bella Cucina Harbour",
        organization: "bella-cucina",
        place: ("1002", "2004"),
        primary: "italian",
        additional: &["pizza"],
        is_known_to_google: true,
    },
    Store {
        id: "market-square",
        name: "Bella Cucina Market Square",
        organization: "bella-cucina",
        place: ("1002", "2005"),
        primary: "italian",
        additional: &["wine-bar", "cooking-classes"],
        is_known_to_google: true,
    },
    Store {
        id: "airport",
        name: "Bella Cucina Airport",
        organization: "bella-cucina",
        place: ("1002", "2999"),
        primary: "italian",
        additional: &["pizza"],
        is_known_to_google: false,
    },
];

/// The location at which Google is made to fail once, so that a retry can be seen.
pub(super) const SHAKY_LOCATION: &str = "2002";

/// Loads the platform's side through the API.
pub(super) async fn load(client: &Client) -> Result<(), Error> {
    for (slug, name, gcid) in CATEGORIES {
        let category = client.create_platform_category(slug).display_name(name);
        match gcid {
            Some(gcid) => category.gbp_category(gcid).send().await?,
            None => category.send().await?,
        };
    }
    for store in &STORES {
        let (account, location) = store.place;
        client
            .create_tenant(store.id)
            .display_name(store.name)
            .organization(store.organization)
            .location(account, location)
            .region_code("US")
            .language_code("en")
            .send()
            .await?;
        client
            .set_tenant_categories(store.id, store.primary)
            .additional(store.additional.iter().copied())
            .send()
            .await?;
    }
    Ok(())
}
