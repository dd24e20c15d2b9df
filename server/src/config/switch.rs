//! Settings that are on or off.

use clap::builder::{BoolishValueParser, TypedValueParser};

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
