//! End-to-end tests of Greenroom through its public doors.
