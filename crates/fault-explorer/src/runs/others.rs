//! What is explored of others: who has taken the descriptors, the slots, the journals.

use super::{List, Sets};
use crate::phases::Phase;

pub(super) fn explore(list: &mut List, sets: &Sets) {
    list.each(&sets.ones, &[Phase::Descriptors]);
}
