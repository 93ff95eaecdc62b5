//! Short names for sessions, patches and applies: `s1`, `p1`, `a1`.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what} id: expected `{prefix}` and a number, like `{prefix}1`")]
pub struct IdParseError {
    text: String,
    what: &'static str,
    prefix: char,
}

macro_rules! id {
    ($name:ident, $prefix:literal, $what:literal) => {
        #[doc = concat!("Identifies one ", $what, "; shown as `", $prefix, "1`.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        #[schemars(description = concat!("Identifies one ", $what, "."))]
        #[schemars(extend("pattern" = concat!("^", $prefix, "[1-9][0-9]*$")))]
        pub struct $name(#[schemars(with = "String")] pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdParseError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                number(text, $prefix).map(Self).ok_or_else(|| IdParseError {
                    text: text.to_owned(),
                    what: $what,
                    prefix: $prefix,
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(SessionId, 's', "session");
id!(PatchId, 'p', "patch");
id!(ApplyId, 'a', "apply");

/// Splits the text of a patch's id with a revision, `p5@2`; `None` for any other text.
pub(crate) fn revision(text: &str) -> Option<(PatchId, u32)> {
    let (id, revision) = text.split_once('@')?;
    let plain = revision.bytes().all(|byte| byte.is_ascii_digit()) && !revision.starts_with('0');
    let revision = plain.then(|| revision.parse().ok()).flatten()?;
    Some((id.parse().ok()?, revision))
}

/// A name that an orchestrator gives an apply, to read its outcome later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(String);

/// The text cannot name a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a request's name has 1 to 128 printable ASCII characters without spaces")]
pub struct RequestIdError;

impl FromStr for RequestId {
    type Err = RequestIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if plain && (1..=128).contains(&text.len()) {
            return Ok(Self(text.to_owned()));
        }
        Err(RequestIdError)
    }
}

impl RequestId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of an id in the form in which ids are shown: no sign, no leading zero, and within
/// SQLite's signed 64 bits.
fn number(text: &str, prefix: char) -> Option<u64> {
    let digits = text.strip_prefix(prefix)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    plain.then(|| digits.parse().ok()).flatten().filter(|number| i64::try_from(*number).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    proptest! {
        #[test]
        fn an_id_reads_back_as_it_was_shown(number in 1..=i64::MAX as u64) {
            prop_assert_eq!(PatchId(number).to_string().parse(), Ok(PatchId(number)));
        }
    }

    #[rstest]
    #[case("s1")]
    #[case("p")]
    #[case("p0")]
    #[case("p01")]
    #[case("p+1")]
    #[case("p-1")]
    #[case("p9223372036854775808")]
    #[case("P1")]
    fn anything_else_is_no_patch_id(#[case] text: &str) {
        assert!(text.parse::<PatchId>().is_err());
    }
}
