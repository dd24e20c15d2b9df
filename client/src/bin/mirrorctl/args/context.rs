//! Contexts.

use clap::Subcommand;

const AFTER_HELP: &str = "\
A context is a server with its token file and its certificate authority. They are in $XDG_CONFIG_HOME/mirrorctl/config.toml, or \
~/.config/mirrorctl/config.toml:

  current = \"production\"

  [contexts.production]
  endpoint = \"https://mirror.example.com\"
  token_file = \"~/.config/mirrorctl/production.token\"
  ca_file = \"/etc/ssl/example-ca.pem\"

There are no secrets in this file, and no other user may be able to change it. With another --endpoint or MIRRORCTL_ENDPOINT, a context's \
token file and authority are not used.";

#[derive(Debug, Subcommand)]
#[command(after_help = AFTER_HELP)]
pub(crate) enum ContextCommand {
    /// List the contexts
    List,
    /// Make a context the current one
    Use {
        /// Name of the context
        name: String,
    },
    /// Create a context, or change it, with --endpoint, --token-file and --ca-file
    Set {
        /// Name of the context
        name: String,
    },
}
