#![doc = include_str!("../README.md")]

mod builder;
mod client;
mod code;
mod endpoint;
mod error;
mod items;
mod metadata;
mod model;
mod names;
mod printable;
mod request;
mod retry;
mod token;
mod watch;

pub use builder::ClientBuilder;
pub use client::Client;
pub use code::Code;
pub use error::{Error, FieldViolation};
pub use futures::Stream;
pub use items::Items;
pub use model::*;
pub use printable::Printable;
pub use request::*;
pub use retry::RetryPolicy;
pub use token::{TokenFuture, TokenProvider};
