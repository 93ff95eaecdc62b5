//! Which globs of ignored files can be used; only `run` does, which works on Linux.

#[cfg(target_os = "linux")]
pub(crate) use capture::glob_mistake;

#[cfg(not(target_os = "linux"))]
pub(crate) fn glob_mistake(_: &str) -> Option<String> {
    None
}
