//! Client of Category Mirror.
