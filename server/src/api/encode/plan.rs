//! Converts plans and changes to messages.

use category_mirror_proto::v1::{self as proto, category_set_member::Role, change::Operation, guard_verdict::Outcome};

use super::time;
use crate::domain::{
    CategoryRole, CategorySet, Change, EitherCategory, GbpCategory, GuardOutcome, GuardVerdict, LocationId,
    LocationIssue, RecordedChange, RecordedPlan, SetMember, SourceCategory,
};

pub(super) fn plan(plan: RecordedPlan) -> proto::Plan {
    let (hash, canonical_form) = (plan.hash().to_owned(), plan.canonical());
    let is_gbps = matches!(plan.desired.primary(), EitherCategory::Gbp(_));
    let platform = |set: &CategorySet<EitherCategory>| {
        if is_gbps { Vec::new() } else { crate::domain::set_members(set).iter().map(member).collect() }
    };
    proto::Plan {
        // The absence of categories is an observation as well: an empty set, not an absent one.
        observed: is_gbps.then(|| plan.observed.as_ref().map(gbp_set).unwrap_or_default()),
        desired: is_gbps.then(|| gbp_set(&plan.desired)),
        observed_platform_categories: plan.observed.as_ref().map(platform).unwrap_or_default(),
        desired_platform_categories: platform(&plan.desired),
        source_categories: plan.source.into_iter().map(|source| source_category(source, is_gbps)).collect(),
        guard_verdicts: plan.guards.iter().map(verdict).collect(),
        hash,
        canonical_form,
        changes: plan.changes.into_iter().map(change).collect(),
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
        validation_errors: plan
            .validation_errors
            .into_iter()
            .map(|validation_error| proto::ValidationError {
                reason: validation_error.reason,
                message: validation_error.message,
                field: validation_error.field,
            })
            .collect(),
        observe_time: Some(time(plan.observed_at)),
        gbp_location: plan.location.as_ref().map(LocationId::resource_name).unwrap_or_default(),
        location_issues: location_issues(&plan.location_issues),
    }
}

/// Converts the reasons why Google does not publish edits of a location.
pub(super) fn location_issues(issues: &[LocationIssue]) -> Vec<i32> {
    let issue = |issue: &LocationIssue| match issue {
        LocationIssue::Closed => proto::LocationIssue::Closed,
        LocationIssue::Duplicate => proto::LocationIssue::Duplicate,
        LocationIssue::NoVoiceOfMerchant => proto::LocationIssue::NoVoiceOfMerchant,
    };
    issues.iter().map(|it| issue(it).into()).collect()
}

pub(super) fn change(change: RecordedChange) -> proto::Change {
    let operation = match change {
        Change::Create { .. } => Operation::Create,
        Change::Update { .. } => Operation::Update,
        Change::Delete { .. } => Operation::Delete,
    };
    proto::Change {
        operation: operation.into(),
        before: change.before().map(member),
        after: change.after().map(member),
    }
}

fn member(member: &SetMember<EitherCategory>) -> proto::CategorySetMember {
    let role = role(member.role).into();
    match &member.category {
        EitherCategory::Gbp(gbp) => {
            proto::CategorySetMember { category: Some(category(gbp)), role, ..Default::default() }
        }
        EitherCategory::Platform(platform) => proto::CategorySetMember {
            category: platform.gcid.as_ref().map(|gcid| category(&GbpCategory::new(gcid.clone(), ""))),
            role,
            platform_category: platform.slug.resource_name(),
            platform_display_name: platform.display_name.clone(),
            imported: platform.imported_locale.is_some(),
        },
    }
}

/// Converts a category of the source, with the source's display name.
fn source_category(source: SourceCategory, is_platforms: bool) -> proto::CategorySetMember {
    let (platforms, googles) =
        if is_platforms { (source.display_name, String::new()) } else { (String::new(), source.display_name) };
    proto::CategorySetMember {
        category: source.gcid.map(|gcid| category(&GbpCategory::new(gcid, googles))),
        role: role(source.role).into(),
        platform_category: source.slug.map(|slug| slug.resource_name()).unwrap_or_default(),
        platform_display_name: platforms,
        imported: false,
    }
}

fn role(role: CategoryRole) -> Role {
    match role {
        CategoryRole::Primary => Role::Primary,
        CategoryRole::Additional => Role::Additional,
    }
}

fn verdict(verdict: &GuardVerdict) -> proto::GuardVerdict {
    proto::GuardVerdict {
        rule: verdict.rule.to_string(),
        value: verdict.value.into(),
        limit: verdict.limit.into(),
        outcome: match verdict.outcome {
            GuardOutcome::Passed => Outcome::Passed,
            GuardOutcome::Stopped => Outcome::Stopped,
            GuardOutcome::Overridden => Outcome::Overridden,
        }
        .into(),
    }
}

fn gbp_set(set: &CategorySet<EitherCategory>) -> proto::GbpCategorySet {
    let gbp = |either: &EitherCategory| match either {
        EitherCategory::Gbp(gbp) => Some(category(gbp)),
        EitherCategory::Platform(_) => None,
    };
    proto::GbpCategorySet { primary: gbp(set.primary()), additional: set.additional().iter().filter_map(gbp).collect() }
}

/// Converts a GBP category set.
pub(super) fn gbp_categories(set: &CategorySet) -> proto::GbpCategorySet {
    let additional = set.additional().iter().map(category).collect();
    proto::GbpCategorySet { primary: Some(category(set.primary())), additional }
}

pub(super) fn category(category: &GbpCategory) -> proto::GbpCategory {
    proto::GbpCategory { name: category.gcid.resource_name(), display_name: category.display_name.clone() }
}
