//! Resource names from what people type.

/// `tenants/a` of `a`; a name that is one already stays as it is, and nothing stays nothing.
pub(crate) fn qualified(collection: &str, id: impl Into<String>) -> String {
    let id = id.into();
    // An id holds no slash, so one says that this is a name. Whether it is a good one is the server's to say.
    if id.is_empty() || id.contains('/') { id } else { format!("{collection}/{id}") }
}

/// `tenants/-/runs/b` of `b`: a run's id is unique without its tenant.
pub(crate) fn run(id: impl Into<String>) -> String {
    qualified("tenants/-/runs", id)
}

/// `tenants/a/sync` of `a`, `tenants/a`, or itself.
pub(crate) fn sync(tenant: impl Into<String>) -> String {
    let tenant = qualified("tenants", tenant);
    if tenant.is_empty() || tenant.ends_with("/sync") { tenant } else { format!("{tenant}/sync") }
}

/// `a` of `tenants/a`, to show it.
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
