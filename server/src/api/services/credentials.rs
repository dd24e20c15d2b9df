//! `CredentialService`.

use category_mirror_proto::v1::{self as proto, credential_service_server::CredentialService};
use tonic::{Request, Response, Status};

use crate::api::{
    decode::request,
    encode::{self, status::status},
};
use crate::{
    app::{App, PageRequest},
    domain::{AccountId, AuthorizedUser},
    error::{Error, Violations},
};

/// Maximum length of the client id and the client secret, in characters; Google's have 72 and 35.
const MAX_CLIENT: usize = 256;
/// Maximum length of the refresh token, in characters; Google guarantees at most 512.
const MAX_TOKEN: usize = 2048;

/// Implements the service with the use cases of the application.
pub(in crate::api) struct CredentialApi {
    app: App,
}

impl CredentialApi {
    pub(in crate::api) fn new(app: App) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl CredentialService for CredentialApi {
    async fn set_credentials(
        &self,
        request: Request<proto::SetCredentialsRequest>,
    ) -> Result<Response<proto::SetCredentialsResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let (account, user) = authorized_user(message).map_err(status)?;
        let shown = self.app.set_credentials(&caller, &account, &user).await.map_err(status)?;
        Ok(Response::new(proto::SetCredentialsResponse { credentials: Some(encode::credentials(shown)) }))
    }

    async fn get_credentials(
        &self,
        request: Request<proto::GetCredentialsRequest>,
    ) -> Result<Response<proto::GetCredentialsResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let account = account(&message.account).map_err(status)?;
        let shown = self.app.credentials(&caller, &account).await.map_err(status)?;
        Ok(Response::new(proto::GetCredentialsResponse { credentials: Some(encode::credentials(shown)) }))
    }

    async fn list_credentials(
        &self,
        request: Request<proto::ListCredentialsRequest>,
    ) -> Result<Response<proto::ListCredentialsResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let page = PageRequest::new(Violations::default(), message.page_size, &message.page_token, &["credentials"]);
        let page = self.app.list_credentials(&caller, page.map_err(status)?).await.map_err(status)?;
        Ok(Response::new(proto::ListCredentialsResponse {
            credentials: page.items.into_iter().map(encode::credentials).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn delete_credentials(
        &self,
        request: Request<proto::DeleteCredentialsRequest>,
    ) -> Result<Response<proto::DeleteCredentialsResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let account = account(&message.account).map_err(status)?;
        self.app.delete_credentials(&caller, &account).await.map_err(status)?;
        Ok(Response::new(proto::DeleteCredentialsResponse {}))
    }

    async fn verify_credentials(
        &self,
        request: Request<proto::VerifyCredentialsRequest>,
    ) -> Result<Response<proto::VerifyCredentialsResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let account = account(&message.account).map_err(status)?;
        let verified = self.app.verify_credentials(&caller, &account).await.map_err(status)?;
        Ok(Response::new(encode::verified(verified)))
    }

    async fn reencrypt_credentials(
        &self,
        request: Request<proto::ReencryptCredentialsRequest>,
    ) -> Result<Response<proto::ReencryptCredentialsResponse>, Status> {
        let (caller, _) = request::split(request).map_err(status)?;
        let done = self.app.reencrypt_credentials(&caller).await.map_err(status)?;
        let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        Ok(Response::new(proto::ReencryptCredentialsResponse {
            reencrypted_count: count(done.reencrypted),
            unreadable_count: count(done.unreadable),
        }))
    }
}

fn account(text: &str) -> Result<AccountId, Error> {
    let mut violations = Violations::default();
    let account = request::required(&mut violations, "account", text, AccountId::parse);
    violations.finish_with(account)
}

/// Parses credentials. Violations do not contain the values: a caller may have put a secret into the wrong field.
fn authorized_user(message: proto::SetCredentialsRequest) -> Result<(AccountId, AuthorizedUser), Error> {
    let proto::SetCredentialsRequest { account, client_id, client_secret, refresh_token } = message;
    let mut violations = Violations::default();
    let v = &mut violations;
    let account = request::required(v, "account", &account, AccountId::parse);
    for (field, text, longest) in [
        ("client_id", &client_id, MAX_CLIENT),
        ("client_secret", &client_secret, MAX_CLIENT),
        ("refresh_token", &refresh_token, MAX_TOKEN),
    ] {
        request::required(v, field, text, |text| visible(text, longest));
    }
    let account = violations.finish_with(account)?;
    let (client_secret, refresh_token) = (client_secret.into(), refresh_token.into());
    Ok((account, AuthorizedUser { client_id, client_secret, refresh_token }))
}

fn visible(text: &str, longest: usize) -> Result<(), String> {
    if text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(format!("must be at most {longest} visible ASCII characters, without spaces and line ends"))
    }
}
