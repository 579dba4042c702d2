//! Fetch images over HTTP from a local server, with one thread and with sixteen, and count the requests in flight.
//!
//! Answers:  fetch thousands of images
//! Python:   with ThreadPoolExecutor(16) as executor: executor.map(fetch, urls)
//! Run:      cargo run --example ex53_fetch_images
//! Prints:
//!     1 threads: 62 images are right, most requests in flight 1
//!     1 threads: image 17 failed: 404
//!     1 threads: image 41 failed: the connection was cut
//!     16 threads: 62 images are right, most requests in flight 16
//!     16 threads: image 17 failed: 404
//!     16 threads: image 41 failed: the connection was cut
//!
//! The server replies when so many requests wait as there are threads, so the number in flight depends on no clock. 64
//! images are whole batches of sixteen. The times are on standard error.

#[path = "support/images.rs"]
mod images;

use images::{image, server};
use mp::ThreadPoolExecutor;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Barrier};
use std::time::Instant;

const IMAGES: u32 = 64;

fn fetch(server: SocketAddr, number: u32, all_asked: &Barrier) -> Result<Vec<u8>, String> {
    let fetched = || {
        let mut stream = TcpStream::connect(server)?;
        all_asked.wait();
        stream.write_all(format!("GET /{number} HTTP/1.0\r\n\r\n").as_bytes())?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).map(|_| reply)
    };
    let reply = fetched().map_err(|error: std::io::Error| error.to_string())?;
    let end = reply.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no reply")?;
    let head = String::from_utf8_lossy(&reply[..end]);
    if !head.contains(" 200 ") {
        return Err(head.split(' ').nth(1).unwrap_or_default().to_owned());
    }
    let length: usize = head.rsplit(' ').next().and_then(|word| word.parse().ok()).ok_or("no length")?;
    let body = reply[end + 4..].to_vec();
    if body.len() == length { Ok(body) } else { Err("the connection was cut".to_owned()) }
}

pub(crate) fn main() -> mp::Result<()> {
    for threads in [1, 16] {
        let (listener, began) = (TcpListener::bind("127.0.0.1:0")?, Instant::now());
        let (address, all_asked) = (listener.local_addr()?, Arc::new(Barrier::new(threads + 1)));
        let meeting = Arc::clone(&all_asked);
        let served = std::thread::spawn(move || server(&listener, IMAGES as usize, threads, &meeting));
        let executor = ThreadPoolExecutor::new(threads)?;
        let fetched = executor.map(move |number| fetch(address, number, &all_asked), 0..IMAGES)?;
        let (mut right, mut failed) = (0, Vec::new());
        for (number, outcome) in (0..).zip(fetched) {
            match outcome? {
                Ok(body) => right += u32::from(body == image(number)),
                Err(reason) => failed.push(format!("image {number} failed: {reason}")),
            }
        }
        let most = served.join().map_err(|_| mp::Error::new("the server panicked"))??;
        eprintln!("{threads} threads took {:?}", began.elapsed());
        println!("{threads} threads: {right} images are right, most requests in flight {most}");
        failed.iter().for_each(|line| println!("{threads} threads: {line}"));
        if (right, failed.len(), most) != (IMAGES - 2, 2, threads) {
            return Err(mp::Error::new("the counts are short"));
        }
    }
    Ok(())
}
