//! Builds nothing yet but the crate itself.
fn main() {}
