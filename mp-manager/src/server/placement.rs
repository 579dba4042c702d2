//! Whether the server runs on the CPU of those that call it, and when it leaves that CPU.
//!
//! Two that answer each other on one CPU switch twice for each call, and neither gains by spinning. The scheduler keeps
//! them together for as long as it never finds both runnable, and where a wake puts the woken thread on the waker's
//! CPU: a virtual machine whose other CPU has halted, for example. So the server moves itself ([`leave_cpu`]) after
//! some quick calls in a row from its CPU. If others keep that other CPU busy, the scheduler may bring it back. So
//! moves take at most a sixty-fourth of the time. At the beginning of a client's turn (`turns.rs`) it leaves that
//! client's CPU in any case.

use crate::slots::EVERYWHERE;
use mp_core::sys::futex::FutexWord;
use mp_core::sys::placement::{current_cpu, leave_cpu};
use mp_core::word::Machine;

/// Calls in a row from the server's CPU after which the two run together.
const ENOUGH: u32 = 8;
/// How much longer than a move it takes at least until the next one.
const MOVES: u64 = 64;
/// Nanoseconds until it looks again whether it may use another CPU.
const ALONE: u64 = 1_000_000_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Placement {
    cpu: Option<u32>,
    /// It may run on one CPU only, as far as is known.
    is_alone: bool,
    /// Calls in a row from its CPU.
    run: u32,
    /// When the last of [`ENOUGH`] calls in a row came.
    since: u64,
    is_due: bool,
    not_before: u64,
    /// What clients were told.
    told: Option<u32>,
}

impl Placement {
    /// Looks where it runs. `Some`: clients are to be told that, or that they are not to mind. `all_sleep`: they are to
    /// sleep wherever they run.
    #[inline]
    pub(super) fn look(&mut self, all_sleep: bool) -> Option<Option<u32>> {
        self.cpu = current_cpu();
        // A waiter that shares the only CPU yields it, as any wait does.
        let tell = if all_sleep { Some(EVERYWHERE) } else { self.cpu.filter(|_| !self.is_alone) };
        (tell != self.told).then(|| {
            self.told = tell;
            tell
        })
    }

    /// Where it ran when it looked last.
    #[cfg(test)]
    pub(super) fn cpu(&self) -> Option<u32> {
        self.cpu
    }

    /// Whether that is its CPU.
    #[inline]
    pub(super) fn is_here(&self, cpu: Option<u32>) -> bool {
        cpu.is_some() && cpu == self.cpu
    }

    /// A call came from there.
    #[inline]
    pub(super) fn called_from(&mut self, cpu: Option<u32>) {
        if !self.is_here(cpu) {
            self.run = 0;
            return;
        }
        self.run = self.run.wrapping_add(1);
        if self.run % ENOUGH == 1 || self.run.is_multiple_of(ENOUGH) {
            self.count(FutexWord::now(), FutexWord::sleep_cost());
        }
    }

    /// At the first and last one of so many calls.
    fn count(&mut self, now: u64, sleep_cost: u32) {
        if self.run.is_multiple_of(ENOUGH) {
            // Slower ones lose nothing by a switch.
            let are_quick = now.saturating_sub(self.since) < u64::from(ENOUGH * sleep_cost);
            self.is_due = are_quick && now >= self.not_before;
        } else {
            self.since = now;
        }
    }

    /// Whether those that call wait for this CPU: then the server sleeps at once.
    pub(super) fn is_together(&self) -> bool {
        !self.is_alone && self.run >= ENOUGH
    }

    /// Whether it is time to leave this CPU.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// Leaves this CPU; whether it has.
    #[cold]
    pub(super) fn leave(&mut self) -> bool {
        let began = FutexWord::now();
        let moved = self.cpu.is_some_and(leave_cpu);
        self.left(began, FutexWord::now(), moved);
        moved
    }

    fn left(&mut self, began: u64, ended: u64, moved: bool) {
        (self.is_due, self.run, self.is_alone) = (false, 0, !moved);
        self.not_before = ended + if moved { MOVES * ended.saturating_sub(began) } else { ALONE };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLEEP: u32 = 30_000;

    /// So many calls from its CPU, each so long after the one before; whether it is due to move after the last one.
    fn called(placement: &mut Placement, clock: &mut u64, calls: u32, apart: u64) -> bool {
        for _ in 0..calls {
            *clock += apart;
            placement.run += 1;
            if placement.run % ENOUGH == 1 || placement.run.is_multiple_of(ENOUGH) {
                placement.count(*clock, SLEEP);
            }
        }
        placement.is_due
    }

    #[test]
    fn quick_calls_in_a_row_from_its_cpu_make_it_leave() {
        let (mut placement, mut clock) = (Placement::default(), 1);
        assert!(!called(&mut placement, &mut clock, ENOUGH - 1, 5_000));
        assert!(called(&mut placement, &mut clock, 1, 5_000));
        assert!(placement.is_together());
    }

    #[test]
    fn slow_calls_do_not() {
        let (mut placement, mut clock) = (Placement::default(), 1);
        assert!(!called(&mut placement, &mut clock, 100 * ENOUGH, 1_000_000));
        assert!(called(&mut placement, &mut clock, ENOUGH, 5_000), "quick ones after them do");
    }

    #[test]
    fn a_call_from_elsewhere_begins_anew() {
        let (mut placement, mut clock) = (Placement { cpu: Some(0), ..Placement::default() }, 1);
        called(&mut placement, &mut clock, ENOUGH - 1, 5_000);
        placement.called_from(Some(1));
        assert!(!called(&mut placement, &mut clock, ENOUGH - 1, 5_000) && !placement.is_together());
        placement.called_from(None);
        assert_eq!(placement.run, 0);
    }

    #[test]
    fn moves_take_a_sixty_fourth_of_the_time_at_most() {
        let (mut placement, mut clock) = (Placement::default(), 1);
        let (mut moving, began) = (0, clock);
        for _ in 0..100_000 {
            if called(&mut placement, &mut clock, 1, 5_000) {
                placement.left(clock, clock + 40_000, true);
                (clock, moving) = (clock + 40_000, moving + 40_000);
            }
        }
        assert!(moving > 0 && 64 * moving <= clock - began + 64 * 40_000, "{moving} of {}", clock - began);
    }

    #[test]
    fn where_there_is_no_other_cpu_it_looks_again_after_a_second() {
        let (mut placement, mut clock) = (Placement::default(), 1);
        assert!(called(&mut placement, &mut clock, ENOUGH, 5_000));
        placement.left(clock, clock, false);
        let tried = clock;
        assert!(!called(&mut placement, &mut clock, ENOUGH, 5_000) && !placement.is_together());
        while !called(&mut placement, &mut clock, 1, 5_000) {}
        assert!((ALONE..ALONE + 100_000).contains(&(clock - tried)));
        placement.left(clock, clock, true);
        called(&mut placement, &mut clock, ENOUGH, 5_000);
        assert!(placement.is_together());
    }
}
