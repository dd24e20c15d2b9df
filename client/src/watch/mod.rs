//! A stream of snapshots that outlives its connections.

mod state;

use std::collections::VecDeque;

use category_mirror_proto::v1::{
    StreamRunUpdatesRequest, StreamRunUpdatesResponse, category_mirror_service_client::CategoryMirrorServiceClient,
    stream_run_updates_response::Update,
};
use futures::{StreamExt, stream};
use tonic::Streaming;

pub(crate) use self::state::WatchState;
use crate::{
    Client, Code, Error, Items, Run,
    client::{MAX_RESPONSE_BYTES, within},
};

/// How many runs are read at once after a reconnect.
const MAX_CONCURRENT_REREADS: usize = 8;

/// The snapshots of what `name` names.
pub(crate) fn watch(client: Client, name: String, state: WatchState) -> Items<Run> {
    let watch = Watch {
        client,
        name,
        state,
        connection: None,
        arrived: VecDeque::new(),
        failures: 0,
        was_up: false,
        ended: false,
        is_over: false,
    };
    Items::new(stream::unfold(watch, Watch::next))
}

struct Watch {
    client: Client,
    name: String,
    /// What was yielded, and so what is news.
    state: WatchState,
    connection: Option<Connection>,
    /// Snapshots to look at, oldest first.
    arrived: VecDeque<Run>,
    /// Since the last message.
    failures: u32,
    /// Whether any connection ever brought a message: then the server is worth a longer wait.
    was_up: bool,
    ended: bool,
    /// Nothing arrives any more.
    is_over: bool,
}

struct Connection {
    stream: Streaming<StreamRunUpdatesResponse>,
    /// Whether this connection brought a message.
    has_received: bool,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<Run, Error>, Self)> {
        loop {
            if let Some(run) = self.arrived.pop_front() {
                self.ended = self.state.ends_with(&run);
                if self.state.is_news(&run) {
                    return Some((Ok(run), self));
                }
            } else if self.ended || self.is_over {
                return None;
            } else if let Err(error) = self.step().await
                && let Err(last) = self.wait_after(error).await
            {
                self.ended = true;
                return Some((Err(last), self));
            }
        }
    }

    /// Connects, or takes one message.
    async fn step(&mut self) -> Result<(), Error> {
        let silence = self.client.settings().heartbeat_timeout;
        let Some(connection) = &mut self.connection else { return self.connect().await };
        let Ok(message) = tokio::time::timeout(silence, connection.stream.message()).await else {
            return Err(Error::new(Code::Unavailable, format!("the stream was silent for {silence:.1?}")));
        };
        let Some(message) = message.map_err(|status| Error::from_status(&status))? else {
            return self.close().await;
        };
        connection.has_received = true;
        self.was_up = true;
        self.failures = 0;
        // A heartbeat, or what a newer server says, shows that the stream is alive; so much was noted above.
        if let Some(Update::Run(run)) = message.update {
            self.arrived.push_back(Run::from_wire(*run));
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), Error> {
        let message = StreamRunUpdatesRequest { name: self.name.clone(), after_revision: self.state.after_revision() };
        let open = async {
            let request = self.client.request(message).await?;
            let service = CategoryMirrorServiceClient::new(self.client.channel());
            let mut service = service.max_decoding_message_size(MAX_RESPONSE_BYTES);
            service.stream_run_updates(request).await.map_err(|status| Error::from_status(&status))
        };
        let stream = within(self.client.settings().timeout, open).await?.into_inner();
        // The stream is open before the runs are read: what changes in between comes twice and is dropped once, never missed.
        self.reread().await?;
        self.connection = Some(Connection { stream, has_received: false });
        Ok(())
    }

    /// Reads the runs that may have ended while nobody looked; the server sends only live ones.
    async fn reread(&mut self) -> Result<(), Error> {
        let names: Vec<String> = self.state.live_names();
        let reads = names.into_iter().map(|name| {
            let client = self.client.clone();
            async move { (client.get_run(name.clone()).send().await, name) }
        });
        let mut reads = stream::iter(reads).buffer_unordered(MAX_CONCURRENT_REREADS);
        while let Some((read, name)) = reads.next().await {
            match read {
                Ok(run) => self.arrived.push_back(run),
                Err(error) if error.is_not_found() => self.state.forget(&name),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The server ended the stream in good order: it stops, or one run has no more to tell.
    async fn close(&mut self) -> Result<(), Error> {
        if let WatchState::One { .. } = self.state {
            let run = self.client.get_run(self.name.clone()).send().await?;
            let is_terminal = run.is_terminal();
            self.arrived.push_back(run);
            if is_terminal {
                return Ok(());
            }
        }
        if self.state.is_batch() && self.client.get_batch(self.name.clone()).send().await?.is_terminal() {
            self.reread().await?;
            self.is_over = true;
            return Ok(());
        }
        Err(Error::new(Code::Unavailable, "the server ended the stream"))
    }

    /// Waits before the next connection, or gives the error back when there is to be none.
    async fn wait_after(&mut self, error: Error) -> Result<(), Error> {
        let connection = self.connection.take();
        // In good order, and however often it happens: the server asks each connection of a certain age to make room.
        if connection.is_some() && error.reason() == Some("CONNECTION_EXPIRED") {
            return Ok(());
        }
        let worth_it = match error.code() {
            // The last three are what proxies and broken connections make of a stream that was cut.
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => true,
            // The token ran out under a working stream: the provider has a new one.
            Code::Unauthenticated => connection.is_some_and(|connection| connection.has_received),
            _ if error.asks_to_come_back() => true,
            _ => false,
        };
        self.failures += 1;
        let settings = self.client.settings();
        let policy = if self.was_up { settings.reconnect } else { settings.retry };
        match policy.delay(self.failures, error.retry_after()) {
            Some(delay) if worth_it => tokio::time::sleep(delay).await,
            _ => return Err(error),
        }
        Ok(())
    }
}
