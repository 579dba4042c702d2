//! The ring's memory in this process: a sparse memfd, of which each segment is mapped at its first use, and
//! the packet sockets.

use crate::error::GetError;
use crate::ring::layout::{Layout, Memory};
use crate::ring::{
    Circle, DropOutcome, FirstPacket, PacketSocket, SEGMENTS, Segments, Storage, TaskSlot, Ticket,
};
use mp_core::CreateError;
use mp_core::error::{MemError, OsError};
use mp_core::mem::{Extent, Kind, Mapping, SharedRef, SharedSlice, Window};
use mp_core::sys::futex::FutexWord;
use mp_core::sys::memory::{PAGE, available_memory, file_limit, whole_pages};
use mp_core::sys::robust::RobustWord;
use mp_core::sys::socket::{self, Mode};
use mp_core::transfer::Handle;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

type Shared = Layout<RobustWord, AtomicU64>;

type Task = TaskSlot<FutexWord, AtomicU64>;

/// 127 processes whose death with tasks is noticed, and one slot for all others.
const TASK_SLOTS: usize = 128;

/// Pages of a segment are reserved in steps of at most this many bytes.
const STEP: usize = 16 << 20;

/// The shared memory of one queue, as mapped in this process.
#[derive(Debug)]
pub(crate) struct RingMemory {
    mapping: Arc<Mapping>,
    layout: SharedRef<Shared>,
    slots: SharedSlice<Task>,
    windows: [Window; SEGMENTS],
    segments: Segments,
    circles: [Circle; SEGMENTS],
    packets: Packets,
}

/// The offset of the first segment. It begins on a page, so that each segment can be mapped and released as a
/// whole. The part before it is mapped by each process that has the queue.
pub(crate) fn first_segment() -> usize {
    let header = Mapping::header_bytes();
    whole_pages(size_of::<Shared>() + size_of::<[Task; TASK_SLOTS]>() + header) - header
}

impl RingMemory {
    /// Makes the memory of a queue for at most `items` items (0: no limit) under a ceiling of bytes.
    pub(crate) fn create(kind: Kind, items: u32, ceiling: usize) -> Result<RingMemory, CreateError> {
        // A file may not be longer than RLIMIT_FSIZE.
        let segments = Segments::within(ceiling, longest_payload());
        let payload = first_segment() + segments.end();
        let reserved = first_segment() + segments.bytes(0);
        let extent = Extent { payload, mapped: first_segment(), reserved };
        let mapping = Mapping::create_sparse("mp-queue", kind, extent)?;
        let memory = RingMemory::over(mapping, segments, Packets::new()?)?;
        memory.layout.limits.set(items, segments.count(), segments.whole_pages());
        Ok(memory)
    }

    /// The memory of a queue that another process made.
    pub(crate) fn attach(mapping: Arc<Mapping>, packets: Packets) -> Result<RingMemory, MemError> {
        let layout = SharedRef::<Shared>::at(Arc::clone(&mapping), 0)?;
        let limits = &layout.limits;
        // `over` checks that the file is as long as they are.
        let segments = Segments::read(limits.segments(), limits.whole_pages())
            .ok_or(MemError::NotOurs("it names impossible segments"))?;
        RingMemory::over(mapping, segments, packets)
    }

    fn over(mapping: Arc<Mapping>, segments: Segments, packets: Packets) -> Result<RingMemory, MemError> {
        let layout = SharedRef::at(Arc::clone(&mapping), 0)?;
        let mut windows = <[Window; SEGMENTS]>::default();
        for (segment, window) in windows.iter_mut().enumerate().take(segments.count()) {
            let offset = first_segment() + segments.offset(segment);
            *window = Window::of(&mapping, offset, segments.bytes(segment))?;
        }
        let slots = SharedSlice::at(Arc::clone(&mapping), size_of::<Shared>(), TASK_SLOTS)?;
        let circles = segments.circles();
        Ok(RingMemory { mapping, layout, slots, windows, segments, circles, packets })
    }

    pub(crate) fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    pub(crate) fn packets(&self) -> &Packets {
        &self.packets
    }
}

/// The ceiling of a queue's memory: an eighth of the memory that is available when the queue is made, between
/// 8 MiB and 1 GiB. Growth asks again, so the lower bound takes no memory that is not there: a queue that was
/// made when memory was short can hold long items later.
///
/// A file may not be longer than RLIMIT_FSIZE: a low limit lowers the ceiling.
pub(crate) fn default_ceiling() -> usize {
    let ceiling = (available_memory() / 8).clamp(8 << 20, 1 << 30) as usize;
    ceiling.min(longest_payload())
}

/// What RLIMIT_FSIZE leaves for the segments.
fn longest_payload() -> usize {
    let before = first_segment() + Mapping::header_bytes();
    let longest = usize::try_from(file_limit()).unwrap_or(usize::MAX);
    longest.saturating_sub(before)
}

impl Memory for RingMemory {
    #[inline]
    fn layout(&self) -> &Shared {
        &self.layout
    }

    #[inline]
    fn slots(&self) -> &[Task] {
        &self.slots
    }
}

impl Storage for RingMemory {
    type Owned = RobustWord;
    type Long = AtomicU64;
    const WARM: usize = 4;

    #[inline]
    fn segments(&self) -> usize {
        self.segments.count()
    }

    #[inline]
    fn is_whole(&self, segment: usize) -> bool {
        self.segments.is_whole(segment)
    }

    #[inline]
    fn circle(&self, segment: usize) -> Circle {
        self.circles[segment]
    }

    #[inline]
    fn load(&self, segment: usize, offset: usize) -> u64 {
        self.windows[segment].load(offset)
    }

    #[inline]
    fn store(&self, segment: usize, offset: usize, unit: u64) {
        self.windows[segment].store(offset, unit);
    }

    #[inline]
    fn write(&self, segment: usize, offset: usize, bytes: &[u8]) {
        self.windows[segment].write(offset, bytes);
    }

    #[inline]
    fn read(&self, segment: usize, offset: usize, len: usize, into: &mut Vec<u8>) {
        self.windows[segment].read_onto(offset, len, into);
    }

    #[inline]
    fn open(&self, segment: usize) -> Result<(), i32> {
        self.windows[segment].open(&self.mapping).map_err(|error| error.errno().unwrap_or_default())
    }

    fn reserve(&self, segment: usize) -> bool {
        let start = self.segments.offset(segment);
        let end = start + self.segments.bytes(segment);
        let steps = (start..end).step_by(STEP);
        let reserved =
            steps.clone().all(|at| self.mapping.reserve(first_segment() + at, STEP.min(end - at)).is_ok());
        // A segment that this process cannot map is of no use to it; it holds no records yet.
        let usable = reserved && self.open(segment).is_ok();
        if !usable {
            self.release(segment);
        }
        usable
    }

    fn release(&self, segment: usize) {
        debug_assert_eq!((first_segment() + Mapping::header_bytes()) % PAGE, 0);
        // On an error the pages stay with the queue, and are used when it grows again.
        let start = first_segment() + self.segments.offset(segment);
        let _ = self.mapping.punch(start, self.segments.bytes(segment));
    }
}

impl PacketSocket for RingMemory {
    fn first_packet(&self) -> FirstPacket {
        let mut bytes = [0; Ticket::BYTES + 1];
        match socket::peek_bytes(self.packets.receive.as_fd(), &mut bytes, Mode::Now) {
            Ok(length) => Ticket::read(&bytes[..length]).map_or(FirstPacket::Unknown, FirstPacket::There),
            Err(error) if socket::would_block(&error) => FirstPacket::Nothing,
            Err(_) => FirstPacket::Unknown,
        }
    }

    fn drop_packet(&self) -> DropOutcome {
        match socket::discard(self.packets.receive.as_fd(), Mode::Now) {
            Ok(()) => DropOutcome::Done,
            Err(error) if socket::would_block(&error) => DropOutcome::Nothing,
            Err(_) => DropOutcome::Failed,
        }
    }
}

/// The socket pair beside the ring. It carries one packet for each item with descriptors: a [`Ticket`] and
/// the descriptors. The other direction, a queue of its own in the kernel, carries a byte while there may be
/// an item: a process that waits for the queue and other objects polls the sending end.
///
/// Every process that has the queue has both ends, so neither direction ends. They are made with the queue: a
/// pair that one process made later could not reach the processes that have the queue already.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Packets {
    send: Handle,
    receive: Handle,
}

impl Packets {
    fn new() -> Result<Packets, OsError> {
        let (send, receive) = socket::packet_pair()?;
        socket::widen(send.as_fd())?;
        Ok(Packets { send: Handle::new(send), receive: Handle::new(receive) })
    }

    /// A descriptor that is readable while there may be an item.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.send.as_fd()
    }

    /// Makes the descriptor readable.
    pub(crate) fn signal(&self) {
        // It can fail only when the socket is full, and then it is readable.
        let _ = socket::send(self.receive.as_fd(), &[b"!"], &[], Mode::Now);
    }

    /// Makes the descriptor unreadable.
    pub(crate) fn quiet(&self) {
        // One byte, or a few after a death. A poller that finds it readable and the queue empty calls this
        // again.
        for _ in 0..16 {
            if socket::discard(self.send.as_fd(), Mode::Now).is_err() {
                break;
            }
        }
    }

    /// Sends a packet. `Ok(false)`: the socket is full.
    pub(crate) fn send(&self, ticket: Ticket, handles: &[Handle]) -> Result<bool, OsError> {
        let fds: Vec<BorrowedFd<'_>> = handles.iter().map(Handle::as_fd).collect();
        match socket::send(self.send.as_fd(), &[&ticket.to_bytes()], &fds, Mode::Now) {
            Ok(_) => Ok(true),
            Err(error) if socket::would_block(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes packet `number` from the socket and returns its descriptors; `None`: it is not there. Packets
    /// in front of it are orphans, and are discarded. On an error the packet stays.
    pub(crate) fn receive(&self, number: u64) -> Result<Option<Vec<Handle>>, GetError> {
        let mut buffer = [0; Ticket::BYTES + 1];
        loop {
            // Copies the descriptors first: a packet that cannot be opened in this process must stay for
            // others.
            let packet = match socket::peek(self.receive.as_fd(), &mut buffer, Mode::Now) {
                Ok(packet) => packet,
                Err(error) if socket::would_block(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let ticket = Ticket::read(&buffer[..packet.bytes]).ok_or(GetError::Corrupt)?;
            if ticket.number > number {
                return Ok(None);
            }
            if ticket.number == number && packet.cut {
                return Err(GetError::Handles);
            }
            socket::discard(self.receive.as_fd(), Mode::Now)?;
            if ticket.number == number {
                return Ok(Some(packet.fds.into_iter().map(Handle::new).collect()));
            }
        }
    }
}
