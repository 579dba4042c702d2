//! ipc-channel's channel of bytes, as one side after the other comes to it.

use super::measure::text;
use super::ways::{Get, MESSAGE, Put, Way, look_at};
use ipc_channel::ipc::{IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel};
use serde::{Deserialize, Serialize};

/// Where the getting side waits for the channel.
pub(super) struct Server(IpcOneShotServer<IpcBytesReceiver>);

/// The putting side before it is opened: it makes the channel, and sends the other end to this server.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Putter {
    server: String,
}

pub(super) fn new() -> Result<(Putter, Server), String> {
    let (listening, server) = IpcOneShotServer::new().map_err(text)?;
    Ok((Putter { server }, Server(listening)))
}

impl Way for Putter {
    type End = Putting;

    fn open(self) -> Putting {
        let (put, get) = bytes_channel().expect("sockets to spare");
        let server = IpcSender::connect(self.server).expect("the other side listens");
        server.send(get).expect("the other side waits for it");
        Putting { put }
    }
}

pub(super) struct Putting {
    put: IpcBytesSender,
}

impl Put for Putting {
    fn put(&mut self, bytes: usize) {
        self.put.send(&MESSAGE[..bytes]).expect("a consumer gets them all");
    }
}

impl Server {
    /// The getting side, once the other one is there.
    pub(super) fn accept(self) -> Result<Getting, String> {
        let (_, get) = self.0.accept().map_err(text)?;
        Ok(Getting(get))
    }
}

pub(super) struct Getting(IpcBytesReceiver);

impl Get for Getting {
    fn get(&mut self, bytes: usize) {
        let message = self.0.recv().expect("a producer puts them all");
        assert_eq!(message.len(), bytes);
        look_at(&message);
    }
}
