//! The ways of one server to PostgreSQL, in which it can be struck alone: they can break every connection, refuse new ones, hold answers
//! back, and fall silent.

use std::{net::SocketAddr, sync::Arc};

use crate::{database::Database, pooler::Pooler, support::name::Name};

/// The ways of one server.
pub(crate) struct Proxy {
    direct: Arc<Name>,
    /// To the pooler, where calls and runs go through one.
    pooled: Option<Name>,
}

impl Proxy {
    /// Makes them; with a pooler the second one leads there.
    pub(crate) async fn start(database: &Database, pooler: Option<&Pooler>) -> Self {
        let pooled = match pooler {
            Some(pooler) => Some(Name::of(pooler.socket()).await),
            None => None,
        };
        Self { direct: database.way().await, pooled }
    }

    /// Where the way listens that keeps sessions.
    pub(crate) fn direct(&self) -> SocketAddr {
        self.direct.address()
    }

    /// Where the way through the pooler listens, where there is one.
    pub(crate) fn pooled(&self) -> Option<SocketAddr> {
        self.pooled.as_ref().map(Name::address)
    }

    /// Breaks every connection; with `is_closed`, new ones break too until [`Proxy::open`].
    pub(crate) fn cut(&self, is_closed: bool) {
        self.each(|name| {
            name.way.send_modify(|way| way.is_closed = is_closed);
            name.break_all();
        });
    }

    /// Lets connections through again.
    pub(crate) fn open(&self) {
        self.each(|name| name.way.send_modify(|way| way.is_closed = false));
    }

    /// Makes the host vanish without a word, or come back: nothing passes either way, and no connection ends.
    pub(crate) fn silence(&self, is_silent: bool) {
        self.each(|name| name.silence(is_silent));
    }

    /// Holds back the answers of PostgreSQL, or lets them go. What PostgreSQL answers after this call does not arrive before they go.
    pub(crate) fn hold(&self, is_holding: bool) {
        self.each(|name| name.way.send_modify(|way| way.is_holding = is_holding));
    }

    fn each(&self, strike: impl Fn(&Name)) {
        std::iter::once(&*self.direct).chain(&self.pooled).for_each(strike);
    }
}
