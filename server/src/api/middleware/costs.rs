//! The cost of each method for the database.

/// The cost of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Cost {
    /// Uses the group commit, which has its own connections. A request for a batch additionally takes a permit of
    /// [`Compartment::Batch`].
    Shared,
    /// A few statements that use an index.
    Light,
    /// Reads or writes large amounts.
    Expensive(Compartment),
}

/// A kind of expensive call, which has its own permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::api) enum Compartment {
    /// Searches in Google's lists: processor time.
    Search,
    /// Lists and statistics that may read long histories.
    History,
    /// Writes some thousand rows in one transaction.
    Import,
    /// Reads Google's whole list, and marks all tenants that it affects.
    Taxonomy,
    /// Counts and stores all tenants of a batch.
    Batch,
}

/// The cost of each method that is not light, by the end of its path.
const COSTS: [(&str, Cost); 13] = [
    ("CategoryMirrorService/MirrorCategories", Cost::Shared),
    ("CategoryService/SearchCategories", Cost::Expensive(Compartment::Search)),
    ("CategoryService/ListMappingSuggestions", Cost::Expensive(Compartment::Search)),
    ("CategoryMirrorService/ListSyncLogs", Cost::Expensive(Compartment::History)),
    ("CategoryMirrorService/GetSyncStats", Cost::Expensive(Compartment::History)),
    ("TenantService/ListTenantSyncs", Cost::Expensive(Compartment::History)),
    ("BatchService/ListBatches", Cost::Expensive(Compartment::History)),
    ("CategoryService/ListPlatformCategories", Cost::Expensive(Compartment::History)),
    ("TenantService/ImportTenants", Cost::Expensive(Compartment::Import)),
    ("CategoryService/ImportPlatformCategories", Cost::Expensive(Compartment::Import)),
    ("CredentialService/ReencryptCredentials", Cost::Expensive(Compartment::Import)),
    ("CategoryService/RefreshTaxonomy", Cost::Expensive(Compartment::Taxonomy)),
    ("CategoryService/DeletePlatformCategory", Cost::Expensive(Compartment::Import)),
];

/// Returns the cost of a method.
pub(in crate::api) fn cost(path: &str) -> Cost {
    let method = path.strip_prefix("/categorymirror.v1.").unwrap_or_default();
    COSTS.iter().find(|(name, _)| *name == method).map_or(Cost::Light, |(_, cost)| *cost)
}

#[cfg(test)]
mod tests {
    use category_mirror_proto::FILE_DESCRIPTOR_SET;

    use super::*;

    #[test]
    fn every_cost_is_that_of_a_method() {
        for (name, wanted) in COSTS {
            let method = name.rsplit('/').next().expect("a name").as_bytes();
            assert!(FILE_DESCRIPTOR_SET.windows(method.len()).any(|part| part == method), "{name}");
            assert_eq!(cost(&format!("/categorymirror.v1.{name}")), wanted);
        }
        assert_eq!(cost("/categorymirror.v1.TenantService/ListTenants"), Cost::Light);
        assert_eq!(cost("/TenantService/ImportTenants"), Cost::Light);
    }
}
