//! OAuth: the token endpoint, and what an access token is worth.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::answer::{Answer, GoogleError, SERVICE};
use crate::api::method::Call;
use crate::api::query::Query;

/// The scope that the API asks for.
const SCOPE: &str = "https://www.googleapis.com/auth/business.manage";
/// Google's tokens live an hour, less a second on the way.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3599);
/// Longer than any test; keeps the arithmetic of time in range.
const MAX_LIFETIME: u64 = 31_536_000;

/// What the control interface may change; absent fields change nothing.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TokenChange {
    /// Refresh tokens that answer `invalid_grant` from now on.
    revoke_refresh: Vec<String>,
    /// Access tokens that are refused from now on, issued here or fixed.
    revoke_access: Vec<String>,
    /// Ends the life of every access token issued so far.
    expire_access: bool,
    /// Seconds that the next access tokens live.
    expires_in: Option<u64>,
    /// The fixed access tokens beside the issued ones; before it is set, any that is not known to be dead is good.
    allow_access: Option<HashSet<String>>,
}

/// Tokens, alive and dead.
pub(crate) struct Tokens {
    lifetime: Duration,
    issued: HashMap<String, Instant>,
    allowed: Option<HashSet<String>>,
    revoked: HashSet<String>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { lifetime: DEFAULT_LIFETIME, issued: HashMap::new(), allowed: None, revoked: HashSet::new() }
    }
}

/// Tokens are secrets also here: a user may rehearse with real ones.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("issued", &self.issued.len()).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Applies a change of the control interface, or says why not.
    pub(crate) fn change(&mut self, change: TokenChange) -> Result<(), String> {
        if change.expires_in.is_some_and(|seconds| seconds > MAX_LIFETIME) {
            return Err(format!("expires_in: must be at most {MAX_LIFETIME} seconds"));
        }
        self.revoked.extend(change.revoke_refresh);
        self.revoked.extend(change.revoke_access);
        if change.expire_access {
            // An expired token stays known, or it would pass for a fixed one.
            self.revoked.extend(self.issued.drain().map(|(token, _)| token));
        }
        if let Some(seconds) = change.expires_in {
            self.lifetime = Duration::from_secs(seconds);
        }
        if change.allow_access.is_some() {
            self.allowed = change.allow_access;
        }
        Ok(())
    }

    /// Checks the `Authorization` header of a call.
    pub(crate) fn check(&self, call: &Call, headers: &HeaderMap, now: Instant) -> Result<(), GoogleError> {
        let Some(token) = bearer(headers) else { return Err(unauthenticated(call, "CREDENTIALS_MISSING")) };
        let alive = match self.issued.get(token) {
            Some(end) => now < *end,
            None => self.allowed.as_ref().is_none_or(|allowed| allowed.contains(token)),
        };
        if alive && !self.revoked.contains(token) { Ok(()) } else { Err(unauthenticated(call, "ACCESS_TOKEN_EXPIRED")) }
    }

    /// Answers `POST /token`: a form in, OAuth's own JSON out.
    pub(crate) fn grant(&mut self, form: &str, now: Instant) -> Answer {
        match self.try_grant(form, now) {
            Ok(token) => Answer::json(StatusCode::OK, &token, true),
            Err((status, error, description)) => {
                let body = json!({ "error": error, "error_description": description });
                Answer::json(status, &body, true)
            }
        }
        .with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, max-age=0, must-revalidate"))
    }

    fn try_grant(&mut self, form: &str, now: Instant) -> Result<Value, (StatusCode, &'static str, String)> {
        let bad = |error, description: &str| (StatusCode::BAD_REQUEST, error, description.to_owned());
        let form = Query::decode(form).map_err(|_| bad("invalid_request", "Malformed form."))?;
        let required = |name: &str, shown: &str| {
            form.one(name).ok_or_else(|| bad("invalid_request", &format!("Missing required parameter: {shown}")))
        };
        match required("grantType", "grant_type")? {
            "refresh_token" => {}
            other => return Err(bad("unsupported_grant_type", &format!("Invalid grant_type: {other}"))),
        }
        required("clientId", "client_id")?;
        if form.one("clientSecret").is_none() {
            return Err((StatusCode::UNAUTHORIZED, "invalid_client", "Unauthorized".to_owned()));
        }
        let refresh = required("refreshToken", "refresh_token")?;
        if self.revoked.contains(refresh) {
            return Err(bad("invalid_grant", "Token has been expired or revoked."));
        }
        let token = format!("ya29.{}", uuid::Uuid::now_v7().simple());
        self.issued.insert(token.clone(), now + self.lifetime);
        Ok(json!({
            "access_token": token, "expires_in": self.lifetime.as_secs(), "scope": SCOPE, "token_type": "Bearer",
        }))
    }
}

/// What tells one access token from another without giving it away: 16 digits of its SHA-256.
pub(crate) fn fingerprint(headers: &HeaderMap) -> Option<String> {
    let digest = digest::digest(&digest::SHA256, bearer(headers)?.as_bytes());
    Some(digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// 401 as Google sends it.
pub(crate) fn unauthenticated(call: &Call, reason: &str) -> GoogleError {
    let problem = match reason {
        "CREDENTIALS_MISSING" => "Request is missing required authentication credential.",
        _ => "Request had invalid authentication credentials.",
    };
    let message = format!(
        "{problem} Expected OAuth 2 access token, login cookie or other valid authentication credential. See \
         https://developers.google.com/identity/sign-in/web/devconsole-project."
    );
    let metadata = json!({ "method": call.method.rpc(), "service": SERVICE });
    GoogleError::new(StatusCode::UNAUTHORIZED, message).with_info(reason, "googleapis.com", metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(token: &str) -> HeaderMap {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("printable");
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    fn is_good(tokens: &Tokens, headers: &HeaderMap, now: Instant) -> bool {
        tokens.check(&Call::TOKEN, headers, now).is_ok()
    }

    const FORM: &str = "grant_type=refresh_token&client_id=i&client_secret=s&refresh_token=r";

    #[test]
    fn an_issued_token_expires() {
        let mut tokens = Tokens::default();
        tokens.change(TokenChange { expires_in: Some(10), ..Default::default() }).expect("a short life");
        let now = Instant::now();
        let token = tokens.try_grant(FORM, now).expect("granted")["access_token"].as_str().expect("text").to_owned();
        assert!(is_good(&tokens, &headers(&token), now + Duration::from_secs(9)));
        assert!(!is_good(&tokens, &headers(&token), now + Duration::from_secs(10)));
        tokens.change(TokenChange { expire_access: true, ..Default::default() }).expect("ended");
        assert!(!is_good(&tokens, &headers(&token), now), "an ended token does not pass for a fixed one");
    }

    #[test]
    fn a_fixed_token_is_good_until_there_is_a_list() {
        let mut tokens = Tokens::default();
        let now = Instant::now();
        assert!(is_good(&tokens, &headers("any"), now));
        assert!(!is_good(&tokens, &HeaderMap::new(), now));
        assert!(!is_good(&tokens, &headers(" "), now));
        tokens
            .change(TokenChange { allow_access: Some(HashSet::from(["one".into()])), ..Default::default() })
            .expect("a list");
        assert!(is_good(&tokens, &headers("one"), now));
        assert!(!is_good(&tokens, &headers("any"), now));
        tokens.change(TokenChange { revoke_access: vec!["one".into()], ..Default::default() }).expect("revoked");
        assert!(!is_good(&tokens, &headers("one"), now));
    }

    #[test]
    fn what_is_missing_or_revoked_is_named() {
        let mut tokens = Tokens::default();
        tokens.change(TokenChange { revoke_refresh: vec!["gone".into()], ..Default::default() }).expect("revoked");
        let now = Instant::now();
        let mut error = |form: &str| tokens.try_grant(form, now).expect_err("refused").1;
        assert_eq!(error(""), "invalid_request");
        assert_eq!(error("grant_type=password"), "unsupported_grant_type");
        assert_eq!(error(&FORM.replace("client_secret=s&", "")), "invalid_client");
        assert_eq!(error(&FORM.replace("refresh_token=r", "refresh_token=gone")), "invalid_grant");
    }
}
