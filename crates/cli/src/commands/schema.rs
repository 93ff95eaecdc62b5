//! `schema`: the JSON Schema of events.

use staging_core::event_schema;

use crate::console::Console;
use crate::failure::Failure;

pub(super) fn schema(console: &Console) -> Result<(), Failure> {
    console.raw_object(&event_schema())
}
