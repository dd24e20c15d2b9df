//! The integration tests: one binary, so that they share one PostgreSQL. Each test has a database of its own.

mod emulator;
