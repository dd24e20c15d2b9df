//! What proves to Google who we are.

use std::path::{Path, PathBuf};

use category_mirror_domain::{AuthorizedUser, Secret};
use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::identity::token;

/// Bytes of a credentials file that are read; the real one has some hundred.
const MAX_FILE: u64 = 64 * 1024;

/// Credentials for Google. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// An access token that cannot be renewed, for the emulator and for tests.
    AccessToken(Secret),
    /// What access tokens are made from.
    AuthorizedUser(AuthorizedUser),
}

/// Credentials that cannot be used. The values are never repeated.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file is too long to be a credentials file.
    #[error("`{}` is longer than {MAX_FILE} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file is no JSON object.
    #[error("`{}` is not a JSON object", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
    },
    /// The file is for another kind of credentials.
    #[error("`{}`: the field `type` must be `authorized_user`", path.display())]
    Type {
        /// The file.
        path: PathBuf,
    },
    /// A field is missing, empty or no text.
    #[error("`{}`: the field `{field}` must be a non-empty string", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
    },
    /// The access token cannot be sent in a header.
    #[error("the access token must be 1 to {} printable ASCII characters without spaces", token::MAX_TOKEN)]
    AccessToken,
}

impl Credentials {
    /// A fixed access token.
    ///
    /// # Errors
    /// [`CredentialsError::AccessToken`] when it cannot be sent: it is empty, too long, or has a space or a line end.
    pub fn access_token(token: impl Into<Secret>) -> Result<Self, CredentialsError> {
        let token = token.into();
        if token::is_token(token.reveal()) { Ok(Self::AccessToken(token)) } else { Err(CredentialsError::AccessToken) }
    }

    /// Parses the `authorized_user` JSON of Google's tools, which was read from `path`. A `token_uri` in it is ignored, as Google's tools
    /// do: where the refresh token is sent is a setting of its own.
    ///
    /// # Errors
    /// [`CredentialsError`] names the file, and the field that is wrong.
    pub fn from_contents(path: &Path, content: &[u8]) -> Result<Self, CredentialsError> {
        let owned = || path.to_owned();
        if content.len() as u64 > MAX_FILE {
            return Err(CredentialsError::TooLong { path: owned() });
        }
        let mut fields: Map<String, Value> =
            serde_json::from_slice(content).map_err(|_| CredentialsError::NotJson { path: owned() })?;
        let user = authorized_user(&fields, path);
        for value in fields.values_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
        user.map(Self::AuthorizedUser)
    }
}

fn authorized_user(fields: &Map<String, Value>, path: &Path) -> Result<AuthorizedUser, CredentialsError> {
    let owned = || path.to_owned();
    if fields.get("type").and_then(Value::as_str) != Some("authorized_user") {
        return Err(CredentialsError::Type { path: owned() });
    }
    let text = |field| match fields.get(field).and_then(Value::as_str) {
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(CredentialsError::Field { path: owned(), field }),
    };
    Ok(AuthorizedUser {
        client_id: text("client_id")?.to_owned(),
        client_secret: text("client_secret")?.into(),
        refresh_token: text("refresh_token")?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<Credentials, String> {
        Credentials::from_contents(Path::new("FILE"), content.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn googles_file_is_read_and_never_shown() {
        let content = r#"{"type": "authorized_user", "client_id": "id", "client_secret": "hush1", "refresh_token": "hush2",
            "quota_project_id": "p", "token_uri": "https://elsewhere"}"#;
        let credentials = read(content).expect("valid");
        let Credentials::AuthorizedUser(user) = &credentials else { panic!("{credentials:?}") };
        assert_eq!((user.client_secret.reveal(), user.refresh_token.reveal()), ("hush1", "hush2"));
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("hush") && shown.contains("[redacted]"), "{shown}");
    }

    #[test]
    fn a_wrong_file_is_named_with_the_field_and_without_values() {
        let not_json = "`FILE` is not a JSON object";
        for (content, error) in [
            ("", not_json),
            ("[]", not_json),
            (r#"{"refresh_token": "hush"#, not_json),
            (r#"{"client_id": "hush"}"#, "`FILE`: the field `type` must be `authorized_user`"),
            (r#"{"type": "service_account"}"#, "`FILE`: the field `type` must be `authorized_user`"),
            (
                r#"{"type": "authorized_user", "client_id": "i", "client_secret": "hush"}"#,
                "`FILE`: the field `refresh_token` must be a non-empty string",
            ),
            (
                r#"{"type": "authorized_user", "client_id": 5, "refresh_token": "hush"}"#,
                "`FILE`: the field `client_id` must be a non-empty string",
            ),
            (
                r#"{"type": "authorized_user", "client_id": "i", "client_secret": " "}"#,
                "`FILE`: the field `client_secret` must be a non-empty string",
            ),
        ] {
            assert_eq!(read(content).expect_err("wrong"), error, "{content}");
        }
        assert_eq!(read(&" ".repeat(70_000)).expect_err("long"), "`FILE` is longer than 65536 bytes");
    }

    #[test]
    fn a_fixed_token_must_fit_a_header() {
        assert!(Credentials::access_token("ya29.a-b_c").is_ok());
        for text in ["", " a", "a\n", "a b", "é", &"a".repeat(token::MAX_TOKEN + 1)] {
            assert!(Credentials::access_token(text).is_err(), "{text:?}");
        }
    }
}
