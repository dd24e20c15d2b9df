//! What a set is made of: a category of Google's, one of the platform's, or either, as runs record them.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Gcid, PlatformCategory, Slug,
    text::{composed, is_same_name},
};

/// A member of a category set. Two are equal when they are the same category, whatever they are called.
pub trait Category: Clone + PartialEq + fmt::Display {
    /// Its identity on its side. Sets are sorted by it.
    fn key(&self) -> &str;

    /// Whether `before`, the same category as it was, has to be written again to become `self`.
    fn renames(&self, before: &Self) -> bool;

    /// What of it decides about a plan, in the plan's canonical form.
    fn canonical(&self) -> Value;
}

/// A category of Google's taxonomy. Its identity is the [`Gcid`] alone: the name differs by language and region.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GbpCategory {
    /// What it is.
    pub gcid: Gcid,
    /// What people call it; empty where nobody said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
}

impl GbpCategory {
    /// A category with its name.
    #[must_use]
    pub fn new(gcid: Gcid, display_name: impl Into<String>) -> Self {
        Self { gcid, display_name: display_name.into() }
    }
}

impl PartialEq for GbpCategory {
    fn eq(&self, other: &Self) -> bool {
        self.gcid == other.gcid
    }
}

impl Eq for GbpCategory {}

impl Hash for GbpCategory {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.gcid.hash(state);
    }
}

/// What it is, and not what it is called.
impl fmt::Display for GbpCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.gcid, f)
    }
}

impl Category for GbpCategory {
    fn key(&self) -> &str {
        self.gcid.slug()
    }

    /// Never: names are Google's to give.
    fn renames(&self, _: &Self) -> bool {
        false
    }

    fn canonical(&self) -> Value {
        json!(self.gcid)
    }
}

/// A platform category that a tenant has, or is to have. Its identity is the slug.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TenantCategory {
    /// What it is.
    pub slug: Slug,
    /// What people call it.
    pub display_name: String,
    /// What it stands for at Google; `None` is unmapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcid: Option<Gcid>,
    /// The language and region, such as `en-US`, of the name that Google gave it when it was imported. `None`: it is the platform's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_locale: Option<String>,
}

impl From<&PlatformCategory> for TenantCategory {
    fn from(category: &PlatformCategory) -> Self {
        let PlatformCategory { slug, display_name, gcid, imported_locale, .. } = category.clone();
        Self { slug, display_name, gcid, imported_locale }
    }
}

impl PartialEq for TenantCategory {
    fn eq(&self, other: &Self) -> bool {
        self.slug == other.slug
    }
}

impl Eq for TenantCategory {}

/// What it is, and not what it is called.
impl fmt::Display for TenantCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.slug, f)
    }
}

impl Category for TenantCategory {
    fn key(&self) -> &str {
        self.slug.as_str()
    }

    /// The name of an imported category is Google's, so that a new one is a change; any other is the platform's to choose.
    fn renames(&self, before: &Self) -> bool {
        self.imported_locale.is_some() && !is_same_name(&self.display_name, &before.display_name)
    }

    fn canonical(&self) -> Value {
        match self.imported_locale {
            Some(_) => json!([self.slug, composed(&self.display_name)]),
            None => json!(self.slug),
        }
    }
}

/// A category of whichever side a run writes to, as the run records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EitherCategory {
    /// The platform's. It comes first, because it is told by its slug.
    Platform(TenantCategory),
    /// Google's.
    Gbp(GbpCategory),
}

impl fmt::Display for EitherCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform(category) => category.fmt(f),
            Self::Gbp(category) => category.fmt(f),
        }
    }
}

impl Category for EitherCategory {
    fn key(&self) -> &str {
        match self {
            Self::Platform(category) => category.key(),
            Self::Gbp(category) => category.key(),
        }
    }

    fn renames(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Platform(category), Self::Platform(before)) => category.renames(before),
            _ => false,
        }
    }

    fn canonical(&self) -> Value {
        match self {
            Self::Platform(category) => category.canonical(),
            Self::Gbp(category) => category.canonical(),
        }
    }
}

impl From<TenantCategory> for EitherCategory {
    fn from(category: TenantCategory) -> Self {
        Self::Platform(category)
    }
}

impl From<GbpCategory> for EitherCategory {
    fn from(category: GbpCategory) -> Self {
        Self::Gbp(category)
    }
}

/// A record of one side, where the other one was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record is for the other side")]
pub struct WrongTarget;

impl TryFrom<EitherCategory> for TenantCategory {
    type Error = WrongTarget;

    fn try_from(category: EitherCategory) -> Result<Self, WrongTarget> {
        match category {
            EitherCategory::Platform(category) => Ok(category),
            EitherCategory::Gbp(_) => Err(WrongTarget),
        }
    }
}

impl TryFrom<EitherCategory> for GbpCategory {
    type Error = WrongTarget;

    fn try_from(category: EitherCategory) -> Result<Self, WrongTarget> {
        match category {
            EitherCategory::Gbp(category) => Ok(category),
            EitherCategory::Platform(_) => Err(WrongTarget),
        }
    }
}
