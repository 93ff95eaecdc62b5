//! What a contributor tunes: splitting and interning, each strategy, sliding and rendering.
//!
//! `cargo bench -p greenroom-diff-engine`, with part of a name to run less. For figures beside other programs
//! over a large corpus there is `cargo xtask bench diff`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use diff_engine::{DiffEngine, FileChange, FileHeader, Lines, Policy, RenderOptions, Side, intern};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore as _, SeedableRng as _};

/// Two contents by name.
struct Pair {
    name: &'static str,
    old: String,
    new: String,
}

/// Code-like text of so many functions, with `edit` done to each line by its number.
fn text(functions: usize, edit: impl Fn(usize, String) -> String) -> String {
    let mut number = 0;
    let mut text = String::new();
    for function in 0..functions {
        let lines = [
            format!("fn function_{function}(value: u32) -> u32 {{\n"),
            format!("    let first = compute(value, {});\n", function % 7),
            "    if first > 10 {\n".to_owned(),
            "        return first;\n".to_owned(),
            "    }\n".to_owned(),
            format!("    first + {function}\n"),
            "}\n".to_owned(),
            "\n".to_owned(),
        ];
        for line in lines {
            text.push_str(&edit(number, line));
            number += 1;
        }
    }
    text
}

fn pairs() -> Vec<Pair> {
    let unchanged = |_: usize, line: String| line;
    let one_edit = |at: usize| {
        move |number: usize, line: String| if number == at { "edited\n".to_owned() } else { line }
    };
    let rewritten = |number: usize, line: String| {
        // A hash of the number: three lines in five, without a pattern.
        let hash = number.wrapping_mul(0x9e37_79b9) >> 7;
        if hash % 5 < 3 { line.replace("first", "renamed") } else { line }
    };
    let few_distinct = |seed: u64| -> String {
        let mut random = SplitMix64::seed_from_u64(seed);
        (0..1 << 19).map(|_| ["a\n", "b\n", "c\n", "d\n"][random.next_u64() as usize % 4]).collect()
    };
    vec![
        Pair { name: "one edit in 10 KB", old: text(70, unchanged), new: text(70, one_edit(300)) },
        Pair {
            name: "one edit in 900 KB",
            old: text(6000, unchanged),
            new: text(6000, one_edit(24_000)),
        },
        Pair { name: "rewritten, 900 KB", old: text(6000, unchanged), new: text(6000, rewritten) },
        Pair { name: "few distinct lines, 1 MiB", old: few_distinct(1), new: few_distinct(2) },
    ]
}

fn splitting_and_interning(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("split and intern");
    for pair in pairs() {
        group.bench_function(pair.name, |bench| {
            bench.iter(|| {
                let old = Lines::of(black_box(pair.old.as_bytes()));
                let new = Lines::of(black_box(pair.new.as_bytes()));
                intern(&old, &new)
            });
        });
    }
}

fn diffing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("diff");
    for pair in pairs() {
        for strategy in ["histogram", "myers", "patience"] {
            let policy = Policy { strategy: strategy.to_owned(), ..Policy::default() };
            let engine = DiffEngine::bundled(policy);
            let (old, new) = (Side::Text(pair.old.as_bytes()), Side::Text(pair.new.as_bytes()));
            group.bench_function(BenchmarkId::new(strategy, pair.name), |bench| {
                bench.iter(|| engine.diff(black_box(old), black_box(new)));
            });
        }
    }
}

fn rendering(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("render");
    let engine = DiffEngine::bundled(Policy::default());
    let header = FileHeader::new(FileChange::Modify { path: b"src/lib.rs" });
    let options = RenderOptions::default();
    for pair in pairs() {
        let (old, new) = (Side::Text(pair.old.as_bytes()), Side::Text(pair.new.as_bytes()));
        let diff = engine.diff(old, new);
        group.bench_function(pair.name, |bench| {
            bench.iter(|| {
                let mut out = Vec::new();
                let rendered = engine.render(&header, &diff, old, new, &options, &mut out);
                rendered.expect("writing to memory works");
                out
            });
        });
    }
}

criterion_group!(benches, splitting_and_interning, diffing, rendering);
criterion_main!(benches);
