//! What each method costs the database.

/// What a call costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Cost {
    /// It goes by the group commit, which has connections of its own. One that asks for a batch takes a place in [`Compartment::Batch`] besides.
    Shared,
    /// A few statements that go by an index.
    Light,
    /// It reads or writes much.
    Expensive(Compartment),
}

/// A kind of expensive calls, which has places of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::api) enum Compartment {
    /// Searches in Google's lists: processor time.
    Search,
    /// Lists and statistics that may read long histories.
    History,
    /// Some thousand rows in one transaction.
    Import,
    /// Reads Google's whole list, and marks every tenant that it concerns.
    Taxonomy,
    /// Counts and writes down every tenant of a batch.
    Batch,
}

/// What each method that is not light costs, by the end of its path.
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

/// What a method costs.
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
