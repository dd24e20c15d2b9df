//! Resource names from the short forms that people type.

/// Returns `tenants/a` for `a`. A complete name and an empty string are returned unchanged.
pub(crate) fn qualified(collection: &str, id: impl Into<String>) -> String {
    let id = id.into();
    // An id cannot contain a slash, so a text with one is a name. The server validates it.
    if id.is_empty() || id.contains('/') { id } else { format!("{collection}/{id}") }
}

/// Returns `tenants/-/runs/b` for `b`: a run's id is unique across tenants.
pub(crate) fn run(id: impl Into<String>) -> String {
    qualified("tenants/-/runs", id)
}

/// Returns `tenants/a/sync` for `a`, `tenants/a` or `tenants/a/sync`.
pub(crate) fn sync(tenant: impl Into<String>) -> String {
    let tenant = qualified("tenants", tenant);
    if tenant.is_empty() || tenant.ends_with("/sync") { tenant } else { format!("{tenant}/sync") }
}

/// Returns `a` for `tenants/a`, for display.
pub(crate) fn short(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_names_and_names_stay() {
        assert_eq!(qualified("tenants", "a"), "tenants/a");
        assert_eq!(qualified("tenants", "tenants/a"), "tenants/a");
        assert_eq!(qualified("tenants", ""), "");
        assert_eq!(run("7"), "tenants/-/runs/7");
        assert_eq!(run("tenants/a/runs/7"), "tenants/a/runs/7");
        assert_eq!(sync("a"), "tenants/a/sync");
        assert_eq!(sync("tenants/a/sync"), "tenants/a/sync");
        assert_eq!(short("categories/gcid:bakery"), "gcid:bakery");
        assert_eq!(short("gcid:bakery"), "gcid:bakery");
    }
}
