//! Category Mirror: keeps a store's business categories equal on a retail platform and on its Google Business Profile.

pub mod auth;
pub mod data_dir;
pub mod domain;
pub mod postgres;
pub mod store;
