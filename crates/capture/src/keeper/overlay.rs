//! Makes the overlay and mounts it wherever the workspace can be reached.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags};

use super::confine;
use super::mounts::{self, Mounts};
use crate::plan::{Failure, GitWrites, HeldGit, Plan, Step};

/// Makes the overlay, and what is read-only beside it, and mounts the overlay over the workspace and
/// over every other name of it.
pub(super) fn mount(plan: &Plan) -> Result<(), Failure> {
    let workspace = Path::new(&plan.workspace);
    let table = Mounts::read().map_err(Failure::at(Step::Mounts))?;
    if let Some(point) = table.below(workspace).filter(|_| plan.copy.is_none()) {
        let detail = format!("`{}` is a mount, and no overlay can show it", point.display());
        return Err(Failure::new(Step::Mounts, detail));
    }
    // Handles from before the namespaces belong to other mounts, and the kernel refuses them.
    let open = |path| mounts::open_path(path).map_err(Failure::of(Step::Layers, path));
    let lower = open(plan.copy.as_deref().map_or(workspace, Path::new))?;
    let upper = open(Path::new(&plan.upper))?;
    let work = open(Path::new(&plan.work))?;
    let layer = plan.layer.as_ref().map(|layer| open(Path::new(layer))).transpose()?;
    let overlay = create(Step::Create, layer.as_ref(), &lower, &upper, &work)?;
    let git = plan.git.iter().map(hold).collect::<Result<Vec<_>, _>>()?;
    // The upper directory must be writable when the overlay is made, and a writable place that
    // holds the workspace is one more name of it.
    if let Some(confine) = &plan.confine {
        confine::restrict(confine)?;
    }
    let table = Mounts::read().map_err(Failure::at(Step::Mounts))?;
    let mut covers = Vec::new();
    for (held, mount) in plan.git.iter().zip(git) {
        let directory = Path::new(&held.directory);
        let names = table.other_names(directory).map_err(Failure::of(Step::Mounts, directory))?;
        covers.push((directory, mount, names));
    }
    let names = table.other_names(workspace).map_err(Failure::at(Step::Mounts))?;
    // One of git's directories may hold the workspace, which comes on top of it.
    covers.push((workspace, overlay, names));
    for (directory, mount, names) in covers {
        mounts::attach(&mount, directory).map_err(Failure::of(Step::Attach, directory))?;
        for name in names {
            mounts::attach_copy(&mount, &name).map_err(Failure::of(Step::Attach, &name.path))?;
        }
    }
    Ok(())
}

/// Makes what is mounted over one of git's directories.
fn hold(git: &HeldGit) -> Result<OwnedFd, Failure> {
    let directory = Path::new(&git.directory);
    let failed = |error: io::Error| Failure::of(Step::Git, directory)(error);
    match &git.writes {
        GitWrites::Layer { upper, work } => {
            let open = |path| mounts::open_path(Path::new(path)).map_err(failed);
            let (lower, upper, work) = (open(&git.directory)?, open(upper)?, open(work)?);
            create(Step::Git, None, &lower, &upper, &work)
        }
        GitWrites::Refused { .. } => {
            let tree = mounts::copy(directory).map_err(failed)?;
            mounts::read_only(&tree).map_err(failed)?;
            Ok(tree)
        }
    }
}

/// Makes the overlay without mounting it.
fn create(
    step: Step,
    layer: Option<&OwnedFd>,
    lower: &OwnedFd,
    upper: &OwnedFd,
    work: &OwnedFd,
) -> Result<OwnedFd, Failure> {
    let failed = Failure::at(step);
    let overlay = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(&failed)?;
    // Names of descriptors work on every kernel, and need no escaping whatever the path holds.
    let name = |layer: &OwnedFd| format!("/proc/self/fd/{}", layer.as_raw_fd());
    let lowers = layer.into_iter().chain([lower]).map(name).collect::<Vec<_>>().join(":");
    let set = || {
        for (key, value) in [
            ("source", "greenroom"),
            ("lowerdir", &lowers),
            ("upperdir", &name(upper)),
            ("workdir", &name(work)),
            // Off, so that the upper directory can be mounted again later.
            ("xino", "off"),
            ("index", "off"),
            ("metacopy", "off"),
        ] {
            rustix::mount::fsconfig_set_string(&overlay, key, value)?;
        }
        rustix::mount::fsconfig_set_flag(&overlay, "userxattr")?;
        rustix::mount::fsconfig_create(&overlay)
    };
    set().map_err(|errno| {
        let failure = failed(errno);
        let reason = reason(&overlay);
        let detail = if reason.is_empty() { failure.detail } else { reason };
        Failure { detail, ..failure }
    })?;
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    rustix::mount::fsmount(&overlay, flags, MountAttrFlags::empty()).map_err(failed)
}

/// The kernel's own sentences on why a file system cannot be made.
fn reason(context: &OwnedFd) -> String {
    let mut reasons = Vec::new();
    let mut buffer = [0; 512];
    while let Ok(bytes) = rustix::io::read(context, &mut buffer[..]) {
        let Some(line) = buffer.get(..bytes).filter(|line| !line.is_empty()) else { break };
        // Each begins with its level: `e` for errors.
        let line = String::from_utf8_lossy(line.get(2..).unwrap_or(line));
        reasons.push(line.trim_end().to_owned());
    }
    reasons.join("; ")
}

/// Makes the overlay forget what it remembers of names that are not in use, so that the command
/// sees what was changed in the workspace meanwhile.
pub(super) fn refresh(workspace: &Path) -> io::Result<()> {
    let overlay = rustix::mount::fspick(CWD, workspace, FsPickFlags::FSPICK_CLOEXEC)?;
    Ok(rustix::mount::fsconfig_reconfigure(&overlay)?)
}
