//! Who is who, for good: a process id together with the moment the process began.
//!
//! A process id alone is used again after its owner's end; the pair is not. In shared memory the pair is two
//! words, so that whoever reads them can tell whether that process still lives.

use std::fs;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// A process, told apart from a later one with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// When it began, in clock ticks since boot; the low 32 bits. 0: not known, so that it may be any process
    /// with this id.
    pub began: u32,
}

/// The calling process, packed, once it was asked for.
static ME: AtomicU64 = AtomicU64::new(0);

extern "C" fn after_fork() {
    // ORDERING: Relaxed: one thread only, just after fork.
    ME.store(0, Ordering::Relaxed);
}

impl Identity {
    /// The calling process. When it began is not known if it can open no file now.
    #[inline]
    pub fn me() -> Identity {
        // ORDERING: Relaxed: whoever does not see it yet finds out for himself, with the same answer.
        match ME.load(Ordering::Relaxed) {
            0 => Identity::ask(),
            packed => Identity::unpack(packed),
        }
    }

    #[cold]
    fn ask() -> Identity {
        static AT_FORK: Once = Once::new();
        AT_FORK.call_once(|| super::process::at_fork_in_child(after_fork));
        let pid = std::process::id();
        let began = if let Look::Found(stat) = look(pid) { stat.began } else { 0 };
        let me = Identity { pid, began };
        // What could not be learned now is asked for again.
        if began != 0 {
            // ORDERING: as in `me`.
            ME.store(me.packed(), Ordering::Relaxed);
        }
        me
    }

    /// Both in one word, never 0.
    #[inline]
    pub fn packed(self) -> u64 {
        u64::from(self.pid) << 32 | u64::from(self.began)
    }

    /// What [`packed`](Identity::packed) made one word of.
    #[inline]
    pub fn unpack(packed: u64) -> Identity {
        Identity { pid: (packed >> 32) as u32, began: packed as u32 }
    }

    /// Whether that is the calling process.
    pub fn is_me(self) -> bool {
        let me = Identity::me();
        self.pid == me.pid && (me.began == 0 || self.began_at(me.began))
    }

    fn began_at(self, began: u32) -> bool {
        self.began == 0 || self.began == began
    }

    /// Whether that very process still lives. One that has ended and was not reaped is dead; one of which nothing
    /// can be learned (no descriptors are left to open the file) is not.
    pub fn lives(self) -> bool {
        match look(self.pid) {
            Look::Found(stat) => !stat.ended && self.began_at(stat.began),
            Look::Gone => false,
            Look::Unknown => true,
        }
    }
}

/// Whether a thread with this id lives, anywhere on the system. "Not known" is yes: a lock must not be taken from a
/// living holder, and whoever asks asks again.
pub(super) fn task_lives(tid: u32) -> bool {
    match look(tid) {
        Look::Found(stat) => !stat.ended,
        Look::Gone => false,
        Look::Unknown => true,
    }
}

enum Look {
    Found(Stat),
    Gone,
    /// The file could not be read: no descriptors, no memory, no /proc.
    Unknown,
}

fn look(id: u32) -> Look {
    match fs::read(format!("/proc/{id}/stat")) {
        Ok(text) => parse(&text).map_or(Look::Unknown, Look::Found),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Look::Gone,
        Err(_) => Look::Unknown,
    }
}

struct Stat {
    ended: bool,
    began: u32,
}

/// The second field may hold anything and ends at the last `)`.
fn parse(text: &[u8]) -> Option<Stat> {
    let rest = &text[text.iter().rposition(|&byte| byte == b')')? + 1..];
    let mut fields = std::str::from_utf8(rest).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    // Fields are counted from 3 here: 20 is num_threads, 22 starttime.
    let threads: u32 = fields.nth(16)?.parse().ok()?;
    let began: u64 = fields.nth(1)?.parse().ok()?;
    // A leader that has ended while other threads run shows as a zombie too.
    let ended = matches!(state, "X" | "x") || (state == "Z" && threads <= 1);
    Some(Stat { ended, began: began as u32 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_an_older_one_with_its_id_does_not() {
        let me = Identity::me();
        let older = Identity { began: me.began.wrapping_sub(1), ..me };
        assert!(me.lives() && me.is_me());
        assert!(!older.lives() && !older.is_me());
    }

    #[test]
    fn of_one_whose_beginning_is_not_known_the_id_alone_counts() {
        let me = Identity { began: 0, ..Identity::me() };
        assert!(me.lives() && me.is_me());
        assert!(!Identity { pid: u32::MAX >> 2, ..me }.lives());
    }

    #[test]
    fn no_process_has_the_largest_id() {
        assert!(!task_lives(u32::MAX >> 2));
    }
}
