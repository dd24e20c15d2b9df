//! What tracing systems add to a caller's trace, as W3C Trace Context writes it: <https://www.w3.org/TR/trace-context/#tracestate-header>.

use std::{collections::HashSet, fmt};

/// Members of one list, by the standard.
const MAX_MEMBERS: usize = 32;
/// Characters of a key, and of a value, by the standard.
const MAX_PART: usize = 256;
/// Characters that are passed on: the standard's least. What is beyond is left out, member by member.
const MAX_LENGTH: usize = 512;
/// Members longer than this are left out first, by the standard.
const LONG_MEMBER_CHARS: usize = 128;

/// A `tracestate`: not empty, valid, and at most 512 characters. It has a meaning only beside the `traceparent` that it came with.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceState(String);

impl TraceState {
    /// Parses the values of all headers of this name, in their order. `None` is one that is no text. A list that breaks the standard is none.
    #[must_use]
    pub fn parse<'a>(headers: impl Iterator<Item = Option<&'a str>>) -> Option<Self> {
        let mut members = Vec::new();
        for header in headers {
            let listed = header?.split(',').map(|member| member.trim_matches([' ', '\t']));
            members.extend(listed.filter(|member| !member.is_empty()));
            if members.len() > MAX_MEMBERS {
                return None;
            }
        }
        let mut keys = HashSet::new();
        for member in &members {
            let (key, value) = member.split_once('=')?;
            if !is_key(key) || !is_value(value) || !keys.insert(key) {
                return None;
            }
        }
        while length(&members) > MAX_LENGTH {
            let last_long = members.iter().rposition(|member| member.len() > LONG_MEMBER_CHARS);
            members.remove(last_long.unwrap_or(members.len() - 1));
        }
        Some(members.join(",")).filter(|list| !list.is_empty()).map(Self)
    }

    /// The header's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Of the list, with its commas.
fn length(members: &[&str]) -> usize {
    members.iter().map(|member| member.len() + 1).sum::<usize>().saturating_sub(1)
}

fn is_key(key: &str) -> bool {
    let is_part = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    key.len() <= MAX_PART
        && key.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && key.bytes().all(is_part)
}

fn is_value(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= MAX_PART
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=' && byte != b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(headers: &[&str]) -> Option<String> {
        TraceState::parse(headers.iter().copied().map(Some)).map(|state| state.as_str().to_owned())
    }

    #[test]
    fn several_headers_are_one_list() {
        assert_eq!(
            parse(&["rojo=00f067aa0ba902b7, congo=t61rcWkgMzE"]).as_deref(),
            Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
        );
        assert_eq!(parse(&["a=1,", "\t,b@vendor= x"]).as_deref(), Some("a=1,b@vendor= x"));
    }

    #[test]
    fn what_breaks_the_standard_is_none() {
        for bad in ["", " , ", "a", "=1", "A=1", "a=", "a=1,a=2", "a=x=y", "a=\u{7f}", "a=é", "-a=1", "a b=1"] {
            assert_eq!(parse(&[bad]), None, "{bad:?}");
        }
        let many: Vec<String> = (0..33).map(|n| format!("k{n}=1")).collect();
        assert_eq!(parse(&[&many.join(",")]), None);
        assert_eq!(parse(&[&format!("a={}", "x".repeat(257))]), None);
        assert_eq!(TraceState::parse([Some("a=1"), None].into_iter()), None, "a header that is no text");
    }

    #[test]
    fn a_long_list_loses_long_members_and_then_its_end() {
        let long = format!("long={}", "x".repeat(200));
        let short: Vec<String> = (0..10).map(|n| format!("k{n}={}", "y".repeat(40))).collect();
        let list = format!("{long},{}", short.join(","));
        assert_eq!(parse(&[&list]), Some(short.join(",")));
        let short: Vec<String> = (10..30).map(|n| format!("k{n}={}", "y".repeat(40))).collect();
        let kept = parse(&[&short.join(",")]).expect("some");
        assert!(kept.len() <= 512 && short.join(",").starts_with(&kept), "{kept}");
    }
}
