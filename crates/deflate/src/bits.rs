//! Bits into bytes, the lowest first, as RFC 1951 (section 3.1.1) packs them.

/// Room beyond what is written: eight bytes are stored at a time.
pub(crate) const SLACK_BYTES: usize = 8;

/// Writes bits into room that was made before.
pub(crate) struct Bits<'a> {
    room: &'a mut [u8],
    written: usize,
    waiting: u64,
    /// How many bits wait.
    count: u32,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(room: &'a mut [u8]) -> Self {
        Self { room, written: 0, waiting: 0, count: 0 }
    }

    /// Adds bits; no more than 56 may be added between two calls of [`Bits::flush`].
    #[inline(always)]
    pub(crate) fn add(&mut self, bits: u64, count: u32) {
        self.waiting |= bits << self.count;
        self.count += count;
    }

    /// Writes what is whole bytes.
    #[inline(always)]
    pub(crate) fn flush(&mut self) {
        self.room[self.written..self.written + SLACK_BYTES].copy_from_slice(&self.waiting.to_le_bytes());
        self.written += (self.count / 8) as usize;
        self.waiting >>= self.count & !7;
        self.count &= 7;
    }

    /// Writes a number of up to 56 bits.
    pub(crate) fn put(&mut self, bits: u64, count: u32) {
        self.add(bits, count);
        self.flush();
    }

    /// A stored block's type and contents, which follow at the next whole byte (RFC 1951, section 3.2.4).
    pub(crate) fn stored(&mut self, plain: &[u8]) {
        self.put(0, 3);
        self.count = self.count.next_multiple_of(8);
        self.flush();
        let length = plain.len() as u16;
        self.put(u64::from(length) | u64::from(!length) << 16, 32);
        self.room[self.written..self.written + plain.len()].copy_from_slice(plain);
        self.written += plain.len();
    }

    /// How many whole bytes there are.
    pub(crate) fn written(&self) -> usize {
        self.written
    }
}
