//! Requests that manage feature flags.

use category_mirror_proto::v1::{self, flag_service_client::FlagServiceClient};

use crate::{Client, Flag, FlagChange, FlagEvaluation, FlagState, names};

const COLLECTION: &str = "flags";

impl Client {
    /// Lists the feature flags by name.
    pub fn list_flags(&self) -> ListFlags {
        ListFlags { client: self.clone(), message: v1::ListFlagsRequest::default() }
    }

    /// Gets a feature flag by its name or `flags/{flag}`.
    pub fn get_flag(&self, flag: impl Into<String>) -> GetFlag {
        let message = v1::GetFlagRequest { name: names::qualified(COLLECTION, flag) };
        GetFlag { client: self.clone(), message }
    }

    /// Changes the fields that are set on the request, and no others. Takes effect on all servers within two seconds.
    pub fn update_flag(&self, flag: impl Into<String>) -> UpdateFlag {
        let flag = v1::Flag { name: names::qualified(COLLECTION, flag), ..Default::default() };
        let message =
            v1::UpdateFlagRequest { flag: Some(flag), update_mask: Some(Default::default()), ..Default::default() };
        UpdateFlag { client: self.clone(), message }
    }

    /// Returns whether a flag is on for a tenant, and why.
    pub fn evaluate_flag(&self, flag: impl Into<String>, tenant: impl Into<String>) -> EvaluateFlag {
        let name = names::qualified(COLLECTION, flag);
        let message = v1::EvaluateFlagRequest { name, tenant: names::qualified("tenants", tenant) };
        EvaluateFlag { client: self.clone(), message }
    }

    /// Lists changes of flags, newest first, each with its caller, time and reason.
    pub fn list_flag_changes(&self) -> ListFlagChanges {
        ListFlagChanges { client: self.clone(), message: v1::ListFlagChangesRequest::default() }
    }
}

list_request! {
    /// Request of [`Client::list_flags`].
    ListFlags(ListFlagsRequest) -> Flag { FlagServiceClient.list_flags, flags }
}

request! {
    /// Request of [`Client::get_flag`].
    GetFlag(v1::GetFlagRequest) -> Flag {
        FlagServiceClient.get_flag, Idempotent, |a: v1::GetFlagResponse| a.flag.map(Flag::from_wire)
    }
}

request! {
    /// Request of [`Client::update_flag`].
    UpdateFlag(v1::UpdateFlagRequest) -> Flag {
        FlagServiceClient.update_flag, Idempotent, |a: v1::UpdateFlagResponse| a.flag.map(Flag::from_wire)
    }
}

request! {
    /// Request of [`Client::evaluate_flag`].
    EvaluateFlag(v1::EvaluateFlagRequest) -> FlagEvaluation {
        FlagServiceClient.evaluate_flag, Idempotent, |a| Some(FlagEvaluation::from_wire(a))
    }
}

list_request! {
    /// Request of [`Client::list_flag_changes`].
    ListFlagChanges(ListFlagChangesRequest) -> FlagChange { FlagServiceClient.list_flag_changes, changes }
}

impl UpdateFlag {
    /// Sets whether the flag is on for no tenant, for all, or for some.
    pub fn state(self, state: FlagState) -> Self {
        self.set("state", |flag| flag.state = state.to_wire())
    }

    /// Sets the percentage of the tenants that are not listed: 0 to 100 in steps of 0.01.
    pub fn percent(self, percent: f64) -> Self {
        self.set("percent", |flag| flag.percent = percent)
    }

    /// Replaces the tenants of the pilot: ids or `tenants/{id}`.
    pub fn tenants<I: IntoIterator<Item: Into<String>>>(self, tenants: I) -> Self {
        self.set("tenants", |flag| flag.tenants = qualified("tenants", tenants))
    }

    /// Replaces the organizations of the pilot: ids or `organizations/{id}`.
    pub fn organizations<I: IntoIterator<Item: Into<String>>>(self, organizations: I) -> Self {
        self.set("organizations", |flag| flag.organizations = qualified("organizations", organizations))
    }

    /// Replaces the tenants for which the flag is never on: ids or `tenants/{id}`.
    pub fn excluded_tenants<I: IntoIterator<Item: Into<String>>>(self, tenants: I) -> Self {
        self.set("excluded_tenants", |flag| flag.excluded_tenants = qualified("tenants", tenants))
    }

    /// Replaces the organizations for whose tenants the flag is never on: ids or `organizations/{id}`.
    pub fn excluded_organizations<I: IntoIterator<Item: Into<String>>>(self, organizations: I) -> Self {
        self.set("excluded_organizations", |flag| {
            flag.excluded_organizations = qualified("organizations", organizations)
        })
    }

    /// Changes the flag only if this is still its revision; otherwise the call fails with reason `FLAG_CHANGED`. 0: the
    /// flag has never been set.
    pub fn expected_revision(mut self, revision: i64) -> Self {
        self.message.expected_revision = Some(revision);
        self
    }

    /// Allows tenants and organizations in the lists that do not exist. Otherwise the server rejects added tenants that
    /// do not exist, and added organizations without tenants.
    pub fn allow_unknown(mut self, allow: bool) -> Self {
        self.message.allow_unknown = allow;
        self
    }

    /// Sets the reason for the change, at most 500 characters. Stored with the change.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.message.reason = reason.into();
        self
    }

    fn set(mut self, field: &str, write: impl FnOnce(&mut v1::Flag)) -> Self {
        write(self.message.flag.get_or_insert_default());
        self.message.update_mask.get_or_insert_default().paths.push(field.to_owned());
        self
    }
}

impl ListFlagChanges {
    /// Lists only changes of this flag, a name or `flags/{flag}`.
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.message.flag = names::qualified(COLLECTION, flag);
        self
    }
}

fn qualified<I: IntoIterator<Item: Into<String>>>(collection: &str, ids: I) -> Vec<String> {
    ids.into_iter().map(|id| names::qualified(collection, id)).collect()
}
