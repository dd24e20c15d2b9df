//! Which connections are admitted, and which are displaced.

use super::*;
use crate::connections::UnsentBytes;

fn connections(max_connections: usize, max_per_address: usize) -> Connections {
    let limits = ConnectionLimits { max_connections, max_per_address, ..ConnectionLimits::default() };
    Connections::new(Port::Grpc, limits, 1000)
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

#[test]
fn a_newcomer_displaces_the_oldest_connection_without_a_token_and_no_other() {
    let connections = connections(3, 3);
    let proven = connections.admit(address(1)).expect("room");
    proven.connection().prove();
    let (second, third) = (connections.admit(address(2)).expect("room"), connections.admit(address(3)).expect("room"));

    let fourth = connections.admit(address(4)).expect("the second makes room");
    let is_cut = [&proven, &second, &third, &fourth].map(|permit| permit.connection().cut.is_cancelled());
    assert_eq!(is_cut, [false, true, false, false]);

    third.connection().prove();
    fourth.connection().prove();
    assert_eq!(connections.admit(address(5)).expect_err("all have proven themselves"), RefusalReason::Total);
    // The displaced connection has no permit left to free.
    drop(second);
    assert_eq!(connections.admit(address(5)).expect_err("still none"), RefusalReason::Total);
    drop(third);
    connections.admit(address(5)).expect("a place is free");
}

#[test]
fn one_address_displaces_its_own_and_leaves_room_for_others() {
    let connections = connections(10, 2);
    let mine = [connections.admit(address(1)).expect("room"), connections.admit(address(1)).expect("room")];
    let other = connections.admit(address(2)).expect("room");
    mine[1].connection().prove();

    let third = connections.admit(address(1)).expect("the first makes room");
    assert!(mine[0].connection().cut.is_cancelled() && !other.connection().cut.is_cancelled());
    third.connection().prove();
    assert_eq!(connections.admit(address(1)).expect_err("both are proven"), RefusalReason::Address);
    connections.admit(address(2)).expect("room for others");
}

#[test]
fn nothing_is_left_of_connections_that_are_gone() {
    let connections = connections(3, 2);
    for n in 0..100 {
        let permit = connections.admit(address(n % 7)).expect("room");
        if n % 2 == 0 {
            permit.connection().prove();
        }
    }
    let state = connections.shared.state();
    assert!(state.open.is_empty() && state.addresses.is_empty() && state.unproven.is_empty());
}

#[tokio::test]
async fn displaced_connections_are_waited_for_where_many_are_not_closed_yet() {
    use futures::FutureExt;

    let connections = connections(1, 1);
    let mut permits: Vec<Permit> =
        (0..=MAX_CLOSING).map(|_| connections.admit(address(1)).expect("the one before makes room")).collect();
    let mut wait = Box::pin(connections.displaced_are_closed());
    assert!((&mut wait).now_or_never().is_none());
    // The last one was not displaced.
    drop(permits.pop());
    assert!((&mut wait).now_or_never().is_none());
    drop(permits.pop());
    wait.await;
    drop(permits);
    assert_eq!(connections.shared.closing.load(Ordering::Relaxed), 0);
}

#[test]
fn an_ipv6_network_and_a_mapped_ipv4_address_count_as_one() {
    let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
    assert_eq!(network(parse("2001:db8::1")), network(parse("2001:db8::ffff:1")));
    assert_ne!(network(parse("2001:db8:0:1::1")), network(parse("2001:db8::1")));
    assert_eq!(network(parse("::ffff:192.0.2.1")), address(1));
}

#[test]
fn streams_pause_at_their_bound_and_whoever_reads_nothing_is_cut() {
    const MIB: usize = 1024 * 1024;
    let connections = connections(10, 10);
    let permits: Vec<Permit> = (0..5).map(|n| connections.admit(address(n)).expect("room")).collect();
    let (one, other) = (permits[0].connection(), permits[1].connection());

    let unsent = one.unsent_bytes(4 * MIB);
    assert!(!one.has_room_for_streams() && other.has_room_for_streams());
    let more = one.unsent_bytes(12 * MIB);
    assert!(!one.cut.is_cancelled(), "at the bound");
    let last = one.unsent_bytes(1);
    assert!(one.cut.is_cancelled() && !other.cut.is_cancelled());
    drop((unsent, more, last));
    assert!(one.has_room_for_streams());

    let held: Vec<UnsentBytes> = permits[1..]
        .iter()
        .zip([14, 15, 16, 14])
        .map(|(permit, mib)| permit.connection().unsent_bytes(mib * MIB))
        .collect();
    assert!(permits[1..].iter().all(|permit| !permit.connection().cut.is_cancelled()), "59 MiB are within the bound");
    let sixth = connections.admit(address(6)).expect("room");
    let _over = sixth.connection().unsent_bytes(6 * MIB);
    let is_cut: Vec<bool> = permits[1..].iter().map(|permit| permit.connection().cut.is_cancelled()).collect();
    assert_eq!(is_cut, [false, false, true, false], "the one with the most");
    drop(held);
    assert_eq!(connections.shared.unsent.load(Ordering::Relaxed), 6 * MIB);
}
