//! Who hears of what.

use std::{sync::Arc, time::Instant};

use chrono::{TimeDelta, Utc};

use super::{
    registry::{Subscription, SubscriptionRegistry, SubscriptionScope},
    test_run::run,
};
use crate::domain::{OrganizationId, TenantId};

#[test]
fn each_hears_of_what_it_watches_and_the_last_who_leaves_takes_everything_along() {
    let tenant = |id| TenantId::parse(id).expect("an id");
    let organization = OrganizationId::parse("chain").expect("an id");
    let other = run(Utc::now(), "b");
    let mut of_chain = run(Utc::now() + TimeDelta::seconds(1), "a");
    of_chain.organization = Some(organization.clone());
    let mut registry = SubscriptionRegistry::default();
    let heard = [
        (SubscriptionScope::Run(of_chain.id), 1),
        (SubscriptionScope::Run(other.id), 1),
        (SubscriptionScope::Tenants(vec![tenant("a"), tenant("a")]), 1),
        (SubscriptionScope::Tenants(vec![tenant("a"), tenant("b")]), 2),
        (SubscriptionScope::Tenants(vec![]), 0),
        (SubscriptionScope::Organization(organization), 1),
        (SubscriptionScope::Everything, 2),
    ];
    let places: Vec<Subscription> =
        heard.iter().map(|(subscription_scope, _)| registry.subscribe(subscription_scope)).collect();
    for run in [&of_chain, &other] {
        registry.publish(&Arc::new(run.clone()), Instant::now());
    }
    for ((subscription_scope, count), subscription) in heard.iter().zip(&places) {
        let mut news = 0;
        while subscription.queue.take().is_some() {
            news += 1;
        }
        assert_eq!(news, *count, "{subscription_scope:?}");
    }
    registry.begin(Utc::now());
    for subscription in &places {
        assert!(registry.has_begun());
        registry.unsubscribe(subscription);
    }
    assert!(!registry.has_begun() && !registry.concerns(other.id));
}
