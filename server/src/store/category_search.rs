//! Finding GBP categories, and what the platform's categories may stand for.

use serde::Deserialize;
use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use super::{
    Store,
    row::{id, optional_id},
};
use crate::{
    domain::{GbpCategory, Gcid, Locale, Slug},
    error::Error,
};

/// A category that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoryMatch {
    /// The category, with its name.
    pub category: GbpCategory,
    /// How alike the texts are, from 0 to 1.
    pub score: f32,
}

/// A platform category that stands for nothing that Google has.
#[derive(Debug, Clone, PartialEq)]
pub struct MappingSuggestion {
    /// The platform category.
    pub slug: Slug,
    /// Its name for people.
    pub display_name: String,
    /// What it maps to, and Google does not have.
    pub gcid: Option<Gcid>,
    /// What is named like it, the best first.
    pub matches: Vec<CategoryMatch>,
}

impl Store {
    /// Finds categories in the newest version of a list: those whose name or identifier begins with `query`, then those whose name is like it.
    /// An empty query finds all.
    ///
    /// # Errors
    /// The database's.
    pub async fn search_categories(
        &self,
        locale: &Locale,
        query: &str,
        limit: i64,
        offset: i64,
    ) -> Result<Vec<CategoryMatch>, Error> {
        let identifier = query.strip_prefix("categories/").unwrap_or(query);
        let identifiers = if identifier.starts_with("gcid:") { beginning(identifier) } else { String::new() };
        // Both operators use the index on the names, by PostgreSQL's own thresholds of 0.3 and 0.6.
        let rows = sqlx::query_as::<_, MatchRow>(
            "with found as (
                 select gcid, display_name, display_name ilike $4 or gcid like $5 as begins,
                        ((similarity(display_name, $3) + word_similarity($3, display_name)) / 2)::real as score
                   from taxonomy_category
                  where region_code = $1
                    and language_code = $2
                    and until_version is null
                    and (display_name ilike $4 or gcid like $5 or display_name % $3 or $3 <% display_name)
             )
             select gcid, display_name, score
               from found
              order by begins desc, score desc, lower(display_name), gcid
              limit $6
             offset $7",
        )
        .bind(locale.region.as_str())
        .bind(locale.language.as_str())
        .bind(query)
        .bind(beginning(query))
        .bind(identifiers)
        .bind(limit)
        .bind(offset)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Lists the platform categories that stand for nothing on the newest version of a list, by slug, after `after`, at most `limit`; each
    /// with the `matches` categories that are named most like it.
    ///
    /// # Errors
    /// The database's.
    pub async fn mapping_suggestions(
        &self,
        locale: &Locale,
        matches: i64,
        after: &str,
        limit: i64,
    ) -> Result<Vec<MappingSuggestion>, Error> {
        let rows = sqlx::query_as::<_, SuggestionRow>(
            "with here as (
                 select category.slug, category.display_name,
                        case when own.slug is null then category.gcid else own.gcid end as gcid
                   from platform_category category
                   left join regional_mapping own on own.slug = category.slug and own.region_code = $1
                  where category.slug > $3
             ),
             undecided as (
                 select slug, display_name, gcid
                   from here
                  where gcid is null
                     or not exists (select from taxonomy_category listed
                                     where listed.region_code = $1 and listed.language_code = $2
                                       and listed.gcid = here.gcid and listed.until_version is null)
                  order by slug
                  limit $4
             )
             select slug, display_name, gcid,
                    (select coalesce(jsonb_agg(to_jsonb(alike) order by alike.score desc, alike.display_name, alike.gcid), '[]')
                       from (select listed.gcid, listed.display_name,
                                    (similarity(listed.display_name, undecided.display_name)
                                      + word_similarity(undecided.display_name, listed.display_name)) / 2 as score
                               from taxonomy_category listed
                              where listed.region_code = $1
                                and listed.language_code = $2
                                and listed.until_version is null
                                and (listed.display_name % undecided.display_name
                                      or undecided.display_name <% listed.display_name)
                              order by score desc, listed.display_name, listed.gcid
                              limit $5) alike) as matches
               from undecided
              order by slug",
        )
        .bind(locale.region.as_str())
        .bind(locale.language.as_str())
        .bind(after)
        .bind(limit)
        .bind(matches)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }
}

/// The pattern of texts that begin with `text`, whatever characters it holds.
fn beginning(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

struct MatchRow(CategoryMatch);

impl FromRow<'_, PgRow> for MatchRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let category = GbpCategory::new(id(row, "gcid", Gcid::parse)?, row.try_get::<String, _>("display_name")?);
        Ok(Self(CategoryMatch { category, score: row.try_get("score")? }))
    }
}

struct SuggestionRow(MappingSuggestion);

#[derive(Deserialize)]
struct MatchJson {
    #[serde(flatten)]
    category: GbpCategory,
    score: f32,
}

impl FromRow<'_, PgRow> for SuggestionRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let Json(matches): Json<Vec<MatchJson>> = row.try_get("matches")?;
        Ok(Self(MappingSuggestion {
            slug: id(row, "slug", Slug::parse)?,
            display_name: row.try_get("display_name")?,
            gcid: optional_id(row, "gcid", Gcid::parse)?,
            matches: matches.into_iter().map(|it| CategoryMatch { category: it.category, score: it.score }).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_means_its_characters_and_nothing_else() {
        assert_eq!(beginning("50%_a\\"), "50\\%\\_a\\\\%");
        assert_eq!(beginning(""), "%");
    }
}
