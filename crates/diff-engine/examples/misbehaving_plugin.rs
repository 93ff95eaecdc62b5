//! A plugin that does whatever a line `plugin: …` of the new file tells it to. The tests load it.
#![allow(clippy::disallowed_methods, reason = "misbehaving is what it is for")]

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use strategy_api::toolbox::ScriptBuilder;
use strategy_api::{BoxError, Ctl, Input, Op, Strategy, export_strategy};

#[derive(Default)]
struct Misbehaving;

impl Strategy for Misbehaving {
    const NAME: &'static str = "misbehaving";
    const VERSION: &'static str = "1.2.3";
    const NEEDS_TEXT: bool = true;

    fn diff(&self, input: &Input<'_>, ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
        let orders = input.new_text.iter().filter_map(|line| {
            str::from_utf8(line).ok()?.strip_prefix("plugin: ").map(str::trim_end)
        });
        for order in orders {
            match order.split_once(' ').unwrap_or((order, "")) {
                ("panic", _) => panic!("no idea\n\x1b[31mwhat to do"),
                ("give-up", _) => return Err("this is too hard".into()),
                ("abort", _) => std::process::abort(),
                ("exit", _) => std::process::exit(7),
                ("overflow", _) => drop(black_box(deeper(0))),
                ("allocate", _) => allocate_without_end(),
                ("loop", _) => loop {
                    black_box(());
                },
                ("stop-when-told", _) => {
                    while !ctl.should_stop() {
                        std::thread::yield_now();
                    }
                    return Err("it was told to stop".into());
                }
                ("print", _) => println!("diff --git a/evil b/evil"),
                ("mutter", _) => eprintln!("a remark of the plugin"),
                ("flood", _) => (0..10_000).for_each(|_| eprintln!("{}", "x".repeat(1000))),
                ("lie", _) => return Ok(vec![Op::keep(0, 0, input.old.len() as u32 + 1)]),
                ("tell", socket) => tell(socket, std::process::id())?,
                ("write", file) => std::fs::write(file, "evil")?,
                ("call", port) => drop(std::net::TcpStream::connect(("127.0.0.1", port.parse()?))?),
                ("start", command) => start(command)?,
                ("look", _) => return Err(surroundings().into()),
                ("count", _) if first_time() => return Ok(replaced(input)),
                _ => {}
            }
        }
        Ok(trimmed(input))
    }
}

/// What a diff without any idea keeps: the common start.
fn trimmed(input: &Input<'_>) -> Vec<Op> {
    let same = input.old.iter().zip(input.new).take_while(|(old, new)| old == new).count();
    let mut script = ScriptBuilder::new();
    script.keep(0, 0, same as u32);
    script.finish(input.old.len() as u32, input.new.len() as u32)
}

fn replaced(input: &Input<'_>) -> Vec<Op> {
    ScriptBuilder::new().finish(input.old.len() as u32, input.new.len() as u32)
}

fn first_time() -> bool {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed) == 0
}

#[allow(unconditional_recursion, reason = "overflowing the stack is what it is for")]
fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 128]);
    frame[7] + deeper(depth + 1) + frame[9]
}

fn allocate_without_end() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 8 << 20]));
    }
}

fn start(command: &str) -> std::io::Result<()> {
    let mut words = command.split(' ');
    let mut command = std::process::Command::new(words.next().unwrap_or_default());
    let socket = words.next_back().unwrap_or_default();
    let started = command.args(words).spawn()?;
    tell(socket, started.id())
}

/// Tells a process's number to whoever listens; files cannot be written from here.
fn tell(socket: &str, process: u32) -> std::io::Result<()> {
    let datagram = std::os::unix::net::UnixDatagram::unbound()?;
    datagram.send_to(process.to_string().as_bytes(), socket).map(drop)
}

/// What this process was left with.
fn surroundings() -> String {
    let variables: Vec<String> =
        std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    let variables = variables.join(" ");
    let folder = std::env::current_dir().unwrap_or_default();
    let listing = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let opened = listing.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let mut kinds: Vec<String> = opened
        .map(|target| {
            let name = target.to_string_lossy().into_owned();
            name.split([':', '(']).next().unwrap_or_default().trim().to_owned()
        })
        .filter(|name| !name.starts_with("/proc/"))
        .collect();
    kinds.sort();
    let kinds = kinds.join(" ");
    format!("{variables} set in {} with {kinds}", folder.display())
}

export_strategy!(Misbehaving);
