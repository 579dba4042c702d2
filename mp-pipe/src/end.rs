//! One end of a connection in this process: the socket, and a lock for each direction.
//!
//! ```text
//!  bytes:  [ length ][ payload …………………………………………… ]                 one send; two receives
//!  typed:  [ length ][ count: u32, big-endian ][ postcard … ]         the same
//!            └ descriptors beside the length's bytes
//! ```
//!
//! `count` descriptors travel beside the first bytes of the frame, up to 253 beside each byte. So all of them have
//! arrived when the length has, and the receiver never waits for a missing one. More than 253 need one `sendmsg` for
//! each further byte of the length.
//!
//! # Sharing an end
//! A frame is written under one lock and read under another, so threads take turns by whole frames. A copy of the end
//! in another process has locks of its own. There the kernel helps: Linux queues the 16 KiB (and more) of one `sendmsg`
//! on a local stream as one piece or not at all.
//!
//! # Looking before sleeping
//! Both halves spin before they sleep, where that has been worth it (`spin.rs`): between
//! two CPUs a message then takes two microseconds instead of the fifteen that waking a sleeper takes.
//!
//! # When a process dies
//! In the middle of sending: the other side has the rest of the frame cut off (`Truncated`), once no other
//! process holds this end. In the middle of receiving: the bytes taken from the socket are lost with the process.
//!
//! # Tested by
//! tests/connection.rs, tests/handles.rs, tests/processes.rs

use crate::incoming::Incoming;
use crate::outgoing::Outgoing;
use mp_core::transfer::Handle;
use parking_lot::Mutex;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// One end.
#[derive(Debug)]
pub(crate) struct End {
    socket: Handle,
    pub(crate) sending: Mutex<Outgoing>,
    pub(crate) receiving: Mutex<Incoming>,
    /// What tells the listener that has let it in that it is still open.
    _admission: Option<Arc<()>>,
}

impl End {
    pub(crate) fn new(socket: Handle) -> End {
        End { socket, sending: Mutex::default(), receiving: Mutex::default(), _admission: None }
    }

    #[cfg(feature = "listener")]
    pub(crate) fn admitted(self, admission: Arc<()>) -> End {
        End { _admission: Some(admission), ..self }
    }

    pub(crate) fn socket(&self) -> &Handle {
        &self.socket
    }

    /// Whether a part of a message is kept here that a copy of the end elsewhere would miss. A call under way
    /// in another thread finishes its message here by itself.
    pub(crate) fn mid_message(&self) -> bool {
        let receiving = self.receiving.try_lock().is_some_and(|incoming| !incoming.at_boundary());
        receiving || self.sending.try_lock().is_some_and(|outgoing| !outgoing.at_boundary())
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
