//! Plans and changes.

use category_mirror_proto::v1::{self as proto, change::Operation, placed_category::Role};

use super::time;
use crate::domain::{CategorySet, Change, GbpCategory, Place, Placed, Plan};

pub(super) fn plan(plan: Plan) -> proto::Plan {
    proto::Plan {
        changes: plan.changes.into_iter().map(change).collect(),
        // Absent categories are an observation too: an empty set, not an absent one.
        observed: Some(plan.observed.as_ref().map(set).unwrap_or_default()),
        desired: Some(set(&plan.desired)),
        unmapped_categories: plan
            .unmapped
            .into_iter()
            .map(|unmapped| proto::UnmappedCategory {
                platform_category: unmapped.slug.resource_name(),
                display_name: unmapped.display_name,
            })
            .collect(),
        merged_categories: plan
            .merged
            .into_iter()
            .map(|merged| proto::MergedCategory {
                platform_category: merged.slug.resource_name(),
                gbp_category: merged.gcid.resource_name(),
            })
            .collect(),
        objections: plan
            .objections
            .into_iter()
            .map(|objection| proto::Objection {
                reason: objection.reason,
                message: objection.message,
                field: objection.field,
            })
            .collect(),
        hash: plan.hash,
        observe_time: Some(time(plan.observed_at)),
    }
}

pub(super) fn change(change: Change) -> proto::Change {
    let operation = match change {
        Change::Create { .. } => Operation::Create,
        Change::Update { .. } => Operation::Update,
        Change::Delete { .. } => Operation::Delete,
    };
    proto::Change {
        operation: operation.into(),
        before: change.before().map(placed),
        after: change.after().map(placed),
    }
}

fn placed(placed: &Placed) -> proto::PlacedCategory {
    let role = match placed.place {
        Place::Primary => Role::Primary,
        Place::Additional => Role::Additional,
    };
    proto::PlacedCategory { category: Some(category(&placed.category)), role: role.into() }
}

fn set(set: &CategorySet) -> proto::GbpCategorySet {
    proto::GbpCategorySet {
        primary: Some(category(set.primary())),
        additional: set.additional().iter().map(category).collect(),
    }
}

pub(super) fn category(category: &GbpCategory) -> proto::GbpCategory {
    proto::GbpCategory { name: category.gcid.resource_name(), display_name: category.display_name.clone() }
}
