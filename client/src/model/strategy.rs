//! Strategies: which side wins.

use std::str::FromStr;

use crate::Error;

open_enum! {
    /// Which side wins, and therefore which side is written.
    Strategy {
        /// The platform wins: the tenant's mapped categories are written to its GBP location.
        PlatformToGbp = 1, "platform_to_gbp";
        /// Google wins: the location's categories are written to the platform.
        GbpToPlatform = 2, "gbp_to_platform";
    }
}

open_enum! {
    /// Which of Google's records of a location is the source.
    GbpView {
        /// The merchant's record.
        Merchant = 1, "merchant";
        /// The public's record, which includes Google's own edits.
        Public = 2, "public";
    }
}

impl GbpView {
    pub(crate) fn to_wire(self) -> i32 {
        match self {
            Self::Merchant => 1,
            Self::Public => 2,
            Self::Unknown(number) => number,
        }
    }
}

impl FromStr for GbpView {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "merchant" => Ok(Self::Merchant),
            "public" => Ok(Self::Public),
            other => Err(Error::setting(format!("view {other:?}: must be merchant or public"))),
        }
    }
}

impl Strategy {
    pub(crate) fn to_wire(self) -> i32 {
        match self {
            Self::PlatformToGbp => 1,
            Self::GbpToPlatform => 2,
            Self::Unknown(number) => number,
        }
    }
}

impl FromStr for Strategy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "platform_to_gbp" => Ok(Self::PlatformToGbp),
            "gbp_to_platform" => Ok(Self::GbpToPlatform),
            other => Err(Error::setting(format!("strategy {other:?}: must be platform_to_gbp or gbp_to_platform"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_wire_lead_back() {
        for strategy in [Strategy::PlatformToGbp, Strategy::GbpToPlatform] {
            assert_eq!(strategy.to_string().parse::<Strategy>().expect("its own text"), strategy);
            assert_eq!(Strategy::from_wire(strategy.to_wire()), strategy);
        }
        assert_eq!(Strategy::from_wire(9), Strategy::Unknown(9));
        assert_eq!(Strategy::Unknown(9).to_wire(), 9);
        assert!("".parse::<Strategy>().is_err());
    }
}
