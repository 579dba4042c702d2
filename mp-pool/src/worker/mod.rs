//! A worker's life: it gets ready, does what it takes from the board, and ends.

mod chunk;
mod own;
mod room;
mod runs;
mod turn;

use crate::board::{Life, Taken};
use crate::buffer::leave_this_host;
use crate::copies::in_one_process;
use crate::error::Failure;
use crate::limits::Recycling;
use crate::line::{Line, Said};
use crate::memory::Memory;
use crate::output::{Ends, Writer};
use crate::place::{Place, set_process};
use crate::trace::{Rings, Tracer};
use mp_core::process::{At, call_caught, caught};
use mp_core::sys::signal;
use mp_core::transfer::{Code, Message, Part, drop_state};
use own::Own;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What a worker is given.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Bootstrap {
    pub(crate) index: u32,
    /// What `worker_index` says.
    pub(crate) known_as: u32,
    pub(crate) memory: Memory,
    pub(crate) line: Line,
    pub(crate) place: Place,
    pub(crate) initializer: Option<(Code, Message)>,
    /// Its state is what it was forked from, and not its own.
    pub(crate) captured: bool,
    /// The worker ends after about this many items (it finishes its chunk), and is replaced.
    pub(crate) most_tasks: Option<u32>,
    /// When it ends for another reason.
    pub(crate) recycling: Recycling,
    /// How long it may be idle.
    pub(crate) idle: Option<Duration>,
    pub(crate) outlasts_sigterm: bool,
    /// The pool is of another host.
    pub(crate) leaves_host: bool,
    /// Where its output goes, if not where the pool's goes.
    pub(crate) output: Option<Ends>,
    pub(crate) trace: Option<Rings>,
}

/// The worker's whole life.
pub(crate) fn work(bootstrap: Bootstrap) {
    let Bootstrap {
        index,
        known_as,
        memory,
        line,
        place,
        initializer,
        captured,
        most_tasks,
        recycling,
        idle,
        outlasts_sigterm,
        leaves_host,
        output,
        trace,
    } = bootstrap;
    let began = Instant::now();
    // Ctrl-C reaches the whole foreground group; what becomes of the pool is for its owner to say.
    signal::ignore_interrupts();
    if outlasts_sigterm {
        signal::ignore_terminations();
    }
    set_process(known_as as usize);
    if leaves_host {
        leave_this_host();
    }
    let ready = output.map(Ends::take).transpose().and_then(|output| {
        place.take()?;
        initialized(initializer)?;
        Ok(output.map(Writer::with_records))
    });
    let output = match ready {
        Ok(output) => output,
        Err(reason) => {
            let _ = line.send(&Said::NotReady { reason }, Part::EMPTY);
            return;
        }
    };
    memory.board.live(index, Life::Ready);
    let trace = trace.map(|rings| Tracer::new(rings, index));
    let mut worker = Worker::new(index, memory, line, most_tasks, output, trace);
    while worker.own.may_go_on()
        && let Some(taken) = worker.next(idle)
        && worker.run(taken)
        && !recycling.is_due(began)
    {}
    // What was captured is dropped where it was made. What a drop does is the program's: a panic there costs nothing
    // that is left to do.
    if !captured {
        let _ = caught(drop_state);
    }
}

fn initialized(initializer: Option<(Code, Message)>) -> Result<(), String> {
    let Some((code, arguments)) = initializer else { return Ok(()) };
    in_one_process(|| call_caught(&code, arguments)).map(drop).map_err(|error| match Failure::from(error) {
        Failure::Panicked { message, location } => {
            format!("the initializer panicked{}: {message}", At(&location))
        }
        Failure::Failed(reason) => format!("the initializer could not be called: {reason}"),
        Failure::Lost { .. } => "the initializer's worker was lost".to_owned(),
    })
}

pub(crate) struct Worker {
    memory: Memory,
    own: Own,
}

impl Worker {
    pub(crate) fn new(
        index: u32,
        memory: Memory,
        line: Line,
        most_tasks: Option<u32>,
        output: Option<Writer>,
        trace: Option<Tracer>,
    ) -> Worker {
        Worker { memory, own: Own::new(index, line, most_tasks, output, trace) }
    }

    /// Waits for a chunk, or an item, and at most so long, if `idle` says how long; `None`: this worker is to end.
    fn next(&self, idle: Option<Duration>) -> Option<Taken> {
        self.memory.board.next(self.own.index, idle, |slot| self.memory.prefetch(slot))
    }

    /// Does what it has taken; `false`: this process is to end.
    pub(crate) fn run(&mut self, taken: Taken) -> bool {
        match taken.item {
            Some(item) => self.own.run_one_by_one(&self.memory, taken.slot, item),
            None => self.own.run(&self.memory, taken.slot),
        }
    }
}
