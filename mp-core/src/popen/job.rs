//! The messages between parent, template and child.

use super::method::StartMethod;
use super::process_state::Changes;
use crate::process::Family;
use crate::sys::process::Ended;
use crate::sys::state::Limit;
use crate::transfer::{Code, Handle};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// The first message that a re-executed program receives on its boot socket.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Boot {
    /// Become this child. Its arguments are the second message, and the socket is its outcome socket.
    Run(Job),
    /// Become a template: call the preload function, then serve requests. `blocked` are the signals that the
    /// parent blocks, for the children; the template itself blocks more. `parent` is the parent's id, since it
    /// may end before the template begins.
    Serve { preload: Option<Code>, blocked: Vec<i32>, parent: u32, family: Family },
    /// Become a service with this title and call this function. Its arguments are the second message.
    Attend { title: String, code: Code, family: Family },
}

/// Packs the request for one more fork: the parent's current limit of processes. The packet also carries the
/// child's end of its outcome socket. (The parent makes the socket, since one that waited in the template's
/// answer would be slow: while a socket is in flight inside another, each close of a socket makes the kernel
/// search for lost ones.)
pub(super) fn pack_limit((soft, hard): Limit) -> [u8; 16] {
    let mut packet = [0; 16];
    packet[..8].copy_from_slice(&soft.to_le_bytes());
    packet[8..].copy_from_slice(&hard.to_le_bytes());
    packet
}

/// Unpacks the packet of [`pack_limit`].
pub(super) fn unpack_limit(packet: [u8; 16]) -> Limit {
    let both = u128::from_le_bytes(packet);
    (both as u64, (both >> 64) as u64)
}

/// The template's answer to a request for one more fork.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// A pre-forked child: a fork that waits on its outcome socket for its [`Request`].
    PreForked { pid: u32, pidfd: Handle },
    /// No fork was made.
    Refused(Refusal),
}

/// The message that makes a pre-forked child a child. Its arguments are the second message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) job: Job,
    pub(super) changes: Changes,
}

/// The work of one child: its identity and the function that it calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) identity: ChildIdentity,
    pub(crate) code: Code,
    pub(crate) lifeline: Handle,
}

/// The identity of a child.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ChildIdentity {
    pub(crate) name: String,
    /// The numbers with which the default names of its own children begin: `1:2` for `Process-1:2`.
    pub(crate) ordinals: Vec<u32>,
    pub(crate) daemon: bool,
    /// Whether it reads its parent's standard input, not an empty one.
    pub(crate) has_stdin: bool,
    pub(crate) parent_name: String,
    pub(crate) parent_pid: u32,
    /// Its start method, which is the default in the child.
    pub(crate) method: StartMethod,
    pub(crate) inherited: Option<Inherited>,
}

/// Further state that a child gets from its parent.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Inherited {
    /// The family's secret: never printed.
    pub(crate) authkey: Zeroizing<Vec<u8>>,
    /// The family itself.
    pub(crate) family: Family,
    /// The process that adopts the family's orphans, if there is one.
    pub(crate) adopter: Option<u32>,
    /// The level of the library's log.
    pub(crate) log_level: Option<usize>,
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inherited").field("log_level", &self.log_level).finish_non_exhaustive()
    }
}

/// The messages to the parent on the outcome socket, in this order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// From the child: the function returned, and its value is the parcel's second message.
    Returned,
    /// From the child: the function panicked.
    Panicked { message: String, location: String },
    /// From the child: the call could not be made, or its value could not be packed.
    Failed { reason: String },
    /// From the template: the child has ended with this status.
    Ended(Ended),
}

impl Outcome {
    /// The bytes of [`Outcome::Returned`], packed before the child exists: packing it would allocate.
    pub(crate) const RETURNED: [u8; 1] = [0];

    /// With no more of its text than a packet holds.
    pub(crate) fn cut(mut self) -> Outcome {
        const MOST: usize = 16 << 10;
        if let Outcome::Panicked { message: text, .. } | Outcome::Failed { reason: text } = &mut self
            && text.len() > MOST
        {
            let end = (0..=MOST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
            text.push_str(" [cut: there was no memory for all of it]");
        }
        self
    }
}

/// Why a template made no child.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Refusal {
    /// The system refused the fork, or a resource for it.
    System { errno: i32 },
    /// The preload function panicked, or could not be called.
    Preload { reason: String },
    /// There are threads in the template, so its forks would not be safe.
    Threads { threads: usize },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packed_word_is_what_packing_gives() {
        assert_eq!(crate::transfer::pack(&Outcome::Returned).unwrap().bytes, Outcome::RETURNED);
    }

    /// Of whole characters.
    #[test]
    fn a_long_text_is_cut_and_a_short_one_is_not() {
        let cut = |text: &str| match (Outcome::Failed { reason: text.to_owned() }).cut() {
            Outcome::Failed { reason } => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(cut("short"), "short");
        let long = cut(&format!("x{}", "\u{1F600}".repeat(10_000)));
        let kept = long.strip_suffix(" [cut: there was no memory for all of it]").unwrap();
        assert!(kept.len() > 16_000 && kept[1..].chars().all(|one| one == '\u{1F600}'));
    }
}
