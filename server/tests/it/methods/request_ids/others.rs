//! Each method's first request again, with one field changed.

use std::collections::BTreeMap;

use category_mirror_proto::v1::{self as proto, mirror_categories_request::Target};
use prost::Message;

use super::mirror;

/// Each field with another value than the first request had, or a reason why there is none.
pub(super) fn others(name: &str, written: &str) -> BTreeMap<&'static str, Option<Vec<u8>>> {
    let id = "fields".to_owned();
    match name {
        "MirrorCategories" => {
            let other = |set: &dyn Fn(&mut proto::MirrorCategoriesRequest)| {
                let mut request = mirror(Target::Organization("organizations/chain".to_owned()), Some(2));
                request.request_id.clone_from(&id);
                set(&mut request);
                Some(request.encode_to_vec())
            };
            let target = other(&|it| it.target = Some(Target::Organization("organizations/none".to_owned())));
            BTreeMap::from([
                ("strategy", other(&|it| it.strategy = 2)),
                (
                    "tenant",
                    other(&|it| {
                        (it.target, it.confirm_tenant_count) = (Some(Target::Tenant("tenants/own".to_owned())), None)
                    }),
                ),
                ("organization", target),
                ("all_tenants", other(&|it| it.target = Some(Target::AllTenants(true)))),
                ("dry_run", other(&|it| it.dry_run = false)),
                (
                    "plan",
                    other(&|it| {
                        (it.target, it.confirm_tenant_count) = (Some(Target::Tenant("tenants/own".to_owned())), None);
                        (it.dry_run, it.plan) = (false, written.to_owned());
                    }),
                ),
                (
                    "override_guards",
                    other(&|it| (it.override_guards, it.reason) = (vec!["batch_primary".to_owned()], "why".to_owned())),
                ),
                (
                    "reason",
                    other(&|it| {
                        (it.override_guards, it.reason) = (vec!["batch_primary".to_owned()], "because".to_owned())
                    }),
                ),
                (
                    "view",
                    other(&|it| {
                        (it.target, it.confirm_tenant_count) = (Some(Target::Tenant("tenants/own".to_owned())), None);
                        (it.strategy, it.view) = (2, proto::GbpView::Public.into());
                    }),
                ),
                ("confirm_tenant_count", other(&|it| it.confirm_tenant_count = None)),
                (
                    "confirm_override_count",
                    other(&|it| {
                        it.dry_run = false;
                        (it.override_guards, it.reason) = (vec!["removals".to_owned()], "why".to_owned());
                        it.confirm_override_count = Some(1);
                    }),
                ),
            ])
        }
        "RevertRun" => {
            let other = |set: &dyn Fn(&mut proto::RevertRunRequest)| {
                let mut request = proto::RevertRunRequest {
                    name: written.to_owned(),
                    dry_run: true,
                    request_id: id.clone(),
                    ..Default::default()
                };
                set(&mut request);
                Some(request.encode_to_vec())
            };
            BTreeMap::from([
                // Another run, which does not exist: an error of its own.
                ("name", None),
                ("dry_run", other(&|it| it.dry_run = false)),
                (
                    "override_guards",
                    other(&|it| (it.override_guards, it.reason) = (vec!["removals".to_owned()], "why".to_owned())),
                ),
                (
                    "reason",
                    other(&|it| (it.override_guards, it.reason) = (vec!["removals".to_owned()], "because".to_owned())),
                ),
            ])
        }
        "DecideTenantSync" => {
            let other = |set: &dyn Fn(&mut proto::DecideTenantSyncRequest)| {
                let mut request = proto::DecideTenantSyncRequest {
                    name: "tenants/own/sync".to_owned(),
                    decision: proto::tenant_sync_decision::Decision::Ignore.into(),
                    reason: "why".to_owned(),
                    request_id: id.clone(),
                    ..Default::default()
                };
                set(&mut request);
                Some(request.encode_to_vec())
            };
            BTreeMap::from([
                ("name", other(&|it| it.name = "tenants/other/sync".to_owned())),
                ("decision", other(&|it| it.decision = proto::tenant_sync_decision::Decision::PushAgain.into())),
                ("reason", other(&|it| it.reason = "because".to_owned())),
                (
                    "override_guards",
                    other(&|it| {
                        it.decision = proto::tenant_sync_decision::Decision::PushAgain.into();
                        it.override_guards = vec!["removals".to_owned()];
                    }),
                ),
            ])
        }
        _ => panic!("{name} has no fields here"),
    }
}
