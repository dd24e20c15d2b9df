//! Violations of a request's fields.

use super::Error;

/// A field of a request, and its violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field's path, such as `tenant.display_name`.
    pub field: String,
    /// What is wrong with the value, and which values are valid.
    pub description: String,
}

/// Maximum number of violations that are listed individually. Errors travel in headers, and clients reject headers of
/// more than 16 kB.
const MAX_VIOLATIONS: usize = 16;

/// Collects all violations of a request, so that the caller gets them in one error.
#[derive(Debug, Default)]
pub struct Violations {
    told: Vec<FieldViolation>,
    untold: usize,
}

impl Violations {
    /// Adds a violation.
    pub fn add(&mut self, field: &str, description: impl ToString) {
        if self.told.len() < MAX_VIOLATIONS {
            self.told.push(FieldViolation { field: field.to_owned(), description: description.to_string() });
        } else {
            self.untold += 1;
        }
    }

    /// Returns the value of a result, or adds its error as a violation.
    pub fn take<T, E: ToString>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(field, error)).ok()
    }

    /// Ends the collection.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is a violation.
    pub fn finish(mut self) -> Result<(), Error> {
        let Some(last) = self.told.last_mut() else { return Ok(()) };
        if self.untold > 0 {
            last.description.push_str(&format!(", and {} more violations", self.untold));
        }
        Err(Error::Invalid(self.told))
    }

    /// Ends the collection with the values that [`Violations::take`] returned.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is a violation.
    pub fn finish_with<T>(self, value: Option<T>) -> Result<T, Error> {
        self.finish()?;
        value.ok_or_else(|| Error::Internal("a value is missing without a violation".into()))
    }
}
