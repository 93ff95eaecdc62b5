//! Finding out whether this machine allows a view, and what to do if not.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

mod support;

use std::fs;
use std::process::Command;

use capture::{Failure, Machine, Remedy, Step, probe};
use rstest::rstest;
use support::{Fixture, HELPER, Outcome, keeper, lines};

fn open() -> Machine {
    Machine::default()
}

fn debian() -> Machine {
    Machine { unprivileged_userns_clone: Some(0), ..open() }
}

fn ubuntu() -> Machine {
    Machine {
        apparmor_restrict_unprivileged_userns: Some(1),
        unprivileged_userns_clone: Some(1),
        ..open()
    }
}

fn docker() -> Machine {
    Machine { seccomp: Some(2), ..open() }
}

#[rstest]
#[case(debian(), Step::Namespaces, Some(libc::EPERM), Remedy::AllowUserNamespaces)]
#[case(ubuntu(), Step::Map, Some(libc::EACCES), Remedy::AllowInAppArmor)]
#[case(ubuntu(), Step::Map, Some(libc::EPERM), Remedy::AllowInAppArmor)]
#[case(ubuntu(), Step::Propagation, Some(libc::EACCES), Remedy::AllowInAppArmor)]
#[case(ubuntu(), Step::Create, Some(libc::EPERM), Remedy::AllowInAppArmor)]
#[case(docker(), Step::Namespaces, Some(libc::EPERM), Remedy::LiftFilter)]
#[case(docker(), Step::Create, Some(libc::EPERM), Remedy::LiftFilter)]
#[case(open(), Step::Namespaces, Some(libc::EPERM), Remedy::Unknown)]
#[case(docker(), Step::Namespaces, Some(libc::ENOSPC), Remedy::RaiseLimit)]
#[case(open(), Step::Namespaces, Some(libc::EINVAL), Remedy::Unknown)]
#[case(open(), Step::Mounts, None, Remedy::Unmount)]
#[case(open(), Step::Mounts, Some(libc::EACCES), Remedy::Unknown)]
#[case(open(), Step::Create, Some(libc::EINVAL), Remedy::MoveState)]
#[case(open(), Step::Descriptors, None, Remedy::RedirectStandard)]
#[case(open(), Step::Lock, Some(libc::EWOULDBLOCK), Remedy::EndOther)]
#[case(open(), Step::Keeper, None, Remedy::Unknown)]
fn the_remedy_follows_from_the_step_and_the_machine(
    #[case] machine: Machine,
    #[case] step: Step,
    #[case] errno: Option<i32>,
    #[case] expected: Remedy,
) {
    let failure = Failure { step, errno, detail: String::new() };
    assert_eq!(machine.remedy(&failure), expected);
}

#[test]
fn a_machine_that_allows_a_view_passes_and_nothing_stays() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let place = fixture.outside("probed");
    fs::create_dir(&place)?;
    assert_eq!(probe(&place, None, keeper()), Ok(()));
    assert_eq!(fs::read_dir(&place)?.count(), 0);
    Ok(())
}

#[test]
fn a_machine_without_namespaces_is_reported_with_its_step_and_nothing_stays() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let place = fixture.outside("probed");
    fs::create_dir(&place)?;
    // No more user namespaces are allowed in the one that `unshare` makes.
    let script = r#"echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" probe "$1""#;
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", script, HELPER])
        .arg(&place)
        .output()?;
    assert_eq!(lines(&output.stderr), ["Namespaces Some(28) RaiseLimit"]);
    assert_eq!(fs::read_dir(&place)?.count(), 0);
    Ok(())
}

#[test]
fn a_directory_that_cannot_be_written_is_reported() -> Outcome {
    let obstacle =
        probe(std::path::Path::new("/proc"), None, keeper()).err().ok_or("it is no disk")?;
    assert_eq!(obstacle.failure.step, Step::Layers);
    assert_eq!(obstacle.remedy, Remedy::Unknown);
    assert!(Machine::read().seccomp.is_some(), "every kernel with views reports it");
    Ok(())
}
