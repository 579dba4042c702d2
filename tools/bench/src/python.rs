//! CPython at work: one process for the whole run, asked for one figure at a time.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;

/// What it does of all works but W5.
pub(crate) const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/peer.py");
/// W5: a program as small as ours is, since its children read it again.
pub(crate) const STARTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/starts.py");

/// The python that is asked: `MP_PYTHON`, else the one on the path.
fn program() -> String {
    std::env::var("MP_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Which python it is, or that there is none.
pub(crate) fn describe() -> String {
    match Command::new(program()).arg("--version").output() {
        Ok(output) => format!("CPython: {}", String::from_utf8_lossy(&output.stdout).trim()),
        Err(error) => format!("CPython: missing ({}: {error})", program()),
    }
}

/// A python process that answers requests.
pub(crate) struct Python {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// Shared by the works; `Err` says why there is none.
pub(crate) type Shared = Rc<RefCell<Result<Python, String>>>;

impl Python {
    pub(crate) fn start(script: &str) -> Shared {
        Rc::new(RefCell::new(Python::try_start(script)))
    }

    fn try_start(script: &str) -> Result<Python, String> {
        let mut command = Command::new(program());
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", program()))?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("no pipe to python")?);
        Ok(Python { child, requests, answers })
    }

    fn ask(&mut self, request: &str) -> Result<f64, String> {
        let requests = self.requests.as_mut().ok_or("no pipe to python")?;
        writeln!(requests, "{request}").map_err(|error| error.to_string())?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(|error| error.to_string())?;
        match answer.trim() {
            "" => Err("python has ended".to_owned()),
            // What is no figure says why there is none.
            answer => answer.parse().map_err(|_| answer.to_owned()),
        }
    }
}

/// Asks for one figure.
pub(crate) fn ask(python: &Shared, request: &str) -> Result<f64, String> {
    match &mut *python.borrow_mut() {
        Ok(python) => python.ask(request),
        Err(why) => Err(why.clone()),
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // The end of its requests is its end.
        self.requests = None;
        let _ = self.child.wait();
    }
}
