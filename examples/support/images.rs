//! A local HTTP server of generated images, one of which is missing, and one is cut off.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Barrier;

const MISSING: u32 = 17;
const CUT: u32 = 41;

/// What stands for an image: bytes that its number gives.
pub(crate) fn image(number: u32) -> Vec<u8> {
    (0..2000 + number).map(|at| (at * 31 + number) as u8).collect()
}

fn serve(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new(&*stream).read_line(&mut line)?;
    let number: u32 = line.split(['/', ' ']).nth(2).and_then(|word| word.parse().ok()).unwrap_or(MISSING);
    if number == MISSING {
        return stream.write_all(b"HTTP/1.0 404 Not Found\r\n\r\n");
    }
    let body = image(number);
    let sent = if number == CUT { &body[..100] } else { &body[..] };
    write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(sent)
}

/// Takes as many requests as may be in flight, and replies to them when all are there. Gives the most there were.
pub(crate) fn server(
    listener: &TcpListener,
    requests: usize,
    in_flight: usize,
    all_asked: &Barrier,
) -> std::io::Result<usize> {
    let mut most = 0;
    for _ in 0..requests / in_flight {
        let mut batch = Vec::new();
        for _ in 0..in_flight {
            batch.push(listener.accept()?.0);
        }
        // Each client has connected and waits for its reply; no other one has.
        all_asked.wait();
        listener.set_nonblocking(true)?;
        most = most.max(batch.len() + usize::from(listener.accept().is_ok()));
        listener.set_nonblocking(false)?;
        batch.iter_mut().try_for_each(serve)?;
    }
    Ok(most)
}
