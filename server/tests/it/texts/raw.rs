//! Requests of bytes, and the fields of messages by the descriptors that reflection shows: for tests of every field that there is.

use std::collections::HashMap;

use category_mirror_proto::FILE_DESCRIPTOR_SET;
use prost::{
    Message,
    bytes::{Buf, BufMut},
    encoding::{WireType, encode_key, encode_varint},
};
use prost_types::{DescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// A text field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextField {
    /// The method, such as `categorymirror.v1.TenantService/GetTenant`.
    pub(super) method: String,
    /// The names from the request to the field, such as `tenant.display_name`.
    pub(super) path: String,
    tags: Vec<u32>,
}

impl TextField {
    /// A request that has `text` in this field and nothing else.
    pub(super) fn request(&self, text: &str) -> Vec<u8> {
        self.tags.iter().rev().fold(text.as_bytes().to_vec(), |inner, tag| {
            let mut outer = Vec::new();
            encode_key(*tag, WireType::LengthDelimited, &mut outer);
            encode_varint(inner.len() as u64, &mut outer);
            outer.extend_from_slice(&inner);
            outer
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
    way: &mut Vec<(String, u32)>,
    fields: &mut Vec<TextField>,
) {
    for field in &messages[message].field {
        let tag = u32::try_from(field.number()).expect("a tag");
        way.push((field.name().to_owned(), tag));
        match field.r#type() {
            Type::String => {
                let names: Vec<&str> = way.iter().map(|(name, _)| name.as_str()).collect();
                let tags = way.iter().map(|(_, tag)| *tag).collect();
                fields.push(TextField { method: method.to_owned(), path: names.join("."), tags });
            }
            Type::Message => collect(messages, method, field.type_name(), way, fields),
            _ => {}
        }
        way.pop();
    }
}

/// Sends and receives messages as they are.
#[derive(Clone, Copy, Default)]
pub(super) struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}
