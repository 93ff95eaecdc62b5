//! Refuses the two requests by which a program types into its terminal.
//!
//! `TIOCSTI` and `TIOCLINUX` would run commands in the shell outside after the command has ended.
//! Every way into the kernel that the machine has is covered: a 64-bit program may call as a
//! 32-bit one does. seccomp(2)

use std::io;

use seccompiler::sock_filter;

/// The architectures of system calls on this machine, each with its numbers of `ioctl`.
const CALLS: &[(u32, &[u32])] = if cfg!(target_arch = "x86_64") {
    // x86-64 with x32, whose calls have bit 30 set, and i386.
    &[(0xc000_003e, &[16, 0x4000_0000 | 16, 0x4000_0000 | 514]), (0x4000_0003, &[54])]
} else if cfg!(target_arch = "aarch64") {
    &[(0xc000_00b7, &[29]), (0x4000_0028, &[54])]
} else if cfg!(target_arch = "riscv64") {
    &[(0xc000_00f3, &[29]), (0x4000_00f3, &[29])]
} else {
    &[]
};

/// The kernel looks at the low 32 bits of a request only.
const REQUESTS: [u32; 2] = [libc::TIOCSTI as u32, libc::TIOCLINUX as u32];

/// Where things are in `struct seccomp_data` on a little-endian machine.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const REQUEST: u32 = 24;

/// Refuses the requests for this thread and everything that it starts. Also sets
/// `no_new_privs`, without which only root may filter.
pub(super) fn apply() -> io::Result<()> {
    if CALLS.is_empty() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    seccompiler::apply_filter(&program()).map_err(io::Error::other)
}

/// Writes the program: for each architecture its calls, and for each call the requests.
fn program() -> Vec<sock_filter> {
    let refuse = answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
    let allow = answer(libc::SECCOMP_RET_ALLOW);
    let mut requests = vec![load(REQUEST)];
    for request in REQUESTS {
        requests.extend([unless(request, 1), refuse.clone()]);
    }
    requests.push(allow.clone());
    let mut program = vec![load(ARCHITECTURE)];
    for (architecture, numbers) in CALLS {
        let mut calls = vec![load(NUMBER)];
        for number in *numbers {
            calls.push(unless(*number, requests.len()));
            calls.extend(requests.iter().cloned());
        }
        calls.push(allow.clone());
        program.push(unless(*architecture, calls.len()));
        program.extend(calls);
    }
    // An architecture that the machine should not have.
    program.push(answer(libc::SECCOMP_RET_KILL_PROCESS));
    program
}

fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, offset)
}

/// Skips instructions unless what was loaded is this value.
fn unless(value: u32, skipped: usize) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, skipped, value)
}

fn answer(value: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, value)
}

fn instruction(code: u32, skipped: usize, value: u32) -> sock_filter {
    // The program is the same on every run, and its longest jump is 23.
    sock_filter { code: code as u16, jt: 0, jf: skipped as u8, k: value }
}
