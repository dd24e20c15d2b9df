//! `category-mirror token`

use super::{CommandError, print};
use crate::{
    auth::{Grant, Signer},
    config::{ConfigError, TokenArgs, development_folder, warn_of_exposed_keys},
    domain::{Role, TenantId},
};

/// Signs a token and prints it, alone.
pub(super) async fn run(args: TokenArgs) -> Result<(), CommandError> {
    let configuration = |error: crate::auth::AuthConfigError| ConfigError(error.to_string());
    let signer = if args.dev && !args.auth.has_signing_key() {
        let folder = args.data_dir.map_or_else(development_folder, Ok)?;
        Signer::development(&folder).map_err(configuration)?
    } else {
        Signer::from_args(&args.auth).map_err(configuration)?
    };
    let tenants = args
        .tenants
        .iter()
        .map(|tenant| TenantId::parse(tenant).map_err(|error| ConfigError(format!("--tenant={tenant}: {error}"))));
    let tenants = tenants.collect::<Result<Vec<_>, _>>()?;
    let grant = Grant {
        subject: args.subject,
        role: if args.role == "admin" { Role::Admin } else { Role::Viewer },
        tenants: Some(tenants).filter(|tenants| !tenants.is_empty()),
        ttl: args.ttl,
    };
    warn_of_exposed_keys(&args.auth);
    print(signer.sign(&grant, chrono::Utc::now()).map_err(configuration)?)
}
