//! Answers in which every text, of every message that there is, would do something to a terminal or a log.

use std::collections::HashMap;

use category_mirror_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{self, run::State},
};
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};

use super::{commands, mirrorctl, text};
use crate::fake::{Ending, Fake, updates};

/// A line of its own, colours, the beginning of a command (ESC and C1), other directions, and what nobody sees.
const TEXT: &str = "a\nforged \u{1b}[2J\u{9b}31m\u{7f}\u{202e}b\u{2066}\u{200b}\u{200e}\u{ad}\u{2028}\u{e0041}c";
/// Deeper than messages are nested.
const DEEPEST: usize = 12;

/// The messages by their full names.
struct Messages(HashMap<String, DescriptorProto>);

impl Messages {
    fn read() -> Self {
        let mut messages = HashMap::new();
        for file in FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("a descriptor set").file {
            for message in &file.message_type {
                index(&format!(".{}", file.package()), message, &mut messages);
            }
        }
        Self(messages)
    }

    /// A message of ours in which every field is set.
    fn fill(&self, name: &str) -> Vec<u8> {
        self.message(&format!(".categorymirror.v1.{name}"), 0)
    }

    fn message(&self, name: &str, depth: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        assert!(depth < DEEPEST, "{name} has no end");
        for field in &self.0[name].field {
            // A list has one page.
            if field.name() != "next_page_token" {
                self.field(field, depth, &mut bytes);
            }
        }
        bytes
    }

    fn field(&self, field: &FieldDescriptorProto, depth: usize, bytes: &mut Vec<u8>) {
        let tag = u32::try_from(field.number()).expect("a tag");
        let value = match field.r#type() {
            Type::String => TEXT.as_bytes().to_vec(),
            Type::Message => self.message(field.type_name(), depth + 1),
            Type::Double => {
                encode_key(tag, WireType::SixtyFourBit, bytes);
                return bytes.extend_from_slice(&1.0_f64.to_le_bytes());
            }
            Type::Float => {
                encode_key(tag, WireType::ThirtyTwoBit, bytes);
                return bytes.extend_from_slice(&1.0_f32.to_le_bytes());
            }
            Type::Bool | Type::Enum | Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 => {
                encode_key(tag, WireType::Varint, bytes);
                return encode_varint(1, bytes);
            }
            other => panic!("{}: a field of type {other:?}", field.name()),
        };
        encode_key(tag, WireType::LengthDelimited, bytes);
        encode_varint(value.len() as u64, bytes);
        bytes.extend_from_slice(&value);
    }
}

fn index(scope: &str, message: &DescriptorProto, messages: &mut HashMap<String, DescriptorProto>) {
    let name = format!("{scope}.{}", message.name());
    for nested in &message.nested_type {
        index(&name, nested, messages);
    }
    messages.insert(name, message.clone());
}

/// Answers whatever a command asks, with hostile texts.
pub(super) fn answer_all(fake: &Fake) {
    let messages = Messages::read();
    for _ in 0..3 {
        fake.methods.all_will(|name| messages.fill(name));
    }
    let run = v1::Run::decode(&messages.fill("Run")[..]).expect("a run");
    let ended = v1::Run { state: State::Succeeded.into(), ..run };
    fake.methods.stream_run_updates.will(Ok(updates(vec![ended], Ending::Close)));
    // What is watched without end has ended with this.
    let end = Ending::Fail(tonic::Status::invalid_argument(TEXT));
    fake.methods.stream_run_updates.will(Ok(updates(Vec::new(), end)));
}

fn assert_harmless(what: &str, shown: &str) {
    let is_harmless = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{2028}' | '\u{202e}' | '\u{2066}' | '\u{e0041}')
    };
    for line in shown.lines() {
        assert!(line.chars().all(is_harmless), "{what}: {line:?}");
        assert!(!line.trim_start().starts_with("forged"), "{what}: {shown}");
    }
}

#[tokio::test]
async fn no_text_of_any_answer_reaches_the_terminal_as_it_is() {
    let start = Fake::start().await;
    let folder = std::env::temp_dir().join(format!("mirrorctl-hostile-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    for command in commands::all(&start, &folder).await {
        let arguments: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        let what = command.arguments.join(" ");
        let forms: &[&[&str]] = match arguments[0] {
            "plan" => &[&[], &["--output", "json"], &["--output", "markdown"]],
            _ => &[&[], &["--output", "json"]],
        };
        for form in forms {
            let fake = Fake::start().await;
            answer_all(&fake);
            let output = mirrorctl(&fake, &[&arguments[..], form].concat()).await;
            let (shown, errors) = (text(&output.stdout), text(&output.stderr));
            assert_harmless(&what, shown);
            assert_harmless(&what, errors);
            assert!(!errors.contains("the test has no answer"), "{what}: {errors}");
            assert!(!errors.contains("wrong"), "{what}: {errors}");
            assert_eq!(shown.is_empty(), !command.prints, "{what}: {shown}{errors}");
            if form.contains(&"json") {
                for line in shown.lines() {
                    let json: serde_json::Value =
                        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                    assert!(json.to_string().contains("forged") || !line.contains("forged"), "{line}");
                }
            }
        }
    }
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[tokio::test]
async fn programs_read_the_texts_as_they_were() {
    let fake = Fake::start().await;
    answer_all(&fake);
    let output = mirrorctl(&fake, &["tenant", "get", "a", "--output", "json"]).await;
    let tenant: serde_json::Value = serde_json::from_str(text(&output.stdout)).expect("JSON");
    assert_eq!(tenant["display_name"], TEXT);
}
