//! Google's list of categories: a few hundred real ones, which the control interface can change.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::state::ids::Gcid;

const SELECTION: &str = include_str!("taxonomy.tsv");

/// How Google changes its list: what is retired, renamed (the English name, in every region) and added.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TaxonomyChange {
    retire: Vec<Gcid>,
    rename: BTreeMap<Gcid, String>,
    add: BTreeMap<Gcid, String>,
}

/// The categories that exist now, by resource name.
#[derive(Debug)]
pub(crate) struct Taxonomy(BTreeMap<String, Names>);

/// For whom a category is named.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Locale<'a> {
    /// CLDR region code.
    pub(crate) region: &'a str,
    /// BCP 47 language code.
    pub(crate) language: &'a str,
}

/// What a category is called.
#[derive(Debug)]
struct Names {
    english: String,
    /// Other names: by region for English (`IN`), by language elsewhere (`es`).
    local: Vec<(String, String)>,
}

impl Default for Taxonomy {
    fn default() -> Self {
        let categories = SELECTION.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let mut fields = line.split('\t');
            let (slug, english) = (fields.next()?, fields.next()?.to_owned());
            let local = fields.filter_map(|field| field.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned()));
            Some((format!("categories/gcid:{slug}"), Names { english, local: local.collect() }))
        });
        Self(categories.collect())
    }
}

impl Taxonomy {
    /// Whether a category exists, and was not retired.
    pub(crate) fn contains(&self, gcid: &Gcid) -> bool {
        self.0.contains_key(&gcid.resource_name())
    }

    /// A category as Google shows it. One that left the list can still be on a location; it has no name then.
    pub(crate) fn category(&self, gcid: &Gcid, locale: Locale<'_>) -> Value {
        let name = gcid.resource_name();
        match self.0.get(&name) {
            Some(names) => json!({ "name": name, "displayName": names.shown(locale) }),
            None => json!({ "name": name }),
        }
    }

    /// The categories after the resource name `key` whose display name begins with `prefix`, whatever the case, sorted by
    /// resource name.
    pub(crate) fn search(&self, key: &str, prefix: &str, locale: Locale<'_>) -> impl Iterator<Item = (&str, Value)> {
        let prefix = prefix.to_lowercase();
        let rest = self.0.range::<str, _>((Bound::Excluded(key), Bound::Unbounded));
        rest.filter_map(move |(name, names)| {
            let shown = names.shown(locale);
            let found = shown.to_lowercase().starts_with(&prefix);
            found.then(|| (name.as_str(), json!({ "name": name, "displayName": shown })))
        })
    }

    /// Applies a change as a whole, or says why not and changes nothing.
    pub(crate) fn change(&mut self, change: TaxonomyChange) -> Result<(), String> {
        let unknown = |gcid: &&Gcid| !self.contains(gcid);
        if let Some(gcid) = change.retire.iter().find(unknown) {
            return Err(format!("retire: {gcid} does not exist"));
        }
        if let Some(gcid) = change.rename.keys().find(unknown) {
            return Err(format!("rename: {gcid} does not exist"));
        }
        if let Some(gcid) = change.add.keys().find(|gcid| self.contains(gcid)) {
            return Err(format!("add: {gcid} exists already"));
        }
        if let Some((gcid, _)) = change.rename.iter().chain(&change.add).find(|(_, name)| name.trim().is_empty()) {
            return Err(format!("{gcid}: the name must not be empty"));
        }
        for (gcid, english) in change.add.into_iter().chain(change.rename) {
            self.0.insert(gcid.resource_name(), Names { english, local: Vec::new() });
        }
        for gcid in change.retire {
            self.0.remove(&gcid.resource_name());
        }
        Ok(())
    }
}

impl Names {
    fn shown(&self, locale: Locale<'_>) -> &str {
        let language = locale.language.split(['-', '_']).next().unwrap_or_default();
        let wanted = if language.eq_ignore_ascii_case("en") { locale.region } else { language };
        let local = self.local.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted));
        local.map_or(&self.english, |(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gcid(text: &str) -> Gcid {
        Gcid::parse(text).expect("a gcid")
    }

    fn name(taxonomy: &Taxonomy, id: &str, region: &str, language: &str) -> Option<String> {
        taxonomy.category(&gcid(id), Locale { region, language })["displayName"].as_str().map(str::to_owned)
    }

    #[test]
    fn every_line_of_the_selection_is_a_category() {
        let taxonomy = Taxonomy::default();
        assert_eq!(taxonomy.0.len(), SELECTION.lines().count() - 1, "one header, no line lost, no slug twice");
        for (category, names) in &taxonomy.0 {
            assert!(Gcid::parse(category).is_ok(), "{category}");
            assert!(
                !names.english.is_empty() && names.local.iter().all(|(key, name)| key.len() == 2 && !name.is_empty())
            );
        }
    }

    #[test]
    fn a_name_depends_on_region_and_language() {
        let taxonomy = Taxonomy::default();
        let butcher = |region, language| name(&taxonomy, "gcid:butcher_shop", region, language);
        assert_eq!(butcher("US", "en").as_deref(), Some("Butcher shop"));
        assert_eq!(butcher("IN", "en-IN").as_deref(), Some("Chicken & Mutton Shop"));
        assert_eq!(butcher("DE", "de").as_deref(), Some("Metzgerei"));
        assert_eq!(butcher("JP", "ja").as_deref(), Some("Butcher shop"), "a language that is not there");
    }

    #[test]
    fn a_search_matches_the_front_of_the_name() {
        let taxonomy = Taxonomy::default();
        let locale = Locale { region: "US", language: "en" };
        let found: Vec<_> = taxonomy.search("", "FOOD", locale).map(|(name, _)| name.to_owned()).collect();
        assert!(found.contains(&"categories/gcid:food_court".to_owned()));
        assert!(!found.contains(&"categories/gcid:fast_food_restaurant".to_owned()));
    }

    #[test]
    fn a_change_is_whole_or_nothing() {
        let mut taxonomy = Taxonomy::default();
        let change = |text| serde_json::from_str::<TaxonomyChange>(text).expect("well formed");
        let wrong = change(r#"{"retire": ["gcid:deli"], "rename": {"gcid:nothing_such": "N"}}"#);
        assert_eq!(taxonomy.change(wrong), Err("rename: gcid:nothing_such does not exist".to_owned()));
        assert!(taxonomy.contains(&gcid("gcid:deli")));
        let right =
            r#"{"retire": ["gcid:deli"], "rename": {"gcid:bar": "Taproom"}, "add": {"gcid:moon_base": "Moon base"}}"#;
        taxonomy.change(change(right)).expect("applies");
        assert_eq!(name(&taxonomy, "gcid:deli", "US", "en"), None);
        assert_eq!(name(&taxonomy, "gcid:bar", "US", "en").as_deref(), Some("Taproom"));
        assert!(taxonomy.contains(&gcid("gcid:moon_base")));
    }
}
