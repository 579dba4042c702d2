//! Which thread reads, and the replies that others wait for.
//!
//! | a waiting thread finds      | it                                       |
//! |-----------------------------|------------------------------------------|
//! | its reply                   | takes it                                 |
//! | the stream ended            | gives up                                 |
//! | no thread that reads        | reads one message, then looks again      |
//! | another thread that reads   | sleeps until one of the above is so      |
//!
//! A reader that leaves wakes one other thread, which reads from then on: without that all would sleep.

use crate::protocol::{Reply, slot_of_serial};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

#[derive(Debug, Default)]
pub(crate) struct Replies(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    /// A thread reads now.
    reading: bool,
    ended: bool,
    waiting: HashMap<u64, Slot>,
}

#[derive(Debug)]
enum Slot {
    /// The thread has not come to wait yet.
    Sent,
    Asleep(Thread),
    Arrived(Reply),
}

/// What a waiting thread does next.
#[derive(Debug)]
pub(crate) enum Turn {
    Arrived(Reply),
    Ended,
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

    /// The call was not sent.
    pub(crate) fn forget(&self, serial: u64) {
        self.lock().waiting.remove(&serial);
    }

    /// Waits for the reply, or for the turn to read.
    pub(crate) fn wait(&self, serial: u64) -> Turn {
        loop {
            let mut state = self.lock();
            match state.waiting.remove(&serial) {
                Some(Slot::Arrived(reply)) => {
                    state.wake_a_reader();
                    return Turn::Arrived(reply);
                }
                _ if state.ended => return Turn::Ended,
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
            thread::park();
        }
    }

    /// What the reader has read, or `None`: the stream ended. It reads no more, unless it is given the turn again.
    pub(crate) fn read(&self, read: Option<(u64, Reply)>) {
        let mut state = self.lock();
        state.reading = false;
        match read {
            Some((serial, reply)) => {
                // Of a call through a slot, whose thread is about to wait here.
                if slot_of_serial(serial).is_some() {
                    state.waiting.entry(serial).or_insert(Slot::Sent);
                }
                if let Some(slot) = state.waiting.get_mut(&serial)
                    && let Slot::Asleep(thread) = std::mem::replace(slot, Slot::Arrived(reply))
                {
                    thread.unpark();
                }
            }
            None => {
                state.ended = true;
                state.waiting.values().filter_map(Slot::sleeper).for_each(Thread::unpark);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            Slot::Sent | Slot::Arrived(_) => None,
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
        assert!(matches!(replies.wait(first), Turn::Read));
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                // The second's thread reads only after the first has left.
                let turn = replies.wait(second);
                assert!(matches!(turn, Turn::Read), "{turn:?}");
                replies.read(Some((second, Reply::Count(2))));
                number(replies.wait(second))
            });
            while !matches!(replies.lock().waiting.get(&second), Some(Slot::Asleep(_))) {
                std::thread::yield_now();
            }
            replies.read(Some((first, Reply::Count(1))));
            assert_eq!(number(replies.wait(first)), 1);
            assert_eq!(other.join().unwrap(), 2);
        });
        assert!(replies.lock().waiting.is_empty());
    }

    #[test]
    fn a_reply_for_another_wakes_that_one() {
        let replies = Replies::default();
        let (first, second) = (replies.expect(), replies.expect());
        assert!(matches!(replies.wait(first), Turn::Read));
        replies.read(Some((second, Reply::Count(2))));
        assert_eq!(number(replies.wait(second)), 2);
        assert!(matches!(replies.wait(first), Turn::Read));
        replies.read(None);
        assert!(matches!(replies.wait(first), Turn::Ended));
    }
}
