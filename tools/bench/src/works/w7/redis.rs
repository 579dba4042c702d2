//! redis over a Unix socket, without persistence, and the least that a client of it does.

use super::super::cpus;
use super::super::measure::text;
use super::{Client, KEY, Op, Plan};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(super) fn of(plan: Plan) -> Result<f64, String> {
    let server = match plan.server() {
        Some(number) => cpus::on(number, Server::start)?,
        None => Server::start()?,
    };
    let mut stream = Stream::new(server.connect()?);
    stream.call(&["SET", KEY, "0"]);
    plan.run(Path(server.path()))
}

/// One of its own, which ends with this.
struct Server {
    child: Child,
    folder: PathBuf,
}

const COMING: Duration = Duration::from_secs(10);

impl Server {
    fn start() -> Result<Server, String> {
        let folder = std::env::temp_dir().join(format!("mp-bench-redis-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(text)?;
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]);
        command.arg(folder.join("socket")).stdout(Stdio::null()).stdin(Stdio::null());
        let child = command.spawn().map_err(|error| format!("redis-server: {error}"))?;
        Ok(Server { child, folder })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("socket")
    }

    fn connect(&self) -> Result<UnixStream, String> {
        let began = Instant::now();
        loop {
            match UnixStream::connect(self.path()) {
                Ok(stream) => return Ok(stream),
                Err(error) if began.elapsed() > COMING => return Err(format!("redis-server: {error}")),
                Err(_) => std::thread::yield_now(),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Where a client connects to it.
#[derive(Clone, Serialize, Deserialize)]
struct Path(PathBuf);

/// Its protocol: a command is an array of strings, and a reply is a line, or the length of a string and the string.
struct Stream {
    stream: UnixStream,
    out: Vec<u8>,
    read: Vec<u8>,
}

impl Stream {
    fn new(stream: UnixStream) -> Stream {
        Stream { stream, out: Vec::new(), read: Vec::new() }
    }

    fn queue(&mut self, command: &[&str]) {
        let _ = write!(self.out, "*{}\r\n", command.len());
        for word in command {
            let _ = write!(self.out, "${}\r\n{word}\r\n", word.len());
        }
    }

    /// Sends what is queued, and reads as many replies; the strings among them.
    fn flush(&mut self, replies: usize) -> usize {
        self.stream.write_all(&self.out).expect("redis serves");
        self.out.clear();
        self.read.clear();
        let (mut at, mut seen, mut strings) = (0, 0, 0);
        while seen < replies {
            match reply(&self.read[at..]) {
                Some((length, is_string)) => {
                    (at, seen, strings) = (at + length, seen + 1, strings + usize::from(is_string));
                }
                None => {
                    let mut more = [0; 4096];
                    let count = self.stream.read(&mut more).expect("redis serves");
                    assert!(count > 0, "redis has ended");
                    self.read.extend_from_slice(&more[..count]);
                }
            }
        }
        strings
    }

    fn call(&mut self, command: &[&str]) -> usize {
        self.queue(command);
        self.flush(1)
    }
}

/// How long the first reply is, and whether it is a string; `None`: it has not come whole.
fn reply(bytes: &[u8]) -> Option<(usize, bool)> {
    let line = bytes.windows(2).position(|two| two == b"\r\n")?;
    match bytes[0] {
        b'$' => {
            let length: i64 = std::str::from_utf8(&bytes[1..line]).ok()?.parse().ok()?;
            let whole = usize::try_from(length).map_or(line + 2, |length| line + 2 + length + 2);
            (bytes.len() >= whole).then_some((whole, length >= 0))
        }
        b'-' => panic!("redis: {}", String::from_utf8_lossy(&bytes[..line])),
        _ => Some((line + 2, false)),
    }
}

impl Client for Path {
    fn connect(self, op: Op) -> Box<dyn FnMut()> {
        let mut stream = Stream::new(UnixStream::connect(self.0).expect("redis serves"));
        let mut value = 0_u64;
        match op {
            Op::Get => Box::new(move || assert_eq!(stream.call(&["GET", KEY]), 1)),
            Op::Set => Box::new(move || {
                value += 1;
                stream.call(&["SET", KEY, &value.to_string()]);
            }),
            Op::GetHundred => Box::new(move || {
                (0..100).for_each(|_| stream.queue(&["GET", KEY]));
                assert_eq!(stream.flush(100), 100);
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::reply;

    #[test]
    fn a_reply_is_a_line_or_a_string() {
        assert_eq!(reply(b"+OK\r\n$1\r\n"), Some((5, false)));
        assert_eq!(reply(b"$2\r\nab\r\nrest"), Some((8, true)));
        assert_eq!(reply(b"$-1\r\n"), Some((5, false)));
        assert!(reply(b"$2\r\nab").is_none() && reply(b"+O").is_none());
    }
}
