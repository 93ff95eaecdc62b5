//! What a user sees of Greenroom, through the command and the Rust facade.

#[cfg(target_os = "linux")]
mod adversary;
mod authors;
mod closing;
mod colours;
mod comments;
#[cfg(target_os = "linux")]
mod commits;
mod completing;
#[cfg(target_os = "linux")]
mod confined;
#[cfg(target_os = "linux")]
mod copies;
#[cfg(target_os = "linux")]
mod day;
mod documents;
mod editing;
mod facade;
mod full_replace;
mod git_outside;
mod hooks;
mod ignored_files;
mod init;
mod init_behind_a_script;
#[cfg(target_os = "linux")]
mod init_with_shell;
mod invisible;
mod json_shapes;
mod kill;
mod layer_limit;
mod log;
#[cfg(target_os = "linux")]
mod machines;
mod mcp;
mod moved;
mod operations;
mod paging;
mod patches;
mod plugins;
mod policy;
mod processes;
mod protected;
mod protecting;
mod quiet;
mod recovering;
mod rejecting;
#[cfg(target_os = "linux")]
mod resuming;
mod review_killed;
mod reviewing;
mod revisions;
mod risks;
mod round_trip;
#[cfg(target_os = "linux")]
mod running;
#[cfg(target_os = "linux")]
mod running_beside;
mod running_in_a_copy;
#[cfg(target_os = "linux")]
mod running_in_git;
#[cfg(target_os = "linux")]
mod running_without_a_view;
mod selecting;
mod serving;
mod signatures;
mod stale;

mod state_dir;
mod terminal;
mod under_agents;
mod undo;
mod undo_paths;
mod usage;
#[cfg(target_os = "linux")]
mod users;
mod waiting;
mod waiting_for_review;
mod watching;
mod watching_person;
mod workspace;
