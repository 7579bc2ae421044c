//! A part of a file that moves along it, so that a file of any length takes little memory.

use std::io::{self, ErrorKind, Read};

/// Octets that are read of a file at first: most files are not longer.
const FIRST: usize = 16 << 10;
/// Octets of the parts after it. One line that is longer than this makes the window grow.
const NEXT: usize = 256 << 10;

/// Octets of a file, from some place on.
#[derive(Debug)]
pub(super) struct Window {
    buffer: Vec<u8>,
    filled: usize,
    /// Where in the file they start.
    base: u64,
    ended: bool,
}

impl Window {
    /// A window in front of the file, whose octets will stand in `buffer`.
    pub(super) fn new(buffer: Vec<u8>) -> Self {
        Self { buffer, filled: 0, base: 0, ended: false }
    }

    /// Drops the octets before `keep` and reads on behind the others, at least one octet or the end.
    ///
    /// # Errors
    /// Those of `input`.
    pub(super) fn advance(&mut self, keep: usize, input: &mut dyn Read) -> io::Result<()> {
        self.buffer.copy_within(keep..self.filled, 0);
        let is_first = self.base == 0 && self.filled == 0;
        self.base += keep as u64;
        self.filled -= keep;
        let room = if is_first { FIRST } else { NEXT };
        if self.buffer.len() < room || self.filled > self.buffer.len() / 2 {
            self.buffer.resize(room.max(self.filled * 2), 0);
        }
        while self.filled < self.buffer.len() && !self.ended {
            match input.read(&mut self.buffer[self.filled..]) {
                Ok(0) => self.ended = true,
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// Where in the file the text starts.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Where in the file the text ends.
    pub(super) fn end(&self) -> u64 {
        self.base + self.filled as u64
    }

    /// Whether there may be more behind the text.
    pub(super) fn goes_on(&self) -> bool {
        !self.ended
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}
