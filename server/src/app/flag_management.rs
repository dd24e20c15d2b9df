//! Manages feature flags: their rollouts, their changes, and their evaluation for a tenant.

use std::collections::BTreeSet;

use super::{App, Page, PageRequest, require_unrestricted, visible};
use crate::{
    domain::{
        Caller, Flag, FlagChange, FlagReason, FlagSetting, FlagState, OrganizationId, Percent, Rollout, TenantId,
        TenantScope,
    },
    error::{Error, Violations},
    store::FlagUpdate,
    wake::WakeUp,
};

/// A flag as it is returned to callers.
#[derive(Debug, Clone)]
pub struct FlagDetails {
    /// The flag.
    pub flag: Flag,
    /// Its rollout, or the default of this process if it has never been set.
    pub rollout: Rollout,
    /// Its revision and the time of its last change; `None`: it has never been set.
    pub set: Option<(i64, chrono::DateTime<chrono::Utc>)>,
    /// The value that the environment of this process forces.
    pub forced: Option<bool>,
}

/// New values of a flag; `None` leaves a field unchanged.
#[derive(Debug, Default, Clone)]
pub struct RolloutEdit {
    /// Off, on or partial.
    pub state: Option<FlagState>,
    /// Percentage of the tenants that are not listed.
    pub percent: Option<Percent>,
    /// All tenants of the pilot.
    pub tenants: Option<BTreeSet<TenantId>>,
    /// All organizations of the pilot.
    pub organizations: Option<BTreeSet<OrganizationId>>,
    /// All excluded tenants.
    pub excluded_tenants: Option<BTreeSet<TenantId>>,
    /// All excluded organizations.
    pub excluded_organizations: Option<BTreeSet<OrganizationId>>,
}

impl RolloutEdit {
    fn apply(&self, before: Rollout) -> Rollout {
        Rollout {
            state: self.state.unwrap_or(before.state),
            percent: self.percent.unwrap_or(before.percent),
            tenants: self.tenants.clone().unwrap_or(before.tenants),
            organizations: self.organizations.clone().unwrap_or(before.organizations),
            excluded_tenants: self.excluded_tenants.clone().unwrap_or(before.excluded_tenants),
            excluded_organizations: self.excluded_organizations.clone().unwrap_or(before.excluded_organizations),
        }
    }
}

/// A validated request to change a flag.
#[derive(Debug, Clone)]
pub struct FlagRequest {
    /// The flag.
    pub flag: Flag,
    /// The new values.
    pub edit: RolloutEdit,
    /// The revision on which the change is based, 0 for a flag that has never been set; `None`: not checked.
    pub expected_revision: Option<i64>,
    /// Whether the lists may contain tenants and organizations that do not exist.
    pub allow_unknown: bool,
    /// The reason for the change.
    pub reason: String,
}

/// The evaluation of a flag for a tenant.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation {
    /// Whether it is on, and why.
    pub why: FlagReason,
    /// The revision that was evaluated; 0 if the flag has never been set.
    pub revision: i64,
}

impl App {
    /// Gets all flags, by name.
    ///
    /// # Errors
    /// A database error.
    pub async fn flags(&self, caller: &Caller, page: PageRequest) -> Result<Page<FlagDetails>, Error> {
        let settings = self.store.flags().await?;
        let mut flags = Flag::ALL.to_vec();
        flags.sort_by_key(|flag| flag.as_str());
        flags.retain(|flag| page.after.as_deref().is_none_or(|after| flag.as_str() > after));
        let shown = flags.into_iter().map(|flag| self.shown(caller, flag, settings.get(&flag).cloned())).collect();
        Ok(page.page(shown, |shown: &FlagDetails| shown.flag.to_string()))
    }

    /// Gets a flag.
    ///
    /// # Errors
    /// A database error.
    pub async fn flag(&self, caller: &Caller, flag: Flag) -> Result<FlagDetails, Error> {
        let setting = self.store.flag(flag).await?;
        Ok(self.shown(caller, flag, setting))
    }

    /// Changes a flag, and records the caller, the time and the reason. The change takes effect here immediately, and
    /// on other servers within two seconds. A change that changes nothing is not recorded.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::FlagChanged`] if the flag does not have the expected revision,
    /// [`Error::Invalid`] if a tenant or organization that is added to a list does not exist, or a database error.
    pub async fn update_flag(&self, caller: &Caller, request: &FlagRequest) -> Result<FlagDetails, Error> {
        require_unrestricted(caller, "changing a flag")?;
        let FlagRequest { flag, edit, expected_revision, allow_unknown, reason } = request;
        let (before, after) = loop {
            let before = self.store.flag(*flag).await?;
            let rollout = edit.apply(self.rollout(before.as_ref()));
            // Also for the retry of a call whose first response was lost, whatever revision it expects.
            if let Some(before) = before.as_ref().filter(|before| before.rollout == rollout) {
                return Ok(self.shown(caller, *flag, Some(before.clone())));
            }
            let revision = before.as_ref().map_or(0, |before| before.revision);
            if expected_revision.is_some_and(|expected| expected != revision) {
                return Err(Error::FlagChanged { flag: *flag, revision });
            }
            if !allow_unknown {
                self.require_listed_exist(before.as_ref().map(|before| &before.rollout), &rollout).await?;
            }
            let update =
                FlagUpdate { flag: *flag, before: before.as_ref(), after: &rollout, caller: &caller.subject, reason };
            // Another caller's change came first: apply the edit to the new state.
            if let Some(after) = self.store.update_flag(None, &update).await? {
                break (before, after);
            }
        };
        let was = before.map_or("never set", |before| before.rollout.state.as_str());
        tracing::info!(
            %flag, caller = %caller.subject, reason, revision = after.revision, before = was,
            state = %after.rollout.state, percent = after.rollout.percent.value(), "changed a flag"
        );
        self.wake.send(WakeUp::FlagsChanged);
        // The change is durable, so this process's failure to read it now is not a failure of the call.
        if let Err(error) = self.flags.refresh().await {
            tracing::warn!(%error, "cannot read a changed flag yet");
        }
        Ok(self.shown(caller, *flag, Some(after)))
    }

    /// Rejects added tenants and organizations that do not exist. Entries that were listed before may have been deleted
    /// since: they do no harm, and must not prevent turning a flag off.
    async fn require_listed_exist(&self, before: Option<&Rollout>, after: &Rollout) -> Result<(), Error> {
        let mut violations = Violations::default();
        let none = Rollout::all(false);
        let before = before.unwrap_or(&none);
        for (field, before, after) in [
            ("flag.tenants", &before.tenants, &after.tenants),
            ("flag.excluded_tenants", &before.excluded_tenants, &after.excluded_tenants),
        ] {
            let added: Vec<&TenantId> = after.difference(before).collect();
            for id in self.store.unknown_tenants(&added).await? {
                violations.add(field, format_args!("tenants/{id} does not exist; correct the name, or set allow_unknown (mirrorctl: --allow-unknown)"));
            }
        }
        for (field, before, after) in [
            ("flag.organizations", &before.organizations, &after.organizations),
            ("flag.excluded_organizations", &before.excluded_organizations, &after.excluded_organizations),
        ] {
            let added: Vec<&OrganizationId> = after.difference(before).collect();
            for id in self.store.unknown_organizations(&added).await? {
                violations.add(
                    field,
                    format_args!("no tenant belongs to organizations/{id}; correct the name, or set allow_unknown (mirrorctl: --allow-unknown)"),
                );
            }
        }
        violations.finish()
    }

    /// Evaluates a flag for a tenant on this server, as calls and runs are currently decided.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the tenant, or a database error.
    pub async fn evaluate_flag(&self, caller: &Caller, flag: Flag, tenant: &TenantId) -> Result<Evaluation, Error> {
        visible(caller, tenant)?;
        let organization = self.store.tenant(tenant).await?.organization;
        let flags = self.flags.now().await?;
        Ok(Evaluation { why: flags.evaluate(flag, tenant, organization.as_ref()), revision: flags.revision(flag) })
    }

    /// Lists changes of one flag or of all, newest first.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::InvalidPageToken`], or a database error.
    pub async fn flag_changes(
        &self,
        caller: &Caller,
        flag: Option<Flag>,
        page: PageRequest,
    ) -> Result<Page<FlagChange>, Error> {
        require_unrestricted(caller, "reading who changed a flag")?;
        let before = page.after.as_deref().map(str::parse).transpose().map_err(|_| Error::InvalidPageToken)?;
        let changes = self.store.flag_changes(flag, before, page.limit()).await?;
        Ok(page.page(changes, |change| change.id.to_string()))
    }

    /// Checks that a flag is on for a tenant. Reads the tenant's organization only if it can affect the result.
    pub(super) async fn require(&self, flag: Flag, tenant: &TenantId) -> Result<(), Error> {
        let flags = self.flags.now().await?;
        let organization = match flags.asks_for_organization(flag) {
            true => self.store.tenant(tenant).await?.organization,
            false => None,
        };
        flags.require(flag, tenant, organization.as_ref())
    }

    /// Returns the stored rollout, or else the default.
    fn rollout(&self, setting: Option<&FlagSetting>) -> Rollout {
        let default = || Rollout::all(self.flags.process().on_by_default);
        setting.map_or_else(default, |setting| setting.rollout.clone())
    }

    fn shown(&self, caller: &Caller, flag: Flag, setting: Option<FlagSetting>) -> FlagDetails {
        let mut rollout = self.rollout(setting.as_ref());
        if let TenantScope::Only(tenants) = &caller.scope {
            // For this caller, other tenants do not exist, and neither do organizations.
            rollout.tenants.retain(|tenant| tenants.contains(tenant));
            rollout.excluded_tenants.retain(|tenant| tenants.contains(tenant));
            rollout.organizations.clear();
            rollout.excluded_organizations.clear();
        }
        let set = setting.map(|setting| (setting.revision, setting.updated_at));
        FlagDetails { flag, rollout, set, forced: self.flags.process().forced(flag) }
    }
}
