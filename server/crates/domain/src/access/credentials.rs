//! What proves to Google who we are, and what may be said of it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{AccountId, Secret};

/// How long credentials that Google refused are not shown to it again. Long enough to leave it alone, and short enough that nobody has to
/// tell us when they are good again.
pub const REJECTION_RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// How long runs that were accepted before Google refused their credentials wait for others. A working day and the night before it:
/// long enough for a person to notice and to replace them, and short enough that what is written afterwards was asked for lately.
pub const MAX_REJECTION_WAIT: Duration = Duration::from_secs(24 * 3600);
/// The longest that such a run waits at a time. Replacing the credentials ends the wait at once; this is for what nobody tells us.
const MAX_REJECTION_RETRY_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// Characters of a client id's end that are shown.
const CLIENT_ID_SUFFIX_CHARS: usize = 6;
/// How every client id of Google's ends.
const CLIENT_ID_DOMAIN: &str = ".apps.googleusercontent.com";

/// A person's consent, from which access tokens are made: what Google's tools call `authorized_user`.
#[derive(Debug, Clone)]
pub struct AuthorizedUser {
    /// The OAuth client's id.
    pub client_id: String,
    /// The OAuth client's secret.
    pub client_secret: Secret,
    /// The consent.
    pub refresh_token: Secret,
}

impl AuthorizedUser {
    /// The end of the client's id: tells one client from another without naming it. Never more than half of the id.
    #[must_use]
    pub fn client_id_suffix(&self) -> String {
        let own: Vec<char> = self.client_id.trim_end_matches(CLIENT_ID_DOMAIN).chars().collect();
        own[own.len() - CLIENT_ID_SUFFIX_CHARS.min(own.len() / 2)..].iter().collect()
    }
}

/// An [`AuthorizedUser`] as it is stored: encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedCredentials {
    /// Which key opens it.
    pub key_id: String,
    /// Nonce, text and tag.
    pub bytes: Vec<u8>,
}

/// Google has refused credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// When it first did, without taking them since.
    pub since: DateTime<Utc>,
    /// When it last did.
    pub at: DateTime<Utc>,
    /// What it said, such as `invalid_grant`.
    pub reason: String,
}

impl AccountCredentials {
    /// `accounts/{account}/credentials`.
    #[must_use]
    pub fn name_of(account: &AccountId) -> String {
        format!("{}/credentials", account.resource_name())
    }
}

impl Rejection {
    /// Whether to spare Google another try.
    #[must_use]
    pub fn holds(&self, now: DateTime<Utc>) -> bool {
        (now - self.at).to_std().unwrap_or_default() < REJECTION_RETRY_INTERVAL
    }

    /// How long a run that was accepted at `accepted_at` is to wait before it is tried again. `None`: it fails, because its caller could
    /// know of the rejection, or because it has waited for [`MAX_REJECTION_WAIT`].
    ///
    /// Each wait is as long as the rejection has lasted, so that a crowd of runs does not come back every minute.
    #[must_use]
    pub fn wait(&self, accepted_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<Duration> {
        let lasted = (now - self.since).to_std().unwrap_or_default();
        let left = MAX_REJECTION_WAIT.checked_sub(lasted).filter(|left| !left.is_zero())?;
        (accepted_at <= self.since)
            .then(|| lasted.clamp(REJECTION_RETRY_INTERVAL, MAX_REJECTION_RETRY_INTERVAL).min(left))
    }
}

/// What may be said of an account's own credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountCredentials {
    /// The account.
    pub account: AccountId,
    /// The end of the OAuth client's id.
    pub client_id_suffix: String,
    /// Which key they are encrypted with.
    pub key_id: String,
    /// Grows with every replacement, also over a deletion: the same number is the same credentials.
    pub revision: i64,
    /// When they were set.
    pub updated_at: DateTime<Utc>,
    /// Who set them.
    pub updated_by: String,
    /// Google has refused them, and not taken them since.
    pub rejection: Option<Rejection>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_tells_clients_apart_and_never_says_most_of_an_id() {
        let suffix = |id: &str| {
            let secret = || Secret::from("hush".to_owned());
            AuthorizedUser { client_id: id.to_owned(), client_secret: secret(), refresh_token: secret() }
                .client_id_suffix()
        };
        assert_eq!(suffix("123456-abcdefghij.apps.googleusercontent.com"), "efghij");
        assert_eq!(suffix("abcdef"), "def");
        assert_eq!(suffix("a"), "");
        assert_eq!(suffix("ééééé"), "éé");
    }

    #[test]
    fn a_rejection_holds_for_a_while() {
        let at = DateTime::from_timestamp(1_900_000_000, 0).expect("a time");
        let rejection = Rejection { since: at, at, reason: "invalid_grant".to_owned() };
        assert!(rejection.holds(at) && rejection.holds(at + REJECTION_RETRY_INTERVAL - Duration::from_millis(1)));
        assert!(!rejection.holds(at + REJECTION_RETRY_INTERVAL));
        assert!(rejection.holds(at - Duration::from_secs(5)), "clocks differ");
    }

    #[test]
    fn runs_from_before_a_rejection_wait_a_day_and_those_from_after_do_not() {
        let since = DateTime::from_timestamp(1_900_000_000, 0).expect("a time");
        let rejection = Rejection { since, at: since, reason: "invalid_grant".to_owned() };
        let seconds = |seconds: i64| chrono::TimeDelta::seconds(seconds);
        let day = 24 * 3600;
        for (accepted, now, wait) in [
            (-1, 0, Some(60)),
            (0, 0, Some(60)),
            (-5000, 59, Some(60)),
            (-1, 61, Some(61)),
            (-1, 300, Some(300)),
            (-1, 3600, Some(900)),
            (-1, day - 100, Some(100)),
            (-1, day - 1, Some(1)),
            (-1, day, None),
            (-1, 2 * day, None),
            (1, 0, None),
            (1, 3600, None),
            // Clocks differ.
            (-9, -5, Some(60)),
        ] {
            let found = rejection.wait(since + seconds(accepted), since + seconds(now));
            assert_eq!(found, wait.map(Duration::from_secs), "accepted at {accepted}, at {now}");
        }
    }
}
