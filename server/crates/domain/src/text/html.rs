//! Text that went through an HTML escape.

/// The names of HTML's character references that end in `;`, sorted by bytes, one a line: <https://html.spec.whatwg.org/entities.json>.
const NAMES: &str = include_str!("html_entities.txt");

/// The longest of these has 31 characters. Nothing longer is searched for.
const MAX_NAME_CHARS: usize = 31;

/// Returns the first HTML character reference in a text, such as `&eacute;` or `&#39;`: the text was escaped once too often, and would be
/// compared and shown like that.
#[must_use]
pub fn html_entity(text: &str) -> Option<&str> {
    text.match_indices('&').find_map(|(start, _)| {
        let rest = text.get(start + 1..)?;
        let name = rest.get(..rest.find(';')?)?;
        let is_reference = match name.strip_prefix('#') {
            // Zeros before a number change nothing.
            Some(number) => {
                let digits = number.strip_prefix(['x', 'X']).unwrap_or(number);
                !digits.is_empty()
                    && digits.trim_start_matches('0').len() <= 7
                    && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
            }
            None => is_name(name),
        };
        is_reference.then(|| text.get(start..=start + 1 + name.len())).flatten()
    })
}

fn is_name(name: &str) -> bool {
    if name.is_empty() || name.len() > MAX_NAME_CHARS || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
    // A binary search over the lines, by bytes: 2,125 names in 17 kB need no table that is built at the start.
    let (mut low, mut high) = (0, NAMES.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let start = NAMES[..middle].rfind('\n').map_or(0, |end| end + 1);
        let end = NAMES[middle..].find('\n').map_or(NAMES.len(), |length| middle + length);
        match NAMES[start..end].cmp(name) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_html_is_found_and_nothing_else() {
        let names: Vec<&str> = NAMES.lines().collect();
        assert_eq!(names.len(), 2125);
        assert!(names.is_sorted() && names.iter().all(|name| name.len() <= MAX_NAME_CHARS));
        for name in names {
            let text = format!("Caf&{name}; B");
            assert_eq!(html_entity(&text), Some(&text[3..=name.len() + 4]), "{name}");
            assert_eq!(html_entity(&format!("Caf&{name}")), None, "without its end");
        }
        for text in ["R&D;", "Fish & Chips; Peas", "&", "&;", "&#;", "&#x;", "& é ;", "&eacuteé;", "&Eacutes;", "A&B;C"]
        {
            assert_eq!(html_entity(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_found_in_every_form() {
        for reference in ["&#233;", "&#x27;", "&#X27;", "&#0039;", "&#x00000027;", "&#1114111;"] {
            assert_eq!(html_entity(&format!("Bob{reference}s")), Some(reference));
        }
        assert_eq!(html_entity("&#12345678901;"), None, "no character has such a number");
    }
}
