//! PostgreSQL: every SQL statement of the service, one typed function each.

pub mod migrations;
