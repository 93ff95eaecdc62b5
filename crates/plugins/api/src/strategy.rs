//! The trait that a strategy implements, and its input.

use std::ops::Deref;

use abi_stable::StableAbi;
use abi_stable::std_types::RSlice;

use crate::{Ctl, Op};

/// Why a strategy gave up. The host shows the text and uses a bundled strategy for that file.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A way to compare two files.
///
/// Several threads may use a value at once. A library makes one by [`Default`] for each call, so
/// nothing is kept from file to file. The same input must give the same script on every machine, so
/// limit the work by counting steps rather than by time, and use [`Ctl::should_stop`] only to end
/// early.
pub trait Strategy: Send + Sync {
    /// The name by which users choose the strategy: lower-case letters, digits and hyphens.
    const NAME: &'static str;

    /// The version of the strategy, shown to users. Not the version of the interface.
    const VERSION: &'static str = "0.0.0";

    /// Whether [`Input::old_text`] and [`Input::new_text`] are needed; otherwise they are empty.
    const NEEDS_TEXT: bool = false;

    /// Compares the two files.
    ///
    /// The operations are in file order, each starts where the previous one ended on both sides, none
    /// is empty, and together they cover both files. Two empty files give no operation.
    ///
    /// # Errors
    ///
    /// After any error the host uses a bundled strategy for this file and adds a remark.
    fn diff(&self, input: &Input<'_>, ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError>;
}

/// Two files as lists of line ids, and as text if the strategy needs it.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The ids of the old file's lines, in order. Ids are dense: below the number of distinct
    /// lines of both files together.
    pub old: &'a [u32],
    /// The ids of the new file's lines, in order.
    pub new: &'a [u32],
    /// The bytes of the old file's lines, line ends included; empty unless
    /// [`Strategy::NEEDS_TEXT`].
    pub old_text: &'a [Line<'a>],
    /// The bytes of the new file's lines, line ends included; empty unless
    /// [`Strategy::NEEDS_TEXT`].
    pub new_text: &'a [Line<'a>],
}

impl<'a> Input<'a> {
    /// An input without text.
    pub fn of_ids(old: &'a [u32], new: &'a [u32]) -> Self {
        Self { old, new, old_text: &[], new_text: &[] }
    }
}

/// The bytes of one line, including its `\n` if it has one. Any bytes, not only UTF-8.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct Line<'a>(RSlice<'a, u8>);

impl<'a> Line<'a> {
    /// A line of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(RSlice::from_slice(bytes))
    }

    /// The bytes, for as long as the input lives.
    pub fn bytes(&self) -> &'a [u8] {
        self.0.as_slice()
    }
}

impl Deref for Line<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_slice()
    }
}
