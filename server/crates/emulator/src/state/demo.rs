//! Google's side of the demo: each location differs from the platform's in one way that a mirror must cope with.

use crate::state::EmulatorState;
use crate::state::ids::{AccountId, CategorySet, Gcid, LocationId};
use crate::state::location::Location;

/// Account, location, title, primary category, additional categories. `locations/2999` is missing on purpose.
const LOCATIONS: [(&str, &str, &str, &str, &[&str]); 5] = [
    // In sync.
    ("1001", "2001", "Corner Market Oak Street", "grocery_store", &["supermarket", "deli"]),
    // The platform has a bakery, too.
    ("1001", "2002", "Corner Market River Road", "grocery_store", &["supermarket"]),
    // The liquor store is one too many.
    ("1001", "2003", "Corner Market Station", "convenience_store", &["grocery_store", "liquor_store"]),
    // The platform says that it is an Italian restaurant.
    ("1002", "2004", "Bella Cucina Harbour", "restaurant", &["pizza_restaurant"]),
    // The platform has a category without a counterpart.
    ("1002", "2005", "Bella Cucina Market Square", "italian_restaurant", &["wine_bar"]),
];

/// Adds the demo's locations.
pub(crate) fn seed(state: &mut EmulatorState) {
    for (account, id, title, primary, additional) in LOCATIONS {
        let category = |slug: &&str| Gcid::parse(&format!("gcid:{slug}")).expect("the demo's slugs are valid");
        let additional = additional.iter().map(category).collect();
        let set = CategorySet::new(category(&primary), additional).expect("the demo's sets have no duplicates");
        let account = AccountId::parse(account).expect("the demo's ids are numbers");
        let id = LocationId::parse(id).expect("the demo's ids are numbers");
        state.locations.put(id, Location::new(account, title.into(), "US".into(), "en".into(), set));
    }
}
