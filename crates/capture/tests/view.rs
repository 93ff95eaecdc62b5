//! A command in a view: what it writes, how it ends, and what the view is made from.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "the test plays the user, who writes files freely")]

mod support;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::Duration;

use capture::{Change, Exit, INSIDE, Plan, Step, View, ViewError};
use rstest::rstest;
use support::{Fixture, Outcome, code, keeper, lines, until, words};

#[test]
fn what_a_command_writes_is_in_the_upper_directory_and_nowhere_else() -> Outcome {
    let files = [
        ("append", "1\n"),
        ("sed", "old\n"),
        ("removed", "x"),
        ("moved", "x"),
        ("linked", "x"),
        ("truncated", "x"),
        ("touched", "x"),
        ("opened", "x"),
        ("type", "x"),
        ("over", "x"),
        ("onto", "y"),
        ("gone/a", "x"),
        ("gone/deep/b", "x"),
        ("again/a", "x"),
        ("again/b", "x"),
        ("kept/a", "x"),
    ];
    let Some(fixture) = Fixture::new(&files)? else { return Ok(()) };
    let before = fixture.snapshot()?;
    fixture.shell(
        "set -e
        echo 2 >> append; sed -i s/old/new/ sed; rm removed; mv moved elsewhere; ln linked second
        : > truncated; touch touched; chmod 755 touched; exec 3<> opened; exec 3>&-
        rm type; mkdir type; echo x > type/inner; mv -f over onto
        rm -r gone; rm -r again; mkdir again; echo x > again/c
        mkdir -p new/deep; echo x > new/deep/d; mkdir empty; ln -s append link; mkfifo fifo
        chmod 700 kept; echo x > .hidden; cat append sed > kept/joined",
    )?;
    assert_eq!(fixture.snapshot()?.iter().collect::<Vec<_>>(), before.iter().collect::<Vec<_>>());
    let changes = fixture.changes(&before)?;
    let found = changes.entries.iter().map(|(path, change)| {
        let sign = match change {
            Change::Written(..) => '+',
            Change::Linked(_) => '@',
            Change::Made(_) => '/',
            Change::Removed => '-',
        };
        format!("{sign}{}", path.escape_ascii())
    });
    let expected = "+.hidden -again/a -again/b +again/c +append +elsewhere /empty -gone/a -gone/deep/b \
        +kept/joined @link +linked -moved +new/deep/d +onto +opened -over -removed +second +sed +touched \
        +truncated -type +type/inner";
    assert_eq!(found.collect::<Vec<_>>().join(" "), expected);
    let listed = changes.not_proposed.iter();
    let listed = listed.map(|(path, reason)| format!("{} {reason:?}", path.escape_ascii()));
    assert_eq!(listed.collect::<Vec<_>>(), ["fifo Special", "kept DirectoryMode"]);
    assert_eq!(fixture.read_upper("append"), "1\n2\n");
    assert_eq!(fixture.read_upper("kept/joined"), "1\n2\nnew\n");
    Ok(())
}

#[rstest]
#[case(&["true"], 0)]
#[case(&["sh", "-c", "exit 42"], 42)]
#[case(&["sh", "-c", "exit 255"], 255)]
#[case(&["sh", "-c", "kill -TERM $$"], 143)]
#[case(&["sh", "-c", "kill -KILL $$"], 137)]
#[case(&["./no-such-program"], 127)]
#[case(&["./file"], 126)]
#[case(&["."], 126)]
fn the_exit_code_is_the_one_of_the_command(
    #[case] command: &[&str],
    #[case] expected: i32,
) -> Outcome {
    let Some(fixture) = Fixture::new(&[("file", "x")])? else { return Ok(()) };
    let output = fixture.helper(command).output()?;
    assert_eq!(code(&output), Some(expected), "{}", String::from_utf8_lossy(&output.stderr));
    // The view has ended whole: another one can use the upper directory at once.
    assert_eq!(code(&fixture.helper(&["true"]).output()?), Some(0));
    Ok(())
}

/// The kernel takes some of these characters apart in the options of an overlay, and writes others
/// in another way in its tables.
#[rstest]
#[case(b"plain")]
#[case(b"co:lon,comma=equals")]
#[case(b"back\\slash \"quote\" 'single'")]
#[case(b"new\nline\ttab")]
#[case(b"not utf-8 \xff\xfe")]
#[case("Häuschen".as_bytes())]
#[case(&[b'n'; 255])]
fn a_workspace_may_have_any_name(#[case] name: &[u8]) -> Outcome {
    let Some(fixture) = Fixture::named(OsStr::from_bytes(name), &[("a/b", "x")])? else {
        return Ok(());
    };
    let seen = fixture.shell("echo changed > a/b; pwd -P; cd a; cat b")?;
    let expected = [fixture.workspace.as_os_str().as_bytes(), b"\nchanged\n"].concat();
    assert_eq!(seen, String::from_utf8_lossy(&expected));
    assert_eq!((fixture.read("a/b"), fixture.read_upper("a/b")), ("x".into(), "changed\n".into()));
    Ok(())
}

#[test]
fn a_command_is_the_same_user_at_the_same_place() -> Outcome {
    let Some(fixture) = Fixture::new(&[("a", "x")])? else { return Ok(()) };
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let printed =
        fixture.shell("pwd; id -u; id -g; stat -c '%u %i' a; printenv PROBE || echo none")?;
    let stat = fs::metadata(fixture.workspace.join("a"))?;
    let expected = [
        fixture.workspace.display().to_string(),
        user.as_raw().to_string(),
        group.as_raw().to_string(),
        format!("{} {}", stat.uid(), stat.ino()),
        "none".to_owned(),
    ];
    assert_eq!(lines(printed.as_bytes()), expected, "git trusts its index by user and inode");
    Ok(())
}

#[test]
fn a_second_view_of_the_same_upper_directory_is_refused() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let view = fixture.start()?;
    let failure =
        View::start(&fixture.plan(), keeper()).err().ok_or("two views of one directory")?;
    assert_eq!((failure.step, failure.errno), (Step::Lock, Some(libc::EWOULDBLOCK)));
    drop(view);
    fixture.start()?;
    Ok(())
}

#[test]
fn each_failure_names_its_step_and_leaves_nothing() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let plan = fixture.plan();
    let missing = || fixture.outside("missing").into_os_string();
    let link = fixture.outside("link");
    std::os::unix::fs::symlink(&fixture.workspace, &link)?;
    let inner = fixture.workspace.join("inner");
    fs::create_dir(&inner)?;
    let state = fixture.state.clone().into_os_string();
    for (step, plan) in [
        (Step::Plan, Plan { workspace: missing(), ..plan.clone() }),
        (Step::Plan, Plan { workspace: link.into(), ..plan.clone() }),
        (Step::Plan, Plan { workspace: ".".into(), ..plan.clone() }),
        (Step::Plan, Plan { upper: missing(), ..plan.clone() }),
        (Step::Plan, Plan { masks: vec![], ..plan.clone() }),
        (Step::Plan, Plan { masks: vec![state.clone(), missing()], ..plan.clone() }),
        (Step::Plan, Plan { workspace: state.clone(), ..plan.clone() }),
        (Step::Plan, Plan { upper: inner.into(), ..plan.clone() }),
        // The kernel takes a directory for work only beside the upper one.
        (Step::Create, Plan { work: plan.upper.clone(), ..plan.clone() }),
        (Step::Directory, Plan { directory: missing(), ..plan.clone() }),
        // The state directory is hidden.
        (Step::Directory, Plan { directory: plan.upper.clone(), ..plan.clone() }),
    ] {
        let failure = View::start(&plan, keeper()).err().ok_or(format!("{step:?}: no failure"))?;
        assert_eq!(failure.step, step, "{failure}");
    }
    let failure = View::start(&plan, std::process::Command::new("/no/such/program")).err();
    assert_eq!(failure.map(|failure| failure.step), Some(Step::Keeper));
    let failure = View::start(&plan, std::process::Command::new("true")).err();
    assert_eq!(failure.map(|failure| failure.step), Some(Step::Keeper), "it says nothing");
    assert!(fixture.upper()?.is_empty());
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    assert!(!table.contains(fixture.state.to_str().ok_or("the path is UTF-8")?), "{table}");
    Ok(())
}

#[test]
fn inherited_descriptors_are_closed() -> Outcome {
    let Some(fixture) = Fixture::new(&[("a", "x")])? else { return Ok(()) };
    let root = File::open(&fixture.workspace)?;
    let number = root.as_raw_fd();
    let script = "ls /proc/self/fd; echo x > /proc/self/fd/77/escaped";
    let mut helper = fixture.helper(&["sh", "-c", script]);
    // SAFETY: the closure makes one system call.
    unsafe {
        helper.pre_exec(move || match libc::dup2(number, 77) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    let output = helper.output()?;
    let numbers = lines(&output.stdout);
    // One is ls's own, for the directory that it lists.
    assert_eq!(numbers, ["0", "1", "2", "3"], "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!fixture.workspace.join("escaped").exists());
    Ok(())
}

#[test]
fn a_directory_as_standard_input_is_refused() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let script = "echo x > /proc/self/fd/0/escaped";
    let output = fixture
        .helper(&["sh", "-c", script])
        .stdin(Stdio::from(File::open(&fixture.workspace)?))
        .output()?;
    assert_eq!(code(&output), Some(125));
    let error = "cannot close inherited descriptors: descriptor 0 is a directory";
    assert_eq!(lines(&output.stderr), [error]);
    assert!(!fixture.workspace.join("escaped").exists());
    Ok(())
}

#[test]
fn the_state_directory_is_hidden_and_says_which_session_it_is() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    fs::write(fixture.state.join("secret"), "x")?;
    let state = fixture.state.display();
    let printed = fixture.shell(&format!("ls -A '{state}'; cat '{state}/{INSIDE}'"))?;
    assert_eq!(lines(printed.as_bytes()), [INSIDE, "s1"]);
    let output = fixture.script(&format!(
        "echo x > '{state}/new'; echo x > '{state}/{INSIDE}'; rm -f '{state}/{INSIDE}'"
    ))?;
    assert!(!output.status.success());
    let printed = fixture.shell(&format!("ls -A '{state}'; cat '{state}/{INSIDE}'"))?;
    assert_eq!(lines(printed.as_bytes()), [INSIDE, "s1"]);
    assert!(!fixture.state.join("new").exists());
    Ok(())
}

#[test]
fn waiting_ends_with_the_timeout_and_a_command_can_follow_another() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let mut view = fixture.start()?;
    view.run(words(&["sleep", "1000"]))?;
    assert_eq!(view.wait(None, Some(Duration::from_millis(1)))?, None, "it cannot have ended");
    let error = view.run(words(&["true"])).err().ok_or("two commands at a time")?;
    assert_eq!(error.code(), 126, "{error:?}");
    assert_eq!(view.stop(Duration::from_secs(60))?.len(), 1, "the command");
    assert_eq!(view.wait(None, None)?, Some(Exit::Signal(15)));
    view.run(words(&["sh", "-c", "exit 6"]))?;
    assert_eq!(view.wait(None, None)?, Some(Exit::Code(6)));
    assert_eq!(view.leftovers()?, []);
    let error = view.run(words(&["./no-such-program"])).err().ok_or("there is none")?;
    assert!(matches!(error, ViewError::NotStarted { .. }) && error.code() == 127, "{error:?}");
    Ok(())
}

#[test]
fn what_a_command_leaves_running_is_named_and_ended() -> Outcome {
    let Some(fixture) = Fixture::new(&[])? else { return Ok(()) };
    let mut view = fixture.start()?;
    // A background job, a session of its own, one whose parent has gone, and one that will not go.
    let script = "sleep 1000 & setsid sleep 1000 & (setsid sh -c 'sleep 1000 & echo x > third') &
        (trap '' TERM; echo x > fourth; exec sleep 1000) & wait %3; echo x > done";
    view.run(words(&["sh", "-c", script]))?;
    assert_eq!(view.wait(None, None)?, Some(Exit::Code(0)));
    until("all four have begun", || {
        ["third", "fourth", "done"].iter().all(|name| fixture.read_upper(name) == "x\n")
            && view.leftovers().is_ok_and(|left| {
                left.len() == 4 && left.iter().all(|process| process.name == "sleep")
            })
    });
    let identity = view.identity();
    // The keeper is alive as well.
    assert_eq!(capture::survivors(&identity)?.len(), 5);
    let ended = view.stop(Duration::from_millis(50))?;
    assert_eq!(ended.len(), 4, "{ended:?}");
    assert_eq!(view.leftovers()?, []);
    assert_eq!(capture::survivors(&identity)?.len(), 1, "the keeper");
    drop(view);
    assert_eq!(capture::survivors(&identity)?, []);
    Ok(())
}

#[test]
fn a_second_command_joins_a_live_view() -> Outcome {
    let Some(fixture) = Fixture::new(&[("a", "x")])? else { return Ok(()) };
    let mut view = fixture.start()?;
    view.run(words(&["sh", "-c", "echo first > a"]))?;
    assert_eq!(view.wait(None, None)?, Some(Exit::Code(0)));
    let place = fixture.workspace.clone().into_os_string();
    let join = || View::join(view.identity(), place.clone(), place.clone(), keeper());
    let mut joined = join()?;
    let state = fixture.state.display();
    let script = format!(
        "cat a > b; echo second >> b; ! umount '{state}' 2> /dev/null; ! echo x > '{state}/new'"
    );
    joined.run(words(&["sh", "-c", &script]))?;
    assert_eq!(joined.wait(None, None)?, Some(Exit::Code(0)));
    joined.refresh()?;
    drop(joined);
    assert_eq!(fixture.read_upper("b"), "first\nsecond\n");
    assert!(!fixture.workspace.join("b").exists());
    view.run(words(&["grep", "-q", "second", "b"]))?;
    assert_eq!(view.wait(None, None)?, Some(Exit::Code(0)), "the first view lives on");
    let identity = view.identity();
    drop(view);
    let failure = View::join(identity, place.clone(), place.clone(), keeper()).err();
    assert_eq!(failure.map(|failure| failure.step), Some(Step::Join));
    Ok(())
}
