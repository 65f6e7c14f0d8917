//! What is measured: something that seals and opens batches of frames.

/// Sealing and opening in batches. What is not part of the work happens in the two `prepare`s, which are not timed.
///
/// Everybody's buffers are made once and used again, so that nobody pays for memory that another got for free.
pub(crate) trait Contender {
    /// Puts plaintexts where they have to be.
    fn prepare_seal(&mut self, frames: usize);

    /// Seals what was prepared.
    fn seal(&mut self);

    /// Seals fresh frames to be opened: a frame opens once.
    fn prepare_open(&mut self, frames: usize);

    /// Opens what was prepared.
    fn open(&mut self);
}

/// Bytes that look random, and begin like a delta frame to whoever parses codecs.
pub(crate) fn plaintext(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes: Vec<u8> = (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect();
    if let Some(first) = bytes.first_mut() {
        *first |= 1;
    }
    bytes
}
