//! Trigrams of texts and how alike they make two texts: what PostgreSQL's `pg_trgm` computes, by its definitions.
//!
//! A text is its words in lower case, each with two blanks before it and one behind it; its trigrams are all runs of three characters of
//! these. `similarity` counts the trigrams that two texts share; `word similarity` those that the first shares with the extent of the
//! second that is most like it.

/// The text from which trigrams are taken, in characters. Names on Google's list are far shorter, and word similarity is quadratic.
const MAX_CHARS: usize = 200;
/// Texts that are at least so similar count as alike, as by default in `pg_trgm`.
const SIMILARITY_THRESHOLD: f64 = 0.3;
/// The same for word similarity.
const WORD_SIMILARITY_THRESHOLD: f64 = 0.6;

/// Three characters in a row.
pub(crate) type Trigram = [char; 3];

/// The trigrams of a text, in their order and as often as they occur.
pub(crate) fn trigrams(text: &str) -> Vec<Trigram> {
    let text: String = text.chars().take(MAX_CHARS).collect::<String>().to_lowercase();
    let words = text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut trigrams = Vec::with_capacity(text.len() + 4);
    for word in words {
        let padded: Vec<char> = [' ', ' '].into_iter().chain(word.chars()).chain([' ']).collect();
        trigrams.extend(padded.windows(3).map(|three| [three[0], three[1], three[2]]));
    }
    trigrams
}

/// The share of `common` distinct trigrams in all distinct ones of two texts that have `one` and `other` of them.
pub(crate) fn similarity(common: usize, one: usize, other: usize) -> f32 {
    if common == 0 {
        return 0.0;
    }
    // Some hundred trigrams at most, which a float holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "at most some hundreds")]
    let share = common as f32 / (one + other - common) as f32;
    share
}

/// Whether texts of this similarity and word similarity are alike.
pub(crate) fn is_alike(similarity: f32, word_similarity: f32) -> bool {
    f64::from(similarity) >= SIMILARITY_THRESHOLD || f64::from(word_similarity) >= WORD_SIMILARITY_THRESHOLD
}

/// Whether `common` of `query` distinct trigrams can make the word similarity that counts: no extent has more than are common, and none makes
/// the union smaller than the query.
pub(crate) fn can_be_alike_in_words(common: usize, query: usize) -> bool {
    common * 10 >= query * 6 && common > 0
}

/// The greatest similarity of a query with `query` distinct trigrams to an extent of a text. `positions` are the text's trigrams in their
/// order, as numbers below `distinct`; `is_common` says which of them the query has.
pub(crate) fn word_similarity(query: usize, positions: &[u16], distinct: usize, is_common: &[bool]) -> f32 {
    let mut last: Vec<Option<usize>> = vec![None; distinct];
    let at = |position: usize| usize::from(positions[position]);
    let (mut lower, mut in_extent, mut common, mut greatest): (Option<usize>, usize, usize, f32) = (None, 0, 0, 0.0);
    for upper in 0..positions.len() {
        let trigram = at(upper);
        // An extent begins and ends with a trigram that the query has.
        if lower.is_some() || is_common[trigram] {
            if last[trigram].is_none() {
                in_extent += 1;
                common += usize::from(is_common[trigram]);
            }
            last[trigram] = Some(upper);
        }
        if !is_common[trigram] {
            continue;
        }
        let begin = *lower.get_or_insert_with(|| {
            in_extent = 1;
            upper
        });
        let mut current = similarity(common, query, in_extent);
        // Whether a later begin is better: without the trigrams that occur last before it.
        let (mut rest, mut rest_common, mut best) = (in_extent, common, begin);
        for from in begin..=upper {
            let alike = similarity(rest_common, query, rest);
            if alike > current {
                (current, in_extent, best, common) = (alike, rest, from, rest_common);
            }
            if last[at(from)] == Some(from) {
                rest -= 1;
                rest_common -= usize::from(is_common[at(from)]);
            }
        }
        lower = Some(best);
        greatest = greatest.max(current);
        for left in begin..best {
            if last[at(left)] == Some(left) {
                last[at(left)] = None;
            }
        }
    }
    greatest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_padded_and_everything_else_parts_them() {
        let texts = |text| trigrams(text).iter().map(|three| three.iter().collect()).collect::<Vec<String>>();
        assert_eq!(texts("Cat"), ["  c", " ca", "cat", "at "]);
        assert_eq!(texts("a&b"), ["  a", " a ", "  b", " b "]);
        assert_eq!(texts("%_ -"), [""; 0]);
        assert_eq!(texts(&"x".repeat(10_000)).len(), MAX_CHARS + 1);
    }

    #[test]
    fn a_text_is_itself_and_nothing_else() {
        assert!((similarity(4, 4, 4) - 1.0).abs() < f32::EPSILON);
        assert!(similarity(0, 4, 4) == 0.0 && similarity(0, 0, 0) == 0.0);
        // "bar" in "the bar": the whole query is an extent.
        let positions: Vec<u16> = (0..8).collect();
        let common: Vec<bool> = (0..8).map(|n| n >= 4).collect();
        assert!((word_similarity(4, &positions, 8, &common) - 1.0).abs() < f32::EPSILON);
        assert!(word_similarity(4, &positions, 8, &[false; 8]) == 0.0);
    }
}
