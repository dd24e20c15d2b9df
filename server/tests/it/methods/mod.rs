//! Every method of the service, as reflection lists them: what holds for all of them is checked of all of them, so that a new method
//! without a line in the tables here fails these tests.

mod access;
mod expensive;
mod request_ids;

use category_mirror_proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tonic::{Code, Request, Status, client::Grpc};
use tonic_types::StatusExt;

use super::{
    service::Service,
    wire::{Raw, channel},
};

/// A method, as the protocol describes it.
#[derive(Debug, Clone)]
struct Method {
    /// Its name alone.
    name: String,
    /// `/package.Service/Method`.
    path: String,
    /// The comment above it.
    comment: String,
    /// The fields of its request.
    fields: Vec<String>,
}

/// All methods of the service's own package.
fn methods() -> Vec<Method> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("a descriptor set");
    let ours = |file: &&FileDescriptorProto| file.package() == "categorymirror.v1";
    let fields = |name: &str| {
        let messages = || set.file.iter().filter(ours).flat_map(|file| &file.message_type);
        let input = messages().find(|message| name == format!(".categorymirror.v1.{}", message.name()));
        input.expect(name).field.iter().map(|field| field.name().to_owned()).collect()
    };
    let mut methods = Vec::new();
    for file in set.file.iter().filter(ours) {
        for (nth, service) in file.service.iter().enumerate() {
            for (position, method) in service.method.iter().enumerate() {
                // `FileDescriptorProto.service` is field 6, `ServiceDescriptorProto.method` field 2.
                let path = [6, nth, 2, position].map(|part| i32::try_from(part).expect("few"));
                let info = file.source_code_info.as_ref().expect("comments");
                let location = info.location.iter().find(|location| location.path == path).expect("a location");
                methods.push(Method {
                    name: method.name().to_owned(),
                    path: format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                    comment: location.leading_comments().split_whitespace().collect::<Vec<_>>().join(" "),
                    fields: fields(method.input_type()),
                });
            }
        }
    }
    assert!(methods.len() > 40, "{methods:?}");
    methods
}

/// The path of a method.
fn path(name: &str) -> String {
    let method = methods().into_iter().find(|method| method.name == name);
    method.unwrap_or_else(|| panic!("there is no method {name}")).path
}

/// Sends an encoded message and waits for the first message of the answer.
async fn call(service: &Service, path: &str, token: Option<&str>, message: Vec<u8>) -> Result<(), Status> {
    let mut client = Grpc::new(channel(service));
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header value"));
    }
    // A method with one answer is a stream of one message.
    let answer = client.server_streaming(request, path.parse().expect("a path"), Raw).await?;
    let mut answers = answer.into_inner();
    answers.message().await?.map(drop).ok_or_else(|| Status::new(Code::DataLoss, "no message"))
}

/// The reason of a refusal; empty where it has none.
fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}
