//! Computing signatures: a digest over path, operation, base and staged content.
//!
//! Every field is preceded by its length and the input is domain-separated, so that no two
//! different patches or sets hash the same input. Times are not a part of it: a bare `touch` does
//! not void an approval.

use atomic_fs::{Fingerprint, RelPath};

use crate::patch::Patch;
use crate::signature::Signature;

/// The signature of one patch.
pub(crate) fn patch_signature(patch: &Patch) -> Signature {
    let mut hasher = blake3::Hasher::new_derive_key("greenroom 2026 patch signature v1");
    field(&mut hasher, patch.path.as_bytes());
    optional(&mut hasher, patch.rename_to.as_ref().map(RelPath::as_bytes));
    field(&mut hasher, patch.operation.as_str().as_bytes());
    state(&mut hasher, patch.base.map(|base| base.content));
    state(&mut hasher, patch.staged);
    Signature(hasher.finalize().into())
}

/// The signature of a set of patches, which does not depend on their order. A set of one patch
/// has that patch's signature.
pub fn set_signature(patches: &[Patch]) -> Signature {
    match patches {
        [patch] => patch.signature,
        several => signature_of_several(several),
    }
}

/// The signature of a set as versions before schema 3 computed it, also for one patch.
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
fn state(hasher: &mut blake3::Hasher, state: Option<Fingerprint>) {
    match state {
        None => field(hasher, b"absent"),
        Some(Fingerprint { digest, mode, .. }) => {
            field(hasher, b"file");
            field(hasher, digest.as_bytes());
            field(hasher, &mode.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use atomic_fs::Digest;
    use proptest::prelude::*;

    use super::*;
    use crate::base::{Base, BaseStat};
    use crate::ids::SessionId;
    use crate::patch::Operation;

    type Fields = (Vec<u8>, Option<Vec<u8>>, usize, Option<(u8, u32)>, Option<(u8, u32)>);

    fn fields() -> impl Strategy<Value = Fields> {
        let name = prop::collection::vec(b'a'..=b'b', 1..4);
        let side = prop::option::of((0..2_u8, 0..3_u32));
        (name.clone(), prop::option::of(name), 0..5_usize, side.clone(), side)
    }

    fn sign((path, rename_to, operation, base, staged): &Fields) -> Signature {
        let parse = |bytes: &[u8]| RelPath::parse(bytes).expect("a plain name");
        let side = |side: &Option<(u8, u32)>| {
            side.map(|(n, mode)| Fingerprint::file(Digest::of(&[n]), 1, mode))
        };
        let operations = [
            Operation::Create,
            Operation::Modify,
            Operation::Delete,
            Operation::Rename,
            Operation::Mode,
        ];
        let base = side(base).map(|content| {
            let stat = BaseStat { inode: 1, device: 1, changed_ns: 0, observed_ns: 0 };
            Base { content, modified_ns: 0, stat }
        });
        let mut patch =
            Patch::draft(SessionId(1), &parse(path), operations[*operation], base, side(staged));
        patch.rename_to = rename_to.as_deref().map(parse);
        patch_signature(&patch)
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
