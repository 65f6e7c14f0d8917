//! A receiver's word on when packets arrived, read. A report is looked through as a whole before anything of it is used: one that does not
//! add up gives nothing.
//!
//! Requirements held here: RELY-21.

use super::{DELTA_US, REFERENCE_US};

/// Arrivals of one report lie within this time: what says otherwise is wrong or worth nothing.
const MAX_SPAN_US: i64 = 10_000_000;
/// Base, number of statuses, reference time and count.
const HEAD: usize = 8;
/// What is left over behind the deltas can only be padding to 32 bits.
const MAX_PADDING: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    #[error("the report ends before what it announces")]
    Truncated,
    #[error("the report has more than it announces")]
    Oversized,
    #[error("the report has no status, or a run of none or of more than there are")]
    Run,
    #[error("a status has a reserved symbol")]
    Reserved,
    #[error("the arrivals lie too far apart")]
    Span,
}

/// One report, which adds up.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    base: u16,
    count: u16,
    reference: u32,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Missing,
    Small,
    Large,
}

impl<'a> Report<'a> {
    /// Reads what stands behind the SSRCs of the RTCP packet.
    pub fn parse(body: &'a [u8]) -> Result<Self, ReportError> {
        let head = body.first_chunk::<HEAD>().ok_or(ReportError::Truncated)?;
        let count = u16::from_be_bytes([head[2], head[3]]);
        let after = &body[HEAD..];
        let (mut chunks, mut left) = (0, usize::from(count));
        if left == 0 {
            return Err(ReportError::Run);
        }
        while left > 0 {
            let chunk = after.get(chunks..chunks + 2).ok_or(ReportError::Truncated)?;
            let len = chunk_len(word(chunk), left)?;
            (chunks, left) = (chunks + 2, left - len);
        }
        let (chunks, deltas) = after.split_at(chunks);
        let report = Report {
            base: u16::from_be_bytes([head[0], head[1]]),
            count,
            reference: u32::from_be_bytes([0, head[4], head[5], head[6]]),
            chunks,
            deltas,
        };
        report.check().map(|()| report)
    }

    fn check(&self) -> Result<(), ReportError> {
        let (mut deltas, mut at, mut least, mut most) = (self.deltas, 0_i64, i64::MAX, i64::MIN);
        for symbol in symbols(self.chunks, self.count) {
            if let Some(delta) = take_delta(&mut deltas, symbol?)? {
                at += delta;
                (least, most) = (least.min(at), most.max(at));
            }
        }
        if deltas.len() > MAX_PADDING {
            return Err(ReportError::Oversized);
        }
        match most.checked_sub(least) {
            Some(span) if span > MAX_SPAN_US => Err(ReportError::Span),
            _ => Ok(()),
        }
    }

    /// The first number it speaks of.
    pub fn base(&self) -> u16 {
        self.base
    }

    /// How many numbers it speaks of.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Where the receiver's clock stood, in units of 64 ms, modulo 2^24.
    pub fn reference(&self) -> u32 {
        self.reference
    }

    /// What becomes a time on the receiver's clock when [`Report::reference`] has been unwrapped.
    pub const REFERENCE_US: i64 = REFERENCE_US;

    /// One status for each number from the base on: microseconds since the reference time, or `None` where nothing had arrived.
    pub fn statuses(&self) -> impl Iterator<Item = Option<i64>> + 'a {
        let (mut deltas, mut at) = (self.deltas, 0);
        // What `check` found whole is whole.
        symbols(self.chunks, self.count).map_while(move |symbol| {
            let delta = take_delta(&mut deltas, symbol.ok()?).ok()?;
            Some(delta.map(|delta| {
                at += delta;
                at
            }))
        })
    }
}

/// How many statuses a chunk holds when so many are left.
fn chunk_len(chunk: u16, left: usize) -> Result<usize, ReportError> {
    match chunk >> 14 {
        // A run (section 3.1.3 of the draft).
        0 | 1 => {
            let run = usize::from(chunk & 0x1FFF);
            (1..=left).contains(&run).then_some(run).ok_or(ReportError::Run)
        }
        // A vector of one or two bits each (section 3.1.4), whose last symbols may stand for nothing.
        2 => Ok(left.min(14)),
        _ => Ok(left.min(7)),
    }
}

fn symbols(chunks: &[u8], count: u16) -> impl Iterator<Item = Result<Symbol, ReportError>> + '_ {
    let mut left = usize::from(count);
    chunks.chunks_exact(2).flat_map(move |chunk| {
        let chunk = word(chunk);
        let len = chunk_len(chunk, left).unwrap_or(0);
        left -= len;
        (0..len).map(move |i| {
            let symbol = match chunk >> 14 {
                0 | 1 => chunk >> 13 & 3,
                2 => chunk >> (13 - i) & 1,
                _ => chunk >> (12 - 2 * i) & 3,
            };
            match symbol {
                0 => Ok(Symbol::Missing),
                1 => Ok(Symbol::Small),
                2 => Ok(Symbol::Large),
                _ => Err(ReportError::Reserved),
            }
        })
    })
}

/// Microseconds since the arrival before.
fn take_delta(deltas: &mut &[u8], symbol: Symbol) -> Result<Option<i64>, ReportError> {
    let ticks = match symbol {
        Symbol::Missing => return Ok(None),
        Symbol::Small => {
            let (small, rest) = deltas.split_first().ok_or(ReportError::Truncated)?;
            *deltas = rest;
            i64::from(*small)
        }
        Symbol::Large => {
            let (large, rest) = deltas.split_first_chunk::<2>().ok_or(ReportError::Truncated)?;
            *deltas = rest;
            i64::from(i16::from_be_bytes(*large))
        }
    };
    Ok(Some(ticks * DELTA_US))
}

fn word(chunk: &[u8]) -> u16 {
    u16::from_be_bytes([chunk[0], chunk[1]])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Report, ReportError};

    fn head(base: u16, count: u16, reference: u32) -> Vec<u8> {
        let [_, a, b, c] = reference.to_be_bytes();
        [&base.to_be_bytes()[..], &count.to_be_bytes(), &[a, b, c, 9]].concat()
    }

    fn report(count: u16, chunks: &[u16], deltas: &[u8]) -> Vec<u8> {
        let mut bytes = head(65_534, count, 7);
        bytes.extend(chunks.iter().flat_map(|chunk| chunk.to_be_bytes()));
        bytes.extend_from_slice(deltas);
        bytes
    }

    fn statuses(bytes: &[u8]) -> Vec<Option<i64>> {
        Report::parse(bytes).unwrap().statuses().collect()
    }

    fn error(bytes: &[u8]) -> ReportError {
        Report::parse(bytes).unwrap_err()
    }

    #[test]
    fn rely_21_runs_and_vectors_are_read_with_their_deltas() {
        // A run of two small ones, a run of two missing ones, a vector of one bit, a vector of two bits.
        let one_bit = 0b10_10100000000000;
        let two_bits = 0b11_10_00_01_00_00_00_00;
        let bytes = report(21, &[0x2002, 0x0002, one_bit, two_bits], &[4, 8, 1, 2, 0xFF, 0xFC, 3]);
        let parsed = Report::parse(&bytes).unwrap();
        assert_eq!((parsed.base(), parsed.count(), parsed.reference()), (65_534, 21, 7));
        let mut expected = vec![Some(1_000), Some(3_000), None, None, Some(3_250), None, Some(3_750)];
        expected.resize(18, None);
        expected.extend([Some(2_750), None, Some(3_500)]);
        assert_eq!(statuses(&bytes), expected);
    }

    #[test]
    fn rely_21_a_report_cut_anywhere_is_refused() {
        let bytes = report(9, &[0x2002, 0b11_10_01_01_01_01_01_01], &[1, 2, 0, 9, 1, 1, 1, 1, 1, 1]);
        assert_eq!(statuses(&bytes).len(), 9);
        for len in 0..bytes.len() {
            assert_eq!(error(&bytes[..len]), ReportError::Truncated, "{len}");
        }
    }

    #[test]
    fn rely_21_runs_of_nothing_and_beyond_the_end_reserved_symbols_and_what_is_left_over_are_refused() {
        assert_eq!(error(&report(0, &[0x2001], &[1])), ReportError::Run);
        assert_eq!(error(&report(1, &[0x2000], &[1])), ReportError::Run);
        assert_eq!(error(&report(3, &[0x2004], &[1; 4])), ReportError::Run);
        assert_eq!(error(&report(3, &[0x6003], &[1; 6])), ReportError::Reserved);
        assert_eq!(
            error(&report(7, &[0b11_11_00_00_00_00_00_00], &[1; 2])),
            ReportError::Reserved
        );
        assert_eq!(error(&report(2, &[0x2002], &[1; 6])), ReportError::Oversized);
        assert_eq!(statuses(&report(2, &[0x2002], &[1; 5])).len(), 2, "padding to 32 bits");
    }

    #[test]
    fn rely_21_arrivals_years_apart_are_refused_and_never_overflow() {
        let far = [0x7F, 0xFF].repeat(60);
        assert_eq!(error(&report(60, &[0x4000 | 60], &far)), ReportError::Span);
        let back = [0x80, 0x00].repeat(0x1FFF);
        assert_eq!(error(&report(0x1FFF, &[0x5FFF], &back)), ReportError::Span);
        let near = [0x80, 0x00, 0x7F, 0xFF].repeat(30);
        assert_eq!(statuses(&report(60, &[0x4000 | 60], &near)).len(), 60);
    }

    #[test]
    fn rely_21_arbitrary_bytes_are_refused_or_have_as_many_statuses_as_they_say() {
        let mut state = 1_u64;
        let mut random = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        let mut read = 0;
        for _ in 0..20_000 {
            let mut bytes: Vec<u8> = (0..random() % 40).map(|_| random()).collect();
            if bytes.len() > 4 {
                (bytes[2], bytes[3]) = (0, random() % 24); // else hardly any would be whole
            }
            if let Ok(report) = Report::parse(&bytes) {
                read += 1;
                assert_eq!(report.statuses().count(), usize::from(report.count()));
            }
        }
        assert!(read > 100, "{read}");
    }
}
