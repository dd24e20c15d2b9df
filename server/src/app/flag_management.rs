//! Keeping feature flags: whom each is on for, who changed that, and what it comes to for a tenant.

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

/// A flag as it is shown.
#[derive(Debug, Clone)]
pub struct FlagDetails {
    /// Which flag.
    pub flag: Flag,
    /// Whom it is on for, or what this process takes for usual where nobody has set it.
    pub rollout: Rollout,
    /// Its revision, and when it was last changed; `None`: nobody has set it.
    pub set: Option<(i64, chrono::DateTime<chrono::Utc>)>,
    /// What the environment of this process forces it to be.
    pub forced: Option<bool>,
}

/// New values of a flag; `None` leaves a field alone.
#[derive(Debug, Default, Clone)]
pub struct RolloutEdit {
    /// Nobody, everybody, or some.
    pub state: Option<FlagState>,
    /// The share of those who are not listed.
    pub percent: Option<Percent>,
    /// The pilot, whole.
    pub tenants: Option<BTreeSet<TenantId>>,
    /// The organizations in the pilot, whole.
    pub organizations: Option<BTreeSet<OrganizationId>>,
    /// The excluded tenants, whole.
    pub excluded_tenants: Option<BTreeSet<TenantId>>,
    /// The excluded organizations, whole.
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

/// A valid request to change a flag.
#[derive(Debug, Clone)]
pub struct FlagRequest {
    /// Which flag.
    pub flag: Flag,
    /// What shall be different.
    pub edit: RolloutEdit,
    /// The revision that the caller decided on, 0 for a flag that nobody has set; `None`: whatever it is now.
    pub expected_revision: Option<i64>,
    /// Whether tenants and organizations may be listed that do not exist.
    pub allow_unknown: bool,
    /// Why, for the record.
    pub reason: String,
}

/// What a flag comes to for a tenant.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation {
    /// On or off, and why.
    pub why: FlagReason,
    /// The revision of the flag that this rests on; 0 while nobody has set it.
    pub revision: i64,
}

impl App {
    /// Gets every flag, by name.
    ///
    /// # Errors
    /// The database's.
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
    /// The database's.
    pub async fn flag(&self, caller: &Caller, flag: Flag) -> Result<FlagDetails, Error> {
        let setting = self.store.flag(flag).await?;
        Ok(self.shown(caller, flag, setting))
    }

    /// Changes a flag, and keeps who did it, when and why. It is in force here at once, and elsewhere within two seconds. A change that
    /// changes nothing is none.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::FlagChanged`] when the flag is not what the caller decided on, [`Error::Invalid`] of a tenant or
    /// organization that is added to a list and does not exist, or the database's.
    pub async fn update_flag(&self, caller: &Caller, request: &FlagRequest) -> Result<FlagDetails, Error> {
        require_unrestricted(caller, "changing a flag")?;
        let FlagRequest { flag, edit, expected_revision, allow_unknown, reason } = request;
        let (before, after) = loop {
            let before = self.store.flag(*flag).await?;
            let rollout = edit.apply(self.rollout(before.as_ref()));
            // Also the second time of a call whose first answer was lost, whatever revision it expects.
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
            // Somebody else was faster: what is to be changed is changed of what they made of it.
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
        // The change is durable; that this process cannot read it now is no reason to call it failed.
        if let Err(error) = self.flags.refresh().await {
            tracing::warn!(%error, "cannot read a changed flag yet");
        }
        Ok(self.shown(caller, *flag, Some(after)))
    }

    /// Rejects tenants and organizations that are new in the lists of `after` and do not exist. What is listed already may have been
    /// deleted since: it does no harm, and must not be in the way of a switch-off.
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

    /// Says what a flag comes to for a tenant on this server, as it decides about calls and runs right now.
    ///
    /// # Errors
    /// [`Error::NotFound`] of the tenant, or the database's.
    pub async fn evaluate_flag(&self, caller: &Caller, flag: Flag, tenant: &TenantId) -> Result<Evaluation, Error> {
        visible(caller, tenant)?;
        let organization = self.store.tenant(tenant).await?.organization;
        let flags = self.flags.now().await?;
        Ok(Evaluation { why: flags.evaluate(flag, tenant, organization.as_ref()), revision: flags.revision(flag) })
    }

    /// Lists changes of one flag, or of all, newest first.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::InvalidPageToken`], or the database's.
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

    /// Refuses what is off for a tenant. Asks for its organization only where that can decide.
    pub(super) async fn require(&self, flag: Flag, tenant: &TenantId) -> Result<(), Error> {
        let flags = self.flags.now().await?;
        let organization = match flags.asks_for_organization(flag) {
            true => self.store.tenant(tenant).await?.organization,
            false => None,
        };
        flags.require(flag, tenant, organization.as_ref())
    }

    /// Whom a flag is on for, by what is stored or else by default.
    fn rollout(&self, setting: Option<&FlagSetting>) -> Rollout {
        let default = || Rollout::all(self.flags.process().on_by_default);
        setting.map_or_else(default, |setting| setting.rollout.clone())
    }

    fn shown(&self, caller: &Caller, flag: Flag, setting: Option<FlagSetting>) -> FlagDetails {
        let mut rollout = self.rollout(setting.as_ref());
        if let TenantScope::Only(tenants) = &caller.scope {
            // Other tenants do not exist for this caller, and neither do chains of them.
            rollout.tenants.retain(|tenant| tenants.contains(tenant));
            rollout.excluded_tenants.retain(|tenant| tenants.contains(tenant));
            rollout.organizations.clear();
            rollout.excluded_organizations.clear();
        }
        let set = setting.map(|setting| (setting.revision, setting.updated_at));
        FlagDetails { flag, rollout, set, forced: self.flags.process().forced(flag) }
    }
}
