//! Finds out whether this machine allows a view, by making one.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use rustix::fs::{AtFlags, CWD, Mode};

use crate::plan::{Failure, Plan, Step};
use crate::view::View;

/// What keeps a view from being made, and what would change that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The step that failed.
    pub failure: Failure,
    /// What would change it.
    pub remedy: Remedy,
}

/// What would make a view possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Set `kernel.unprivileged_userns_clone` to 1.
    AllowUserNamespaces,
    /// Install an AppArmor profile that allows the program user namespaces.
    AllowInAppArmor,
    /// Start the program without the seccomp filter that it runs under, as Docker sets one.
    LiftFilter,
    /// Raise `user.max_user_namespaces`, `user.max_mnt_namespaces` or `user.max_net_namespaces`.
    RaiseLimit,
    /// Unmount what is mounted below the workspace.
    Unmount,
    /// Move the state directory to a local file system that is no overlay.
    MoveState,
    /// Start the program with standard input, output and error that are no directories.
    RedirectStandard,
    /// End the other view that uses the same upper directory.
    EndOther,
    /// Run a kernel with `mount_setattr`, Linux 5.12, or do not confine the command.
    NewerKernel,
    /// Nothing is known.
    Unknown,
}

/// What a machine says of its own restrictions; each is none where the kernel does not have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// `kernel.unprivileged_userns_clone`.
    pub unprivileged_userns_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`.
    pub apparmor_restrict_unprivileged_userns: Option<u64>,
    /// The mode of seccomp that this process runs in: 2 with a filter.
    pub seccomp: Option<u64>,
}

impl Machine {
    /// Reads what this machine says.
    #[must_use]
    pub fn read() -> Self {
        let number = |text: String| text.trim().parse().ok();
        let sysctl =
            |name| fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok().and_then(number);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let seccomp = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
        Self {
            unprivileged_userns_clone: sysctl("unprivileged_userns_clone"),
            apparmor_restrict_unprivileged_userns: sysctl("apparmor_restrict_unprivileged_userns"),
            seccomp: seccomp.and_then(|mode| number(mode.to_owned())),
        }
    }

    /// Says what would change a failure on this machine.
    #[must_use]
    pub fn remedy(&self, failure: &Failure) -> Remedy {
        let denied = matches!(failure.errno, Some(libc::EPERM | libc::EACCES));
        match failure.step {
            Step::Namespaces if failure.errno == Some(libc::ENOSPC) => Remedy::RaiseLimit,
            Step::Namespaces if denied && self.unprivileged_userns_clone == Some(0) => {
                Remedy::AllowUserNamespaces
            }
            // AppArmor lets the namespace be made, and takes away what it is good for.
            Step::Namespaces
            | Step::Map
            | Step::Propagation
            | Step::Pins
            | Step::Layers
            | Step::Create
            | Step::Attach
                if denied && self.apparmor_restrict_unprivileged_userns == Some(1) =>
            {
                Remedy::AllowInAppArmor
            }
            Step::Namespaces | Step::Propagation | Step::Pins | Step::Create | Step::Attach
                if denied && self.seccomp == Some(2) =>
            {
                Remedy::LiftFilter
            }
            Step::Mounts if failure.errno.is_none() => Remedy::Unmount,
            Step::Create if failure.errno == Some(libc::EINVAL) => Remedy::MoveState,
            Step::Descriptors if failure.errno.is_none() => Remedy::RedirectStandard,
            Step::Lock if failure.errno == Some(libc::EWOULDBLOCK) => Remedy::EndOther,
            Step::Confine if failure.errno == Some(libc::ENOSYS) => Remedy::NewerKernel,
            _ => Remedy::Unknown,
        }
    }
}

/// Makes a view of the workspace, or without one of an empty directory, and ends it. What the view
/// needs is made below `directory`, which should be the state directory. `keeper` is as for
/// [`View::start`].
///
/// # Errors
///
/// An [`Obstacle`] that names the step which the machine refuses. What was made below `directory` is
/// removed in any case.
pub fn probe(directory: &Path, workspace: Option<&Path>, keeper: Command) -> Result<(), Obstacle> {
    let tried = attempt(directory, workspace, keeper);
    tried.map_err(|failure| Obstacle { remedy: Machine::read().remedy(&failure), failure })
}

fn attempt(directory: &Path, workspace: Option<&Path>, keeper: Command) -> Result<(), Failure> {
    let failed = Failure::of(Step::Layers, directory);
    let place = tempfile::Builder::new().prefix("probe-").tempdir_in(directory).map_err(&failed)?;
    let state = place.path().join("state");
    let empty = place.path().join("workspace");
    let plan = Plan {
        workspace: workspace.unwrap_or(&empty).into(),
        upper: state.join("upper").into(),
        work: state.join("work").into(),
        layer: None,
        copy: None,
        masks: vec![state.clone().into()],
        inside: String::new(),
        directory: "/".into(),
        git: Vec::new(),
        confine: None,
    };
    let made = [empty.as_os_str(), state.as_os_str(), &plan.upper, &plan.work].into_iter();
    let made = made.map(|path| rustix::fs::mkdirat(CWD, Path::new(path), Mode::RWXU));
    made.collect::<Result<(), _>>().map_err(|errno| failed(io::Error::from(errno)))?;
    let view = View::start(&plan, keeper);
    // The kernel's own directory has no permissions, which keeps others from removing it.
    let _ = rustix::fs::unlinkat(CWD, Path::new(&plan.work).join("work"), AtFlags::REMOVEDIR);
    view.map(drop)
}
