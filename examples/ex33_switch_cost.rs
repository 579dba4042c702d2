//! What a switch costs: a ball goes to and fro between processes, between threads, between coroutines.
//!
//! Answers:  "a context switch is not free"
//! Python:   conn.send(ball); ball = conn.recv(), with a Process, with a Thread; ball = await queue.get()
//! Run:      cargo run --example ex33_switch_cost
//! Prints:
//!     processes: 1000 throws, 1000 returns
//!     threads: 1000 throws, 1000 returns
//!     coroutines: 1000 throws, 1000 returns
//!
//! What a switch took is on standard error. Processes and threads sleep, and the system wakes them, over the same kind
//! of pipe; coroutines are functions that one thread calls in turn.

use mp::{Connection, Process, pipe};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

const ROUNDS: u32 = 1000;

fn throw(court: &Connection<Option<u32>, u32>, balls: u32) -> mp::Result<u32> {
    let mut throws = 0;
    while throws < balls {
        court.send(&Some(throws))?;
        // The other player sends it back one higher.
        throws = court.recv()?;
    }
    Ok(throws)
}

fn give_back(court: Connection<u32, Option<u32>>) -> u32 {
    let mut returns = 0;
    while let Some(ball) = court.recv().unwrap() {
        court.send(&(ball + 1)).unwrap();
        returns += 1;
    }
    returns
}

fn play(court: &Connection<Option<u32>, u32>, kind: &str) -> mp::Result<u32> {
    // When the first ball is back, both are there.
    let first = throw(court, 1)?;
    let began = Instant::now();
    let throws = first + throw(court, ROUNDS - 1)?;
    eprintln!("{kind}: {:?} a switch", began.elapsed() / (2 * (ROUNDS - 1)));
    court.send(&None)?;
    Ok(throws)
}

/// Gives way to the other coroutine until there is something.
async fn taken<T>(place: &Cell<Option<T>>) -> T {
    poll_fn(|_| place.take().map_or(Poll::Pending, Poll::Ready)).await
}

fn coroutines() -> (u32, u32) {
    let (there, back, returns) = (Cell::new(None), Cell::new(None), Cell::new(0));
    let mut thrower = pin!(async {
        let mut throws = 0;
        while throws < ROUNDS {
            there.set(Some(throws));
            throws = taken(&back).await;
        }
        throws
    });
    let mut partner = pin!(async {
        loop {
            back.set(Some(taken(&there).await + 1));
            returns.set(returns.get() + 1);
        }
    });
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(throws) = thrower.as_mut().poll(&mut context) {
            return (throws, returns.get());
        }
        let _: Poll<()> = partner.as_mut().poll(&mut context);
    }
}

pub(crate) fn main() -> mp::Result<()> {
    // The process first: a fork is refused while threads run.
    let (here, there) = pipe()?;
    let partner = Process::new(give_back, (there,)).daemon().start()?;
    let processes = (play(&here, "processes")?, partner.join()?);
    let (here, there) = pipe()?;
    let partner = std::thread::spawn(|| give_back(there));
    let threads = (play(&here, "threads")?, partner.join().expect("it does not panic"));
    let began = Instant::now();
    let coroutines = coroutines();
    eprintln!("coroutines: {:?} a switch", began.elapsed() / (2 * ROUNDS));
    for (kind, (throws, returns)) in
        [("processes", processes), ("threads", threads), ("coroutines", coroutines)]
    {
        println!("{kind}: {throws} throws, {returns} returns");
        assert_eq!((throws, returns), (ROUNDS, ROUNDS));
    }
    Ok(())
}
