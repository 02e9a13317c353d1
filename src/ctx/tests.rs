//! What a C test cannot see: counts of references, the shape of the tree, the timer's heap.

use super::canceller::Canceller;
use super::context::Ctx;
use super::{CANCELED, Group, TIMED_OUT, background};
use crate::chan::Chan;
use crate::primitive::FOREVER;
use std::ffi::c_void;
use std::ptr::null_mut;

static KEY: u8 = 0;
const FAR: i64 = FOREVER - 1;

fn with_cancel(parent: *mut Ctx) -> *mut Ctx {
    // SAFETY: the tests hold what they pass.
    unsafe { Ctx::with_cancel(parent) }
}

fn release(ctx: *mut Ctx) {
    // SAFETY: as above.
    unsafe { Ctx::release(ctx) };
}

fn cancel(ctx: *mut Ctx) {
    // SAFETY: as above.
    unsafe { Ctx::cancel(ctx, CANCELED, CANCELED) };
}

fn is_done(ctx: *mut Ctx) -> bool {
    // SAFETY: as above.
    unsafe { Ctx::outcome(ctx) }.is_some()
}

/// The children that `ctx` knows, the youngest first.
fn children(ctx: *mut Ctx) -> Vec<*mut Ctx> {
    let mut all = Vec::new();
    // SAFETY: as above, and nobody else works on the tree.
    unsafe {
        let mut child: *mut Canceller = (*Ctx::canceller(ctx)).first_child;
        while !child.is_null() {
            all.push(child.cast());
            child = (*child).next;
        }
    }
    all
}

#[test]
fn a_released_child_leaves_the_list_wherever_it_stands() {
    for leaver in 0..3 {
        let root = with_cancel(background());
        let mut all: Vec<_> = (0..3).map(|_| with_cancel(root)).collect();
        all.reverse();
        assert_eq!(children(root), all);
        release(all.remove(leaver));
        assert_eq!(children(root), all);
        all.into_iter().for_each(release);
        assert!(children(root).is_empty());
        release(root);
    }
}

#[test]
fn a_child_below_a_value_belongs_to_the_canceller_above() {
    let root = with_cancel(background());
    let key: *const c_void = (&raw const KEY).cast();
    // SAFETY: the test holds what it passes.
    unsafe {
        let value = Ctx::with_value(root, key, null_mut());
        let child = with_cancel(value);
        assert_eq!(children(root), [child]);
        let shield = Ctx::without_cancel(child);
        let below = with_cancel(shield);
        assert!(children(child).is_empty());
        cancel(root);
        assert!(is_done(child) && is_done(value) && !is_done(below));
        [root, value, shield, child].into_iter().for_each(release);
        assert!(!is_done(below));
        release(below);
    }
}

#[test]
fn a_done_child_stays_in_the_list_until_it_is_released_and_one_born_done_is_in_none() {
    let root = with_cancel(background());
    let child = with_cancel(root);
    cancel(child);
    assert_eq!(children(root), [child]);
    release(child);
    assert!(children(root).is_empty());
    cancel(root);
    let late = with_cancel(root);
    assert!(is_done(late) && children(root).is_empty());
    release(late);
    release(root);
}

#[test]
fn only_an_earlier_deadline_has_a_timer() {
    let timed = |ctx: *mut Ctx| {
        // SAFETY: the test holds it.
        unsafe { (*Ctx::canceller(ctx)).timed }
    };
    // SAFETY: the test holds what it passes.
    unsafe {
        let root = Ctx::with_deadline(background(), FAR);
        let later = Ctx::with_deadline(root, FOREVER);
        let same = Ctx::with_deadline(root, FAR);
        let earlier = Ctx::with_deadline(root, FAR - 1);
        assert!(timed(root) && !timed(later) && !timed(same) && timed(earlier));
        assert_eq!(Ctx::deadline(later), FAR);
        [root, later, same, earlier].into_iter().for_each(release);
        let none = Ctx::with_deadline(background(), FOREVER);
        assert!(!timed(none));
        release(none);
        let past = Ctx::with_timeout(background(), i64::MIN);
        assert_eq!(Ctx::outcome(past).map(|outcome| outcome.err), Some(TIMED_OUT));
        release(past);
    }
}

/// Nobody can be told of its deadline, so its timer need not keep it.
#[test]
fn a_released_context_with_a_deadline_is_gone() {
    // SAFETY: the test holds what it passes.
    unsafe {
        let root = with_cancel(background());
        let timed = Ctx::with_deadline(root, FAR);
        release(timed);
        assert!(children(root).is_empty());
        release(root);
    }
}

#[test]
fn a_retained_channel_keeps_its_context_in_the_tree_and_no_longer() {
    // SAFETY: the test holds what it passes.
    unsafe {
        let root = with_cancel(background());
        let child = with_cancel(root);
        let done = Ctx::done(child);
        assert_eq!(Ctx::done(child), done);
        Chan::retain(done);
        release(child);
        assert_eq!(children(root), [child]);
        Chan::release(done);
        assert!(children(root).is_empty());
        let child = with_cancel(root);
        Ctx::done(child);
        release(child);
        assert!(children(root).is_empty());
        release(root);
    }
}

#[test]
fn contexts_that_were_done_before_anybody_asked_share_a_channel() {
    let (one, two) = (with_cancel(background()), with_cancel(background()));
    cancel(one);
    cancel(two);
    // SAFETY: the test holds what it passes.
    unsafe {
        assert_eq!(Ctx::done(one), Ctx::done(two));
        assert!(Chan::is_closed(Ctx::done(one)));
    }
    release(one);
    release(two);
}

unsafe extern "C" fn nothing(_: *mut c_void) {}

#[test]
fn a_function_keeps_its_context_until_it_is_stopped() {
    let root = with_cancel(background());
    let child = with_cancel(root);
    let mut id = 0;
    // SAFETY: the test holds what it passes.
    unsafe {
        assert!(Ctx::after_func(child, nothing, null_mut(), &raw mut id).is_ok());
        Ctx::retain(child);
        release(child);
        assert_eq!(children(root), [child]);
        assert!(Ctx::after_func_stop(child, id));
        assert!(!Ctx::after_func_stop(child, id));
        release(child);
    }
    assert!(children(root).is_empty());
    release(root);
}

#[test]
fn a_group_gives_up_its_context() {
    let root = with_cancel(background());
    // SAFETY: the test holds what it passes.
    unsafe {
        let group = Group::new(root);
        assert_eq!(children(root), [Group::ctx(group)]);
        assert_eq!(Group::wait(group), 0);
        assert!(is_done(Group::ctx(group)) && !is_done(root));
        Group::release(group);
    }
    assert!(children(root).is_empty());
    release(root);
}
