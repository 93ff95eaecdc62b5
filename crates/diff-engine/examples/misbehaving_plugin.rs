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
                ("say", words) => return Err(words.into()),
                ("abort", _) => std::process::abort(),
                ("exit", _) => std::process::exit(7),
                ("overflow", _) => drop(black_box(deeper(0))),
                ("allocate", _) => allocate_without_end(),
                ("loop", _) => loop {
                    black_box(());
                },
                ("stop-when-asked", _) => {
                    while !ctl.should_stop() {
                        std::thread::yield_now();
                    }
                    return Err("it was asked to stop".into());
                }
                ("print", _) => println!("diff --git a/evil b/evil"),
                ("mutter", _) => eprintln!("a remark of the plugin"),
                ("flood", _) => (0..10_000).for_each(|_| eprintln!("{}", "x".repeat(1000))),
                ("lie", _) => return Ok(vec![Op::keep(0, 0, input.old.len() as u32 + 1)]),
                ("tell", _) => return Ok(spelled(input, std::process::id())),
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

/// A number as the only thing that a plugin can say: bit by bit, in which of the lines that both
/// files start with it keeps.
fn spelled(input: &Input<'_>, number: u32) -> Vec<Op> {
    let mut script = ScriptBuilder::new();
    for line in (0..u32::BITS).filter(|bit| number >> bit & 1 == 1) {
        script.keep(line, line, 1);
    }
    script.finish(input.old.len() as u32, input.new.len() as u32)
}

export_strategy!(Misbehaving);
