//! What Google's lists say about mappings.

use std::collections::BTreeMap;

use crate::{Gcid, PlatformCategory, RegionCode};

/// A platform category with everything that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogEntry {
    /// The category; its mapping is that of all regions without one of their own.
    pub category: PlatformCategory,
    /// The regions' own mappings; `None`: it stands for nothing there.
    pub regional: RegionalMapping,
}

/// What a platform category stands for in the regions that differ.
pub type RegionalMapping = BTreeMap<RegionCode, Option<Gcid>>;

/// What Google's lists say about a category. From good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MappingState {
    /// It is there.
    Listed,
    /// There is no list to look it up in.
    Unchecked,
    /// It was never there.
    Unlisted,
    /// It is there no more.
    Retired,
}

/// The categories that were asked about, in the newest list of each region that has one: whether it is still there. One that is
/// missing was never there.
#[derive(Debug, Clone, Default)]
pub struct TaxonomyLookup(pub BTreeMap<RegionCode, BTreeMap<Gcid, bool>>);

impl TaxonomyLookup {
    /// Where a category stands: in a region, or, for a mapping of all regions, in the one that speaks best of it.
    #[must_use]
    pub fn of(&self, gcid: &Gcid, region: Option<&RegionCode>) -> MappingState {
        let state = |list: &BTreeMap<Gcid, bool>| match list.get(gcid) {
            Some(true) => MappingState::Listed,
            Some(false) => MappingState::Retired,
            None => MappingState::Unlisted,
        };
        let state = match region {
            Some(region) => self.0.get(region).map(state),
            // Not `min`: that Google once had it says more than that another region never did.
            None => self.0.values().map(state).min_by_key(|state| match state {
                MappingState::Listed => 0,
                MappingState::Retired => 1,
                MappingState::Unlisted | MappingState::Unchecked => 2,
            }),
        };
        state.unwrap_or(MappingState::Unchecked)
    }

    /// The worst of an entry's mappings; `None`: it has none.
    #[must_use]
    pub fn worst(&self, entry: &CatalogEntry) -> Option<MappingState> {
        mappings(entry.category.gcid.as_ref(), &entry.regional).map(|(region, gcid)| self.of(gcid, region)).max()
    }

    /// Why a mapping is refused; `None`: it is not.
    #[must_use]
    pub fn violation(&self, gcid: &Gcid, region: Option<&RegionCode>) -> Option<String> {
        let where_ = || match region {
            Some(region) => region.to_string(),
            None => self.0.keys().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        match self.of(gcid, region) {
            MappingState::Listed | MappingState::Unchecked => None,
            MappingState::Unlisted => Some(format!("`{gcid}` is not in Google's list ({})", where_())),
            MappingState::Retired => Some(format!("`{gcid}` was retired by Google ({})", where_())),
        }
    }
}

/// Everything that is mapped: by region, and for all others.
pub fn mappings<'a>(
    gcid: Option<&'a Gcid>,
    regional: &'a RegionalMapping,
) -> impl Iterator<Item = (Option<&'a RegionCode>, &'a Gcid)> {
    let regional = regional.iter().filter_map(|(region, gcid)| Some((Some(region), gcid.as_ref()?)));
    gcid.map(|gcid| (None, gcid)).into_iter().chain(regional)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gcid(slug: &str) -> Gcid {
        Gcid::parse(&format!("gcid:{slug}")).expect("valid")
    }

    fn region(code: &str) -> RegionCode {
        RegionCode::parse(code).expect("valid")
    }

    #[test]
    fn a_mapping_of_all_regions_needs_one_list_and_a_regions_own_needs_that_regions() {
        let us = BTreeMap::from([(gcid("a"), true), (gcid("b"), false)]);
        let lists = TaxonomyLookup(BTreeMap::from([(region("US"), us), (region("IN"), BTreeMap::new())]));
        for (slug, all, us, india) in [
            ("a", MappingState::Listed, MappingState::Listed, MappingState::Unlisted),
            ("b", MappingState::Retired, MappingState::Retired, MappingState::Unlisted),
            ("c", MappingState::Unlisted, MappingState::Unlisted, MappingState::Unlisted),
        ] {
            let of = |code: Option<&str>| lists.of(&gcid(slug), code.map(region).as_ref());
            assert_eq!((of(None), of(Some("US")), of(Some("IN"))), (all, us, india), "{slug}");
            assert_eq!(of(Some("DE")), MappingState::Unchecked, "no list was imported there");
        }
        assert_eq!(TaxonomyLookup::default().of(&gcid("a"), None), MappingState::Unchecked);
    }

    #[test]
    fn an_objection_names_the_category_and_the_lists() {
        let lists = TaxonomyLookup(BTreeMap::from([(region("IN"), BTreeMap::new()), (region("US"), BTreeMap::new())]));
        assert_eq!(lists.violation(&gcid("a"), None).as_deref(), Some("`gcid:a` is not in Google's list (IN, US)"));
        assert_eq!(lists.violation(&gcid("a"), Some(&region("DE"))), None);
    }
}
