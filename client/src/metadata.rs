//! Metadata that is sent with a request.

use std::sync::Arc;

use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};

use crate::Error;

/// The header of [W3C Trace Context](https://www.w3.org/TR/trace-context/).
const TRACEPARENT: &str = "traceparent";
/// Maximum size of all names and values. The server accepts 16 kB of headers, including the token.
const MAX_BYTES: usize = 4096;
/// Names that the client, HTTP/2 or gRPC sets itself, and names that a proxy would interpret.
const RESERVED: [&str; 14] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// The metadata of requests. The first invalid entry is stored and reported when the request is sent. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metadata {
    pairs: Option<Arc<MetadataMap>>,
    bytes: usize,
    wrong: Option<String>,
}

impl Metadata {
    /// Sets the value of `name`; replaces an earlier one.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        if let Err(problem) = self.try_set(name, value) {
            self.wrong.get_or_insert(problem);
        }
    }

    /// Sets the caller's trace.
    pub(crate) fn set_traceparent(&mut self, value: &str) {
        if is_traceparent(value) {
            self.set(TRACEPARENT, value);
        } else {
            let form = "00-{32 digits}-{16 digits}-{2 digits} in lower-case hexadecimal digits, ids not all 0";
            self.wrong.get_or_insert(format!("traceparent {:?}: must be {form}", bounded(value)));
        }
    }

    fn try_set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let wrong = |problem: &str| Err(format!("metadata {:?}: {problem}", bounded(name)));
        let Ok(key) = name.parse::<AsciiMetadataKey>() else {
            return wrong("a name may have letters, digits, `-`, `_` and `.`, and must not end in -bin");
        };
        // Parsing has converted it to lower case.
        if RESERVED.contains(&key.as_str()) || key.as_str().starts_with("grpc-") {
            return wrong("this name is reserved for the client");
        }
        if key.as_str() == TRACEPARENT && !is_traceparent(value) {
            self.set_traceparent(value);
            return Ok(());
        }
        // The error does not repeat the value, which may be a secret.
        let is_visible = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let Some(parsed) = AsciiMetadataValue::try_from(value).ok().filter(|_| is_visible) else {
            return wrong("a value is visible ASCII and spaces");
        };
        let mut pairs = self.pairs.as_deref().cloned().unwrap_or_default();
        let earlier = pairs.insert(key.clone(), parsed);
        let earlier = earlier.map_or(0, |value| key.as_str().len() + value.as_bytes().len());
        self.bytes += key.as_str().len() + value.len() - earlier;
        if self.bytes > MAX_BYTES {
            return wrong(&format!("all metadata together is longer than {MAX_BYTES} bytes"));
        }
        self.pairs = Some(Arc::new(pairs));
        Ok(())
    }

    /// Returns the first invalid entry as an error.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.wrong.as_ref().map_or(Ok(()), |problem| Err(Error::setting(problem.clone())))
    }

    /// Adds the metadata to a request.
    pub(crate) fn add_to(&self, request: &mut MetadataMap) -> Result<(), Error> {
        self.check()?;
        if let Some(pairs) = &self.pairs {
            request.as_mut().extend(pairs.as_ref().clone().into_headers());
        }
        Ok(())
    }
}

/// Returns at most 100 characters of `text`, for an error.
fn bounded(text: &str) -> String {
    text.chars().take(100).collect()
}

fn is_traceparent(text: &str) -> bool {
    let is_hex =
        |part: &str, length| part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |part: &str, length| is_hex(part, length) && part.bytes().any(|byte| byte != b'0');
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, parent, flags, later @ ..] = parts.as_slice() else { return false };
    // A later version may have more parts; version 00 has exactly four.
    let is_version = is_hex(version, 2) && *version != "ff" && (later.is_empty() || *version != "00");
    is_version && is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn sent(metadata: &Metadata) -> Result<Vec<(String, String)>, String> {
        let mut map = MetadataMap::new();
        metadata.add_to(&mut map).map_err(|error| error.message().to_owned())?;
        let headers = map.into_headers();
        let pair = |(name, value): (&_, &_)| {
            (ToString::to_string(name), String::from_utf8_lossy(AsRef::<[u8]>::as_ref(value)).into_owned())
        };
        Ok(headers.iter().map(|(name, value)| pair((name, value))).collect())
    }

    #[test]
    fn the_last_value_of_a_name_is_sent() {
        let mut metadata = Metadata::default();
        assert!(sent(&metadata).expect("nothing").is_empty());
        metadata.set("x-request-id", "first");
        let before = metadata.clone();
        metadata.set("X-Request-Id", "second one");
        metadata.set_traceparent(TRACE);
        let mut pairs = sent(&metadata).expect("good");
        pairs.sort();
        assert_eq!(pairs, [("traceparent".into(), TRACE.into()), ("x-request-id".into(), "second one".into())]);
        assert_eq!(sent(&before).expect("good"), [("x-request-id".into(), "first".into())], "another request's stays");
    }

    #[test]
    fn what_cannot_be_sent_is_an_error_that_names_it_and_not_its_value() {
        for name in [
            "",
            "a b",
            "é",
            "a:b",
            ":path",
            "data-bin",
            "authorization",
            "Authorization",
            "grpc-timeout",
            "te",
            "Host",
            "a\nb",
        ] {
            let mut metadata = Metadata::default();
            metadata.set(name, "hush");
            metadata.set("x", "good");
            let error = sent(&metadata).expect_err(name);
            assert!(error.starts_with("metadata ") && !error.contains("hush"), "{name:?}: {error}");
        }
        for value in ["hush\n", "hush\r\nauthorization: x", "hush\u{e9}", "hush\0", "hush\t"] {
            let mut metadata = Metadata::default();
            metadata.set("x", value);
            let error = sent(&metadata).expect_err(value);
            assert_eq!(error, "metadata \"x\": a value is visible ASCII and spaces");
        }
        let mut metadata = Metadata::default();
        metadata.set("x", &"v".repeat(MAX_BYTES));
        assert!(sent(&metadata).expect_err("long").contains("longer than"));
    }

    #[test]
    fn a_trace_is_one_of_trace_context() {
        let later = format!("cc{}-what-comes-later", &TRACE[2..]);
        for good in [TRACE, &format!("cc{}", &TRACE[2..]), &later] {
            assert!(is_traceparent(good), "{good}");
        }
        let upper = TRACE.to_uppercase();
        let zero = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
        for bad in [
            "",
            "00",
            &TRACE[..54],
            &format!("{TRACE}-"),
            &format!("{TRACE}0"),
            &format!("ff{}", &TRACE[2..]),
            &upper,
            &zero,
        ] {
            let mut metadata = Metadata::default();
            metadata.set_traceparent(bad);
            assert!(sent(&metadata).expect_err(bad).starts_with("traceparent "), "{bad}");
            let mut metadata = Metadata::default();
            metadata.set("traceparent", bad);
            assert!(sent(&metadata).is_err(), "by its name, too: {bad}");
        }
    }
}
