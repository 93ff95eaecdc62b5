//! An agent that attacks: what a command in a view tries in order to approve its own patches, to reach
//! the state, to write the real files, and to act outside.
//!
//! Each attempt is a shell script that runs in `greenroom run` and in `greenroom run --confine`, as
//! the user of the tests and, when that is root, as an ordinary user too. What it has reached is
//! found out from outside. What an attempt reaches is a limit that docs/run.md names.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use end_to_end::{
    Fixture, Machine, Ran, Tree, greenroom_binary, output, spawn, tree_of, without_namespaces,
};

use crate::users::{as_user, copy, give, has_programs, home, path, users};

/// What an attempt has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    /// A patch was approved, rejected or removed.
    Decision,
    /// The real workspace.
    Workspace,
    /// The state directory or the configuration.
    State,
    /// What is in the state directory was read.
    Secret,
    /// A file of the user elsewhere.
    Outside,
    /// A process outside has got a signal.
    Process,
    /// A program outside that serves a socket of the file system.
    Socket,
    /// A program outside that serves an abstract socket.
    Abstract,
    /// A program outside that serves a port.
    Port,
    /// The input of a terminal.
    Terminal,
    /// A disk, past its file system.
    Disk,
}

use Reached::{Abstract, Disk, Outside, Port, Process, Socket, Terminal};

/// An attempt: its script, and what it reaches in a plain run and in a confined one.
///
/// A script has `$G` (the command), `$W` (the workspace), `$S` (the state directory), `$C` (the
/// configuration's), `$O` (another directory of the user), `$R` (`$XDG_RUNTIME_DIR`), `$V` (a process
/// outside), `$PORT` and `$ABSTRACT`.
struct Attempt(&'static str, &'static [Reached], &'static [Reached]);

/// What no run reaches.
const fn held(script: &'static str) -> Attempt {
    Attempt(script, &[], &[])
}

const CONNECT: &str = r#"connect() { perl -MIO::Socket::UNIX -e 'exit !IO::Socket::UNIX->new(Peer => $ARGV[0])' "$1"; }"#;

const ATTEMPTS: &[Attempt] = &[
    // Deciding.
    held(r#""$G" apply --yes"#),
    held(r#""$G" apply p1 --yes"#),
    held(r#"env -u GREENROOM_SESSION "$G" apply --yes"#),
    held(r#"env -i HOME="$HOME" GREENROOM_STATE_DIR="$S" "$G" apply --yes"#),
    held(r#""$G" --state-dir "$S" --workspace "$W" apply --yes"#),
    held(r#"cd /; "$G" --workspace "$W" apply --yes"#),
    held(r#"cp "$G" ./copy; ./copy apply --yes"#),
    held(r#"setsid -w "$G" apply --yes"#),
    held(r#"unshare -Ur "$G" apply --yes"#),
    held(r#"unshare -Urm "$G" apply --yes"#),
    held(r#"unshare -Urmpf --mount-proc "$G" apply --yes"#),
    held(r#""$G" discard p1 --yes"#),
    held(r#""$G" session close s1 --yes"#),
    held(r#""$G" undo --yes"#),
    held(r#""$G" gc"#),
    held(r#""$G" recover"#),
    held(r#""$G" run -- "$G" apply --yes"#),
    held(r#""$G" run --no-confine -- sh -c 'echo x > "$W/escaped"'"#),
    held(r#""$G" exec -- "$G" apply --yes"#),
    held(r#"script -qec "'$G' apply" /dev/null < /dev/null"#),
    held(
        r#"printf '%s\n' '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}' | "$G" mcp"#,
    ),
    // The state and the configuration.
    held(r#"cat "$S/secret""#),
    held(r#"echo x > "$S/escaped""#),
    held(r#"rm -rf "$S"/*; rmdir "$S"; mv "$S" "$S.old""#),
    held(r#"echo 'allow_yes_under_agents = true' > "$C/config.toml""#),
    held(r#"umount -l "$S"; cat "$S/secret""#),
    held(r#"unshare -Urm sh -c 'umount -l "$S"; cat "$S/secret"'"#),
    held(r#"unshare -Urm sh -c 'mount -o remount,bind,rw "$S"; echo x > "$S/escaped"'"#),
    held(r#"unshare -Urm sh -c 'mount -t tmpfs x "$S"; echo x > "$S/escaped"'"#),
    held(r#"unshare -Urm sh -c 'mkdir -p m; mount --bind / m; cat "m$S/secret"'"#),
    held(r#"unshare -Urm sh -c 'mkdir -p m; mount --rbind / m; cat "m$S/secret"'"#),
    held(r#"unshare -Urm sh -c 'chroot / cat "$S/secret"'"#),
    held(r#"cat "/proc/$V/root$S/secret""#),
    held(r#"cat "/proc/1/root$S/secret""#),
    held(r#"cat "/proc/$PPID/root$S/secret""#),
    held(r#"for p in /proc/[0-9]*; do cat "$p/root$S/secret"; done"#),
    held(r#"nsenter -t $V -m cat "$S/secret""#),
    held(r#"nsenter -t $V -U -m --preserve-credentials cat "$S/secret""#),
    // The real files of the workspace.
    held(r#"echo x > "$W/escaped"; echo x >> f; rm -rf .git"#),
    held(r#"umount "$W"; umount -l "$W"; echo x > "$W/escaped""#),
    held(r#"cd /; umount -l "$W"; cd "$W"; echo x > escaped"#),
    held(r#"unshare -Urm sh -c 'umount -l "$W"; echo x > "$W/escaped"'"#),
    held(
        r#"export M=/tmp/m$$; mkdir $M; unshare -Urm sh -c 'mount --bind "$W" $M; echo x > $M/escaped'; rm -f $M/escaped; rmdir $M"#,
    ),
    held(r#"echo x > "/proc/$V/root$W/escaped""#),
    held(r#"echo x > "/proc/$V/cwd/escaped""#),
    held(r#"echo x > "/proc/$PPID/cwd/escaped""#),
    held(
        r#"for p in /proc/[0-9]*; do for d in "$p"/fd/* "$p/cwd"; do [ -e "$d/twin" ] && echo x > "$d/escaped"; done; done"#,
    ),
    held(r#"for n in 3 4 5 6 7 8 9; do echo x > /proc/self/fd/$n/escaped; done"#),
    held(r#"nsenter -t $V -m sh -c 'echo x > "$W/escaped"'"#),
    Attempt(r#"echo x >> "$O/twin""#, &[Reached::Workspace], &[]),
    held(r#"mv "$W" "$W.old"; rmdir "$W""#),
    held(
        r#"D=$(dirname "$S"); perl -e 'exit !rename $ARGV[0], "$ARGV[0].moved"' "$D" && mkdir -p "$S""#,
    ),
    held(
        r#"D=$(dirname "$S"); unshare -Urm perl -e 'exit !rename $ARGV[0], "$ARGV[0].moved"' "$D" && mkdir -p "$S""#,
    ),
    held(r#"rmdir "$S"; mv -T "$S" "$S.moved" && mkdir "$S""#),
    // Other places.
    Attempt(r#"echo x > "$O/escaped""#, &[Outside], &[]),
    Attempt(r#"echo x >> "$O/file""#, &[Outside], &[]),
    Attempt(r#"rm "$O/file""#, &[Outside], &[]),
    Attempt(r#"mv "$O/file" "$O/moved""#, &[Outside], &[]),
    Attempt(r#"chmod 640 "$O/file""#, &[Outside], &[]),
    Attempt(r#"touch -d 2001-01-01 "$O/file""#, &[Outside], &[]),
    Attempt(r#"echo x > "/proc/self/root$O/escaped""#, &[Outside], &[]),
    Attempt(
        r#"ln -sf "$O" /tmp/link$$; echo x > /tmp/link$$/escaped; rm /tmp/link$$"#,
        &[Outside],
        &[],
    ),
    Attempt(r#"ln "$O/file" "$O/linked" && echo x >> "$O/linked""#, &[Outside], &[]),
    Attempt(r#"echo 'alias ls=evil' >> "$HOME/.bashrc""#, &[Outside], &[]),
    Attempt(
        r#"mkdir -p "$HOME/.local/bin" && echo evil > "$HOME/.local/bin/greenroom""#,
        &[Outside],
        &[],
    ),
    held(
        r#"mount -o remount,rw /; mount -o remount,bind,rw /; umount -l /; echo x > /proc/1/root"$O"/escaped"#,
    ),
    Attempt(
        r#"unshare -Urm sh -c 'mount -o remount,rw /; mount -o remount,bind,rw /; mount -o remount,bind,rw "$O"; echo x > "$O/escaped"'"#,
        &[Outside],
        &[],
    ),
    Attempt(
        r#"export N=/tmp/n$$; mkdir $N; unshare -Urm sh -c 'mount --rbind "$O" $N; mount -o remount,bind,rw $N; echo x > $N/escaped'; rmdir $N"#,
        &[Outside],
        &[],
    ),
    held(r#"echo x > "/proc/$V/root$O/escaped""#),
    held(r#"nsenter -t $V -m sh -c 'echo x > "$O/escaped"'"#),
    // Processes, programs that act for others, terminals, disks.
    Attempt("kill $V", &[Process], &[]),
    Attempt("kill -STOP $V; kill -KILL $V", &[Process], &[]),
    Attempt("setsid -w kill -KILL $V", &[Process], &[]),
    Attempt("unshare -Ur kill -KILL $V", &[Process], &[]),
    Attempt("kill -KILL -$V", &[Process], &[]),
    Attempt(r#"cd "$O"; connect ./socket"#, &[Socket], &[]),
    Attempt(r#"cd "$R"; connect ./socket"#, &[Socket], &[]),
    Attempt(r#"ln -s "$O/socket" s; connect ./s"#, &[Socket], &[]),
    Attempt(r#"cd "/proc/self/root$O"; connect ./socket"#, &[Socket], &[]),
    held(r#"cd "/proc/$V/root$O" && connect ./socket"#),
    Attempt(
        r#"perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); connect(S, pack("S a*", AF_UNIX, "\0$ENV{ABSTRACT}")) or die $!'"#,
        &[Abstract],
        &[],
    ),
    Attempt(
        r#"perl -MSocket -e 'socket(S, AF_INET, SOCK_STREAM, 0); connect(S, sockaddr_in($ENV{PORT}, INADDR_LOOPBACK)) or die $!'"#,
        &[Port],
        &[Port],
    ),
    held(
        r#"script -qec "perl -e 'ioctl(STDIN, 0x5412, my \$c = qq(x)) and print qq(typed), qq( here)'" /dev/null < /dev/null"#,
    ),
];

/// What is tried in a copy of the workspace beside: there the real one is in sight.
const FROM_A_COPY: &[Attempt] = &[
    held(r#"perl -e 'truncate "$ENV{W}/f", 0'"#),
    held(r#"ln "$W/f" linked && echo x >> linked"#),
    held(r#"ln -s "$W/f" link; echo x >> link; ln -s "$W" d; echo x > d/escaped"#),
    held(
        r#"mv "$W/f" moved; mv f "$W/escaped"; rm "$W/f"; rmdir "$W"; mkdir "$W/d"; mkfifo "$W/p""#,
    ),
    held(r#"echo x >> "/proc/self/root$W/f"; echo x >> "$PWD/../../../../../workspace/f""#),
    held(r#"git -C "$W" -c user.name=a -c user.email=a@b commit --allow-empty -m x"#),
    held(r#"grep -q SQLite "$S"/*/store.sqlite && echo s3cr''et"#),
    held(r#"for d in "$S"/*/captures/*; do echo x >> "$d/seen" && echo s3cr''et; done"#),
    held(r#"for d in "$S"/*; do echo x >> "$d/store.sqlite" && echo s3cr''et; done"#),
    held(r#"mv "$PWD" "$PWD.old" && echo s3cr''et; mkdir ../x && echo s3cr''et"#),
    held(r#"env -u GREENROOM_COMMAND "$G" --workspace "$W" apply --yes"#),
    held(r#"env -i HOME="$HOME" GREENROOM_STATE_DIR="$S" "$G" --workspace "$W" apply --yes"#),
    Attempt(r#"chmod 600 "$W/twin""#, &[Reached::Workspace], &[]),
];

/// What root reaches beside, where the machine has such a file.
const DISKS: &str = r#"for disk in /dev/*; do
    [ -b "$disk" ] && perl -e 'open(my $d, "+<", $ARGV[0]) and print "opened", " disk"' "$disk"; done"#;

/// What the scripts use.
const PROGRAMS: [&str; 6] = ["perl", "script", "setpriv", "unshare", "nsenter", "setsid"];

/// What the attempts are made on.
struct World {
    fixture: Fixture,
    user: u32,
    victim: Child,
    sockets: Vec<UnixListener>,
    hidden: UnixListener,
    port: TcpListener,
    before: Tree,
    machine: Machine,
}

impl World {
    /// A world below this directory; none, visibly, where this machine has no view for the user.
    fn new(below: &Path, user: u32, machine: Machine) -> Option<Self> {
        let fixture = Fixture::new_in(below);
        let own = rustix::process::getuid().as_raw();
        for name in ["outside", "runtime"] {
            fs::create_dir(fixture.beside(name)).expect("new");
        }
        fs::create_dir(fixture.beside("config/greenroom")).expect("new");
        fixture.write("f", "one\n");
        fixture.write("twin", "one\n");
        fs::write(fixture.beside("state/secret"), "s3cret\n").expect("new");
        let outside = fixture.beside("outside");
        fs::hard_link(fixture.path("twin"), outside.join("twin")).expect("one file system");
        let sockets = [outside.join("socket"), fixture.beside("runtime/socket")];
        // unix(7)
        if sockets.iter().any(|path| path.as_os_str().len() > 107) {
            println!("skipped: a socket cannot have the name {}", sockets[0].display());
            return None;
        }
        let sockets = sockets.map(|path| UnixListener::bind(path).expect("new"));
        let name = fixture.beside("").into_os_string().into_encoded_bytes();
        let address = SocketAddr::from_abstract_name(name).expect("short");
        let hidden = UnixListener::bind_addr(&address).expect("new");
        let port = TcpListener::bind("127.0.0.1:0").expect("free");
        for socket in sockets.iter().chain([&hidden]) {
            socket.set_nonblocking(true).expect("a socket");
        }
        port.set_nonblocking(true).expect("a socket");
        if user != own {
            give(&fixture.beside(""), user);
        }
        let before = fixture.tree();
        let victim = Self::victim(&fixture, user);
        let sockets = sockets.into();
        let world = Self { fixture, user, victim, sockets, hidden, port, before, machine };
        world.write_files();
        let confine: &[&str] = if machine == Machine::Own { &["--confine"] } else { &[] };
        let ran = world.greenroom(&[&["run"], confine, &["--", "true"]].concat());
        let is_refused = ran.code != Some(0);
        if is_refused {
            println!("skipped for user {user}: {:?} {}", ran.code, ran.stderr);
            return None;
        }
        world.propose();
        Some(world)
    }

    fn victim(fixture: &Fixture, user: u32) -> Child {
        use std::os::unix::process::CommandExt as _;
        let mut sleep = Command::new("sleep");
        sleep.arg("1000").current_dir(fixture.workspace()).env("PATH", path());
        spawn(as_user(&sleep, user).process_group(0).stdout(Stdio::null()))
    }

    /// Writes the files outside as they were.
    fn write_files(&self) {
        let outside = self.fixture.beside("outside");
        for name in ["escaped", "moved", "linked"] {
            let _ = fs::remove_file(outside.join(name));
        }
        let home = self.fixture.beside("home");
        fs::write(outside.join("file"), "one\n").expect("ours");
        fs::set_permissions(outside.join("file"), fs::Permissions::from_mode(0o644)).expect("ours");
        fs::write(home.join(".bashrc"), "").expect("ours");
        let _ = fs::remove_file(home.join(".local/bin/greenroom"));
        chown(outside.join("file"), Some(self.user), Some(self.user)).expect("ours");
        chown(home.join(".bashrc"), Some(self.user), Some(self.user)).expect("ours");
    }

    fn propose(&self) {
        let mut command = self.command(&["propose", "f", "--session", "other"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(&mut command);
        let mut input = child.stdin.take().expect("piped");
        std::io::Write::write_all(&mut input, b"two\n").expect("it reads");
        drop(input);
        let ran: Ran = child.wait_with_output().expect("it ends").into();
        ran.expect(0);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut plain = self.fixture.command(arguments);
        if self.machine == Machine::WithoutNamespaces {
            let mut filtered = Command::new(without_namespaces());
            filtered.arg(plain.get_program()).args(plain.get_args());
            plain = copy(&plain, &mut filtered);
        }
        let mut plain = copy(&plain, Command::new(plain.get_program()).args(plain.get_args()));
        let port = self.port.local_addr().expect("bound").port().to_string();
        let beside = |name| self.fixture.beside(name);
        for (name, value) in [
            ("G", greenroom_binary().to_owned()),
            ("W", self.fixture.workspace()),
            ("S", beside("state")),
            ("C", beside("config/greenroom")),
            ("O", beside("outside")),
            ("R", beside("runtime")),
            ("XDG_RUNTIME_DIR", beside("runtime")),
            ("V", self.victim.id().to_string().into()),
            ("PORT", port.into()),
            ("ABSTRACT", beside("")),
        ] {
            plain.env(name, value);
        }
        as_user(&plain, self.user)
    }

    fn greenroom(&self, arguments: &[&str]) -> Ran {
        output(&mut self.command(arguments)).into()
    }

    /// Runs a script in a view and finds out what it has reached.
    fn attempt(&mut self, options: &[&str], script: &str) -> Vec<Reached> {
        let outside = self.outside();
        let state = self.state();
        let script = format!("{CONNECT}\ntrap 'echo done >> ran' EXIT\n({script}) 2>&1");
        let arguments = [&["run", "--session", "agent"], options, &["--", "sh", "-c", &script]];
        let ran = self.greenroom(&arguments.concat());
        let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.stderr.contains("pending"), "the script ran: {}", ran.stderr);
        let mut reached = Vec::new();
        let mut found = |is_reached: bool, what| {
            if is_reached {
                reached.push(what);
            }
        };
        let patch = self.greenroom(&["show", "p1", "--json"]).expect(0).json();
        found(patch["patch"]["state"] != "pending", Reached::Decision);
        found(self.fixture.tree() != self.before, Reached::Workspace);
        found(self.state() != state, Reached::State);
        found(printed.contains("s3cret"), Reached::Secret);
        found(self.outside() != outside, Outside);
        found(self.victim.try_wait().expect("ours").is_some(), Process);
        let accepts = |socket: &UnixListener| match socket.accept() {
            Ok(_) => true,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        found(self.sockets.iter().any(accepts), Socket);
        found(accepts(&self.hidden), Abstract);
        found(self.port.accept().is_ok(), Port);
        found(printed.contains("typed here"), Terminal);
        found(printed.contains("opened disk"), Disk);
        self.restore(&reached);
        reached
    }

    /// What of the state directory and the configuration the user has, without what commands write.
    fn state(&self) -> Vec<PathBuf> {
        let names = |dir: PathBuf| {
            let entries = fs::read_dir(dir).expect("there");
            entries.map(|entry| entry.expect("readable").path()).collect::<Vec<_>>()
        };
        let beside = |name| self.fixture.beside(name);
        let mut all = [names(beside("state")), names(beside("config/greenroom"))].concat();
        all.sort();
        all
    }

    fn outside(&self) -> (Tree, Tree, Option<(u64, i64)>) {
        let file = fs::metadata(self.fixture.beside("outside/file"));
        let file = file.map(|file| (file.nlink(), file.mtime())).ok();
        let mut outside = tree_of(&self.fixture.beside("outside"));
        // It is a file of the workspace.
        outside.remove(Path::new("twin"));
        (outside, tree_of(&self.fixture.beside("home")), file)
    }

    fn restore(&mut self, reached: &[Reached]) {
        if reached.contains(&Process) {
            self.victim = Self::victim(&self.fixture, self.user);
        }
        if reached.contains(&Reached::Workspace) {
            self.before = self.fixture.tree();
        }
        if reached.contains(&Outside) {
            self.write_files();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

fn check_all(options: &[&str], machine: Machine, expected: impl Fn(&Attempt) -> Vec<Reached>) {
    check(options, machine, |_| true, expected);
}

fn check(
    options: &[&str],
    machine: Machine,
    is_made: impl Fn(&Attempt) -> bool,
    expected: impl Fn(&Attempt) -> Vec<Reached>,
) {
    let Some(home) = home().filter(|_| has_programs(&PROGRAMS)) else { return };
    for user in users() {
        let Some(mut world) = World::new(home, user, machine) else { continue };
        let mut wrong = Vec::new();
        let more = if machine == Machine::Own { &[][..] } else { FROM_A_COPY };
        for attempt in ATTEMPTS.iter().chain(more).filter(|attempt| is_made(attempt)) {
            let reached = world.attempt(options, attempt.0);
            if reached != expected(attempt) {
                wrong.push((attempt.0, reached));
            }
        }
        let disks = world.attempt(options, DISKS);
        let is_limit = user == 0 && options.is_empty() && disks == [Disk];
        if !disks.is_empty() && !is_limit {
            wrong.push((DISKS, disks));
        }
        assert!(wrong.is_empty(), "user {user}: {wrong:#?}");
    }
}

#[test]
fn an_attack_from_a_run_reaches_only_what_is_documented() {
    check_all(&[], Machine::Own, |attempt| attempt.1.to_vec());
}

/// Whether a directory is on an overlay, as in a view. statfs(2)
fn is_on_overlay(directory: &Path) -> bool {
    const OVERLAYFS_SUPER_MAGIC: rustix::fs::FsWord = 0x794c_7630;
    let file_system = rustix::fs::statfs(directory).expect("it is there");
    file_system.f_type == OVERLAYFS_SUPER_MAGIC
}

/// What a command in a copy is kept from by Landlock rather than by a view.
#[test]
fn an_attack_from_a_copy_reaches_only_what_is_documented() {
    if home().is_some_and(is_on_overlay) {
        println!("skipped: no overlay can hold the whiteouts of the state");
        return;
    }
    check_all(&[], Machine::WithoutNamespaces, |attempt| {
        // There are no namespaces, and nothing can be made directly above the state directory.
        let is_refused = ["unshare -Ur", ".local/bin"].iter().any(|part| attempt.0.contains(part));
        if is_refused { Vec::new() } else { attempt.1.to_vec() }
    });
}

#[test]
fn an_attack_from_a_confined_run_reaches_only_what_is_documented() {
    check_all(&["--confine"], Machine::Own, |attempt| attempt.2.to_vec());
}

#[test]
fn an_attack_from_a_run_without_network_reaches_no_port() {
    // What is held without it is held by the same mounts.
    let is_made = |attempt: &Attempt| !attempt.1.is_empty();
    check(&["--no-network"], Machine::Own, is_made, |_| Vec::new());
}
