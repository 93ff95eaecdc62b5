//! Which process it was, so that a dead one is told from another that was given
//! its number later.
//!
//! On Linux a process is known by its number and by when it started, in clock
//! ticks since the boot (`/proc/PID/stat`, field 22: proc_pid_stat(5)), together
//! with the boot's own id and the pid namespace, in which alone the number means
//! anything.
//!
//! # Limitations
//! Elsewhere only the number is known: a process that got a dead one's number
//! passes for it, and where even that cannot be asked nobody is taken for dead.

use std::sync::OnceLock;

/// A process, now or in the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) pid: u32,
    /// When it started, in a form that only this machine's present boot
    /// understands.
    pub(crate) start: Option<String>,
}

/// Whether a process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    Alive,
    Dead,
    /// It ran where this process cannot look, or the system does not tell.
    Unknown,
}

impl Owner {
    /// This process.
    pub(crate) fn this() -> &'static Self {
        static THIS: OnceLock<Owner> = OnceLock::new();
        THIS.get_or_init(|| {
            let pid = std::process::id();
            Self { pid, start: system::start_of(pid) }
        })
    }

    /// Whether it still runs.
    pub(crate) fn liveness(&self) -> Liveness {
        system::liveness(self)
    }

    /// A name for files that tells the process; `parse` reads it back.
    pub(crate) fn name(&self) -> String {
        match &self.start {
            Some(start) => format!("{}.{}", self.pid, start.replace(':', "_")),
            None => self.pid.to_string(),
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (pid, start) = match name.split_once('.') {
            Some((pid, start)) => (pid, Some(start.replace('_', ":"))),
            None => (name, None),
        };
        Some(Self { pid: pid.parse().ok()?, start })
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs;
    use std::sync::OnceLock;

    use crate::owner::{Liveness, Owner};

    /// `boot:namespace:ticks`, the boot's id by its first group.
    pub(crate) fn start_of(pid: u32) -> Option<String> {
        let ticks = ticks_of(pid)?;
        let (boot, namespace) = here()?;
        Some(format!("{boot}:{namespace}:{ticks}"))
    }

    pub(crate) fn liveness(owner: &Owner) -> Liveness {
        let Some(start) = &owner.start else { return by_number(owner.pid) };
        let Some((boot, namespace)) = here() else { return Liveness::Unknown };
        let mut parts = start.split(':');
        let (Some(its_boot), Some(its_namespace), Some(ticks)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Liveness::Unknown;
        };
        if its_boot != boot {
            return Liveness::Dead;
        }
        if its_namespace != namespace {
            return Liveness::Unknown;
        }
        match ticks_of(owner.pid) {
            Some(now) if now.to_string() == ticks => Liveness::Alive,
            _ => Liveness::Dead,
        }
    }

    fn by_number(pid: u32) -> Liveness {
        if ticks_of(pid).is_some() { Liveness::Unknown } else { Liveness::Dead }
    }

    /// When a process started; none when it is gone, or is a zombie.
    fn ticks_of(pid: u32) -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything, so the fields are counted from its end.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let state = fields.next()?;
        if matches!(state, "Z" | "X" | "x") {
            return None;
        }
        // The state is field 3, the start field 22.
        fields.nth(18)?.parse().ok()
    }

    /// This boot and this pid namespace.
    fn here() -> Option<&'static (String, String)> {
        static HERE: OnceLock<Option<(String, String)>> = OnceLock::new();
        let read = || {
            let boot = crate::boot::id()?.split('-').next()?.to_owned();
            let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
            let digits: String = namespace.to_str()?.chars().filter(char::is_ascii_digit).collect();
            Some((boot, digits))
        };
        HERE.get_or_init(read).as_ref()
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
mod system {

    pub(crate) fn start_of(_: u32) -> Option<String> {
        None
    }

    pub(crate) fn liveness(owner: &Owner) -> Liveness {
        use rustix::io::Errno;
        let pid = i32::try_from(owner.pid).ok().and_then(rustix::process::Pid::from_raw);
        let Some(pid) = pid else { return Liveness::Unknown };
        match rustix::process::test_kill_process(pid) {
            Err(Errno::SRCH) => Liveness::Dead,
            _ => Liveness::Unknown,
        }
    }
}

#[cfg(not(unix))]
mod system {

    pub(crate) fn start_of(_: u32) -> Option<String> {
        None
    }

    pub(crate) fn liveness(owner: &Owner) -> Liveness {
        if owner.pid == std::process::id() { Liveness::Alive } else { Liveness::Unknown }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_reads_back_from_its_name() {
        let this = Owner::this();
        assert_eq!(this.liveness(), Liveness::Alive);
        assert_eq!(Owner::parse(&this.name()).as_ref(), Some(this));
    }

    #[test]
    fn a_process_that_ended_is_dead_even_before_it_is_waited_for() {
        let mut child = std::process::Command::new("true").spawn().expect("true starts");
        let pid = child.id();
        let owner = Owner { pid, start: system::start_of(pid).or_else(|| Some("x:0:1".into())) };
        child.wait().expect("it ends");
        assert_eq!(owner.liveness(), Liveness::Dead);
    }

    #[test]
    fn a_number_that_another_process_has_now_is_not_the_owner() {
        let this = Owner::this();
        let start = this.start.clone().expect("Linux tells");
        let (rest, ticks) = start.rsplit_once(':').expect("three parts");
        let earlier: u64 = ticks.parse::<u64>().expect("a number") - 1;
        let owner = Owner { pid: this.pid, start: Some(format!("{rest}:{earlier}")) };
        assert_eq!(owner.liveness(), Liveness::Dead, "the same number, another start");
    }

    #[test]
    fn an_owner_of_an_earlier_boot_is_dead_and_one_elsewhere_is_not_judged() {
        let this = Owner::this();
        let start = this.start.clone().expect("Linux tells");
        let parts: Vec<&str> = start.split(':').collect();
        let with = |boot: &str, namespace: &str| Owner {
            pid: this.pid,
            start: Some(format!("{boot}:{namespace}:{}", parts[2])),
        };
        assert_eq!(with("00000000", parts[1]).liveness(), Liveness::Dead);
        assert_eq!(with(parts[0], "1").liveness(), Liveness::Unknown);
    }
}
