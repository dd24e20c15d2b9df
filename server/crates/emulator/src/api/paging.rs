//! Pages, and tokens that fit only the list they came from.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::api::answer::GoogleError;
use crate::api::query::Query;

/// The most entries of a page, of locations and of categories alike.
const MAX_PAGE: usize = 100;

/// One page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResultPage<T> {
    /// The entries.
    pub(crate) items: Vec<T>,
    /// Where the next page begins; absent on the last one.
    pub(crate) next: Option<String>,
}

/// Which page of which list a request asks for.
#[derive(Debug)]
pub(crate) struct Paging<'a> {
    query: &'a Query,
    scope: &'a str,
    size: usize,
    after: String,
}

impl<'a> Paging<'a> {
    /// Reads `pageSize` and `pageToken`. `scope` is what selects the list beside the query, such as its parent.
    pub(crate) fn read(query: &'a Query, scope: &'a str, default_size: usize) -> Result<Self, GoogleError> {
        let size = match query.integer("pageSize")? {
            0 => default_size,
            asked => usize::try_from(asked)
                .map_err(|_| GoogleError::field("page_size", "Must not be negative."))?
                .min(MAX_PAGE),
        };
        let after = query.one("pageToken").map(|token| open(token, query, scope)).transpose()?.unwrap_or_default();
        Ok(Self { query, scope, size, after })
    }

    /// The key after which the page begins; empty, and so before every key, on the first one. A token holds a key and not a
    /// position, so what comes and goes between two pages shifts nothing.
    pub(crate) fn after(&self) -> &str {
        &self.after
    }

    /// Cuts the page from `rest`: the entries after [`Self::after`], sorted by their key.
    pub(crate) fn cut<'e, T>(&self, rest: impl Iterator<Item = (&'e str, T)>) -> ResultPage<T> {
        let mut rest = rest.peekable();
        let (mut items, mut last) = (Vec::new(), "");
        while items.len() < self.size
            && let Some((key, item)) = rest.next()
        {
            items.push(item);
            last = key;
        }
        let next = rest.peek().is_some().then(|| seal(last, self.query, self.scope));
        ResultPage { items, next }
    }
}

/// A checksum over the key and over everything that selects the list.
fn checksum(key: &str, query: &Query, scope: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, scope, query.selection()).hash(&mut hasher);
    hasher.finish()
}

fn seal(key: &str, query: &Query, scope: &str) -> String {
    let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{:016x}{hex}", checksum(key, query, scope))
}

fn open(token: &str, query: &Query, scope: &str) -> Result<String, GoogleError> {
    let key = token.get(16..).and_then(|hex| {
        let bytes: Option<Vec<u8>> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect();
        String::from_utf8(bytes?).ok()
    });
    key.filter(|key| seal(key, query, scope) == token)
        .ok_or_else(|| GoogleError::field("page_token", "Invalid page token, or one of another request."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(text: &str) -> Query {
        Query::decode(text).expect("decodes")
    }

    fn cut(text: &str, keys: &[&'static str]) -> Result<ResultPage<&'static str>, GoogleError> {
        let query = query(text);
        let paging = Paging::read(&query, "accounts/1", 2)?;
        Ok(paging.cut(keys.iter().filter(|key| **key > paging.after()).map(|key| (*key, *key))))
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let first = cut("readMask=name", &["a", "b", "c", "d"]).expect("a page");
        assert_eq!(first.items, ["a", "b"]);
        let token = first.next.expect("more");
        let second = cut(&format!("readMask=name&pageSize=5&pageToken={token}"), &["a", "c", "d"]).expect("a page");
        assert_eq!(
            second,
            ResultPage { items: vec!["c", "d"], next: None },
            "`b` left meanwhile and nothing was skipped"
        );
        assert_eq!(cut("", &["a", "b"]).expect("a page").next, None, "an exactly full last page has no successor");
    }

    #[test]
    fn a_token_fits_its_own_list_only() {
        let token = cut("readMask=name", &["a", "b", "c"]).expect("a page").next.expect("more");
        assert!(cut(&format!("readMask=title&pageToken={token}"), &["c"]).is_err(), "another mask");
        let other = query(&format!("readMask=name&pageToken={token}"));
        assert!(Paging::read(&other, "accounts/2", 2).is_err(), "another account");
        assert!(
            cut(&format!("readMask=name&alt=json&pageToken={token}"), &["c"]).is_ok(),
            "system parameters do not select"
        );
    }

    #[test]
    fn sizes_are_bounded() {
        let keys: Vec<String> = (100..300).map(|n| n.to_string()).collect();
        let size = |text| {
            let query = query(text);
            let page = Paging::read(&query, "", 10)?.cut(keys.iter().map(|key| (key.as_str(), ())));
            Ok::<_, GoogleError>(page.items.len())
        };
        assert_eq!(size("").expect("the default"), 10);
        assert_eq!(size("pageSize=100").expect("the most"), 100);
        assert_eq!(size("pageSize=1000").expect("cut down"), 100);
        assert!(size("pageSize=-1").is_err());
    }

    proptest! {
        #[test]
        fn a_made_up_token_is_an_error(token in "[0-9a-fA-F]{0,40}|\\PC{0,40}") {
            prop_assert!(open(&token, &query(""), "").is_err());
        }
    }
}
