//! What the server's thread waits for: descriptors, and slots that were asked.
//!
//! ```text
//!   look at the slots' bits ─► now and then at the descriptors ─► pause … budget spent: sleep on the descriptors, the
//!                                                                  doorbell among them, until the next deadline
//! ```

use super::Server;
use super::lines::Lines;
use mp_core::error::OsResult;
use mp_core::sys::waitset::{Ready, Room};
use mp_core::word::{Deadline, Pace, Waiting};
use std::time::Duration;

/// Looks at the slots for one at the descriptors, while neither has anything.
const LOOKS: u32 = 32;

impl Server {
    /// What is ready now.
    pub(super) fn look_now(&self, room: &mut Room) -> OsResult<Vec<u64>> {
        self.look(room, Deadline::after(Duration::ZERO))
    }

    /// What is ready by then.
    fn look(&self, room: &mut Room, until: Option<Deadline>) -> OsResult<Vec<u64>> {
        let ready = self.set.wait_for_all(room, until)?;
        Ok(ready.filter_map(|ready| if let Ready::Member(key) = ready { Some(key) } else { None }).collect())
    }

    /// What is ready; nothing at the next deadline, or once a slot was asked. It looks a while before it sleeps, where
    /// that has been worth it.
    pub(super) fn wait(&self, room: &mut Room) -> OsResult<Vec<u64>> {
        let mut waiting = match &self.lines {
            Some(lines) if lines.are_together() => Waiting::spinning(&self.spins, Pace::Dense, 0),
            _ => Waiting::new(&self.spins, Pace::Dense),
        };
        // A look at the descriptors is a system call, and one at the slots is not.
        let every = if self.lines.as_ref().is_some_and(Lines::is_used) { LOOKS } else { 1 };
        let mut looks = 0_u32;
        loop {
            if self.lines.as_ref().is_some_and(Lines::is_any_asked) {
                waiting.found();
                return Ok(Vec::new());
            }
            if looks % every == every - 1 {
                let ready = self.look_now(room)?;
                if !ready.is_empty() {
                    waiting.found();
                    return Ok(ready);
                }
            }
            looks += 1;
            if !waiting.pause() {
                let ready = self.sleep(room)?;
                waiting.found();
                return Ok(ready);
            }
        }
    }

    fn sleep(&self, room: &mut Room) -> OsResult<Vec<u64>> {
        let Some(lines) = &self.lines else { return self.look(room, self.calls.next_deadline()) };
        if !lines.begin_sleep() {
            return Ok(Vec::new());
        }
        let ready = self.look(room, self.calls.next_deadline());
        lines.end_sleep();
        ready
    }
}
