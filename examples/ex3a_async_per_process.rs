//! Coroutines in each of several processes: all of their requests are in flight at the same time.
//!
//! Answers:  "nothing beats async + multiprocessing"
//! Python:   Process(target=lambda: asyncio.run(main())) for each CPU
//! Run:      cargo run --example ex3a_async_per_process
//! Prints:
//!     4 processes of 25 coroutines, 1 thread each
//!     most requests in flight at a time: 100
//!     100 of 100 replies are right
//!
//! It shows the structure, and claims no speed. What a waiter takes is on standard error.

#[path = "support/readiness.rs"]
mod readiness;

use mp::{Address, Child, Client, Connection, Listener, Process};
use readiness::received;
use tokio::runtime;

const PROCESSES: u32 = 4;
const COROUTINES: u32 = 25;
const ALL: u32 = PROCESSES * COROUTINES;

/// One coroutine: a request, and the reply when the server comes to it.
async fn ask(server: Address, number: u32) -> mp::Result<bool> {
    let server: Connection<u32, u32> = Client::connect(server)?;
    server.send(&number)?;
    // Here the thread goes on with the other coroutines.
    let (reply, _) = received(&server, || server.try_recv()).await?;
    Ok(reply == Some(2 * number))
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Report {
    right: u32,
    threads: usize,
    bytes_a_waiter: usize,
}

/// One process: its coroutines, on its one thread.
fn asking(server: Address, first: u32) -> Report {
    let runtime = runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let bytes_a_waiter = size_of_val(&ask(server.clone(), first));
    let right = runtime.block_on(async {
        let numbers = first..first + COROUTINES;
        let coroutines: Vec<_> = numbers.map(|number| tokio::spawn(ask(server.clone(), number))).collect();
        let mut right = 0;
        for coroutine in coroutines {
            right += u32::from(coroutine.await.unwrap().unwrap());
        }
        right
    });
    Report { right, threads: std::fs::read_dir("/proc/self/task").unwrap().count(), bytes_a_waiter }
}

/// Answers no request before all have arrived; returns the most requests that were open at a time. A client that waits
/// for a reply before it makes the next request waits for ever.
fn serve(listener: &Listener) -> mp::Result<u32> {
    let clients: Vec<Connection<u32, u32>> = (0..ALL).map(|_| listener.accept()).collect::<Result<_, _>>()?;
    let (mut in_flight, mut most) = (0, 0);
    let mut requests = Vec::new();
    for client in &clients {
        requests.push((client, client.recv()?));
        in_flight += 1;
        most = most.max(in_flight);
    }
    for (client, number) in requests {
        client.send(&(2 * number))?;
        in_flight -= 1;
    }
    assert_eq!(in_flight, 0);
    Ok(most)
}

pub(crate) fn main() -> mp::Result<()> {
    let listener = Listener::new()?;
    let start = |at| Process::new(asking, (listener.address().clone(), at * COROUTINES)).daemon().start();
    let children: Vec<Child<Report>> = (0..PROCESSES).map(start).collect::<Result<_, _>>()?;
    let most = serve(&listener)?;
    let reports: Vec<Report> = children.iter().map(Child::join).collect::<Result<_, _>>()?;
    let threads = reports.iter().map(|report| report.threads).max().unwrap_or_default();
    let right: u32 = reports.iter().map(|report| report.right).sum();
    eprintln!("a waiting coroutine: {} bytes and a descriptor", reports[0].bytes_a_waiter);
    println!("{PROCESSES} processes of {COROUTINES} coroutines, {threads} thread each");
    println!("most requests in flight at a time: {most}");
    println!("{right} of {ALL} replies are right");
    assert_eq!((most, right, threads), (ALL, ALL, 1));
    Ok(())
}
