//! A workspace: the tree whose files are protected, and the state beside it.

use std::io;
use std::path::Path;

use crate::error::{FsError, IfThere as _};
use crate::locations::Locations;
use crate::options::Options;
use crate::os::dir_cache::DirCache;
use crate::os::disk::Disk;
use crate::os::lock::WorkspaceLock;
use crate::policy::Policy;
use crate::rel_path::RelPath;

mod changes;
mod paths;
pub(crate) mod read;
mod recovery;

/// The machine's own file systems.
#[cfg(unix)]
pub type SystemDisk = crate::os::posix::PosixDisk;
/// The machine's own file systems.
#[cfg(windows)]
pub type SystemDisk = crate::os::windows::WindowsDisk;

const JOURNALS: &str = "journal";
const CONFLICTS: &str = "conflicts";
/// The name in the state directory of the file whose lock (flock(2)) is the workspace's.
pub const LOCK_FILE: &str = "lock";

/// A directory tree whose files are protected, opened together with the state
/// directory that its journals lie in.
pub struct Workspace<D: Disk = SystemDisk> {
    disk: D,
    locations: Locations<D>,
    policy: Policy,
}

impl Workspace {
    /// Opens the tree below `root` with its state in `state`, an existing directory of
    /// the user's own; `journal/`, `conflicts/` and `lock` are made in it.
    ///
    /// # Errors
    /// [`FsError::Io`] when a directory cannot be opened or made.
    pub fn open(root: &Path, state: &Path, options: Options) -> Result<Self, FsError> {
        let canonical =
            |path: &Path| dunce::canonicalize(path).map_err(FsError::state("find", path));
        let (root_path, state_path) = (canonical(root)?, canonical(state)?);
        let disk = SystemDisk::default();
        let open = |path: &Path| disk.open_dir(path).map_err(FsError::state("open", path));
        for name in [JOURNALS, CONFLICTS] {
            make_private_dir(&state_path.join(name))?;
        }
        let own_state = state_path
            .strip_prefix(&root_path)
            .ok()
            .filter(|inside| !inside.as_os_str().is_empty())
            .map(RelPath::from_path)
            .transpose()?;
        let locations = Locations {
            root: open(&root_path)?,
            journals: open(&state_path.join(JOURNALS))?,
            conflicts: open(&state_path.join(CONFLICTS))?,
            conflicts_path: state_path.join(CONFLICTS),
            lock_path: state_path.join(LOCK_FILE),
            own_state,
            root_path,
        };
        Ok(Self::on_disk(disk, locations, options))
    }
}

#[allow(clippy::disallowed_methods, reason = "a directory of the state, not of the workspace")]
fn make_private_dir(path: &Path) -> Result<(), FsError> {
    // What a directory inherits on Windows is the state directory's own, which is the user's.
    #[cfg_attr(windows, allow(unused_mut))]
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.create(path).unless(&[io::ErrorKind::AlreadyExists]);
    made.map_err(FsError::state("make the directory", path))?;
    let found = std::fs::symlink_metadata(path).map_err(FsError::state("look at", path))?;
    if !found.is_dir() {
        // A link would lead what is kept for the user somewhere else.
        let error = io::Error::other("something else has its name: move it away");
        return Err(FsError::state("use the directory", path)(error));
    }
    Ok(())
}

impl<D: Disk> Workspace<D> {
    /// A workspace on any disk, of directories that are open already.
    pub fn on_disk(disk: D, locations: Locations<D>, options: Options) -> Self {
        let own_state = locations.own_state.clone();
        let policy = Policy { options, own_state, root_path: locations.root_path.clone() };
        Self { disk, locations, policy }
    }

    /// The disk it lies on.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The permission bits that a file has on this system after these were asked for.
    pub fn kept_mode(&self, mode: u32) -> u32 {
        self.disk.kept_mode(mode)
    }

    /// The root, canonical.
    pub fn root(&self) -> &Path {
        &self.locations.root_path
    }

    /// Waits for the workspace's lock.
    ///
    /// # Errors
    /// [`FsError::Io`] when the lock's file cannot be opened.
    pub fn lock(&self) -> Result<WorkspaceLock, FsError> {
        WorkspaceLock::wait(&self.locations.lock_path)
    }

    /// Takes the workspace's lock if nobody holds it.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<Option<WorkspaceLock>, FsError> {
        WorkspaceLock::try_take(&self.locations.lock_path)
    }

    fn cache(&self) -> DirCache<'_, D> {
        DirCache::new(&self.disk, &self.locations, &self.policy.options)
    }
}
