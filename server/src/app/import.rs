//! Creates and changes many resources at once. Valid items are imported; all violations of the others are reported.

use std::collections::{BTreeMap, HashMap};

use super::{App, categories::add_mapping_violations, require_unrestricted};
use crate::{
    domain::{Caller, Flag, LocationId, NewCategory, NewTenant, TenantId},
    error::{Error, FieldViolation, Violations},
    store::{ImportRejection, ImportResult},
};

/// An item of an import: parsed, or its violations.
pub type Item<T> = Result<T, Vec<FieldViolation>>;

/// Result of an import.
#[derive(Debug, Clone, Default)]
pub struct ImportReport {
    /// Number of items that were created.
    pub created: usize,
    /// Number of existing items that were changed.
    pub updated: usize,
    /// Number of existing items that already had the imported values.
    pub unchanged: usize,
    /// The violations of rejected items, by index.
    pub failures: BTreeMap<usize, Vec<FieldViolation>>,
}

impl App {
    /// Creates or changes tenants. With `validate_only`, nothing is changed.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::LocationTaken`] if a concurrent call takes a location, or a database
    /// error.
    pub async fn import_tenants(
        &self,
        caller: &Caller,
        items: Vec<Item<NewTenant>>,
        validate_only: bool,
    ) -> Result<ImportReport, Error> {
        require_unrestricted(caller, "importing tenants")?;
        let mut validator = ImportValidator::new(items);
        validator.reject_repeated("tenant.name", |it| Some(it.tenant.id.resource_name()));
        validator
            .reject_repeated("tenant.gbp_location", |it| it.tenant.location.as_ref().map(LocationId::resource_name));
        self.reject_disabled(&mut validator).await?;
        let imported = self.store.import_tenants(None, &validator.valid(), validate_only).await?;
        Ok(validator.report(imported))
    }

    /// Rejects categories of tenants for which `FF_TENANT_PLATFORM_CATEGORY` is off, as `SetTenantCategories` does.
    async fn reject_disabled(&self, validator: &mut ImportValidator<NewTenant>) -> Result<(), Error> {
        let flag = Flag::TenantPlatformCategory;
        let flags = self.flags.now().await?;
        let tenants: Vec<&TenantId> = validator.valid.values().map(|it| &it.tenant.id).collect();
        let present = match flags.asks_for_organization(flag) {
            true => self.store.organizations(&tenants).await?,
            false => HashMap::new(),
        };
        validator.refuse(|it, violations| {
            let id = &it.tenant.id;
            let organization = it.tenant.organization.as_ref().or_else(|| present.get(id));
            if it.categories.is_some() {
                violations.take("categories", flags.require(flag, id, organization));
            }
        });
        Ok(())
    }

    /// Creates or changes platform categories. With `validate_only`, nothing is changed.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], or a database error.
    pub async fn import_platform_categories(
        &self,
        caller: &Caller,
        items: Vec<Item<NewCategory>>,
        validate_only: bool,
    ) -> Result<ImportReport, Error> {
        require_unrestricted(caller, "importing platform categories")?;
        let mut validator = ImportValidator::new(items);
        validator.reject_repeated("platform_category.name", |it| Some(it.slug.resource_name()));
        let mappings = validator.valid.values().flat_map(|it| crate::domain::mappings(it.gcid.as_ref(), &it.regional));
        let taxonomy_lookup = self.store.taxonomy_lookup(&mappings.map(|(_, gcid)| gcid).collect::<Vec<_>>()).await?;
        validator.refuse(|it, violations| {
            add_mapping_violations(violations, &taxonomy_lookup, it.gcid.as_ref(), &it.regional)
        });
        let imported = self.store.import_categories(None, &validator.valid(), validate_only).await?;
        Ok(validator.report(imported))
    }
}

/// The items without violations so far, and the violations of the others.
struct ImportValidator<T> {
    valid: BTreeMap<usize, T>,
    failures: BTreeMap<usize, Vec<FieldViolation>>,
}

impl<T: Clone> ImportValidator<T> {
    fn new(items: Vec<Item<T>>) -> Self {
        let mut validator = Self { valid: BTreeMap::new(), failures: BTreeMap::new() };
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Ok(item) => drop(validator.valid.insert(index, item)),
                Err(violations) => drop(validator.failures.insert(index, violations)),
            }
        }
        validator
    }

    fn refuse(&mut self, check: impl Fn(&T, &mut Violations)) {
        let failures = &mut self.failures;
        self.valid.retain(|index, item| {
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

    /// Rejects items with the same key: it is unknown which of them is intended.
    fn reject_repeated(&mut self, field: &str, key: impl Fn(&T) -> Option<String>) {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for key in self.valid.values().filter_map(&key) {
            *counts.entry(key).or_default() += 1;
        }
        self.refuse(|item, violations| {
            if let Some((key, count)) = key(item).and_then(|key| counts.get_key_value(&key)).filter(|(_, n)| **n > 1) {
                violations.add(field, format!("{key} is in {count} items of this import"));
            }
        });
    }

    fn valid(&self) -> Vec<T> {
        self.valid.values().cloned().collect()
    }

    fn report(self, imported: ImportResult) -> ImportReport {
        let ImportResult { created, updated, unchanged, refused } = imported;
        let places: Vec<usize> = self.valid.into_keys().collect();
        let mut failures = self.failures;
        for (index, refused) in refused {
            let mut violations = Violations::default();
            for refused in refused {
                match refused {
                    ImportRejection::LocationTaken(location) => {
                        violations.add("tenant.gbp_location", Error::LocationTaken(location.to_string()));
                    }
                    ImportRejection::UnknownCategory(position, slug) => {
                        let description = format!("{} does not exist", slug.resource_name());
                        violations.add(&super::tenants::field(position), description);
                    }
                    ImportRejection::RunInProgress(run) => {
                        let description = format!(
                            "run {run} has a write to the current location whose outcome is not known yet; import again once the run has ended"
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
        let mut validator = ImportValidator::new(items);
        validator.reject_repeated("name", |item| Some((*item).to_owned()));
        assert_eq!(validator.valid(), ["b"]);
        assert_eq!(validator.failures.keys().copied().collect::<Vec<_>>(), [0, 1, 3]);
        assert_eq!(validator.failures[&3][0].description, "a is in 2 items of this import");
    }

    #[test]
    fn what_the_store_refuses_is_told_by_its_place_in_the_request() {
        let validator = ImportValidator::new(vec![Err(vec![]), Ok("a"), Ok("b")]);
        let slug = crate::domain::Slug::parse("new").expect("a slug");
        let imported = ImportResult {
            updated: 1,
            refused: vec![(1, vec![ImportRejection::UnknownCategory(2, slug)])],
            ..ImportResult::default()
        };
        let report = validator.report(imported);
        assert_eq!(report.updated, 1);
        assert_eq!(report.failures[&2][0].field, "categories.additional[1]");
    }
}
