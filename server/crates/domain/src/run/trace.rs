//! The caller's trace, as W3C Trace Context writes it: <https://www.w3.org/TR/trace-context/>.

use std::fmt;

use crate::TraceState;

/// What does not belong to the first version: a text of this length does.
const TRACEPARENT_CHARS: usize = 55;

/// A `traceparent`: which trace a piece of work belongs to, and which span of it asked for it.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceParent(String);

impl TraceParent {
    /// Parses `00-{trace}-{parent}-{flags}`, in lower-case hexadecimal digits. A later version is read as far as this one goes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (version, rest) = text.split_once('-')?;
        let known = text.get(..TRACEPARENT_CHARS)?;
        let is_whole =
            text.len() == TRACEPARENT_CHARS || (version != "00" && text[TRACEPARENT_CHARS..].starts_with('-'));
        let (trace, rest) = rest.split_once('-')?;
        let (parent, rest) = rest.split_once('-')?;
        let flags = rest.get(..2)?;
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_id = |text: &str, length| is_hex(text, length) && text.bytes().any(|byte| byte != b'0');
        let is_valid = is_whole
            && is_hex(version, 2)
            && version != "ff"
            && is_id(trace, 32)
            && is_id(parent, 16)
            && is_hex(flags, 2);
        is_valid.then(|| Self(format!("00{}", &known[2..])))
    }

    /// The trace.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }

    /// The same trace, for work that a span of ours asks for; 0 is no span.
    #[must_use]
    pub fn child(&self, span: u64) -> Self {
        Self(format!("00-{}-{:016x}-{}", self.trace_id(), span.max(1), &self.0[53..]))
    }

    /// The header's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A trace with what tracing systems have added to it: how a piece of work is asked for by another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace, and the span that asks.
    pub parent: TraceParent,
    /// What tracing systems have added.
    pub state: Option<TraceState>,
}

impl TraceContext {
    /// Reads the headers of both names. Without a valid `traceparent` there is no trace, whatever `tracestate` holds.
    #[must_use]
    pub fn parse<'a>(traceparent: &str, tracestates: impl Iterator<Item = Option<&'a str>>) -> Option<Self> {
        Some(Self { parent: TraceParent::parse(traceparent)?, state: TraceState::parse(tracestates) })
    }

    /// The trace's id.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        self.parent.trace_id()
    }

    /// The same trace, for work that a span of ours asks for; 0 is no span.
    #[must_use]
    pub fn child(&self, span: u64) -> Self {
        Self { parent: self.parent.child(span), state: self.state.clone() }
    }

    /// The value of the header `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> &str {
        self.parent.as_str()
    }

    /// The value of the header `tracestate`, if there is one.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_ref().map(TraceState::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_goes_on_under_a_span_of_ours() {
        let parent = TraceParent::parse(GOOD).expect("valid");
        assert_eq!(parent.as_str(), GOOD);
        assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.child(255).as_str(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000ff-01");
        assert_eq!(TraceParent::parse(parent.child(0).as_str()), Some(parent.child(1)));
        // A later version may have more to say.
        let later = format!("cc{}-what-the-future-will-be-like", &GOOD[2..]);
        assert_eq!(TraceParent::parse(&later), Some(parent));
    }

    #[test]
    fn what_is_no_trace_is_none() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "é0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }
}
