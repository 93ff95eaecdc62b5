//! Systems whose libraries are no ELF files; their loaders are left to check them.

/// Nothing is known here.
pub(super) fn libraries_needed(_bytes: &[u8]) -> Result<Vec<String>, String> {
    Ok(Vec::new())
}
