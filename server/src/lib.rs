//! Category Mirror: keeps a store's business categories equal on a retail platform and on its Google Business Profile.

pub mod api;
pub mod app;
pub mod auth;
pub mod domain;
pub mod error;
pub mod gbp;
pub mod runner;
pub mod store;
pub mod wake;
