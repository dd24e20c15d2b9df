//! A stream of snapshots that reconnects.

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

/// Maximum number of runs that are read concurrently after a reconnect.
const MAX_CONCURRENT_REREADS: usize = 8;

/// Streams the snapshots of the resource `name`.
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
    /// What has been yielded, and therefore which snapshots are new.
    state: WatchState,
    connection: Option<Connection>,
    /// Snapshots that have not been checked yet, oldest first.
    arrived: VecDeque<Run>,
    /// Failed attempts since the last message.
    failures: u32,
    /// Whether any connection has received a message. If so, reconnecting may take longer.
    was_up: bool,
    ended: bool,
    /// The stream has ended.
    is_over: bool,
}

struct Connection {
    stream: Streaming<StreamRunUpdatesResponse>,
    /// Whether this connection has received a message.
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

    /// Connects, or receives one message.
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
        // A heartbeat, or a message of a newer server, only shows that the stream is alive, which has been recorded
        // above.
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
        // The stream is opened before the runs are read: a change in between arrives twice and is dropped once, so none
        // is missed.
        self.reread().await?;
        self.connection = Some(Connection { stream, has_received: false });
        Ok(())
    }

    /// Reads the runs that may have ended while there was no connection. The server only streams live runs.
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

    /// Handles a regular end of the stream: the server is shutting down, or the one run that is watched has ended.
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

    /// Waits before the next connection, or returns the error if the client must not reconnect.
    async fn wait_after(&mut self, error: Error) -> Result<(), Error> {
        let connection = self.connection.take();
        // A regular end, which is not counted: the server closes each connection at its maximum age.
        if connection.is_some() && error.reason() == Some("CONNECTION_EXPIRED") {
            return Ok(());
        }
        let worth_it = match error.code() {
            // Proxies and broken connections report a cut stream with one of the last three codes.
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => true,
            // The token expired on a working stream, so the provider is asked for a new one.
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
