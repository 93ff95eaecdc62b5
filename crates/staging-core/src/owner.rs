//! Identifies processes, so that a dead process is not confused with a later one of the same id.
//!
//! On Linux a process is identified by its id and its start time in clock ticks since the boot
//! (`/proc/PID/stat`, field 22: proc_pid_stat(5)), together with the boot's id and the pid
//! namespace, because a process id has a meaning only within a namespace.
//!
//! # Limitations
//! On other systems only the id is known: a later process of the same id is taken for the owner.
//! On systems other than Unix no process but this one is known to be alive or dead.

use std::sync::OnceLock;

/// A process, now or in the past.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) pid: u32,
    /// Its start time with the boot and the pid namespace; `None` when that is unknown.
    pub(crate) start: Option<String>,
}

/// Whether a process still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    Alive,
    Dead,
    /// It ran in another pid namespace, or the system does not report it.
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

    /// Whether the process still runs.
    pub(crate) fn liveness(&self) -> Liveness {
        system::liveness(self)
    }

    /// A part of a file name that identifies the process; `parse` reads it back.
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

    /// `boot:namespace:ticks`, with the first group of the boot's id.
    pub(crate) fn start_of(pid: u32) -> Option<String> {
        let ticks = ticks_of(pid)?;
        let (boot, namespace) = here()?;
        Some(format!("{boot}:{namespace}:{ticks}"))
    }

    pub(crate) fn liveness(owner: &Owner) -> Liveness {
        let Some(start) = &owner.start else {
            // Its number may be another process's by now.
            let is_there = ticks_of(owner.pid).is_some();
            return if is_there { Liveness::Unknown } else { Liveness::Dead };
        };
        let Some((boot, namespace)) = here() else { return Liveness::Unknown };
        let parts: Vec<&str> = start.split(':').collect();
        let [its_boot, its_namespace, ticks, ..] = parts[..] else { return Liveness::Unknown };
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

    /// When a process started; `None` when it is gone, or is a zombie.
    fn ticks_of(pid: u32) -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command name may contain spaces and `)`, so the fields are counted from its end.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let state = fields.next()?;
        if matches!(state, "Z" | "X" | "x") {
            return None;
        }
        // The state is field 3, the start field 22.
        fields.nth(18)?.parse().ok()
    }

    /// The present boot, and this process's pid namespace.
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
    use super::{Liveness, Owner};

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
    use super::{Liveness, Owner};

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
    fn this_process_is_alive_and_parsed_back_from_its_name() {
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
    fn a_later_process_of_the_same_id_is_not_the_owner() {
        let this = Owner::this();
        let start = this.start.clone().expect("Linux has start times");
        let (rest, ticks) = start.rsplit_once(':').expect("three parts");
        let earlier: u64 = ticks.parse::<u64>().expect("a number") - 1;
        let owner = Owner { pid: this.pid, start: Some(format!("{rest}:{earlier}")) };
        assert_eq!(owner.liveness(), Liveness::Dead, "the same id, another start");
    }

    #[test]
    fn an_owner_of_an_earlier_boot_is_dead_and_one_of_another_namespace_is_unknown() {
        let this = Owner::this();
        let start = this.start.clone().expect("Linux has start times");
        let parts: Vec<&str> = start.split(':').collect();
        let with = |boot: &str, namespace: &str| Owner {
            pid: this.pid,
            start: Some(format!("{boot}:{namespace}:{}", parts[2])),
        };
        assert_eq!(with("00000000", parts[1]).liveness(), Liveness::Dead);
        assert_eq!(with(parts[0], "1").liveness(), Liveness::Unknown);
    }
}
