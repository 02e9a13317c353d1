//! Channels and select.
