//! Runs a command in a view as `greenroom run` will, and is the keeper of that view; for tests.
//!
//! `capture-helper run STATE WORKSPACE -- COMMAND ARG…` makes a view of the workspace whose upper
//! directory is `STATE/upper`, and ends as the command does. `capture-helper probe DIRECTORY` reports what keeps a
//! view from being made. `capture-helper type WAY REQUEST` asks the kernel for something of the
//! terminal, and prints the number of its error.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    //! All of it.

    use std::error::Error;
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};
    use std::process::{Command, ExitCode};
    use std::time::Duration;

    use capture::{Failure, Foreground, Plan, View, ViewError};

    const KEEPER: &str = "__keeper";

    pub(crate) fn main() -> ExitCode {
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        let text: Vec<_> = arguments.iter().map(|argument| argument.to_str()).collect();
        let done = match text.as_slice() {
            [Some(KEEPER), Some(descriptor)] => return capture::keep(descriptor.as_ref()),
            [Some("run"), Some(state), _, Some("--"), ..] => {
                run(Path::new(state), &arguments[2], &arguments[4..])
            }
            [Some("probe"), Some(directory)] => probe(Path::new(directory)),
            [Some("type"), Some(way), Some(request)] => type_into_terminal(way, request),
            _ => Err("unknown arguments".into()),
        };
        done.unwrap_or_else(|error| {
            eprintln!("{error}");
            let code = error.downcast_ref().map_or(125, ViewError::code);
            ExitCode::from(code)
        })
    }

    fn keeper() -> Command {
        let mut keeper = Command::new("/proc/self/exe");
        keeper.arg(KEEPER);
        keeper
    }

    fn run(
        state: &Path,
        workspace: &OsString,
        command: &[OsString],
    ) -> Result<ExitCode, Box<dyn Error>> {
        let foreground = Foreground::take()?;
        let plan = Plan {
            workspace: workspace.clone(),
            copy: None,
            upper: state.join("upper").into(),
            work: state.join("work").into(),
            layer: None,
            masks: vec![state.into()],
            inside: "s1\n".to_owned(),
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")).into(),
            git: Vec::new(),
            confine: None,
        };
        let ended = || -> Result<_, Box<dyn Error>> {
            let mut view = View::start(&plan, keeper())?;
            publish(state, &view)?;
            view.run(command.to_vec())?;
            let exit = view.wait(Some(&foreground), None)?;
            let leftovers = view.stop(Duration::from_millis(200))?;
            Ok((exit, leftovers))
        };
        let ended = ended();
        foreground.restore()?;
        let (exit, leftovers) = ended?;
        for process in leftovers {
            eprintln!("ended {}", process.name);
        }
        Ok(ExitCode::from(exit.map_or(125, capture::Exit::code)))
    }

    /// Writes which view it is for the test, beside the upper directory.
    fn publish(state: &Path, view: &View) -> Result<(), Box<dyn Error>> {
        use rustix::fs::{CWD, Mode, OFlags};
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, state.join("identity"), flags, Mode::RUSR | Mode::WUSR)?;
        rustix::io::write(file, &serde_json::to_vec(&view.identity())?)?;
        Ok(())
    }

    fn probe(directory: &Path) -> Result<ExitCode, Box<dyn Error>> {
        let found = capture::probe(directory, None, keeper());
        found.map_err(|obstacle| -> Box<dyn Error> {
            let Failure { step, errno, .. } = obstacle.failure;
            format!("{step:?} {errno:?} {:?}", obstacle.remedy).into()
        })?;
        println!("overlay");
        Ok(ExitCode::SUCCESS)
    }

    fn type_into_terminal(way: &str, request: &str) -> Result<ExitCode, Box<dyn Error>> {
        let request = match request {
            "TIOCSTI" => libc::TIOCSTI,
            "TIOCLINUX" => libc::TIOCLINUX,
            _ => libc::TCGETS,
        };
        let mut buffer = [b'\n'; 256];
        let pointer = buffer.as_mut_ptr();
        // SAFETY: the kernel writes at most a `struct termios`, which the buffer has room for.
        let answer = unsafe {
            match way {
                "native" => libc::syscall(libc::SYS_ioctl, 0, request, pointer),
                "high" => libc::syscall(libc::SYS_ioctl, 0, request | 0x7ead_0000_0000, pointer),
                #[cfg(target_arch = "x86_64")]
                "x32" => libc::syscall(0x4000_0000 | 514, 0, request, pointer),
                #[cfg(target_arch = "x86_64")]
                "i386" => i386_ioctl(request),
                _ => return Err("unknown way".into()),
            }
        };
        let errno = if answer == -1 && way != "i386" {
            std::io::Error::last_os_error().raw_os_error().unwrap_or_default()
        } else {
            i32::try_from(-answer)?
        };
        println!("{errno}");
        Ok(ExitCode::SUCCESS)
    }

    /// Calls as a 32-bit program does; the answer is negative on errors.
    #[cfg(target_arch = "x86_64")]
    unsafe fn i386_ioctl(request: libc::Ioctl) -> i64 {
        let answer: i32;
        // SAFETY: the call has a null pointer for its argument; `rbx`, which the compiler keeps for
        // itself, is put back.
        unsafe {
            std::arch::asm!(
                "push rbx",
                "xor ebx, ebx",
                "int 0x80",
                "pop rbx",
                inlateout("eax") 54 => answer,
                in("ecx") request as u32,
                in("edx") 0,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            );
        }
        i64::from(answer)
    }
}
