//! The frames between a host and the child that serves a plugin.
//!
//! A frame is a kind (1 byte), the length of the rest (8 bytes), and that many bytes; numbers are
//! little-endian. The reader limits the length of a frame before any of it is stored, so that neither
//! side can be made to hold more than it asked for. Both sides are of the same version: the first
//! frame contains the version of the protocol.

use std::io::{self, Read, Write};

use strategy_api::Op;

/// Increased with every change of the protocol.
pub(super) const PROTOCOL: u32 = 2;

/// The beginning of the first frame, by which another program is recognized.
pub(super) const MAGIC: &[u8; 8] = b"GRNPLUG\0";

/// The longest sentence that is read from a child.
pub(super) const SENTENCE_BYTES_MAX: usize = 4096;

/// The bytes of one operation.
pub(super) const OP_BYTES: usize = 16;

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// To the child: which library, and its limits.
    Open = 1,
    /// To the child: two files to compare.
    Diff = 2,
    /// To the child: a check of the conformance kit to run.
    Check = 3,
    /// From the child: the library is loaded, with its name and version.
    Ready = 16,
    /// From the child: the library is not loaded, and why.
    Refused = 17,
    /// From the child: a script.
    Script = 18,
    /// From the child: the strategy gave up or panicked, and why.
    Failed = 19,
    /// From the child: the check is about to run over this pair.
    Pair = 20,
    /// From the child: the check passed.
    Passed = 21,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Open,
        Self::Diff,
        Self::Check,
        Self::Ready,
        Self::Refused,
        Self::Script,
        Self::Failed,
        Self::Pair,
        Self::Passed,
    ];
}

/// A frame's bytes, written piece by piece.
pub(super) struct Frame(Vec<u8>);

const HEADER_BYTES: usize = 9;

impl Frame {
    pub(super) fn new(kind: Kind) -> Self {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[0] = kind as u8;
        Self(bytes)
    }

    /// A frame that contains a sentence, cut if it is too long.
    pub(super) fn sentence(kind: Kind, text: &str) -> Self {
        let mut frame = Self::new(kind);
        frame.raw(text.as_bytes().get(..SENTENCE_BYTES_MAX).unwrap_or(text.as_bytes()));
        frame
    }

    pub(super) fn reserve(&mut self, bytes: usize) {
        self.0.reserve(bytes + 64);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    /// Bytes after their count.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.raw(bytes);
    }

    /// Ids after their count.
    pub(super) fn ids(&mut self, ids: &[u32]) {
        self.u64(ids.len() as u64);
        let start = self.0.len();
        self.0.resize(start + 4 * ids.len(), 0);
        for (place, id) in self.0[start..].chunks_exact_mut(4).zip(ids) {
            place.copy_from_slice(&id.to_le_bytes());
        }
    }

    /// Operations up to the frame's end.
    pub(super) fn ops(&mut self, ops: &[Op]) {
        self.0.reserve(OP_BYTES * ops.len());
        for op in ops {
            for number in [op.kind, op.old, op.new, op.len] {
                self.u32(number);
            }
        }
    }

    /// Writes the whole frame.
    pub(super) fn send(mut self, to: &mut impl Write) -> io::Result<()> {
        let length = (self.0.len() - HEADER_BYTES) as u64;
        self.0[1..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
        to.write_all(&self.0)
    }
}

/// A frame that was received.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) kind: Kind,
    bytes: Vec<u8>,
    at: usize,
}

impl Received {
    /// Reads one frame of at most `bytes_max` bytes; none at the end of the stream.
    pub(super) fn read(from: &mut impl Read, bytes_max: u64) -> io::Result<Option<Self>> {
        let mut header = [0; HEADER_BYTES];
        // A socket with a timeout is interrupted by every signal that is handled, whatever
        // `SA_RESTART` says: signal(7).
        loop {
            match from.read(&mut header[..1]) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        from.read_exact(&mut header[1..])?;
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == header[0]);
        let kind = kind.ok_or_else(|| garbled("a frame of an unknown kind"))?;
        let mut length = [0; 8];
        length.copy_from_slice(&header[1..]);
        let length = u64::from_le_bytes(length);
        if length > bytes_max {
            return Err(garbled("a frame that is too long"));
        }
        // The announced length may be wrong: only the bytes that arrive are stored.
        let mut bytes = Vec::with_capacity(length.min(1 << 20) as usize);
        if from.take(length).read_to_end(&mut bytes)? as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(Self { kind, bytes, at: 0 }))
    }

    pub(super) fn raw(&mut self, count: usize) -> io::Result<&[u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| garbled("a frame that is too short"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> io::Result<u8> {
        Ok(self.raw(1)?[0])
    }

    pub(super) fn u32(&mut self) -> io::Result<u32> {
        Ok(number(self.raw(4)?))
    }

    pub(super) fn u64(&mut self) -> io::Result<u64> {
        let low = u64::from(self.u32()?);
        Ok(low | u64::from(self.u32()?) << 32)
    }

    pub(super) fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let count = self.count()?;
        Ok(self.raw(count)?.to_vec())
    }

    pub(super) fn ids(&mut self) -> io::Result<Vec<u32>> {
        let count = self.count()?;
        let bytes = count.checked_mul(4).ok_or_else(|| garbled("a number that is too large"))?;
        Ok(self.raw(bytes)?.chunks_exact(4).map(number).collect())
    }

    /// The operations up to the frame's end.
    pub(super) fn ops(&mut self) -> io::Result<Vec<Op>> {
        let rest = &self.bytes[self.at..];
        let chunks = rest.chunks_exact(OP_BYTES);
        if !chunks.remainder().is_empty() {
            return Err(garbled("half an operation"));
        }
        let op = |chunk: &[u8]| Op {
            kind: number(&chunk[..4]),
            old: number(&chunk[4..8]),
            new: number(&chunk[8..12]),
            len: number(&chunk[12..]),
        };
        Ok(chunks.map(op).collect())
    }

    /// The rest of the frame as text.
    pub(super) fn sentence(&self) -> String {
        String::from_utf8_lossy(&self.bytes[self.at..]).into_owned()
    }

    fn count(&mut self) -> io::Result<usize> {
        usize::try_from(self.u64()?).map_err(|_| garbled("a number that is too large"))
    }
}

/// Little-endian; of four bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

pub(super) fn garbled(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(frame: Frame) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame.send(&mut bytes).expect("memory takes it");
        bytes
    }

    fn refused(bytes: &[u8], bytes_max: u64) -> String {
        Received::read(&mut &*bytes, bytes_max).expect_err("it must be refused").to_string()
    }

    #[test]
    fn what_is_sent_is_received() -> io::Result<()> {
        let mut frame = Frame::new(Kind::Diff);
        frame.u8(7);
        frame.u64(u64::MAX - 1);
        frame.bytes(b"\xff\0");
        frame.ids(&[0, 1, u32::MAX]);
        frame.ops(&[Op::keep(1, 2, 3), Op { kind: 9, old: 0, new: u32::MAX, len: 1 }]);
        let bytes = sent(frame);
        let mut received = Received::read(&mut &bytes[..], 1000)?.expect("a frame");
        assert_eq!(received.kind, Kind::Diff);
        assert_eq!((received.u8()?, received.u64()?), (7, u64::MAX - 1));
        assert_eq!(
            (received.bytes()?, received.ids()?),
            (b"\xff\0".to_vec(), vec![0, 1, u32::MAX])
        );
        let strange = Op { kind: 9, old: 0, new: u32::MAX, len: 1 };
        assert_eq!(received.ops()?, [Op::keep(1, 2, 3), strange]);
        Ok(())
    }

    #[test]
    fn the_end_between_frames_is_no_error_and_within_one_it_is() {
        assert!(Received::read(&mut &b""[..], 10).expect("no error").is_none());
        let whole = sent(Frame::sentence(Kind::Failed, "sorry"));
        for part in 1..whole.len() {
            Received::read(&mut &whole[..part], 10).expect_err("a frame is whole");
        }
    }

    #[test]
    fn a_signal_while_waiting_is_no_fault_of_the_other_side() {
        struct Interrupted<'a>(&'a [u8], bool);
        impl Read for Interrupted<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(buffer) }
            }
        }
        let bytes = sent(Frame::sentence(Kind::Failed, "sorry"));
        let received = Received::read(&mut Interrupted(&bytes, false), 10).expect("no error");
        assert_eq!(received.expect("a frame").sentence(), "sorry");
    }

    #[test]
    fn what_was_not_agreed_upon_is_refused() {
        assert_eq!(refused(&[99; 9], u64::MAX), "a frame of an unknown kind");
        let mut endless = vec![Kind::Script as u8];
        endless.extend(u64::MAX.to_le_bytes());
        assert_eq!(refused(&endless, 1 << 20), "a frame that is too long");
        let bytes = sent(Frame::sentence(Kind::Script, "17 bytes of noise"));
        let mut received = Received::read(&mut &bytes[..], 100).expect("a frame").expect("one");
        assert_eq!(received.ops().expect_err("not a multiple").to_string(), "half an operation");
        assert!(received.ids().is_err(), "more ids than bytes are announced");
    }

    proptest::proptest! {
        /// A child may send anything.
        #[test]
        fn whatever_comes_is_a_frame_or_an_error(bytes in proptest::collection::vec(0_u8.., 0..200)) {
            let read = || Received::read(&mut &bytes[..], 100);
            let Ok(Some(mut frame)) = read() else { return Ok(()) };
            // None of these may panic, whatever the frame holds.
            let _ = (frame.ops(), frame.sentence(), frame.ids(), frame.bytes(), frame.u64());
        }

        #[test]
        fn any_payload_of_a_known_kind_can_be_looked_at(
            kind in 0_usize..Kind::ALL.len(),
            bytes in proptest::collection::vec(0_u8.., 0..100),
        ) {
            let mut frame = Frame::new(Kind::ALL[kind]);
            frame.raw(&bytes);
            let sent = sent(frame);
            let mut received = Received::read(&mut &sent[..], 100)?.expect("a frame");
            proptest::prop_assert_eq!(received.kind, Kind::ALL[kind]);
            proptest::prop_assert_eq!(received.ops().is_ok(), bytes.len() % OP_BYTES == 0);
            let ids = received.ids();
            proptest::prop_assert!(ids.is_err() || bytes.len() >= 8, "a number comes first");
        }
    }

    #[test]
    fn a_long_sentence_is_cut() {
        let bytes = sent(Frame::sentence(Kind::Failed, &"x".repeat(1 << 20)));
        assert_eq!(bytes.len(), HEADER_BYTES + SENTENCE_BYTES_MAX);
    }
}
