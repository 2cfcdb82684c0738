//! TEMP
#![forbid(unsafe_code)]
#![allow(dead_code)]
pub mod bench;
mod config;
mod mapping;
#[cfg(test)]
mod testing;
