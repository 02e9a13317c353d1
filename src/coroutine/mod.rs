//! Stacks and switching.
