//! Keeping accounts' own credentials for Google.

use category_mirror_proto::v1::{self, credential_service_client::CredentialServiceClient};

use crate::{Client, Credentials, ReencryptedCredentials, VerifiedCredentials, names};

const COLLECTION: &str = "accounts";

impl Client {
    /// Sets an account's own credentials, an OAuth client and a refresh token, in place of those that it has. `Debug` shows none of them.
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

    /// Gets what may be said of an account's own credentials, by the account's id or `accounts/{id}`.
    pub fn get_credentials(&self, account: impl Into<String>) -> GetCredentials {
        let message = v1::GetCredentialsRequest { account: names::qualified(COLLECTION, account) };
        GetCredentials { client: self.clone(), message }
    }

    /// Lists what may be said of all of them, by account.
    pub fn list_credentials(&self) -> ListCredentials {
        ListCredentials { client: self.clone(), message: v1::ListCredentialsRequest::default() }
    }

    /// Deletes an account's own credentials; it is reached with the server's from then on. Sent once, never retried.
    pub fn delete_credentials(&self, account: impl Into<String>) -> DeleteCredentials {
        let message = v1::DeleteCredentialsRequest { account: names::qualified(COLLECTION, account) };
        DeleteCredentials { client: self.clone(), message }
    }

    /// Has Google asked now whether it takes an account's own credentials.
    pub fn verify_credentials(&self, account: impl Into<String>) -> VerifyCredentials {
        let message = v1::VerifyCredentialsRequest { account: names::qualified(COLLECTION, account) };
        VerifyCredentials { client: self.clone(), message }
    }

    /// Has everything encrypted with the newest key that is encrypted with another.
    pub fn reencrypt_credentials(&self) -> ReencryptCredentials {
        ReencryptCredentials { client: self.clone(), message: v1::ReencryptCredentialsRequest {} }
    }
}

request! {
    /// Asks to set an account's own credentials; see [`Client::set_credentials`].
    SetCredentials(v1::SetCredentialsRequest) -> Credentials {
        CredentialServiceClient.set_credentials, Idempotent,
        |a: v1::SetCredentialsResponse| a.credentials.map(Credentials::from_wire)
    }
}

request! {
    /// Asks about an account's own credentials; see [`Client::get_credentials`].
    GetCredentials(v1::GetCredentialsRequest) -> Credentials {
        CredentialServiceClient.get_credentials, Idempotent,
        |a: v1::GetCredentialsResponse| a.credentials.map(Credentials::from_wire)
    }
}

list_request! {
    /// Asks about all of them; see [`Client::list_credentials`].
    ListCredentials(ListCredentialsRequest) -> Credentials { CredentialServiceClient.list_credentials, credentials }
}

request! {
    /// Asks to delete an account's own credentials; see [`Client::delete_credentials`].
    DeleteCredentials(v1::DeleteCredentialsRequest) -> () {
        CredentialServiceClient.delete_credentials, NonIdempotent, |_: v1::DeleteCredentialsResponse| Some(())
    }
}

request! {
    /// Asks to try an account's own credentials; see [`Client::verify_credentials`].
    VerifyCredentials(v1::VerifyCredentialsRequest) -> VerifiedCredentials {
        CredentialServiceClient.verify_credentials, Idempotent, VerifiedCredentials::from_wire
    }
}

request! {
    /// Asks to encrypt them with the newest key; see [`Client::reencrypt_credentials`].
    ReencryptCredentials(v1::ReencryptCredentialsRequest) -> ReencryptedCredentials {
        CredentialServiceClient.reencrypt_credentials, Idempotent, |a| Some(ReencryptedCredentials::from_wire(a))
    }
}
