//! What a plugin's process cannot do, tried from inside of it.
#![allow(clippy::disallowed_methods, reason = "tests play the user, who writes directly")]
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

mod libraries;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use diff_engine::{
    ChildLimits, Confinement, DiffEngine, Library, Op, PluginHost, Policy, Registry, Remark, Side,
    test_library,
};
use libraries::{Installed, install, library, path_of};
use rstest::rstest;
use tempfile::TempDir;

/// Long enough for any machine to answer in.
const PATIENT: Duration = Duration::from_secs(60);

/// What a refused call fails with.
const REFUSED: &str = "errno 1";

fn intruding() -> Vec<u8> {
    library("libintruding_plugin.so", &["--example", "intruding_plugin"])
}

fn host() -> PluginHost {
    let program = path_of("plugin_host", &["--example", "plugin_host"]);
    PluginHost { program, arguments: Vec::new() }
}

/// Where a library runs.
#[derive(Clone, Copy)]
enum Hosting {
    Child,
    ThisProcess,
}

/// What the plugin answers to an order, asked for the first time in its life.
fn answer(order: &str, hosting: Hosting) -> String {
    answer_within(order, hosting, PATIENT)
}

fn answer_within(order: &str, hosting: Hosting, deadline: Duration) -> String {
    let installed = install(&intruding());
    why_replaced(&engine(&installed, hosting, deadline), order)
}

/// An engine that asks the plugin first.
fn engine(installed: &Installed, hosting: Hosting, deadline: Duration) -> DiffEngine {
    let (path, trust) = (installed.path.clone(), installed.trust.clone());
    let library = Library { name: "intruding".to_owned(), path, trust };
    let mut registry = Registry::bundled();
    let added = match hosting {
        Hosting::Child => registry.add_in_child(library, &host(), ChildLimits::default()),
        Hosting::ThisProcess => registry.add_in_process(library),
    };
    added.expect("the name is free");
    let policy = Policy { strategy: "intruding".to_owned(), deadline, ..Policy::default() };
    DiffEngine::new(policy, registry)
}

fn why_replaced(engine: &DiffEngine, order: &str) -> String {
    let new = format!("{order}\n");
    let diff = engine.diff(Side::Text(b"old\n"), Side::Text(new.as_bytes()));
    match diff.remarks.as_slice() {
        [Remark::StrategyReplaced { why, .. }] => why.clone(),
        remarks => panic!("it always answers with an error: {remarks:?}"),
    }
}

/// Whether this machine refuses what a test is about; it has nothing to say elsewhere.
fn are_calls_refused() -> bool {
    Confinement::of_this_system().system_calls
}

/// A call of a row: its name, its number, and its arguments.
type Row = (&'static str, i64, String);

/// A file to try things on, in a folder of its own.
struct Victim {
    folder: TempDir,
}

impl Victim {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let victim = Self { folder };
        fs::write(victim.path(), "content\n").expect("it is new");
        fs::set_permissions(victim.path(), fs::Permissions::from_mode(0o640)).expect("ours");
        victim
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("victim")
    }

    /// Everything about the folder and the file that a call could have changed.
    fn state(&self) -> String {
        let names: Vec<_> = fs::read_dir(self.folder.path())
            .expect("ours")
            .map(|entry| entry.expect("ours").file_name())
            .collect();
        let about = |path: &Path| {
            let found = fs::symlink_metadata(path).expect("ours");
            (found.mode(), found.uid(), found.gid(), found.mtime(), found.ctime_nsec(), found.len())
        };
        let file = about(&self.path());
        format!("{names:?} {file:?} {:?}", about(self.folder.path()))
    }
}

/// Calls that work for anybody where nothing refuses them.
fn harmless_rows(victim: &Victim) -> Vec<Row> {
    use libc::*;
    let path = format!("path:{}", victim.path().display());
    let other = format!("path:{}", victim.folder.path().join("other").display());
    let (here, own) = (AT_FDCWD, "-1 -1");
    let write = O_WRONLY | O_CREAT | O_CLOEXEC;
    #[allow(unused_mut, reason = "x86-64 has more")]
    let mut rows = vec![
        ("fchmodat", SYS_fchmodat, format!("{here} {path} 420")),
        ("fchownat", SYS_fchownat, format!("{here} {path} {own} 0")),
        ("utimensat", SYS_utimensat, format!("{here} {path} zeros 0")),
        ("open for writing", SYS_openat, format!("{here} {path} {}", O_WRONLY | O_CLOEXEC)),
        ("open with truncation", SYS_openat, format!("{here} {path} {}", O_RDONLY | O_TRUNC)),
        ("open that creates", SYS_openat, format!("{here} {other} {write} 384")),
        ("open without reading", SYS_openat, format!("{here} {path} {}", O_PATH | O_CLOEXEC)),
        ("truncate", SYS_truncate, format!("{path} 0")),
        ("mkdirat", SYS_mkdirat, format!("{here} {other}-folder 448")),
        ("symlinkat", SYS_symlinkat, format!("{path} {here} {other}-link")),
        ("linkat", SYS_linkat, format!("{here} {path} {here} {other}-hard-link 0")),
        ("mknodat of a pipe", SYS_mknodat, format!("{here} {other}-pipe {} 0", S_IFIFO | 0o600)),
        ("faccessat", SYS_faccessat, format!("{here} {path} 0")),
        ("a datagram socket", SYS_socket, format!("{AF_INET} {} 0", SOCK_DGRAM | SOCK_CLOEXEC)),
        ("a stream socket", SYS_socket, format!("{AF_INET} {} 0", SOCK_STREAM | SOCK_CLOEXEC)),
        ("a local socket", SYS_socket, format!("{AF_UNIX} {} 0", SOCK_STREAM | SOCK_CLOEXEC)),
        ("a netlink socket", SYS_socket, format!("{AF_NETLINK} {} 0", SOCK_RAW | SOCK_CLOEXEC)),
        ("socketpair", SYS_socketpair, format!("{AF_UNIX} {} 0 zeros", SOCK_STREAM | SOCK_CLOEXEC)),
        ("memfd_create", SYS_memfd_create, format!("path:x {MFD_CLOEXEC}")),
        ("eventfd2", SYS_eventfd2, format!("0 {EFD_CLOEXEC}")),
        ("inotify_init1", SYS_inotify_init1, IN_CLOEXEC.to_string()),
        ("the flags of a descriptor", SYS_fcntl, format!("2 {F_GETFL}")),
        ("a name for the thread", SYS_prctl, format!("{PR_SET_NAME} path:x")),
        ("getpriority", SYS_getpriority, "0 0".to_owned()),
        ("a signal for nobody", SYS_kill, format!("{} 0", std::process::id())),
        ("a limit", SYS_prlimit64, format!("0 {RLIMIT_NOFILE} 0 zeros")),
    ];
    #[cfg(target_arch = "x86_64")]
    rows.extend([
        ("chmod", SYS_chmod, format!("{path} 420")),
        ("chown", SYS_chown, format!("{path} {own}")),
        ("lchown", SYS_lchown, format!("{path} {own}")),
        ("utime", SYS_utime, format!("{path} zeros")),
        ("utimes", SYS_utimes, format!("{path} zeros")),
        ("futimesat", SYS_futimesat, format!("{here} {path} zeros")),
        ("open for writing, as it was", SYS_open, format!("{path} {}", O_WRONLY | O_CLOEXEC)),
        ("creat", SYS_creat, format!("{other}-new 384")),
        ("access", SYS_access, format!("{path} 0")),
    ]);
    rows
}

/// Calls that would leave something behind, need a privilege, or are not in every kernel.
fn other_rows(victim: &Victim) -> Vec<Row> {
    use libc::*;
    let path = format!("path:{}", victim.path().display());
    let other = format!("path:{}", victim.folder.path().join("other").display());
    let parent = std::process::id();
    let here = AT_FDCWD;
    let thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    #[allow(unused_mut, reason = "x86-64 has more")]
    let mut rows = vec![
        ("fchmod", SYS_fchmod, "2 384".to_owned()),
        ("fchmodat2", 452, format!("{here} {path} 420 0")),
        ("setxattr", SYS_setxattr, format!("{path} path:user.a path:b 1 0")),
        ("lsetxattr", SYS_lsetxattr, format!("{path} path:user.a path:b 1 0")),
        ("fsetxattr", SYS_fsetxattr, "2 path:user.a path:b 1 0".to_owned()),
        ("removexattr", SYS_removexattr, format!("{path} path:user.a")),
        ("setxattrat", 463, format!("{here} {path} 0 path:user.a zeros 16")),
        ("removexattrat", 466, format!("{here} {path} 0 path:user.a")),
        ("file_setattr", 469, format!("{here} {path} zeros 24 0")),
        ("the flags of an inode", SYS_ioctl, format!("2 {FS_IOC_SETFLAGS} zeros")),
        ("unlinkat", SYS_unlinkat, format!("{here} {path} 0")),
        ("renameat2", SYS_renameat2, format!("{here} {path} {here} {other} 0")),
        ("openat2", SYS_openat2, format!("{here} {path} zeros 24")),
        ("name_to_handle_at", SYS_name_to_handle_at, format!("{here} {path} zeros zeros 0")),
        ("open_by_handle_at", SYS_open_by_handle_at, format!("{here} zeros 0")),
        ("a packet socket", SYS_socket, format!("{AF_PACKET} {SOCK_RAW} 0")),
        ("a vsock socket", SYS_socket, format!("{AF_VSOCK} {SOCK_STREAM} 0")),
        ("connect", SYS_connect, "0 zeros 16".to_owned()),
        ("sendmsg", SYS_sendmsg, "3 zeros 0".to_owned()),
        ("flock", SYS_flock, format!("0 {}", LOCK_EX | LOCK_NB)),
        ("a record lock", SYS_fcntl, format!("0 {F_SETLK} zeros")),
        ("a lease", SYS_fcntl, format!("0 {F_SETLEASE} {F_RDLCK}")),
        ("a blocking output", SYS_fcntl, format!("1 {F_SETFL} 0")),
        ("a process", SYS_clone, format!("{SIGCHLD} 0 0 0 0")),
        ("a thread", SYS_clone, format!("{thread} 0 0 0 0")),
        ("clone3", SYS_clone3, "zeros 88".to_owned()),
        ("execve", SYS_execve, "path:/bin/true 0 0".to_owned()),
        ("execveat", SYS_execveat, format!("{here} path:/bin/true 0 0 0")),
        ("setsid", SYS_setsid, String::new()),
        ("setpgid", SYS_setpgid, "0 0".to_owned()),
        ("to outlive its host", SYS_prctl, format!("{PR_SET_PDEATHSIG} 0")),
        ("to be dumped", SYS_prctl, format!("{PR_SET_DUMPABLE} 0")),
        ("a signal for its host", SYS_tgkill, format!("{parent} {parent} 0")),
        ("a signal for a thread", SYS_tkill, format!("{parent} 0")),
        ("a queued signal", SYS_rt_sigqueueinfo, format!("{parent} 0 zeros")),
        ("ptrace", SYS_ptrace, format!("{PTRACE_ATTACH} {parent} 0 0")),
        ("process_vm_readv", SYS_process_vm_readv, format!("{parent} zeros 0 zeros 0 0")),
        ("pidfd_open", SYS_pidfd_open, format!("{parent} 0")),
        ("a shared segment", SYS_shmget, format!("{IPC_PRIVATE} 4096 {}", IPC_CREAT | 0o600)),
        ("a semaphore", SYS_semget, format!("{IPC_PRIVATE} 1 {}", IPC_CREAT | 0o600)),
        ("a message queue", SYS_msgget, format!("{IPC_PRIVATE} {}", IPC_CREAT | 0o600)),
        ("mq_open", SYS_mq_open, format!("path:greenroom-evil {} 384 0", O_CREAT | O_RDWR)),
        ("io_uring_setup", SYS_io_uring_setup, "1 zeros".to_owned()),
        ("bpf", SYS_bpf, "0 zeros 16".to_owned()),
        ("perf_event_open", SYS_perf_event_open, "zeros 0 -1 -1 0".to_owned()),
        ("userfaultfd", SYS_userfaultfd, O_CLOEXEC.to_string()),
        ("keyctl", SYS_keyctl, "0 -3 0".to_owned()),
        ("unshare", SYS_unshare, CLONE_NEWUSER.to_string()),
        ("setns", SYS_setns, "0 0".to_owned()),
        ("mount", SYS_mount, format!("{path} {path} 0 {MS_BIND} 0")),
        ("personality", SYS_personality, "4294967295".to_owned()),
        ("a filter of its own", SYS_seccomp, format!("{SECCOMP_GET_ACTION_AVAIL} 0 zeros")),
        ("a timer", SYS_timer_create, "0 0 zeros".to_owned()),
        ("umask", SYS_umask, "63".to_owned()),
        // At an address where nothing is, so that nothing is taken should it be allowed.
        ("to take memory off line", SYS_madvise, format!("-1 4096 {MADV_HWPOISON}")),
        ("to take memory off line softly", SYS_madvise, format!("-1 4096 {MADV_SOFT_OFFLINE}")),
        ("another folder", SYS_chdir, "path:/".to_owned()),
        ("stat", SYS_newfstatat, format!("{here} {path} zeros 0")),
    ];
    #[cfg(target_arch = "x86_64")]
    rows.extend([
        ("fork", SYS_fork, String::new()),
        ("vfork", SYS_vfork, String::new()),
        ("unlink", SYS_unlink, path.clone()),
        ("rename", SYS_rename, format!("{path} {other}")),
        ("alarm", SYS_alarm, "0".to_owned()),
    ]);
    rows
}

#[test]
fn a_plugin_makes_no_call_that_reaches_out_of_its_process() {
    if !are_calls_refused() {
        return;
    }
    let victim = Victim::new();
    let before = victim.state();
    let rows = harmless_rows(&victim).into_iter().chain(other_rows(&victim));
    for (name, number, arguments) in rows {
        let order = format!("call: {number} {arguments}");
        assert_eq!(answer(&order, Hosting::Child), REFUSED, "{name}: {order}");
    }
    assert_eq!(victim.state(), before, "and nothing has changed");
}

/// So the rows above show what is refused and not what never works.
#[test]
fn a_plugin_in_this_process_makes_the_harmless_calls_of_these() {
    for (name, number, arguments) in harmless_rows(&Victim::new()) {
        // A file of its own: some rows take away what others need.
        let victim = Victim::new();
        let rows = harmless_rows(&victim);
        let (_, _, own) = rows.iter().find(|row| row.0 == name).expect("the same rows");
        assert_eq!(own.split(' ').count(), arguments.split(' ').count());
        let made = answer(&format!("call: {number} {own}"), Hosting::ThisProcess);
        assert_eq!(made, "done", "{name}");
    }
}

/// Whatever a kernel learns to do is refused until somebody lists it here as well.
#[test]
fn a_plugin_makes_no_system_call_but_those_that_comparing_needs() {
    use libc::*;
    if !are_calls_refused() {
        return;
    }
    let mut allowed = vec![
        SYS_brk,
        SYS_madvise,
        SYS_mmap,
        SYS_mprotect,
        SYS_mremap,
        SYS_munmap,
        SYS_close,
        SYS_fstat,
        SYS_lseek,
        SYS_ppoll,
        SYS_pread64,
        SYS_read,
        SYS_readv,
        SYS_write,
        SYS_writev,
        SYS_futex,
        SYS_getpid,
        SYS_gettid,
        SYS_restart_syscall,
        SYS_rseq,
        SYS_sched_getaffinity,
        SYS_sched_yield,
        SYS_set_robust_list,
        SYS_clock_getres,
        SYS_clock_gettime,
        SYS_clock_nanosleep,
        SYS_getrandom,
        SYS_gettimeofday,
        SYS_nanosleep,
        SYS_exit,
        SYS_exit_group,
        SYS_rt_sigaction,
        SYS_rt_sigprocmask,
        SYS_rt_sigreturn,
        SYS_sigaltstack,
    ];
    #[cfg(target_arch = "x86_64")]
    allowed.extend([SYS_poll, SYS_time]);
    // The kernel lets these two pass by every filter, for tracers, and ends who calls them elsewhere
    // than from where a tracer has put them.
    #[cfg(target_arch = "x86_64")]
    let tracers: [i64; 2] = [335, 336];
    #[cfg(not(target_arch = "x86_64"))]
    let tracers: [i64; 0] = [];
    allowed.extend(tracers);
    let allowed: Vec<String> = allowed.iter().map(|number| number.to_string()).collect();
    assert_eq!(answer(&format!("sweep: {}", allowed.join(" ")), Hosting::Child), "made: ");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_plugin_that_calls_by_the_32_bit_table_is_ended() {
    if !are_calls_refused() {
        return;
    }
    let why = answer("old-table", Hosting::Child);
    // Where the kernel has no such table, the way there is no instruction that a program may use.
    let is_ended = why == "its process was ended by signal 31 (SIGSYS)"
        || why == "its process was ended by signal 11 (SIGSEGV)";
    assert!(is_ended, "{why}");
}

#[test]
fn a_plugin_is_confined_before_its_constructors_run() {
    if are_calls_refused() {
        assert_eq!(answer("nothing", Hosting::Child), "errno 1; errno 1; errno 1");
    }
    let made = answer("nothing", Hosting::ThisProcess);
    assert_eq!(made, "done; done; done", "nothing refuses it there");
}

#[rstest]
#[case::of_the_user("/etc/passwd")]
#[case::of_its_own_program("/proc/self/exe")]
#[case::of_its_host("/proc/PARENT/environ")]
#[case::folder("/")]
#[case::device("/dev/zero")]
#[case::terminal("/dev/tty")]
fn a_plugin_opens_no_file(#[case] path: &str) {
    let path = path.replace("PARENT", &std::process::id().to_string());
    let read = libc::O_RDONLY | libc::O_CLOEXEC;
    let order = format!("call: {} {} path:{path} {read}", libc::SYS_openat, libc::AT_FDCWD);
    if Confinement::of_this_system().files {
        assert_eq!(answer(&order, Hosting::Child), format!("errno {}", libc::EACCES));
    }
}

/// What a library writes to its host behind the back of the process that serves it.
///
/// A frame is a kind, eight bytes of length, and as many bytes.
#[rstest]
#[case::no_kind("63 0000000000000000", "it answered with a frame of an unknown kind")]
#[case::endless("12 ffffffffffffffff", "it answered with a frame that is too long")]
#[case::a_little_too_long("12 0110000000000000", "it answered with a frame that is too long")]
#[case::half_an_operation("12 0200000000000000 0001", "it answered with half an operation")]
#[case::no_script("12 0000000000000000", "it answered with a frame that is too short")]
#[case::an_empty_script("12 0100000000000000 00", "the script leaves out 1 old and 1 new lines")]
#[case::another_answer("10 0000000000000000", "it answered with something else than a script")]
#[case::an_order("02 0000000000000000", "it answered with something else than a script")]
#[case::a_pair("14 0000000000000000", "it answered with something else than a script")]
#[case::no_text("13 0300000000000000 ff1b58", "\u{fffd} X")]
fn what_a_library_writes_to_its_host_costs_its_turn_alone(
    #[case] frame: &str,
    #[case] reason: &str,
) {
    let frame = frame.replace(' ', "");
    let order = format!("call: {} 3 hex:{frame} {}", libc::SYS_write, frame.len() / 2);
    assert_eq!(answer(&order, Hosting::Child), reason);
}

/// Half a frame, and then nothing.
#[test]
fn a_library_that_keeps_its_host_waiting_within_a_frame_is_ended() {
    let (write, wait) = (libc::SYS_write, libc::SYS_futex);
    let order = format!("call: {write} 3 hex:1200 2\ncall: {wait} zeros {} 0 0", libc::FUTEX_WAIT);
    let why = answer_within(&order, Hosting::Child, Duration::from_millis(700));
    assert_eq!(why, "it did not answer in time, for one file in 700 ms");
}

/// It has answered in the name of the process that serves it, and no longer reads what it is sent.
#[test]
fn a_library_that_stops_reading_costs_the_next_file_its_turn() {
    let (write, wait) = (libc::SYS_write, libc::SYS_futex);
    let ops = [Op::delete(0, 0, 1), Op::insert(1, 0, 2)];
    let numbers = ops.iter().flat_map(|op| [op.kind, op.old, op.new, op.len]);
    let script: String = numbers.map(|number| format!("{:08x}", number.to_be())).collect();
    let frame = format!("12{:016x}00{script}", 33_u64.to_be());
    let bytes = frame.len() / 2;
    let order = format!("call: {write} 3 hex:{frame} {bytes}\ncall: {wait} zeros 0 0 0\n");
    let installed = install(&intruding());
    let engine = engine(&installed, Hosting::Child, Duration::from_millis(1500));
    let first = engine.diff(Side::Text(b"old\n"), Side::Text(order.as_bytes()));
    assert_eq!((first.strategy.as_str(), first.remarks.as_slice()), ("intruding", &[][..]));
    // More than a socket holds.
    let next = why_replaced(&engine, &"x\n".repeat(400_000));
    assert_eq!(next, "it did not answer in time, for one file in 1500 ms");
}

#[test]
fn a_plugin_starts_no_thread() {
    if are_calls_refused() {
        assert_eq!(answer("start-thread", Hosting::Child), REFUSED);
    }
    assert_eq!(answer("start-thread", Hosting::ThisProcess), "done", "nothing refuses it there");
}

/// Checks of the kit can start threads, but no processes: clone(2), whose arguments decide between
/// both, is refused for a process, and clone3(2), whose arguments a filter cannot read, for both.
#[test]
fn a_plugin_starts_no_process_within_the_conformance_kit() {
    let installed = install(&intruding());
    let (path, trust) = (installed.path.clone(), installed.trust.clone());
    let tested = Library { name: String::new(), path, trust };
    let found = test_library(&host(), &tested, ChildLimits::default(), PATIENT);
    let checks = found.expect("it is a strategy").checks;
    let about_threads = checks.iter().filter(|check| check.claim.contains("four threads"));
    let failed: Vec<_> = about_threads.filter_map(|check| check.failed.as_deref()).collect();
    if are_calls_refused() {
        let refused = format!("errno 1; errno 1; errno {}", libc::ENOSYS);
        assert!(matches!(failed[..], [why] if why.contains(&refused)), "{failed:?}");
    }
}

/// The kit runs it where comparing does, apart from the checks that are about threads.
#[test]
fn a_plugin_that_starts_threads_fails_the_conformance_kit() {
    let installed = install(&library("libthreading_plugin.so", &["--example", "threading_plugin"]));
    let (path, trust) = (installed.path.clone(), installed.trust.clone());
    let tested = Library { name: String::new(), path, trust };
    let found = test_library(&host(), &tested, ChildLimits::default(), PATIENT);
    let found = found.expect("it is a strategy");
    if are_calls_refused() {
        let failed = found.checks.iter().find_map(|check| check.failed.as_deref());
        assert!(failed.is_some_and(|why| why.contains("no thread")), "{:?}", found.checks);
    }
}
