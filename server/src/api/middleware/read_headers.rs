//! The headers that a call keeps.
//!
//! A client may send some hundred headers. In memory, each takes more than a hundred bytes in addition to its text, and
//! its text keeps the whole frame alive in which it arrived. So a call keeps copies of the headers that are read, and
//! only for as long as needed.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE, TE},
};

/// Headers that are read after the gate: by the gRPC library, and for deadlines and traces.
const READ: [HeaderName; 7] = [
    CONTENT_TYPE,
    TE,
    HeaderName::from_static("grpc-accept-encoding"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];
/// Maximum number of values of one header: as many as a `tracestate` may have members.
const MAX_VALUES: usize = 32;

/// Drops all headers that are not read after the caller is known.
pub(in crate::api) fn keep_read(headers: &mut HeaderMap) {
    keep(headers, READ);
}

/// Drops all headers that are not read, before the caller is known.
pub fn sift_headers(headers: &mut HeaderMap) {
    keep(headers, READ.into_iter().chain([AUTHORIZATION]));
}

fn keep(headers: &mut HeaderMap, names: impl IntoIterator<Item = HeaderName>) {
    let mut kept = HeaderMap::with_capacity(READ.len());
    for name in names {
        for value in headers.get_all(&name).iter().take(MAX_VALUES) {
            // The bytes were a valid value before.
            if let Ok(mut copy) = HeaderValue::from_bytes(value.as_bytes()) {
                copy.set_sensitive(value.is_sensitive());
                kept.append(name.clone(), copy);
            }
        }
    }
    *headers = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_stays_and_the_rest_goes() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/grpc"),
            ("grpc-timeout", "1S"),
            ("traceparent", "t"),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
            ("authorization", "Bearer secret"),
            ("x-other", ""),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        keep_read(&mut headers);
        let left: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect();
        assert_eq!(
            left,
            [
                ("content-type", "application/grpc"),
                ("grpc-timeout", "1S"),
                ("traceparent", "t"),
                ("tracestate", "a=1"),
                ("tracestate", "b=2"),
            ]
        );
    }
}
