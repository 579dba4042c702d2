//! One thread serves two children: half a message of one delays no other.
//!
//! Answers:  "async: one thread, many waits"
//! Python:   loop.add_reader(conn.fileno(), ...), where conn.recv() blocks on half a message
//! Run:      cargo run --example ex3b_async_connections
//! Prints:
//!     quick child: 3 questions answered
//!     slow child: half now, half later
//!     the slow child's first half was looked at, and kept, while the quick one was served: true
//!     threads: 1

#[path = "support/readiness.rs"]
mod readiness;

use mp::{Connection, Event, Process, pipe};
use readiness::received;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use tokio::runtime;

const MESSAGE: &[u8] = b"half now, half later";

/// Sends a message in two parts, as a long one arrives: its length, and so on.
fn slow(line: Connection, first_half_is_sent: Event, go_on: Event) {
    let frame = [&(MESSAGE.len() as u32).to_be_bytes(), MESSAGE].concat();
    let (half, rest) = frame.split_at(frame.len() / 2);
    let mut socket = UnixStream::from(line.as_fd().try_clone_to_owned().unwrap());
    socket.write_all(half).unwrap();
    first_half_is_sent.set();
    go_on.wait();
    socket.write_all(rest).unwrap();
}

/// Asks when the other one's message has begun; gives how many answers were right.
fn quick(line: Connection<u32, u32>, slow_has_begun: Event) -> usize {
    slow_has_begun.wait();
    let ask = |number: &u32| line.send(number).is_ok() && line.recv().is_ok_and(|twice| twice == 2 * number);
    (1..=3).filter(ask).count()
}

async fn serve_quick(line: Connection<u32, u32>, slow_may_go_on: Event) -> mp::Result<u32> {
    let mut answers = 0;
    while let (Some(number), _) = received(&line, || line.try_recv()).await? {
        // A short answer does not wait: the kernel has room for it.
        line.send(&(2 * number))?;
        answers += 1;
    }
    slow_may_go_on.set();
    Ok(answers)
}

async fn serve_slow(line: Connection) -> mp::Result<(Vec<u8>, u32)> {
    let (message, misses) = received(&line, || line.try_recv_bytes()).await?;
    Ok((message.unwrap_or_default(), misses))
}

pub(crate) fn main() -> mp::Result<()> {
    let (begun, go_on) = (Event::new()?, Event::new()?);
    let (of_slow, line) = pipe()?;
    let slow = Process::new(slow, (line, begun.clone(), go_on.clone())).daemon().start()?;
    let (of_quick, line) = pipe()?;
    let quick = Process::new(quick, (line, begun)).daemon().start()?;

    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let (quick_served, slow_served) = runtime.block_on(async {
        let serving = (tokio::spawn(serve_quick(of_quick, go_on)), tokio::spawn(serve_slow(of_slow)));
        (serving.0.await, serving.1.await)
    });
    let ended = |error: tokio::task::JoinError| mp::Error::from_error(&error);
    let (answers, (message, misses)) = (quick_served.map_err(ended)??, slow_served.map_err(ended)??);
    println!("quick child: {answers} questions answered");
    println!("slow child: {}", String::from_utf8_lossy(&message));
    println!(
        "the slow child's first half was looked at, and kept, while the quick one was served: {}",
        misses > 0
    );
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    println!("threads: {threads}");
    slow.join()?;
    assert_eq!((quick.join()?, answers, message.as_slice(), threads), (3, 3, MESSAGE, 1));
    assert!(misses > 0);
    Ok(())
}
