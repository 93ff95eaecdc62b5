//! Runs a command on a machine that allows no namespaces, as a container of Docker does.
//!
//! `without-namespaces COMMAND [ARG…]` becomes the command, with a filter that answers `EPERM` to the calls
//! that Docker's default profile refuses to an ordinary user: making and joining namespaces, and mounting.

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    //! All of it.

    use std::collections::BTreeMap;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, exit};

    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule,
    };

    const REFUSED: &[i64] = &[
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_fsopen,
        libc::SYS_fsmount,
        libc::SYS_fsconfig,
        libc::SYS_fspick,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_mount_setattr,
    ];

    /// `CLONE_NEWNS`, `NEWCGROUP`, `NEWUTS`, `NEWIPC`, `NEWUSER`, `NEWPID` and `NEWNET`.
    const NAMESPACES: u64 = 0x7e02_0000;

    pub(crate) fn main() {
        let mut arguments = std::env::args_os().skip(1);
        let program = arguments.next().expect("a command");
        apply(filter(), libc::EPERM);
        // Its flags are behind a pointer, so Docker denies that it exists.
        apply(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS);
        let error = Command::new(program).args(arguments).exec();
        eprintln!("{error}");
        exit(127);
    }

    type Rules = BTreeMap<i64, Vec<SeccompRule>>;

    fn filter() -> Rules {
        let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
        let bits = (0..64).map(|bit| 1 << bit).filter(|bit| NAMESPACES & bit != 0);
        let has = |bit| {
            let masked = SeccompCmpOp::MaskedEq(bit);
            let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, masked, bit);
            SeccompRule::new(vec![condition.expect("the first argument")]).expect("one condition")
        };
        rules.insert(libc::SYS_clone, bits.map(has).collect());
        rules
    }

    fn apply(rules: Rules, errno: i32) {
        let refused = SeccompAction::Errno(errno.unsigned_abs());
        let machine = std::env::consts::ARCH.try_into().expect("seccompiler knows this machine");
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, machine);
        let program: BpfProgram = filter.and_then(TryInto::try_into).expect("the rules are valid");
        seccompiler::apply_filter(&program).expect("the kernel takes the filter");
    }
}
