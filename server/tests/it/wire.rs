//! The service as a foreign client meets it: raw messages, raw statuses, and a look at every table.

use category_mirror::domain::Role;
use category_mirror_proto::v1::{
    category_mirror_service_client::CategoryMirrorServiceClient, category_service_client::CategoryServiceClient,
    credential_service_client::CredentialServiceClient, flag_service_client::FlagServiceClient,
    tenant_service_client::TenantServiceClient,
};
use prost::bytes::{Buf, BufMut};
use sqlx::{AssertSqlSafe, PgPool};
use tonic::{
    Code, Request, Response, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

use super::service::Service;

/// Puts a token, or whatever a test takes for one, into `authorization`.
#[derive(Clone)]
pub(crate) struct Authorization(Option<MetadataValue<Ascii>>);

impl Interceptor for Authorization {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

type Caller = InterceptedService<Channel, Authorization>;

/// The generated clients, which send what they are told.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) mirror: CategoryMirrorServiceClient<Caller>,
    pub(crate) tenants: TenantServiceClient<Caller>,
    pub(crate) categories: CategoryServiceClient<Caller>,
    pub(crate) credentials: CredentialServiceClient<Caller>,
    pub(crate) flags: FlagServiceClient<Caller>,
}

impl Wire {
    /// With an administrator's token.
    pub(crate) fn admin(service: &Service) -> Self {
        Self::with_token(service, &service.token(Role::Admin, "tester", None))
    }

    /// With this token.
    pub(crate) fn with_token(service: &Service, token: &str) -> Self {
        Self::with_header(service, Some(&format!("Bearer {token}")))
    }

    /// With this `authorization` header, or none.
    pub(crate) fn with_header(service: &Service, value: Option<&str>) -> Self {
        let authorization = Authorization(value.map(|value| value.parse().expect("a header value")));
        let caller = InterceptedService::new(channel(service), authorization);
        Self {
            mirror: CategoryMirrorServiceClient::new(caller.clone()),
            tenants: TenantServiceClient::new(caller.clone()),
            categories: CategoryServiceClient::new(caller.clone()),
            credentials: CredentialServiceClient::new(caller.clone()),
            flags: FlagServiceClient::new(caller),
        }
    }
}

/// A connection without any token.
pub(crate) fn channel(service: &Service) -> Channel {
    Endpoint::from_shared(format!("http://{}", service.address)).expect("a URL").connect_lazy()
}

/// What a call was refused with.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) reason: String,
    /// The fields of all violations.
    pub(crate) fields: Vec<String>,
    pub(crate) status: Status,
}

/// Expects a refusal with our details.
pub(crate) fn refusal<T>(answer: Result<Response<T>, Status>) -> Refusal {
    let Err(status) = answer else { panic!("the call was carried out") };
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "categorymirror.v1");
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
    let fields = violations.iter().map(|violation| violation.field.clone()).collect();
    Refusal { code: status.code(), reason: info.reason.clone(), fields, status }
}

/// Every row of every table, as one text a table: equal before and after means that nothing was stored or changed. The history's
/// partitions, which come by themselves, are in it as one table.
pub(crate) async fn contents(pool: &PgPool) -> Vec<(String, Option<String>)> {
    let tables = "select relname::text from pg_class
                   where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
                   order by 1";
    let mut contents = Vec::new();
    for table in sqlx::query_scalar::<_, String>(tables).fetch_all(pool).await.expect("tables") {
        let rows = format!("select string_agg(t::text, e'\\n' order by t::text) from {table} t");
        let rows = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(pool).await.expect("rows");
        contents.push((table, rows));
    }
    assert!(contents.len() >= 5, "{contents:?}");
    contents
}

/// Sends and receives messages as they are.
#[derive(Clone, Copy, Default)]
pub(crate) struct Raw;

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
