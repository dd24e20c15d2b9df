//! Estimates the memory of a message once it is decoded, from its bytes and the protocol's descriptors.
//!
//! Two bytes on the wire can become a message of hundreds of bytes, so the number of bytes alone is no bound.

use std::{collections::HashMap, sync::LazyLock};

use prost::Message as _;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

use crate::error::{Error, FieldViolation};

/// Maximum number of items of one repeated field. Each field has a lower limit of its own; this one applies before
/// anything is decoded.
const MAX_ITEMS: usize = 10_000;
/// Maximum number of items and messages of one request. An import of 5,000 categories, each with mappings for ten
/// regions, has 55,000.
const MAX_ELEMENTS: usize = 100_000;
/// Memory of an item or a message: that of the largest repeated one of the protocol, decoded and converted to the
/// server's own types.
const ELEMENT_BYTES: usize = 512;
/// Name of the request as a whole, in violations that concern no single field.
const MESSAGE: &str = "message";
/// Maximum nesting of messages: deeper than any of the protocol.
const MAX_DEPTH: usize = 16;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(category_mirror_proto::FILE_DESCRIPTOR_SET);
    Schema::new(&files.expect("the descriptor set is part of the program"))
});

/// The messages of the protocol, and the request message of each method.
#[derive(Debug, Default)]
struct Schema {
    messages: Vec<Fields>,
    /// By path, such as `/categorymirror.v1.TenantService/GetTenant`.
    requests: HashMap<String, usize>,
}

type Fields = HashMap<u32, Field>;

#[derive(Debug)]
struct Field {
    name: String,
    is_repeated: bool,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Index of the message.
    Message(usize),
    /// Text or bytes.
    Text,
    /// A type of which many values fit into one packed field.
    Number,
}

/// Returns the number of bytes that the items and messages in a request of the method at `path` would take, apart from
/// their texts. 0 for unknown methods.
///
/// # Errors
/// [`Error::Invalid`] if there are more items than any request may have; names the field and the number. Malformed
/// bytes cost nothing here; the decoder rejects them.
pub(in crate::api) fn decoded_bytes(path: &str, message: &[u8]) -> Result<usize, Error> {
    let Some(request) = SCHEMA.requests.get(path) else { return Ok(0) };
    let mut elements = 0;
    SCHEMA.scan(*request, message, 0, &mut elements)?;
    Ok(elements * ELEMENT_BYTES)
}

impl Schema {
    fn new(files: &FileDescriptorSet) -> Self {
        let mut schema = Self::default();
        let mut numbers = HashMap::new();
        for file in &files.file {
            for message in &file.message_type {
                number(&format!(".{}", file.package()), message, &mut numbers);
            }
        }
        schema.messages.resize_with(numbers.len(), Fields::new);
        for file in &files.file {
            for message in &file.message_type {
                schema.describe(&format!(".{}", file.package()), message, &numbers);
            }
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    schema.requests.extend(numbers.get(method.input_type()).map(|number| (path, *number)));
                }
            }
        }
        schema
    }

    fn describe(&mut self, scope: &str, message: &DescriptorProto, numbers: &HashMap<String, usize>) {
        let name = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.describe(&name, nested, numbers);
        }
        let fields =
            message.field.iter().filter_map(|field| Some((u32::try_from(field.number()).ok()?, read(field, numbers))));
        self.messages[numbers[&name]] = fields.collect();
    }

    /// Counts the elements of a message. A malformed part ends the count.
    fn scan(&self, message: usize, mut bytes: &[u8], depth: usize, elements: &mut usize) -> Result<(), Error> {
        let mut items: HashMap<u32, usize> = HashMap::new();
        while let Some((number, value)) = next(&mut bytes) {
            let Some(field) = self.messages[message].get(&number) else { continue };
            let count = match (field.kind, value) {
                (Kind::Number, Some(packed)) => packed.len(),
                _ => 1,
            };
            if field.is_repeated {
                let items = items.entry(number).or_default();
                *items += count;
                if *items > MAX_ITEMS {
                    // The rest is counted without being parsed, so that the error has the number.
                    let left = std::iter::from_fn(|| next(&mut bytes)).filter(|(left, _)| *left == number).count();
                    return Err(too_many(&field.name, *items + left, MAX_ITEMS));
                }
            }
            if field.is_repeated || matches!(field.kind, Kind::Message(_)) {
                *elements += count;
            }
            if *elements > MAX_ELEMENTS {
                return Err(too_many(MESSAGE, *elements, MAX_ELEMENTS));
            }
            if let (Kind::Message(inner), Some(value), true) = (field.kind, value, depth < MAX_DEPTH) {
                self.scan(inner, value, depth + 1, elements).map_err(|error| within(&field.name, error))?;
            }
        }
        Ok(())
    }
}

fn too_many(field: &str, count: usize, limit: usize) -> Error {
    Error::invalid(field, format!("has {count} items, at most {limit} are allowed in any request"))
}

/// Prefixes the field of an error with `outer`, the field that contains the message.
fn within(outer: &str, error: Error) -> Error {
    match error {
        Error::Invalid(violations) if violations.iter().all(|violation| violation.field != MESSAGE) => {
            let within = |violation: FieldViolation| FieldViolation {
                field: format!("{outer}.{}", violation.field),
                ..violation
            };
            Error::Invalid(violations.into_iter().map(within).collect())
        }
        error => error,
    }
}

fn number(scope: &str, message: &DescriptorProto, numbers: &mut HashMap<String, usize>) {
    let name = format!("{scope}.{}", message.name());
    for nested in &message.nested_type {
        number(&name, nested, numbers);
    }
    let next = numbers.len();
    numbers.insert(name, next);
}

fn read(field: &FieldDescriptorProto, numbers: &HashMap<String, usize>) -> Field {
    let kind = match field.r#type() {
        // A well-known type that is not in the set: it contains only numbers, so it costs as much as a text.
        Type::Message | Type::Group => {
            numbers.get(field.type_name()).map_or(Kind::Text, |number| Kind::Message(*number))
        }
        Type::String | Type::Bytes => Kind::Text,
        _ => Kind::Number,
    };
    Field { name: field.name().to_owned(), is_repeated: field.label() == Label::Repeated, kind }
}

/// Splits the next field off `bytes`: returns its number, and its bytes if it is length-delimited. `None` at the end,
/// or if it is malformed.
fn next<'a>(bytes: &mut &'a [u8]) -> Option<(u32, Option<&'a [u8]>)> {
    let key = varint(bytes)?;
    let number = u32::try_from(key >> 3).ok()?;
    let value = match key & 7 {
        0 => {
            varint(bytes)?;
            None
        }
        1 => {
            take(bytes, 8)?;
            None
        }
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Some(take(bytes, length)?)
        }
        5 => {
            take(bytes, 4)?;
            None
        }
        _ => return None,
    };
    Some((number, value))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use category_mirror_proto::v1::{
        ImportPlatformCategoriesRequest, ImportTenantsRequest, PlatformCategory, TenantImport,
    };

    use super::*;

    const IMPORT_TENANTS: &str = "/categorymirror.v1.TenantService/ImportTenants";
    const IMPORT_CATEGORIES: &str = "/categorymirror.v1.CategoryService/ImportPlatformCategories";

    #[test]
    fn every_method_of_the_protocol_has_its_request() {
        let files = FileDescriptorSet::decode(category_mirror_proto::FILE_DESCRIPTOR_SET).expect("a set");
        let methods: usize = files.file.iter().flat_map(|file| &file.service).map(|service| service.method.len()).sum();
        assert_eq!(SCHEMA.requests.len(), methods);
        assert!(methods > 30, "{methods}");
    }

    #[test]
    fn empty_items_are_counted_and_too_many_of_them_are_refused_by_field_and_number() {
        let import =
            |tenants| ImportTenantsRequest { tenants: vec![TenantImport::default(); tenants], ..Default::default() };
        let cost = |tenants| decoded_bytes(IMPORT_TENANTS, &import(tenants).encode_to_vec());
        assert_eq!(cost(0).expect("none"), 0);
        assert_eq!(cost(MAX_ITEMS).expect("at the limit"), MAX_ITEMS * ELEMENT_BYTES);
        let Err(Error::Invalid(violations)) = cost(25_000) else { panic!("accepted") };
        assert_eq!(violations[0].field, "tenants");
        assert!(violations[0].description.starts_with("has 25000 items, at most 10000"), "{violations:?}");
    }

    #[test]
    fn items_within_items_count_wherever_they_are() {
        let schema = &*SCHEMA;
        let request = schema.requests[IMPORT_CATEGORIES];
        let nested = schema.messages[request].values().find_map(|field| match field.kind {
            Kind::Message(inner) if field.is_repeated => Some(inner),
            _ => None,
        });
        assert!(nested.is_some_and(|inner| schema.messages[inner].values().any(|field| field.is_repeated)));
        // 20 categories, each with as many empty mappings as a whole request may have.
        let mut category = PlatformCategory::default().encode_to_vec();
        let field = schema.messages[nested.expect("categories")].iter().find(|(_, field)| field.is_repeated);
        let key = u8::try_from(*field.expect("mappings").0 << 3 | 2).expect("a small number");
        category.extend([key, 0].repeat(MAX_ITEMS / 2));
        let mut import = ImportPlatformCategoriesRequest::default().encode_to_vec();
        for _ in 0..21 {
            let outer = schema.messages[request].iter().find(|(_, field)| field.is_repeated).expect("categories").0;
            import.push(u8::try_from(outer << 3 | 2).expect("a small number"));
            prost::encoding::encode_varint(category.len() as u64, &mut import);
            import.extend(&category);
        }
        let Err(Error::Invalid(violations)) = decoded_bytes(IMPORT_CATEGORIES, &import) else { panic!("accepted") };
        assert_eq!(violations[0].field, "message");
    }

    #[test]
    fn malformed_bytes_cost_nothing_and_never_panic() {
        for bytes in [&[0x0a][..], &[0x0a, 0xff], &[0xff; 11], &[0x0b, 0], &[0x08], &[0x0d, 1, 2], &[0x09, 1]] {
            assert_eq!(decoded_bytes(IMPORT_TENANTS, bytes).expect("left to the decoder"), 0, "{bytes:?}");
        }
        assert_eq!(decoded_bytes("/no/Method", &[0x0a, 0]).expect("no method"), 0);
    }
}
