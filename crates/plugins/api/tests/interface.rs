//! The binary interface stays as it is for as long as its major version does.

use std::mem::{offset_of, size_of};

use strategy_api::abi::{INTERFACE_VERSION, RawCtl, RawInput, RawScript, SYMBOL_PREFIX, guarded};
use strategy_api::{Line, Op};

/// A plugin built years ago reads these fields where they were then.
#[cfg(target_pointer_width = "64")]
#[test]
fn fields_stay_where_they_are() {
    assert_eq!(INTERFACE_VERSION, "1.0.0");
    assert_eq!(SYMBOL_PREFIX, "greenroom_strategy_v1_");
    let op = (offset_of!(Op, kind), offset_of!(Op, old), offset_of!(Op, new), offset_of!(Op, len));
    assert_eq!((op, size_of::<Op>()), ((0, 4, 8, 12), 16));
    let input = [
        offset_of!(RawInput<'_>, old_ids),
        offset_of!(RawInput<'_>, new_ids),
        offset_of!(RawInput<'_>, old_text),
        offset_of!(RawInput<'_>, new_text),
        size_of::<RawInput<'_>>(),
    ];
    assert_eq!(input, [0, 16, 32, 48, 64]);
    let ctl = [
        offset_of!(RawCtl<'_>, cancelled),
        offset_of!(RawCtl<'_>, deadline_ns),
        size_of::<RawCtl<'_>>(),
    ];
    assert_eq!(ctl, [0, 8, 16]);
    let script =
        [offset_of!(RawScript, ops), offset_of!(RawScript, degraded), size_of::<RawScript>()];
    assert_eq!(script, [0, 32, 40]);
    assert_eq!(size_of::<Line<'_>>(), 16);
}

/// The layout check compares the crate's version with the plugin's, and takes 0.1 and 0.2 for two
/// major versions.
#[test]
fn the_crate_has_the_version_of_the_interface() {
    assert_eq!(env!("CARGO_PKG_VERSION"), INTERFACE_VERSION);
}

#[test]
fn kinds_keep_their_numbers() {
    assert_eq!((Op::KEEP, Op::DELETE, Op::INSERT), (0, 1, 2));
}

#[test]
fn panics_become_errors_whatever_they_carry() {
    struct PanicsAgain;
    impl Drop for PanicsAgain {
        fn drop(&mut self) {
            panic!("dropping it panics too");
        }
    }
    let said = |work: fn() -> u8| guarded(|| Ok(work())).expect_err("it panicked");
    assert_eq!(said(|| panic!("a text")), "panicked: a text");
    assert_eq!(said(|| panic!("a number: {}", 7)), "panicked: a number: 7");
    assert_eq!(said(|| std::panic::panic_any(7)), "panicked");
    assert_eq!(said(|| std::panic::panic_any(PanicsAgain)), "panicked");
}
