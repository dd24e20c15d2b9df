//! Category Mirror: keeps a store's business categories equal on a retail platform and on its Google Business Profile.

pub mod domain;
pub mod gbp;
