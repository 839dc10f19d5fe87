//! Memory aligned to blocks, as direct writes need it.

use crate::fs::BLOCK;

#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK]);

/// A growing buffer that begins at a block boundary. Memory behind its length holds old bytes, until padded.
#[derive(Default)]
pub(crate) struct AlignedBuffer {
    blocks: Vec<Block>,
    len: usize,
}

impl AlignedBuffer {
    /// As long as asked, all zeros.
    pub(crate) fn zeroed(len: usize) -> AlignedBuffer {
        AlignedBuffer { blocks: vec![Block([0; BLOCK]); len.div_ceil(BLOCK)], len }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn capacity(&self) -> usize {
        self.blocks.len() * BLOCK
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory()[..self.len]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        let len = self.len;
        &mut self.memory_mut()[..len]
    }

    /// Makes it this long; the content of new bytes is not defined.
    pub(crate) fn reset(&mut self, len: usize) {
        self.grow(len);
        self.len = len;
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        let start = self.len;
        self.reset(start + bytes.len());
        self.bytes_mut()[start..].copy_from_slice(bytes);
    }

    /// Whole blocks: the content with zeros behind it.
    pub(crate) fn padded(&mut self) -> &[u8] {
        let (len, end) = (self.len, self.len.next_multiple_of(BLOCK));
        let memory = &mut self.memory_mut()[..end];
        memory[len..].fill(0);
        memory
    }

    fn grow(&mut self, len: usize) {
        let needed = len.div_ceil(BLOCK);
        if needed > self.blocks.len() {
            // Twice, so that growing byte by byte copies each byte about once.
            self.blocks.resize(needed.max(self.blocks.len() * 2), Block([0; BLOCK]));
        }
    }

    fn memory(&self) -> &[u8] {
        // SAFETY: `Block` is `BLOCK` initialised bytes without padding, and the vector owns `capacity()` of them.
        unsafe { std::slice::from_raw_parts(self.blocks.as_ptr().cast(), self.capacity()) }
    }

    fn memory_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed exclusively; every byte value is a valid `Block`.
        unsafe { std::slice::from_raw_parts_mut(self.blocks.as_mut_ptr().cast(), self.capacity()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_aligned_keeps_its_bytes_and_pads_with_zeros() {
        let mut buffer = AlignedBuffer::default();
        let mut expected = Vec::new();
        for round in 0..2_000u32 {
            let bytes = round.to_le_bytes();
            buffer.extend(&bytes);
            expected.extend_from_slice(&bytes);
        }
        assert_eq!(buffer.bytes(), expected);
        buffer.reset(100);
        let padded = buffer.padded();
        assert_eq!((padded.as_ptr().addr() % BLOCK, padded.len()), (0, BLOCK));
        assert_eq!(&padded[..100], &expected[..100]);
        assert!(padded[100..].iter().all(|byte| *byte == 0));
    }
}
