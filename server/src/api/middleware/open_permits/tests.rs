//! Which connection is displaced.

use std::net::IpAddr;

use super::*;
use crate::connections::{Connections, Permit, Port};

fn connections() -> Connections {
    Connections::new(Port::Grpc, ConnectionLimits::default(), 0)
}

fn from(connections: &Connections, host: u8) -> Permit {
    connections.admit(IpAddr::from([192, 0, 2, host])).expect("room")
}

fn permits(total: usize, per_address: usize, displaces: Displaces) -> OpenPermits {
    OpenPermits::new(PermitLimits { total, per_address }, displaces, "too many of them")
}

fn limit(taken: Result<OpenPermit, Error>) -> usize {
    match taken {
        Err(Error::RateLimited { limit, .. }) => limit,
        other => panic!("not refused, but {other:?}"),
    }
}

#[test]
fn an_address_has_the_part_of_places_that_it_has_of_connections() {
    let of = |max_connections, max_per_address| {
        let connections = ConnectionLimits { max_connections, max_per_address, ..ConnectionLimits::default() };
        PermitLimits::new(256, &connections).per_address
    };
    assert_eq!([of(4096, 1024), of(4096, 4096), of(10, 1_000_000), of(1_000_000, 1)], [64, 256, 256, 1]);
}

#[test]
fn a_flood_over_one_connection_displaces_itself_and_no_other_caller() {
    let connections = connections();
    // Behind one proxy, and from other addresses.
    for own_host in [1, 2] {
        for displaces in [Displaces::Always, Displaces::Heavier] {
            let permits = permits(8, 8, displaces);
            let [flood, own] = [1, own_host].map(|host| from(&connections, host));
            let held: Vec<_> = (0..8).map(|_| permits.take(Some(flood.connection())).expect("free")).collect();
            let mine = permits.take(Some(own.connection())).expect("another one makes room");
            assert_eq!(held.iter().filter(|permit| permit.displaced().is_cancelled()).count(), 1);
            assert!(held[0].displaced().is_cancelled(), "the oldest");
            let again = permits.take(Some(flood.connection()));
            assert!(again.is_ok() == (displaces == Displaces::Always), "its own place at most");
            assert!(!mine.displaced().is_cancelled());
            assert_eq!(permits.taken(), 8);
            drop((held, mine, again));
            assert_eq!(permits.taken(), 0);
            let state = permits.state();
            assert!(state.connections.is_empty() && state.addresses.is_empty(), "{state:?}");
        }
    }
}

#[test]
fn what_lasts_is_not_taken_from_those_who_hold_no_more() {
    let connections = connections();
    let permits = permits(2, 2, Displaces::Heavier);
    let [one, other, third] = [1, 2, 3].map(|host| from(&connections, host));
    let first = permits.take(Some(one.connection())).expect("free");
    let _second = permits.take(Some(other.connection())).expect("free");
    assert_eq!(limit(permits.take(Some(third.connection()))), 2);
    drop(first);
    permits.take(Some(third.connection())).expect("free again");
}

#[test]
fn one_address_has_its_part_only_and_what_it_holds_keeps_no_other_one_out() {
    let connections = connections();
    let permits = permits(8, 2, Displaces::Heavier);
    let flood: Vec<Permit> = (0..3).map(|_| from(&connections, 1)).collect();
    let _held = [0, 1].map(|n: usize| permits.take(Some(flood[n].connection())).expect("free"));
    assert_eq!(limit(permits.take(Some(flood[2].connection()))), 2, "of one address");
    let others: Vec<Permit> = (2..8).map(|host| from(&connections, host)).collect();
    let _others: Vec<_> = others.iter().map(|it| permits.take(Some(it.connection())).expect("free")).collect();
    assert_eq!(permits.taken(), 8);
}

#[test]
fn calls_over_no_known_connection_are_bounded_in_all() {
    let permits = permits(1, 1, Displaces::Heavier);
    let _held = permits.take(None).expect("free");
    assert_eq!(limit(permits.take(None)), 1);
}
