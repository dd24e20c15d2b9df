//! Requests of bytes, and the fields of messages by the descriptors that reflection shows: for tests of every field that there is.

use std::collections::HashMap;

use category_mirror_proto::FILE_DESCRIPTOR_SET;
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

/// A text field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextField {
    /// The method, such as `categorymirror.v1.TenantService/GetTenant`.
    pub(super) method: String,
    /// The names from the request to the field, such as `tenant.display_name`.
    pub(super) path: String,
    /// From the request on: the tag, and those of the messages that its message has one of.
    steps: Vec<(u32, Vec<u32>)>,
}

impl TextField {
    /// A request that has `text` in this field and nothing else; its messages are there, and empty.
    pub(super) fn request(&self, text: &str) -> Vec<u8> {
        let field = |tag: u32, inner: &[u8]| {
            let mut outer = Vec::new();
            encode_key(tag, WireType::LengthDelimited, &mut outer);
            encode_varint(inner.len() as u64, &mut outer);
            outer.extend_from_slice(inner);
            outer
        };
        self.steps.iter().rev().fold(text.as_bytes().to_vec(), |inner, (tag, messages)| {
            let mut message: Vec<u8> = messages.iter().flat_map(|tag| field(*tag, &[])).collect();
            // What comes later of the same message is merged into it.
            message.extend(field(*tag, &inner));
            message
        })
    }
}

/// Every text field of every request of ours.
pub(super) fn text_fields() -> Vec<TextField> {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("a descriptor set").file;
    let mut messages = HashMap::new();
    for file in &files {
        for message in &file.message_type {
            index(&format!(".{}", file.package()), message, &mut messages);
        }
    }
    let mut fields = Vec::new();
    for file in files.iter().filter(|file| file.package() == "categorymirror.v1") {
        for service in &file.service {
            for method in &service.method {
                let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                collect(&messages, &name, method.input_type(), &mut Vec::new(), &mut fields);
            }
        }
    }
    fields
}

fn index<'a>(scope: &str, message: &'a DescriptorProto, messages: &mut HashMap<String, &'a DescriptorProto>) {
    let name = format!("{scope}.{}", message.name());
    for nested in &message.nested_type {
        index(&name, nested, messages);
    }
    messages.insert(name, message);
}

fn collect(
    messages: &HashMap<String, &DescriptorProto>,
    method: &str,
    message: &str,
    way: &mut Vec<(String, (u32, Vec<u32>))>,
    fields: &mut Vec<TextField>,
) {
    let tag = |field: &FieldDescriptorProto| u32::try_from(field.number()).expect("a tag");
    let of_message = &messages[message].field;
    let single = of_message.iter().filter(|it| it.r#type() == Type::Message && it.label() != Label::Repeated);
    let single: Vec<u32> = single.map(tag).collect();
    for field in of_message {
        way.push((field.name().to_owned(), (tag(field), single.clone())));
        match field.r#type() {
            Type::String => {
                let names: Vec<&str> = way.iter().map(|(name, _)| name.as_str()).collect();
                let (path, steps) = (names.join("."), way.iter().map(|(_, step)| step.clone()).collect());
                fields.push(TextField { method: method.to_owned(), path, steps });
            }
            Type::Message => collect(messages, method, field.type_name(), way, fields),
            _ => {}
        }
        way.pop();
    }
}
