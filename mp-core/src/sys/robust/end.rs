//! The end of a thread that still holds words, when its process lives on.
//!
//! ```text
//!  the thread's locals are dropped ── a guard of data was leaked ──► the words are the process's (leave_to_process)
//!              │
//!  the thread's very end ── words on the list ──► each off the list, DIED, one sleeper woken (ended)
//!              │
//!  the kernel walks the list: it is empty
//! ```
//!
//! The kernel would do the last step too, but by the links in the words, where other processes write: an
//! overwritten link could lead it into private memory of this process. So it is done here, by the private
//! copies. When the whole process dies the kernel does it, and there is no private memory left.
//!
//! # Safety
//! The one invariant is that of `robust.rs`: each entry of the list is a [`RobustWord`], mapped until it is
//! removed.
//!
//! # When a process dies
//! In the middle of this: the word in release is announced, the others are on the list, so the kernel completes
//! it.
#![allow(unsafe_code)]

use super::{MOST_HELD, RobustWord, THIS, THREADS, Thread, head, unlink};
use crate::word::{Ordering, Owned, Word};
use std::ptr;
use std::sync::PoisonError;

/// The kernel's `FUTEX_TID_MASK`, `FUTEX_OWNER_DIED` and `FUTEX_WAITERS`.
const OWNER: u32 = (1 << 30) - 1;
const DIED: u32 = 1 << 30;
const WAITERS: u32 = 1 << 31;

/// At the very end of a thread: gives up what is still on its list, newest first, and then its record.
pub(super) fn ended() {
    let Some(thread) = THIS.get() else { return };
    // ORDERING: Relaxed: this thread alone writes its count.
    let held = thread.count.load(Ordering::Relaxed).min(MOST_HELD);
    for at in (0..held).rev() {
        give_up(thread, at);
    }
    THIS.set(None);
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    threads.retain(|other| !ptr::eq(*other, thread));
    drop(threads);
    let record = ptr::from_ref(thread).cast_mut();
    // SAFETY: the record came from `Box::leak` in `register`, and the table and the thread-local slot, which were
    // all that referred to it, do so no more.
    drop(unsafe { Box::from_raw(record) });
}

/// Takes the newest entry off the list, and says that its holder died.
fn give_up(thread: &Thread, at: usize) {
    let Some(head) = head(thread) else { return };
    // ORDERING: Relaxed throughout, as in `enlist`.
    let (link, next) =
        (thread.held[at].link.load(Ordering::Relaxed), thread.held[at].next.load(Ordering::Relaxed));
    // SAFETY: it is the newest entry.
    let word = unsafe { word_of(link) };
    // A thread that is killed from here on leaves it to the kernel.
    word.announce();
    if head.list.load(Ordering::Relaxed) as usize == link {
        unlink(head, ptr::from_ref(head) as usize, next);
        // ORDERING: Release, pairs with the Acquire in `any_held_in`.
        thread.count.store(at, Ordering::Release);
    } else {
        // The C library has a mutex of its own before it.
        word.delist();
    }
    // ORDERING: Relaxed: confirmed by the exchange.
    let mut seen = word.word().load(Ordering::Relaxed);
    // ORDERING: Relaxed: this thread reads its own record.
    while seen & OWNER == thread.tid.load(Ordering::Relaxed) {
        let died = seen & WAITERS | DIED;
        // ORDERING: SeqCst: the kernel's exchange is a full barrier.
        match word.word().compare_exchange(seen, died, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => {
                word.word().wake(u32::from(seen & WAITERS != 0));
                break;
            }
            Err(now) => seen = now,
        }
    }
    word.retract();
}

/// Has the process hold what the calling thread holds, as far as the kernel knows of it: a thread that ends with it
/// would free it, and others may still use what it guards. It is freed at the end of the process, which a sleeper's
/// timed look at the owner finds out. Nothing to do for the main thread, whose end is the process's.
pub fn leave_to_process() {
    let (Some(thread), process) = (THIS.get(), std::process::id()) else { return };
    // ORDERING: Relaxed throughout: a thread reads its own record, newest entry first, as `delist` takes them away;
    // and the word changes hands, and nothing that it guards.
    let mine = thread.tid.load(Ordering::Relaxed);
    if mine == process {
        return;
    }
    let held = thread.count.load(Ordering::Relaxed).min(MOST_HELD);
    for entry in thread.held[..held].iter().rev() {
        // SAFETY: an entry.
        let word = unsafe { word_of(entry.link.load(Ordering::Relaxed)) };
        word.delist();
        let mut seen = word.word().load(Ordering::Relaxed);
        while seen & OWNER == mine {
            // In a lock's word the mark costs a wake; in a reader's it has others ask about the process.
            let left = seen & !OWNER | WAITERS | process;
            match word.word().compare_exchange(seen, left, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
    }
}

/// The word whose link is at this address.
///
/// # Safety
/// It is on the calling thread's list.
unsafe fn word_of(link: usize) -> &'static RobustWord {
    // SAFETY: enlisted by this thread and not delisted, so it is mapped (the invariant above).
    unsafe { &*((link - std::mem::offset_of!(RobustWord, next)) as *const RobustWord) }
}

#[cfg(test)]
mod tests {
    //! ORDERING: SeqCst throughout: a test.
    use super::*;
    use std::sync::mpsc::channel;

    fn take(word: &RobustWord) {
        word.announce();
        word.word().store(RobustWord::me(), Ordering::SeqCst);
        word.enlist();
        word.retract();
    }

    /// The kernel would take the second word for one that the thread holds.
    #[test]
    fn a_link_that_was_written_over_is_not_followed() {
        let (held, private) = (RobustWord::default(), RobustWord::default());
        let (say, hear) = channel();
        let (end, ends) = channel::<()>();
        let ends = std::sync::Mutex::new(ends);
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                take(&held);
                private.word().store(RobustWord::me(), Ordering::SeqCst);
                say.send(RobustWord::me()).unwrap();
                let _ = ends.lock().unwrap().recv();
            });
            let tid = hear.recv().unwrap();
            held.next.store(private.link() as usize, Ordering::SeqCst);
            drop(end);
            // Until the kernel is done with the thread, which is later than the scope waits for.
            thread.join().unwrap();
            let seen = (held.word().load(Ordering::SeqCst), private.word().load(Ordering::SeqCst));
            assert_eq!(seen, (DIED, tid));
        });
    }

    #[test]
    fn all_that_a_thread_leaves_is_died_and_off_its_list() {
        let words: [RobustWord; 3] = Default::default();
        std::thread::scope(|scope| {
            scope.spawn(|| words.iter().for_each(take)).join().unwrap();
        });
        assert!(words.iter().all(|word| word.word().load(Ordering::SeqCst) == DIED));
        let link = words[1].link() as usize;
        assert!(!super::super::any_held_in(link..link + 1));
    }
}
