//! The integration tests: one binary, so that they share one PostgreSQL. Each test has a database of its own, and everything speaks
//! real HTTP to real processes on loopback.

mod database;
mod emulator;
mod gbp;
mod migrations;
mod mirroring;
mod postgres;
mod runner;
mod service;
mod store;
mod streams;
mod wake;
