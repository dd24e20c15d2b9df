//! Pages of lists.

use aws_lc_rs::digest;

use crate::error::{Error, Violations};

const DEFAULT_PAGE_SIZE: i32 = 50;
const MAX_PAGE_SIZE: i32 = 1000;
/// Bytes of the filters' digest in a token: enough to notice a mix-up, which is all it is for.
const BINDING_BYTES: usize = 8;

/// A page of items, and what asks for the next one.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Empty: this is the last page.
    pub next_page_token: String,
}

/// A valid request for a page.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// How many items.
    pub size: usize,
    /// The key after which the page begins; `None` is the first page.
    pub after: Option<String>,
    binding: String,
}

impl PageRequest {
    /// Reads a page's size and token; `filters` is everything else that decides about the list, and a token is bound to it.
    /// `violations` are those of the filters, so that the caller hears of all at once.
    ///
    /// # Errors
    /// [`Error::Invalid`] for those and for a negative size, [`Error::InvalidPageToken`].
    pub fn new(mut violations: Violations, page_size: i32, page_token: &str, filters: &[&str]) -> Result<Self, Error> {
        if page_size < 0 {
            violations.add("page_size", format!("must not be negative, is {page_size}"));
        }
        violations.finish()?;
        let size = if page_size == 0 { DEFAULT_PAGE_SIZE } else { page_size.min(MAX_PAGE_SIZE) };
        let mut request =
            Self { size: usize::try_from(size).unwrap_or_default(), after: None, binding: binding(filters) };
        if !page_token.is_empty() {
            let after = unhex(page_token).and_then(|token| token.strip_prefix(&request.binding).map(str::to_owned));
            // Every key of ours is printable ASCII. A token is not signed, and PostgreSQL takes no NUL.
            let is_key = |key: &String| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
            request.after = Some(after.filter(is_key).ok_or(Error::InvalidPageToken)?);
        }
        Ok(request)
    }

    /// How many rows to ask the database for: one more than the page, to know whether there is a next one.
    #[must_use]
    pub fn limit(&self) -> i64 {
        i64::try_from(self.size).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// Makes a page of what a search found, and, where it went no further, of the key after which to go on.
    pub fn page_or_rest<T>(self, items: Vec<T>, rest: Option<String>, key: impl Fn(&T) -> String) -> Page<T> {
        let (rest, binding) = (rest.filter(|_| items.len() <= self.size), self.binding.clone());
        let mut page = self.page(items, key);
        if let Some(rest) = rest {
            page.next_page_token = hex(&format!("{binding}{rest}"));
        }
        page
    }

    /// Cuts the extra row off and makes the next page's token of the last item's key.
    pub fn page<T>(self, mut items: Vec<T>, key: impl Fn(&T) -> String) -> Page<T> {
        let more = items.len() > self.size;
        items.truncate(self.size);
        let last = items.last().filter(|_| more).map(key);
        let next_page_token = last.map(|key| hex(&format!("{}{key}", self.binding))).unwrap_or_default();
        Page { items, next_page_token }
    }
}

fn binding(filters: &[&str]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for filter in filters {
        context.update(&filter.len().to_le_bytes());
        context.update(filter.as_bytes());
    }
    context.finish().as_ref()[..BINDING_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The token is opaque, not secret: hexadecimal keeps people from reading structure into it, and needs no escaping anywhere.
fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<String> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 1024 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(token: &str, filters: &[&str]) -> Result<PageRequest, Error> {
        PageRequest::new(Violations::default(), 2, token, filters)
    }

    #[test]
    fn a_token_continues_after_the_last_item() {
        let page = request("", &["a"]).expect("valid").page(vec!["x", "y", "z"], ToString::to_string);
        assert_eq!(page.items, ["x", "y"]);
        assert_eq!(request(&page.next_page_token, &["a"]).expect("valid").after.as_deref(), Some("y"));
    }

    #[test]
    fn the_last_page_has_no_token() {
        let page = request("", &[]).expect("valid").page(vec!["x", "y"], ToString::to_string);
        assert_eq!(page.next_page_token, "");
    }

    #[test]
    fn tokens_of_other_filters_and_garbage_are_refused() {
        let page = request("", &["a", "b"]).expect("valid").page(vec!["x", "y", "z"], ToString::to_string);
        for (token, filters) in [
            (page.next_page_token.as_str(), ["ab", ""]),
            ("zz", ["a", "b"]),
            ("abc", ["a", "b"]),
            ("\u{e9}\u{e9}", ["a", "b"]),
            ("00", ["a", "b"]),
        ] {
            assert!(matches!(request(token, &filters), Err(Error::InvalidPageToken)), "{token}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let sized = |size| PageRequest::new(Violations::default(), size, "", &[]);
        assert_eq!(sized(0).expect("valid").size, 50);
        assert_eq!(sized(i32::MAX).expect("valid").size, 1000);
        assert!(matches!(sized(-1), Err(Error::Invalid(_))));
    }
}
