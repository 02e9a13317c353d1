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
    RwMutexRLock,
    RwMutexLock,
    CondWait,
    OnceDo,
    Semacquire,
}
