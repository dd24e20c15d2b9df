//! What a read of the location shows of a write to it.

use super::super::{CategorySet, Failure, FailureReason, RecordedChange, WriteIntent, apply, visible_changes};

/// What became of a write, as the merchant's record shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteCheck {
    /// The changes that are the run's own: those that it asked for and that are there.
    pub written: Vec<RecordedChange>,
    /// Whether the record is what it was before the write with these changes and nothing else. If it is not, another actor has changed it
    /// too, and the outcome of the write is unknown.
    pub is_all_own: bool,
    /// Why the run failed; `None`: the location has what was asked for.
    pub failure: Option<Failure>,
}

/// Compares the merchant's record after a write with what the write was to make of it.
#[must_use]
pub fn check_write(intent: &WriteIntent, actual: Option<&CategorySet>) -> WriteCheck {
    let own = actual.map(|actual| visible_changes(&intent.changes, actual)).unwrap_or_default();
    let is_all_own = actual.is_some() && apply(intent.before.as_ref(), &own).as_ref() == actual;
    let failure = (actual != Some(&intent.after)).then(|| {
        let actual = shown(actual);
        let message = format!("after the write the location has {actual}, not {}", intent.after);
        Failure::permanent(FailureReason::VerifyMismatch, message)
            .with("expected", &intent.after)
            .with("actual", actual)
    });
    WriteCheck { written: own.into_iter().map(|change| change.recorded()).collect(), is_all_own, failure }
}

/// The failure of a run whose target is neither what it was before the write nor what was asked for. What is there may be another actor's,
/// so the run claims nothing of it, and writes nothing over it.
#[must_use]
pub fn unknown_outcome(intent: &WriteIntent, actual: Option<&CategorySet>) -> Failure {
    let (before, actual) = (shown(intent.before.as_ref()), shown(actual));
    let message =
        format!("the location has {actual}, neither {before} as before the write nor {} as asked", intent.after);
    Failure::permanent(FailureReason::VerifyMismatch, message)
        .with("before", before)
        .with("expected", &intent.after)
        .with("actual", actual)
}

fn shown(set: Option<&CategorySet>) -> String {
    set.map_or_else(|| "no categories".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::{ChangeCounts, GbpCategory, Gcid, diff},
        *,
    };

    fn set(slugs: &str) -> Option<CategorySet> {
        let category = |slug: char| GbpCategory::new(Gcid::parse(&format!("gcid:{slug}")).expect("valid"), "");
        let mut categories = slugs.chars().map(category);
        Some(CategorySet::new(categories.next()?, categories.collect()).expect("a set"))
    }

    #[test]
    fn a_run_claims_what_it_asked_for_and_is_there_and_nothing_else() {
        for (before, asked, actual, written, is_all_own, is_as_asked) in [
            ("a", "ab", "ab", 1, true, true),
            ("", "ab", "ab", 2, true, true),
            // Nothing of it is there.
            ("a", "ab", "a", 0, true, false),
            // Half of it: the rest was refused, or taken back.
            ("a", "abc", "ab", 1, true, false),
            // Another actor has added something, or has replaced all of it.
            ("a", "ab", "abc", 1, false, false),
            ("a", "ab", "x", 0, false, false),
            // The location has lost all its categories.
            ("a", "ab", "", 0, false, false),
        ] {
            let after = set(asked).expect("never empty");
            let changes = diff(set(before).as_ref(), &after);
            let intent = WriteIntent { before: set(before), after, changes, location: None, account: None };
            let check = check_write(&intent, set(actual).as_ref());
            let counts = ChangeCounts::of(&check.written);
            let case = format!("{before} -> {asked}: {actual}");
            assert_eq!(counts.created + counts.updated + counts.deleted, written, "{case}");
            assert_eq!((check.is_all_own, check.failure.is_none()), (is_all_own, is_as_asked), "{case}");
            if let Some(failure) = check.failure {
                assert_eq!(failure.reason, FailureReason::VerifyMismatch, "{case}");
                assert_eq!(failure.metadata["expected"], intent.after.to_string(), "{case}");
            }
        }
    }
}
