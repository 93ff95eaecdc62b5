//! The doors by which agents and orchestrators reach Greenroom.
