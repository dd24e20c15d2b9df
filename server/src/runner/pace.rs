//! How much of a batch is done at a time.

use std::time::Duration;

/// How long a chunk shall take. A request for one of its tenants waits for its commit.
const WANTED: Duration = Duration::from_millis(10);
/// Below so many runs a chunk is its commit, and little else.
const SMALLEST: i64 = 10;
/// Above so many runs a chunk is no cheaper for each of them.
const LARGEST: i64 = 200;

/// The size of the next chunk, by how long those before it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace(i64);

impl Pace {
    /// Nothing is known yet: a small chunk waits for nobody long.
    pub(crate) const fn new() -> Self {
        Self(SMALLEST)
    }

    /// How large the next chunk is.
    pub(crate) fn size(self) -> i64 {
        self.0
    }

    /// What a whole chunk of that size has taken. One that was quick by chance does not make the next one much larger.
    pub(crate) fn took(&mut self, took: Duration) {
        let wanted = self.0 * micros(WANTED) / micros(took).max(1);
        self.0 = wanted.clamp(SMALLEST, LARGEST).min(self.0 * 2);
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(chunks: &[Duration]) -> i64 {
        let mut pace = Pace::new();
        chunks.iter().for_each(|took| pace.took(*took));
        pace.size()
    }

    #[test]
    fn chunks_grow_to_what_fits_and_shrink_at_once() {
        let (quick, slow) = (Duration::from_millis(1), Duration::from_secs(1));
        assert_eq!(after(&[]), 10);
        assert_eq!(after(&[quick]), 20, "not 100: it may have been luck");
        assert_eq!(after(&[quick; 9]), 200, "and no larger");
        assert_eq!(after(&[quick, quick, quick, 2 * WANTED]), 40, "half of it fits");
        assert_eq!(after(&[quick, quick, quick, slow]), 10, "and no smaller");
        assert_eq!(after(&[Duration::ZERO, Duration::MAX]), 10);
    }
}
