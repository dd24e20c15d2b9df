//! Pages of lists.

use aws_lc_rs::digest;

use crate::error::{Error, Violations};

const DEFAULT_PAGE_SIZE: i32 = 50;
const MAX_PAGE_SIZE: i32 = 1000;
/// Bytes of the filters' digest in a page token: only enough to detect a mix-up.
const BINDING_BYTES: usize = 8;

/// A page of items, and the token of the next one.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Token of the next page. Empty: this is the last page.
    pub next_page_token: String,
}

/// A validated request for a page.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// Maximum number of items.
    pub size: usize,
    /// The key after which the page begins; `None`: the first page.
    pub after: Option<String>,
    binding: String,
}

impl PageRequest {
    /// Parses the size and token of a page. `filters` are all other inputs of the list, to which a token is bound.
    /// `violations` are those of the filters, so that the caller gets all at once.
    ///
    /// # Errors
    /// [`Error::Invalid`] for these and for a negative size, [`Error::InvalidPageToken`].
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
            // Every key of the server is printable ASCII. A token is not signed, and PostgreSQL accepts no NUL.
            let is_key = |key: &String| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
            request.after = Some(after.filter(is_key).ok_or(Error::InvalidPageToken)?);
        }
        Ok(request)
    }

    /// Returns the number of rows to read: one more than the page has, to know whether there is a next one.
    #[must_use]
    pub fn limit(&self) -> i64 {
        i64::try_from(self.size).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// Builds a page from the results of a search. If the search stopped early, `rest` is the key after which to
    /// continue.
    pub fn page_or_rest<T>(self, items: Vec<T>, rest: Option<String>, key: impl Fn(&T) -> String) -> Page<T> {
        let (rest, binding) = (rest.filter(|_| items.len() <= self.size), self.binding.clone());
        let mut page = self.page(items, key);
        if let Some(rest) = rest {
            page.next_page_token = hex(&format!("{binding}{rest}"));
        }
        page
    }

    /// Removes the extra row, and builds the next page's token from the last item's key.
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

/// Encodes the token. It is opaque, not secret: hexadecimal keeps clients from depending on its structure, and needs no
/// escaping.
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
