//! Bytes and permission bits as a client writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::args::octal;

/// Bytes: `{"text": "…"}`, or `{"base64": "…"}` for what is not UTF-8.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Content {
    /// The bytes as text.
    Text(String),
    /// The bytes in base64 with padding (RFC 4648, section 4).
    Base64(
        #[serde(deserialize_with = "bytes")]
        #[schemars(with = "String")]
        Vec<u8>,
    ),
}

impl From<Content> for Vec<u8> {
    fn from(content: Content) -> Self {
        match content {
            Content::Text(text) => text.into_bytes(),
            Content::Base64(bytes) => bytes,
        }
    }
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64.decode(text).map_err(serde::de::Error::custom)
}

/// Permission bits, as three or four octal digits: `755`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(extend("pattern" = "^[0-7]{3,4}$"))]
pub(super) struct Mode(#[schemars(with = "String")] pub(super) u32);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        octal(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A value that is parsed from its text.
pub(super) fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// The same where it may be left out.
pub(super) fn parsed_if_given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}
