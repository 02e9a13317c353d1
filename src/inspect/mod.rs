//! Seeing inside.
#![allow(dead_code, unused_imports)]

pub(crate) mod leaks;
pub(crate) mod list;
