//! The other side of a link: a channel, its link and the clock.

use super::Link;
use super::channel::Channel;
use super::message::{decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};

/// Nothing comes any more: the link is closed, or was silent for too long, or says what this program does not know.
#[derive(Debug)]
pub(super) struct Lost;

pub(super) struct Peer {
    link: Box<dyn Link>,
    channel: Channel,
}

impl Peer {
    pub(super) fn new(link: Box<dyn Link>, session: Option<u64>) -> Peer {
        let channel = Channel::new(session, link.longest(), Instant::now());
        Peer { link, channel }
    }

    /// Sends a message: at once, and again while it waits for others.
    pub(super) fn say(&mut self, head: &impl Serialize, bytes: &[u8]) -> Result<(), Lost> {
        self.channel.push(&encode(head, bytes));
        self.send()
    }

    /// The next message; `None`: there was none for so long.
    pub(super) fn hear<T: DeserializeOwned>(&mut self, wait: Duration) -> Result<Option<(T, Vec<u8>)>, Lost> {
        let until = Instant::now() + wait;
        loop {
            self.send()?;
            if let Some(message) = self.channel.pop() {
                return decode(&message).map(|(head, bytes)| Some((head, bytes.to_vec()))).ok_or(Lost);
            }
            if self.channel.is_lost() {
                return Err(Lost);
            }
            let now = Instant::now();
            let left = until.min(self.channel.due()).saturating_duration_since(now);
            match self.link.receive(left).map_err(|_| Lost)? {
                Some(packet) => self.channel.take(&packet, Instant::now()),
                None if Instant::now() >= until => return Ok(None),
                None => {}
            }
        }
    }

    /// Waits until the other side has all that was said, or is lost. What it says meanwhile is of no use any more.
    pub(super) fn flush(&mut self) {
        while !self.channel.is_flushed() && !self.channel.is_lost() && self.send().is_ok() {
            while self.channel.pop().is_some() {}
            let left = self.channel.due().saturating_duration_since(Instant::now());
            match self.link.receive(left) {
                Ok(Some(packet)) => self.channel.take(&packet, Instant::now()),
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }

    fn send(&mut self) -> Result<(), Lost> {
        let (link, mut sent) = (&mut self.link, Ok(()));
        self.channel.send(Instant::now(), |packet| {
            if sent.is_ok() {
                sent = link.send(packet);
            }
        });
        sent.map_err(|_| Lost)
    }
}
