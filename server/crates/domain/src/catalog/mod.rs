//! Categories of both sides, sets of them, Google's list, and how one side's map to the other's.

pub(crate) mod category;
pub(crate) mod category_index;
pub(crate) mod category_set;
pub(crate) mod gcid;
pub(crate) mod locale;
pub(crate) mod mapping;
pub(crate) mod mapping_state;
pub(crate) mod platform_category;
pub(crate) mod taxonomy;
pub(crate) mod trigram;
