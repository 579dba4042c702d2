//! The other side of a link: a channel, its link and the clock.

use super::Link;
use super::channel::{BEAT, Channel};
use super::message::{decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};

/// Nothing comes any more: the link is closed, or was silent for too long, or says what this program does not know.
#[derive(Debug)]
pub(super) struct Lost;

/// How long is waited for what is still under way when the other end is gone.
const LAST_WORDS: Duration = BEAT;

pub(super) struct Peer {
    link: Box<dyn Link>,
    channel: Channel,
    /// The link takes no packet any more. What has arrived, or is under way, is heard all the same: the other side may
    /// have said how it ends.
    is_deaf: bool,
}

impl Peer {
    pub(super) fn new(link: Box<dyn Link>, session: Option<u64>) -> Peer {
        let channel = Channel::new(session, link.longest(), Instant::now());
        Peer { link, channel, is_deaf: false }
    }

    /// Sends a message: at once, and again while it waits for others. That the other side is gone is heard
    /// ([`hear`](Peer::hear)), behind what it has said.
    pub(super) fn say(&mut self, head: &impl Serialize, bytes: &[u8]) {
        self.channel.push(&encode(head, bytes));
        self.send();
    }

    /// The next message; `None`: there was none for so long.
    pub(super) fn hear<T: DeserializeOwned>(&mut self, wait: Duration) -> Result<Option<(T, Vec<u8>)>, Lost> {
        let until = Instant::now() + wait;
        loop {
            self.send();
            if let Some(message) = self.channel.pop() {
                return decode(&message).map(|(head, bytes)| Some((head, bytes.to_vec()))).ok_or(Lost);
            }
            if self.channel.is_lost() {
                return Err(Lost);
            }
            let now = Instant::now();
            let left = until.min(self.channel.due()).saturating_duration_since(now);
            match self.link.receive(if self.is_deaf { LAST_WORDS } else { left }).map_err(|_| Lost)? {
                Some(packet) => self.channel.take(&packet, Instant::now()),
                None if self.is_deaf => return Err(Lost),
                None if Instant::now() >= until => return Ok(None),
                None => {}
            }
        }
    }

    /// Waits until the other side has all that was said, or is lost. What it says meanwhile is of no use any more.
    pub(super) fn flush(&mut self) {
        while !self.channel.is_flushed() && !self.channel.is_lost() {
            self.send();
            if self.is_deaf {
                return;
            }
            while self.channel.pop().is_some() {}
            let left = self.channel.due().saturating_duration_since(Instant::now());
            match self.link.receive(left) {
                Ok(Some(packet)) => self.channel.take(&packet, Instant::now()),
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }

    fn send(&mut self) {
        let Peer { link, channel, is_deaf } = self;
        channel.send(Instant::now(), |packet| *is_deaf = *is_deaf || link.send(packet).is_err());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// What the other side has sent before it went.
    struct Gone(Vec<Vec<u8>>);

    impl Link for Gone {
        fn send(&mut self, _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn receive(&mut self, _: Duration) -> io::Result<Option<Vec<u8>>> {
            self.0.pop().map(Some).ok_or(io::ErrorKind::BrokenPipe.into())
        }
    }

    /// The side that has said two things.
    fn gone(arrive: impl FnOnce(&mut Vec<Vec<u8>>)) -> Peer {
        let mut other = Channel::new(Some(7), 1000, Instant::now());
        (1..=2).for_each(|number: u32| other.push(&encode(&number, &[])));
        let mut packets = Vec::new();
        other.send(Instant::now(), |packet| packets.push(packet.to_vec()));
        packets.reverse();
        arrive(&mut packets);
        Peer::new(Box::new(Gone(packets)), Some(7))
    }

    #[test]
    fn what_a_side_has_said_is_heard_though_it_is_gone() {
        let in_order: fn(&mut Vec<Vec<u8>>) = |_| {};
        for arrive in [in_order, |packets| packets.reverse()] {
            for says in [false, true] {
                let mut peer = gone(arrive);
                for number in 1..=2 {
                    if says {
                        peer.say(&0_u32, &[]);
                    }
                    let heard = peer.hear::<u32>(Duration::ZERO).unwrap();
                    assert_eq!(heard.unwrap().0, number);
                }
                assert!(peer.hear::<u32>(Duration::ZERO).is_err());
            }
        }
    }
}
