//! Maps database errors to the server's [`Error`].

use super::connections::{is_cut, is_outgrown, is_transient, note_outgrown};
use crate::{
    domain::TenantId,
    error::{Error, Resource},
};

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let is_of_pool =
            matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed);
        // Of a transaction: any other statement was sent again already.
        let is_outgrown = is_outgrown(&error);
        if is_outgrown {
            note_outgrown();
        }
        let passes = is_cut(&error) || is_of_pool || is_outgrown || is_transient(&error);
        if passes { Self::DatabaseUnavailable(error.into()) } else { Self::Internal(error.into()) }
    }
}

/// Turns the violation of a named constraint into an error of the domain, at the call site.
pub(super) trait OnConstraint<T> {
    /// Maps the violation of `name`; every other error keeps its meaning.
    fn on_constraint(self, name: &str, error: impl FnOnce() -> Error) -> Result<T, Error>;
}

impl<T> OnConstraint<T> for Result<T, sqlx::Error> {
    fn on_constraint(self, name: &str, error: impl FnOnce() -> Error) -> Result<T, Error> {
        self.map_err(|cause| match cause.as_database_error() {
            Some(database) if database.constraint() == Some(name) => error(),
            _ => cause.into(),
        })
    }
}

/// Returns the error of a tenant that does not exist.
pub(super) fn tenant_not_found(tenant: &TenantId) -> Error {
    Error::NotFound(Resource::Tenant, tenant.resource_name())
}
