//! The server's version in answers, for operators who ask what runs.

use std::sync::LazyLock;

use http::{HeaderName, HeaderValue, Response};
use tonic::body::Body;

use crate::version::{COMMIT, VERSION};

/// The response metadata: `0.1.0`, or `0.1.0+{commit}` where the build was told its commit.
const HEADER: HeaderName = HeaderName::from_static("category-mirror-version");

/// Adds the version to the answer of an admitted call. A caller that is not admitted does not learn it.
pub(in crate::api) fn versioned(mut answer: Response<Body>) -> Response<Body> {
    static VALUE: LazyLock<HeaderValue> = LazyLock::new(|| {
        let commit = COMMIT.map(|commit| format!("+{commit}")).unwrap_or_default();
        // A commit that no header can hold is left out.
        format!("{VERSION}{commit}").parse().unwrap_or(HeaderValue::from_static(VERSION))
    });
    answer.headers_mut().insert(HEADER, VALUE.clone());
    answer
}
