//! The GBP client against servers that answer as Google does, or as nobody should.

mod answers;
mod fake;
mod outcomes;
mod tokens;
