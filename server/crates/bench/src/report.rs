//! How a figure is shown: one JSON object a line.

use category_mirror::commands::{CommandError, print};

/// Prints one figure.
pub(crate) fn report(figure: &serde_json::Value) -> Result<(), CommandError> {
    print(figure)
}

/// To two decimals.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
