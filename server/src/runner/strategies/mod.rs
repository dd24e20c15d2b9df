//! What each strategy knows of its two sides. One file each; none of them decides whether a run may write.

mod gbp_to_platform;
mod platform_to_gbp;
mod strategy;

pub(super) use self::{gbp_to_platform::GbpToPlatform, platform_to_gbp::PlatformToGbp, strategy::StrategySteps};
