//! Requests that manage accounts' own credentials for Google.

use category_mirror_proto::v1::{self, credential_service_client::CredentialServiceClient};

use crate::{Client, Credentials, ReencryptedCredentials, VerifiedCredentials, names};

const COLLECTION: &str = "accounts";

impl Client {
    /// Sets or replaces an account's own credentials: an OAuth client and a refresh token. `Debug` of the request shows
    /// none of them.
    pub fn set_credentials(
        &self,
        account: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
        refresh_token: impl Into<String>,
    ) -> SetCredentials {
        let message = v1::SetCredentialsRequest {
            account: names::qualified(COLLECTION, account),
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            refresh_token: refresh_token.into(),
        };
        SetCredentials { client: self.clone(), message }
    }

    /// Gets the metadata of an account's own credentials, by the account's id or `accounts/{id}`.
    pub fn get_credentials(&self, account: impl Into<String>) -> GetCredentials {
        let message = v1::GetCredentialsRequest { account: names::qualified(COLLECTION, account) };
        GetCredentials { client: self.clone(), message }
    }

    /// Lists the metadata of all accounts' own credentials, by account.
    pub fn list_credentials(&self) -> ListCredentials {
        ListCredentials { client: self.clone(), message: v1::ListCredentialsRequest::default() }
    }

    /// Deletes an account's own credentials. From then on, the account uses the server's. Sent once, never retried.
    pub fn delete_credentials(&self, account: impl Into<String>) -> DeleteCredentials {
        let message = v1::DeleteCredentialsRequest { account: names::qualified(COLLECTION, account) };
        DeleteCredentials { client: self.clone(), message }
    }

    /// Tests an account's own credentials: the server requests an access token from Google.
    pub fn verify_credentials(&self, account: impl Into<String>) -> VerifyCredentials {
        let message = v1::VerifyCredentialsRequest { account: names::qualified(COLLECTION, account) };
        VerifyCredentials { client: self.clone(), message }
    }

    /// Re-encrypts, with the newest key, all credentials that are encrypted with another key.
    pub fn reencrypt_credentials(&self) -> ReencryptCredentials {
        ReencryptCredentials { client: self.clone(), message: v1::ReencryptCredentialsRequest {} }
    }
}

request! {
    /// Request of [`Client::set_credentials`].
    SetCredentials(v1::SetCredentialsRequest) -> Credentials {
        CredentialServiceClient.set_credentials, Idempotent,
        |a: v1::SetCredentialsResponse| a.credentials.map(Credentials::from_wire)
    }
}

request! {
    /// Request of [`Client::get_credentials`].
    GetCredentials(v1::GetCredentialsRequest) -> Credentials {
        CredentialServiceClient.get_credentials, Idempotent,
        |a: v1::GetCredentialsResponse| a.credentials.map(Credentials::from_wire)
    }
}

list_request! {
    /// Request of [`Client::list_credentials`].
    ListCredentials(ListCredentialsRequest) -> Credentials { CredentialServiceClient.list_credentials, credentials }
}

request! {
    /// Request of [`Client::delete_credentials`].
    DeleteCredentials(v1::DeleteCredentialsRequest) -> () {
        CredentialServiceClient.delete_credentials, NonIdempotent, |_: v1::DeleteCredentialsResponse| Some(())
    }
}

request! {
    /// Request of [`Client::verify_credentials`].
    VerifyCredentials(v1::VerifyCredentialsRequest) -> VerifiedCredentials {
        CredentialServiceClient.verify_credentials, Idempotent, VerifiedCredentials::from_wire
    }
}

request! {
    /// Request of [`Client::reencrypt_credentials`].
    ReencryptCredentials(v1::ReencryptCredentialsRequest) -> ReencryptedCredentials {
        CredentialServiceClient.reencrypt_credentials, Idempotent, |a| Some(ReencryptedCredentials::from_wire(a))
    }
}
