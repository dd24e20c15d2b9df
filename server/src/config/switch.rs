//! Settings that are on or off.

use clap::builder::{BoolishValueParser, NonEmptyStringValueParser, TypedValueParser};

/// Reads `true`, `yes`, `on` or `1` as on, and `false`, `no`, `off`, `0` or nothing at all as off: a variable that is set to nothing, as
/// templates do, is as good as none.
pub(super) fn switch() -> impl TypedValueParser<Value = bool> {
    Switch
}

#[derive(Debug, Clone, Copy)]
struct Switch;

impl TypedValueParser for Switch {
    type Value = bool;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<bool, clap::Error> {
        if value.is_empty() { Ok(false) } else { BoolishValueParser::new().parse_ref(command, argument, value) }
    }
}

#[cfg(test)]
mod tests {
    use clap::{ArgAction, Command, CommandFactory};

    use crate::config::Cli;

    /// All settings that are on or off and have a variable.
    fn switches(command: &Command, found: &mut Vec<String>) {
        for argument in command.get_arguments().filter(|argument| matches!(argument.get_action(), ArgAction::SetTrue)) {
            let Some(name) = argument.get_env() else { continue };
            let name = name.to_string_lossy().into_owned();
            let read = |value: &str| {
                let parser = argument.get_value_parser();
                let parsed = parser.parse_ref(command, Some(argument), std::ffi::OsStr::new(value));
                parsed.map(|value| value.downcast_into::<bool>().expect("a switch"))
            };
            for (value, is_on) in
                [("", false), ("false", false), ("0", false), ("true", true), ("1", true), ("on", true)]
            {
                assert_eq!(read(value).ok(), Some(is_on), "{name}={value}");
            }
            assert!(read("perhaps").is_err(), "{name}");
            found.push(name);
        }
        command.get_subcommands().for_each(|command| switches(command, found));
    }

    #[test]
    fn a_switch_that_is_set_to_nothing_is_off() {
        let mut found = Vec::new();
        switches(&Cli::command(), &mut found);
        assert_eq!(found, ["INSECURE_LISTEN", "INSECURE_ADMIN_LISTEN"]);
    }
}
