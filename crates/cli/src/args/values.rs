//! Values of options, from their text.

use std::time::Duration;

use staging_core::{Digest, Timestamp};

pub(crate) fn octal(text: &str) -> Result<u32, String> {
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let bits = octal.then(|| u32::from_str_radix(text, 8).ok()).flatten();
    bits.ok_or_else(|| "expected three or four octal digits, like 755".to_owned())
}

pub(super) fn glob(text: &str) -> Result<String, String> {
    match crate::globs::glob_mistake(text) {
        Some(mistake) => Err(mistake),
        None => Ok(text.to_owned()),
    }
}

pub(super) fn entry(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "expected the number of an entry, as `greenroom log` shows it".to_owned())
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "expected a number of seconds, like 2 or 0.5".to_owned())
}

pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    let time: Timestamp =
        text.parse().map_err(|_| "expected a time like 2026-01-31T12:00:00Z".to_owned())?;
    if time > Timestamp::now() { Err("this time is in the future".to_owned()) } else { Ok(time) }
}

pub(super) fn digest(text: &str) -> Result<Digest, String> {
    text.parse().map_err(|_| "expected the 64 hex digits of a BLAKE3 digest".to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("755", Some(0o755))]
    #[case("0644", Some(0o644))]
    #[case("4755", Some(0o4755))]
    #[case("75", None)]
    #[case("789", None)]
    #[case("100644", None)]
    #[case("+75", None)]
    fn a_mode_is_three_or_four_octal_digits(#[case] text: &str, #[case] expected: Option<u32>) {
        assert_eq!(octal(text).ok(), expected);
    }
}
