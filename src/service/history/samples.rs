//! Stored form of the samples of a run: seconds and bytes, as differences to the sample before, in LEB128. A run of minutes
//! takes about a kilobyte.

use crate::service::throughput::Sample;

/// Maximum length of a number, in bytes.
const LONGEST: usize = 10;

/// Returns the stored form. The numbers of images and uploads are not part of it.
pub(super) fn encode(samples: &[Sample]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut before = [0; 3];
    for sample in samples {
        let numbers = [sample.second, sample.fetched_bytes, sample.sent_bytes];
        for (number, before) in numbers.into_iter().zip(before) {
            push(&mut bytes, number.wrapping_sub(before));
        }
        before = numbers;
    }
    bytes
}

/// Returns the samples of a stored form; those of a damaged one up to the damage.
pub(super) fn decode(mut bytes: &[u8]) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut last = Sample::default();
    let mut next = || pop(&mut bytes);
    while let (Some(seconds), Some(fetched), Some(sent)) = (next(), next(), next()) {
        last = Sample {
            second: last.second.wrapping_add(seconds),
            fetched_bytes: last.fetched_bytes.wrapping_add(fetched),
            sent_bytes: last.sent_bytes.wrapping_add(sent),
            ..Sample::default()
        };
        samples.push(last);
    }
    samples
}

fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    bytes.push(low_bits(number));
}

fn low_bits(number: u64) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or_default()
}

fn pop(bytes: &mut &[u8]) -> Option<u64> {
    let end = bytes.iter().take(LONGEST).position(|byte| *byte < 0x80)?;
    let (number, rest) = bytes.split_at_checked(end + 1)?;
    *bytes = rest;
    let bits = number.iter().rev();
    Some(bits.fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: u64, fetched_bytes: u64, sent_bytes: u64) -> Sample {
        Sample {
            second,
            fetched_bytes,
            sent_bytes,
            ..Sample::default()
        }
    }

    #[test]
    fn samples_are_read_as_they_were_written() {
        let samples = [
            sample(0, 0, 127),
            sample(1, 128, 5_000_000_000),
            sample(9, u64::MAX, 4_999_999_999),
            sample(u64::MAX, 0, u64::MAX),
        ];
        let bytes = encode(&samples);
        assert_eq!(decode(&bytes), samples);
        assert_eq!(encode(&[sample(0, 0, 127)]), [0, 0, 127]);
        let damaged = bytes.split_last().map(|(_, rest)| decode(rest));
        let whole = samples.split_last().map(|(_, rest)| rest.to_vec());
        assert_eq!(damaged, whole);
        assert_eq!(decode(&[0x80; 64]), []);
        assert_eq!(decode(&[]), []);
    }
}
