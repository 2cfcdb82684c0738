//! placeholder
pub mod routing;
