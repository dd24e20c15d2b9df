//! Who may call each method: without a token, as a viewer, as an administrator, and with a token that is limited to tenants.

mod table;

use std::collections::BTreeSet;

use category_mirror::domain::Role;
use category_mirror_client::Strategy;
use tonic::{Code, Status};

use self::table::{Named, ROWS, Serves};
use super::{Method, call, methods, path, reason};
use crate::{
    flags::until,
    replica::idle,
    service::{self, Service},
    wire::contents,
};

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// The caller may: it was executed, or refused for another reason.
    Through,
    Unauthenticated,
    Denied,
    NotFound,
}

/// Two tenants of two organizations, each with a live run that a batch for it alone has made.
async fn setting() -> (Service, [Named; 2]) {
    let service = service::start_with(idle()).await;
    service.with_store(&[], "bar", &[]).await;
    let mut named = Vec::new();
    for (tenant, organization) in [("own", "organizations/mine"), ("other", "organizations/others")] {
        service.tenant(tenant, tenant).await;
        service.client.update_tenant(tenant).organization(organization).send().await.expect("updated");
        service.set(tenant, &["cafe"]).await;
        let limited = service.client_with(&service.token(Role::Admin, "setting", Some(&[tenant])));
        let batch = limited.mirror_all(Strategy::PlatformToGbp, 1).dry_run(true).send().await.expect("accepted").name;
        until("its run is made", async || {
            service.client.get_batch(&batch).send().await.expect("the batch").queued_count == 1
        })
        .await;
        let runs = service.client.list_sync_logs().tenant(tenant).send().collect().await.expect("listed");
        named.push(Named { tenant, organization, run: runs[0].name.clone(), batch });
    }
    service.tenant("third", "third").await;
    (service, named.try_into().unwrap_or_else(|_| panic!("two of them")))
}

fn came(answer: Result<(), Status>) -> Came {
    match answer {
        Err(status) => match status.code() {
            Code::Unauthenticated => Came::Unauthenticated,
            Code::PermissionDenied => Came::Denied,
            // What belongs to no tenant may be missing for everybody.
            Code::NotFound if !["CREDENTIALS_NOT_FOUND", "TAXONOMY_NOT_FOUND"].contains(&reason(&status).as_str()) => {
                Came::NotFound
            }
            Code::Internal | Code::Unknown | Code::Unimplemented | Code::InvalidArgument => panic!("{status:?}"),
            _ => Came::Through,
        },
        Ok(()) => Came::Through,
    }
}

impl Serves {
    /// What comes of a call with this role for a tenant of which the token is `limited` to it (`Some(true)`), or to others.
    fn expected(self, role: Role, limited: Option<bool>) -> Came {
        let is_write =
            matches!(self, Self::TenantAdmins | Self::MoversOfTenants | Self::Admins | Self::UnlimitedAdmins);
        match (self, limited) {
            _ if is_write && role == Role::Viewer => Came::Denied,
            (_, None) | (Self::Readers | Self::Admins, _) => Came::Through,
            (Self::UnlimitedReaders | Self::UnlimitedAdmins, Some(_)) => Came::Denied,
            (_, Some(false)) => Came::NotFound,
            (Self::MoversOfTenants, Some(true)) => Came::Denied,
            (Self::TenantReaders | Self::TenantAdmins, Some(true)) => Came::Through,
        }
    }
}

#[test]
fn every_method_has_a_line_and_says_what_a_limited_token_may_do() {
    let described: BTreeSet<String> = methods().into_iter().map(|Method { name, .. }| name).collect();
    let tabled: BTreeSet<String> = ROWS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(described, tabled);
    for Method { name, comment, .. } in methods() {
        assert!(comment.contains("limited to tenants"), "{name}: {comment}");
        assert!(["admin", "viewer"].iter().any(|role| comment.contains(&format!("ole `{role}`"))), "{name}: {comment}");
    }
}

#[tokio::test]
async fn each_method_serves_whom_it_says_and_nobody_else() {
    let (service, [own, other]) = setting().await;
    let token = |role, limited: bool| service.token(role, "somebody", limited.then_some(&["own"]));
    let mut allowed = Vec::new();
    for (name, serves, message) in ROWS {
        let path = path(name);
        let before = contents(&service.pool).await;
        assert_eq!(came(call(&service, &path, None, message(&own)).await), Came::Unauthenticated, "{name}");
        for role in [Role::Viewer, Role::Admin] {
            for (tenant, limited) in [(&own, Some(true)), (&other, Some(false)), (&own, None)] {
                let expected = serves.expected(role, limited);
                let token = token(role, limited.is_some());
                if expected == Came::Through {
                    allowed.push((*name, path.clone(), token, message(tenant), role, limited));
                    continue;
                }
                let answer = call(&service, &path, Some(&token), message(tenant)).await;
                let status = answer.as_ref().err().cloned();
                assert_eq!(came(answer), expected, "{name} {serves:?} {role:?} {limited:?} {status:?}");
            }
        }
        let is_as_before = contents(&service.pool).await == before;
        assert!(is_as_before, "{name}: a refused call changed something");
    }
    for (name, path, token, message, role, limited) in allowed {
        let answer = call(&service, &path, Some(&token), message).await;
        let status = answer.as_ref().err().cloned();
        assert_eq!(came(answer), Came::Through, "{name} {role:?} {limited:?} {status:?}");
    }
}

#[tokio::test]
async fn what_a_limited_administrator_tries_of_locations_tells_nothing_of_other_tenants() {
    let (service, [own, _]) = setting().await;
    let limited = service.client_with(&service.token(Role::Admin, "limited", Some(&[own.tenant])));
    let mut told = BTreeSet::new();
    for (account, location) in [("1", "9999"), ("1", "third"), ("1", "other"), ("2", "other"), ("1", "own")] {
        let error = limited.update_tenant(own.tenant).location(account, location).send().await.expect_err(location);
        told.insert((error.reason().map(str::to_owned), error.to_string()));
    }
    let organization = limited.update_tenant(own.tenant).organization("others").send().await.expect_err("its own");
    assert!(organization.is_permission_denied() && organization.to_string().contains("organization"), "{organization}");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told.first().and_then(|(reason, _)| reason.as_deref()), Some("PERMISSION_DENIED"));
}
