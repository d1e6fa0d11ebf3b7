//! What makes two points the same: 128 bits over all that a result depends on.
//!
//! Two lanes of 64 bits take a word at a time, each by its own bijection, so that equal digests of different contents are
//! as rare as chance allows. This is no defence against somebody who looks for them.

use crate::base::rng::{fnv1a, mix};
use crate::trace::Batch;

/// 128 bits over contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(u64, u64);

impl Digest {
    /// An empty digest of that purpose.
    pub const fn new(purpose: &str) -> Self {
        let start = fnv1a(crate::base::rng::FNV_START, purpose.as_bytes());
        Self(mix(start), mix(!start))
    }

    /// Takes in a number.
    #[must_use]
    pub const fn number(self, word: u64) -> Self {
        let Self(a, b) = self;
        Self(mix(a ^ word), mix(b.rotate_left(23).wrapping_add(word)))
    }

    /// Takes in bytes, and how many there are.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut digest = self.number(bytes.len() as u64);
        for word in words {
            digest = digest.number(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        if rest.is_empty() { digest } else { digest.number(u64::from_le_bytes(last)) }
    }

    /// Takes in another digest.
    #[must_use]
    pub const fn digest(self, other: Self) -> Self {
        self.number(other.0).number(other.1)
    }

    /// The 16 bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.1.to_be_bytes());
        bytes
    }
}

/// A trace in memory and its digest: equal for equal accesses, wherever they were read from.
#[derive(Debug)]
pub struct Trace {
    pub(super) batch: Batch,
    digest: Digest,
}

impl Trace {
    /// Takes the accesses.
    pub fn new(batch: Batch) -> Self {
        let words = |digest: Digest, column: &[u64]| column.iter().fold(digest, |digest, &word| digest.number(word));
        let halves = |digest: Digest, column: &[u32]| {
            column.iter().fold(digest.number(column.len() as u64), |digest, &half| digest.number(u64::from(half)))
        };
        let mut digest = words(Digest::new("trace").number(batch.words.len() as u64), &batch.words);
        digest = halves(digest, &batch.sizes);
        digest = digest.number(batch.fetches.len() as u64);
        digest = batch.fetches.iter().fold(digest, |digest, &fetch| digest.number(u64::from(fetch)));
        digest = halves(digest, &batch.threads);
        let digest = words(digest.number(batch.ips.len() as u64), &batch.ips);
        Self { batch, digest }
    }

    /// The accesses.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_differ_by_purpose_content_and_length() {
        let of = |bytes: &[u8]| Digest::new("a").bytes(bytes).to_bytes();
        let all = [of(b""), of(b"\0"), of(b"\0\0"), of(b"12345678"), of(b"12345678\0"), of(b"12345679")];
        for (place, digest) in all.iter().enumerate() {
            assert!(!all[place + 1..].contains(digest));
        }
        assert_ne!(Digest::new("a"), Digest::new("b"));
        assert_eq!(of(b"12345678"), of(b"12345678"));
    }

    #[test]
    fn order_of_numbers_matters_in_both_lanes() {
        let (ab, ba) = (Digest::new("").number(1).number(2), Digest::new("").number(2).number(1));
        assert!(ab.0 != ba.0 && ab.1 != ba.1);
    }

    #[test]
    fn a_trace_with_one_access_more_or_written_is_another() {
        let trace = |words: &[u64]| Trace::new(Batch { words: words.to_vec(), ..Batch::default() }).digest();
        assert_eq!(trace(&[0, 64]), trace(&[0, 64]));
        assert_ne!(trace(&[0, 64]), trace(&[0, 64, 0]));
        assert_ne!(trace(&[0, 64]), trace(&[0, 64 | crate::trace::WRITE_BIT]));
    }
}
