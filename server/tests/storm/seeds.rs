//! Several storms one after the other, each in a process of its own, with one line for each.

use std::{
    fs::{self, File},
    ops::RangeInclusive,
    process::{Command, ExitCode, Stdio},
};

use serde_json::Value;

use crate::options::Options;

/// Runs this program again for each seed, with the other arguments as they are. Fails if one of them does.
pub(crate) fn rage(options: &Options, seeds: RangeInclusive<u64>) -> ExitCode {
    let mut failed = Vec::new();
    for seed in seeds {
        let log = std::env::temp_dir().join(format!("category-mirror-storm-seed-{seed}-{}.log", std::process::id()));
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(options.of_one()).arg("--seed").arg(seed.to_string());
        let stderr = File::create(&log).expect("a log file");
        let output = command.stdin(Stdio::null()).stderr(stderr).output().expect("started");
        let summary = output.stdout.rsplit(|byte| *byte == b'\n').find(|line| !line.is_empty()).unwrap_or_default();
        let summary: Value = serde_json::from_slice(summary).unwrap_or_default();
        println!("{}", line(seed, &summary));
        if output.status.success() {
            // Nobody needs the log of a storm that found nothing.
            let _ = fs::remove_file(&log);
        } else {
            println!("  {}; its log is {}", output.status, log.display());
            failed.push(seed);
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("seeds with findings: {failed:?}");
    ExitCode::FAILURE
}

fn line(seed: u64, summary: &Value) -> String {
    let findings = summary["findings"].as_array().map_or(0, Vec::len);
    let number = |key: &str| summary[key].as_f64().unwrap_or_default();
    let first = summary["findings"][0].as_str().unwrap_or_default();
    let list = |key: &str| {
        let all = summary[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        all.collect::<Vec<_>>().join("; ")
    };
    let (failovers, never) = (list("failovers"), list("never"));
    format!(
        "seed {seed}: {findings} findings, {} runs, {} episodes of trouble, {} writes ({} unresolved, {} late), {} forgeries found, {} s, \
         failovers [{failovers}], never [{never}] {first}",
        number("terminal"),
        summary["trouble"]["episodes"]
            .as_object()
            .map_or(0, |kinds| kinds.values().filter_map(Value::as_u64).sum::<u64>()),
        number("patches_that_took_effect"),
        summary["trouble"]["unresolved_writes"].as_u64().unwrap_or_default(),
        number("late_writes"),
        number("forgeries_found"),
        number("duration_s"),
    )
}
