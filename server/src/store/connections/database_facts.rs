//! What the start reads of its database.

use serde::Deserialize;
use sqlx::{PgConnection, types::Json};

use super::session::{DEFAULT_SCHEMA, Session};

/// PostgreSQL 15, the oldest that the tests run on.
const MIN_SERVER_VERSION: u32 = 150_000;

/// What the start reads of its database.
#[derive(Debug, Default, Deserialize)]
pub(in crate::store) struct DatabaseFacts {
    #[serde(skip)]
    version: u32,
    #[serde(skip)]
    schema: String,
    /// Whether the schema was named, rather than the usual one.
    #[serde(skip)]
    is_named: bool,
    version_text: String,
    role: String,
    database: String,
    encoding: String,
    is_standby: bool,
    is_read_only: bool,
    synchronous_commit: String,
    session_replication_role: String,
    has_schema: bool,
    may_use_schema: bool,
    may_create_in_schema: bool,
    /// Who owns the tables, where there are any.
    owner: Option<String>,
    may_act_as_owner: bool,
    /// Another schema with such tables, where there are none in this one.
    elsewhere: Option<String>,
    /// Where the extension is, if it is.
    extension_schema: Option<String>,
    may_use_extension_schema: bool,
    is_extension_available: bool,
    may_create_extension: bool,
}

impl DatabaseFacts {
    pub(in crate::store) async fn read(
        connection: &mut PgConnection,
        schema: Option<&str>,
    ) -> Result<Self, sqlx::Error> {
        let (version, is_named) = (connection.server_version_num().unwrap_or(MIN_SERVER_VERSION), schema.is_some());
        let schema = schema.unwrap_or(DEFAULT_SCHEMA).to_owned();
        if version < MIN_SERVER_VERSION {
            // What else is asked may be more than it knows.
            let version_text = format!("{}.{}", version / 10_000, version % 10_000);
            return Ok(Self { version, version_text, ..Self::default() });
        }
        let Json(facts): Json<Self> =
            sqlx::query_scalar(include_str!("database_facts.sql")).bind(&schema).fetch_one(connection).await?;
        Ok(Self { version, schema, is_named, ..facts })
    }

    /// The settings of sessions on this database.
    ///
    /// # Errors
    /// The first problem, and its remedy.
    pub(in crate::store) fn session(&self) -> Result<Session, String> {
        let problem = self.server().or_else(|| self.tables()).or_else(|| self.extension());
        if let Some(problem) = problem {
            return Err(problem);
        }
        let session = Session::new(&self.schema, self.extension_schema.as_deref());
        // What was accepted would be lost with the server.
        Ok(if self.loses_commits() { session.with(&[("synchronous_commit", "on")]) } else { session })
    }

    /// Whether a commit here may be answered before it is durable.
    pub(in crate::store) fn loses_commits(&self) -> bool {
        self.synchronous_commit == "off"
    }

    fn server(&self) -> Option<String> {
        let Self { version_text, role, database, encoding, .. } = self;
        if self.version < MIN_SERVER_VERSION {
            return Some(format!(
                "this is PostgreSQL {version_text}, and 15 is the oldest that works; upgrade the server"
            ));
        }
        if encoding != "UTF8" {
            return Some(format!(
                "database \"{database}\" has the encoding {encoding}, and names may have any character; create one with \
                 \"create database … encoding 'UTF8' template template0\""
            ));
        }
        if self.is_standby {
            return Some("this server is a standby, which only reads; use the URL of the primary".to_owned());
        }
        if self.is_read_only {
            return Some(format!(
                "this server only reads: default_transaction_read_only is on, which a provider sets when the disk is full; make room, or run \
                 \"alter database \"{database}\" reset default_transaction_read_only\" or the same for role \"{role}\""
            ));
        }
        if self.session_replication_role != "origin" {
            return Some(format!(
                "session_replication_role is {}, and triggers do not fire; run \"alter role \"{role}\" reset session_replication_role\" or \
                 the same for database \"{database}\"",
                self.session_replication_role
            ));
        }
        None
    }

    fn tables(&self) -> Option<String> {
        let Self { role, database, schema, .. } = self;
        if let (Some(elsewhere), false) = (&self.elsewhere, self.is_named) {
            return Some(format!(
                "the tables are in schema \"{elsewhere}\" of database \"{database}\"; set DATABASE_SCHEMA={elsewhere}, or DATABASE_SCHEMA={schema} \
                 to begin with new ones"
            ));
        }
        if !self.has_schema {
            return Some(format!(
                "DATABASE_SCHEMA={schema} does not exist; run \"create schema \"{schema}\" authorization \"{role}\"\" in database \"{database}\""
            ));
        }
        if !self.may_use_schema || !self.may_create_in_schema {
            return Some(format!(
                "role \"{role}\" may not create tables in schema \"{schema}\"; run \"grant usage, create on schema \"{schema}\" to \"{role}\"\" \
                 in database \"{database}\""
            ));
        }
        if let (Some(owner), false) = (&self.owner, self.may_act_as_owner) {
            return Some(format!(
                "the tables in schema \"{schema}\" belong to role \"{owner}\", and role \"{role}\" may not change them; run \
                 \"grant \"{owner}\" to \"{role}\"\", or connect as \"{owner}\""
            ));
        }
        None
    }

    fn extension(&self) -> Option<String> {
        let Self { role, database, .. } = self;
        match &self.extension_schema {
            Some(schema) if !self.may_use_extension_schema => Some(format!(
                "the extension pg_trgm is in schema \"{schema}\", which role \"{role}\" may not use; run \
                 \"grant usage on schema \"{schema}\" to \"{role}\"\" in database \"{database}\""
            )),
            Some(_) => None,
            None if !self.is_extension_available => Some(
                "the extension pg_trgm is missing, and this PostgreSQL does not bring it along; install its additional modules \
                 (postgresql-contrib where they are a package of their own)"
                    .to_owned(),
            ),
            None if !self.may_create_extension => Some(format!(
                "the extension pg_trgm is missing, and role \"{role}\" may not create it; have an administrator run \
                 \"create extension pg_trgm\" in database \"{database}\""
            )),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit() -> DatabaseFacts {
        DatabaseFacts {
            version: MIN_SERVER_VERSION,
            schema: DEFAULT_SCHEMA.to_owned(),
            encoding: "UTF8".to_owned(),
            session_replication_role: "origin".to_owned(),
            has_schema: true,
            may_use_schema: true,
            may_create_in_schema: true,
            may_act_as_owner: true,
            may_use_extension_schema: true,
            is_extension_available: true,
            may_create_extension: true,
            ..DatabaseFacts::default()
        }
    }

    #[test]
    fn an_old_server_is_refused_before_anything_else_is_asked() {
        assert!(fit().session().is_ok());
        let old = DatabaseFacts { version: 140_012, version_text: "14.12".to_owned(), ..DatabaseFacts::default() };
        let problem = old.session().expect_err("too old");
        assert!(problem.contains("PostgreSQL 14.12") && problem.contains("upgrade"), "{problem}");
    }

    #[test]
    fn a_standby_is_told_from_a_server_that_only_reads() {
        let standby = DatabaseFacts { is_standby: true, is_read_only: true, ..fit() };
        assert!(standby.session().expect_err("a standby").contains("use the URL of the primary"));
        let reading = DatabaseFacts { is_read_only: true, ..fit() };
        assert!(reading.session().expect_err("only reads").contains("reset default_transaction_read_only"));
    }

    #[test]
    fn an_extension_that_cannot_be_had_is_refused() {
        let missing = DatabaseFacts { is_extension_available: false, ..fit() };
        assert!(missing.session().expect_err("missing").contains("postgresql-contrib"));
        let there =
            DatabaseFacts { extension_schema: Some("extensions".to_owned()), is_extension_available: false, ..fit() };
        assert!(there.session().is_ok());
    }
}
