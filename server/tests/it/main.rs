//! The integration tests, in one binary: real HTTP and real processes on loopback.

mod gbp;
