//! The breaker's rules, one by one and over arbitrary histories.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A circuit that `failures` calls of `locations` locations met, and when the last one ended.
fn after(failures: u32, locations: u32) -> (CircuitBreaker, Instant) {
    let (circuit, now) = (CircuitBreaker::new(), Instant::now());
    for call in 0..failures {
        circuit.failed(now, now, &format!("location-{}", call % locations), None);
    }
    (circuit, now)
}

fn wait(circuit: &CircuitBreaker, now: Instant) -> Duration {
    match circuit.permits(now) {
        Permission::Wait(wait) => wait,
        other => panic!("no wait, but {other:?}"),
    }
}

fn probe(circuit: &CircuitBreaker, now: Instant) -> Probe {
    match circuit.permits(now) {
        Permission::Probe(probe) => probe,
        other => panic!("no probe, but {other:?}"),
    }
}

#[test]
fn ten_failures_of_five_locations_open_it_and_no_fewer() {
    for (failures, locations, opens) in [(10, 5, true), (9, 5, false), (10, 4, false), (1000, 3, false)] {
        let (circuit, now) = after(failures, locations);
        assert_eq!(circuit.is_open(), opens, "{failures} failures of {locations} locations");
        assert_eq!(matches!(circuit.permits(now), Permission::Allowed), !opens);
    }
}

#[test]
fn a_success_in_between_begins_the_count_anew() {
    let (circuit, now) = after(9, 5);
    circuit.succeeded(now);
    for location in ["a", "b", "c", "d", "e", "f", "g", "h", "i"] {
        circuit.failed(now, now, location, None);
    }
    assert!(!circuit.is_open());
}

#[test]
fn each_failed_probe_doubles_the_wait_up_to_the_longest() {
    let (circuit, mut now) = after(10, 5);
    for seconds in [5, 10, 20, 40, 60, 60] {
        assert_eq!(wait(&circuit, now), seconds * SECOND);
        now += seconds * SECOND;
        let probe = probe(&circuit, now);
        circuit.failed(now, now, "location-0", None);
        drop(probe);
    }
    circuit.succeeded(now);
    assert!(matches!(circuit.permits(now), Permission::Allowed));
    // The next time begins with the shortest wait again.
    (0..10).for_each(|call| circuit.failed(now, now, &format!("location-{call}"), None));
    assert_eq!(wait(&circuit, now), MIN_OPEN_DURATION);
}

#[test]
fn one_probe_at_a_time_and_one_that_dies_makes_room() {
    let (circuit, now) = after(10, 5);
    let now = now + MIN_OPEN_DURATION;
    let first = probe(&circuit, now);
    assert_eq!(wait(&circuit, now), PROBE_POLL_INTERVAL);
    drop(first);
    let second = probe(&circuit, now);
    circuit.succeeded(now);
    // The circuit opens again, and only then the probe of the last time ends: it must not free the place of this time's.
    let (now, later) = (now + SECOND, now + SECOND + MIN_OPEN_DURATION);
    (0..10).for_each(|call| circuit.failed(now, now, &format!("location-{call}"), None));
    let _third = probe(&circuit, later);
    drop(second);
    assert_eq!(wait(&circuit, later), PROBE_POLL_INTERVAL);
}

#[test]
fn a_call_that_began_before_the_probe_says_nothing_about_it() {
    let (circuit, began) = after(10, 5);
    let now = began + MIN_OPEN_DURATION;
    circuit.failed(began, began + SECOND, "location-0", None);
    let _probe = probe(&circuit, now);
    circuit.failed(began, now, "location-1", None);
    assert_eq!(wait(&circuit, now), PROBE_POLL_INTERVAL, "the probe is still under way");
}

/// Which location Google sends away, and for how many seconds.
type SentAway = (u8, u32);

/// Whom Google sends away within a streak of failures, and how long all of them wait for it.
#[test]
fn a_retry_after_counts_for_all_where_enough_different_locations_were_sent_away_for_it() {
    let first = 5;
    let hour = 3600;
    let cases: [(&str, &[SentAway], u32); 8] = [
        ("nobody", &[], first),
        ("one location's hour is its own", &[(0, hour)], first),
        ("however often it is told", &[(0, hour), (0, hour), (0, hour), (0, hour), (0, hour), (0, hour)], first),
        ("four are too few", &[(0, hour), (1, hour), (2, hour), (3, hour)], first),
        ("five are enough", &[(0, 90), (1, 90), (2, 90), (3, 90), (4, 90)], 90),
        ("as long as five of them", &[(0, hour), (1, 90), (2, 100), (3, 110), (4, 120)], 90),
        ("the five longest", &[(5, 20), (0, hour), (1, 90), (2, 100), (3, 110), (4, 120), (6, 10)], 90),
        ("a shorter wait than the breaker's own", &[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)], first),
    ];
    for (case, retry_after_seen, seconds) in cases {
        // Before the streak opens the circuit, and while it is open: the order must not matter.
        for opens_first in [false, true] {
            let (circuit, now) = if opens_first { after(10, 10) } else { (CircuitBreaker::new(), Instant::now()) };
            for (location, wait) in retry_after_seen {
                circuit.failed(now, now, &format!("location-{location}"), Some(*wait * SECOND));
            }
            for call in 0..10 {
                circuit.failed(now, now, &format!("location-{call}"), None);
            }
            assert_eq!(wait(&circuit, now), seconds * SECOND, "{case}, opens first: {opens_first}");
        }
    }
    let (circuit, now) = after(10, 10);
    circuit.failed(now, now, "location-11", Some(Duration::MAX));
    assert_eq!(wait(&circuit, now), MIN_OPEN_DURATION, "what no clock can hold");
}

#[test]
fn probes_rotate_whatever_comes_of_them() {
    let (circuit, mut now) = after(10, 5);
    assert!(circuit.probed().is_empty());
    for (number, fails) in [true, false, true].into_iter().enumerate() {
        now += MAX_OPEN_DURATION;
        let probe = probe(&circuit, now);
        probe.is_for(format!("tenants/{number}"));
        if fails {
            circuit.failed(now, now, "location-0", Some(3600 * SECOND));
        }
    }
    assert_eq!(circuit.probed(), ["tenants/0", "tenants/1", "tenants/2"]);
    assert!(wait(&circuit, now) <= MAX_OPEN_DURATION, "the hour of the one that was probed is its own");
    now += MAX_OPEN_DURATION;
    let again = probe(&circuit, now);
    again.is_for("tenants/0".to_owned());
    assert_eq!(circuit.probed(), ["tenants/1", "tenants/2", "tenants/0"], "its last turn counts");
    (0..200).for_each(|number| again.is_for(format!("tenants/other-{number}")));
    assert_eq!(circuit.probed().len(), MAX_REMEMBERED_PROBES);
    circuit.forget_probed();
    assert!(circuit.probed().is_empty());
    again.is_for("tenants/0".to_owned());
    circuit.succeeded(now);
    assert!(circuit.probed().is_empty(), "the next time begins anew");
    again.is_for("tenants/0".to_owned());
    assert!(circuit.probed().is_empty(), "there is nothing to probe");
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Fail(u8, Option<u64>),
    Succeed,
    Ask,
    EndProbe,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..40_000u64).prop_map(Step::Pass),
        12 => (0..7u8, proptest::option::weighted(0.1, 0..120_000u64)).prop_map(|(l, r)| Step::Fail(l, r)),
        1 => Just(Step::Succeed),
        4 => Just(Step::Ask),
        2 => Just(Step::EndProbe),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    /// Against the rules told over the whole history: open exactly from enough failures to a success, at most one probe without an
    /// answer, none too early, and none put off for ever.
    #[test]
    fn it_keeps_to_its_rules(steps in steps()) {
        let (circuit, mut now) = (CircuitBreaker::new(), Instant::now());
        let mut failures: Vec<(Instant, u8, Option<Instant>)> = vec![];
        let mut held: Vec<(Probe, bool)> = vec![];
        for step in steps {
            match step {
                Step::Pass(ms) => now += Duration::from_millis(ms),
                Step::Fail(location, retry_after) => {
                    let wait = retry_after.map(Duration::from_millis);
                    circuit.failed(now, now, &location.to_string(), wait);
                    failures.push((now, location, wait.map(|wait| now + wait)));
                    held.iter_mut().for_each(|(_, answered)| *answered = true);
                }
                Step::Succeed => {
                    circuit.succeeded(now);
                    failures.clear();
                    held.iter_mut().for_each(|(_, answered)| *answered = true);
                }
                Step::EndProbe => drop(held.pop()),
                Step::Ask => {
                    // Each location's latest time, the fifth of them from the end.
                    let mut latest: BTreeMap<u8, Instant> = BTreeMap::new();
                    for (_, location, asked) in &failures {
                        let Some(asked) = asked else { continue };
                        latest.entry(*location).and_modify(|at| *at = (*at).max(*asked)).or_insert(*asked);
                    }
                    let mut latest: Vec<Instant> = latest.into_values().collect();
                    latest.sort();
                    let earliest = latest.len().checked_sub(MIN_LOCATIONS).map(|nth| latest[nth]);
                    match circuit.permits(now) {
                        Permission::Allowed => prop_assert!(!circuit.is_open()),
                        Permission::Wait(wait) => {
                            let asked = earliest.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
                            prop_assert!(!wait.is_zero() && wait <= asked.max(MAX_OPEN_DURATION));
                        }
                        Permission::Probe(probe) => {
                            prop_assert!(held.iter().all(|(_, answered)| *answered));
                            prop_assert!(earliest.is_none_or(|at| now >= at));
                            prop_assert!(now >= failures[9].0 + MIN_OPEN_DURATION);
                            held.push((probe, false));
                        }
                    }
                }
            }
            let locations: BTreeSet<u8> = failures.iter().map(|failure| failure.1).collect();
            prop_assert_eq!(circuit.is_open(), failures.len() >= 10 && locations.len() >= 5);
        }
        held.clear();
        now += MAX_OPEN_DURATION + Duration::from_millis(120_000);
        prop_assert!(!matches!(circuit.permits(now), Permission::Wait(_)));
    }
}
