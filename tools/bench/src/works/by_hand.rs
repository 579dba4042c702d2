//! The value of `W11.1KiB.records` over a bare socket, by a program that does by hand what a connection does: it writes
//! the value into bytes and makes a value of bytes, and it takes the descriptors that may come beside a length.

use super::w11::{Framed, FramedEnd, HEADER, Record, records};
use super::ways::{Get, Put, Way};
use mp_core::sys::socket::{self, Mode};
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::io::{Read, Write};
use std::os::fd::AsFd;

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ByHand(pub(super) Framed);

impl Way for ByHand {
    type End = End;

    fn open(self) -> End {
        End { framed: self.0.open(), message: records() }
    }
}

pub(super) struct End {
    framed: FramedEnd,
    message: Vec<Record>,
}

impl Put for End {
    fn put(&mut self, _: usize) {
        let FramedEnd { write, buffer, .. } = &mut self.framed;
        buffer.clear();
        buffer.extend_from_slice(&[0; HEADER]);
        pack(black_box(&self.message), buffer);
        let length = (buffer.len() - HEADER) as i32;
        buffer[..HEADER].copy_from_slice(&length.to_be_bytes());
        write.write_all(buffer).expect("a consumer gets them all");
    }
}

impl Get for End {
    fn get(&mut self, _: usize) {
        let FramedEnd { read, buffer, .. } = &mut self.framed;
        let mut header = [0; HEADER];
        let mut done = 0;
        while done < HEADER {
            let came = socket::receive(read.as_fd(), &mut header[done..], Mode::Block);
            let came = came.expect("a producer puts them all");
            assert!(came.bytes > 0 && came.fds.is_empty());
            done += came.bytes;
        }
        buffer.resize(i32::from_be_bytes(header) as usize, 0);
        read.read_exact(buffer).expect("a producer puts them all");
        let message = unpack(buffer).expect("as it was packed");
        assert_eq!(black_box(message).len(), self.message.len());
    }
}

/// Numbers as they lie in memory, and lengths of four bytes.
fn pack(message: &[Record], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&(message.len() as u32).to_le_bytes());
    for (number, other, name) in message {
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&other.to_le_bytes());
        bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
    }
}

fn unpack(bytes: &[u8]) -> Option<Vec<Record>> {
    let (count, mut rest) = bytes.split_first_chunk()?;
    let mut message = Vec::with_capacity(u32::from_le_bytes(*count) as usize);
    for _ in 0..message.capacity() {
        let (number, behind) = rest.split_first_chunk()?;
        let (other, behind) = behind.split_first_chunk()?;
        let (length, behind) = behind.split_first_chunk()?;
        let (name, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let name = std::str::from_utf8(name).ok()?.to_owned();
        message.push((u64::from_le_bytes(*number), f64::from_le_bytes(*other), name));
        rest = behind;
    }
    Some(message)
}
