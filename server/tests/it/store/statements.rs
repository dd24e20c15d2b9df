//! Every SQL statement that the sources hold, found by reading them.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use sqlx::{AssertSqlSafe, Executor, SqlSafeStr, Statement};

use super::store_with;
use crate::documentation::documents::files_below;

/// A statement as a source has it.
pub(super) struct SourceStatement {
    pub(super) place: String,
    pub(super) sql: String,
}

/// The statements of the store and the wake-ups.
pub(super) fn all() -> Vec<SourceStatement> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files: Vec<PathBuf> = files_below(&sources.join("store"), &["rs"]);
    files.push(sources.join("wake/remote.rs"));
    files.sort();
    let texts: Vec<(PathBuf, String)> =
        files.into_iter().map(|file| (file.clone(), fs::read_to_string(file).expect("text"))).collect();
    let macros: HashMap<&str, &str> = texts
        .iter()
        .flat_map(|(_, text)| text.split("macro_rules! ").skip(1))
        .map(|text| (text.split_once(' ').expect("a name").0, literal(text).1))
        .collect();
    let calls = |(file, text): &(PathBuf, String)| -> Vec<SourceStatement> {
        let place = file.strip_prefix(&sources).expect("below the sources").display();
        text.match_indices("sqlx::query")
            // The watchdog's, which names no table.
            .filter(|(at, _)| !text[*at..].starts_with("sqlx::query(SERVER_IDENTITY)"))
            .map(|(at, _)| {
                let line = text[..at].lines().count();
                let (before, sql) = literal(&text[at..]);
                assert!(before.len() < 120, "{place}:{line}: a query without a text beside it: {before}");
                let sql = if before.contains("concat!(") {
                    concat(&text[at..], file, &macros)
                } else if before.contains("include_str!(") {
                    included(file, sql)
                } else {
                    sql.to_owned()
                };
                SourceStatement { place: format!("{place}:{line}"), sql }
            })
            .collect()
    };
    texts.iter().flat_map(calls).collect()
}

/// The file `name` that the source `file` includes.
fn included(file: &Path, name: &str) -> String {
    fs::read_to_string(file.with_file_name(name)).expect("the included file")
}

/// The first string literal, and what is before it.
fn literal(source: &str) -> (&str, &str) {
    let (before, rest) = source.split_once('"').expect("a literal");
    let (sql, _) = rest.split_once('"').expect("its end");
    assert!(!sql.contains('\\'), "an escape, which this does not know: {sql}");
    (before, sql)
}

/// What `concat!` makes of literals, of included files, and of macros that stand for a literal.
fn concat(source: &str, file: &Path, macros: &HashMap<&str, &str>) -> String {
    const INCLUDE: &str = "include_str!(";
    let (_, mut rest) = source.split_once("concat!(").expect("the macro");
    let mut whole = String::new();
    loop {
        rest = rest.trim_start().trim_start_matches(',').trim_start();
        if rest.starts_with(')') {
            return whole;
        } else if rest.starts_with('"') {
            let sql = literal(rest).1;
            whole.push_str(sql);
            rest = &rest[sql.len() + 2..];
        } else if let Some(include) = rest.strip_prefix(INCLUDE) {
            let name = literal(include).1;
            whole.push_str(&included(file, name));
            rest = include[name.len() + 2..].strip_prefix(')').expect("the end of the macro");
        } else {
            let (name, after) = rest.split_once("!()").expect("a literal or a macro");
            whole.push_str(macros[name]);
            rest = after;
        }
    }
}

/// Every text that a source has in quotes.
fn texts(source: &str) -> Vec<String> {
    let code: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n").replace("'\"'", "").replace("\\\"", "");
    code.split('"').skip(1).step_by(2).map(ToOwned::to_owned).collect()
}

/// What stands for all columns: `*` that is neither a factor, nor counts rows, nor is a JSON path.
fn all_columns(sql: &str) -> Option<&str> {
    sql.match_indices('*').map(|(at, _)| sql[..at].trim_end()).find(|before| {
        let word = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        before.ends_with('.') || before.ends_with(',') || ["select", "returning", "distinct", "all"].contains(&word)
    })
}

#[tokio::test]
async fn no_statement_takes_all_columns() {
    for sql in
        ["select * from t", "returning *", "select a, * from t", "select t.* from t", "select (row).*", "distinct *"]
    {
        assert!(all_columns(sql).is_some(), "{sql}");
    }
    for sql in ["select count(*)", "2 * ln(x)", "$.changes[*]", "interval '1 day' * $1", "select a*b"] {
        assert_eq!(all_columns(sql), None, "{sql}");
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut read = 0;
    for file in
        ["store", "wake", "commands"].iter().flat_map(|folder| files_below(&sources.join(folder), &["rs", "sql"]))
    {
        let source = fs::read_to_string(&file).expect("text");
        let is_sql = file.extension().is_some_and(|extension| extension == "sql");
        for text in if is_sql { vec![source] } else { texts(&source) } {
            let found = all_columns(&text);
            assert_eq!(found, None, "{}: a column more would change what this gives", file.display());
            read += 1;
        }
    }
    assert!(read > 500, "{read}");
    // Functions keep their statements, too.
    let store = store_with(&[]).await;
    let functions: Vec<(String, String)> = sqlx::query_as(
        "select proname::text, prosrc from pg_proc
          where pronamespace = 'public'::regnamespace and prolang in (select oid from pg_language where lanname in ('sql', 'plpgsql'))
         union all
         select viewname::text, definition from pg_views where schemaname = 'public'",
    )
    .fetch_all(&store.pool)
    .await
    .expect("read");
    assert!(functions.len() > 15, "{}", functions.len());
    for (name, body) in functions {
        assert_eq!(all_columns(&body), None, "{name}");
    }
}

#[tokio::test]
async fn every_statement_is_one_that_the_schema_knows() {
    let store = store_with(&[]).await;
    let mut connection = store.pool.acquire().await.expect("connected");
    let all = all();
    for SourceStatement { place, sql } in &all {
        let prepared = connection.prepare(AssertSqlSafe(sql.clone()).into_sql_str()).await;
        let prepared = prepared.unwrap_or_else(|error| panic!("{place}: {error}\n{sql}"));
        let highest = (1..40).rev().find(|n| sql.contains(&format!("${n}"))).unwrap_or(0);
        let parameters = prepared.parameters().map_or(0, |either| either.either(|types| types.len(), |count| count));
        assert_eq!(parameters, highest, "{place}: parameters without a gap");
    }
    let words = ["select", "insert", "update", "delete", "with", "truncate", "analyze"];
    assert!(
        all.iter().all(|found| words.iter().any(|word| found.sql.starts_with(word))),
        "lower case, from the verb on"
    );
    assert!(all.len() > 30, "only {} were found", all.len());
}
