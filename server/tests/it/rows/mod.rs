//! The rows of what was wrong with the predecessor, one test or more each; a test's name begins with the row's number.

mod failures;
mod history;
mod once;
mod planning;
mod source;
