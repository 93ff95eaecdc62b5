//! `greenroom mcp` as clients meet it: lines of JSON-RPC over a process's streams.

mod approval;
#[cfg(target_os = "linux")]
mod captured;
pub(crate) mod client;
#[cfg(target_os = "linux")]
mod commands;
#[cfg(target_os = "linux")]
mod commands_confined;
#[cfg(target_os = "linux")]
mod commands_ending;
mod decisions;
mod eras;
mod hostile;
mod reading;
mod review;
mod sessions;
mod waiting;
mod writing;
