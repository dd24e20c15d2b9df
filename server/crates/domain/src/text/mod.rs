//! Texts that people and other systems write: which characters a name may have, and the one form in which it is kept and compared.

mod html;

use unicode_normalization::{UnicodeNormalization, is_nfc};

pub use html::html_entity;

/// A text has a character that it must not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenCharacter {
    /// A terminal or a log would execute it.
    #[error("has the control character U+{:04X}; remove it", u32::from(*.0))]
    Control(char),
    /// A reader would not see it, or would see the text around it in another order or on another line.
    #[error("has the character U+{:04X}, which is invisible or reorders the text around it; remove it", u32::from(*.0))]
    Hidden(char),
}

/// Whether a character is invisible, or rearranges or breaks the text around it, so that two texts can look the same and differ, or one text
/// can look like something else.
///
/// U+200C and U+200D are not: Persian, the scripts of India and emoji are misspelled without them. Nor are variation selectors, which choose
/// a form of the character before them.
#[must_use]
pub const fn is_hidden(character: char) -> bool {
    matches!(
        character,
        // Soft hyphen, grapheme joiner, Arabic letter mark, fillers and vowels that have no form, Mongolian vowel separator.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        // Zero-width space; line and paragraph separators, embeddings and overrides; word joiner, operators without a form, isolates.
        | '\u{200b}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        // Hangul fillers, byte order mark, interlinear annotations.
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        // Controls of shorthand and of musical notation.
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        // Tags, and what Unicode reserves beside them. The selectors from U+E0100 to U+E01EF choose forms in Japanese names.
        | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}'
    )
}

/// Whether a character only marks a direction. Text that is copied from a page has these at its edges, so they are dropped, and no error.
#[must_use]
pub const fn is_direction_mark(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}')
}

/// Returns a text in the form in which it is kept: normalization form C, without direction marks.
///
/// # Errors
/// [`ForbiddenCharacter`], the first one.
pub fn clean(text: &str) -> Result<String, ForbiddenCharacter> {
    for character in text.chars() {
        if character.is_control() {
            return Err(ForbiddenCharacter::Control(character));
        }
        if is_hidden(character) {
            return Err(ForbiddenCharacter::Hidden(character));
        }
    }
    Ok(text.chars().filter(|character| !is_direction_mark(*character)).nfc().collect())
}

/// Returns a text in normalization form C, with all its characters: for texts of Google's, which are kept as they come.
#[must_use]
pub fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// Whether two names are the same name: equal in normalization form C. Rows of before, and what Google said, can be in another form.
#[must_use]
pub fn is_same_name(one: &str, other: &str) -> bool {
    // Almost always, and without an allocation.
    one == other || (!(is_nfc(one) && is_nfc(other)) && one.nfc().eq(other.nfc()))
}

/// Whether nothing of a text would be seen: it has only spaces and joiners.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|character| character.is_whitespace() || matches!(character, '\u{200c}' | '\u{200d}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_refused_by_its_number() {
        for hidden in [
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{3164}',
            '\u{feff}',
            '\u{fff9}',
            '\u{e0000}',
            '\u{e0001}',
            '\u{e0020}',
            '\u{e007f}',
        ] {
            let refused = clean(&format!("a{hidden}b")).expect_err("hidden");
            assert_eq!(refused, ForbiddenCharacter::Hidden(hidden));
            assert!(refused.to_string().contains(&format!("U+{:04X}", u32::from(hidden))), "{refused}");
        }
        for control in ['\0', '\t', '\n', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}'] {
            assert_eq!(clean(&format!("a{control}b")), Err(ForbiddenCharacter::Control(control)));
        }
    }

    #[test]
    fn what_scripts_and_emoji_need_stays_and_direction_marks_go() {
        for text in [
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{915}\u{94d}\u{200d}\u{937}",
            "\u{1f468}\u{200d}\u{1f373}",
            "\u{2615}\u{fe0f}",
            "\u{845b}\u{e0100}",
        ] {
            assert_eq!(clean(text).as_deref(), Ok(text), "{text:?}");
        }
        assert_eq!(clean("\u{200e}Caf\u{e9}\u{200f}").as_deref(), Ok("Caf\u{e9}"));
        assert!(is_blank(" \u{200d}\u{200c}\u{a0}") && is_blank("") && !is_blank(" a"));
    }

    #[test]
    fn names_are_kept_and_compared_in_one_form() {
        let (composed_form, decomposed) = ("Caf\u{e9} \u{ac00}", "Cafe\u{301} \u{1100}\u{1161}");
        assert_eq!(clean(decomposed).as_deref(), Ok(composed_form));
        assert_eq!(composed(decomposed), composed_form);
        assert!(is_same_name(composed_form, decomposed) && is_same_name(decomposed, decomposed));
        assert!(!is_same_name("Cafe", composed_form) && !is_same_name("cafe\u{301}", composed_form));
    }
}
