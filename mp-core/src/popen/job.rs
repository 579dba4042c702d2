//! What parent, template and child tell each other.

use super::method::StartMethod;
use super::process_state::Changes;
use crate::process::Family;
use crate::sys::process::Ended;
use crate::sys::state::Limit;
use crate::transfer::{Code, Handle};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// The first parcel that a re-executed program finds on its boot socket.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Boot {
    /// Be this child; its arguments are the parcel's second message, and the socket is its outcome socket.
    Run(Job),
    /// Be a template: call this first; requests follow. What the parent holds back of signals, for the children: the
    /// template itself holds back more. The parent's id, since the parent may have ended before the template begins.
    Serve { preload: Option<Code>, blocked: Vec<i32>, parent: u32, family: Family },
    /// Be a service of this title and call this, nobody's child; its arguments are the parcel's second message.
    Attend { title: String, code: Code, family: Family },
}

/// What a template is sent to have it fork once more: how many processes its parent may have now; beside it, the
/// child's end of its outcome socket. (Made by the parent and not sent by the template, where it would wait with the
/// answer: while any socket is on its way inside another, each close of one has the kernel look for lost ones.)
pub(super) fn pack_limit((soft, hard): Limit) -> [u8; 16] {
    let mut packet = [0; 16];
    packet[..8].copy_from_slice(&soft.to_le_bytes());
    packet[8..].copy_from_slice(&hard.to_le_bytes());
    packet
}

/// What [`pack_limit`] has packed.
pub(super) fn unpack_limit(packet: [u8; 16]) -> Limit {
    let both = u128::from_le_bytes(packet);
    (both as u64, (both >> 64) as u64)
}

/// What a template answers to each packet on its control socket, which asks for one more fork.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// A pre-forked child: a fork that waits on its outcome socket for its [`Request`].
    PreForked { pid: u32, pidfd: Handle },
    /// There is none.
    Refused(Refusal),
}

/// What makes a pre-forked child a child; the arguments are the parcel's second message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) job: Job,
    pub(super) changes: Changes,
}

/// One child: who it is and what it calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) identity: ChildIdentity,
    pub(crate) code: Code,
    pub(crate) lifeline: Handle,
}

/// ChildIdentity a child is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ChildIdentity {
    pub(crate) name: String,
    /// The numbers that its own children's default names begin with: `1:2` for `Process-1:2`.
    pub(crate) ordinals: Vec<u32>,
    pub(crate) daemon: bool,
    /// Whether it reads its parent's standard input, and not an empty one.
    pub(crate) has_stdin: bool,
    pub(crate) parent_name: String,
    pub(crate) parent_pid: u32,
    /// How it is started, which is the default in the child.
    pub(crate) method: StartMethod,
    pub(crate) inherited: Option<Inherited>,
}

/// What a child has from its parent besides.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Inherited {
    /// The family's secret: never printed.
    pub(crate) authkey: Zeroizing<Vec<u8>>,
    /// The family itself.
    pub(crate) family: Family,
    /// What of the library's log is shown.
    pub(crate) log_level: Option<usize>,
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inherited").field("log_level", &self.log_level).finish_non_exhaustive()
    }
}

/// What comes to the parent on the outcome socket, in this order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// From the child: the function returned, and its value is the parcel's second message.
    Returned,
    /// From the child: the function panicked.
    Panicked { message: String, location: String },
    /// From the child: the call could not be made, or its value could not be packed.
    Failed { reason: String },
    /// From the template: the child has ended like this.
    Ended(Ended),
}

impl Outcome {
    /// [`Outcome::Returned`] as it is packed, ready before the child is there: packing it would allocate.
    pub(crate) const RETURNED: [u8; 1] = [0];
}

/// Why a template made no child.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Refusal {
    /// The system refused the fork, or what it needs.
    System { errno: i32 },
    /// The preload function panicked, or could not be called.
    Preload { reason: String },
    /// Something started threads in the template, so its forks would not be safe.
    Threads { threads: usize },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packed_word_is_what_packing_gives() {
        assert_eq!(crate::transfer::pack(&Outcome::Returned).unwrap().bytes, Outcome::RETURNED);
    }
}
