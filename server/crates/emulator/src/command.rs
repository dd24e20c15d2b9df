//! The command: `gbp-emulator`, and `category-mirror gbp-emulator`.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;

use crate::Emulator;

/// Arguments of the emulator.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Address and port to listen on; with port 0, the system chooses one. The control interface accepts only calls from
    /// this machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8765")]
    pub listen: SocketAddr,
    /// Start with the demo's locations
    #[arg(long)]
    pub seed_demo: bool,
}

/// Serves until `shutdown` is ready. The first line on stdout contains the base URL.
///
/// # Errors
/// If the address cannot be bound, or stdout cannot be written.
pub async fn run(args: Args, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let emulator = Emulator::bind(args.listen).await?;
    if !emulator.local_addr().ip().is_loopback() {
        tracing::warn!(
            address = %emulator.local_addr(),
            "the emulator can be reached from other machines, without TLS; its control interface accepts only calls from this machine"
        );
    }
    if args.seed_demo {
        emulator.seed_demo();
    }
    writeln!(io::stdout(), "listening on {}", emulator.endpoint())?;
    emulator.serve(shutdown).await
}
