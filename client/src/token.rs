//! Providers of bearer tokens.

use std::{error::Error, future::Future, pin::Pin};

/// What a [`TokenProvider`] returns.
pub type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<String, Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// Provides the bearer token of a call. It is called before every attempt, so it can renew the token, and should cache
/// it.
///
/// A string provides itself; an async closure is a provider, too:
///
/// ```
/// # use category_mirror_client::Client;
/// # async fn fetch() -> Result<String, std::io::Error> { Ok(String::new()) }
/// let fixed = Client::builder("https://mirror.example.com").token("eyJ…");
/// let renewed = Client::builder("https://mirror.example.com").token(|| async { Ok(fetch().await?) });
/// ```
pub trait TokenProvider: Send + Sync + 'static {
    /// Returns the token, without the prefix `Bearer`. If it fails, the call fails with `UNAUTHENTICATED` and the
    /// error's text.
    fn token(&self) -> TokenFuture<'_>;
}

impl TokenProvider for String {
    fn token(&self) -> TokenFuture<'_> {
        Box::pin(std::future::ready(Ok(self.clone())))
    }
}

impl TokenProvider for &'static str {
    fn token(&self) -> TokenFuture<'_> {
        Box::pin(std::future::ready(Ok((*self).to_owned())))
    }
}

impl<F, Fut> TokenProvider for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<String, Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    fn token(&self) -> TokenFuture<'_> {
        Box::pin(self())
    }
}
