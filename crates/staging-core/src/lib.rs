//! Sessions, patches, signatures, events and the actors that own them.
