//! Requests. Required values are arguments of the client's method, optional ones are methods of the request, and `send`
//! sends it.
//!
//! The client may send these requests twice: reads; writes that set a state (update, set, import, cancel); and requests
//! for runs, because of their request id. It does not repeat create and delete: the second call would fail because the
//! first one has taken effect. A call that the server refused because of its rate has not begun. It is
//! sent again even if it is not idempotent, after the time that the server sets.

/// Metadata that every request can carry. The request has its own client, so that all calls that it makes carry the
/// metadata.
macro_rules! carries_metadata {
    ($name:ident) => {
        impl $name {
            /// Sends this metadata with the request. The name may have letters, digits, `-`, `_` and `.`; the value
            /// visible ASCII characters and spaces. With a name reserved by HTTP or gRPC, or `authorization`, sending
            /// fails with `INVALID_ARGUMENT`.
            pub fn metadata(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
                self.client.metadata_mut().set(name.as_ref(), value.as_ref());
                self
            }

            /// Makes the request part of this trace, such as `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`;
            /// see [W3C Trace Context](https://www.w3.org/TR/trace-context/). A run keeps it: its attempts and their
            /// requests to Google are part of the trace.
            pub fn traceparent(mut self, traceparent: impl AsRef<str>) -> Self {
                self.client.metadata_mut().set_traceparent(traceparent.as_ref());
                self
            }
        }
    };
}

/// A request with one response: its struct, and how it is sent.
macro_rules! request {
    ($(#[$doc:meta])* $name:ident($message:ty) -> $answer:ty {
        $service:ident.$rpc:ident, $idempotency:ident, $take:expr
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        #[must_use = "a request does nothing until it is sent"]
        pub struct $name {
            client: $crate::Client,
            message: $message,
        }

        carries_metadata!($name);

        impl $name {
            /// Sends the request.
            ///
            /// # Errors
            ///
            /// The server's error, or why there was no response.
            pub async fn send(self) -> Result<$answer, $crate::Error> {
                let rpc = |channel, request| async move {
                    let service = $service::new(channel);
                    service.max_decoding_message_size($crate::client::MAX_RESPONSE_BYTES).$rpc(request).await
                };
                let answer = self.client.call($crate::client::Idempotency::$idempotency, self.message, rpc).await?;
                let answer: Option<$answer> = $take(answer);
                answer.ok_or_else(|| {
                    $crate::Error::new($crate::Code::Internal, concat!("an empty answer to ", stringify!($rpc)))
                })
            }
        }
    };
}

/// A request for a list: its struct, its page size and its stream.
macro_rules! list_request {
    ($(#[$doc:meta])* $name:ident($message:ident) -> $item:ident { $service:ident.$rpc:ident, $items:ident }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        #[must_use = "a request does nothing until it is sent"]
        pub struct $name {
            client: $crate::Client,
            message: v1::$message,
        }

        carries_metadata!($name);

        impl $name {
            /// Sets the number of items per page, at most 1000. Default: 50. The stream always contains all pages.
            pub fn page_size(mut self, items: u16) -> Self {
                self.message.page_size = items.into();
                self
            }

            /// Returns the items. Each page is fetched when it is needed.
            pub fn send(self) -> $crate::Items<$item> {
                let client = self.client;
                $crate::items::pages(self.message, move |page| {
                    let client = client.clone();
                    async move {
                        let rpc = |channel, request| async move {
                            let service = $service::new(channel);
                            service.max_decoding_message_size($crate::client::MAX_RESPONSE_BYTES).$rpc(request).await
                        };
                        let answer = client.call($crate::client::Idempotency::Idempotent, page, rpc).await?;
                        let items = answer.$items.into_iter().map($item::from_wire).collect();
                        Ok((items, answer.next_page_token))
                    }
                })
            }
        }

        impl $crate::items::Paged for v1::$message {
            fn page_token(&mut self) -> &mut String {
                &mut self.page_token
            }
        }
    };
}

mod batch;
mod credentials;
mod flag;
mod import;
mod logs;
mod platform_category;
mod run;
mod stats;
mod taxonomy;
mod tenant;
mod tenant_categories;
mod tenant_sync;
mod version;
mod watch;

pub use batch::{CancelBatch, GetBatch, ListBatches, MirrorBatch};
pub use credentials::{
    DeleteCredentials, GetCredentials, ListCredentials, ReencryptCredentials, SetCredentials, VerifyCredentials,
};
pub use flag::{EvaluateFlag, GetFlag, ListFlagChanges, ListFlags, UpdateFlag};
pub use import::{ImportPlatformCategories, ImportTenants, PlatformCategoryImport, TenantImport};
pub use logs::ListSyncLogs;
pub use platform_category::{
    CreatePlatformCategory, DeletePlatformCategory, GetPlatformCategory, ListPlatformCategories, UpdatePlatformCategory,
};
pub use run::{CancelRun, GetLastRun, GetRun, Mirror, RevertRun};
pub use stats::GetSyncStats;
pub use taxonomy::{ListMappingSuggestions, ListTaxonomyVersions, RefreshTaxonomy, SearchCategories};
pub use tenant::{CreateTenant, DeleteTenant, GetTenant, ListTenants, UpdateTenant};
pub use tenant_categories::{GetTenantCategories, SetTenantCategories};
pub use tenant_sync::{DecideTenantSync, GetTenantSync, ListTenantSyncs};
pub use version::GetServerVersion;
pub use watch::{WatchBatch, WatchRun, WatchRuns};
