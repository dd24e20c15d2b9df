//! Errors of the command line, in terms of this program's settings.

use std::error::Error;

use clap::{
    Arg, Command, CommandFactory,
    error::{ContextKind, ContextValue},
};

use super::Cli;

/// Returns one line: the setting by the name of its variable, its value, and the problem. A value that may be secret is
/// not repeated.
#[must_use]
pub fn explain(error: &clap::Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let problem = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => Some(format!("must be one of: {}", values.join(", "))),
        _ => error.source().map(ToString::to_string),
    };
    let setting = text(ContextKind::InvalidArg).and_then(|usage| find(&Cli::command(), usage));
    match (setting, text(ContextKind::InvalidValue), problem) {
        (Some(setting), Some(value), Some(problem)) => format!("{}: {problem}", name_and_value(&setting, value)),
        _ => first_paragraph(error),
    }
}

/// Finds the setting of a usage such as `--listen-addr <ADDR>` in any command: a name has the same meaning everywhere.
fn find(command: &Command, usage: &str) -> Option<Arg> {
    let long = usage.split_whitespace().next()?.strip_prefix("--")?;
    let here = command.get_arguments().find(|argument| argument.get_long() == Some(long)).cloned();
    here.or_else(|| command.get_subcommands().find_map(|command| find(command, usage)))
}

fn name_and_value(setting: &Arg, value: &str) -> String {
    let variable = setting.get_env().map(|name| name.to_string_lossy().into_owned());
    let name = variable.unwrap_or_else(|| format!("--{}", setting.get_long().unwrap_or_default()));
    if setting.is_hide_env_values_set() { name } else { format!("{name}={}", value.escape_debug()) }
}

/// Returns clap's text up to the usage, which `--help` explains better.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or(&text);
    let line = first.split_whitespace().collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn refused(arguments: &[&str]) -> String {
        let all = [&["category-mirror"], arguments].concat();
        explain(&Cli::try_parse_from(all).expect_err("refused"))
    }

    #[test]
    fn a_setting_is_named_like_its_variable_and_others_like_their_flag() {
        let cases = [
            (&["serve", "--listen-addr=x"][..], "LISTEN_ADDR=x: invalid socket address syntax"),
            (&["serve", "--log-format", "xml"], "LOG_FORMAT=xml: must be one of: text, json"),
            (&["token", "--subject=me", "--role=boss"], "--role=boss: must be one of: admin, viewer"),
            (&["serve", "--listen-addr", "a\nb"], "LISTEN_ADDR=a\\nb: invalid socket address syntax"),
            (&["serve", "--database-url=mysql://u:p@h"], "DATABASE_URL: must begin with postgres:// or postgresql://"),
            (&["serve", "--listne-addr=x"], "unexpected argument '--listne-addr' found"),
        ];
        for (arguments, line) in cases {
            assert_eq!(refused(arguments), line);
        }
    }
}
