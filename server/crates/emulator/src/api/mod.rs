//! Google's side: the calls of the API and the token endpoint, in Google's manners.

pub(crate) mod answer;
pub(crate) mod categories;
pub(crate) mod edit;
pub(crate) mod faulted;
pub(crate) mod google;
pub(crate) mod locations;
pub(crate) mod mask;
pub(crate) mod method;
pub(crate) mod paging;
pub(crate) mod query;
