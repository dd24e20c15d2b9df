//! A server that answers what it is told to, remembers what it was asked, and can lose its connections.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use category_mirror_client::{Client, ClientBuilder, RetryPolicy};
use category_mirror_proto::v1::{
    self, batch_service_server as batch, category_mirror_service_server as mirror, category_service_server as category,
    credential_service_server as credential, flag_service_server as flag, run::State,
    stream_run_updates_response::Update, tenant_service_server as tenant,
};
use futures::{StreamExt, stream, stream::BoxStream};
use prost::Message;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// What was asked, and in whose name.
pub(crate) struct Asked<Q> {
    pub(crate) message: Q,
    pub(crate) authorization: Option<String>,
    pub(crate) timeout: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) tag: Option<String>,
}

/// One method of the fake.
pub(crate) struct Method<Q, R> {
    answers: Mutex<VecDeque<Result<R, Status>>>,
    asked: Mutex<Vec<Asked<Q>>>,
}

impl<Q, R> Default for Method<Q, R> {
    fn default() -> Self {
        Self { answers: Mutex::default(), asked: Mutex::default() }
    }
}

impl<Q, R> Method<Q, R> {
    /// The next answer, after those that are waiting.
    pub(crate) fn will(&self, answer: Result<R, Status>) -> &Self {
        lock(&self.answers).push_back(answer);
        self
    }

    pub(crate) fn asked(&self) -> MutexGuard<'_, Vec<Asked<Q>>> {
        lock(&self.asked)
    }

    fn answer(&self, request: Request<Q>) -> Result<R, Status> {
        let header = |name| Some(request.metadata().get(name)?.to_str().expect("ASCII").to_owned());
        let (authorization, timeout) = (header("authorization"), header("grpc-timeout"));
        let (traceparent, tag) = (header("traceparent"), header("x-tag"));
        self.asked().push(Asked { message: request.into_inner(), authorization, timeout, traceparent, tag });
        lock(&self.answers).pop_front().unwrap_or_else(|| Err(Status::internal("the test has no answer for this")))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it holds this")
}

type Updates = BoxStream<'static, Result<v1::StreamRunUpdatesResponse, Status>>;

/// An answer with the version that the server sends beside it.
fn versioned<T>(answer: T) -> Response<T> {
    let mut response = Response::new(answer);
    response.metadata_mut().insert("category-mirror-version", "9.8.7+c0ffee".parse().expect("ASCII"));
    response
}

/// A field for each method, and the services' traits on top of them.
macro_rules! services {
    ($($service:path { $($method:ident: $request:ident => $response:ident,)+ $(+ $extra:item)* })+) => {
        /// The methods, by their names.
        #[derive(Default)]
        pub(crate) struct Methods {
            $($(pub(crate) $method: Method<v1::$request, v1::$response>,)+)+
            pub(crate) stream_run_updates: Method<v1::StreamRunUpdatesRequest, Updates>,
        }

        impl Methods {
            /// The next answer of each method, whose stream is left alone: what `make` makes of the name of its message.
            pub(crate) fn all_will(&self, make: impl Fn(&str) -> Vec<u8>) {
                $($(
                    let bytes = make(stringify!($response));
                    self.$method.will(Ok(v1::$response::decode(&bytes[..]).expect("a message")));
                )+)+
            }
        }

        $(
            #[tonic::async_trait]
            impl $service for Answers {
                $(async fn $method(&self, request: Request<v1::$request>) -> Result<Response<v1::$response>, Status> {
                    self.0.$method.answer(request).map(versioned)
                })+
                $($extra)*
            }
        )+
    };
}

#[derive(Clone)]
struct Answers(Arc<Methods>);

services! {
    mirror::CategoryMirrorService {
        mirror_categories: MirrorCategoriesRequest => MirrorCategoriesResponse,
        get_run: GetRunRequest => GetRunResponse,
        get_last_run: GetLastRunRequest => GetLastRunResponse,
        cancel_run: CancelRunRequest => CancelRunResponse,
        revert_run: RevertRunRequest => RevertRunResponse,
        list_sync_logs: ListSyncLogsRequest => ListSyncLogsResponse,
        get_sync_stats: GetSyncStatsRequest => GetSyncStatsResponse,
        + type StreamRunUpdatesStream = Updates;
        + async fn stream_run_updates(&self, request: Request<v1::StreamRunUpdatesRequest>) -> Result<Response<Updates>, Status> {
            self.0.stream_run_updates.answer(request).map(Response::new)
        }
    }
    batch::BatchService {
        get_batch: GetBatchRequest => GetBatchResponse,
        list_batches: ListBatchesRequest => ListBatchesResponse,
        cancel_batch: CancelBatchRequest => CancelBatchResponse,
    }
    tenant::TenantService {
        create_tenant: CreateTenantRequest => CreateTenantResponse,
        get_tenant: GetTenantRequest => GetTenantResponse,
        list_tenants: ListTenantsRequest => ListTenantsResponse,
        update_tenant: UpdateTenantRequest => UpdateTenantResponse,
        delete_tenant: DeleteTenantRequest => DeleteTenantResponse,
        set_tenant_categories: SetTenantCategoriesRequest => SetTenantCategoriesResponse,
        get_tenant_categories: GetTenantCategoriesRequest => GetTenantCategoriesResponse,
        import_tenants: ImportTenantsRequest => ImportTenantsResponse,
        get_tenant_sync: GetTenantSyncRequest => GetTenantSyncResponse,
        list_tenant_syncs: ListTenantSyncsRequest => ListTenantSyncsResponse,
        decide_tenant_sync: DecideTenantSyncRequest => DecideTenantSyncResponse,
    }
    category::CategoryService {
        create_platform_category: CreatePlatformCategoryRequest => CreatePlatformCategoryResponse,
        get_platform_category: GetPlatformCategoryRequest => GetPlatformCategoryResponse,
        list_platform_categories: ListPlatformCategoriesRequest => ListPlatformCategoriesResponse,
        update_platform_category: UpdatePlatformCategoryRequest => UpdatePlatformCategoryResponse,
        delete_platform_category: DeletePlatformCategoryRequest => DeletePlatformCategoryResponse,
        import_platform_categories: ImportPlatformCategoriesRequest => ImportPlatformCategoriesResponse,
        refresh_taxonomy: RefreshTaxonomyRequest => RefreshTaxonomyResponse,
        list_taxonomy_versions: ListTaxonomyVersionsRequest => ListTaxonomyVersionsResponse,
        search_categories: SearchCategoriesRequest => SearchCategoriesResponse,
        list_mapping_suggestions: ListMappingSuggestionsRequest => ListMappingSuggestionsResponse,
    }
    credential::CredentialService {
        set_credentials: SetCredentialsRequest => SetCredentialsResponse,
        get_credentials: GetCredentialsRequest => GetCredentialsResponse,
        list_credentials: ListCredentialsRequest => ListCredentialsResponse,
        delete_credentials: DeleteCredentialsRequest => DeleteCredentialsResponse,
        verify_credentials: VerifyCredentialsRequest => VerifyCredentialsResponse,
        reencrypt_credentials: ReencryptCredentialsRequest => ReencryptCredentialsResponse,
    }
    flag::FlagService {
        list_flags: ListFlagsRequest => ListFlagsResponse,
        get_flag: GetFlagRequest => GetFlagResponse,
        update_flag: UpdateFlagRequest => UpdateFlagResponse,
        evaluate_flag: EvaluateFlagRequest => EvaluateFlagResponse,
        list_flag_changes: ListFlagChangesRequest => ListFlagChangesResponse,
    }
}

/// The server, behind a relay whose connections the test can cut.
pub(crate) struct Fake {
    pub(crate) methods: Arc<Methods>,
    address: SocketAddr,
    connections: Arc<Mutex<JoinSet<()>>>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let methods = Arc::new(Methods::default());
        let answers = Answers(methods.clone());
        let behind = listener().await;
        let server = behind.local_addr().expect("bound");
        let services = tonic::transport::Server::builder()
            .add_service(mirror::CategoryMirrorServiceServer::new(answers.clone()))
            .add_service(batch::BatchServiceServer::new(answers.clone()))
            .add_service(tenant::TenantServiceServer::new(answers.clone()))
            .add_service(category::CategoryServiceServer::new(answers.clone()))
            .add_service(credential::CredentialServiceServer::new(answers.clone()))
            .add_service(flag::FlagServiceServer::new(answers));
        tokio::spawn(services.serve_with_incoming(TcpListenerStream::new(behind)));

        let front = listener().await;
        let address = front.local_addr().expect("bound");
        let connections = Arc::<Mutex<JoinSet<()>>>::default();
        let relayed = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = front.accept().await {
                lock(&relayed).spawn(async move {
                    let mut far = TcpStream::connect(server).await.expect("the server listens");
                    // However it ends, both sides are closed, and the test sees it from there.
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { methods, address, connections }
    }

    /// Breaks every connection, in the middle of whatever it carries.
    pub(crate) fn cut(&self) {
        lock(&self.connections).abort_all();
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client that retries at once: 3 tries a call, 5 a stream.
    pub(crate) fn builder(&self) -> ClientBuilder {
        let at_once = Duration::from_millis(1);
        Client::builder(self.endpoint())
            .retry(RetryPolicy::new(3, at_once, at_once))
            .reconnect(RetryPolicy::new(5, at_once, at_once))
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().expect("good settings")
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port")
}

/// A snapshot of a run.
pub(crate) fn run(id: &str, revision: i64, state: State) -> v1::Run {
    v1::Run { name: format!("tenants/t/runs/{id}"), revision, state: state.into(), ..Default::default() }
}

/// A server's refusal of too much at once.
pub(crate) fn too_much(wait: Duration) -> Status {
    let mut details = ErrorDetails::with_retry_info(Some(wait));
    details.set_error_info("RATE_LIMITED", "categorymirror.v1", [("limit".to_owned(), "1".to_owned())]);
    Status::with_error_details(tonic::Code::ResourceExhausted, "too much", details)
}

/// What ends a scripted stream.
pub(crate) enum Ending {
    /// In good order.
    Close,
    /// With a status.
    Fail(Status),
    /// Never: it falls silent.
    Silence,
}

/// A stream of these snapshots.
pub(crate) fn updates(runs: Vec<v1::Run>, ending: Ending) -> Updates {
    let message = |run| Ok(v1::StreamRunUpdatesResponse { update: Some(Update::Run(Box::new(run))) });
    let messages = stream::iter(runs.into_iter().map(message));
    match ending {
        Ending::Close => messages.boxed(),
        Ending::Fail(status) => messages.chain(stream::once(async { Err(status) })).boxed(),
        Ending::Silence => messages.chain(stream::pending()).boxed(),
    }
}
