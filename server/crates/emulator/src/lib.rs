#![doc = include_str!("../README.md")]

mod api;
mod command;
mod control;
mod server;
mod state;

pub use command::{Args, run};
pub use server::Emulator;
