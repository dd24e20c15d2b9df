//! The name of a database, as the setting of a server.

pub(super) use crate::support::name::Name;

impl Name {
    /// A `DATABASE_URL`.
    pub(super) fn url(&self) -> String {
        format!("postgres://category_mirror@{}/category_mirror?sslmode=disable", self.address())
    }
}
