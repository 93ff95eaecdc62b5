//! What an approval binds to: a digest over path, operation, base and staged
//! content.
//!
//! Every field is length-prefixed and the whole is domain-separated, so that no
//! two different patches or sets hash the same input. Times are no part of it: a
//! bare `touch` does not void an approval.

use std::fmt;
use std::str::FromStr;

use atomic_fs::{Digest, DigestParseError, RelPath};
use serde::{Deserialize, Serialize};

use crate::patch::{Operation, Patch};

/// Names exactly what was shown; 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signature(Digest);

impl Signature {
    /// A signature read back from storage.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Digest::from_bytes(bytes))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl schemars::JsonSchema for Signature {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Signature".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "Names exactly what was shown; what an approval names.",
        })
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

/// What a patch's signature covers.
pub(crate) struct Bound<'a> {
    pub(crate) path: &'a RelPath,
    pub(crate) rename_to: Option<&'a RelPath>,
    pub(crate) operation: Operation,
    /// Digest and mode; `None` when nothing was there.
    pub(crate) base: Option<(Digest, u32)>,
    /// Digest and mode; `None` when nothing is to be there.
    pub(crate) staged: Option<(Digest, u32)>,
}

impl<'a> Bound<'a> {
    /// What is covered of a patch.
    pub(crate) fn of(patch: &'a Patch) -> Self {
        Self {
            path: &patch.path,
            rename_to: patch.rename_to.as_ref(),
            operation: patch.operation,
            base: patch.base.as_ref().map(|base| (base.content.digest, base.content.mode)),
            staged: patch.staged.map(|staged| (staged.digest, staged.mode)),
        }
    }
}

/// The signature of one patch.
pub(crate) fn patch_signature(bound: &Bound<'_>) -> Signature {
    let mut hasher = blake3::Hasher::new_derive_key("greenroom 2026 patch signature v1");
    field(&mut hasher, bound.path.as_bytes());
    optional(&mut hasher, bound.rename_to.map(RelPath::as_bytes));
    field(&mut hasher, bound.operation.as_str().as_bytes());
    state(&mut hasher, bound.base);
    state(&mut hasher, bound.staged);
    Signature(hasher.finalize().into())
}

/// The signature of a set of patches, whatever their order. A set of one patch has that patch's
/// signature.
pub fn set_signature(patches: &[Patch]) -> Signature {
    match patches {
        [patch] => patch.signature,
        several => signature_of_several(several),
    }
}

/// The signature of a set as versions before schema 3 computed it, of one patch as well.
pub(crate) fn signature_of_several(patches: &[Patch]) -> Signature {
    let mut sorted: Vec<_> =
        patches.iter().map(|patch| (patch.path.as_bytes(), patch.signature)).collect();
    sorted.sort_unstable();
    let mut hasher = blake3::Hasher::new_derive_key("greenroom 2026 set signature v1");
    hasher.update(&(sorted.len() as u64).to_le_bytes());
    for (_, signature) in sorted {
        hasher.update(signature.as_bytes());
    }
    Signature(hasher.finalize().into())
}

fn field(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

fn optional(hasher: &mut blake3::Hasher, bytes: Option<&[u8]>) {
    hasher.update(&[u8::from(bytes.is_some())]);
    if let Some(bytes) = bytes {
        field(hasher, bytes);
    }
}

/// Kind, content and mode of one side.
fn state(hasher: &mut blake3::Hasher, state: Option<(Digest, u32)>) {
    match state {
        None => field(hasher, b"absent"),
        Some((digest, mode)) => {
            field(hasher, b"file");
            field(hasher, digest.as_bytes());
            field(hasher, &mode.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Fields = (Vec<u8>, Option<Vec<u8>>, usize, Option<(u8, u32)>, Option<(u8, u32)>);

    fn fields() -> impl Strategy<Value = Fields> {
        let name = prop::collection::vec(b'a'..=b'b', 1..4);
        let side = prop::option::of((0..2_u8, 0..3_u32));
        (name.clone(), prop::option::of(name), 0..5_usize, side.clone(), side)
    }

    fn sign((path, rename_to, operation, base, staged): &Fields) -> Signature {
        let parse = |bytes: &[u8]| RelPath::parse(bytes).expect("a plain name");
        let side = |side: &Option<(u8, u32)>| side.map(|(n, mode)| (Digest::of(&[n]), mode));
        let operations = [
            Operation::Create,
            Operation::Modify,
            Operation::Delete,
            Operation::Rename,
            Operation::Mode,
        ];
        patch_signature(&Bound {
            path: &parse(path),
            rename_to: rename_to.as_deref().map(parse).as_ref(),
            operation: operations[*operation],
            base: side(base),
            staged: side(staged),
        })
    }

    proptest! {
        #[test]
        fn a_signature_changes_with_every_field_and_with_nothing_else(a in fields(), b in fields()) {
            prop_assert_eq!(sign(&a) == sign(&b), a == b);
        }

        #[test]
        fn a_signature_reads_back_as_it_was_shown(fields in fields()) {
            let signature = sign(&fields);
            prop_assert_eq!(signature.to_string().parse(), Ok(signature));
        }
    }
}
