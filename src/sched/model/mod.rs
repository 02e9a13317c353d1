//! Loom models of the scheduler's protocols, and of broken variants of them.
mod pin;
mod wake;
mod watch;
mod world;
