//! Loom models of the scheduler's protocols, and of broken variants of them.
mod mail;
mod park;
mod pin;
mod shrink;
mod slot;
mod stackless;
mod wake;
mod watch;
mod world;
