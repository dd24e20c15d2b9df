//! Asking which version of the server answers.

use category_mirror_proto::v1::{ListFlagsRequest, flag_service_client::FlagServiceClient};
use tonic::{Request, Response, transport::Channel};

use crate::{Client, Error, ServerVersion, client::Idempotency};

/// The metadata of every answer to an admitted call: a version, and after a `+` the commit, where the build was told.
const HEADER: &str = "category-mirror-version";

impl Client {
    /// Gets the version of the server that answers.
    pub fn get_server_version(&self) -> GetServerVersion {
        GetServerVersion { client: self.clone() }
    }
}

/// Asks for the version of the server; see [`Client::get_server_version`].
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct GetServerVersion {
    client: Client,
}

carries_metadata!(GetServerVersion);

impl GetServerVersion {
    /// Sends it. `None`: the server does not send its version.
    ///
    /// # Errors
    ///
    /// What the server answered, or why there is no answer.
    pub async fn send(self) -> Result<Option<ServerVersion>, Error> {
        // The cheapest call that every role may make. Its answer is of no interest, only what comes with it.
        let message = ListFlagsRequest { page_size: 1, ..Default::default() };
        let rpc = |channel: Channel, request: Request<ListFlagsRequest>| async move {
            let answer = FlagServiceClient::new(channel).list_flags(request).await?;
            let version = answer.metadata().get(HEADER).and_then(|value| value.to_str().ok());
            Ok(Response::new(version.map(ServerVersion::from_header)))
        };
        self.client.call(Idempotency::Idempotent, message, rpc).await
    }
}
