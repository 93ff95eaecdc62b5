//! Each check finds the strategy that breaks its rule.

use std::sync::atomic::{AtomicUsize, Ordering};

use strategy_api::abi::module_of;
use strategy_api::toolbox::ScriptBuilder;
use strategy_api::{BoxError, Ctl, Input, Op, Strategy};
use strategy_testkit::{Check, Library, Subject};

macro_rules! strategy {
    ($type:ident, $name:literal, $diff:expr) => {
        #[derive(Default)]
        struct $type;
        impl Strategy for $type {
            const NAME: &'static str = $name;
            const NEEDS_TEXT: bool = true;
            fn diff(&self, input: &Input<'_>, ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
                let diff: fn(&Input<'_>, &Ctl<'_>) -> Result<Vec<Op>, BoxError> = $diff;
                diff(input, ctl)
            }
        }
    };
}

fn replaced(input: &Input<'_>) -> Vec<Op> {
    ScriptBuilder::new().finish(input.old.len() as u32, input.new.len() as u32)
}

/// As valid as [`replaced`], and different where both sides have lines.
fn inserted_first(input: &Input<'_>) -> Vec<Op> {
    let (old, new) = (input.old.len() as u32, input.new.len() as u32);
    let ops = [Op::insert(0, 0, new), Op::delete(0, new, old)];
    ops.into_iter().filter(|op| op.len > 0).collect()
}

strategy!(Honest, "honest", |input, _| {
    for (id, line) in input.old.iter().zip(input.old_text) {
        let digits: Vec<u8> = line.iter().copied().take_while(u8::is_ascii_digit).collect();
        let expected = if *id == 0 { String::new() } else { id.to_string() };
        assert_eq!(digits, expected.as_bytes(), "the text is that of the ids");
    }
    Ok(replaced(input))
});
strategy!(Shouts, "SHOUTS", |input, _| Ok(replaced(input)));
strategy!(LeavesOut, "leaves-out", |_, _| Ok(Vec::new()));
strategy!(GivesUp, "gives-up", |input, _| {
    if input.old.len() > 100_000 { Err("too many lines".into()) } else { Ok(replaced(input)) }
});
strategy!(Wavers, "wavers", |input, _| {
    static TURNS: AtomicUsize = AtomicUsize::new(0);
    let insert_first = TURNS.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
    Ok(if insert_first { inserted_first(input) } else { replaced(input) })
});
strategy!(KnowsItsThread, "knows-its-thread", |input, _| {
    // The threads of the check have no name; the test's own has.
    let is_named = std::thread::current().name().is_some();
    Ok(if is_named { replaced(input) } else { inserted_first(input) })
});
strategy!(StopsBadly, "stops-badly", |input, ctl| {
    if ctl.should_stop() { Ok(vec![Op::keep(0, 0, u32::MAX)]) } else { Ok(replaced(input)) }
});

fn broken(subject: &dyn Subject, check: Check) -> String {
    check.run(subject, &|_| ()).expect_err("the check must find it")
}

#[test]
fn an_honest_strategy_passes_across_the_interface() {
    let library = Library(module_of::<Honest>());
    assert_eq!((library.name().as_str(), library.needs_text()), ("honest", true));
    for check in Check::ALL {
        assert_eq!(check.run(&library, &|_| ()), Ok(()), "{}", check.claim());
    }
}

#[test]
fn every_rule_that_is_broken_is_found() {
    assert!(broken(&Shouts, Check::Name).contains("\"SHOUTS\""));
    let said = broken(&LeavesOut, Check::Edges);
    assert!(said.contains("do not cover both files"), "{said}");
    assert!(broken(&LeavesOut, Check::RandomEdits).contains("random pair"));
    assert!(broken(&Wavers, Check::Edges).starts_with("two runs over "));
    assert!(broken(&KnowsItsThread, Check::Threads).contains("another script on another thread"));
    assert!(broken(&GivesUp, Check::LargeFiles).contains("too many lines"));
    let said = broken(&StopsBadly, Check::Cancelling);
    assert!(said.starts_with("cancelled over "), "{said}");
}

#[test]
fn the_listener_hears_of_each_pair_before_it_runs() {
    let heard = AtomicUsize::new(0);
    let listener = |_: &str| {
        heard.fetch_add(1, Ordering::Relaxed);
    };
    Check::Edges.run(&Honest, &listener).expect("it is honest");
    assert_eq!(heard.into_inner(), strategy_testkit::small_pairs().len());
}
