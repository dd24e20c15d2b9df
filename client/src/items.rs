//! Streams of results.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt, TryStreamExt, stream};

use crate::{Code, Error};

/// A stream of items: of a list, whose pages are fetched as needed, or of the snapshots of a watch.
///
/// It ends after its first error. [`next`](Self::next) needs no other crate; for everything else, use [`Stream`], which
/// it implements.
#[must_use = "a stream does nothing until it is read"]
pub struct Items<T>(Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>>);

impl<T> Items<T> {
    pub(crate) fn new(stream: impl Stream<Item = Result<T, Error>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// Returns the next item; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        self.0.next().await
    }

    /// Returns all remaining items. Do not use it for a watch of a tenant, an organization or all tenants, which never
    /// ends.
    ///
    /// # Errors
    ///
    /// The first error of the stream.
    pub async fn collect(self) -> Result<Vec<T>, Error> {
        self.0.try_collect().await
    }
}

impl<T> Stream for Items<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").finish_non_exhaustive()
    }
}

/// A request for a page of a list.
pub(crate) trait Paged: Clone + Send + 'static {
    /// The token of the page.
    fn page_token(&mut self) -> &mut String;
}

/// Returns the items of all pages. A page is fetched once the items of the previous one have been used.
pub(crate) fn pages<Q, T, F, Fut>(first: Q, fetch: F) -> Items<T>
where
    Q: Paged,
    T: Send + 'static,
    F: Fn(Q) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(Vec<T>, String), Error>> + Send + 'static,
{
    let pages = stream::try_unfold(Some(first), move |page| {
        // Called outside the async block, so that only its future, not the closure, is held across an await point.
        let fetched = page.map(|page| (page.clone(), fetch(page)));
        async move {
            let Some((mut page, fetched)) = fetched else { return Ok(None) };
            let (items, token) = fetched.await?;
            if !token.is_empty() && token == *page.page_token() {
                return Err(Error::new(Code::Internal, "the server repeats a page token, so the list would never end"));
            }
            let next = (!token.is_empty()).then(|| {
                *page.page_token() = token;
                page
            });
            Ok(Some((stream::iter(items.into_iter().map(Ok)), next)))
        }
    });
    Items::new(pages.try_flatten())
}
