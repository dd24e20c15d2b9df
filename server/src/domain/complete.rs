//! Completeness as a type.

/// What one side holds, from a read that has seen all of it.
///
/// Whatever plans a removal asks for this, and only the code that reads a side can make one, from an answer that it has checked to its
/// end. A read that failed, or that saw a part, has nothing to give, so that "nothing is there" can never be what an error looks like.
///
/// A plan can be made of complete reads:
///
/// ```
/// use category_mirror::domain::{CategorySet, Circumstances, Complete, Mapped, Plan, map_to_gbp, PlatformCategory};
/// # use chrono::{DateTime, Utc};
/// fn plan(
///     source: &Complete<Vec<PlatformCategory>>, target: Complete<Option<CategorySet>>, now: &Circumstances, at: DateTime<Utc>,
/// ) -> Option<Plan> {
///     Some(Plan::to_gbp(map_to_gbp(source, 9).ok()?, target, now, at))
/// }
/// ```
///
/// It cannot be made of a target that somebody puts together,
///
/// ```compile_fail,E0308
/// use category_mirror::domain::{CategorySet, Circumstances, Complete, Mapped, Plan, map_to_gbp, PlatformCategory};
/// # use chrono::{DateTime, Utc};
/// fn plan(
///     source: &Complete<Vec<PlatformCategory>>, target: Option<CategorySet>, now: &Circumstances, at: DateTime<Utc>,
/// ) -> Option<Plan> {
///     Some(Plan::to_gbp(map_to_gbp(source, 9).ok()?, target, now, at))
/// }
/// ```
///
/// nor of a read that may have failed,
///
/// ```compile_fail,E0308
/// use category_mirror::domain::{CategorySet, Circumstances, Complete, Failure, Mapped, Plan, map_to_gbp, PlatformCategory};
/// # use chrono::{DateTime, Utc};
/// fn plan(
///     source: &Complete<Vec<PlatformCategory>>, target: Result<Complete<Option<CategorySet>>, Failure>, now: &Circumstances,
///     at: DateTime<Utc>,
/// ) -> Option<Plan> {
///     Some(Plan::to_gbp(map_to_gbp(source, 9).ok()?, target, now, at))
/// }
/// ```
///
/// nor of a source that is a part of the tenant's categories.
///
/// ```compile_fail,E0308
/// use category_mirror::domain::{CategorySet, Circumstances, Complete, Mapped, Plan, map_to_gbp, PlatformCategory};
/// # use chrono::{DateTime, Utc};
/// fn plan(
///     source: &Vec<PlatformCategory>, target: Complete<Option<CategorySet>>, now: &Circumstances, at: DateTime<Utc>,
/// ) -> Option<Plan> {
///     Some(Plan::to_gbp(map_to_gbp(source, 9).ok()?, target, now, at))
/// }
/// ```
///
/// Nobody else can say that a read was complete,
///
/// ```compile_fail,E0624
/// use category_mirror::domain::{CategorySet, Complete};
/// let nothing: Complete<Option<CategorySet>> = Complete::read(None);
/// ```
///
/// and there is no other way to a plan.
///
/// ```compile_fail,E0451
/// # use category_mirror::domain::{CategorySet, Plan};
/// fn plan(other: Plan, desired: CategorySet) -> Plan {
///     Plan { desired, ..other }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complete<T>(T);

impl<T> Complete<T> {
    /// Says that a read saw all of a side. Only `gbp` and `store` may, which a test sees to.
    pub(crate) fn read(side: T) -> Self {
        Self(side)
    }

    /// A part that is complete because the whole is.
    pub(super) fn map<U>(self, part: impl FnOnce(T) -> U) -> Complete<U> {
        Complete(part(self.0))
    }

    /// What was read.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.0
    }

    /// What was read, to keep.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, found);
            } else {
                let text = fs::read_to_string(&path).expect("text");
                // Tests at a file's end read nothing.
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                let is_test = path.to_string_lossy().ends_with("tests.rs");
                if code.collect::<String>().contains("Complete::read(") && !is_test {
                    found.push(path.display().to_string());
                }
            }
        }
    }

    #[test]
    fn d3_only_the_code_that_reads_a_side_says_that_it_saw_all_of_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        sources(&root, &mut found);
        assert!(!found.is_empty(), "the search is broken");
        for file in &found {
            let inside = Path::new(file).strip_prefix(&root).expect("in it");
            assert!(inside.starts_with("gbp") || inside.starts_with("store"), "{file}");
        }
    }
}
