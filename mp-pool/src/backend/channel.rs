//! A channel over a link that loses, delays, reorders and duplicates packets: each message arrives once, and in order.
//!
//! ```text
//!   message ──► parts, numbered ──► packets ──link──► early ones kept, known ones dropped ──► message
//!                    ▲                                              │
//!                    └── sent again until it is acknowledged ◄──────┘ beside whatever goes back
//! ```
//!
//! A packet: `session u64 | acknowledged u64 | kind u8`, and of a part: `number u64 | bytes`; numbers are
//! little-endian. `acknowledged` is how many parts have arrived without a gap. A packet without a part only
//! acknowledges, or is a beat: a side that has nothing to say says so each [`BEAT`].
//!
//! Nothing here waits or reads a clock. Silence is counted in beats of this side, and not by the clock: a process that
//! was stopped, and goes on, has not missed what lies in its link.
//!
//! # When a process dies
//! The other side hears nothing, and takes the link as lost after [`LEASE`] beats.
//! # Tested by
//! below, with random faults; `tools/mock` under processes

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How often a side is heard that has nothing to say.
pub(super) const BEAT: Duration = Duration::from_millis(50);
/// So many beats of silence mean that the other side is lost.
pub(super) const LEASE: u32 = 100;
/// The shortest and the longest wait before what was not acknowledged is sent again; and the first one, before it is
/// known how long an answer takes.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(160));
const AT_FIRST: Duration = Duration::from_millis(10);
/// Parts under way, at most.
const WINDOW: u64 = 64;
/// Bytes of a packet in front of the bytes of its part.
const HEAD: usize = 25;
/// The least that a link has to carry in a packet.
pub(super) const LEAST: usize = 2 * HEAD;

/// The kinds of packets.
const NONE: u8 = 0;
const PART: u8 = 1;
/// The last part of its message.
const LAST: u8 = 2;

struct Part {
    number: u64,
    last: bool,
    bytes: Vec<u8>,
}

pub(super) struct Channel {
    /// What tells this channel's packets from those of one that the link carried before. `None`: the first packet of
    /// the other side will tell.
    session: Option<u64>,
    /// Bytes of a part, at most.
    most: usize,
    // Out.
    next_out: u64,
    /// Parts that were not acknowledged, the first `under_way` of which were sent.
    waiting: VecDeque<Part>,
    under_way: usize,
    resend: Instant,
    patience: Duration,
    /// When those under way were sent; `None`: some were sent again, so an answer tells nothing.
    sent: Option<Instant>,
    /// How long an answer takes, about.
    round_trip: Duration,
    // In.
    next_in: u64,
    early: BTreeMap<u64, Part>,
    partial: Vec<u8>,
    arrived: VecDeque<Vec<u8>>,
    /// A part has arrived, and was not acknowledged.
    owes: bool,
    // Beats.
    beat: Instant,
    /// A part was sent since the last beat.
    spoke: bool,
    silence: u32,
}

impl Channel {
    /// The side that begins (it names the session), or the one that answers. A packet has at most so many bytes.
    pub(super) fn new(session: Option<u64>, packet: usize, now: Instant) -> Channel {
        Channel {
            session,
            most: packet.max(LEAST) - HEAD,
            next_out: 0,
            waiting: VecDeque::new(),
            under_way: 0,
            resend: now,
            patience: AT_FIRST,
            sent: None,
            round_trip: AT_FIRST / 2,
            next_in: 0,
            early: BTreeMap::new(),
            partial: Vec::new(),
            arrived: VecDeque::new(),
            owes: false,
            beat: now,
            spoke: false,
            silence: 0,
        }
    }

    /// A message to be sent.
    pub(super) fn push(&mut self, message: &[u8]) {
        let mut rest = message;
        loop {
            let (bytes, after) = rest.split_at(rest.len().min(self.most));
            let part = Part { number: self.next_out, last: after.is_empty(), bytes: bytes.to_vec() };
            self.waiting.push_back(part);
            self.next_out += 1;
            rest = after;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// The next message that has arrived.
    pub(super) fn pop(&mut self) -> Option<Vec<u8>> {
        self.arrived.pop_front()
    }

    /// Whether the other side has all that was pushed.
    pub(super) fn is_flushed(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the other side was silent for too long.
    pub(super) fn is_lost(&self) -> bool {
        self.silence > LEASE
    }

    /// When there is something to do, if nothing arrives before.
    pub(super) fn due(&self) -> Instant {
        let beat = self.beat + BEAT;
        if self.under_way > 0 { beat.min(self.resend) } else { beat }
    }

    /// Gives the packets that are to be sent now.
    pub(super) fn send(&mut self, now: Instant, mut packet: impl FnMut(&[u8])) {
        if now >= self.beat + BEAT {
            self.silence += 1;
            self.owes |= !self.spoke;
            (self.beat, self.spoke) = (now, false);
        }
        // Nothing may be said before the other side has named the session.
        let Some(session) = self.session else { return };
        let again = self.under_way > 0 && now >= self.resend;
        let first = if again { 0 } else { self.under_way };
        let most = self.waiting.len().min(WINDOW as usize);
        if again {
            self.patience = (2 * self.patience).min(PATIENCE.1);
            self.sent = None;
        } else if self.under_way == 0 && most > 0 {
            self.sent = Some(now);
        }
        if again || self.under_way == 0 {
            self.resend = now + self.patience;
        }
        for part in self.waiting.range(first..most) {
            let mut bytes = head(session, self.next_in, if part.last { LAST } else { PART });
            bytes.extend_from_slice(&part.number.to_le_bytes());
            bytes.extend_from_slice(&part.bytes);
            packet(&bytes);
            (self.owes, self.spoke) = (false, true);
        }
        self.under_way = most;
        if std::mem::take(&mut self.owes) {
            packet(&head(session, self.next_in, NONE));
        }
    }

    /// A packet has arrived. One that is none of this channel's is dropped.
    pub(super) fn take(&mut self, packet: &[u8], now: Instant) {
        let Some((session, acknowledged, part)) = parse(packet) else { return };
        let begins = part.as_ref().is_some_and(|part| part.number == 0);
        if self.session.is_none() && begins {
            self.session = Some(session);
        }
        if self.session != Some(session) {
            return;
        }
        self.silence = 0;
        self.acknowledged(acknowledged, now);
        let Some(part) = part else { return };
        self.owes = true;
        if (self.next_in..self.next_in + WINDOW).contains(&part.number) {
            self.early.insert(part.number, part);
        }
        while let Some(part) = self.early.remove(&self.next_in) {
            self.next_in += 1;
            self.partial.extend_from_slice(&part.bytes);
            if part.last {
                self.arrived.push_back(std::mem::take(&mut self.partial));
            }
        }
    }

    /// The other side has so many parts.
    fn acknowledged(&mut self, parts: u64, now: Instant) {
        let before = self.waiting.len();
        while self.under_way > 0 && self.waiting.front().is_some_and(|part| part.number < parts) {
            self.waiting.pop_front();
            self.under_way -= 1;
        }
        if self.waiting.len() < before {
            if let Some(sent) = self.sent.take() {
                self.round_trip = (3 * self.round_trip + now.saturating_duration_since(sent)) / 4;
            }
            self.patience = (2 * self.round_trip).clamp(PATIENCE.0, PATIENCE.1);
            self.resend = now + self.patience;
        }
    }
}

fn head(session: u64, acknowledged: u64, kind: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD);
    bytes.extend_from_slice(&session.to_le_bytes());
    bytes.extend_from_slice(&acknowledged.to_le_bytes());
    bytes.push(kind);
    bytes
}

/// Session, acknowledged parts, and a part; `None`: it is no packet.
fn parse(packet: &[u8]) -> Option<(u64, u64, Option<Part>)> {
    let (session, rest) = packet.split_first_chunk()?;
    let (acknowledged, rest) = rest.split_first_chunk()?;
    let (kind, rest) = rest.split_first()?;
    let part = match *kind {
        NONE if rest.is_empty() => None,
        PART | LAST => {
            let (number, bytes) = rest.split_first_chunk()?;
            let (number, last) = (u64::from_le_bytes(*number), *kind == LAST);
            Some(Part { number, last, bytes: bytes.to_vec() })
        }
        _ => return None,
    };
    Some((u64::from_le_bytes(*session), u64::from_le_bytes(*acknowledged), part))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers by chance, the same again for the same seed.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, below: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % below
        }
    }

    /// Packets under way to one side, and when they arrive.
    type Wire = Vec<(Instant, Vec<u8>)>;

    /// Loses so many of a hundred packets, doubles some, delays each.
    fn carry(wire: &mut Wire, chance: &mut Chance, loss: u64, now: Instant, packet: &[u8]) {
        let copies = if chance.below(100) < loss { 0 } else { 1 + u64::from(chance.below(5) == 0) };
        for _ in 0..copies {
            wire.push((now + Duration::from_millis(chance.below(30)), packet.to_vec()));
        }
    }

    /// Each side's messages, as the other one has them, over a link with the faults of a seed.
    fn exchanged(seed: u64) -> [Vec<Vec<u8>>; 2] {
        let mut chance = Chance(seed | 1);
        let (mut now, loss) = (Instant::now(), chance.below(51));
        let mut sides = [Channel::new(Some(7), LEAST, now), Channel::new(None, LEAST, now)];
        let (mut wires, mut seen, mut pushed) = ([Wire::new(), Wire::new()], [vec![], vec![]], 0);
        while seen.iter().any(|seen: &Vec<Vec<u8>>| seen.len() < 40) {
            if pushed < 40 && chance.below(3) == 0 {
                for (side, channel) in sides.iter_mut().enumerate() {
                    channel.push(&message(side, pushed));
                }
                pushed += 1;
            }
            for side in 0..2 {
                let (channel, wire) = (&mut sides[side], &mut wires[1 - side]);
                channel.send(now, |packet| carry(wire, &mut chance, loss, now, packet));
                assert!(!channel.is_lost(), "seed {seed}");
                let due: Vec<_> = wires[side].extract_if(.., |(at, _)| *at <= now).collect();
                due.iter().for_each(|(_, packet)| sides[side].take(packet, now));
                seen[side].extend(std::iter::from_fn(|| sides[side].pop()));
            }
            now += Duration::from_millis(1);
        }
        seen
    }

    /// Of one part, or of several.
    fn message(side: usize, number: usize) -> Vec<u8> {
        vec![(100 * side + number) as u8; number * number % 150]
    }

    #[test]
    fn each_message_arrives_once_and_in_order_whatever_the_link_does() {
        for seed in 0..300 {
            let [first, second] = exchanged(seed);
            assert!(first.into_iter().eq((0..40).map(|number| message(1, number))), "seed {seed}");
            assert!(second.into_iter().eq((0..40).map(|number| message(0, number))), "seed {seed}");
        }
    }

    #[test]
    fn a_side_that_hears_nothing_takes_the_link_as_lost_and_one_that_was_stopped_does_not() {
        let mut now = Instant::now();
        let mut channel = Channel::new(Some(7), 1000, now);
        now += 1000 * BEAT * LEASE;
        channel.send(now, |_| ());
        assert!(!channel.is_lost());
        let mut beats = 0;
        while !channel.is_lost() {
            now += BEAT;
            channel.send(now, |_| beats += 1);
        }
        assert!(beats >= LEASE, "{beats}");
    }

    #[test]
    fn packets_of_another_session_and_no_packets_at_all_are_dropped() {
        let now = Instant::now();
        let (mut old, mut new) = (Channel::new(Some(7), 1000, now), Channel::new(Some(8), 1000, now));
        let mut answering = Channel::new(None, 1000, now);
        let mut packets = Vec::new();
        for channel in [&mut new, &mut old] {
            channel.push(b"first");
            channel.send(now, |packet| packets.push(packet.to_vec()));
        }
        for packet in packets.iter().map(Vec::as_slice).chain([&b"some"[..], &[], &[9; 17]]) {
            answering.take(packet, now);
        }
        assert_eq!((answering.pop(), answering.pop()), (Some(b"first".to_vec()), None));
    }
}
