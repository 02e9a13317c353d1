//! Timers (interface; the heap comes next).
pub(crate) struct TimerNode {
    when: i64,
}
impl TimerNode {
    pub(crate) fn new() -> Self {
        TimerNode { when: i64::MAX }
    }
    pub(crate) fn set(
        &mut self,
        when: i64,
        _claim: unsafe fn(*mut TimerNode) -> bool,
        _fire: unsafe fn(*mut TimerNode),
    ) {
        self.when = when;
    }
    pub(crate) fn when(&self) -> i64 {
        self.when
    }
    pub(crate) unsafe fn cancel(_node: *mut TimerNode) {}
}
