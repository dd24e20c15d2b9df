//! The settings of a session on which the statements of the store rely.
//!
//! `ALTER ROLE … SET` and `ALTER DATABASE … SET` change what a statement means: how a time is read, which table a name is, when a
//! statement is given up. So each session sets its own, in one of two ways: for its life, where the server keeps sessions, or for each
//! transaction, where a pooler hands every transaction to another session.

use std::borrow::Cow;

use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr, SqlStr, postgres::PgConnectOptions};

/// The schema of the tables where no other is configured.
pub const DEFAULT_SCHEMA: &str = "public";

/// PostgreSQL 17, which has `transaction_timeout`.
const WITH_TRANSACTION_TIMEOUT: u32 = 170_000;

/// The transaction modes that `begin` names, because a session behind a pooler may have other defaults.
const BEGIN: &str = "begin isolation level read committed not deferrable";

type Setting = (&'static str, Cow<'static, str>);

/// Settings with a fixed value, and the reason.
const FIXED: [(&str, &str); 23] = [
    // A server that hangs must not hang its callers: no statement here takes long.
    ("statement_timeout", "30s"),
    ("idle_in_transaction_session_timeout", "30s"),
    // What waits for a lock is bounded by its statement, and a connection of the pool may be idle.
    ("lock_timeout", "0"),
    ("idle_session_timeout", "0"),
    // A statement whose connection was given up, see `connections/connection.rs`, ends instead of taking effect after its caller has gone.
    ("client_connection_check_interval", "1s"),
    // No statement here runs as long as its compilation would, whatever the planner takes it for.
    ("jit", "off"),
    // Below are notices such as "relation already exists, skipping", which a log does not need.
    ("client_min_messages", "warning"),
    ("exit_on_error", "off"),
    // Statements that need another level begin their transaction with it.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    // How values are read and written as text: in literals, in casts, and in JSON that the database makes.
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
    ("array_nulls", "on"),
    ("transform_null_equals", "off"),
    ("quote_all_identifiers", "off"),
    // What a search finds. A placeholder until the extension is loaded.
    ("pg_trgm.similarity_threshold", "0.3"),
    ("pg_trgm.word_similarity_threshold", "0.6"),
    // An index answers wholly, not with a sample.
    ("gin_fuzzy_search_limit", "0"),
];

/// The settings of a session.
#[derive(Debug, Clone)]
pub struct Session(Vec<Setting>);

impl Default for Session {
    fn default() -> Self {
        Self::new(DEFAULT_SCHEMA, None)
    }
}

impl Session {
    /// Settings for tables in `schema`, and for operators of an extension in `extension_schema` where that is another one.
    #[must_use]
    pub fn new(schema: &str, extension_schema: Option<&str>) -> Self {
        let mut settings: Vec<Setting> = FIXED.iter().map(|&(name, value)| (name, value.into())).collect();
        settings.push(("search_path", search_path(schema, extension_schema).into()));
        Self(settings)
    }

    /// The same, with other values of some settings.
    #[must_use]
    pub(in crate::store) fn with(&self, others: &[(&'static str, &'static str)]) -> Self {
        let kept = self.0.iter().filter(|(name, _)| others.iter().all(|(other, _)| other != name)).cloned();
        let others = others.iter().map(|&(name, value)| (name, value.into()));
        Self(kept.chain(others).collect())
    }

    /// The same, with what only this version has.
    #[must_use]
    pub(in crate::store) fn on_version(&self, version: Option<u32>) -> Self {
        let has_timeout = version.is_some_and(|version| version >= WITH_TRANSACTION_TIMEOUT);
        if has_timeout { self.with(&[("transaction_timeout", "0")]) } else { self.clone() }
    }

    /// Connection options that set them from the start. What the options set themselves comes before, and so is without effect.
    pub(in crate::store) fn at_startup(&self, options: PgConnectOptions) -> PgConnectOptions {
        options.options(self.0.iter().map(|(name, value)| (name, value)))
    }

    /// Sets them for the rest of a session: a pooler that keeps sessions may have dropped the settings of the startup.
    pub(in crate::store) async fn set(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let session = self.on_version(connection.server_version_num());
        let statement = AssertSqlSafe(session.statement(false));
        sqlx::raw_sql(statement).execute(connection).await.map(drop)
    }

    /// Begins a transaction, and sets them until its end. One message, so that it costs no round trip more than a beginning does.
    pub(in crate::store) fn begin(&self, begin: &str) -> SqlStr {
        let begin = if begin == "begin" { BEGIN } else { begin };
        AssertSqlSafe(format!("{begin}; {}", self.statement(true))).into_sql_str()
    }

    fn statement(&self, is_local: bool) -> String {
        let set = |(name, value): &Setting| format!("set_config('{name}', {}, {is_local})", literal(value));
        format!("select {}", self.0.iter().map(set).collect::<Vec<_>>().join(", "))
    }
}

/// `pg_temp` last, or else it would come first: another user of a pooler's session may have left a table there.
fn search_path(schema: &str, extension_schema: Option<&str>) -> String {
    let schemas = [Some(schema), extension_schema.filter(|other| *other != schema)];
    let schemas = schemas.into_iter().flatten().map(identifier);
    schemas.chain(["pg_temp".to_owned()]).collect::<Vec<_>>().join(", ")
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A literal that means the same whether `standard_conforming_strings` is on or not.
fn literal(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('\'', "''");
    if escaped.contains('\\') { format!("E'{escaped}'") } else { format!("'{escaped}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_said_once_and_the_last_word_counts() {
        let session = Session::new("a\"b'c\\d", Some("extensions")).with(&[("jit", "on"), ("enable_sort", "off")]);
        let statement = session.statement(true);
        assert_eq!(statement.matches("'jit'").count(), 1);
        assert!(statement.contains("set_config('jit', 'on', true)"), "{statement}");
        assert!(statement.contains("set_config('enable_sort', 'off', true)"), "{statement}");
        let path = r#"set_config('search_path', E'"a""b''c\\d", "extensions", pg_temp', true)"#;
        assert!(statement.contains(path), "{statement}");
    }

    #[test]
    fn the_extension_is_not_looked_for_twice_in_one_schema() {
        assert_eq!(search_path("public", Some("public")), "\"public\", pg_temp");
        assert_eq!(search_path("public", None), "\"public\", pg_temp");
    }

    #[test]
    fn only_a_server_that_has_it_is_told_of_the_timeout_of_transactions() {
        let has =
            |version| Session::default().on_version(version).statement(false).contains("transaction_timeout', '0'");
        assert_eq!([None, Some(160_009), Some(170_000), Some(180_001)].map(has), [false, false, true, true]);
    }
}
