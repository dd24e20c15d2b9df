//! Category Mirror: keeps a store's business categories equal on a retail platform and on its Google Business Profile.

pub mod app;
pub mod domain;
pub mod error;
pub mod store;
pub mod wake;
