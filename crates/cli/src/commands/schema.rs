//! `schema`: the JSON Schema of events, and of what `serve` speaks.

use staging_core::event_schema;

use crate::args::SchemaOf;
use crate::console::Console;
use crate::failure::Failure;

pub(super) fn schema(of: SchemaOf, console: &Console) -> Result<(), Failure> {
    console.raw_object(&match of {
        SchemaOf::Events => event_schema(),
        SchemaOf::Serve => super::serve::schema(),
    })
}
