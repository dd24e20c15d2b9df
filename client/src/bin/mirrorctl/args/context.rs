//! Contexts.

use clap::Subcommand;

const AFTER_HELP: &str = "\
A context is a server with its token file and its certificate authority. Contexts are stored in \
$XDG_CONFIG_HOME/mirrorctl/config.toml, or ~/.config/mirrorctl/config.toml:

  current = \"production\"

  [contexts.production]
  endpoint = \"https://mirror.example.com\"
  token_file = \"~/.config/mirrorctl/production.token\"
  ca_file = \"/etc/ssl/example-ca.pem\"

The file contains no secrets, and must not be writable by other users. If --endpoint or MIRRORCTL_ENDPOINT names another server, the \
context's token file and authority are not used.";

#[derive(Debug, Subcommand)]
#[command(after_help = AFTER_HELP)]
pub(crate) enum ContextCommand {
    /// List the contexts
    List,
    /// Select the current context
    Use {
        /// Name of the context
        name: String,
    },
    /// Create or change a context with --endpoint, --token-file and --ca-file
    Set {
        /// Name of the context
        name: String,
    },
}
