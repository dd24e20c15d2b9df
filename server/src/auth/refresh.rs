//! Keeps a published key set fresh in the background, even without calls.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::AuthConfigError;
use super::remote::{FetchPolicy, Remote};

/// Delay after the first failed fetch; it doubles with each further one.
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// Maximum delay while the provider is unreachable.
const MAX_PAUSE: Duration = Duration::from_secs(15);
/// Minimum interval between two successful fetches, however short the lifetime of the keys.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Connects to a key set, and keeps it fresh for as long as the answer is held.
///
/// # Errors
/// Those of [`Remote::connect`].
pub(super) async fn connect(url: &str, policy: FetchPolicy) -> Result<Arc<Remote>, AuthConfigError> {
    let remote = Remote::connect(url, policy).await?;
    tokio::spawn(keep_fresh(Arc::downgrade(&remote)));
    Ok(remote)
}

/// Fetches the set whenever it is due, until nobody holds it any longer.
async fn keep_fresh(remote: Weak<Remote>) {
    while let Some(pause) = remote.upgrade().map(|remote| pause(&remote)) {
        tokio::time::sleep(pause).await;
        let Some(remote) = remote.upgrade() else { return };
        // If a call has fetched it in the meantime, it is not due yet.
        if self::pause(&remote).is_zero() || remote.failures() > 0 {
            remote.refresh(Duration::ZERO).await;
        }
    }
}

/// Returns the delay before the next fetch.
fn pause(remote: &Arc<Remote>) -> Duration {
    let policy = &remote.policy;
    match remote.failures() {
        0 => {
            let max_age = policy.max_age.max(MIN_INTERVAL);
            // The age is always known here, because the first fetch comes before this.
            remote.age().map_or(Duration::ZERO, |age| max_age.saturating_sub(age))
        }
        failures => {
            let doubled = MIN_PAUSE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(8)));
            // Several attempts before the keys are too old, even if that is soon.
            jittered(doubled.min(MAX_PAUSE).min((policy.max_staleness / 8).max(MIN_INTERVAL)))
        }
    }
}

/// Subtracts up to a tenth, so that servers that lost the provider together do not all fetch at the same time.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 - 0.1 * fastrand::f64())
}
