//! TEMP
#![forbid(unsafe_code)]
#![allow(dead_code)]
mod config;
mod mapping;
#[cfg(test)]
mod testing;
