//! Metrics of this process from the operating system, with the names that Prometheus' client libraries use, read on
//! each scrape.
//!
//! The source is Linux's `/proc`. Without it, or if it cannot be read, these metrics are absent.

use std::{fmt::Write, fs, io};

use super::{Kind, METRICS, Metric};

/// Ticks per second in `/proc/self/stat`: the same for all programs on Linux, whatever the kernel's own frequency.
const TICKS: f64 = 100.0;
/// Positions of fields in `/proc/self/stat`, counted from the one after the program's name.
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const START_TICKS: usize = 19;

/// Appends the lines of all metrics that can be read. Blocks for some system calls, and while it counts the
/// descriptors.
pub(super) fn render(text: &mut String) {
    let sampled = [
        ("process_cpu_seconds_total", cpu_seconds()),
        ("process_open_fds", open_descriptors()),
        ("process_max_fds", max_descriptors()),
        ("process_resident_memory_bytes", memory("VmRSS:")),
        ("process_virtual_memory_bytes", memory("VmSize:")),
        ("process_start_time_seconds", start_time()),
    ];
    for (name, value) in sampled {
        let described = METRICS.iter().find(|metric| metric.name == name);
        if let (Some(Metric { kind, help, .. }), Ok(value)) = (described, value) {
            let kind = if *kind == Kind::Counter { "counter" } else { "gauge" };
            // Writing to a string cannot fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
        }
    }
}

fn cpu_seconds() -> io::Result<f64> {
    let stat = Stat::read()?;
    Ok((stat.number(USER_TICKS)? + stat.number(SYSTEM_TICKS)?) / TICKS)
}

fn start_time() -> io::Result<f64> {
    let booted = fs::read_to_string("/proc/stat")?;
    let booted = booted.lines().find_map(|line| line.strip_prefix("btime "));
    Ok(number(booted)? + Stat::read()?.number(START_TICKS)? / TICKS)
}

#[expect(clippy::cast_precision_loss, reason = "descriptors are far below 2^53")]
fn open_descriptors() -> io::Result<f64> {
    // One of them is the open directory itself.
    Ok(fs::read_dir("/proc/self/fd")?.count().saturating_sub(1) as f64)
}

fn max_descriptors() -> io::Result<f64> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    number(soft.and_then(|limits| limits.split_whitespace().next()))
}

fn memory(field: &str) -> io::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let size = status.lines().find_map(|line| line.strip_prefix(field));
    Ok(number(size.and_then(|size| size.split_whitespace().next()))? * 1024.0)
}

/// `/proc/self/stat` after the program's name, which may contain spaces and parentheses.
struct Stat(String);

impl Stat {
    fn read() -> io::Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        let (_, fields) = stat.rsplit_once(')').ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self(fields.to_owned()))
    }

    fn number(&self, place: usize) -> io::Result<f64> {
        number(self.0.split_whitespace().nth(place))
    }
}

fn number(text: Option<&str>) -> io::Result<f64> {
    text.and_then(|text| text.trim().parse().ok()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_system_knows_this_process() {
        let before = cpu_seconds().expect("read");
        let _held: Vec<_> = (0..100).map(|_| fs::File::open("/proc/self/stat").expect("open")).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        assert!(before >= 0.0 && cpu_seconds().expect("read") >= before);
        let (open, most) = (open_descriptors().expect("read"), max_descriptors().expect("read"));
        assert!(open >= 100.0 && open <= most, "{open} of {most}");
        let (resident, all) = (memory("VmRSS:").expect("read"), memory("VmSize:").expect("read"));
        assert!(resident > 1e6 && resident < all, "{resident} of {all}");
        let started = start_time().expect("read");
        assert!(started > 1.5e9 && started <= now + 1.0, "{started}");
        let mut text = String::new();
        render(&mut text);
        assert_eq!(text.matches("\n# TYPE process_").count(), 6, "{text}");
    }
}
