//! Tests of the rules of channels and select, with plain threads in every role.

mod close;
mod lifetime;
mod order;
mod select;
mod select_parked;
mod select_race;
mod sizes;
mod support;
mod until;
