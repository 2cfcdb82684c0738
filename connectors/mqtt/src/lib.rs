//! The MQTT connector: PUBLISH packets in and out, MQTT 5.0 and 3.1.1. Here are its pure parts.

#![forbid(unsafe_code)]
#![allow(dead_code, unused_imports)]
pub mod bench;
mod config;
mod mapping;
#[cfg(test)]
mod testing;
