//! The methods of the server, by full name. Anyone may call methods that do not exist, so no other name is exported or
//! counted.

use std::{collections::HashSet, sync::OnceLock};

use prost::Message;
use prost_types::FileDescriptorSet;

/// Name of all unknown methods, as in OpenTelemetry's conventions.
const OTHER: &str = "_OTHER";
/// Reflection does not describe itself.
const REFLECTION: [&str; 2] = [
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Returns the method of a path, such as `categorymirror.v1.TenantService/GetTenant`, or `_OTHER`.
#[must_use]
pub fn method(path: &str) -> &'static str {
    let name = path.strip_prefix('/').unwrap_or(path);
    known().get(name).map_or(OTHER, String::as_str)
}

fn known() -> &'static HashSet<String> {
    static KNOWN: OnceLock<HashSet<String>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut names: HashSet<String> = REFLECTION.map(str::to_owned).into();
        for bytes in [category_mirror_proto::FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET] {
            names.extend(described(bytes));
        }
        names
    })
}

/// Returns the methods of a descriptor set; none if it is malformed, which would be a defect of the build.
fn described(bytes: &[u8]) -> Vec<String> {
    let files = FileDescriptorSet::decode(bytes).unwrap_or_default().file;
    let services = files.iter().flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
    let methods = services.flat_map(|(package, service)| {
        service.method.iter().map(move |method| format!("{package}.{}/{}", service.name(), method.name()))
    });
    methods.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_there_are_have_their_names_and_all_others_one() {
        for name in [
            "categorymirror.v1.CategoryMirrorService/MirrorCategories",
            "categorymirror.v1.CredentialService/SetCredentials",
            "grpc.health.v1.Health/Watch",
            REFLECTION[0],
        ] {
            assert_eq!(method(&format!("/{name}")), name);
        }
        for path in ["", "/", "/a/b", "/categorymirror.v1.CategoryMirrorService/", "//grpc.health.v1.Health/Watch"] {
            assert_eq!(method(path), OTHER, "{path}");
        }
    }
}
