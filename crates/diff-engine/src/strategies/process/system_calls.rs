//! Which system calls a plugin's process can make: a filter of seccomp(2).
//!
//! The filter lists what is allowed, so a call that a later kernel adds is refused as well: what
//! changes a file's mode, owner, times or attributes, sockets, processes, locks, and io_uring(7),
//! whose queues would pass a filter by. The list is what the system's loader needs to load a library
//! from memory, what its allocator and the standard library need, and what the protocol needs.
//!
//! A refused call fails with `EPERM` and does not end the process: nothing has happened, a library
//! that asked in passing goes on, and one that cannot go on says in its own words what it was
//! refused. A call by another table than the program's own (32-bit calls on x86-64) ends the
//! process, because its numbers mean other calls.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
};

use super::Threads;

/// Allowed whatever the arguments are.
const ALLOWED: &[i64] = &[
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Descriptors that are open.
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    // Waiting, and what a thread of the C library is made of.
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    // Time and chance.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    // Its own signals, and its end.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
];

/// The same by the numbers that x86-64 alone still has.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[i64] = &[libc::SYS_poll, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[i64] = &[];

/// Whether the kernel has such filters.
pub(super) fn can_be_restricted() -> bool {
    let action = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the kernel reads four bytes, which outlive the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_GET_ACTION_AVAIL,
            0,
            std::ptr::from_ref(&action),
        )
    };
    answer == 0
}

/// Restricts every thread of this process, for good.
pub(super) fn restrict(threads: Threads) -> io::Result<()> {
    let process = u64::from(std::process::id());
    if threads == Threads::Allowed {
        apply(without_clone3())?;
    }
    apply(allowing(threads, process))
}

fn apply(program: Result<BpfProgram, BackendError>) -> io::Result<()> {
    let program = program.map_err(io::Error::other)?;
    apply_filter_all_threads(&program).map_err(io::Error::other)
}

fn allowing(threads: Threads, process: u64) -> Result<BpfProgram, BackendError> {
    let whatever = ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new()));
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = whatever.collect();
    // Of all ways to open a file, the one of the loader: to read it. Landlock says which.
    let reading = !(libc::O_CLOEXEC as u64);
    rules.insert(libc::SYS_openat, argument(2, reading, libc::O_RDONLY as u64)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, argument(1, reading, libc::O_RDONLY as u64)?);
    // How the C library's fstat(3) asks about a descriptor.
    rules.insert(libc::SYS_newfstatat, argument(3, u64::MAX, libc::AT_EMPTY_PATH as u64)?);
    // Advice about memory, but for what takes pages from the whole machine, which root may.
    rules.insert(libc::SYS_madvise, below(2, libc::MADV_HWPOISON as u64)?);
    // abort(3) signals its own thread. Nobody else is signalled.
    rules.insert(libc::SYS_tgkill, argument(0, u64::MAX, process)?);
    if threads == Threads::Allowed {
        // What pthread_create(3) asks for; musl sets a flag that means nothing any more.
        const THREAD: i32 = libc::CLONE_VM
            | libc::CLONE_FS
            | libc::CLONE_FILES
            | libc::CLONE_SYSVSEM
            | libc::CLONE_SIGHAND
            | libc::CLONE_THREAD
            | libc::CLONE_SETTLS
            | libc::CLONE_PARENT_SETTID
            | libc::CLONE_CHILD_CLEARTID;
        let meaning = !(libc::CLONE_DETACHED as u64);
        rules.insert(libc::SYS_clone, argument(0, meaning, THREAD as u64)?);
        // The other filter answers it, because the answer of this one would count.
        rules.insert(libc::SYS_clone3, Vec::new());
    }
    filter(rules, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)
}

/// Has clone3(2) fail as if the kernel were an older one, upon which the C library uses clone(2),
/// whose flags a filter can read.
fn without_clone3() -> Result<BpfProgram, BackendError> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    filter(rules, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))
}

fn filter(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    listed: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, otherwise, listed, arch)?.try_into()
}

/// That a 32-bit argument, in the bits of the mask, is this.
fn argument(index: u8, mask: u64, value: u64) -> Result<Vec<SeccompRule>, BackendError> {
    condition(index, SeccompCmpOp::MaskedEq(mask), value)
}

/// That a 32-bit argument is less than this.
fn below(index: u8, limit: u64) -> Result<Vec<SeccompRule>, BackendError> {
    condition(index, SeccompCmpOp::Lt, limit)
}

fn condition(
    index: u8,
    compare: SeccompCmpOp,
    value: u64,
) -> Result<Vec<SeccompRule>, BackendError> {
    let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, compare, value)?;
    Ok(vec![SeccompRule::new(vec![condition])?])
}
