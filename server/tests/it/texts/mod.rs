//! Texts that callers, Google and old rows hold: what is refused, in which form names are kept and compared, and how they are shown.

mod fields;
mod names;
mod raw;

use category_mirror::domain::text::{is_direction_mark, is_hidden};
use category_mirror_client::Printable;

/// What the server refuses in names and what the client shows as an escape are two tables, in two crates: one and the same.
#[test]
fn whatever_is_refused_in_a_name_is_shown_as_an_escape_and_nothing_else_is() {
    for character in (0..=0x10_ffff).filter_map(char::from_u32) {
        let mut utf8 = [0; 4];
        let text: &str = character.encode_utf8(&mut utf8);
        let is_escaped = Printable(text).to_string() != text;
        let is_unsafe = character.is_control() || is_hidden(character) || is_direction_mark(character);
        assert_eq!(is_escaped, is_unsafe, "U+{:04X}", u32::from(character));
    }
}
