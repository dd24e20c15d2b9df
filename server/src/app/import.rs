//! Creating and changing many things at once: each good item is taken, and everything that is wrong with the others is told.

use std::collections::{BTreeMap, HashMap};

use super::{App, categories::object, unlimited};
use crate::{
    domain::{Caller, Flag, LocationId, TenantId},
    error::{Error, FieldViolation, Violations},
    store::{Imported, NewCategory, NewTenant, Refused},
};

/// An item of an import, as far as its form goes.
pub type Item<T> = Result<T, Vec<FieldViolation>>;

/// What became of the items.
#[derive(Debug, Clone, Default)]
pub struct ImportReport {
    /// How many were created.
    pub created: usize,
    /// How many were there, and changed.
    pub updated: usize,
    /// How many were there as they should be.
    pub unchanged: usize,
    /// What is wrong with the others, by their place.
    pub failures: BTreeMap<usize, Vec<FieldViolation>>,
}

impl App {
    /// Creates or changes tenants. `rehearse` changes nothing.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::LocationTaken`] when somebody else takes a location at the same moment, or the database's.
    pub async fn import_tenants(
        &self,
        caller: &Caller,
        items: Vec<Item<NewTenant>>,
        rehearse: bool,
    ) -> Result<ImportReport, Error> {
        unlimited(caller, "importing tenants")?;
        let mut sieve = Sieve::new(items);
        sieve.refuse_repeated("tenant.name", |it| Some(it.tenant.id.resource_name()));
        sieve.refuse_repeated("tenant.gbp_location", |it| it.tenant.location.as_ref().map(LocationId::resource_name));
        self.refuse_switched_off(&mut sieve).await?;
        let imported = self.store.import_tenants(None, &sieve.good(), rehearse).await?;
        Ok(sieve.report(imported))
    }

    /// Whoever's categories may not be changed one by one keeps them here, too.
    async fn refuse_switched_off(&self, sieve: &mut Sieve<NewTenant>) -> Result<(), Error> {
        let flag = Flag::TenantPlatformCategory;
        let flags = self.flags.now().await?;
        let tenants: Vec<&TenantId> = sieve.good.values().map(|it| &it.tenant.id).collect();
        let present = match flags.asks_for_organization(flag) {
            true => self.store.organizations(&tenants).await?,
            false => HashMap::new(),
        };
        sieve.refuse(|it, violations| {
            let id = &it.tenant.id;
            let organization = it.tenant.organization.as_ref().or_else(|| present.get(id));
            if it.categories.is_some() {
                violations.take("categories", flags.require(flag, id, organization));
            }
        });
        Ok(())
    }

    /// Creates or changes platform categories. `rehearse` changes nothing.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], or the database's.
    pub async fn import_platform_categories(
        &self,
        caller: &Caller,
        items: Vec<Item<NewCategory>>,
        rehearse: bool,
    ) -> Result<ImportReport, Error> {
        unlimited(caller, "importing platform categories")?;
        let mut sieve = Sieve::new(items);
        sieve.refuse_repeated("platform_category.name", |it| Some(it.slug.resource_name()));
        let mappings = sieve.good.values().flat_map(|it| crate::domain::mappings(it.gcid.as_ref(), &it.regional));
        let standings = self.store.standings(&mappings.map(|(_, gcid)| gcid).collect::<Vec<_>>()).await?;
        sieve.refuse(|it, violations| object(violations, &standings, it.gcid.as_ref(), &it.regional));
        let imported = self.store.import_categories(None, &sieve.good(), rehearse).await?;
        Ok(sieve.report(imported))
    }
}

/// The items that nothing is against so far, and what is against the others.
struct Sieve<T> {
    good: BTreeMap<usize, T>,
    failures: BTreeMap<usize, Vec<FieldViolation>>,
}

impl<T: Clone> Sieve<T> {
    fn new(items: Vec<Item<T>>) -> Self {
        let mut sieve = Self { good: BTreeMap::new(), failures: BTreeMap::new() };
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Ok(item) => drop(sieve.good.insert(index, item)),
                Err(violations) => drop(sieve.failures.insert(index, violations)),
            }
        }
        sieve
    }

    fn refuse(&mut self, check: impl Fn(&T, &mut Violations)) {
        let failures = &mut self.failures;
        self.good.retain(|index, item| {
            let mut violations = Violations::default();
            check(item, &mut violations);
            match violations.finish() {
                Err(Error::Invalid(violations)) => {
                    failures.insert(*index, violations);
                    false
                }
                _ => true,
            }
        });
    }

    /// Of several items about one thing, nobody can say which is meant, so none is taken.
    fn refuse_repeated(&mut self, field: &str, key: impl Fn(&T) -> Option<String>) {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for key in self.good.values().filter_map(&key) {
            *counts.entry(key).or_default() += 1;
        }
        self.refuse(|item, violations| {
            if let Some((key, count)) = key(item).and_then(|key| counts.get_key_value(&key)).filter(|(_, n)| **n > 1) {
                violations.add(field, format!("{key} is in {count} items of this import"));
            }
        });
    }

    fn good(&self) -> Vec<T> {
        self.good.values().cloned().collect()
    }

    fn report(self, imported: Imported) -> ImportReport {
        let Imported { created, updated, unchanged, refused } = imported;
        let places: Vec<usize> = self.good.into_keys().collect();
        let mut failures = self.failures;
        for (index, refused) in refused {
            let mut violations = Violations::default();
            for refused in refused {
                match refused {
                    Refused::LocationTaken(location) => {
                        violations.add("tenant.gbp_location", Error::LocationTaken(location.to_string()));
                    }
                    Refused::UnknownCategory(position, slug) => {
                        let description = format!("{} does not exist", slug.resource_name());
                        violations.add(&super::tenants::field(position), description);
                    }
                    Refused::RunInProgress(run) => {
                        let description = format!(
                            "run {run} has a write at the present location whose outcome is not known yet; import again when it has ended"
                        );
                        violations.add("tenant.gbp_location", description);
                    }
                }
            }
            if let (Some(place), Err(Error::Invalid(violations))) = (places.get(index), violations.finish()) {
                failures.insert(*place, violations);
            }
        }
        ImportReport { created, updated, unchanged, failures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_repeated_items_none_is_taken() {
        let items = vec![Ok("a"), Err(vec![]), Ok("b"), Ok("a")];
        let mut sieve = Sieve::new(items);
        sieve.refuse_repeated("name", |item| Some((*item).to_owned()));
        assert_eq!(sieve.good(), ["b"]);
        assert_eq!(sieve.failures.keys().copied().collect::<Vec<_>>(), [0, 1, 3]);
        assert_eq!(sieve.failures[&3][0].description, "a is in 2 items of this import");
    }

    #[test]
    fn what_the_store_refuses_is_told_by_its_place_in_the_request() {
        let sieve = Sieve::new(vec![Err(vec![]), Ok("a"), Ok("b")]);
        let slug = crate::domain::Slug::parse("new").expect("a slug");
        let imported =
            Imported { updated: 1, refused: vec![(1, vec![Refused::UnknownCategory(2, slug)])], ..Imported::default() };
        let report = sieve.report(imported);
        assert_eq!(report.updated, 1);
        assert_eq!(report.failures[&2][0].field, "categories.additional[1]");
    }
}
