//! Why a goroutine waits, in Go's words: what a dump and a deadlock report print.

/// What a parked goroutine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    BlockingCall,
    Io,
}

impl WaitReason {
    const ALL: [WaitReason; 15] = [
        WaitReason::None,
        WaitReason::ChanReceive,
        WaitReason::ChanSend,
        WaitReason::Select,
        WaitReason::SelectNoCases,
        WaitReason::Sleep,
        WaitReason::MutexLock,
        WaitReason::WaitGroupWait,
        WaitReason::RwMutexRLock,
        WaitReason::RwMutexLock,
        WaitReason::CondWait,
        WaitReason::OnceDo,
        WaitReason::Semacquire,
        WaitReason::BlockingCall,
        WaitReason::Io,
    ];

    /// Of a number that was read from somebody's record; `None` if it is none of these.
    pub(crate) fn from_u8(number: u8) -> WaitReason {
        Self::ALL.into_iter().find(|&reason| reason as u8 == number).unwrap_or(WaitReason::None)
    }

    /// Only another goroutine or thread of this process can end it, unless a deadline does.
    #[cfg(not(loom))]
    pub(crate) fn needs_somebody(self) -> bool {
        // To be named one by one: what comes later may be ended by the kernel.
        match self {
            WaitReason::ChanReceive
            | WaitReason::ChanSend
            | WaitReason::Select
            | WaitReason::SelectNoCases
            | WaitReason::MutexLock
            | WaitReason::WaitGroupWait
            | WaitReason::RwMutexRLock
            | WaitReason::RwMutexLock
            | WaitReason::CondWait
            | WaitReason::OnceDo
            | WaitReason::Semacquire => true,
            WaitReason::None | WaitReason::Sleep | WaitReason::BlockingCall | WaitReason::Io => false,
        }
    }

    /// Go's words for it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            WaitReason::None => "waiting",
            WaitReason::ChanReceive => "chan receive",
            WaitReason::ChanSend => "chan send",
            WaitReason::Select => "select",
            WaitReason::SelectNoCases => "select (no cases)",
            WaitReason::Sleep => "sleep",
            WaitReason::MutexLock => "sync.Mutex.Lock",
            WaitReason::WaitGroupWait => "sync.WaitGroup.Wait",
            WaitReason::RwMutexRLock => "sync.RWMutex.RLock",
            WaitReason::RwMutexLock => "sync.RWMutex.Lock",
            WaitReason::CondWait => "sync.Cond.Wait",
            WaitReason::OnceDo => "sync.Once.Do",
            WaitReason::Semacquire => "semacquire",
            WaitReason::BlockingCall => "blocking call",
            WaitReason::Io => "IO wait",
        }
    }
}
