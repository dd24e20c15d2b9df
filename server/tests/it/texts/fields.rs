//! Every text field of every request, as the descriptors have them: none of them takes what a terminal would execute or a reader not see.

use category_mirror::domain::Role;
use category_mirror_proto::v1;
use prost::Message;
use tonic::{Request, client::Grpc};

use super::raw::{TextField, text_fields};
use crate::{
    replica::idle,
    service::{self, Service},
    wire::{Raw, channel, contents, refusal},
};

/// One of each kind: control, soft hyphen, letter mark, zero width, separators, override, isolate, joiner, filler, mark of byte order, tag.
const FORBIDDEN: [char; 15] = [
    '\0',
    '\n',
    '\u{9b}',
    '\u{ad}',
    '\u{61c}',
    '\u{200b}',
    '\u{2028}',
    '\u{2029}',
    '\u{202e}',
    '\u{2066}',
    '\u{2060}',
    '\u{3164}',
    '\u{feff}',
    '\u{e0001}',
    '\u{e0041}',
];

/// The fields that a request with `text` in `field` is refused for.
async fn refused_for(service: &Service, token: &str, field: &TextField, text: &str) -> Vec<String> {
    let mut request = Request::new(field.request(text));
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("ASCII"));
    let path = format!("/{}", field.method).parse().expect("a path");
    let mut grpc = Grpc::new(channel(service));
    grpc.ready().await.expect("connected");
    let answer = grpc.unary::<Vec<u8>, Vec<u8>, _>(request, path, Raw).await;
    // An import is answered, and says of each item what is wrong with it.
    let failures = match &answer {
        Ok(answer) if field.method.ends_with("/ImportTenants") => {
            v1::ImportTenantsResponse::decode(&answer.get_ref()[..]).expect("an answer").failures
        }
        Ok(answer) if field.method.ends_with("/ImportPlatformCategories") => {
            v1::ImportPlatformCategoriesResponse::decode(&answer.get_ref()[..]).expect("an answer").failures
        }
        _ => {
            let refused = refusal(answer);
            // The one field whose error has a reason of its own.
            let is_token = refused.reason == "INVALID_PAGE_TOKEN";
            return if is_token { vec!["page_token".to_owned()] } else { refused.fields };
        }
    };
    failures.into_iter().flat_map(|failure| failure.violations).map(|violation| violation.field).collect()
}

/// Refused before the field is read, whatever it holds: a token, because it belongs to the filters; a half of a location, because the other
/// half is missing.
fn is_moot(field: &TextField, named: &[String]) -> bool {
    let is_half = field.path.starts_with("tenant.gbp_") && named.iter().any(|violation| violation == "update_mask");
    !named.is_empty() && (field.path == "page_token" || is_half)
}

/// Whether a violation's path, such as `platform_category.regional_gbp_categories[US]`, is that of a field.
fn is_of(violation: &str, field: &TextField) -> bool {
    let named = violation.split('[').next().unwrap_or_default();
    // Items of an import are named without their list, or as one of it; of a map or a mask the whole is named.
    let path = field.path.replace("platform_categories.", "platform_category.");
    path == named
        || path.ends_with(&format!(".{named}"))
        || path.starts_with(&format!("{named}."))
        || path.contains(&format!(".{named}."))
}

#[tokio::test]
async fn no_text_field_takes_what_is_hidden() {
    let service = service::start_with(idle()).await;
    let token = service.token(Role::Admin, "tester", None);
    let before = contents(&service.pool).await;
    let fields = text_fields();
    assert!(fields.len() > 60, "{}", fields.len());
    let mut taken = Vec::new();
    for field in &fields {
        for character in FORBIDDEN {
            // Valid in a name, a slug and an id but for the one character.
            let text = format!("a{character}b");
            let named = refused_for(&service, &token, field, &text).await;
            if !is_moot(field, &named) && !named.iter().any(|violation| is_of(violation, field)) {
                taken.push(format!("{} {} U+{:04X}: {named:?}", field.method, field.path, u32::from(character)));
            }
        }
    }
    assert!(taken.is_empty(), "{taken:#?}");
    assert_eq!(contents(&service.pool).await, before);
}
