//! Which thread reads, and the replies that others wait for.
//!
//! | a waiting thread finds      | it                                       |
//! |-----------------------------|------------------------------------------|
//! | its reply                   | takes it                                 |
//! | the stream ended            | gives up                                 |
//! | its time is over            | gives up; a reply that comes later is dropped |
//! | no thread that reads        | reads one message, then looks again      |
//! | another thread that reads   | sleeps until one of the above is so      |
//!
//! A reader that leaves wakes one other thread, which reads from then on: without that all would sleep.

use crate::protocol::{Reply, slot_of_serial};
use mp_core::word::Deadline;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

#[derive(Debug, Default)]
pub(crate) struct Replies {
    state: Mutex<State>,
    /// Calls that were given up, and are not undone as far as is known.
    left: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    /// A thread reads now.
    reading: bool,
    ended: bool,
    /// A message has come.
    was_served: bool,
    waiting: HashMap<u64, Slot>,
}

#[derive(Debug)]
enum Slot {
    /// The thread has not come to wait yet.
    Sent,
    Asleep(Thread),
    Arrived(Reply),
    /// The thread has given up, and the server has not said yet that the call is undone.
    GivenUp,
}

/// What a reader has read.
#[derive(Debug)]
pub(crate) enum Read {
    Message(u64, Reply),
    /// No message in time.
    Nothing,
    /// The stream has ended.
    End,
}

/// What came for a thread that has given up.
#[derive(Debug)]
pub(crate) enum Left {
    Reply(Reply),
    /// The call through this slot is undone: the slot is free now.
    Slot(u32),
}

/// What a waiting thread does next.
#[derive(Debug)]
pub(crate) enum Turn {
    Arrived(Reply),
    Ended,
    /// Its time is over: it forgets the call, or waits on.
    Late,
    /// Reads one message and hands it to [`Replies::read`].
    Read,
}

impl Replies {
    /// The number of a new call.
    pub(crate) fn expect(&self) -> u64 {
        let mut state = self.lock();
        state.last += 1;
        let serial = state.last;
        state.waiting.insert(serial, Slot::Sent);
        serial
    }

    /// The call was not sent, or its thread has given up and does not mind when it is undone. Gives a reply that has
    /// come all the same.
    pub(crate) fn forget(&self, serial: u64) -> Option<Reply> {
        match self.lock().waiting.remove(&serial) {
            Some(Slot::Arrived(reply)) => Some(reply),
            _ => None,
        }
    }

    /// The thread gives the call up, unless its reply has come: gives that. The server is told next, and says when the
    /// call is undone. A slot's next call has the same serial: the slot is not used before that.
    pub(crate) fn leave(&self, serial: u64) -> Option<Reply> {
        let mut state = self.lock();
        match state.waiting.insert(serial, Slot::GivenUp) {
            Some(Slot::Arrived(reply)) => {
                state.waiting.remove(&serial);
                Some(reply)
            }
            _ => {
                // ORDERING: Relaxed: of this thread's own calls, or those of one that it tells.
                self.left.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// Whether the server may not have undone a call yet that was given up. Calls through slots would overtake that.
    #[inline]
    pub(crate) fn has_left(&self) -> bool {
        // ORDERING: Relaxed: as in `leave`.
        self.left.load(Ordering::Relaxed) != 0
    }

    /// Waits for the reply, or for the turn to read.
    pub(crate) fn wait(&self, serial: u64, until: Option<Deadline>) -> Turn {
        loop {
            let mut state = self.lock();
            match state.waiting.remove(&serial) {
                Some(Slot::Arrived(reply)) => {
                    state.wake_a_reader();
                    return Turn::Arrived(reply);
                }
                _ if state.ended => return Turn::Ended,
                _ if until.is_some_and(Deadline::passed) => {
                    state.wake_a_reader();
                    state.waiting.insert(serial, Slot::Sent);
                    return Turn::Late;
                }
                _ if !state.reading => {
                    state.reading = true;
                    state.waiting.insert(serial, Slot::Sent);
                    return Turn::Read;
                }
                _ => {
                    state.waiting.insert(serial, Slot::Asleep(thread::current()));
                }
            }
            drop(state);
            // A wake that comes before is kept by `park`; one without a reason is found out above.
            match until {
                Some(deadline) => thread::park_timeout(deadline.remaining()),
                None => thread::park(),
            }
        }
    }

    /// What the reader has read. It reads no more, unless it is given the turn again. Gives what no thread waits for.
    pub(crate) fn read(&self, read: Read) -> Option<Left> {
        let mut state = self.lock();
        state.reading = false;
        state.was_served |= matches!(read, Read::Message(..));
        match read {
            Read::Nothing => {}
            Read::Message(serial, reply) if matches!(state.waiting.get(&serial), Some(Slot::GivenUp)) => {
                if !matches!(reply, Reply::GivenUp) {
                    return Some(Left::Reply(reply));
                }
                state.waiting.remove(&serial);
                // ORDERING: Relaxed: what is undone is seen by the server's next answer.
                self.left.fetch_sub(1, Ordering::Relaxed);
                return slot_of_serial(serial).map(Left::Slot);
            }
            Read::Message(serial, reply) => {
                // Of a call through a slot, whose thread is about to wait here.
                if slot_of_serial(serial).is_some() {
                    state.waiting.entry(serial).or_insert(Slot::Sent);
                }
                let Some(slot) = state.waiting.get_mut(&serial) else { return Some(Left::Reply(reply)) };
                if let Slot::Asleep(thread) = std::mem::replace(slot, Slot::Arrived(reply)) {
                    thread.unpark();
                }
            }
            Read::End => {
                state.ended = true;
                state.waiting.values().filter_map(Slot::sleeper).for_each(Thread::unpark);
            }
        }
        None
    }

    /// The other side takes nothing: if nothing has come either, nothing will.
    pub(crate) fn end_unserved(&self) {
        let mut state = self.lock();
        state.ended |= !state.was_served;
    }

    /// Whether the stream has ended before anything came.
    pub(crate) fn was_refused(&self) -> bool {
        let state = self.lock();
        state.ended && !state.was_served
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Its own reply has come, so this thread does not read on: another one does.
    fn wake_a_reader(&self) {
        if !self.reading
            && let Some(thread) = self.waiting.values().find_map(Slot::sleeper)
        {
            thread.unpark();
        }
    }
}

impl Slot {
    fn sleeper(&self) -> Option<&Thread> {
        match self {
            Slot::Asleep(thread) => Some(thread),
            Slot::Sent | Slot::Arrived(_) | Slot::GivenUp => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(turn: Turn) -> u64 {
        match turn {
            Turn::Arrived(Reply::Count(number)) => number,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_reader_hands_replies_on_and_the_turn_to_read() {
        let replies = Replies::default();
        let (first, second) = (replies.expect(), replies.expect());
        assert!(matches!(replies.wait(first, None), Turn::Read));
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                // The second's thread reads only after the first has left.
                let turn = replies.wait(second, None);
                assert!(matches!(turn, Turn::Read), "{turn:?}");
                replies.read(Read::Message(second, Reply::Count(2)));
                number(replies.wait(second, None))
            });
            while !matches!(replies.lock().waiting.get(&second), Some(Slot::Asleep(_))) {
                std::thread::yield_now();
            }
            replies.read(Read::Message(first, Reply::Count(1)));
            assert_eq!(number(replies.wait(first, None)), 1);
            assert_eq!(other.join().unwrap(), 2);
        });
        assert!(replies.lock().waiting.is_empty());
    }

    #[test]
    fn a_reply_for_another_wakes_that_one() {
        let replies = Replies::default();
        let (first, second) = (replies.expect(), replies.expect());
        assert!(matches!(replies.wait(first, None), Turn::Read));
        replies.read(Read::Message(second, Reply::Count(2)));
        assert_eq!(number(replies.wait(second, None)), 2);
        assert!(matches!(replies.wait(first, None), Turn::Read));
        replies.read(Read::End);
        assert!(matches!(replies.wait(first, None), Turn::Ended));
    }

    #[test]
    fn one_that_is_late_leaves_nothing_and_has_another_read() {
        let replies = Replies::default();
        let (late, other) = (replies.expect(), replies.expect());
        let soon = Deadline::after(std::time::Duration::ZERO);
        std::thread::scope(|scope| {
            assert!(matches!(replies.wait(late, None), Turn::Read));
            let other = scope.spawn(|| replies.wait(other, None));
            while !matches!(replies.lock().waiting.get(&(late + 1)), Some(Slot::Asleep(_))) {
                std::thread::yield_now();
            }
            replies.read(Read::Nothing);
            assert!(matches!(replies.wait(late, soon), Turn::Late));
            assert!(matches!(other.join().unwrap(), Turn::Read));
        });
        assert!(replies.forget(late).is_none());
        assert!(matches!(replies.read(Read::Message(late, Reply::Done)), Some(Left::Reply(Reply::Done))));
        assert_eq!(replies.lock().waiting.len(), 1);
    }

    #[test]
    fn a_slot_that_was_given_up_is_free_once_its_call_is_undone() {
        let replies = Replies::default();
        let serial = crate::protocol::serial_of_slot(9);
        assert!(replies.leave(serial).is_none());
        let late = replies.read(Read::Message(serial, Reply::Done));
        assert!(matches!(late, Some(Left::Reply(Reply::Done))), "{late:?}");
        assert!(replies.has_left());
        assert!(matches!(replies.read(Read::Message(serial, Reply::GivenUp)), Some(Left::Slot(9))));
        assert!(replies.lock().waiting.is_empty() && !replies.has_left());
    }
}
