//! The breaker's rules, one by one and over arbitrary histories.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A circuit that `failures` calls of `locations` locations met, and when the last one ended.
fn after(failures: u32, locations: u32) -> (Circuit, Instant) {
    let (circuit, now) = (Circuit::new(), Instant::now());
    for call in 0..failures {
        circuit.failed(now, now, &format!("location-{}", call % locations), None);
    }
    (circuit, now)
}

fn wait(circuit: &Circuit, now: Instant) -> Duration {
    match circuit.permits(now) {
        Permit::Wait(wait) => wait,
        other => panic!("no wait, but {other:?}"),
    }
}

fn probe(circuit: &Circuit, now: Instant) -> Probe {
    match circuit.permits(now) {
        Permit::Probe(probe) => probe,
        other => panic!("no probe, but {other:?}"),
    }
}

#[test]
fn ten_failures_of_five_locations_open_it_and_no_fewer() {
    for (failures, locations, opens) in [(10, 5, true), (9, 5, false), (10, 4, false), (1000, 3, false)] {
        let (circuit, now) = after(failures, locations);
        assert_eq!(circuit.is_open(), opens, "{failures} failures of {locations} locations");
        assert_eq!(matches!(circuit.permits(now), Permit::Go), !opens);
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
    assert!(matches!(circuit.permits(now), Permit::Go));
    // The next time begins with the shortest wait again.
    (0..10).for_each(|call| circuit.failed(now, now, &format!("location-{call}"), None));
    assert_eq!(wait(&circuit, now), FIRST_WAIT);
}

#[test]
fn one_probe_at_a_time_and_one_that_dies_makes_room() {
    let (circuit, now) = after(10, 5);
    let now = now + FIRST_WAIT;
    let first = probe(&circuit, now);
    assert_eq!(wait(&circuit, now), PROBE_WAIT);
    drop(first);
    let second = probe(&circuit, now);
    circuit.succeeded(now);
    // The circuit opens again, and only then the probe of the last time ends: it must not free the place of this time's.
    let (now, later) = (now + SECOND, now + SECOND + FIRST_WAIT);
    (0..10).for_each(|call| circuit.failed(now, now, &format!("location-{call}"), None));
    let _third = probe(&circuit, later);
    drop(second);
    assert_eq!(wait(&circuit, later), PROBE_WAIT);
}

#[test]
fn a_call_that_began_before_the_probe_says_nothing_about_it() {
    let (circuit, began) = after(10, 5);
    let now = began + FIRST_WAIT;
    circuit.failed(began, began + SECOND, "location-0", None);
    let _probe = probe(&circuit, now);
    circuit.failed(began, now, "location-1", None);
    assert_eq!(wait(&circuit, now), PROBE_WAIT, "the probe is still under way");
}

#[test]
fn a_longer_retry_after_is_kept_to() {
    let (circuit, now) = after(8, 8);
    circuit.failed(now, now, "location-8", Some(90 * SECOND));
    circuit.failed(now, now + SECOND, "location-9", Some(3 * SECOND));
    assert_eq!(wait(&circuit, now + SECOND), 89 * SECOND);
    circuit.failed(now, now + 2 * SECOND, "location-10", Some(100 * SECOND));
    assert_eq!(wait(&circuit, now + 2 * SECOND), 100 * SECOND);
    circuit.failed(now, now, "location-11", Some(Duration::MAX));
    assert_eq!(wait(&circuit, now + 2 * SECOND), 100 * SECOND);
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
        let (circuit, mut now) = (Circuit::new(), Instant::now());
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
                    let earliest = failures.iter().filter_map(|failure| failure.2).max();
                    match circuit.permits(now) {
                        Permit::Go => prop_assert!(!circuit.is_open()),
                        Permit::Wait(wait) => {
                            let asked = earliest.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
                            prop_assert!(!wait.is_zero() && wait <= asked.max(LONGEST_WAIT));
                        }
                        Permit::Probe(probe) => {
                            prop_assert!(held.iter().all(|(_, answered)| *answered));
                            prop_assert!(earliest.is_none_or(|at| now >= at));
                            prop_assert!(now >= failures[9].0 + FIRST_WAIT);
                            held.push((probe, false));
                        }
                    }
                }
            }
            let locations: BTreeSet<u8> = failures.iter().map(|failure| failure.1).collect();
            prop_assert_eq!(circuit.is_open(), failures.len() >= 10 && locations.len() >= 5);
        }
        held.clear();
        now += LONGEST_WAIT + Duration::from_millis(120_000);
        prop_assert!(!matches!(circuit.permits(now), Permit::Wait(_)));
    }
}
