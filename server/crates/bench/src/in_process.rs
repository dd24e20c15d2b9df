//! A Google inside this process: what is measured is everything else.

use std::time::Duration;

use category_mirror::{
    commands::CommandError,
    domain::LocationId,
    gbp::{Client, PendingAnswer, Responder},
};

/// Says of each location that it has the categories `gcid:cafe` and `gcid:bakery`, and knows nothing else.
struct InProcessGbp<F> {
    delay: Duration,
    asked: F,
}

impl<F: Fn(&LocationId) + Send + Sync> Responder for InProcessGbp<F> {
    fn answer<'a>(&'a self, location: Option<&'a LocationId>) -> PendingAnswer<'a> {
        Box::pin(async move {
            let Some(location) = location else { return (404, "{}".to_owned()) };
            (self.asked)(location);
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
            let categories = r#"{"primaryCategory":{"name":"categories/gcid:cafe"},"additionalCategories":[{"name":"categories/gcid:bakery"}]}"#;
            (200, format!(r#"{{"name":"locations/{location}","title":"Store","categories":{categories}}}"#))
        })
    }
}

/// A client whose Google answers after `delay`, and calls `asked` for each request before.
pub(crate) fn in_process(
    delay: Duration,
    asked: impl Fn(&LocationId) + Send + Sync + 'static,
) -> Result<Client, CommandError> {
    let client = Client::answered_by(InProcessGbp { delay, asked });
    client.map_err(|error| CommandError::failed("cannot make a Google", error))
}
