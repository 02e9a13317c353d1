//! Why a goroutine waits, in Go's words: what a dump and a deadlock report print.

/// What a parked goroutine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WaitReason {
    /// Not waiting.
    None,
    ChanReceive,
    ChanSend,
    Select,
    SelectNoCases,
    Sleep,
    MutexLock,
    WaitGroupWait,
}

impl WaitReason {
    /// The text in brackets of a dump.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            WaitReason::None => "",
            WaitReason::ChanReceive => "chan receive",
            WaitReason::ChanSend => "chan send",
            WaitReason::Select => "select",
            WaitReason::SelectNoCases => "select (no cases)",
            WaitReason::Sleep => "sleep",
            WaitReason::MutexLock => "sync.Mutex.Lock",
            WaitReason::WaitGroupWait => "sync.WaitGroup.Wait",
        }
    }
}
