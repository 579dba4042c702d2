//! What the memory of a host allows: a mebibyte in and out by copies alone, between buffers that are there and warm,
//! two threads doing the workers' copies.
//!
//! | peer         | caller                | worker               | caller           |
//! |--------------|-----------------------|----------------------|------------------|
//! | `copies`     | argument              | result               | looks at it      |
//! | `copies.all` | value, argument       | value, result        | value, looks at it |
//!
//! The first is the least that two memories can do with each other, the second what a pool does whose tasks own their
//! arguments and whose caller owns the results.

use super::super::ways::look_at;
use super::workers::WINDOW;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::ops::Range;

/// Which process copies into which of a task's buffers.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    submitted: Range<usize>,
    worked: Range<usize>,
    taken: Range<usize>,
}

pub(super) fn plans() -> [Plan; 2] {
    [
        Plan { name: "copies", submitted: 0..1, worked: 1..2, taken: 2..2 },
        Plan { name: "copies.all", submitted: 0..2, worked: 2..4, taken: 4..5 },
    ]
}

/// The first has a copy of what is given; each further one of the one before.
type Buffers = Vec<Vec<u8>>;

pub(super) struct Copies {
    plan: Plan,
    tasks: Sender<Buffers>,
    done: Receiver<Buffers>,
}

fn copy(buffers: &mut Buffers, into: Range<usize>) {
    for at in into {
        let (before, from_here) = buffers.split_at_mut(at);
        if let (Some(from), Some(to)) = (before.last(), from_here.first_mut()) {
            to.copy_from_slice(from);
        }
    }
}

impl Copies {
    pub(super) fn start(plan: Plan, workers: usize) -> Copies {
        let (tasks, todo) = unbounded::<Buffers>();
        let (send, done) = unbounded();
        for _ in 0..workers {
            let (todo, send, worked) = (todo.clone(), send.clone(), plan.worked.clone());
            std::thread::spawn(move || {
                for mut buffers in todo {
                    copy(&mut buffers, worked.clone());
                    if send.send(buffers).is_err() {
                        return;
                    }
                }
            });
        }
        Copies { plan, tasks, done }
    }

    /// Buffers for as many tasks as are under way at once.
    pub(super) fn buffers(&self, bytes: usize) -> Vec<Buffers> {
        (0..WINDOW).map(|_| vec![vec![1; bytes]; self.plan.taken.end]).collect()
    }

    pub(super) fn pass(&self, bytes: &[u8], count: usize, free: &mut Vec<Buffers>) -> Result<(), String> {
        let gone = || "a thread has ended".to_owned();
        for at in 0..count + WINDOW {
            if at >= WINDOW {
                let mut buffers = self.done.recv().map_err(|_| gone())?;
                copy(&mut buffers, self.plan.taken.clone());
                look_at(buffers.last().ok_or_else(gone)?);
                free.push(buffers);
            }
            if at < count {
                let mut buffers = free.pop().ok_or_else(gone)?;
                buffers[0].copy_from_slice(bytes);
                copy(&mut buffers, 1..self.plan.submitted.end);
                self.tasks.send(buffers).map_err(|_| gone())?;
            }
        }
        Ok(())
    }
}
