//! The location of the workspace, its state and the configuration, and the files that arguments
//! name.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
use capture::MARK;
use staging_core::{
    ErrorKind, PathError, RelPath, StateFound, WorkspaceState, adopt_state, below_root, find_state,
    first_with_work, is_closed,
};

use crate::args::Global;
use crate::failure::Failure;
use crate::paths::{resolved, shown};
use crate::root::{check_root, find_root};
use crate::user_dirs::{STATE, config_file, home};

/// The variable that marks the processes of a command that works in a copy.
#[cfg(not(target_os = "linux"))]
const MARK: &str = "GREENROOM_COMMAND";

/// The directories that a command works with.
#[derive(Debug)]
pub(crate) struct Location {
    /// The workspace's root, canonical.
    pub(crate) root: PathBuf,
    /// This workspace's own state directory.
    pub(crate) state_dir: PathBuf,
    /// The directory of the states of all workspaces.
    pub(crate) base: PathBuf,
    /// How this workspace's state was found.
    state: WorkspaceState,
    /// The file of the user's configuration, which may not exist.
    pub(crate) config_file: Option<PathBuf>,
    /// The directory of relative arguments, canonical.
    current: PathBuf,
}

impl Location {
    /// Finds them by the options, the environment and the current directory.
    pub(crate) fn find(options: &Global) -> Result<Self, Failure> {
        Self::find_from(options, &current_dir()?)
    }

    /// The same with another current directory.
    pub(crate) fn find_from(options: &Global, current: &Path) -> Result<Self, Failure> {
        let current = dunce::canonicalize(current)
            .map_err(|source| Failure::io("cannot find the current directory", &source))?;
        let home = home().and_then(|home| dunce::canonicalize(home).ok());
        let base = state_base(options, &current)?;
        refuse_inside(&base, &current)?;
        let root = match &options.workspace {
            Some(named) => dunce::canonicalize(named).map_err(|source| {
                Failure::io(format_args!("cannot open the workspace {}", shown(named)), &source)
            })?,
            None => find_root(&current, home.as_deref(), &base)?.to_owned(),
        };
        check_root(&root, home.as_deref())?;
        check_outside(&base, &root, "the state directory", "Name another with --state-dir.")?;
        Self::with_state(root, base, current)
    }

    /// The places for settings of the user's own, below a folder that agents do not work in: the
    /// home directory, or one that the user keeps settings in. It may hold the state too, which
    /// no change can name.
    pub(crate) fn of_settings(options: &Global, root: &Path) -> Result<Self, Failure> {
        let root = dunce::canonicalize(root).map_err(|source| {
            Failure::io(format_args!("cannot open the folder {}", shown(root)), &source)
        })?;
        let current = current_dir()?;
        let base = state_base(options, &current)?;
        Self::with_state(root, base, current)
    }

    /// The places of a workspace whose state names it, whatever directory that is.
    pub(crate) fn of_state(options: &Global, root: PathBuf) -> Result<Self, Failure> {
        let base = states_of(options)?;
        let current = root.clone();
        Self::with_state(root, base, current)
    }

    fn with_state(root: PathBuf, base: PathBuf, current: PathBuf) -> Result<Self, Failure> {
        let state = find_state(&base, &root)?;
        let state_dir = state.dir.clone();
        Ok(Self { root, state_dir, base, state, config_file: config_file(), current })
    }

    /// Takes over the state of a directory that was here before, or that this one was: the one
    /// that is named by its state directory or its old path, else the only one.
    pub(crate) fn adopt(self, named: Option<&Path>) -> Result<Self, Failure> {
        let is_named =
            |name: &Path| named.is_none_or(|named| name == named || name.ends_with(named));
        let all = &self.state.unclaimed;
        let named: Vec<_> =
            all.iter().filter(|state| is_named(&state.dir) || is_named(&state.root)).collect();
        let with_work: Vec<_> = named.iter().copied().filter(|state| state.has_work).collect();
        let chosen = match (named.as_slice(), with_work.as_slice()) {
            ([only], _) | (_, [only]) => only,
            ([], _) => {
                return Err(Failure::new(
                    ErrorKind::NotFound,
                    "there is no state of an earlier directory to adopt",
                ));
            }
            _ => {
                let dirs: Vec<String> =
                    named.iter().map(|state| format!("`{}`", shown(&state.dir))).collect();
                return Err(Failure::usage(format!(
                    "several states can be adopted: {}",
                    dirs.join(", ")
                ))
                .advise("Name one of them: `greenroom recover --adopt DIR`."));
            }
        };
        adopt_state(&self.base, &self.root, &chosen.dir)?;
        Self::with_state(self.root, self.base, self.current)
    }

    /// Whether the workspace has a state. Commands that only read do not create one.
    pub(crate) fn has_state(&self) -> bool {
        self.state.found != StateFound::New
    }

    /// A note about pending patches of a directory that contains this workspace.
    pub(crate) fn note_of_work_above(&self) -> Option<String> {
        // It is a hint: other calls report states that cannot be read.
        let above = first_with_work(&self.base, self.root.ancestors().skip(1)).ok()??;
        Some(format!(
            "patches are pending in `{0}`, which holds this workspace: `greenroom --workspace {0} \
             status` shows them",
            shown(above)
        ))
    }

    /// Notes for a person about the state, a line each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let StateFound::Moved { from } = &self.state.found {
            notes.push(format!("this workspace was at `{}`; its state moved with it", shown(from)));
        }
        for state in self.state.unclaimed.iter().filter(|state| state.has_work) {
            let root = shown(&state.root);
            notes.push(if state.root == self.root {
                format!(
                    "another directory was at `{root}` before, and has patches pending; \
                     `greenroom recover --adopt` adopts them"
                )
            } else {
                format!(
                    "patches are pending for `{root}`, which does not exist any more and may be this directory; \
                     `greenroom recover --adopt` adopts them"
                )
            });
        }
        notes
    }

    /// The same places, with relative arguments beginning at a directory, which is canonical.
    pub(crate) fn standing_in(self, current: PathBuf) -> Self {
        Self { current, ..self }
    }

    /// The file below the workspace that an argument names.
    ///
    /// Parents of an absolute path may be other names of the workspace's own
    /// parents. Symlinks below the root are left to the core, which opens every
    /// path beneath it.
    pub(crate) fn file(&self, argument: &OsStr) -> Result<RelPath, Failure> {
        self.below(argument)?.ok_or_else(|| {
            let argument = shown(argument);
            Failure::refused(format!("`{argument}` is the workspace itself: name a file below it"))
                .about(argument)
        })
    }

    /// The same; none for the workspace itself.
    pub(crate) fn below(&self, argument: &OsStr) -> Result<Option<RelPath>, Failure> {
        let about = |failure: Failure| failure.about(shown(argument));
        if argument.is_empty() {
            return Err(Failure::usage("the path is empty: name a file below the workspace"));
        }
        let below = below_root(&self.root, &self.current.join(argument)).ok_or_else(|| {
            about(Failure::refused(format!(
                "`{}` is outside of the workspace `{}`",
                shown(argument),
                shown(&self.root),
            )))
        })?;
        match RelPath::from_path(&below) {
            Ok(path) => Ok(Some(path)),
            Err(PathError::Empty) => Ok(None),
            Err(error) => Err(about(Failure::refused(error.to_string()))),
        }
    }

    /// A path of the workspace as it is typed in the current directory, for a message.
    pub(crate) fn typed(&self, path: &RelPath) -> String {
        shown(self.typed_path(path))
    }

    /// The same for programs.
    pub(crate) fn typed_path(&self, path: &RelPath) -> PathBuf {
        let path = self.root.join(path.to_path_buf());
        if !self.current.starts_with(&self.root) {
            return path;
        }
        let up = self.current.ancestors().position(|above| path.starts_with(above)).unwrap_or(0);
        let above = self.current.ancestors().nth(up).unwrap_or(&self.root);
        let mut typed: PathBuf = std::iter::repeat_n("..", up).collect();
        typed.push(path.strip_prefix(above).unwrap_or(&path));
        if typed.as_os_str().is_empty() { PathBuf::from(".") } else { typed }
    }

    /// Whether relative arguments begin at the workspace's root.
    pub(crate) fn is_at_root(&self) -> bool {
        self.current == self.root
    }

    /// The folder that relative arguments begin in; none for the workspace's root.
    ///
    /// # Errors
    /// `Refused` when it is outside of the workspace.
    pub(crate) fn directory(&self) -> Result<Option<RelPath>, Failure> {
        let below = self.current.strip_prefix(&self.root).map_err(|_| {
            Failure::refused(format!(
                "`{}` is outside of the workspace `{}`",
                shown(&self.current),
                shown(&self.root)
            ))
        })?;
        if below.as_os_str().is_empty() {
            return Ok(None);
        }
        let parsed = RelPath::from_path(below);
        parsed.map(Some).map_err(|error| Failure::refused(error.to_string()))
    }

    /// A file anywhere, relative to the current directory.
    pub(crate) fn any_file(&self, argument: &Path) -> PathBuf {
        self.current.join(argument)
    }
}

/// The directory that the command was started in.
pub(crate) fn current_dir() -> Result<PathBuf, Failure> {
    env::current_dir().map_err(|source| Failure::io("cannot find the current directory", &source))
}

/// How a command of `greenroom run` or `exec` is kept from deciding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Inside {
    /// It is in a view of this session.
    View { session: String },
    /// It works in a copy of the workspace.
    Copy,
}

/// Whether this process is in a command of `greenroom run` or `exec`: in a view the states are hidden behind
/// a read-only file system with a file that names the session; in a copy their files cannot be opened.
pub(crate) fn inside(base: &Path) -> Option<Inside> {
    if let Ok(session) = std::fs::read_to_string(base.join("inside"))
        && is_read_only(base)
    {
        return Some(Inside::View { session: session.trim().to_owned() });
    }
    is_closed(base).then_some(Inside::Copy)
}

#[cfg(unix)]
fn is_read_only(directory: &Path) -> bool {
    rustix::fs::statvfs(directory)
        .is_ok_and(|found| found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

#[cfg(not(unix))]
fn is_read_only(_: &Path) -> bool {
    false
}

fn refuse_inside(base: &Path, current: &Path) -> Result<(), Failure> {
    let advice = "What is written here is staged by itself; a person reviews it outside.";
    // Where nothing guards the command, the variable keeps it from an error.
    let by_variable = || env::var_os(MARK).map(|_| Inside::Copy);
    let message = match inside(base).or_else(by_variable) {
        Some(Inside::View { session }) => {
            format!(
                "this command runs in session {session} of `greenroom run`, which decides nothing"
            )
        }
        Some(Inside::Copy) => {
            "this command runs in a copy of the workspace that `greenroom` has made for \
             it, and cannot open the state: it decides nothing"
                .to_owned()
        }
        None if resolved(base).is_ok_and(|base| current.starts_with(base)) => {
            let message = format!("`{}` is in the state directory", shown(current));
            return Err(Failure::refused(message).advise("Change to the workspace."));
        }
        None => return Ok(()),
    };
    Err(Failure::refused(message).advise(advice))
}

/// Where the states of all workspaces are, for a command that is about no workspace.
pub(crate) fn states_of(options: &Global) -> Result<PathBuf, Failure> {
    // Where a path is absolute, as it is in a unit of the system, none is needed.
    let current = env::current_dir().unwrap_or_default();
    state_base(options, &current)
}

/// Where the states of all workspaces are when no option names another place.
pub(crate) fn usual_states() -> Option<PathBuf> {
    STATE.find(home().as_deref())
}

/// The directory of the states of all workspaces.
fn state_base(options: &Global, current: &Path) -> Result<PathBuf, Failure> {
    match options.state_dir.as_ref().filter(|dir| !dir.as_os_str().is_empty()) {
        Some(named) => resolved(&current.join(named)).map_err(|source| {
            Failure::io(format_args!("cannot find the state directory {}", shown(named)), &source)
        }),
        None => usual_states().ok_or_else(|| {
            Failure::usage("there is no home directory to keep state in")
                .advise("Name a directory with --state-dir.")
        }),
    }
}

/// Refuses what agents could reach, because they write in the workspace.
pub(crate) fn check_outside(
    path: &Path,
    root: &Path,
    what: &str,
    advice: &str,
) -> Result<(), Failure> {
    let full = resolved(path).map_err(|source| {
        Failure::io(format_args!("cannot find {what} {}", shown(path)), &source)
    })?;
    if full.starts_with(root) {
        return Err(Failure::refused(format!(
            "{what} `{}` is inside the workspace, where agents write",
            shown(path)
        ))
        .advise(advice));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]
mod tests {
    use rstest::rstest;

    use super::*;

    fn location() -> Location {
        Location {
            root: PathBuf::from("/w/app"),
            state_dir: PathBuf::new(),
            base: PathBuf::new(),
            state: WorkspaceState {
                dir: PathBuf::new(),
                found: StateFound::New,
                unclaimed: Vec::new(),
            },
            config_file: None,
            current: PathBuf::from("/w/app/src"),
        }
    }

    #[rstest]
    #[case("a.rs", "src/a.rs")]
    #[case("./a.rs", "src/a.rs")]
    #[case("../a.rs", "a.rs")]
    #[case("../src/../src//a.rs", "src/a.rs")]
    #[case("/w/app/src/a.rs", "src/a.rs")]
    #[case("/w/./app/b", "b")]
    fn an_argument_names_a_file_below_the_root(#[case] argument: &str, #[case] expected: &str) {
        let file = location().file(OsStr::new(argument)).expect("lies below the root");
        assert_eq!(file.to_string(), expected);
    }

    #[rstest]
    #[case("src/a.rs", "a.rs")]
    #[case("src/deep/a.rs", "deep/a.rs")]
    #[case("a.rs", "../a.rs")]
    #[case("docs/a.md", "../docs/a.md")]
    #[case("src", ".")]
    fn a_path_is_typed_from_the_current_directory(#[case] path: &str, #[case] expected: &str) {
        let path = path.parse().expect("a path");
        let typed = location().typed(&path);
        assert_eq!(typed, expected);
        let read = location().below(OsStr::new(&typed)).expect("it lies below the root");
        assert_eq!(read, Some(path));
    }

    #[cfg(unix)]
    #[test]
    fn a_state_directory_behind_a_link_is_checked_where_it_is() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let root = dunce::canonicalize(folder.path()).expect("it exists");
        for dir in ["dir/inner", "ws"] {
            std::fs::create_dir_all(root.join(dir)).expect("writable");
        }
        std::os::unix::fs::symlink(root.join("dir/inner"), root.join("ws/link")).expect("writable");
        let behind = root.join("dir/inner/../../ws/link/../../ws/state");
        let refused = check_outside(&behind, &root.join("ws"), "the state directory", "");
        assert_eq!(refused.expect_err("it lies in the workspace").exit_code(), 4);
        let outside = check_outside(&root.join("ws/link/../st"), &root.join("ws"), "it", "");
        outside.expect("by its text it lies inside");
    }

    #[rstest]
    #[case("../../x", 4)]
    #[case("../../../../../../x", 4)]
    #[case("../../application/x", 4)]
    #[case("/etc/passwd", 4)]
    #[case("/w/app/../x", 4)]
    #[case("..", 4)]
    #[case("/w/app", 4)]
    #[case("", 2)]
    fn an_argument_cannot_leave_the_root(#[case] argument: &str, #[case] exit_code: u8) {
        let failure = location().file(OsStr::new(argument)).expect_err("leads out");
        assert_eq!(failure.exit_code(), exit_code);
    }
}
