//! Signatures: digests that identify what a reviewer approves.

use std::fmt;
use std::str::FromStr;

use atomic_fs::{Digest, DigestParseError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Identifies a patch or a set of patches with its contents; shown as 64 hex digits.
///
/// An approval names a signature: what is applied is exactly what was shown, or nothing.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[schemars(description = "Identifies exactly what was shown; an approval names it.")]
#[schemars(extend("pattern" = "^[0-9a-f]{64}$"))]
pub struct Signature(#[schemars(with = "String")] pub(crate) Digest);

impl Signature {
    /// The signature with these 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Digest::from_bytes(bytes))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Signature {
    type Err = DigestParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
