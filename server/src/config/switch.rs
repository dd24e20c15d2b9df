//! Settings that are on or off.

use clap::builder::{BoolishValueParser, TypedValueParser};

/// Parses `true`, `yes`, `on` or `1` as on, and `false`, `no`, `off`, `0` or an empty value as off. A variable with an
/// empty value, as templates produce, counts as not set.
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
