//! Why a record was not put, or not taken.

/// A value in shared memory that this code did not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Corrupt;

/// Why a record was not put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
    TooLarge,
    NoMemory,
    /// The record's packet could not be sent.
    Unsent,
    /// This process cannot map the segment: the number of the system's error.
    Unmapped(i32),
    Corrupt,
}

impl From<Corrupt> for Refused {
    fn from(_: Corrupt) -> Refused {
        Refused::Corrupt
    }
}

/// Why no record was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    Empty,
    /// The queue is empty and stays so: it was shut down, or its counted producers have ended. Returned by
    /// the channel, never by the ring.
    Ended,
    /// The record's packet could not be received. The record stays in the ring.
    Unreceived,
    /// This process cannot map the segment; its records stay. The error number of the system.
    Unmapped(i32),
    Corrupt,
}

impl From<Corrupt> for NotTaken {
    fn from(_: Corrupt) -> NotTaken {
        NotTaken::Corrupt
    }
}
